"""Verdicts that need no statistics: what is missing, newly failed or flagged, and whether the controls stand still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from vceval.gate.comparable import listed
from vceval.gate.evidence import Evidence, Sums
from vceval.gate.rules import CountRule, MeasureRule
from vceval.gate.verdict import Offender, Verdict

__all__ = ["controls", "missing", "most_new", "new", "offender"]

#: Pairs that a verdict names one by one.
NAMED = 10
T = TypeVar("T")


def offender(
    run: Evidence, baseline: Evidence, system: str, key: str, said: str, worsening: float | None = None
) -> Offender:
    """Name a pair with what happened to it and where its recordings lie."""
    pair = run.pairs.get(key) or baseline.pairs.get(key)
    audio = [str(evidence.audio.get((system, key), "")) for evidence in (run, baseline)]
    return Offender(pair.name if pair else key, said, audio[0], audio[1], worsening)


def missing(run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Values that the baseline has and the run has not, system by system: failures, not absences.

    Metrics that the run did not measure at all are left to :mod:`vceval.gate.comparable`.
    """
    for system in baseline.systems:
        if system not in run.systems:
            yield Verdict("missing", system, "all", "regress", "the system is in the baseline and not in the run")
            continue
        lost: dict[str, list[str]] = {}
        for name, measure in baseline.measures.items():
            if measure.metric in run.metrics:
                after = run.sums.get(system, {}).get(name, {})
                for key in baseline.sums.get(system, {}).get(name, {}):
                    if key not in after:
                        lost.setdefault(key, []).append(name)
        if not lost:
            yield Verdict("missing", system, "all", "pass", "every value of the baseline has its counterpart")
            continue
        values = sum(map(len, lost.values()))
        pairs = [baseline.pairs[key].name for key in lost]
        yield Verdict(
            "missing", system, "all", "regress",
            f"{values} values of {len(lost)} pairs that the baseline has are missing: {listed(pairs)}",
            offenders=[
                offender(run, baseline, system, key, f"no {', '.join(names)}") for key, names in _first(lost.items())
            ],
        )  # fmt: skip


def new(rule: CountRule, run: Evidence, baseline: Evidence) -> Iterator[Verdict]:
    """Failures or sanity flags that the baseline does not have, system by system."""
    found = _found(rule, run, baseline)
    for system in rule.systems or [name for name in baseline.systems if name in run.systems]:
        mine = [(key, said) for owner, key, said in found if owner == system]
        mine.sort(key=lambda one: _name(run, one[0]))
        worse = len(mine) > rule.allowed
        names = [_name(run, key) for key, _ in mine]
        message = f"{len(mine)} new {rule.what}, allowed {rule.allowed}" + (f": {listed(names)}" if mine else "")
        yield Verdict(
            f"new {rule.what}", system, "all", "regress" if worse else "pass", message,
            offenders=[offender(run, baseline, system, key, said) for key, said in _first(mine)] if worse else (),
        )  # fmt: skip


def _name(run: Evidence, key: str) -> str:
    return run.pairs[key].name if key in run.pairs else key


def most_new(rule: CountRule, run: Evidence, baseline: Evidence) -> int:
    """How many a single system has at most."""
    return max(Counter(system for system, _, _ in _found(rule, run, baseline)).values(), default=0)


def _found(rule: CountRule, run: Evidence, baseline: Evidence) -> list[tuple[str, str, str]]:
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


def controls(run: Evidence, baseline: Evidence, rules: Sequence[MeasureRule]) -> Iterator[Verdict]:
    """Controls depend on no model: where one moves by more than a rule allows, the measuring changed."""
    for system, info in baseline.systems.items():
        if not info.control or system not in run.systems:
            continue
        moved, looked_at = [], 0
        for rule in {rule.measure: rule for rule in rules}.values():
            sums = [evidence.sums.get(system, {}).get(rule.measure, {}) for evidence in (baseline, run)]
            common = sorted(set(sums[0]) & set(sums[1]))
            values = [_value(one, common) for one in sums]
            if values[0] is None or values[1] is None:
                continue
            looked_at += 1
            allowed = rule.worsening * abs(values[0]) if rule.relative else rule.worsening
            if abs(values[1] - values[0]) > allowed:
                measure = baseline.measures[rule.measure]
                shown = [f"{value * measure.scale:.{measure.decimals}f}" for value in values]  # type: ignore[operator]
                moved.append(f"{measure.label} {shown[0]} → {shown[1]} {measure.unit}".strip())
        if moved:
            message = f"a control moved, so it is the measuring that changed, not a model: {'; '.join(moved)}"
            yield Verdict("control", system, "all", "regress", message)
        elif looked_at:
            yield Verdict("control", system, "all", "pass", f"unmoved on {looked_at} measures")


def _value(sums: Sums, keys: Sequence[str]) -> float | None:
    total = sum(sums[key][1] for key in keys)
    return sum(sums[key][0] for key in keys) / total if total else None


def _first(items: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    return list(items)[:NAMED]
