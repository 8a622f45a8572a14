"""What a gate will see, before there is anything to decide: a table of every rule's smallest worsening caught."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap

from vceval import registry
from vceval.errors import UsageError
from vceval.gate.cases import Case, cases_of, family_of, seen
from vceval.gate.evidence import Evidence, PairInfo, side_by_side, speakers_of, text_of
from vceval.gate.preconditions import applying, refuse_unless_comparable
from vceval.gate.rules import MeasureRule, Rules
from vceval.gate.sight import TIMES, Sight
from vceval.gate.verdict import Verdict, amount, blind_of, catches
from vceval.records import ConversionPair
from vceval.results.outcomes import Outcomes
from vceval.results.terminal import clean
from vceval.results.views import MeasureView
from vceval.statistics.planning import POWER, SHARES

__all__ = ["View", "of_runs", "of_suite", "open_suite", "table", "views_of"]

WIDTH = 80


@dataclass(frozen=True, slots=True)
class View:
    """What one rule sees on one system: a line of the table. Counts of speakers are 0 where nothing is known."""

    name: str
    measure: MeasureView
    pairs: int
    targets: int
    sources: int
    sight: Sight


def of_runs(run: Evidence, baseline: Evidence, rules: Rules) -> list[View]:
    """What the rules see between a run and a baseline; the same evidence twice where there is only one.

    Raises:
        UsageError: the two may not be compared, or the rules do not fit the baseline.
    """
    applied = applying(rules, baseline)
    refuse_unless_comparable(run, baseline, applied)
    outcomes = side_by_side(baseline.pairs, run, baseline)
    return _views([case for rule in applied for case in cases_of(rule, outcomes, run, baseline) if case.pairs])


def of_suite(
    label: str, pairs: Iterable[ConversionPair], systems: Sequence[str], metrics: Sequence[str], rules: Rules
) -> list[View]:
    """What the rules see on a suite that nobody has run yet: every system on every pair.

    Raises:
        UsageError: no rule is about what the suite measures, or a rule is relative to a value that only a run has.
    """  # fmt: skip
    import numpy as np

    infos = [
        PairInfo(
            pair.id, pair.id, pair.dataset, pair.direction, pair.source_speaker, pair.target_speaker,
            text_of(pair.transcript),
        )
        for pair in pairs
    ]  # fmt: skip
    measures = {measure.name: measure for name in metrics for measure in _measures(name)}
    outcomes = Outcomes.of_sums(speakers_of(infos), (), (), np.empty((0, len(infos), 0, 2)))
    cases = [
        case
        for rule in rules.measures
        if rule.measure in measures
        for case in _unrun(rule, measures[rule.measure], infos, outcomes, systems, rules)
    ]
    if not cases:
        raise UsageError(f"{rules.place}: no rule is about what {label} measures ({', '.join(measures)})")
    return _views(cases)


def _unrun(
    rule: MeasureRule,
    measure: MeasureView,
    pairs: Sequence[PairInfo],
    outcomes: Outcomes,
    systems: Sequence[str],
    rules: Rules,
) -> Iterator[Case]:
    import numpy as np

    if rule.relative:
        raise UsageError(
            f"{rules.place}: rule on {rule.measure}: a share of its value is known from a run only; name one"
        )
    for system in rule.systems or systems:
        for direction in rule.directions:
            mine = np.array([direction in ("all", pair.direction) for pair in pairs])
            if mine.any():
                chosen, nothing = list(itertools.compress(pairs, mine)), np.empty((0, 2))
                yield Case(rule, measure, system, direction, chosen, outcomes.design(mine), nothing, nothing)


def _measures(metric: str) -> Iterator[MeasureView]:
    for found in registry.load("metric", metric).measures:
        if found.reduction == "ratio":
            yield MeasureView.of({**asdict(found), "metric": metric})


def _views(cases: Sequence[Case]) -> list[View]:
    family = family_of(cases)
    views = []
    for case in cases:
        levels = case.design.levels
        sight = seen(case, case.measured() if len(case.old) else None, family)
        views.append(View(case.name, case.measure, len(case.pairs), levels["target"], levels["source"], sight))
    return views


def views_of(verdicts: Iterable[Verdict]) -> list[View]:
    """What the rules of a decided gate saw."""
    return [
        View(f"{one.system}: {one.title}", one.figures.measure, one.figures.pairs, one.figures.targets,
             one.figures.sources, one.sight)
        for one in verdicts
        if one.figures and one.sight
    ]  # fmt: skip


def table(views: Sequence[View]) -> list[str]:
    """Write the views as lines of at most 80 columns, and below it what blind rules need."""
    lines = [f"{'':<26} {'pairs':>6} {'speakers':>9} {'allows':>8}  {'sees':<18}".rstrip()]
    for view in views:
        speakers = " × ".join(str(count) if count else "?" for count in (view.targets, view.sources))
        name = clean(view.name)
        name = name if len(name) <= 26 else f"{name[:25]}…"
        allowed = amount(view.sight.allowed, view.measure)
        sees = f"{catches(view.sight, view.measure)} {view.measure.unit}".strip()
        state = "" if not view.sight.blind else "(blind)" if view.sight.accepted else "blind"
        lines.append(f"{name:<26} {view.pairs:>6} {speakers:>9} {allowed:>8}  {sees:<18} {state}".rstrip())
    lines += wrap(
        "Speakers: target × source. Sees: the smallest worsening that is caught in "
        f"{POWER * 10:.0f} of 10 nights{_noise(views)}.",
        WIDTH,
    )
    for side, counts in (("target", {v.targets for v in views}), ("source", {v.sources for v in views})):
        if 1 in counts:
            lines += wrap(f"One {side} speaker: the gate speaks of this one and says nothing of others.", WIDTH)
    blind: dict[str, list[str]] = {}
    for view in views:
        if view.sight.blind:
            blind.setdefault(view.sight.add, []).append(clean(view.name))
    for add, names in blind.items():
        lines += wrap(f"Blind to {TIMES:.0f} times what it allows: {'; '.join(names)}: add {add}.", WIDTH)
    if any(view.sight.blind and view.sight.accepted for view in views):
        lines.append("(blind): accepted in the rules.")
    if blind_of([view.sight for view in views]):
        lines += wrap(
            "The gate exits with 1 while it is blind. Add pairs or speakers, let the rules allow more, or accept it "
            "with accept_blind: true on a rule (but not on all).",
            WIDTH,
        )
    return lines


def _noise(views: Sequence[View]) -> str:
    kinds = {view.sight.measured for view in views if view.sight.caught}
    share = f"{SHARES[1]:.0%}".replace("%", " %")
    ranged = f"noise as between variants of one model, none to {share} of its variance between speakers"
    if kinds == {True}:
        return ", with the noise between run and baseline"
    return f", with {ranged}" + (" (where run and baseline differ: theirs)" if True in kinds else "")


def open_suite(name: str, data: Path | None) -> tuple[str, list[ConversionPair], list[str], tuple[str, ...]]:
    """Read a suite from its corpus: label, pairs, systems that are no controls, and metrics.

    Raises:
        UsageError: there is no such suite, or its corpus can't be read.
    """
    from vceval.corpora.opening import open_corpus
    from vceval.protocol import grid, suite
    from vceval.protocol.systems import system_of

    found = suite.load(name)
    made = grid.build(found, open_corpus(found.corpus, data, found.corpus_options))
    kinds = {system: registry.load("converter", system_of(system).converter).info for system in found.systems}
    systems = [system for system, info in kinds.items() if not info.control]
    return made.label, made.pairs, systems or ["any system"], found.metrics
