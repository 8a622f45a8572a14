"""From ratings to figures: means with intervals, per system, dataset and direction, and per recording.

Two ratings by one listener are not independent, nor are two of one recording's pair. So intervals count how much
listeners and pairs vary (:func:`vceval.statistics.inference.interval`): they say what other listeners would give to
other sentences.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from vceval.listen.key import Rating
from vceval.listen.recordings import PREFIX
from vceval.metrics.base import Measure
from vceval.statistics.inference import Interval, interval

__all__ = [
    "MEASURES", "Group", "Vote", "anchors", "cells", "interval_of", "measure_rows", "per_pair", "votes_of",
]  # fmt: skip

#: What each kind of test measures.
MEASURES: Mapping[str, Measure] = {
    "mos": Measure("listening_mos", "MOS", "", "higher", question="quality"),
    "smos": Measure("listening_smos", "SMOS", "", "higher", question="voice"),
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
class Vote:
    """A rating as one row of the results sees it: a preference is one for either system."""

    system: str
    rating: Rating
    value: float


def votes_of(ratings: Iterable[Rating]) -> dict[tuple[str, str], list[Vote]]:
    """Votes by kind of test and system."""
    found: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for one in ratings:
        if one.test == "ab":
            for system, sign in zip(one.conditions, (1, -1), strict=True):
                found["ab", system].append(Vote(system, one, (1 + sign * one.value) / 2))
        else:
            found[one.test, one.conditions[0]].append(Vote(one.conditions[0], one, one.value))
    return found


def interval_of(values: Sequence[float], raters: Sequence[str], pairs: Sequence[str]) -> Interval | None:
    """Interval of a mean of ratings over listeners and pairs, however they meet.

    Args:
        values: ratings, shape (n,).
        raters: who gave each.
        pairs: what was rated.

    Returns:
        The interval, or None where all ratings are alike or there is only one.
    """
    return interval(values, [1.0] * len(values), raters, pairs)


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
    votes = votes_of(ratings)
    found = []
    for test, system in sorted(expected, key=lambda key: (list(MEASURES).index(key[0]), key[1])):
        rated: dict[tuple[str, str], list[Vote]] = defaultdict(list)
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


def _figure(votes: Sequence[Vote]) -> dict[str, Any]:
    values = [vote.value for vote in votes]
    raters, pairs = [vote.rating.rater for vote in votes], [vote.rating.pair for vote in votes]
    interval = interval_of(values, raters, pairs) if values else None
    return {
        "value": fmean(values) if values else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "n": len(set(pairs)),
        "ratings": len(values),
        "listeners": len(set(raters)),
    }


def per_pair(ratings: Iterable[Rating]) -> list[dict[str, Any]]:
    """Mean and number of the ratings of each recording: what metrics are compared with, utterance by utterance."""
    found = []
    for (test, system), votes in sorted(votes_of(ratings).items()):
        by_pair: dict[str, list[float]] = defaultdict(list)
        for vote in votes:
            by_pair[vote.rating.pair].append(vote.value)
        for pair, values in sorted(by_pair.items()):
            found.append(
                {"system": system, "pair": pair, "measure": MEASURES[test].name, "value": fmean(values),
                 "ratings": len(values)}
            )  # fmt: skip
    return found


def anchors(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cells of anchors, over all pairs."""
    return [
        dict(entry)
        for entry in entries
        if entry["system"].startswith(PREFIX) and (entry["dataset"], entry["direction"]) == ("all", "all")
    ]


def measure_rows(tests: Iterable[str]) -> list[dict[str, Any]]:
    """The measures of some tests in the shape of ``summary.json``."""
    return [{**asdict(MEASURES[test]), "metric": MEASURES[test].name} for test in MEASURES if test in set(tests)]
