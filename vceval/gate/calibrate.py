"""How noisy a model is from run to run, and what a gate can promise then: tolerance, worsening caught, pairs needed.

Two runs of one model differ by what their speakers and pairs do by chance (the standard error of a paired difference;
more pairs of more speakers make it smaller) and by what whole runs do (another seed or training; more pairs do not
help). Both are measured from all pairs of the given runs, and taken as normal. How much of the noise is the speakers'
is measured by the variance components of the runs' differences.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from pathlib import Path
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from vceval.errors import UsageError
from vceval.gate.baseline import render
from vceval.gate.cases import capped, figure
from vceval.gate.check import most_new
from vceval.gate.decide import Family, allowance, measure_worsening
from vceval.gate.evidence import Evidence, of_run, side_by_side
from vceval.gate.preconditions import applying, refuse_unless_comparable, systems_of
from vceval.gate.rules import CountRule, MeasureRule, Rules, read_rules
from vceval.gate.verdict import amount
from vceval.results.rundir import write_atomically
from vceval.results.terminal import grid, paragraph
from vceval.results.views import MeasureView
from vceval.statistics.components import Design
from vceval.statistics.inference import Estimate, paired_residuals, t_quantile
from vceval.statistics.planning import FEW, Precision, Wanted, wanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Calibration", "Line", "calibrate", "save_rules", "text"]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one system, in stored units.

    between_runs: standard deviation of the runs' values. precision: of the difference of two runs, from pairs and
    speakers. shares: of the variance of a pair's difference, by component. shift: standard deviation of whole runs,
    beyond what the precision's error explains.
    tolerance: the smallest that keeps false alarms rare and lets an unchanged model pass as often as ``power`` says.
    caught: the worsening that is then caught as often. enough: whether the rule's own allowance does the same on these
    pairs, and twice the allowance is caught. needed: with how many it would; None where no number is enough.
    """

    rule: MeasureRule
    measure: MeasureView
    system: str
    mean: float
    between_runs: float
    precision: Precision
    shares: Mapping[str, float]
    shift: float
    tolerance: float
    caught: float
    enough: bool
    needed: Wanted | None


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


def calibrate(folders: Sequence[Path], rules: Rules | None = None, *, false_alarm: float, power: float) -> Calibration:
    """Measure the noise of repeated runs of one model.

    Args:
        folders: two finished runs or more, of the same suite, pairs and metrics.
        rules: which measures, and with which confidence they are decided; those of the suite where None.
        false_alarm: chance that a night is red though nothing changed, over all rules.
        power: chance that a worsening is caught, and that an unchanged model passes.

    Raises:
        UsageError: fewer than two runs, one that is given twice, runs that may not be compared, or a rate that is none.
    """
    for name, rate in (("--false-alarm", false_alarm), ("--power", power)):
        if not 0.0 < rate < 1.0:
            raise UsageError(f"{name} {rate}: must be above 0 and below 1")
    if len(folders) < 2:
        raise UsageError("at least two runs of one model are needed to see its noise; five are better")
    runs = [of_run(folder) for folder in folders]
    _refuse_copies(folders, runs)
    applied = applying(rules or read_rules(suite=runs[0].suite), runs[0])
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


def _refuse_copies(folders: Sequence[Path], runs: Sequence[Evidence]) -> None:
    """Make sure that every run is one of its own: a copy would say that there is no noise.

    Runs of a model without chance have the same scores, but not the same date.
    """
    for (one, first), (other, second) in itertools.combinations(zip(folders, runs, strict=True), 2):
        if one.resolve() == other.resolve():
            raise UsageError(f"{one}: is given twice ({other}); noise is seen between runs of their own")
        if first.created == second.created and render(first) == render(second):
            raise UsageError(f"{one} and {other}: hold the same run; noise is seen between runs of their own")


@dataclass(frozen=True, slots=True)
class _Noise:
    rule: MeasureRule
    measure: MeasureView
    system: str
    means: Sequence[float]
    precision: Precision
    shares: Mapping[str, float]


def _noises(runs: Sequence[Evidence], rules: Sequence[MeasureRule]) -> Iterator[_Noise]:
    import numpy as np

    first = runs[0]
    outcomes = side_by_side(first.pairs, *runs)
    for rule in rules:
        measure = first.measures[rule.measure]
        for system in systems_of(rule, first):
            found = [outcomes.outcome((number, system), measure) for number in range(len(runs))]
            common = np.logical_and.reduce([one.scored for one in found])
            if common.sum() < 2:
                continue
            sums, _ = capped(np.stack([one.sums(common) for one in found]), rule.cap)  # runs, pairs, two
            precision, shares = _between(sums, outcomes.design(common))
            yield _Noise(rule, measure, system, [figure(one) for one in sums], precision, shares)


def _between(sums: NDArray[np.float64], design: Design) -> tuple[Precision, dict[str, float]]:
    """Precision of the difference of two runs, and the components' shares of a pair's, over all pairs of runs."""
    errors: list[float] = []
    freedoms: list[float] = []
    parts: Counter[str] = Counter()
    components: Counter[str] = Counter()
    for one, other in itertools.combinations(sums, 2):
        found = measure_worsening(
            (other[:, 0], other[:, 1]), (one[:, 0], one[:, 1]), design, sign=1.0, allowed=0.0
        ).beyond  # fmt: skip
        errors.append(found.error)
        if spread := design.mean_error(paired_residuals(*other.T, *one.T)[1]):
            freedoms.append(found.freedom)
            parts.update({name: share * spread.variance for name, share in spread.shares.items()})
            components.update(spread.variances)
    error = sqrt(sum(error**2 for error in errors) / len(errors))
    estimate = Estimate(0.0, error, median(freedoms) if freedoms else 1.0, _shares(parts))
    return Precision.of(estimate, design), _shares(components)


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}


def _line(noise: _Noise, family: Family, false_alarm: float, power: float) -> Line:
    mean, now = sum(noise.means) / len(noise.means), noise.precision
    between = sqrt(sum((value - mean) ** 2 for value in noise.means) / (len(noise.means) - 1))
    shift = sqrt(max(0.0, between**2 - now.error**2 / 2.0))
    promised = _Promised(noise.rule, family, false_alarm, power, shift)
    tolerance = promised.tolerance(now)
    allowed = allowance(noise.rule, mean)
    return Line(
        noise.rule, noise.measure, noise.system, mean, between, now, noise.shares, shift, tolerance,
        promised.caught(tolerance, now), promised.fits(allowed, now),
        wanted(now, lambda there: promised.fits(allowed, there)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Promised:
    """What is promised of one rule of a family."""

    rule: MeasureRule
    family: Family
    false_alarm: float
    power: float
    shift: float

    def tolerance(self, now: Precision) -> float:
        """The smallest tolerance with which both promises hold."""
        if now.error == 0.0 and self.shift == 0.0:
            return 0.0
        alarm = NormalDist().inv_cdf(1.0 - self.false_alarm / len(self.family.rules))
        quiet = alarm * self._spread(now) - self._reach(now)
        passes = t_quantile(self.rule.pass_confidence, now.freedom) * now.error
        passes += NormalDist().inv_cdf(self.power) * self._spread(now)
        return max(quiet, passes, 0.0)

    def caught(self, tolerance: float, now: Precision) -> float:
        """The worsening that is ``regress`` as often as ``power`` says."""
        return tolerance + self._reach(now) + NormalDist().inv_cdf(self.power) * self._spread(now)

    def fits(self, allowed: float, now: Precision) -> bool:
        """Whether an allowance keeps both promises, and twice the allowance is caught."""
        return self.tolerance(now) <= allowed and self.caught(allowed, now) <= 2.0 * allowed

    def _spread(self, now: Precision) -> float:
        """Standard deviation of the difference of two runs."""
        return sqrt(now.error**2 + 2.0 * self.shift**2)

    def _reach(self, now: Precision) -> float:
        return t_quantile(self.family.level(self.rule), now.freedom) * now.error


def text(found: Calibration) -> str:
    """Write the calibration for a terminal: how noisy each measure is, what can be promised, and what that means."""
    noise, promise = [], []
    for line in found.lines:
        measure, precision = line.measure, line.precision
        name = [line.system, f"{measure.name}{f' ({measure.unit})' if measure.unit else ''}"]
        noise.append([
            *name, *(amount(value, measure) for value in (line.mean, line.between_runs, precision.error)),
            str(precision.pairs), ", ".join(f"{count} {side}s" for side, count in precision.levels.items()) or "–",
            ", ".join(f"{side} {line.shares.get(side, 0.0):.0%}" for side in precision.levels) or "–",
        ])  # fmt: skip
        allowed = allowance(line.rule, line.mean)
        needed = "these" if line.enough else "no number" if line.needed is None else line.needed.said()
        promise.append([*name, *(amount(v, measure) for v in (line.tolerance, line.caught, allowed)), needed])
    lines = [
        f"{found.runs} runs of one model; false alarms in at most {found.false_alarm:.1%} of nights over all rules, "
        f"power {found.power:.0%}.",
        "",
        grid(
            ["System", "Measure", "Mean", "Between\nruns (SD)", "Error of a\ndifference", "Pairs", "Speakers, texts",
             "Noise that\nis theirs"],
            [noise], (2, 3, 4, 5),
        ),
        "",
        grid(
            ["System", "Measure", "Tolerance", "Then\ncaught", "Allowed by\nthe rule", "Pairs that needs"],
            [promise], (2, 3, 4),
        ),
    ]  # fmt: skip
    lines += [
        "",
        "Tolerance: the smallest with which false alarms stay that rare and an unchanged model passes that often, with "
        "these pairs. Then caught: the worsening that is found that often. Pairs that needs: for the rule's own "
        "allowance to do the same, and twice the allowance to be caught. Noise that is theirs: how much of the "
        "variance of a pair's difference lies between target speakers, source speakers and texts that repeat; more "
        "pairs of the same ones do not help against it.",
    ]
    if any(min(line.precision.levels.values(), default=FEW) < FEW for line in found.lines):
        lines.append(f"With fewer than {FEW} speakers on a side, their share is hardly known.")
    lines.append(f"New failures of a system between two runs: up to {found.failures}; new flags: up to {found.flags}.")
    if any(line.shift > 0.0 for line in found.lines):
        lines.append("Where no number is enough, whole runs differ: average several seeds, or allow more.")
    if found.runs < 5:
        lines.append(f"{found.runs} runs say little of how runs differ; five or more are better.")
    if all(line.precision.error == 0.0 and line.between_runs == 0.0 for line in found.lines):
        lines.append("All runs are identical: allowances need only cover other machines.")
    return "\n".join(line if "\n" in line else paragraph(line) for line in lines)


def save_rules(found: Calibration, path: Path) -> None:
    """Write a rules file: the tolerances, never below what the rules allow already, and the flags that were seen.

    Where no two runs differ, the rule may be blind to the noise of others.
    """
    rows = []
    for line in found.lines:
        allowed = allowance(line.rule, line.mean)
        cap = "" if line.rule.cap is None else f", cap: {line.rule.cap:g}"
        rows.append(
            f"  - {{measure: {_quoted(line.measure.name)}, systems: [{_quoted(line.system)}], "
            f"worsening: {_up(max(line.tolerance, allowed)):g}, confidence: {line.rule.confidence:g}{cap}"
            f"{', accept_blind: true' if line.rule.accept_blind or not line.tolerance else ''}}}"
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
