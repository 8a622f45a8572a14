"""Which system listeners put above which: tested differences of scores, and preferences with ties."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from statistics import fmean
from typing import Any

from vceval.listen.key import Rating
from vceval.listen.kinds import KINDS
from vceval.listen.opinion_scores import MEASURES, Vote, interval_of, votes_of
from vceval.results.marks import ALPHA
from vceval.results.ranking import decided, level_of, wish
from vceval.results.views import ALL, MeasureView
from vceval.statistics.components import Design
from vceval.statistics.holm import holm_tested
from vceval.statistics.inference import Estimate, paired_estimate, paired_test
from vceval.statistics.planning import enough

__all__ = ["comparisons", "levelled", "preferences", "rankings", "share_of_first"]

#: What the sides of a design are here.
_SIDES = {"target": "listener", "source": "pair", "text": "text"}
#: A listener's level in a test, and by how much what is left without it must be stretched.
_Levels = Mapping[tuple[str, str], tuple[float, float]]


def comparisons(
    ratings: Sequence[Rating], systems: Sequence[str], planned: Mapping[tuple[str, tuple[str, ...]], set[str]]
) -> list[dict[str, Any]]:
    """Test systems against each other, in the shape of ``summary.json``'s comparisons; p-values corrected by Holm.

    Two systems are compared on the pairs that were to be heard of both; systems without any are not compared.
    A listener heard the two systems on other pairs, so ratings are not paired one by one: the same listeners and
    pairs are drawn for both. On a scale each listener's own level is taken away before: every listener heard every
    system equally often, so that it says nothing of their difference. Preferences are tested directly instead
    (:func:`preferences`).
    """
    votes, levels = votes_of(ratings), _levels(ratings)
    found: list[dict[str, Any]] = []
    for test in ("mos", "smos", "abx"):
        entries: list[dict[str, Any]] = []
        estimates: list[tuple[Estimate, Design]] = []
        for first, second in itertools.combinations(systems, 2):
            given = planned.get((test, (first,)), set()) & planned.get((test, (second,)), set())
            ones, others = (
                [vote for vote in votes.get((test, system), ()) if vote.rating.pair in given]
                for system in (first, second)
            )
            if not ones or not others:
                continue
            mine, theirs = [1.0] * len(ones), [1.0] * len(others)
            design = _design([vote.rating for vote in (*ones, *others)])
            sums = (
                [*_levelled(ones, levels), *(0.0 for _ in others)], [*mine, *(0.0 for _ in others)],
                [*(0.0 for _ in ones), *_levelled(others, levels)], [*(0.0 for _ in ones), *theirs],
            )  # fmt: skip
            estimates.append((paired_estimate(*sums, design), design))
            shared = {vote.rating.pair for vote in ones} & {vote.rating.pair for vote in others}
            entries.append({
                "measure": MEASURES[test].name, "dataset": ALL, "direction": ALL, "first": first, "second": second,
                "n": len(shared), **paired_test(*sums, design).entry(),
            })  # fmt: skip
        corrected = _corrected(entries)
        if MEASURES[test].question:
            level = level_of(corrected)
            for entry, (estimate, design) in zip(corrected, estimates, strict=True):
                if (entry["p_holm"] or 0.0) >= ALPHA:
                    entry["enough"] = wish(design, enough(estimate, design, level), _SIDES)
        found += corrected
    return found


def rankings(
    cells: Iterable[Mapping[str, Any]], systems: Sequence[str], tested: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rank systems by what listeners said, in the shape of ``summary.json``'s rankings and by the same rule.

    Args:
        cells: of the test.
        systems: those that are no controls.
        tested: :func:`comparisons`.
    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for cell in cells:
        if (cell["dataset"], cell["direction"]) == (ALL, ALL) and cell["system"] in systems:
            found[cell["measure"]][cell["system"]] = cell["value"]
    entries = []
    for test, measure in MEASURES.items():
        known = {name: value for name, value in found[measure.name].items() if value is not None}
        mine = [entry for entry in tested if entry["measure"] == measure.name]
        decision = decided(known, MeasureView.of({**asdict(measure), "metric": measure.name}), mine)
        if test == "ab":  # a preference is one of two systems, and has a table of its own
            decision |= {"best": [], "second": [], "reason": "every two systems stand in the table of preferences"}
        entries.append({
            "measure": measure.name, "dataset": ALL, "direction": ALL, "pairs": max((e["n"] for e in mine), default=0),
            "left_out": 0, "counted": {}, "unranked": {}, **decision,
        })  # fmt: skip
    return entries


def _levels(ratings: Iterable[Rating]) -> _Levels:
    """Find each listener's level on each scale: the mean of that listener's means of all conditions.

    The level comes from the same n ratings, which makes what is left smaller by sqrt((n - 1) / n). Where there is no
    scale, or one rating, no level is taken away.
    """
    given: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in ratings:
        given[one.rater, one.test][one.conditions[0]].append(one.value)
    found = {}
    for key, mine in given.items():
        count = sum(map(len, mine.values()))
        if KINDS[key[1]].scale and count > 1:
            found[key] = (fmean(fmean(values) for values in mine.values()), sqrt(count / (count - 1)))
    return found


def levelled(ratings: Sequence[Rating]) -> list[float]:
    """Values of ratings on a scale without the levels of those who gave them, stretched around their systems' means."""
    levels = _levels(ratings)
    by_system = votes_of(ratings)
    found = {
        id(vote.rating): value
        for votes in by_system.values()
        for vote, value in zip(votes, _levelled(votes, levels), strict=True)
    }
    return [found[id(one)] for one in ratings]


def _levelled(votes: Sequence[Vote], levels: _Levels) -> list[float]:
    """Values of one system's votes without the levels of those who gave them, stretched around their mean."""
    known = [levels.get((vote.rating.rater, vote.rating.test), (0.0, 1.0)) for vote in votes]
    rest = [vote.value - level for vote, (level, _) in zip(votes, known, strict=True)]
    mean = fmean(rest)
    return [mean + stretch * (value - mean) for value, (_, stretch) in zip(rest, known, strict=True)]


def preferences(ratings: Sequence[Rating], systems: Sequence[str]) -> list[dict[str, Any]]:
    """Count what listeners preferred in each comparison, ties apart, and test the difference of the two shares.

    Args:
        ratings: those that count.
        systems: in the order of the results.

    Returns:
        Per comparison: how often the first, neither and the second was preferred, the shares with intervals, first
        minus second with interval and p-value (Holm over all comparisons).
    """
    entries = []
    chosen = [rating for rating in ratings if rating.test == "ab"]
    for first, second in itertools.combinations(systems, 2):
        mine = [rating for rating in chosen if set(rating.conditions) == {first, second}]
        if not mine:
            continue
        values = [rating.value * (1 if rating.conditions[0] == first else -1) for rating in mine]
        raters, pairs, ones = [r.rater for r in mine], [r.pair for r in mine], [1.0] * len(mine)
        entry: dict[str, Any] = {
            "first": first, "second": second, "ratings": len(mine), "listeners": len(set(raters)),
            "n": len(set(pairs)),
        }  # fmt: skip
        shares = {}
        for name, wanted in (("first_preferred", 1.0), ("ties", 0.0), ("second_preferred", -1.0)):
            hits = [float(value == wanted) for value in values]
            interval = interval_of(hits, raters, pairs)
            entry[name] = int(sum(hits))
            shares[name] = {
                "share": fmean(hits),
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            }
        wins = [float(value == 1.0) for value in values]
        losses = [float(value == -1.0) for value in values]
        entries.append({**entry, "shares": shares, **paired_test(wins, ones, losses, ones, _design(mine)).entry()})
    return _corrected(entries)


def share_of_first(ratings: Iterable[Rating]) -> float | None:
    """How often the recording heard as A was preferred, among preferences that are no ties; 0.5 shows no bias."""
    heard = [(rating.value == 1.0) == rating.first for rating in ratings if rating.test == "ab" and rating.value]
    return fmean(heard) if heard else None


def _design(given: Sequence[Rating]) -> Design:
    """Who heard what: listeners stand where target speakers do elsewhere, pairs where source speakers do."""
    return Design([rating.rater for rating in given], [rating.pair for rating in given])


def _corrected(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Correct the comparisons of one family for their number."""
    corrected = holm_tested(entry["p_value"] for entry in entries)
    return [{**entry, "p_holm": p_holm} for entry, p_holm in zip(entries, corrected, strict=True)]
