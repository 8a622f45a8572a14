"""What a report shows, read from the files of a finished run: systems, measures, cells, counts, scores.

Nothing is computed here beyond counting and grouping; every figure comes from ``summary.json`` and
``scores.parquet``.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.listen.results import with_listening
from vceval.records import DIRECTIONS
from vceval.rundir import RunDirectory

__all__ = [
    "ALL", "WRONG_RATE", "Cell", "MeasureView", "MetricView", "PairScores", "Report", "SystemView", "cells_of",
    "load", "number",
]  # fmt: skip

#: The dataset or direction of a figure that is taken over all of them.
ALL = "all"

#: The flag of a recording whose sample rate is not the one that its system declares.
WRONG_RATE = "wrong rate"

#: The measure that says whether a recording bears a sanity flag.
FLAG_MEASURE = "sanity_flags"


@dataclass(frozen=True, slots=True)
class SystemView:
    """One row of the results: a converter's system or a control."""

    name: str
    title: str
    control: bool
    kind: str
    converter: str
    sample_rate: int | None
    licence: str
    paper: str
    expected: int
    converted: int
    failed: int


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric with the signature that every caption repeats."""

    name: str
    title: str
    signature: str
    source: str


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One figure of a metric, and how it is printed: ``value * scale`` with ``decimals`` digits in ``unit``."""

    name: str
    metric: str
    label: str
    unit: str
    better: str
    scale: float
    decimals: int
    reduction: str = "ratio"
    secondary: bool = False

    def text(self, value: float | None) -> str:
        """Print a stored value as tables show it, without the unit; empty where there is none."""
        return "" if value is None else number(value * self.scale, self.decimals)


@dataclass(frozen=True, slots=True)
class Cell:
    """One corpus figure with its 95 % interval and its counts; values are as stored, not scaled."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    expected: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class PairScores:
    """What is known of one system's conversion of one pair: stored values by measure, and what was heard."""

    values: Mapping[str, float]
    heard: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the renderers need, in the order in which it is shown.

    ``flags`` holds what sanity checks found, by system and pair: an entry, if an empty one, per recording checked.
    """

    root: Path
    run: Mapping[str, Any]
    name: str
    suite: str
    partial: bool
    custom: bool
    pair_count: int
    systems: Sequence[SystemView]
    metrics: Mapping[str, MetricView]
    measures: Sequence[MeasureView]
    datasets: Sequence[str]
    directions: Sequence[str]
    cells: Mapping[tuple[str, str, str, str], Cell]
    missing: int
    calibration: Mapping[str, Mapping[str, Mapping[str, Any]]]
    published: Sequence[Mapping[str, Any]]
    pairs: Sequence[Mapping[str, str]]
    audio: Mapping[tuple[str, str], str]
    scores: Mapping[tuple[str, str], PairScores]
    flags: Mapping[tuple[str, str], Sequence[str]]
    failures: Sequence[Mapping[str, str]]
    skips: Sequence[Mapping[str, str]]
    training: Mapping[str, Any] | None = None

    def cell(self, system: str, measure: str, dataset: str = ALL, direction: str = ALL) -> Cell | None:
        """Return one corpus figure, or None where the summary has none."""
        return self.cells.get((system, measure, dataset, direction))

    @property
    def converters(self) -> list[SystemView]:
        """The systems that are no controls."""
        return [system for system in self.systems if not system.control]

    @property
    def controls(self) -> list[SystemView]:
        """The rows that convert nothing."""
        return [system for system in self.systems if system.control]

    @property
    def sample_measures(self) -> list[MeasureView]:
        """The measures that samples show as figures.

        Left out: the share of flagged recordings, which marks show, secondary figures, and those that a single pair
        does not have (an EER, an AUC).
        """
        return [m for m in self.primary_measures if m.name != FLAG_MEASURE and m.reduction == "ratio"]

    @property
    def primary_measures(self) -> list[MeasureView]:
        """The measures of the first table; all of them where none is primary."""
        return [measure for measure in self.measures if not measure.secondary] or list(self.measures)

    @property
    def same_pairs(self) -> bool:
        """Whether all converters were given the same pairs, so that their figures stand side by side."""
        given: dict[str, set[str]] = {system.name: set() for system in self.converters}
        tried = {(row["system"], row["pair"]) for row in self.failures if row["stage"] != "score"}
        for system, pair in set(self.audio) | set(self.scores) | tried:
            if system in given:
                given[system].add(pair)
        return len({frozenset(pairs) for pairs in given.values()}) <= 1


def number(value: float, decimals: int) -> str:
    """Print a number with a fixed count of decimals; never ``-0.00``."""
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def load(run: RunDirectory) -> Report:
    """Read the files of a finished run.

    Raises:
        UsageError: a file is missing or malformed (the message names it).
    """
    about, summary = run.read_json("run.json"), with_listening(run, run.read_json("summary.json"))
    try:
        systems = [_system(entry) for entry in summary["systems"]]
        metrics = {entry["metric"]: _metric(entry) for entry in summary["metrics"]}
        measures = [_measure(entry) for entry in summary["measures"]]
        cells = cells_of(summary["cells"])
        pair_count = int(summary["pairs"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{run.root / 'summary.json'}: not the summary of a run ({type(error).__name__}: {error}); "
            f"score the run again"
        ) from error
    present = set(summary.get("directions", ()))
    scores, flags = _read_scores(run, {system.name: system.sample_rate for system in systems})
    return Report(
        root=run.root,
        run=about,
        name=str(summary.get("name") or about.get("name") or run.root.resolve().name),
        suite=str(summary.get("suite") or "custom"),
        partial=bool(summary.get("partial")),
        custom=bool(summary.get("custom")),
        pair_count=pair_count,
        systems=systems,
        metrics=metrics,
        measures=measures,
        datasets=[str(name) for name in summary.get("datasets", ())],
        directions=[name for name in DIRECTIONS if name in present] + sorted(present - set(DIRECTIONS)),
        cells=cells,
        missing=int(summary.get("counts", {}).get("missing", 0)),
        calibration=summary.get("calibration") or {},
        published=summary.get("published") or [],
        pairs=run.read_pairs(),
        audio={(row["system"], row["pair"]): row["path"] for row in run.read_audio()},
        scores=scores,
        flags=flags,
        failures=run.read_failures(),
        skips=run.read_skips(),
        training=summary.get("training"),
    )


def cells_of(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], Cell]:
    """Arrange the cells of a summary by system, measure, dataset and direction."""
    return {(e["system"], e["measure"], e.get("dataset", ALL), e.get("direction", ALL)): _cell(e) for e in entries}


def _system(entry: Mapping[str, Any]) -> SystemView:
    name, rate = str(entry["name"]), entry.get("sample_rate")
    return SystemView(
        name=name,
        title=str(entry.get("title") or name),
        control=bool(entry.get("control")),
        kind=str(entry.get("kind") or ""),
        converter=str(entry.get("converter") or ""),
        sample_rate=int(rate) if rate else None,
        licence=str(entry.get("licence") or ""),
        paper=str(entry.get("paper") or ""),
        expected=int(entry["expected"]),
        converted=int(entry["converted"]),
        failed=int(entry["failed"]),
    )


def _metric(entry: Mapping[str, Any]) -> MetricView:
    name = str(entry["metric"])
    return MetricView(name, str(entry.get("title") or name), str(entry["signature"]), str(entry.get("source") or ""))


def _measure(entry: Mapping[str, Any]) -> MeasureView:
    name = str(entry["name"])
    return MeasureView(
        name=name,
        metric=str(entry["metric"]),
        label=str(entry.get("label") or name),
        unit=str(entry.get("unit") or ""),
        better=str(entry.get("better") or ""),
        scale=float(entry.get("scale", 1.0)),
        decimals=int(entry.get("decimals", 2)),
        reduction=str(entry.get("reduction", "ratio")),
        secondary=bool(entry.get("secondary", False)),
    )


def _cell(entry: Mapping[str, Any]) -> Cell:
    value, low, high = (_finite(entry.get(key)) for key in ("value", "low", "high"))
    n, failed = int(entry["n"]), int(entry.get("failed", 0))
    return Cell(value, low, high, n, int(entry.get("expected", n + failed)), failed, int(entry.get("skipped", 0)))


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)


def _read_scores(
    run: RunDirectory, rates: Mapping[str, int | None]
) -> tuple[dict[tuple[str, str], PairScores], dict[tuple[str, str], Sequence[str]]]:
    frame = run.read_scores()
    values: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    heard: dict[tuple[str, str], str] = {}
    flags: dict[tuple[str, str], Sequence[str]] = {}
    columns = [frame[name].tolist() for name in ("system", "pair", "measure", "value", "details")]
    for system, pair, measure, value, details in zip(*columns, strict=True):
        key = (system, pair)
        if math.isfinite(value):
            values[key][measure] = value
        if not isinstance(details, str):
            continue
        if key not in heard and '"heard"' in details:
            found = json.loads(details).get("heard")
            if isinstance(found, str):
                heard[key] = found
        if key not in flags and '"flags"' in details:
            flags[key] = _flags(json.loads(details), rates.get(system))
    return {key: PairScores(found, heard.get(key)) for key, found in values.items()}, flags


def _flags(details: Mapping[str, Any], declared: int | None) -> list[str]:
    found = [str(flag) for flag in details["flags"]] if isinstance(details["flags"], list) else []
    if declared is not None and details.get("sample_rate", declared) != declared:
        found.append(WRONG_RATE)
    return found
