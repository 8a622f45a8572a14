"""What the gate decides on: the stored sums of a run per system, measure and pair, and what says they may be compared.

The same object is made from a finished run and from a baseline file (:mod:`vceval.gate.baseline`), with the same
rounding, so that a run against the baseline saved from it differs nowhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vceval.errors import UsageError
from vceval.results.comparable import identities
from vceval.results.rundir import RunDirectory, over_seeds

__all__ = ["DIGITS", "Evidence", "MeasureInfo", "PairInfo", "Sums", "SystemInfo", "of_run", "rounded", "text_of"]

#: Significant digits that are kept of every sum.
DIGITS = 7
#: What is kept of a calibration: enough to tell whether two runs judged by the same threshold.
CALIBRATION_FACTS = ("encoder", "eer", "threshold", "trials_sha256")

#: Pair key to (numerator, denominator).
Sums = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PairInfo:
    """One conversion pair; ``key`` says what it is (dataset, recordings, text), ``name`` what a run calls it.

    text: a hash of its transcript; None without one, and in baselines that hold none.
    """

    key: str
    name: str
    dataset: str
    direction: str | None
    source_speaker: str | None
    target_speaker: str | None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class MeasureInfo:
    """One measure as tables print it: stored values times ``scale``, in ``unit``, with ``decimals`` digits."""

    name: str
    metric: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    scale: float
    decimals: int

    @property
    def sign(self) -> float:
        """Turn a difference (new minus old) into a worsening."""
        return 1.0 if self.better == "lower" else -1.0


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """A row of the tables; controls convert nothing."""

    name: str
    title: str
    control: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate knows of one run.

    place: the run or file that it came from, for messages.
    metrics: metric to signature. calibration: metric to dataset to facts (CALIBRATION_FACTS).
    sums: system to measure to sums, of several seeds their means. flags: (system, pair key) to the sanity flags raised,
    by any seed.
    failures: (system, pair key, stage, metric).
    audio: (system, pair key) to the recording; empty for a baseline file.
    """

    place: str
    suite: str
    pairs_sha256: str
    created: str
    partial: bool
    versions: Mapping[str, str]
    metrics: Mapping[str, str]
    calibration: Mapping[str, Mapping[str, Mapping[str, Any]]]
    measures: Mapping[str, MeasureInfo]
    systems: Mapping[str, SystemInfo]
    pairs: Mapping[str, PairInfo]
    sums: Mapping[str, Mapping[str, Sums]]
    flags: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    failures: frozenset[tuple[str, str, str, str]] = frozenset()
    audio: Mapping[tuple[str, str], Path] = field(default_factory=dict)


def rounded(value: float) -> float:
    """Round to DIGITS significant digits."""
    return float(f"{value:.{DIGITS}g}")


def of_run(folder: Path) -> Evidence:
    """Read the evidence of a finished run.

    Raises:
        UsageError: the folder holds no finished run.
    """
    directory = RunDirectory(folder)
    about = directory.read_json("run.json")
    if about.get("state", "finished") != "finished":
        raise UsageError(f"{folder}: the run is not finished; give the command that began it again")
    try:
        return _evidence(directory, about)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{folder}: the files of the run do not fit together ({type(error).__name__}: {error}); score it again"
        ) from error


def _evidence(directory: RunDirectory, about: Mapping[str, Any]) -> Evidence:
    summary = directory.read_json("summary.json")
    rows = directory.read_pairs()
    keys = {name: _key(identity) for name, identity in identities(rows).items()}
    pairs = {
        keys[row["pair"]]: PairInfo(
            keys[row["pair"]], row["pair"], row["dataset"], row["direction"] or None,
            row["source_speaker"] or None, row["target_speaker"] or None, text_of(row["transcript"]),
        )
        for row in rows
    }  # fmt: skip
    measures = {
        entry["name"]: MeasureInfo(**{name: entry[name] for name in MeasureInfo.__slots__})
        for entry in summary["measures"]
        if entry.get("reduction", "ratio") == "ratio"  # the others are no sums over pairs
    }
    sums, flags = _scores(directory, measures, keys)
    return Evidence(
        place=str(directory.root),
        suite=str(about.get("suite", "")),
        pairs_sha256=str(about.get("pairs_sha256", "")),
        created=str(about.get("created", "")),
        partial=bool(summary.get("partial", False)),
        versions={name: str(version) for name, version in about.get("versions", {}).items()},
        metrics={entry["metric"]: entry["signature"] for entry in summary["metrics"]},
        calibration={
            metric: {name: _facts(facts) for name, facts in datasets.items()}
            for metric, datasets in summary.get("calibration", {}).items()
        },
        measures=measures,
        systems={
            entry["name"]: SystemInfo(entry["name"], entry.get("title", entry["name"]), bool(entry["control"]))
            for entry in summary["systems"]
        },
        pairs=pairs,
        sums=sums,
        flags=flags,
        failures=frozenset(
            (row["system"], keys.get(row["pair"], row["pair"]), row["stage"], row["metric"])
            for row in directory.read_failures()
        ),
        audio=_audio(directory, keys),
    )


def _key(identity: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(identity, ensure_ascii=False).encode()).hexdigest()[:16]


def text_of(transcript: str | None) -> str | None:
    """Tell whether two pairs have the same text: a hash of it."""
    return hashlib.sha256(transcript.encode()).hexdigest()[:8] if transcript else None


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: facts[name] for name in CALIBRATION_FACTS if name in facts}
    return {name: rounded(value) if isinstance(value, float) else value for name, value in kept.items()}


def _scores(
    directory: RunDirectory, measures: Mapping[str, MeasureInfo], keys: Mapping[str, str]
) -> tuple[dict[str, dict[str, dict[str, tuple[float, float]]]], dict[tuple[str, str], tuple[str, ...]]]:
    sums: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    flags: dict[tuple[str, str], tuple[str, ...]] = {}
    takes = directory.read_takes()
    frame = over_seeds(takes)
    columns = (frame[name] for name in ("system", "pair", "measure", "numerator", "denominator"))
    for system, pair, measure, numerator, denominator in zip(*columns, strict=True):
        if measure not in measures:
            continue
        found = sums.setdefault(str(system), {}).setdefault(str(measure), {})
        found[keys[pair]] = (rounded(numerator), rounded(denominator))
    if "sanity_flags" in measures:
        flagged = takes[(takes["measure"] == "sanity_flags") & (takes["numerator"] != 0)]
        columns = (flagged[name] for name in ("system", "pair", "details"))
        for system, pair, details in zip(*columns, strict=True):
            key = str(system), keys[pair]
            flags[key] = tuple(sorted({*flags.get(key, ()), *json.loads(details).get("flags", [])}))
    return sums, flags


def _audio(directory: RunDirectory, keys: Mapping[str, str]) -> dict[tuple[str, str], Path]:
    if not (directory.root / "audio.csv").is_file():
        return {}
    rows = (row for row in directory.read_audio() if row["pair"] in keys)
    return {(row["system"], keys[row["pair"]]): directory.root / row["path"] for row in rows}
