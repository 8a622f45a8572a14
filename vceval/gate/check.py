"""The gate itself: a run, a baseline and rules make verdicts.

Verdicts on measures rest on statistics (:mod:`vceval.gate.decide`). Others need none: what is missing, newly failed or
flagged, and whether the controls stand still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan

from vceval.gate.cases import Case, cases_of, family_of, figure, seen
from vceval.gate.decide import Family, Worsening, allowance, one_sided
from vceval.gate.evidence import Evidence, side_by_side
from vceval.gate.preconditions import applying, listed, notes, refuse_unless_comparable
from vceval.gate.rules import CountRule, MeasureRule, Rules
from vceval.gate.verdict import WORST_FIRST, Figures, Offender, Result, Verdict, described
from vceval.results.outcomes import Outcomes
from vceval.statistics.planning import Precision, Wanted, wanted

__all__ = ["check", "most_new"]

#: Pairs that a verdict on a measure names, and one on what is missing or new.
OFFENDERS, NAMED = 5, 10


def check(run: Evidence, baseline: Evidence, rules: Rules) -> Result:
    """Decide every rule for every system.

    Raises:
        UsageError: the two may not be compared, or the rules do not fit the baseline.
    """
    applied = applying(rules, baseline)
    refuse_unless_comparable(run, baseline, applied, rules.counts)
    outcomes = side_by_side(baseline.pairs, run, baseline)
    cases = [case for rule in applied for case in cases_of(rule, outcomes, run, baseline)]
    verdicts = [
        *_missing(outcomes, run, baseline),
        *(verdict for rule in rules.counts for verdict in _new_ones(rule, run, baseline)),
        *_controls(outcomes, run, baseline, applied),
        *_decided(cases, run, baseline),
    ]
    verdicts.sort(key=lambda verdict: WORST_FIRST.index(verdict.outcome))
    return Result(
        run.place, baseline.place, baseline.suite, rules.place, verdicts, notes(run, baseline, rules, applied)
    )


def _decided(cases: Sequence[Case], run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Decide all cases together: what each can see, then the p-values, corrected for their number (Holm)."""
    measured = [case.measured() if case.pairs else None for case in cases]
    family = family_of(cases)
    p_values = [None if found is None else one_sided(found) for found in measured]
    tested = [
        index
        for index, (case, p) in enumerate(zip(cases, p_values, strict=True))
        if p is not None and len(case.pairs) >= max(case.rule.minimum_pairs, 2)
    ]
    found_p = family.corrected([p_values[index][0] for index in tested])  # type: ignore[index]
    corrected = dict(zip(tested, found_p, strict=True))
    for index, (case, found, p) in enumerate(zip(cases, measured, p_values, strict=True)):
        if found is None or p is None:
            yield _nothing(case)
            continue
        sight = seen(case, found, family)
        figures = _figures(case, found, None if isnan(p[0]) else p[0], corrected.get(index))
        blind = None if sight.trusted else 1.0 if sight.p is None else sight.p
        outcome = family.outcome(case.rule, found.identical, corrected.get(index), p[1], blind=blind)
        if outcome == "undecided" and index in corrected:
            figures = replace(figures, enough=_enough(case, found, figures, family))
        offenders = () if outcome == "pass" else tuple(_offenders(case, run, baseline))
        message = described(figures, outcome, case.rule.minimum_pairs, found.identical)
        yield Verdict(case.rule.measure, case.system, case.direction, outcome, message, figures, offenders, sight)


def _figures(case: Case, found: Worsening, p: float | None, p_holm: float | None) -> Figures:
    old, new = figure(case.old), figure(case.new)
    low = high = None
    if p is not None:
        centre = found.beyond.value + case.allowed
        low = centre - found.beyond.reach(case.rule.confidence)
        high = centre + found.beyond.reach(case.rule.pass_confidence)
    levels = case.design.levels
    texts = levels["text"] if any(side.name == "text" for side in case.design.sides) else 0
    return Figures(
        case.measure, old, new, case.measure.sign * (new - old), low, high, case.allowed, p, p_holm,
        len(case.pairs), levels["target"], levels["source"], texts, case.rule.cap, case.capped,
    )  # fmt: skip


def _enough(case: Case, found: Worsening, figures: Figures, family: Family) -> Wanted | None:
    """How many would decide: enough to pass where nothing changed, or to tell what was seen from what is allowed."""
    now, rule = Precision.of(found.beyond, case.design), case.rule

    def passes(there: Precision) -> bool:
        return there.caught(rule.pass_confidence) <= figures.allowed

    def tells(there: Precision) -> bool:
        return there.caught(level) <= abs(found.beyond.value)

    level = family.level(rule) if found.beyond.value > 0 else rule.pass_confidence
    return wanted(now, passes) or wanted(now, tells)


def _offenders(case: Case, run: Evidence, baseline: Evidence) -> Iterator[Offender]:
    """The pairs that cost most, worst first."""
    costs = []
    for pair, (n0, d0), (n1, d1) in zip(case.pairs, case.old.tolist(), case.new.tolist(), strict=True):
        if d0 > 0 and d1 > 0:
            worse = case.measure.sign * (n1 / d1 - n0 / d0)
            costs.append((worse * d1, worse, pair, n0 / d0, n1 / d1))
    costs.sort(key=lambda cost: (-cost[0], cost[2].name))
    for cost, worse, pair, before, after in costs[:OFFENDERS]:
        if cost <= 0:
            return
        message = f"{case.measure.text(before)} → {case.measure.text(after)} {case.measure.unit}".strip()
        yield _offender(run, baseline, case.system, pair.key, message, worse)


def _nothing(case: Case) -> Verdict:
    """A rule for which no pair of the baseline is left; what is missing is a failure of its own."""
    message = "no pair with a value both in the baseline and in the run"
    return Verdict(case.rule.measure, case.system, case.direction, "undecided", message)


def _offender(
    run: Evidence, baseline: Evidence, system: str, key: str, said: str, worsening: float | None = None
) -> Offender:
    """Name a pair with what happened to it and where its recordings lie."""
    pair = run.pairs.get(key) or baseline.pairs.get(key)
    audio = [str(evidence.audio.get((system, key), "")) for evidence in (run, baseline)]
    return Offender(pair.name if pair else key, said, audio[0], audio[1], worsening)


def _missing(outcomes: Outcomes, run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Values that the baseline has and the run has not, system by system: failures, not absences.

    Metrics that the run did not measure at all are left to :mod:`vceval.gate.preconditions`.
    """
    keys = list(baseline.pairs)
    for system in baseline.systems:
        if system not in run.systems:
            yield Verdict("missing", system, "all", "regress", "the system is in the baseline and not in the run")
            continue
        lost: dict[str, list[str]] = {}
        for name, measure in baseline.measures.items():
            if measure.metric in run.metrics:
                new, old = (outcomes.outcome((number, system), measure) for number in (0, 1))
                for place in (old.scored & ~new.scored).nonzero()[0]:
                    lost.setdefault(keys[place], []).append(name)
        if not lost:
            yield Verdict("missing", system, "all", "pass", "every value of the baseline has its counterpart")
            continue
        values = sum(map(len, lost.values()))
        pairs = [baseline.pairs[key].name for key in lost]
        yield Verdict(
            "missing", system, "all", "regress",
            f"{values} values of {len(lost)} pairs that the baseline has are missing: {listed(pairs)}",
            offenders=[
                _offender(run, baseline, system, key, f"no {', '.join(names)}")
                for key, names in list(lost.items())[:NAMED]
            ],
        )  # fmt: skip


def _new_ones(rule: CountRule, run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Failures or flags that the baseline does not have, system by system."""
    found = _all_new(rule, run, baseline)
    for system in rule.systems or [name for name in baseline.systems if name in run.systems]:
        mine = [(key, said) for owner, key, said in found if owner == system]
        mine.sort(key=lambda one: _name(run, one[0]))
        worse = len(mine) > rule.allowed
        names = [_name(run, key) for key, _ in mine]
        message = f"{len(mine)} new {rule.what}, allowed {rule.allowed}" + (f": {listed(names)}" if mine else "")
        yield Verdict(
            f"new {rule.what}", system, "all", "regress" if worse else "pass", message,
            offenders=[_offender(run, baseline, system, key, said) for key, said in mine[:NAMED]] if worse else (),
        )  # fmt: skip


def _name(run: Evidence, key: str) -> str:
    return run.pairs[key].name if key in run.pairs else key


def most_new(rule: CountRule, run: Evidence, baseline: Evidence) -> int:
    """Count what is new, system by system, and return the largest count."""
    return max(Counter(system for system, _, _ in _all_new(rule, run, baseline)).values(), default=0)


def _all_new(rule: CountRule, run: Evidence, baseline: Evidence) -> list[tuple[str, str, str]]:
    return _new_failures(run, baseline) if rule.what == "failures" else _new_flags(run, baseline)


def _new_failures(run: Evidence, baseline: Evidence) -> list[tuple[str, str, str]]:
    return [
        (system, key, f"failed: {stage} {metric}".strip())
        for system, key, stage, metric in sorted(run.failures - baseline.failures)
    ]


def _new_flags(run: Evidence, baseline: Evidence) -> list[tuple[str, str, str]]:
    found = []
    for (system, key), flags in sorted(run.flags.items()):
        fresh = [flag for flag in flags if flag not in baseline.flags.get((system, key), ())]
        if fresh:
            found.append((system, key, f"flagged: {', '.join(fresh)}"))
    return found


def _controls(outcomes: Outcomes, run: Evidence, baseline: Evidence, rules: Sequence[MeasureRule]) -> Iterator[Verdict]:
    """Controls depend on no model: where one moves by more than a rule allows, the measuring changed."""
    for system, info in baseline.systems.items():
        if not info.control or system not in run.systems:
            continue
        moved, looked_at = [], 0
        for rule in {rule.measure: rule for rule in rules}.values():
            measure = baseline.measures.get(rule.measure)
            if measure is None:
                continue
            both = [(1, system), (0, system)]
            _, common = outcomes.shared(both, measure, outcomes.everything)
            values = [outcomes.value(one, measure, common) for one in both]
            if values[0] is None or values[1] is None:
                continue
            looked_at += 1
            if abs(values[1] - values[0]) > allowance(rule, values[0]):
                shown = f"{measure.label} {measure.text(values[0])} → {measure.text(values[1])} {measure.unit}"
                moved.append(shown.strip())
        if moved:
            message = f"a control moved, so it is the measuring that changed, not a model: {'; '.join(moved)}"
            yield Verdict("control", system, "all", "regress", message)
        elif looked_at:
            yield Verdict("control", system, "all", "pass", f"unmoved on {looked_at} measures")
