"""Intervals that cover what they promise, tests that keep their level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.statistics.intervals import cluster_bootstrap, holm, holm_tested, paired_difference, percentile_levels

SPEAKERS, UTTERANCES = 10, 30
LABELS = [speaker for speaker in range(SPEAKERS) for _ in range(UTTERANCES)]
ONES = np.ones(len(LABELS))


def simulated(generator: np.random.Generator, mean: float = 0.7) -> np.ndarray:
    between = generator.normal(0.0, 0.05, SPEAKERS)[:, None]
    return (mean + between + generator.normal(0.0, 0.04, (SPEAKERS, UTTERANCES))).ravel()


def test_nominal_95_percent_interval_covers_the_truth():
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(400):
        interval = cluster_bootstrap(simulated(generator), ONES, LABELS, resamples=1000, seed=seed)
        assert interval is not None
        hits += interval.low <= 0.7 <= interval.high
    assert 0.90 <= hits / 400 <= 0.97


def test_paired_test_keeps_its_level_and_agrees_with_its_interval():
    generator = np.random.default_rng(2)
    rejected = 0
    for seed in range(300):
        first, second = simulated(generator), simulated(generator)
        found = paired_difference(first, ONES, second, ONES, LABELS, resamples=1000, seed=seed)
        assert found.interval is not None
        assert found.p_value is not None
        zero_inside = found.interval.low <= 0.0 <= found.interval.high
        assert zero_inside == (found.p_value > 0.05)
        rejected += not zero_inside
    assert rejected / 300 <= 0.09


def test_paired_test_sees_a_difference_that_speakers_share():
    generator = np.random.default_rng(3)
    first = simulated(generator)
    second = first - 0.02 + generator.normal(0.0, 0.01, len(first))
    found = paired_difference(first, ONES, second, ONES, LABELS)
    assert found.value == pytest.approx(0.02, abs=0.003)
    assert found.p_value is not None
    assert found.p_value < 1e-4
    # the same scores as two separate intervals overlap widely: pairing is what shows the difference
    a, b = (cluster_bootstrap(values, ONES, LABELS) for values in (first, second))
    assert a is not None
    assert b is not None
    assert a.low < b.high


def test_whole_clusters_are_resampled():
    """Ten copies of each score change nothing for clusters, while they would halve a naive interval and more."""
    generator = np.random.default_rng(4)
    values = generator.normal(size=12)
    labels = [f"s{i}" for i in range(12)]
    once = cluster_bootstrap(values, np.ones(12), labels)
    copied = cluster_bootstrap(np.repeat(values, 10), np.ones(120), list(np.repeat(labels, 10)))
    assert once is not None
    assert copied == pytest.approx(once)


def test_ratio_of_sums_and_not_mean_of_ratios():
    interval = cluster_bootstrap([1, 1, 30], [10, 10, 100], ["a", "b", "c"])
    assert interval is not None
    assert interval.low >= 0.1 - 1e-12
    assert interval.high <= 0.3 + 1e-12
    assert interval.clusters == 3


@pytest.mark.parametrize(
    ("labels", "clusters"),
    [([None] * 4, 4), (["a", "a", "b", None], 3), (["a", "a", None, None], 2), (["a", "b", "c", "d"], 4)],
)
def test_items_without_a_label(labels, clusters):
    interval = cluster_bootstrap([1.0, 2.0, 3.0, 5.0], np.ones(4), labels)
    assert interval is not None
    assert interval.clusters == clusters


def test_nothing_to_resample():
    assert cluster_bootstrap([1.0, 2.0], [1.0, 1.0], ["a", "a"]) is None
    assert cluster_bootstrap([], [], []) is None
    assert cluster_bootstrap([0.0, 0.0], [0.0, 0.0], ["a", "b"]) is None
    found = paired_difference([1.0], [1.0], [0.5], [1.0], ["a"])
    assert (found.value, found.interval, found.p_value) == (0.5, None, None)


def test_seed_decides():
    values = np.random.default_rng(5).normal(size=40)
    labels = list(np.arange(40) // 4)
    assert cluster_bootstrap(values, np.ones(40), labels) == cluster_bootstrap(values, np.ones(40), labels)
    assert cluster_bootstrap(values, np.ones(40), labels) != cluster_bootstrap(values, np.ones(40), labels, seed=1)


def test_blocks_do_not_change_what_is_drawn(monkeypatch):
    values, labels = np.random.default_rng(6).normal(size=50), list(range(50))
    whole = cluster_bootstrap(values, np.ones(50), labels, resamples=300)
    monkeypatch.setattr("vceval.statistics.bootstrap._BLOCK", 700)
    assert cluster_bootstrap(values, np.ones(50), labels, resamples=300) == whole


def test_levels_tend_to_the_plain_ones():
    assert percentile_levels(100_000)[0] == pytest.approx(0.025, abs=1e-4)
    lows = [percentile_levels(count)[0] for count in (3, 5, 10, 50, 1000)]
    assert lows == sorted(lows)
    assert lows[-1] < 0.025


def test_equal_systems_do_not_differ_and_constant_ones_do():
    same = paired_difference([1.0, 2.0, 3.0], np.ones(3), [1.0, 2.0, 3.0], np.ones(3), "abc")
    assert (same.value, same.p_value) == (0.0, 1.0)
    shifted = paired_difference([1.5, 2.5, 3.5], np.ones(3), [1.0, 2.0, 3.0], np.ones(3), "abc")
    assert shifted.p_value == pytest.approx(0.25)


def test_swapping_the_systems_turns_the_sign():
    generator = np.random.default_rng(7)
    first, second = simulated(generator), simulated(generator)
    there = paired_difference(first, ONES, second, ONES, LABELS)
    back = paired_difference(second, ONES, first, ONES, LABELS)
    assert back.value == pytest.approx(-there.value)
    assert back.p_value == pytest.approx(there.p_value)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="lengths differ"):
        cluster_bootstrap([1.0], [1.0, 2.0], ["a", "b"])
    with pytest.raises(ValueError, match="NaN"):
        cluster_bootstrap([np.nan, 1.0], [1.0, 1.0], ["a", "b"])
    with pytest.raises(ValueError, match="zero"):
        paired_difference([0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], "ab")
    with pytest.raises(ValueError, match="outside"):
        holm([0.5, 1.2])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_holm_counts_only_what_was_tested():
    assert holm_tested([0.01, None, 0.04, 0.03, None, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, None, 0.02])
    assert holm_tested([None, 0.3]) == [None, 0.3]
    assert holm_tested([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_holm_rejects_what_the_closed_test_rejects(values):
    """Holm is the closed test of Bonferroni: the largest min(p) * size over all subsets that hold a hypothesis."""
    corrected = holm(values)
    for index in range(len(values)):
        closed = max(
            min(1.0, len(subset) * min(values[i] for i in subset))
            for size in range(1, len(values) + 1)
            for subset in itertools.combinations(range(len(values)), size)
            if index in subset
        )
        assert corrected[index] == pytest.approx(closed)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=6))
def test_weighted_holm_rejects_what_the_closed_weighted_test_rejects(pairs):
    values, weights = [p for p, _ in pairs], [weight for _, weight in pairs]
    corrected = holm(values, weights)
    for index in range(len(values)):
        closed = max(
            min(1.0, min(values[i] * sum(weights[j] for j in subset) / weights[i] for i in subset))
            for size in range(1, len(values) + 1)
            for subset in itertools.combinations(range(len(values)), size)
            if index in subset
        )
        assert corrected[index] == pytest.approx(closed)
    assert holm(values, [0.3] * len(values)) == pytest.approx(holm(values))


def test_weights_must_be_there_and_positive():
    for weights in ([1.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match="weight"):
            holm([0.1, 0.2], weights)


def _grid(rng, sources, targets, utterances, spread):
    source = np.repeat(np.arange(sources), targets * utterances)
    target = np.tile(np.repeat(np.arange(targets), utterances), sources)
    values = rng.normal(0, spread, sources)[source] + rng.normal(0, spread, targets)[target]
    return values + rng.normal(0, 0.04, len(source)), source, target


def test_crossed_intervals_cover_a_grid_and_those_of_targets_alone_do_not():
    rng = np.random.default_rng(3)
    covered = {"crossed": 0, "targets": 0}
    for _ in range(200):
        values, source, target = _grid(rng, 10, 10, 3, 0.05)
        ones = np.ones_like(values)
        for name, crossed in (("crossed", list(source)), ("targets", None)):
            found = cluster_bootstrap(values, ones, list(target), crossed=crossed, resamples=500)
            covered[name] += found.low < 0 < found.high
    assert 0.90 <= covered["crossed"] / 200 <= 0.98
    assert covered["targets"] / 200 < 0.90


def test_sources_that_do_not_cross_are_not_resampled():
    rng = np.random.default_rng(4)
    values, ones, target = rng.normal(size=30), np.ones(30), [n // 3 for n in range(30)]
    alone = cluster_bootstrap(values, ones, target)
    assert cluster_bootstrap(values, ones, target, crossed=[f"s{t}" for t in target]) == alone
    assert cluster_bootstrap(values, ones, target, crossed=[None, *range(29)]) == alone


def test_the_order_of_items_changes_nothing():
    rng = np.random.default_rng(5)
    values, source, target = _grid(rng, 5, 6, 2, 0.1)
    order = rng.permutation(len(values))
    ones = np.ones_like(values)
    for crossed in (None, list(source)):
        shuffled = None if crossed is None else [crossed[i] for i in order]
        one = cluster_bootstrap(values, ones, list(target), crossed=crossed)
        two = cluster_bootstrap(values[order], ones, [target[i] for i in order], crossed=shuffled)
        assert one.low == pytest.approx(two.low, abs=1e-12)
        assert one.high == pytest.approx(two.high, abs=1e-12)


def test_crossed_differences():
    rng = np.random.default_rng(6)
    values, source, target = _grid(rng, 8, 8, 2, 0.1)
    ones = np.ones_like(values)
    found = paired_difference(values + 0.05, ones, values, ones, list(target), crossed=list(source))
    assert found.value == pytest.approx(0.05)
    noisy = values + 0.05 + rng.normal(0, 0.02, len(values))
    found = paired_difference(noisy, ones, values, ones, list(target), crossed=list(source))
    assert found.p_value < 0.001
    assert found.interval.low < 0.05 < found.interval.high
