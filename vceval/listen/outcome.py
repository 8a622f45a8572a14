"""From ratings to figures: means with intervals, tested differences, preferences with ties.

Two ratings by one listener are not independent, nor are two of one recording's pair. So intervals resample listeners
and pairs, each on its own (:func:`vceval.statistics.cluster_bootstrap`, crossed): they say what other listeners would
give to other sentences.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean
from typing import Any

from vceval.listen.key import Rating
from vceval.listen.kinds import KINDS
from vceval.listen.pool import PREFIX
from vceval.metrics.base import Measure
from vceval.statistics import Difference, Interval, cluster_bootstrap, holm, paired_difference

__all__ = ["MEASURES", "Group", "cells", "comparisons", "interval_of", "per_pair", "preferences", "share_of_first"]

#: What each kind of test measures.
MEASURES: Mapping[str, Measure] = {
    "mos": Measure("listening_mos", "MOS", "", "higher"),
    "smos": Measure("listening_smos", "SMOS", "", "higher"),
    "abx": Measure("listening_abx", "ABX", "%", "higher", 100.0, 1, secondary=True),
    "ab": Measure("listening_preference", "Preferred", "%", "higher", 100.0, 1, secondary=True),
}


@dataclass(frozen=True, slots=True)
class Group:
    """The dataset and direction of a pair."""

    dataset: str
    direction: str

    @property
    def cells(self) -> Iterable[tuple[str, str]]:
        """The cells to which the pair belongs, as in ``summary.json``."""
        return itertools.product(("all", self.dataset), ("all", self.direction) if self.direction else ("all",))


@dataclass(frozen=True, slots=True)
class _Vote:
    """A rating as one row of the results sees it: a preference is one for either system."""

    system: str
    rating: Rating
    value: float


def _votes(ratings: Iterable[Rating]) -> dict[tuple[str, str], list[_Vote]]:
    """Votes by kind of test and system."""
    found: dict[tuple[str, str], list[_Vote]] = defaultdict(list)
    for one in ratings:
        if one.test == "ab":
            for system, sign in zip(one.conditions, (1, -1), strict=True):
                found["ab", system].append(_Vote(system, one, (1 + sign * one.value) / 2))
        else:
            found[one.test, one.conditions[0]].append(_Vote(one.conditions[0], one, one.value))
    return found


def interval_of(values: Sequence[float], raters: Sequence[str], pairs: Sequence[str]) -> Interval | None:
    """Interval of a mean of ratings over listeners and pairs.

    Where the two hardly cross (a listener heard the system once), each is resampled alone and the wider
    interval holds.

    Args:
        values: ratings, shape (n,).
        raters: who gave each.
        pairs: what was rated.

    Returns:
        The interval, or None where all ratings are alike or there is one listener and one pair.
    """
    ones = [1.0] * len(values)
    if _cross(raters, pairs):
        return cluster_bootstrap(values, ones, raters, crossed=pairs)
    found = [interval for by in (raters, pairs) if (interval := cluster_bootstrap(values, ones, by)) is not None]
    return max(found, key=lambda interval: interval.high - interval.low, default=None)


def _cross(raters: Sequence[str], pairs: Sequence[str]) -> bool:
    """Whether each listener met two or more pairs on average, and each pair two or more listeners."""
    return len(set(zip(raters, pairs, strict=True))) >= 2 * max(len(set(raters)), len(set(pairs)))


def cells(
    ratings: Sequence[Rating], groups: Mapping[str, Group], planned: Mapping[tuple[str, tuple[str, ...]], set[str]]
) -> list[dict[str, Any]]:
    """Make cells in the shape of ``summary.json``: per system and test over all pairs, dataset and direction.

    ``n`` counts the pairs that were rated, ``expected`` those that were to be; ``ratings`` and ``listeners`` say how
    many of each there are.

    Args:
        ratings: those that count.
        groups: dataset and direction of each pair.
        planned: pairs that each test meant to have rated, by its conditions.
    """
    expected: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (test, conditions), pairs in planned.items():
        for system in conditions:
            expected[test, system] |= pairs
    votes = _votes(ratings)
    found = []
    for test, system in sorted(expected, key=lambda key: (list(MEASURES).index(key[0]), key[1])):
        rated: dict[tuple[str, str], list[_Vote]] = defaultdict(list)
        for vote in votes.get((test, system), ()):
            for place in groups[vote.rating.pair].cells:
                rated[place].append(vote)
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for pair in expected[test, system]:
            for place in groups[pair].cells:
                wanted[place].add(pair)
        for dataset, direction in sorted(wanted):
            mine = rated[dataset, direction]
            found.append({
                "system": system, "measure": MEASURES[test].name, "dataset": dataset, "direction": direction,
                **_figure(mine), "expected": len(wanted[dataset, direction]), "failed": 0, "skipped": 0,
            })  # fmt: skip
    return found


def _figure(votes: Sequence[_Vote]) -> dict[str, Any]:
    values = [vote.value for vote in votes]
    raters, pairs = [vote.rating.rater for vote in votes], [vote.rating.pair for vote in votes]
    interval = interval_of(values, raters, pairs) if values else None
    return {
        "value": fmean(values) if values else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "n": len(set(pairs)),
        "clusters": len(set(raters)),
        "ratings": len(values),
        "listeners": len(set(raters)),
    }


def per_pair(ratings: Iterable[Rating]) -> list[dict[str, Any]]:
    """Mean and number of the ratings of each recording: what metrics are compared with, utterance by utterance."""
    found = []
    for (test, system), votes in sorted(_votes(ratings).items()):
        by_pair: dict[str, list[float]] = defaultdict(list)
        for vote in votes:
            by_pair[vote.rating.pair].append(vote.value)
        for pair, values in sorted(by_pair.items()):
            found.append(
                {"system": system, "pair": pair, "measure": MEASURES[test].name, "value": fmean(values),
                 "ratings": len(values)}
            )  # fmt: skip
    return found


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
    votes, levels = _votes(ratings), _levels(ratings)
    found: list[dict[str, Any]] = []
    for test in ("mos", "smos", "abx"):
        entries: list[dict[str, Any]] = []
        for first, second in itertools.combinations(systems, 2):
            given = planned.get((test, (first,)), set()) & planned.get((test, (second,)), set())
            ones, others = (
                [vote for vote in votes.get((test, system), ()) if vote.rating.pair in given]
                for system in (first, second)
            )
            if not ones or not others:
                continue
            mine, theirs = [1.0] * len(ones), [1.0] * len(others)
            difference = _difference(
                [*_levelled(ones, levels), *(0.0 for _ in others)], [*mine, *(0.0 for _ in others)],
                [*(0.0 for _ in ones), *_levelled(others, levels)], [*(0.0 for _ in ones), *theirs],
                [vote.rating for vote in (*ones, *others)],
            )  # fmt: skip
            shared = {vote.rating.pair for vote in ones} & {vote.rating.pair for vote in others}
            entries.append({
                "measure": MEASURES[test].name, "first": first, "second": second, "n": len(shared),
                **_tested(difference),
            })  # fmt: skip
        found += _corrected(entries)
    return found


#: A listener's level in a test, and by how much what is left without it must be stretched.
_Levels = Mapping[tuple[str, str], tuple[float, float]]


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


def _levelled(votes: Sequence[_Vote], levels: _Levels) -> list[float]:
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
        entries.append({**entry, "shares": shares, **_tested(_difference(wins, ones, losses, ones, mine))})
    return _corrected(entries)


def share_of_first(ratings: Iterable[Rating]) -> float | None:
    """How often the recording heard as A was preferred, among preferences that are no ties; 0.5 shows no bias."""
    heard = [(rating.value == 1.0) == rating.first for rating in ratings if rating.test == "ab" and rating.value]
    return fmean(heard) if heard else None


def anchors(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cells of anchors, over all pairs."""
    return [
        dict(entry)
        for entry in entries
        if entry["system"].startswith(PREFIX) and (entry["dataset"], entry["direction"]) == ("all", "all")
    ]


def _difference(
    first: Sequence[float], ones: Sequence[float], second: Sequence[float], others: Sequence[float],
    given: Sequence[Rating],
) -> Difference:  # fmt: skip
    raters, pairs = [rating.rater for rating in given], [rating.pair for rating in given]
    if _cross(raters, pairs):
        return paired_difference(first, ones, second, others, raters, crossed=pairs)
    found = [paired_difference(first, ones, second, others, by) for by in (raters, pairs)]
    return max(found, key=lambda one: (one.interval is not None, one.p_value or 0.0))


def _tested(difference: Difference) -> dict[str, Any]:
    interval = difference.interval
    return {
        "difference": difference.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "p_value": difference.p_value,
    }


def _corrected(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [entry for entry in entries if entry["p_value"] is not None]
    for entry, p_value in zip(tested, holm([entry["p_value"] for entry in tested]), strict=True):
        entry["p_holm"] = float(p_value)
    return [{**entry, "p_holm": entry.get("p_holm")} for entry in entries]


def measure_rows(tests: Iterable[str]) -> list[dict[str, Any]]:
    """The measures of some tests in the shape of ``summary.json``."""
    return [{**asdict(MEASURES[test]), "metric": MEASURES[test].name} for test in MEASURES if test in set(tests)]
