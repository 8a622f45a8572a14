"""Intervals that cover what they promise, tests that keep their level: whatever the pattern of speakers and texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vceval.benchmarks.statistics import table
from vceval.statistics.components import Design
from vceval.statistics.inference import estimate, interval, paired_estimate, paired_test


# What the old bootstrap over target speakers gave for these: coverage 72.5 %, type I 27.6 % (nested), 65 % (2 x 20)
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("4 sources nested in 20 targets, 15 pairs", 0.91, 0.09),
        ("4 × 4 crossed, 5 pairs each", 0.92, 0.08),
        ("20 targets by Zipf, 6 sources", 0.92, 0.08),
        ("rate 0.97, 20 × 20", 0.92, 0.08),
        ("4 × 4, 25 texts in all", 0.92, 0.08),
    ],
)
def test_made_up_evaluations(name: str, least: float, most: float) -> None:
    scenario = next(one for one in table.DESIGNS if one.name == name)
    row = table.study(scenario, 200, 1)
    assert row.coverage >= least - 0.02  # 200 draws: a standard error of 1.5 %
    assert row.false_alarms <= most + 0.02
    assert row.missing == 0


def test_one_side_alone_is_the_t_interval_of_its_means() -> None:
    values = np.array([1.0, 2.0, 2.0, 3.0, 7.0, 8.0, 4.0, 5.0]) - 4.0
    labels = ["a", "a", "b", "b", "c", "c", "d", "d"]
    means = values.reshape(4, 2).mean(axis=1)
    low, high = stats.t.interval(0.95, 3, means.mean(), means.std(ddof=1) / 2.0)
    found = interval(values, np.ones(8), labels)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)
    assert found.freedom == pytest.approx(3.0, abs=0.01)
    assert (found.targets, found.sources, found.texts) == (4, 0, 0)


def test_pairs_without_labels_are_independent() -> None:
    values = np.random.default_rng(1).normal(size=12)
    other = values + np.random.default_rng(2).normal(size=12)
    found = paired_test(values, np.ones(12), other, np.ones(12), [None] * 12, [None] * 12)
    assert found.p_value == pytest.approx(stats.ttest_rel(values, other).pvalue, rel=1e-6)
    bounds = interval(values, np.ones(12), [None] * 12)
    assert bounds is not None
    assert (bounds.low, bounds.high) == pytest.approx(stats.t.interval(0.95, 11, values.mean(), stats.sem(values)))


def test_a_ratio_moves_as_its_linearised_residuals_do() -> None:
    random = np.random.default_rng(4)
    words = random.integers(5, 15, size=60)
    errors = random.binomial(words, 0.2)
    found = estimate(errors, words, [None] * 60)
    rate = errors.sum() / words.sum()
    assert found.value == rate
    residuals = (errors - rate * words) / words.mean()
    assert found.error == pytest.approx(residuals.std(ddof=1) / np.sqrt(60), rel=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_and_p_value_agree_and_turn(seed: int, confidence: float) -> None:
    random = np.random.default_rng(seed)
    targets, sources = random.integers(4, size=24).tolist(), random.integers(5, size=24).tolist()
    first, second, ones = random.normal(size=24), random.normal(0.5, 1.0, size=24), np.ones(24)
    found = paired_test(first, ones, second, ones, targets, sources, confidence=confidence)
    assert found.interval is not None
    assert found.p_value is not None
    assert (found.interval.low <= 0.0 <= found.interval.high) == (found.p_value >= 1.0 - confidence)
    turned = paired_test(second, ones, first, ones, targets, sources, confidence=confidence)
    assert turned.value == pytest.approx(-found.value)
    assert turned.p_value == pytest.approx(found.p_value, rel=1e-6)


def test_a_constant_difference_is_significant_where_values_have_steps() -> None:
    # Review: 8.0 against 4.0 kHz on every pair of five speakers was "not significant"
    targets, sources = [place // 2 for place in range(10)], [place % 5 for place in range(10)]
    given = ([8.0] * 10, [1.0] * 10, [4.0] * 10, [1.0] * 10, targets, sources)
    found = paired_test(*given, resolution=0.25)
    assert found.value == 4.0
    assert found.p_value is not None
    assert found.p_value < 1e-4
    assert found.interval is not None
    assert 3.5 < found.interval.low < 4.0 < found.interval.high < 4.5
    # Without steps there is only the sign of five speakers
    assert paired_test(*given).p_value == 2.0**-4
    assert paired_test(*given[:2], *given[:2], targets, sources).p_value == 1.0


def test_no_rate_is_without_an_interval() -> None:
    # Review: 14 of 14 was printed without one
    speakers = [place // 2 for place in range(14)]
    for value in (0.0, 1.0):
        found = interval([value] * 14, np.ones(14), speakers, kind="rate")
        assert found is not None
        assert found.low <= value <= found.high
        assert found.high - found.low == pytest.approx(stats.beta.ppf(0.975, 1, 10), abs=0.1)  # about ten independent
    assert interval([1.0] * 14, np.ones(14), speakers) is None  # a mean without spread has none
    assert interval([1.0] * 14, np.ones(14), speakers, resolution=0.1) is not None


def test_a_share_of_frames_is_worth_more_than_one_trial() -> None:
    """Shares that hardly differ from pair to pair are known as well as any mean; not as 2 of 20 are."""
    shares = np.random.default_rng(0).normal(0.1, 0.01, 20)
    found, mean = (interval(shares, np.ones(20), [None] * 20, kind=kind) for kind in ("rate", "mean"))
    assert found is not None
    assert mean is not None
    assert (found.low, found.high) == pytest.approx((mean.low, mean.high), abs=1e-3)
    assert found.high - found.low < 0.02
    doubled = interval([0.0] * 19 + [0.5], np.ones(20), [None] * 20, kind="rate")
    whole = interval([0.0] * 19 + [1.0], np.ones(20), [None] * 20, kind="rate")
    assert doubled is not None
    assert whole is not None
    assert doubled.high < whole.high


def test_independent_pairs_give_clopper_pearson() -> None:
    outcomes = [1.0] * 17 + [0.0] * 3
    found = interval(outcomes, np.ones(20), [None] * 20, kind="rate")
    exact = stats.binomtest(17, 20).proportion_ci(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.02)


def test_few_speakers_make_wide_intervals() -> None:
    random = np.random.default_rng(3)
    sources, noise = np.tile(np.arange(20), 2).tolist(), random.normal(size=40)
    targets = np.repeat([0, 1], 20)
    found = interval(noise + 2.0 * targets, np.ones(40), targets.tolist(), sources)
    assert found is not None
    assert found.freedom < 2.0
    assert found.high - found.low > 8.0  # two speakers, two apart, are a t interval with one degree of freedom
    one = interval(noise, np.ones(40), ["a"] * 40, sources)
    assert one is not None
    assert (one.targets, one.sources) == (1, 20)
    assert one.freedom > 15  # the statement is for that speaker


def test_skewed_speakers_move_the_upper_end() -> None:
    values = np.repeat(np.exp(np.linspace(-2, 2, 10)), 3) + np.tile([-0.1, 0.0, 0.1], 10)
    found = interval(values, np.ones(30), np.repeat(np.arange(10), 3).tolist())
    assert found is not None
    assert found.method == "skewed t"
    assert found.high - values.mean() > 1.2 * (values.mean() - found.low)


def test_what_an_estimate_says_of_bounds() -> None:
    random = np.random.default_rng(8)
    first, second, ones = random.normal(size=30), random.normal(size=30), np.ones(30)
    targets = (np.arange(30) % 6).tolist()
    found = paired_estimate(first, ones, second, ones, targets)
    assert found.p_above(found.value - found.reach(0.95)) == pytest.approx(0.05)
    assert found.p_above(found.value) == pytest.approx(0.5)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    wider = paired_estimate(first, ones, second, ones, targets, added_variance=1.0)
    assert wider.error == pytest.approx(np.sqrt(found.error**2 + 1.0))
    assert wider.freedom > found.freedom


def test_too_little_data() -> None:
    assert interval([1.0], [1.0], ["a"]) is None
    assert interval([], [], []) is None
    assert interval([0.0, 0.0], [0.0, 0.0], ["a", "b"]) is None
    single = paired_test([1.0], [1.0], [2.0], [1.0], ["a"], ["b"])
    assert single == (-1.0, None, None)
    assert single.entry() == {"difference": -1.0, "low": None, "high": None, "p_value": None}
    two = interval([1.0, 2.0], [1.0, 1.0], ["a"] * 2, ["b"] * 2)
    assert two is not None


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="lengths differ: 2 numerators, 1 denominators"):
        estimate([1.0, 2.0], [1.0], ["a", "b"])
    with pytest.raises(ValueError, match="NaN"):
        interval([1.0, float("nan")], [1.0, 1.0], ["a", "b"])
    with pytest.raises(ValueError, match="sum to zero"):
        paired_test([1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0], ["a", "b"])
    with pytest.raises(ValueError, match="lengths differ"):
        paired_test([1.0, 1.0], [1.0, 1.0], [1.0], [1.0], ["a", "b"])
    with pytest.raises(ValueError, match="lengths differ"):
        interval([1.0, 1.0], [1.0, 1.0], Design(["a", "b", "c"]))


SPEAKERS, UTTERANCES = 10, 30
LABELS = [speaker for speaker in range(SPEAKERS) for _ in range(UTTERANCES)]
ONES = np.ones(len(LABELS))


def simulated(generator: np.random.Generator, mean: float = 0.7) -> np.ndarray:
    between = generator.normal(0.0, 0.05, SPEAKERS)[:, None]
    return (mean + between + generator.normal(0.0, 0.04, (SPEAKERS, UTTERANCES))).ravel()


def test_a_difference_that_speakers_share_is_seen() -> None:
    generator = np.random.default_rng(3)
    first = simulated(generator)
    second = first - 0.02 + generator.normal(0.0, 0.01, len(first))
    found = paired_test(first, ONES, second, ONES, LABELS)
    assert found.value == pytest.approx(0.02, abs=0.003)
    assert found.p_value is not None
    assert found.p_value < 1e-4
    # The same scores as two separate intervals overlap widely: pairing is what shows the difference
    a, b = (interval(values, ONES, LABELS) for values in (first, second))
    assert a is not None
    assert b is not None
    assert a.low < b.high


def test_copies_of_scores_say_nothing_new() -> None:
    """Ten copies of each score change nothing for speakers, while they would halve a naive interval and more."""
    values = np.random.default_rng(4).normal(size=12)
    labels = [f"s{place}" for place in range(12)]
    once = interval(values, np.ones(12), labels)
    copied = interval(np.repeat(values, 10), np.ones(120), list(np.repeat(labels, 10)))
    assert once is not None
    assert copied is not None
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.05)


def test_crossed_differences() -> None:
    rng = np.random.default_rng(6)
    source, target = np.repeat(np.arange(8), 16), np.tile(np.repeat(np.arange(8), 2), 8)
    values = rng.normal(0, 0.1, 8)[source] + rng.normal(0, 0.1, 8)[target] + rng.normal(0, 0.04, 128)
    ones = np.ones(128)
    noisy = values + 0.05 + rng.normal(0, 0.02, 128)
    found = paired_test(noisy, ones, values, ones, target.tolist(), source.tolist())
    assert found.p_value is not None
    assert found.interval is not None
    assert found.p_value < 0.001
    assert found.interval.low < 0.05 < found.interval.high
    same = paired_test(values, ones, values, ones, target.tolist(), source.tolist())
    assert (same.value, same.p_value) == (0.0, 1.0)


def test_a_threshold_widens_rates_of_all_and_none_as_little_as_others() -> None:
    speakers = [place // 4 for place in range(40)]
    for outcomes in ([1.0] * 40, [0.0] * 40, [1.0] * 20 + [0.0] * 20):
        alone, wider = (
            interval(outcomes, np.ones(40), speakers, kind="rate", added_variance=added) for added in (0.0, 0.03**2)
        )
        assert alone is not None
        assert wider is not None
        gained = (wider.high - wider.low) - (alone.high - alone.low)
        assert 0.0 < gained < 0.15
        assert 0.0 <= wider.low <= alone.low <= alone.high <= wider.high <= 1.0


def test_what_can_not_be_negative_has_no_interval_below_zero() -> None:
    values = [0.0] * 10 + [1.0, 4.0]
    found = interval(values, np.ones(12), [place // 2 for place in range(12)])
    assert found is not None
    assert found.low == 0.0
    shifted = interval([value - 0.1 for value in values], np.ones(12), [place // 2 for place in range(12)])
    assert shifted is not None
    assert shifted.low < -0.1
