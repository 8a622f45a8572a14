"""The gate itself: a run, a baseline and rules make verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan

from vceval.gate import counts
from vceval.gate.comparable import applying, notes, refuse_unless_comparable, systems_of
from vceval.gate.decide import Family, Worsening, enough, measure_worsening, one_sided
from vceval.gate.evidence import Evidence, MeasureInfo, PairInfo
from vceval.gate.rules import MeasureRule, Rules
from vceval.gate.verdict import Figures, Offender, Result, Verdict
from vceval.gate.wording import said_of
from vceval.statistics.intervals import t_quantile

__all__ = ["check"]

#: Pairs that a verdict names.
OFFENDERS = 5


@dataclass(frozen=True, slots=True)
class _Case:
    """One rule on one system and direction, with the sums it decides on, pair by pair: (numerator, denominator)."""

    rule: MeasureRule
    measure: MeasureInfo
    system: str
    direction: str
    pairs: Sequence[PairInfo]
    old: Sequence[tuple[float, float]]
    new: Sequence[tuple[float, float]]
    capped: tuple[int, int]


def check(run: Evidence, baseline: Evidence, rules: Rules) -> Result:
    """Decide every rule for every system.

    Raises:
        UsageError: the two may not be compared, or the rules do not fit the baseline.
    """
    applied = applying(rules, baseline)
    refuse_unless_comparable(run, baseline, applied)
    cases = [case for rule in applied for case in _cases(rule, run, baseline)]
    verdicts = [
        *counts.missing(run, baseline),
        *(verdict for rule in rules.counts for verdict in counts.new(rule, run, baseline)),
        *counts.controls(run, baseline, applied),
        *_decided(cases, run, baseline),
    ]
    order = {"regress": 0, "undecided": 1, "pass": 2}
    verdicts.sort(key=lambda verdict: order[verdict.outcome])
    return Result(
        run.place, baseline.place, baseline.suite, rules.place, verdicts, notes(run, baseline, rules, applied)
    )


def _cases(rule: MeasureRule, run: Evidence, baseline: Evidence) -> Iterator[_Case]:
    measure = baseline.measures[rule.measure]
    for system in systems_of(rule, baseline):
        before = baseline.sums.get(system, {}).get(rule.measure, {})
        after = run.sums.get(system, {}).get(rule.measure, {})
        for direction in rule.directions:
            keys = [
                key
                for key, pair in baseline.pairs.items()
                if key in before and key in after and direction in ("all", pair.direction)
            ]
            old, cut_old = _capped([before[key] for key in keys], rule.cap)
            new, cut_new = _capped([after[key] for key in keys], rule.cap)
            pairs = [baseline.pairs[key] for key in keys]
            if before and not (sum(d for _, d in old) > 0 and sum(d for _, d in new) > 0):
                pairs, old, new = [], [], []  # nothing left to compare: undecided, with the count
            if before:
                yield _Case(rule, measure, system, direction, pairs, old, new, (cut_old, cut_new))


def _capped(sums: Sequence[tuple[float, float]], cap: float | None) -> tuple[list[tuple[float, float]], int]:
    if cap is None:
        return list(sums), 0
    cut = [(min(numerator, cap * denominator), denominator) for numerator, denominator in sums]
    return cut, sum(one != other for one, other in zip(cut, sums, strict=True))


def _decided(cases: Sequence[_Case], run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Decide all cases together: the p-values of those with enough pairs are corrected for their number (Holm)."""
    measured = [_measured(case) if case.pairs else None for case in cases]
    p_values = [None if found is None else tuple(float(p) for p in one_sided(found)) for found in measured]
    tested = [
        index
        for index, (case, p) in enumerate(zip(cases, p_values, strict=True))
        if p is not None and len(case.pairs) >= case.rule.minimum_pairs and not isnan(p[0])
    ]
    family = Family([cases[index].rule for index in tested])
    found_p = family.corrected([p_values[index][0] for index in tested])  # type: ignore[index]
    corrected = dict(zip(tested, found_p, strict=True))
    for index, (case, found, p) in enumerate(zip(cases, measured, p_values, strict=True)):
        if found is None or p is None:
            yield _nothing(case)
            continue
        figures = _figures(case, found, None if isnan(p[0]) else p[0], corrected.get(index))
        outcome = family.outcome(case.rule, bool(found.identical), corrected.get(index), p[1])
        if outcome == "undecided" and index in corrected:
            figures = replace(figures, enough=_enough(case, found, figures, family))
        offenders = () if outcome == "pass" else tuple(_offenders(case, run, baseline))
        message = said_of(figures, outcome, case.rule.minimum_pairs)
        yield Verdict(case.rule.measure, case.system, case.direction, outcome, message, figures, offenders)


def _measured(case: _Case) -> Worsening:
    new, old = (tuple(zip(*sums, strict=True)) for sums in (case.new, case.old))
    return measure_worsening(
        (new[0], new[1]),
        (old[0], old[1]),
        [pair.target_speaker for pair in case.pairs],
        [pair.source_speaker for pair in case.pairs],
        sign=case.measure.sign,
        allowed=case.rule.worsening,
        relative=case.rule.relative,
    )


def _figures(case: _Case, found: Worsening, p: float | None, p_holm: float | None) -> Figures:
    old, new = (sum(n for n, _ in sums) / sum(d for _, d in sums) for sums in (case.old, case.new))
    allowed = case.rule.worsening * abs(old) if case.rule.relative else case.rule.worsening
    low = high = None
    if p is not None:
        error, freedom = float(found.errors), max(found.clusters - 1, 1)
        centre = float(found.beyond) + allowed
        low = centre - (t_quantile(case.rule.confidence, freedom) * error if error else 0.0)
        high = centre + (t_quantile(case.rule.pass_confidence, freedom) * error if error else 0.0)
    return Figures(
        case.measure, old, new, case.measure.sign * (new - old), low, high, allowed, p, p_holm,
        len(case.pairs), found.clusters, found.by, case.rule.cap, case.capped,
    )  # fmt: skip


def _enough(case: _Case, found: Worsening, figures: Figures, family: Family) -> tuple[int, int] | None:
    """How many would decide: enough to pass where nothing changed, or to tell what was seen from what is allowed."""
    error, rule = float(found.errors), case.rule
    wanted = enough(error, found.clusters, found.pairs, figures.allowed, rule.pass_confidence)
    if wanted is None or wanted[1] <= found.pairs:
        sure = 1.0 - family.share(rule) if float(found.beyond) > 0 else rule.pass_confidence
        wanted = enough(error, found.clusters, found.pairs, abs(float(found.beyond)), sure)
    return wanted


def _offenders(case: _Case, run: Evidence, baseline: Evidence) -> Iterator[Offender]:
    """The pairs that cost most, worst first."""
    scale, digits, unit = case.measure.scale, case.measure.decimals, case.measure.unit
    costs = []
    for pair, (n0, d0), (n1, d1) in zip(case.pairs, case.old, case.new, strict=True):
        if d0 > 0 and d1 > 0:
            worse = case.measure.sign * (n1 / d1 - n0 / d0)
            costs.append((worse * d1, worse, pair, n0 / d0, n1 / d1))
    costs.sort(key=lambda cost: (-cost[0], cost[2].name))
    for cost, worse, pair, before, after in costs[:OFFENDERS]:
        if cost <= 0:
            return
        said = f"{before * scale:.{digits}f} → {after * scale:.{digits}f} {unit}".strip()
        yield counts.offender(run, baseline, case.system, pair.key, said, worse)


def _nothing(case: _Case) -> Verdict:
    """A rule for which no pair of the baseline is left; what is missing is a failure of its own."""
    message = "no pair with a value both in the baseline and in the run"
    return Verdict(case.rule.measure, case.system, case.direction, "undecided", message)
