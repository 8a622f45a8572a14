"""Figures of a listening test against listeners whose opinions are known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.listen.correlation import agreement, clustered_correlation, pearson, spearman
from vceval.listen.differences import comparisons, preferences, share_of_first
from vceval.listen.key import Rating
from vceval.listen.opinion_scores import Group, cells, interval_of, per_pair

#: Simulated tests per coverage; 250 put the share of hits within about 0.03 of the truth.
TESTS = 250


def simulate(
    rng: np.random.Generator, means: dict[str, float], raters: int = 24, pairs: int = 24, each: int = 4,
    rater: float = 0.4, pair: float = 0.4, noise: float = 0.6,
) -> list[Rating]:  # fmt: skip
    """A test as the plan makes it: each listener hears each system on a stretch of the pairs."""
    biases = rater * rng.standard_normal(raters)
    effects = {system: pair * rng.standard_normal(pairs) for system in means}
    found = []
    for listener in range(raters):
        for place, (system, mean) in enumerate(means.items()):
            for step in range(each):
                item = ((listener + place) * each + step) % pairs
                value = mean + biases[listener] + effects[system][item] + noise * rng.standard_normal()
                found.append(Rating(f"r{listener}", "mos", (system,), f"p{item}", float(value)))
    return found


def means_of(ratings: list[Rating], system: str) -> tuple[list[float], list[str], list[str]]:
    mine = [one for one in ratings if one.conditions == (system,)]
    return [one.value for one in mine], [one.rater for one in mine], [one.pair for one in mine]


def test_intervals_cover_the_truth_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(11)
    hits, naive = 0, 0
    for _ in range(TESTS):
        values, raters, pairs = means_of(simulate(rng, {"a": 3.0}), "a")
        interval = interval_of(values, raters, pairs)
        assert interval is not None
        hits += interval.low <= 3.0 <= interval.high
        half = 1.96 * np.std(values) / np.sqrt(len(values))
        naive += abs(np.mean(values) - 3.0) <= half
    assert 0.92 <= hits / TESTS <= 0.99
    assert naive / TESTS < 0.85  # why ratings are not taken for independent


def test_intervals_hold_where_listeners_hear_a_system_once() -> None:
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(TESTS):
        ratings = simulate(rng, {"a": 3.0}, raters=24, pairs=6, each=1, rater=0.2, pair=0.5)
        interval = interval_of(*means_of(ratings, "a"))
        assert interval is not None
        hits += interval.low <= 3.0 <= interval.high
    assert hits / TESTS >= 0.88  # six pairs are few for any bootstrap


def compared(ratings: list[Rating]) -> list[dict[str, Any]]:
    """Compare a with b, all of whose pairs were to be heard of both."""
    pairs = {one.pair for one in ratings}
    return comparisons(ratings, ["a", "b"], {("mos", ("a",)): pairs, ("mos", ("b",)): pairs})


def test_systems_are_compared_on_the_pairs_that_were_to_be_heard_of_both() -> None:
    ratings = [
        Rating(f"r{at}", "mos", (system,), pair, value)
        for at in range(6)
        for system, pair, value in (("a", "p1", 4), ("a", "p2", 1), ("b", "p1", 2 + at % 2), ("b", "p3", 5))
    ]
    [found] = comparisons(ratings, ["a", "b"], {("mos", ("a",)): {"p1", "p2"}, ("mos", ("b",)): {"p1", "p3"}})
    assert found["difference"] == pytest.approx(4 - 2.5)
    assert found["n"] == 1
    assert comparisons(ratings, ["a", "b"], {("mos", ("a",)): {"p2"}, ("mos", ("b",)): {"p3"}}) == []


def test_differences_are_found_and_their_p_values_are_honest() -> None:
    rng = np.random.default_rng(18)
    false, power, hits, tests = 0, 0, 0, 200
    for _ in range(tests):
        [same] = compared(simulate(rng, {"a": 3.0, "b": 3.0}))
        false += same["p_value"] < 0.05
        [other] = compared(simulate(rng, {"a": 3.0, "b": 2.4}))
        power += other["p_value"] < 0.05
        hits += other["low"] <= 0.6 <= other["high"]
        assert (other["low"] > 0 or other["high"] < 0) == (other["p_value"] < 0.05)
    assert false / tests <= 0.09
    assert power / tests >= 0.9
    assert hits / tests >= 0.91


def test_a_listeners_bias_cancels_in_differences() -> None:
    rng = np.random.default_rng(14)
    ratings = simulate(rng, {"a": 3.0, "b": 2.5}, rater=2.0, pair=0.05, noise=0.05)
    [found] = compared(ratings)
    assert found["high"] - found["low"] < 0.25
    values = interval_of(*means_of(ratings, "a"))
    assert values is not None
    assert values.high - values.low > 1.0


def prefer(rng: np.random.Generator, win: float, tie: float, listeners: int = 24, pairs: int = 12) -> list[Rating]:
    found = []
    for listener in range(listeners):
        for step in range(4):
            draw = rng.random()
            value = 0.0 if draw < tie else 1.0 if draw < tie + win else -1.0
            first = bool((listener + step) % 2)
            found.append(Rating(f"r{listener}", "ab", ("a", "b"), f"p{(4 * listener + step) % pairs}", value, first))
    return found


def test_preferences_count_ties_apart() -> None:
    ratings = prefer(np.random.default_rng(3), 0.6, 0.15)
    values = [one.value for one in ratings]
    [found] = preferences(ratings, ["a", "b"])
    assert (found["first_preferred"], found["ties"], found["second_preferred"]) == (
        values.count(1), values.count(0), values.count(-1),
    )  # fmt: skip
    assert found["ratings"] == len(values) == 96
    assert found["difference"] == pytest.approx(np.mean(values))
    assert found["p_value"] < 0.01
    assert sum(share["share"] for share in found["shares"].values()) == pytest.approx(1)
    for share in found["shares"].values():
        assert share["low"] <= share["share"] <= share["high"]
    [turned] = preferences(ratings, ["b", "a"])
    assert turned["first_preferred"] == found["second_preferred"]
    assert turned["difference"] == -found["difference"]


def test_preferences_without_a_difference_are_rarely_significant() -> None:
    rng = np.random.default_rng(4)
    found = [preferences(prefer(rng, 0.4, 0.2), ["a", "b"])[0]["p_value"] < 0.05 for _ in range(100)]
    assert np.mean(found) <= 0.11


def test_a_bias_for_what_comes_first_is_seen() -> None:
    heard = [Rating("r", "ab", ("a", "b"), "p", value, first) for value, first in ((1, True), (-1, False), (0, True))]
    assert share_of_first(heard) == 1.0
    assert share_of_first([]) is None


def test_cells_have_the_shape_of_a_summary_and_count_what_was_planned() -> None:
    ratings = [
        Rating("r1", "mos", ("a",), "p1", 4), Rating("r2", "mos", ("a",), "p1", 2),
        Rating("r1", "mos", ("a",), "p2", 5), Rating("r1", "abx", ("a",), "p1", 1),
        Rating("r1", "ab", ("a", "b"), "p1", 0), Rating("r2", "ab", ("a", "b"), "p2", 1),
    ]  # fmt: skip
    groups = {"p1": Group("d", "F2F"), "p2": Group("d", "M2F"), "p3": Group("d", "M2F")}
    planned = {("mos", ("a",)): {"p1", "p2", "p3"}, ("abx", ("a",)): {"p1"}, ("ab", ("a", "b")): {"p1", "p2"},
               ("mos", ("b",)): {"p1"}}  # fmt: skip
    found = {(c["system"], c["measure"], c["dataset"], c["direction"]): c for c in cells(ratings, groups, planned)}
    whole = found["a", "listening_mos", "all", "all"]
    assert (whole["value"], whole["n"], whole["expected"], whole["ratings"], whole["listeners"]) == (
        pytest.approx(11 / 3), 2, 3, 3, 2,
    )  # fmt: skip
    assert found["a", "listening_mos", "d", "M2F"]["value"] == 5
    assert found["a", "listening_mos", "d", "M2F"]["expected"] == 2
    assert found["b", "listening_mos", "all", "all"]["value"] is None
    assert found["a", "listening_preference", "all", "all"]["value"] == pytest.approx(0.75)
    assert found["b", "listening_preference", "all", "all"]["value"] == pytest.approx(0.25)
    assert found["a", "listening_abx", "all", "all"]["value"] == 1
    one = {"system": "a", "pair": "p1", "measure": "listening_mos", "value": 3.0, "ratings": 2}
    assert one in per_pair(ratings)


@settings(max_examples=60)
@given(st.integers(4, 60), st.integers(0, 2**32 - 1))
def test_clustered_correlation_is_pearsons_and_lies_within_its_interval(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(count) + 1e6
    y = 0.5 * x + rng.standard_normal(count)
    found = clustered_correlation(x, y, [f"c{at % 4}" for at in range(count)])
    assert found.value == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.high <= 1


def test_intervals_of_correlations_cover_the_truth() -> None:
    rng = np.random.default_rng(21)
    points, clusters, truth = 0, 0, 0.6
    for _ in range(TESTS):
        x = rng.standard_normal(12)
        y = truth * x + np.sqrt(1 - truth**2) * rng.standard_normal(12)
        one = pearson(x.tolist(), y.tolist())
        points += one.low <= truth <= one.high  # type: ignore[operator]
        # 24 pairs, each with 4 recordings that resemble each other
        shared = rng.standard_normal((2, 24)).repeat(4, axis=1)
        own = rng.standard_normal((2, 96))
        u, v = np.sqrt(0.5) * shared + np.sqrt(0.5) * own
        v = truth * u + np.sqrt(1 - truth**2) * v
        two = clustered_correlation(u, v, [f"p{at // 4}" for at in range(96)])
        clusters += two.low <= truth <= two.high  # type: ignore[operator]
    assert 0.91 <= points / TESTS <= 0.99
    assert 0.90 <= clusters / TESTS <= 0.99


def test_intervals_of_correlations_are_fishers_and_bonetts_and_wrights() -> None:
    x, y = [1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 7, 5, 6]
    r = 23 / 28  # 1 - 6 * 10 / (7 * 48); the values are their own ranks
    for correlation, variance in ((pearson, 1.0), (spearman, 1 + r**2 / 2)):
        reach = 1.959963984540054 * np.sqrt(variance / 4)
        low, high = np.tanh(np.arctanh(r) - reach), np.tanh(np.arctanh(r) + reach)
        assert correlation(x, y) == (pytest.approx(r), pytest.approx(low), pytest.approx(high))


def test_few_points_have_no_interval_and_two_no_coefficient() -> None:
    for correlation in (pearson, spearman):
        assert correlation([1, 2, 3], [1, 3, 2]) == (pytest.approx(0.5), None, None)
        assert correlation([1, 2, 3, 4], [1, 2, 3, 4]) == (pytest.approx(1.0), None, None)
    assert clustered_correlation([1, 2], [1, 2], ["a", "b"]) == (None, None, None)
    assert clustered_correlation([1, 1, 1], [1, 2, 3], ["a", "b", "c"]) == (None, None, None)


def test_agreement_over_systems_recordings_and_within_systems() -> None:
    import pandas

    rng = np.random.default_rng(5)
    systems = {f"s{at}": at >= 6 for at in range(8)}  # six systems, two controls
    human, rows = [], []
    for at, system in enumerate(systems):
        for pair in range(20):
            detail = rng.standard_normal()
            score = 1.0 + 0.5 * at + 0.3 * detail
            human.append({"system": system, "pair": f"p{pair}", "measure": "listening_mos", "value": score})
            # error follows the listeners within and between systems; level between systems only; chance nowhere
            for name, value in (
                ("error", -0.5 * at - 0.3 * detail + 0.02 * rng.standard_normal()),
                ("level", at + 0.1 * rng.standard_normal()),
                ("chance", rng.standard_normal()),
            ):
                rows.append((system, f"p{pair}", name, value, 2 * value, 2.0))
    scores = pandas.DataFrame(rows, columns=["system", "pair", "measure", "value", "numerator", "denominator"])
    means = [
        {"system": system, "measure": "listening_mos", "dataset": "all", "direction": "all", "value": 1.0 + 0.5 * at}
        for at, system in enumerate(systems)
    ]
    detector = [{**cell, "measure": "eer", "value": 0.1 * at} for at, cell in enumerate(means)]
    summary = {
        "measures": [
            {"name": "error", "better": "lower"}, {"name": "level", "better": "higher"},
            {"name": "chance", "better": "higher"}, {"name": "eer", "better": "lower", "reduction": "eer"},
        ],
        "cells": detector,
    }  # fmt: skip
    found = {(e["measure"], e["level"]): e for e in agreement(human, means, summary, scores, systems)}
    assert found["error", "systems"]["n"] == 6
    assert found["error", "rows"]["n"] == 8
    assert found["error", "recordings"]["n"] == 120
    for level in ("systems", "recordings", "within"):
        assert found["error", level]["spearman"] < -0.9
        assert found["error", level]["agrees"]
    assert found["error", "within"]["spearman_high"] < -0.8
    assert found["level", "recordings"]["spearman"] > 0.8
    assert found["level", "within"]["spearman_low"] < 0 < found["level", "within"]["spearman_high"]
    assert abs(found["chance", "recordings"]["spearman"]) < 0.3
    assert found["eer", "systems"]["pearson"] == pytest.approx(1)
    assert found["eer", "systems"]["agrees"] is False
    assert ("eer", "recordings") not in found


def test_intervals_shrink_with_more_listeners() -> None:
    rng = np.random.default_rng(8)
    widths = []
    for raters in (6, 24, 96):
        interval = interval_of(*means_of(simulate(rng, {"a": 3.0}, raters=raters, pair=0.0), "a"))
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert all(one > other for one, other in pairwise(widths))
