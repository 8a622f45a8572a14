"""What the gate decides on: the stored sums of a run per system, measure and pair, and what says they may be compared.

The same object is made from a finished run and from a baseline file (:mod:`vceval.gate.baseline`), with the same
rounding, so that a run against the baseline saved from it differs nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.results import views
from vceval.results.comparable import identities
from vceval.results.outcomes import Outcomes, Speakers
from vceval.results.rundir import RunDirectory
from vceval.results.views import MeasureView, Report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DIGITS", "MEASURE_COLUMNS", "Evidence", "PairInfo", "SystemInfo", "of_report", "of_run", "rounded", "side_by_side",
    "speakers_of", "text_of",
]  # fmt: skip

#: Significant digits that are kept of every sum.
DIGITS = 7
#: What is kept of a calibration: enough to tell whether two runs judged by the same threshold.
CALIBRATION_FACTS = ("encoder", "eer", "threshold", "trials_sha256")
#: What is kept of a measure: how it is printed, and which side is better.
MEASURE_COLUMNS = ("name", "metric", "label", "unit", "better", "scale", "decimals")


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
class SystemInfo:
    """A row of the tables; controls convert nothing. seeds: of each pair; None in baselines that hold none."""

    name: str
    title: str
    control: bool
    seeds: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate knows of one run.

    place: the run or file that it came from, for messages.
    metrics: metric to signature. calibration: metric to dataset to facts (CALIBRATION_FACTS).
    outcomes: sums of the systems over the pairs, of several seeds their means; a pair that failed has none.
    flags: (system, pair key) to the flags raised, by any seed: of sanity, and of what was heard.
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
    measures: Mapping[str, MeasureView]
    systems: Mapping[str, SystemInfo]
    pairs: Mapping[str, PairInfo]
    outcomes: Outcomes
    flags: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    failures: frozenset[tuple[str, str, str, str]] = frozenset()
    audio: Mapping[tuple[str, str], Path] = field(default_factory=dict)

    def has(self, system: str, measure: str) -> bool:
        """Whether a system has any value of a measure."""
        return measure in self.measures and bool(self.outcomes.outcome(system, self.measures[measure]).scored.any())


def side_by_side(pairs: Iterable[str], *runs: Evidence) -> Outcomes:
    """Put runs side by side on the pairs of these keys: a system is the number of its run and its name."""
    keys = list(pairs)
    places = [{key: place for place, key in enumerate(run.pairs)} for run in runs]
    return Outcomes.side_by_side(
        [(run.outcomes, [at.get(key, -1) for key in keys]) for run, at in zip(runs, places, strict=True)]
    )


def rounded(value: float) -> float:
    """Round to DIGITS significant digits."""
    return float(f"{value:.{DIGITS}g}")


def of_run(folder: Path) -> Evidence:
    """Read the evidence of a finished run.

    Raises:
        UsageError: the folder holds no finished run.
    """
    directory = RunDirectory(folder)
    if directory.read_json("run.json").get("state", "finished") != "finished":
        raise UsageError(f"{folder}: the run is not finished; give the command that began it again")
    return of_report(str(folder), views.load(directory, listened=False))


def of_report(place: str, report: Report) -> Evidence:
    """Take the evidence out of what was read of a run, or of its published results; ``place`` names it in messages."""
    keys = identities(report.pairs)
    pairs = [
        PairInfo(
            keys[row["pair"]], row["pair"], row["dataset"], row["direction"] or None,
            row["source_speaker"] or None, row["target_speaker"] or None, text_of(row["transcript"]),
        )
        for row in report.pairs
    ]  # fmt: skip
    kept = ([getattr(one, name) for name in MEASURE_COLUMNS] for one in report.measures if one.reduction == "ratio")
    measures = {name: MeasureView(name, *rest) for name, *rest in kept}  # the others are no sums over pairs
    run = report.run
    return Evidence(
        place=place,
        suite=str(run.get("suite", "")),
        pairs_sha256=str(run.get("pairs_sha256", "")),
        created=str(run.get("created", "")),
        partial=report.partial,
        versions={name: str(version) for name, version in run.get("versions", {}).items()},
        metrics={name: metric.signature for name, metric in report.metrics.items()},
        calibration={
            metric: {name: _facts(facts) for name, facts in datasets.items()}
            for metric, datasets in report.calibration.items()
        },
        measures=measures,
        systems={one.name: SystemInfo(one.name, one.title, one.control, one.seeds) for one in report.systems},
        pairs={pair.key: pair for pair in pairs},
        outcomes=Outcomes.of_sums(
            speakers_of(pairs), list(report.scores.systems), list(measures), _sums(report, list(measures))
        ),
        flags=_flags(report, keys),
        failures=frozenset(
            (row["system"], keys.get(row["pair"], row["pair"]), row["stage"], row["metric"]) for row in report.failures
        ),
        audio={
            (system, keys[pair]): report.root / path for (system, pair), path in report.audio.items() if pair in keys
        },
    )


def speakers_of(pairs: Iterable[PairInfo]) -> Speakers:
    """Who speaks in some pairs, and what."""
    return Speakers.of((p.target_speaker, p.source_speaker, p.text, p.dataset, p.direction) for p in pairs)


def text_of(transcript: str | None) -> str | None:
    """Tell whether two pairs have the same text: a hash of it."""
    return hashlib.sha256(transcript.encode()).hexdigest()[:8] if transcript else None


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: facts[name] for name in CALIBRATION_FACTS if name in facts}
    return {name: rounded(value) if isinstance(value, float) else value for name, value in kept.items()}


def _sums(report: Report, measures: list[str]) -> NDArray[np.float64]:
    """Rounded sums of shape (systems, pairs, measures, 2)."""
    import numpy as np

    scores = report.scores
    chosen = [scores.measures[name] for name in measures]
    sums = np.stack([scores.numerators[:, :, chosen], scores.denominators[:, :, chosen]], axis=-1)
    values, places = np.unique(sums, return_inverse=True)
    found: NDArray[np.float64] = np.array([rounded(value) for value in values])[places].reshape(sums.shape)
    return found


def _flags(report: Report, keys: Mapping[str, str]) -> dict[tuple[str, str], tuple[str, ...]]:
    systems, pairs = list(report.scores.systems), list(report.scores.pairs)
    found = {
        (systems[system], keys[pairs[pair]]): tuple(
            sorted({*report.flags.get((systems[system], pairs[pair]), ()), *details.get("later", ())})
        )
        for (system, pair), details in report.scores.sanity.items()
    }
    return {place: flags for place, flags in found.items() if flags}
