"""What a report shows, read from the files of a finished run: systems, measures, cells, counts, scores.

Nothing is computed here beyond counting and grouping; every figure comes from ``summary.json`` and
``scores.parquet``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.records import DIRECTIONS
from vceval.results.efficiency import Efficiency
from vceval.results.efficiency import read as read_efficiency
from vceval.results.listening import rated, with_listening
from vceval.results.marks import NOBODY, Ranking, rankings_of
from vceval.results.rundir import RunDirectory
from vceval.results.scores import Scores, read_scores

__all__ = [
    "ALL", "ARROWS", "SCHEMA", "WRONG_RATE", "Cell", "MeasureView", "MetricView", "Report", "SystemView", "assemble",
    "cells_of", "finite", "load", "number", "with_interval", "with_unit",
]  # fmt: skip

#: The dataset or direction of a figure that is taken over all of them.
ALL = "all"

#: The form of ``summary.json`` that this version writes and reads.
SCHEMA = 3

#: What a heading shows for the better side of a measure.
ARROWS = {"lower": " ↓", "higher": " ↑"}

#: The flag of a recording whose sample rate is not the one that its system declares.
WRONG_RATE = "wrong rate"

#: The measure that says whether a recording has a sanity flag.
FLAG_MEASURE = "sanity_flags"


@dataclass(frozen=True, slots=True)
class SystemView:
    """One row of the results: a converter's system or a control.

    ``seeds`` is how many times it converted each pair; ``expected``, ``converted`` and ``failed`` count conversions.
    ``sample_rates`` are those of recordings made elsewhere that have several.
    """

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
    seeds: int = 1
    sample_rates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric with the signature that every caption repeats; ``encoder``: that which judges, if any."""

    name: str
    title: str
    signature: str
    source: str
    long_signature: str = ""
    encoder: str = ""


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
    worst: float | None = None
    best: float | None = None
    ranked_by: str = ""
    rate: bool = False
    resolution: float = 0.0
    thresholded: str = ""
    natural_limit: float | None = None
    judge: str = ""
    question: str = ""
    placed: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> MeasureView:
        """Read an entry of ``summary.json``."""
        name = str(entry["name"])
        return cls(
            name=name,
            metric=str(entry["metric"]),
            label=str(entry.get("label") or name),
            unit=str(entry.get("unit") or ""),
            better=str(entry.get("better") or ""),
            scale=float(entry.get("scale", 1.0)),
            decimals=int(entry.get("decimals", 2)),
            reduction=str(entry.get("reduction", "ratio")),
            secondary=bool(entry.get("secondary", False)),
            worst=finite(entry.get("worst")),
            best=finite(entry.get("best")),
            ranked_by=str(entry.get("ranked_by") or ""),
            rate=bool(entry.get("rate", False)),
            resolution=float(entry.get("resolution") or 0.0),
            thresholded=str(entry.get("thresholded") or ""),
            natural_limit=finite(entry.get("natural_limit")),
            judge=str(entry.get("judge") or ""),
            question=str(entry.get("question") or ""),
            placed=str(entry.get("placed") or ""),
        )

    def text(self, value: float | None) -> str:
        """Print a stored value as tables show it, without the unit; empty where there is none."""
        return "" if value is None else number(value * self.scale, self.decimals)

    def signed(self, value: float) -> str:
        """Print a stored difference as tables show it, with its sign; zero has none."""
        text = self.text(value)
        return text if text.startswith("-") or not text.strip("0.") else f"+{text}"

    @property
    def labelled(self) -> str:
        """Label and what made the figures: ``MCD``, ``WER (Whisper large-v3)``."""
        return self.label + (f" ({self.judge})" if self.judge else "")

    @property
    def sign(self) -> float:
        """What turns a difference, of distances where there is a best value, so that positive is worse."""
        return -1.0 if self.best is None and self.better == "higher" else 1.0

    @property
    def title(self) -> str:
        """Label, what made the figures, and unit: ``MCD (dB)``, ``WER (Whisper large-v3), %``."""
        return with_unit(self.labelled, self.unit)

    @property
    def heading(self) -> str:
        """Label, unit and an arrow to the better side, ``MCD (dB) ↓``."""
        return self.title + self.arrow

    @property
    def arrow(self) -> str:
        """An arrow to the better side, or to the value that is best, `` → 50.0``."""
        return ARROWS.get(self.better, "") if self.best is None else f" → {self.text(self.best)}"

    @property
    def hint(self) -> str:
        """The better side in words, ``lower is better``, or the value that is best; empty where there is none."""
        if self.best is not None:
            return f"{self.text(self.best)} is best"
        return f"{self.better} is better" if self.better in ARROWS else ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One corpus figure with its 95 % interval and its counts; values are as stored, not scaled.

    targets, sources: how many speakers the figure rests on; 0 where nothing is known of them. method: how the interval
    was made (:data:`vceval.statistics.inference.Method`); empty where there is none.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    expected: int
    failed: int
    skipped: int
    targets: int = 0
    sources: int = 0
    method: str = ""

    @property
    def given(self) -> int:
        """Pairs that the system was given: scored, failed, or skipped as they lack what the measure needs."""
        return self.expected + self.skipped

    @property
    def count(self) -> str:
        """Pairs scored and given, and target and source speakers where known: ``20/20 · 5×4``."""
        speakers = f" · {self.targets or '?'}×{self.sources or '?'}" if self.targets or self.sources else ""
        return f"{self.n}/{self.given}{speakers}" if self.given else ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the renderers need, in the order in which it is shown.

    ``flags`` holds what sanity checks found, and text metrics in what was heard, by system and pair: an entry, if an
    empty one, per recording checked.
    ``rankings`` are by measure, dataset and direction (:mod:`vceval.results.ranking`). ``exposures`` say of system and
    pair what is known of the source and the target speaker: ``trained``, ``unseen`` or ``unknown``.
    ``calibration_file`` is calibration.json: what ``calibration`` says, with scores of natural speech and error curves.
    ``seeds`` is what the summary says of them (:mod:`vceval.results.seeds`). ``efficiency`` says what converting took,
    of systems that the run converted. ``kin`` says of system and metric why the encoder that judges there does not
    rank it, ``panels`` how far encoders agree (:mod:`vceval.results.panel`).
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
    scores: Scores
    flags: Mapping[tuple[str, str], Sequence[str]]
    failures: Sequence[Mapping[str, str]]
    skips: Sequence[Mapping[str, str]]
    training: Mapping[str, Any] | None = None
    rankings: Mapping[tuple[str, str, str], Ranking] = field(default_factory=dict)
    exposures: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    calibration_file: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    seeds: Mapping[str, Any] | None = None
    efficiency: Sequence[Efficiency] = ()
    kin: Mapping[tuple[str, str], str] = field(default_factory=dict)
    panels: Sequence[Mapping[str, Any]] = ()

    def cell(self, system: str, measure: str, dataset: str = ALL, direction: str = ALL) -> Cell | None:
        """Return one corpus figure, or None where the summary has none."""
        return self.cells.get((system, measure, dataset, direction))

    def ranking(self, measure: str, dataset: str = ALL, direction: str = ALL) -> Ranking:
        """Return who is ahead of whom; nobody where the summary does not say."""
        return self.rankings.get((measure, dataset, direction), NOBODY)

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the systems by name."""
        return {system.name: system.title for system in self.systems}

    @property
    def converters(self) -> list[SystemView]:
        """The systems that are no controls."""
        return [system for system in self.systems if not system.control]

    @property
    def controls(self) -> list[SystemView]:
        """The rows that convert nothing."""
        return [system for system in self.systems if system.control]

    @property
    def natural(self) -> str:
        """The row of natural speech of the sources; empty where there is none."""
        return next((system.name for system in self.controls if system.converter == "source"), "")

    @property
    def sample_measures(self) -> list[MeasureView]:
        """The measures that samples show as figures.

        Left out: the share of flagged recordings, which marks show, secondary figures, those by which others are
        ranked, and those that a single pair does not have (an EER, an AUC).
        """
        left_out = {FLAG_MEASURE, *(measure.ranked_by for measure in self.measures)}
        return [m for m in self.primary_measures if m.name not in left_out and m.reduction == "ratio"]

    @property
    def primary_measures(self) -> list[MeasureView]:
        """The measures of the first table; all of them where none is primary."""
        return [measure for measure in self.measures if not measure.secondary] or list(self.measures)


def number(value: float, decimals: int) -> str:
    """Print a number with a fixed count of decimals; never ``-0.00``."""
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def with_unit(name: str, unit: str) -> str:
    """Put a unit after a name: in brackets, or after a comma where the name ends in brackets."""
    if not unit:
        return name
    return f"{name}, {unit}" if name.endswith(")") else f"{name} ({unit})"


def with_interval(value: float | None, low: float | None, high: float | None, text: Callable[[float], str]) -> str:
    """Print a figure and its interval, ``1.23 [1.10, 1.40]``, alone where it has none; a dash where there is no figure.

    ``text`` prints one number.
    """
    if value is None:
        return "–"
    return text(value) if low is None or high is None else f"{text(value)} [{text(low)}, {text(high)}]"


def finite(value: Any) -> float | None:
    """Read a number of a summary; None for none, NaN and infinity."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def load(run: RunDirectory, *, listened: bool = True) -> Report:
    """Read the files of a finished run, and what listeners said of it unless ``listened`` is False.

    Raises:
        UsageError: a file is missing or malformed (the message names it).
    """
    about, summary = run.read_json("run.json"), run.read_json("summary.json")
    if listened:
        summary = with_listening(run, summary)
    if summary.get("schema") != SCHEMA:
        raise UsageError(
            f"{run.root / 'summary.json'}: has schema {summary.get('schema')!r}, this vceval reads {SCHEMA}, in which "
            "measures say what they answer; give the command that made the run again: what is scored is kept"
        )
    pairs = run.read_pairs()
    try:
        scores = read_scores(
            run.checked("scores.parquet"),
            [str(entry["name"]) for entry in summary["systems"]],
            [row["pair"] for row in pairs],
            [str(entry["name"]) for entry in summary["measures"]],
        )
        report = assemble(run.root, about, summary, pairs, scores)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{run.root / 'summary.json'}: not the summary of a run ({type(error).__name__}: {error}); "
            f"score the run again"
        ) from error
    for one in rated(run) if listened else ():
        if one.system in scores.systems and one.pair in scores.pairs:
            place = (scores.systems[one.system], scores.pairs[one.pair], scores.measures[one.measure])
            scores.values[place] = one.value
    return replace(
        report,
        audio={(row["system"], row["pair"]): row["path"] for row in run.read_audio()},
        failures=run.read_failures(),
        skips=run.read_skips(),
        exposures=_exposures(run),
        calibration_file=run.read_json("calibration.json") if run.has("calibration.json") else {},
        efficiency=read_efficiency(run),
    )


def assemble(
    root: Path, about: Mapping[str, Any], summary: Mapping[str, Any], pairs: Sequence[Mapping[str, str]], scores: Scores
) -> Report:
    """Arrange a summary, the rows of ``pairs.csv`` and the scores; what other files say is left empty.

    Args:
        root: the folder that paths are relative to.
        about: what ``run.json`` says.
        summary: what ``summary.json`` says, or what was made anew from sums that were kept.
        pairs: in their order.
        scores: of the same systems, pairs and measures.

    Raises:
        KeyError, TypeError, ValueError: the summary is none.
    """
    systems = [_system(entry) for entry in summary["systems"]]
    present = set(summary.get("directions", ()))
    return Report(
        root=root,
        run=about,
        name=str(summary.get("name") or about.get("name") or root.resolve().name),
        suite=str(summary.get("suite") or "custom"),
        partial=bool(summary.get("partial")),
        custom=bool(summary.get("custom")),
        pair_count=int(summary["pairs"]),
        systems=systems,
        metrics={entry["metric"]: _metric(entry) for entry in summary["metrics"]},
        measures=[MeasureView.of(entry) for entry in summary["measures"]],
        datasets=[str(name) for name in summary.get("datasets", ())],
        directions=[name for name in DIRECTIONS if name in present] + sorted(present - set(DIRECTIONS)),
        cells=cells_of(summary["cells"]),
        missing=int(summary.get("counts", {}).get("missing", 0)),
        calibration=summary.get("calibration") or {},
        published=summary.get("published") or [],
        pairs=pairs,
        audio={},
        scores=scores,
        flags=_flags_of(scores, {system.name: system.sample_rate for system in systems}),
        failures=[],
        skips=[],
        training=summary.get("training"),
        rankings=rankings_of(summary["rankings"], summary["comparisons"]),
        seeds=summary.get("seeds"),
        kin={(str(one["system"]), str(one["metric"])): str(one["reason"]) for one in summary.get("kin", ())},
        panels=summary.get("panels", ()),
    )


def cells_of(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], Cell]:
    """Arrange the cells of a summary by system, measure, dataset and direction."""
    return {(e["system"], e["measure"], e.get("dataset", ALL), e.get("direction", ALL)): _cell(e) for e in entries}


def _exposures(run: RunDirectory) -> dict[tuple[str, str], tuple[str, str]]:
    if not run.has("leakage.csv"):
        return {}  # a run of a version without the audit
    return {
        (row["system"], row["pair"]): (row["source_exposure"], row["target_exposure"]) for row in run.read_leakage()
    }


def _system(entry: Mapping[str, Any]) -> SystemView:
    name, rate = str(entry["name"]), entry.get("sample_rate")
    return SystemView(
        name=name,
        title=str(entry.get("title") or name),
        control=bool(entry.get("control")),
        kind=str(entry.get("kind") or ""),
        converter=str(entry.get("converter") or ""),
        sample_rate=int(rate) if rate else None,
        sample_rates=tuple(map(int, entry.get("sample_rates", ()))),
        licence=str(entry.get("licence") or ""),
        paper=str(entry.get("paper") or ""),
        expected=int(entry["expected"]),
        converted=int(entry["converted"]),
        failed=int(entry["failed"]),
        seeds=int(entry.get("seeds", 1)),
    )


def _metric(entry: Mapping[str, Any]) -> MetricView:
    name = str(entry["metric"])
    signature = str(entry["signature"])
    return MetricView(
        name,
        str(entry.get("title") or name),
        signature,
        str(entry.get("source") or ""),
        str(entry.get("long_signature") or signature),
        str(entry.get("encoder") or ""),
    )


def _cell(entry: Mapping[str, Any]) -> Cell:
    value, low, high = (finite(entry.get(key)) for key in ("value", "low", "high"))
    n, failed = int(entry["n"]), int(entry.get("failed", 0))
    expected, skipped = int(entry.get("expected", n + failed)), int(entry.get("skipped", 0))
    targets, sources = (int(entry.get(side, 0)) for side in ("targets", "sources"))
    return Cell(value, low, high, n, expected, failed, skipped, targets, sources, str(entry.get("method", "")))


def _flags_of(scores: Scores, rates: Mapping[str, int | None]) -> dict[tuple[str, str], Sequence[str]]:
    systems, pairs = list(scores.systems), list(scores.pairs)
    return {
        (systems[system], pairs[pair]): _flags(details, rates.get(systems[system]))
        for (system, pair), details in scores.sanity.items()
        if "flags" in details
    }


def _flags(details: Mapping[str, Any], declared: int | None) -> Sequence[str]:
    found = [str(flag) for flag in details["flags"]]
    if declared is not None and details.get("sample_rate", declared) != declared:
        found.append(WRONG_RATE)
    return tuple(found)
