"""Equal error rates: equal to other tools' on the same scores, and sound where scores tie."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials_of_voices import scored_trials

from vceval.statistics.eer import _counted, _crossing, equal_error_rate, error_curve, error_rate_intervals

METHODS = ("interpolated", "rocch", "nearest")
scores = st.lists(st.integers(-20, 20), min_size=1, max_size=30).map(lambda values: np.array(values) / 8.0)


def test_equal_to_other_tools(shared):
    with open(shared / "gold" / "eer.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 7
    middles = set()
    for row in rows:
        stored = np.load(shared / "gold" / "scores" / f"{row['set']}.npz")
        target, nontarget = stored["target"], stored["nontarget"]
        expected = {
            "interpolated": (float(row["eer_brentq_all_points"]), float(row["threshold_all_points"])),
            "rocch": (float(row["eer_rocch"]), None),
            "nearest": (
                float(row["eer_nanargmin_all_points_mean"]),
                float(row["threshold_nanargmin_all_points"]),
            ),
        }
        for method, (rate, threshold) in expected.items():
            found = equal_error_rate(target, nontarget, method)
            assert found[0] == pytest.approx(rate, abs=1e-9), (row["set"], method)
            if threshold is None:
                continue
            known = np.sort(np.concatenate([target, nontarget]))
            edge = known[np.argmin(np.abs(known - threshold))]
            if np.sum(target < edge) * len(nontarget) == np.sum(nontarget >= edge) * len(target):
                # The tools take the upper edge of a gap of equal errors, which is a score; here it is the middle
                assert edge == pytest.approx(threshold, abs=1e-9)
                threshold = (edge + known[known < edge].max()) / 2
                middles.add(row["set"])
            assert found[1] == pytest.approx(threshold, abs=1e-9), (row["set"], method)
    assert middles == {"small_20_20", "medium_200_2000", "large_3000_27000", "separated_50_500"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("target", "nontarget", "expected"),
    [
        ([0.8, 0.7], [0.1, 0.3], (0.0, 0.5)),  # apart
        ([0.9, 0.8, 0.6, 0.2], [0.7, 0.4, 0.3, 0.1], (0.25, 0.5)),  # one error of four on either side
        ([0.9, 0.8, 0.6, 0.6, 0.2], [0.7, 0.4, 0.3, 0.3, 0.1], (0.2, 0.5)),  # where 1 - 4/5 is not quite 1/5
        ([0.1], [0.9], (1.0, 0.5)),
    ],
)
def test_the_threshold_is_the_middle_of_a_gap_of_equal_errors(method, target, nontarget, expected):
    if method == "rocch" and expected[0] > 0.0:
        expected = equal_error_rate(target, nontarget, "rocch")  # the hull cuts off the point of equal errors
        assert expected[0] < 0.5 + 1e-12
    assert equal_error_rate(target, nontarget, method) == pytest.approx(expected, abs=1e-12)


@given(target=scores, nontarget=scores)
def test_every_threshold_of_the_gap_gives_the_same_rates(target, nontarget):
    """The middle mirrors: turning all signs turns the sign of the threshold."""
    rate, threshold = equal_error_rate(target, nontarget)
    misses, alarms = np.mean(target < threshold), np.mean(nontarget >= threshold)
    if round(misses * len(target)) * len(nontarget) == round(alarms * len(nontarget)) * len(target):
        assert rate == pytest.approx(misses, abs=1e-12)
        assert equal_error_rate(-nontarget, -target)[1] == pytest.approx(-threshold, abs=1e-12)
        assert equal_error_rate(target, nontarget, "nearest") == pytest.approx((rate, threshold), abs=1e-12)


@pytest.mark.parametrize("method", METHODS[:2])  # "nearest" must choose where two points are equally near
@given(target=scores, nontarget=scores)
def test_mirrored_scores_give_the_same_rate(method, target, nontarget):
    """Turning all signs swaps the roles of misses and false alarms."""
    rate, _ = equal_error_rate(target, nontarget, method)
    assert equal_error_rate(-nontarget, -target, method)[0] == pytest.approx(rate, abs=1e-12)
    assert 0.0 <= rate <= 1.0


@pytest.mark.parametrize("method", METHODS)
@given(target=scores, nontarget=scores)
def test_only_the_order_of_scores_matters(method, target, nontarget):
    rate, _ = equal_error_rate(target, nontarget, method)
    assert equal_error_rate(np.exp(target), np.exp(nontarget), method)[0] == pytest.approx(rate, abs=1e-12)
    mixed = np.random.default_rng(0).permutation(target)
    assert equal_error_rate(mixed, nontarget, method)[0] == rate


@given(target=scores, nontarget=scores, kinds=st.tuples(*[st.sampled_from([np.float32, np.float64, np.int64])] * 2))
def test_bisection_finds_what_the_whole_curve_shows(target, nontarget, kinds):
    """The short way of the default method ends where the whole curve crosses the diagonal, ties included."""
    target, nontarget = (8 * target).astype(kinds[0]), (8 * nontarget).astype(kinds[1])
    kept = target.copy()
    found = equal_error_rate(target, nontarget)
    assert found == _crossing(_counted(target, nontarget))
    assert (target == kept).all()


@given(target=scores, nontarget=scores)
def test_curve_counts_what_a_threshold_does(target, nontarget):
    curve = error_curve(target, nontarget)
    for threshold, alarm, miss in zip(*curve, strict=True):
        assert alarm == pytest.approx(np.mean(nontarget >= threshold))
        assert miss == pytest.approx(np.mean(target < threshold))


@given(target=scores, nontarget=scores)
def test_hull_is_never_worse(target, nontarget):
    rocch = equal_error_rate(target, nontarget, "rocch")[0]
    assert rocch <= equal_error_rate(target, nontarget, "interpolated")[0] + 1e-12
    assert rocch <= 0.5 + 1e-12


@given(value=st.floats(-1, 1), m=st.integers(1, 9), n=st.integers(1, 9))
def test_scores_that_all_tie_tell_nothing(value, m, n):
    assert equal_error_rate([value] * m, [value] * n)[0] == pytest.approx(0.5)


def test_weights_count_trials_more_than_once():
    generator = np.random.default_rng(1)
    target, nontarget = generator.normal(1, 1, 20), generator.normal(0, 1, 30)
    weights = generator.integers(0, 3, 20)
    weighted = error_curve(target, nontarget, weights, None)
    repeated = error_curve(np.repeat(target, weights), nontarget)
    at = np.isin(weighted.thresholds[1:], repeated.thresholds[1:])
    assert weighted.misses[1:][at] == pytest.approx(repeated.misses[1:])


def test_interval_over_speakers():
    target, nontarget, *_ = made = scored_trials(12, 6, seed=2, deviation=0.8)
    rate, threshold = equal_error_rate(target, nontarget)
    found = error_rate_intervals(*made, seed=0)
    assert 0.0 <= found.eer[0] < rate < found.eer[1] <= 1.0
    assert found.threshold[0] < threshold < found.threshold[1]
    assert 400 < len(found.draws) <= 500
    assert found.draws.std() < found.threshold[1] - found.threshold[0]
    again = error_rate_intervals(*made, seed=0)
    assert again[:2] == found[:2]
    assert (again.draws == found.draws).all()


def test_draws_are_thresholds_of_resampled_trials():
    target, nontarget, same, different, count = made = scored_trials(6, 4, seed=3)
    draws = error_rate_intervals(*made, seed=7, resamples=20).draws
    generator = np.random.default_rng(7)
    for draw in draws:
        drawn = np.bincount(generator.integers(count, size=count), minlength=count)
        repeated = [
            np.repeat(target, drawn[same[:, 0]]),
            np.repeat(nontarget, drawn[different[:, 0]] * drawn[different[:, 1]]),
        ]
        assert equal_error_rate(*repeated)[1] == pytest.approx(draw, abs=1e-12)


@pytest.mark.parametrize("speakers", [2, 5, 8])
def test_no_error_seen_does_not_mean_none(speakers):
    """Without any error the bound is that of Clopper and Pearson for as many trials as speakers."""
    target, nontarget, *_ = made = scored_trials(speakers, 5, seed=1, deviation=0.05)
    rate, threshold = equal_error_rate(target, nontarget)
    (low, high), (first, last), draws = error_rate_intervals(*made, seed=0)
    assert rate == low == 0.0
    assert high == pytest.approx(1.0 - 0.025 ** (1 / speakers), abs=1e-12)
    assert first < threshold < last
    # of two speakers both must be drawn: all resamples are the same, and yet the threshold is not known exactly
    assert (np.ptp(draws) == 0.0) == (speakers == 2)
    assert threshold == (target.min() + nontarget.max()) / 2


def test_two_speakers_leave_no_spread_but_an_interval():
    """With both drawn a resample is the data, with one there is no different-speaker trial."""
    target, nontarget, *_ = made = scored_trials(2, 5, seed=5, deviation=1.3)
    rate, threshold = equal_error_rate(target, nontarget)
    found = error_rate_intervals(*made, seed=0)
    assert 0.0 < rate < 0.5
    assert found.draws == pytest.approx(threshold, abs=1e-12)
    assert 0.0 < found.eer[0] < rate < found.eer[1] < 1.0
    low, high = found.threshold
    assert low < threshold < high
    for end in (low, high):  # neither error is more frequent there than the bound allows
        assert max(np.mean(target < end), np.mean(nontarget >= end)) <= found.eer[1]


def test_the_intervals_cover_small_error_rates():
    """Percentiles alone cover in about four cases of five here."""
    truth = []
    for seed in range(4):
        target, nontarget, *_ = scored_trials(250, 2, 10_000 + seed, deviation=0.5)
        truth.append(equal_error_rate(target, nontarget)[0])
    truth = np.mean(truth)
    assert 0.03 < truth < 0.08
    ends = np.array(
        [error_rate_intervals(*scored_trials(6, 5, seed, 0.5), seed=seed, resamples=60).eer for seed in range(100)]
    )
    assert np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) >= 0.92
    assert np.mean(ends[:, 1]) < 0.4


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no target score"):
        equal_error_rate([], [0.1])
    with pytest.raises(ValueError, match="no non-target score"):
        equal_error_rate([0.1], [])
    with pytest.raises(ValueError, match="NaN"):
        equal_error_rate([np.nan], [0.1])
    with pytest.raises(ValueError, match="unknown EER method"):
        equal_error_rate([1.0], [0.0], "middle")
