"""The one rule by which systems are ranked; tables, pages and commands only read what it finds in ``summary.json``.

Ranked are the systems, without controls, on the pairs that all of them should have converted and that the measure can
have a value for. A failed pair counts as the measure's worst value. Where the measure has none, only pairs count that
all have a value for; a system without one on more than 5 % of the pairs is not ranked, and costs the others no pair.

Systems stand in the order of their figures on these pairs, by distance where the measure has a best value. One is worse
than another where the paired test, corrected by Holm over all comparisons of the measure on these pairs, is significant
and the difference has that sign. Best are the first system and those after it until the first that is worse than it:
what stands below is not best, however noisy. Second are the first system after the best, and those after it, likewise.
Where nobody is worse than the first, nobody is marked. Untested figures rank nobody, and neither do those of a judge,
such as a recogniser, that errs too much on natural speech of the same pairs. Nobody is ranked by a speaker encoder that
it was made with, or by one related to it.

Where more systems are ranked than a caller wants to test two by two, only those tests are made that decide a mark: of
the first system, and of the first after the best, against those below it, down to the first that is worse. Their
p-values are multiplied by the number of all comparisons (Bonferroni), so that nobody is found worse whom all tests with
Holm's correction would not find worse.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vceval.results.marks import ALPHA, UNDECIDED
from vceval.results.outcomes import Outcomes
from vceval.results.views import MeasureView
from vceval.statistics.components import Design
from vceval.statistics.holm import holm_tested
from vceval.statistics.inference import Estimate
from vceval.statistics.planning import Wanted, blurred, enough

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_LACKING", "decided", "level_of", "rankable", "ranked", "wish", "would_do"]

#: A system without a value on a larger share of the pairs is not ranked.
MOST_LACKING = 0.05

_Entries = list[dict[str, Any]]


def ranked(
    outcomes: Outcomes,
    systems: Sequence[str],
    measures: Sequence[MeasureView],
    groups: Mapping[tuple[str, str], NDArray[np.bool_]] | None = None,
    natural: str = "",
    kin: Mapping[tuple[str, str], str] | None = None,
    most: int | None = None,
) -> tuple[_Entries, _Entries]:
    """Rank systems on every measure and in every group of pairs.

    Args:
        outcomes: of the run.
        systems: names of those that are no controls.
        measures: of the run.
        groups: dataset and direction to a mask over the pairs; those of ``outcomes`` by default.
        natural: the row of natural speech of the sources; empty for none.
        kin: system and metric to why the encoder that judges there does not rank the system.
        most: systems that are tested two by two; of more, only what decides a mark is tested. None for any number.

    Returns:
        The entries of ``rankings`` and of ``comparisons`` in ``summary.json``.
    """
    labels = {measure.name: measure.label for measure in measures}
    rankings: _Entries = []
    comparisons: _Entries = []
    for measure in measures:
        own = {name: why for (name, metric), why in (kin or {}).items() if metric == measure.metric}
        known: dict[bytes, tuple[dict[str, Any], _Entries]] = {}
        for (dataset, direction), group in (groups or outcomes.groups()).items():
            key = group.tobytes()  # where a run has one dataset, it is all
            if key not in known:
                known[key] = _rank(outcomes, systems, measure, group, natural, own, most)
            found, tests = known[key]
            place = {"measure": measure.name, "dataset": dataset, "direction": direction}
            if by := labels.get(measure.ranked_by):
                found = {**found, "best": [], "second": [], "reason": f"ranked by {by}"}
            rankings.append({**place, **found})
            comparisons += [{**place, **entry} for entry in tests]
    return rankings, comparisons


def _rank(
    outcomes: Outcomes,
    systems: Sequence[str],
    measure: MeasureView,
    group: NDArray[np.bool_],
    natural: str,
    own: Mapping[str, str],
    most: int | None,
) -> tuple[dict[str, Any], _Entries]:
    given = [name for name in systems if (outcomes.outcome(name, measure).given & group).any()]
    judged = {name: own[name] for name in given if name in own}
    fair = [name for name in given if name not in judged]
    pairs, common, unranked = rankable(outcomes, fair, measure, group)
    mine = [name for name in fair if name not in unranked]
    unranked = {**judged, **unranked}
    values = {name: outcomes.value(name, measure, common) for name in mine} if common.any() else {}
    known = {name: value for name, value in values.items() if value is not None}

    def tested(first: str, second: str) -> dict[str, Any]:
        difference = outcomes.difference(first, second, measure, common)
        return {"first": first, "second": second, "n": int(common.sum()), **difference.entry()}

    every = most is None or len(known) <= most
    if every:
        tests = [tested(*two) for two in itertools.combinations(known, 2)]
        corrected = holm_tested(entry["p_value"] for entry in tests)
        tests = [{**entry, "p_holm": p_holm} for entry, p_holm in zip(tests, corrected, strict=True)]
    else:
        tests = list(_leading(tested, _ordered(known, measure), measure))
    design = outcomes.design(common)
    counts = {name: int((common & outcomes.outcome(name, measure).failed).sum()) for name in mine}
    entry = {
        "pairs": int(pairs.sum()),
        "left_out": int((pairs & ~common).sum()),
        "targets": design.levels["target"] if known else 0,
        "sources": design.levels["source"] if known else 0,
        "counted": {name: count for name, count in counts.items() if count},
        "unranked": unranked,
        **decided(known, measure, tests, every=every),
    }
    if not known and len(mine) > 1:
        entry["reason"] = _lacking(int(pairs.sum()), int(common.sum()))
    if known and (weak := _weak(outcomes, measure, group, natural)):
        entry |= {"best": [], "second": [], "reason": weak, "weak": True}
    if measure.question and group.all() and (test := _nearest(entry, tests)) is not None:
        found_there = outcomes.estimate(test["first"], test["second"], measure, common)
        if found_there is not None:
            test["enough"] = would_do(found_there, design, level_of(tests))
    return entry, tests


def _weak(outcomes: Outcomes, measure: MeasureView, group: NDArray[np.bool_], natural: str) -> str:
    """Say that what judges errs too much on natural speech to rank anybody; empty where it does not."""
    if measure.natural_limit is None or not natural:
        return ""
    found = outcomes.value(natural, measure, group)
    if found is None or measure.sign * (found - measure.natural_limit) <= 0.0:
        return ""
    figures = [f"{measure.text(value)} {measure.unit}".strip() for value in (found, measure.natural_limit)]
    return f"{measure.judge or measure.label} too weak to rank: {figures[0]} on natural speech, at most {figures[1]}"


def _nearest(entry: Mapping[str, Any], tests: _Entries) -> dict[str, Any] | None:
    """Of the systems that can't be told from the first, the comparison with the one that is nearest to being told."""
    order = [one["system"] for one in entry["order"]]
    tied = entry["best"] or (order if entry["reason"] == UNDECIDED else [])
    open_ones = [
        test
        for test in tests
        if order[0] in (test["first"], test["second"]) and {test["first"], test["second"]} <= set(tied)
    ]
    return min((test for test in open_ones if test["p_value"] is not None), key=lambda t: t["p_value"], default=None)


def level_of(tests: Sequence[Mapping[str, Any]]) -> float:
    """Confidence of the one-sided test that the next comparison has to pass, after those that are significant."""
    left = sum(test["p_holm"] is not None and test["p_holm"] >= ALPHA for test in tests)
    return 1.0 - ALPHA / 2.0 / max(int(left), 1)


def would_do(found: Estimate, design: Design, level: float) -> dict[str, Any] | None:
    """What would be enough to find a difference (:func:`wish`); ``threshold`` where more pairs alone never are."""
    told = wish(design, enough(found, design, level))
    if told is None and found.value and blurred(found, level):
        return {"more": {}, "pairs": None, "threshold": True}
    return told


def wish(design: Design, found: Wanted | None, names: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """What would be enough, as ``summary.json`` holds it: how many ``more`` of each side, how many ``pairs`` in all.

    names: what the sides are called, where they are no target and source speakers.
    """
    if found is None:
        return None
    more = {side: found.levels[side] - design.levels[side] for side in found.grown}
    return {"more": {(names or {}).get(side, side): count for side, count in more.items()}, "pairs": found.pairs}


def rankable(
    outcomes: Outcomes, systems: Sequence[str], measure: MeasureView, group: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, str]]:
    """Find the pairs that a ranking is about, those that it rests on, and who is not ranked, with the reason."""
    left, unranked = list(systems), dict[str, str]()
    while left:
        pairs, common = outcomes.shared(left, measure, group)
        total = int(pairs.sum())
        found = {name: outcomes.outcome(name, measure) for name in left}
        lacking = {name: int((pairs & ~one.valued).sum()) for name, one in found.items()}
        left = [name for name in left if lacking[name] <= MOST_LACKING * total]
        if len(left) == len(found):
            return pairs, common, unranked
        for name in (name for name in found if name not in left):
            failed = int((pairs & found[name].failed).sum())
            verb = "failed" if failed == lacking[name] else "no value"
            unranked[name] = f"{verb} on {lacking[name]} of {total} pairs"
    nobody = group & ~group
    return nobody, nobody, unranked


def _lacking(pairs: int, common: int) -> str:
    if not pairs:
        return "the systems have different pairs, and none is common to all"
    return "no natural speech to compare with" if common else "no pair has a value of all systems"


def _leading(
    test: Callable[[str, str], dict[str, Any]], order: Sequence[str], measure: MeasureView
) -> Iterator[dict[str, Any]]:
    """Make the tests that decide marks, from the first of an order down, and then from the first after the best."""
    number = len(order) * (len(order) - 1) // 2
    for _ in range(2):
        ahead, order = order[:1], order[1:]
        for place, name in enumerate(order):
            found = test(ahead[0], name)
            found["p_holm"] = None if found["p_value"] is None else min(1.0, found["p_value"] * number)
            yield found
            if _worse(found, measure) == (ahead[0], name):
                order = order[place:]
                break
        else:
            return


def _ordered(values: Mapping[str, float], measure: MeasureView) -> list[str]:
    """Systems by their figures, by distance where the measure has a best value."""
    return sorted(
        values,
        key=lambda name: measure.sign * (values[name] if measure.best is None else abs(values[name] - measure.best)),
    )


def _worse(test: Mapping[str, Any], measure: MeasureView) -> tuple[str, str] | None:
    """Who is ahead of whom by a test; None where it tells nothing."""
    if test["p_holm"] is None or test["p_holm"] >= ALPHA or not test["difference"]:
        return None
    first, second = str(test["first"]), str(test["second"])
    return (first, second) if measure.sign * test["difference"] < 0 else (second, first)


def decided(
    values: Mapping[str, float], measure: MeasureView, tests: Iterable[Mapping[str, Any]], *, every: bool = True
) -> dict[str, Any]:
    """Order systems by their figures and mark them by tests of every two.

    Args:
        values: figure of each system.
        measure: says which side is better.
        tests: ``first``, ``second``, ``difference`` (of distances where the measure has a best value) and ``p_holm``.
        every: whether all are meant to be there, or only those that decide a mark.

    Returns:
        ``order``, ``best``, ``second`` and, where nobody is marked, the ``reason``.
    """
    order = _ordered(values, measure)
    entry: dict[str, Any] = {"order": [{"system": name, "value": values[name]} for name in order]}
    known = {(str(test["first"]), str(test["second"])): test for test in tests}
    worse = {ahead for test in known.values() if (ahead := _worse(test, measure))}
    best = _down(order, worse)
    second_ones = _down(order[len(best) :], worse)
    reason = ""
    if len(order) < 2:
        reason = "fewer than two systems to rank"
    elif every and any((a, b) not in known and (b, a) not in known for a, b in itertools.combinations(order, 2)):
        reason = "not every two systems could be compared"
    elif all(test["p_holm"] is None for test in known.values()):
        reason = "no difference could be tested"
    elif not second_ones:
        reason = UNDECIDED
    if reason:
        best = second_ones = []
    return {**entry, "best": best, "second": second_ones, "reason": reason}


def _down(order: Sequence[str], worse: set[tuple[str, str]]) -> list[str]:
    """The first of an order, and those after it until one that is worse than it."""
    return [*order[:1], *itertools.takewhile(lambda name: (order[0], name) not in worse, order[1:])]
