"""How noisy a model is from run to run, and what a gate can promise then: tolerance, worsening caught, pairs needed.

Two runs of one model differ by what their speakers and pairs do by chance (the standard error of a paired difference;
more pairs of more speakers make it smaller) and by what whole runs do (another seed or training; more pairs do not
help). Both are measured from all pairs of the given runs, and taken as normal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from pathlib import Path
from statistics import NormalDist

from vceval.errors import UsageError
from vceval.gate.check import most_new
from vceval.gate.decide import MOST_CLUSTERS, Family, allowance, measure_worsening
from vceval.gate.evidence import Evidence, MeasureInfo, of_run
from vceval.gate.outputs import plain
from vceval.gate.preconditions import applying, refuse_unless_comparable, systems_of
from vceval.gate.rules import CountRule, MeasureRule, Rules
from vceval.gate.verdict import amount
from vceval.results.rundir import write_atomically
from vceval.statistics.intervals import t_quantile

__all__ = ["Calibration", "Line", "calibrate", "save_rules", "text"]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one system, in stored units.

    between_runs: standard deviation of the runs' values. error: of the difference of two runs, from pairs and speakers.
    shift: standard deviation of whole runs, beyond what the error explains.
    tolerance: the smallest that keeps false alarms rare and lets an unchanged model pass as often as ``power`` says.
    caught: the worsening that is then caught as often. needed: (clusters, pairs) with which the rule's own allowance
    would do the same, and twice the allowance be caught; None where no number is enough.
    """

    rule: MeasureRule
    measure: MeasureInfo
    system: str
    mean: float
    between_runs: float
    error: float
    shift: float
    pairs: int
    clusters: int
    by: str
    tolerance: float
    caught: float
    needed: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found from how many runs, for which rates.

    failures, flags: the most new ones of a system between any two of the runs.
    """

    runs: int
    false_alarm: float
    power: float
    lines: Sequence[Line]
    failures: int = 0
    flags: int = 0


def calibrate(folders: Sequence[Path], rules: Rules, *, false_alarm: float, power: float) -> Calibration:
    """Measure the noise of repeated runs of one model.

    Args:
        folders: two finished runs or more, of the same suite, pairs and metrics.
        rules: which measures, and with which confidence they are decided.
        false_alarm: chance that a night is red though nothing changed, over all rules.
        power: chance that a worsening is caught, and that an unchanged model passes.

    Raises:
        UsageError: fewer than two runs, runs that may not be compared, or a rate that is none.
    """
    for name, rate in (("--false-alarm", false_alarm), ("--power", power)):
        if not 0.0 < rate < 1.0:
            raise UsageError(f"{name} {rate}: must be above 0 and below 1")
    if len(folders) < 2:
        raise UsageError("at least two runs of one model are needed to see its noise; five are better")
    runs = [of_run(folder) for folder in folders]
    applied = applying(rules, runs[0])
    for run in runs[1:]:
        refuse_unless_comparable(run, runs[0], applied)
    found = list(_noises(runs, applied))
    if not found:
        raise UsageError("the runs have no pairs with values in common")
    family = Family([noise.rule for noise in found])
    lines = [_line(noise, family, false_alarm, power) for noise in found]
    failures, flags = (
        max(most_new(rule, run, other) for run, other in itertools.permutations(runs, 2))
        for rule in (CountRule("failures"), CountRule("flags"))
    )
    return Calibration(len(runs), false_alarm, power, lines, failures, flags)


@dataclass(frozen=True, slots=True)
class _Noise:
    rule: MeasureRule
    measure: MeasureInfo
    system: str
    means: Sequence[float]
    error: float
    pairs: int
    clusters: int
    by: str


def _noises(runs: Sequence[Evidence], rules: Sequence[MeasureRule]) -> Iterator[_Noise]:
    import numpy as np

    first = runs[0]
    for rule in rules:
        for system in systems_of(rule, first):
            tables = [run.sums.get(system, {}).get(rule.measure, {}) for run in runs]
            keys = [key for key in first.pairs if all(key in table for table in tables)]
            if len(keys) < 2:
                continue
            sums = np.array([[table[key] for key in keys] for table in tables])  # runs, pairs, two
            if rule.cap is not None:
                sums[..., 0] = np.minimum(sums[..., 0], rule.cap * sums[..., 1])
            one, other = zip(*itertools.combinations(range(len(runs)), 2), strict=True)
            found = measure_worsening(
                (sums[list(other), :, 0], sums[list(other), :, 1]),
                (sums[list(one), :, 0], sums[list(one), :, 1]),
                [first.pairs[key].target_speaker for key in keys],
                [first.pairs[key].source_speaker for key in keys],
                sign=1.0,
                allowed=0.0,
            )
            means = sums[..., 0].sum(axis=1) / sums[..., 1].sum(axis=1)
            error = float(np.sqrt(np.mean(np.square(found.errors))))
            yield _Noise(
                rule, first.measures[rule.measure], system, [float(mean) for mean in means], error,
                len(keys), found.clusters, found.by,
            )  # fmt: skip


def _line(noise: _Noise, family: Family, false_alarm: float, power: float) -> Line:
    mean = sum(noise.means) / len(noise.means)
    between = sqrt(sum((value - mean) ** 2 for value in noise.means) / (len(noise.means) - 1))
    shift = sqrt(max(0.0, between**2 - noise.error**2 / 2.0))
    wanted = _Wanted(noise.rule, family, false_alarm, power, shift)
    tolerance = wanted.tolerance(noise.error, noise.clusters)
    allowed = allowance(noise.rule, mean)
    if noise.error == 0.0:
        least: int | None = noise.clusters if shift == 0.0 else None
    else:
        least = _least(lambda count: wanted.fits(allowed, noise.error * sqrt(noise.clusters / count), count))
    needed = None if least is None else (least, ceil(noise.pairs * least / max(noise.clusters, 1)))
    return Line(
        noise.rule, noise.measure, noise.system, mean, between, noise.error, shift, noise.pairs, noise.clusters,
        noise.by, tolerance, wanted.caught(tolerance, noise.error, noise.clusters), needed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is promised of one rule of a family, for an error from so many clusters."""

    rule: MeasureRule
    family: Family
    false_alarm: float
    power: float
    shift: float

    def tolerance(self, error: float, clusters: int) -> float:
        """The smallest tolerance with which both promises hold."""
        if error == 0.0 and self.shift == 0.0:
            return 0.0
        alarm = NormalDist().inv_cdf(1.0 - self.false_alarm / len(self.family.rules))
        quiet = alarm * self._spread(error) - self._reach(clusters) * error
        passes = t_quantile(self.rule.pass_confidence, max(clusters - 1, 1)) * error
        passes += NormalDist().inv_cdf(self.power) * self._spread(error)
        return max(quiet, passes, 0.0)

    def caught(self, tolerance: float, error: float, clusters: int) -> float:
        """The worsening that is ``regress`` as often as ``power`` says."""
        return tolerance + self._reach(clusters) * error + NormalDist().inv_cdf(self.power) * self._spread(error)

    def fits(self, allowed: float, error: float, clusters: int) -> bool:
        """Whether an allowance keeps both promises, and twice the allowance is caught."""
        return self.tolerance(error, clusters) <= allowed and self.caught(allowed, error, clusters) <= 2.0 * allowed

    def _spread(self, error: float) -> float:
        """Standard deviation of the difference of two runs."""
        return sqrt(error**2 + 2.0 * self.shift**2)

    def _reach(self, clusters: int) -> float:
        return t_quantile(1.0 - self.family.share(self.rule), max(clusters - 1, 1))


def _least(fits: Callable[[int], bool]) -> int | None:
    """The smallest number of clusters, two or more, that fits; None where none does."""
    if not fits(MOST_CLUSTERS):
        return None
    low, high = 1, MOST_CLUSTERS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def text(found: Calibration) -> str:
    """Write the calibration as a Markdown table, with what it means."""
    lines = [
        f"{found.runs} runs of one model; false alarms in at most {found.false_alarm:.1%} of nights over all rules, "
        f"power {found.power:.0%}.",
        "",
        "| System | Measure | Mean | Between runs (SD) | Error of a difference | Pairs | Tolerance | Then caught "
        "| Allowed by the rule | Pairs that needs |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for line in found.lines:
        measure = line.measure
        allowed = allowance(line.rule, line.mean)
        cells = [
            plain(line.system),
            f"{measure.name}{f' ({measure.unit})' if measure.unit else ''}",
            *(amount(value, measure) for value in (line.mean, line.between_runs, line.error)),
            f"{line.pairs} of {line.clusters} {line.by}" if line.by != "pairs" else str(line.pairs),
            amount(line.tolerance, measure),
            amount(line.caught, measure),
            amount(allowed, measure),
            _needed(line),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Tolerance: the smallest with which false alarms stay that rare and an unchanged model passes that often, with "
        "these pairs. Then caught: the worsening that is found that often. Pairs that needs: for the rule's own "
        "allowance to do the same, and twice the allowance to be caught.",
    ]
    lines.append(
        f"New failures of a system between two runs: up to {found.failures}; new sanity flags: up to {found.flags}."
    )
    if any(line.shift > 0.0 for line in found.lines):
        lines.append("Where no number is enough, whole runs differ: average several seeds, or allow more.")
    if found.runs < 5:
        lines.append(f"{found.runs} runs say little of how runs differ; five or more are better.")
    if all(line.error == 0.0 and line.between_runs == 0.0 for line in found.lines):
        lines.append("All runs are identical: allowances need only cover other machines.")
    return "\n".join(lines)


def _needed(line: Line) -> str:
    if line.needed is None:
        return "no number"
    clusters, pairs = line.needed
    return f"{pairs:,}" + (f" of {clusters:,} {line.by}" if line.by != "pairs" else "")


def save_rules(found: Calibration, path: Path) -> None:
    """Write a rules file: the tolerances, never below what the rules allow already, and the flags that were seen."""
    rows = []
    for line in found.lines:
        allowed = allowance(line.rule, line.mean)
        cap = "" if line.rule.cap is None else f", cap: {line.rule.cap:g}"
        rows.append(
            f"  - {{measure: {_quoted(line.measure.name)}, systems: [{_quoted(line.system)}], "
            f"worsening: {_up(max(line.tolerance, allowed)):g}, confidence: {line.rule.confidence:g}{cap}}}"
        )
    head = [
        f"# From {found.runs} runs of one model: false alarms {found.false_alarm:g}, power {found.power:g}",
        "schema: 1",
        "rules:",
    ]
    tail = [f"  - {{new: {what}, allowed: {n}}}" for what, n in (("failures", found.failures), ("flags", found.flags))]
    write_atomically(path, "\n".join([*head, *rows, *tail]) + "\n")


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _up(value: float) -> float:
    """Round up to two significant digits."""
    if value == 0.0:
        return value
    step = 10.0 ** (floor(log10(value)) - 1)
    return round(ceil(value / step - 1e-9) * step, 12)
