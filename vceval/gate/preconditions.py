"""Whether a run may be held against a baseline at all: measured in the same way, on the same pairs, or what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vceval.errors import UsageError
from vceval.gate.evidence import Evidence
from vceval.gate.rules import CountRule, MeasureRule, Rules
from vceval.results.comparable import Side, differences

__all__ = ["applying", "listed", "notes", "refuse_unless_comparable", "systems_of"]

#: Names that a message spells out before it says how many more there are.
SHOWN = 5
#: What flags recordings, and what flags texts that were heard in them, recipes included.
RECORDINGS, TEXTS = ("sanity",), ("wer", "cer")


def applying(rules: Rules, baseline: Evidence) -> list[MeasureRule]:
    """Choose the measure rules that the baseline has values for.

    Raises:
        UsageError: a rule of the user's own names what the baseline does not have, two decide the same, or none
            applies.
    """
    found: list[MeasureRule] = []
    seen: set[tuple[str, str, str]] = set()
    for rule in rules.measures:
        systems = systems_of(rule, baseline)
        for key in ((rule.measure, system, direction) for system in systems for direction in rule.directions):
            if key in seen:
                raise UsageError(
                    f"{rules.place}: two rules on {key[0]} for {key[1]}, direction {key[2]}; leave one out"
                )
            seen.add(key)
        lacking = [d for d in rule.directions if d != "all" and d not in {p.direction for p in baseline.pairs.values()}]
        if lacking:
            raise UsageError(
                f"{rules.place}: rule on {rule.measure}: the baseline has no pairs of {', '.join(lacking)}"
            )
        absent = [name for name in systems if name not in baseline.systems]
        if absent:
            raise UsageError(
                f"{rules.place}: rule on {rule.measure}: the baseline has no system {', '.join(absent)} "
                f"(it has {', '.join(baseline.systems)})"
            )
        if any(baseline.has(name, rule.measure) for name in systems):
            found.append(rule)
        elif rules.given:
            raise UsageError(
                f"{rules.place}: the baseline {baseline.place} has no values of {rule.measure!r} for "
                f"{', '.join(systems) or 'any system'}; measured are: {', '.join(baseline.measures)}"
            )
    if not found and not rules.counts:
        raise UsageError(f"{rules.place}: no rule applies to the baseline {baseline.place}")
    return found


def systems_of(rule: MeasureRule, baseline: Evidence) -> list[str]:
    """Name the systems that a rule is about: those it names, else all that are no control."""
    return list(rule.systems or [name for name, system in baseline.systems.items() if not system.control])


def refuse_unless_comparable(
    run: Evidence, baseline: Evidence, rules: Sequence[MeasureRule], counts: Sequence[CountRule] = ()
) -> None:
    """Make sure that the two were measured in the same way on the same pairs.

    Pairs that the baseline has and the run has not are no reason to refuse: they are missing, and that is a failure.

    Raises:
        UsageError: suite, pair list, signature (encoder, recogniser, parameters) or calibration differ; all of it is
            named.
    """
    found = [*_suite(run, baseline), *_pairs(run, baseline)]
    ours = Side("the run", run.metrics, run.calibration)
    theirs = Side("the baseline", baseline.metrics, baseline.calibration)
    needed = dict.fromkeys(baseline.measures[rule.measure].metric for rule in rules)
    flagging: list[str] = []
    for kind in (RECORDINGS, TEXTS) if any(rule.what == "flags" for rule in counts) else ():
        known = [metric for metric in baseline.metrics if metric.partition(":")[0] in kind]
        flagging += known
        if not any(metric in run.metrics for metric in known):
            needed |= dict.fromkeys(known[:1])
    found += [
        f"{metric} was not measured in the run; the baseline has it: add it to --metrics"
        for metric in needed
        if metric not in run.metrics
    ]
    for metric in run.metrics:
        if metric in needed or metric in flagging:
            found += [f"{metric}: {reason}" for reason in differences(metric, ours, theirs)]
    if found:
        raise UsageError(
            f"{run.place} may not be held against {baseline.place}:\n  - "
            + "\n  - ".join(found)
            + "\nmeasure again in the same way, or save a new baseline on purpose"
        )


def _suite(run: Evidence, baseline: Evidence) -> Iterator[str]:
    if run.suite != baseline.suite:
        yield f"suites differ: {run.suite or 'none'} in the run, {baseline.suite or 'none'} in the baseline"


def _pairs(run: Evidence, baseline: Evidence) -> Iterator[str]:
    other = [pair.name for key, pair in run.pairs.items() if key not in baseline.pairs]
    if other:
        yield (
            f"pair lists differ: {len(other)} of the {len(run.pairs)} pairs of the run are not in the baseline (other "
            f"recordings or another text): {listed(other)}"
        )
    moved = [
        pair.name
        for key, pair in run.pairs.items()
        if key in baseline.pairs and pair.target_speaker != baseline.pairs[key].target_speaker
    ]
    if moved:
        yield f"pair lists differ: {len(moved)} pairs have another target speaker: {listed(moved)}"


def listed(names: Sequence[str]) -> str:
    """Write out some of many names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def notes(run: Evidence, baseline: Evidence, rules: Rules, applied: Sequence[MeasureRule]) -> list[str]:
    """List what a reader should know besides; none of it decides."""
    found = [
        f"no rule on {rule.measure}: the baseline has no values of it" for rule in rules.measures if rule not in applied
    ]
    new = [name for name in run.systems if name not in baseline.systems]
    if new:
        found.append(f"not in the baseline, so not gated: {listed(new)}")
    used = {baseline.measures[rule.measure].metric for rule in applied}
    used |= {*RECORDINGS} if any(rule.what == "flags" for rule in rules.counts) else set()
    for metric in baseline.metrics:
        if metric in used:
            continue
        if metric not in run.metrics:
            found.append(f"{metric} is in the baseline and was not measured this time; no rule needs it")
        elif run.metrics[metric] != baseline.metrics[metric]:
            found.append(f"the signature of {metric} changed; no rule needs it")
    for name, system in baseline.systems.items():
        ours = run.systems[name].seeds if name in run.systems else None
        if ours and system.seeds and ours != system.seeds:
            counts = f"{ours} in the run, {system.seeds} in the baseline"
            found.append(f"seeds of {name}: {counts}; a mean over more seeds has less noise")
    for place, evidence in (("baseline", baseline), ("run", run)):
        if evidence.partial:
            found.append(f"the {place} is partial")
    changed = [
        f"{name} {baseline.versions[name]} → {run.versions[name]}"
        for name in sorted(set(run.versions) & set(baseline.versions))
        if run.versions[name] != baseline.versions[name]
    ]
    if changed:
        found.append(f"versions changed: {', '.join(changed)}")
    return found
