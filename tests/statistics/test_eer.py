"""Equal error rates: equal to other tools' on the same scores, and sound where scores tie."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.statistics.eer import _crossing, equal_error_rate, error_curve, error_rate_intervals

METHODS = ("interpolated", "rocch", "nearest")
scores = st.lists(st.integers(-20, 20), min_size=1, max_size=30).map(lambda values: np.array(values) / 8.0)


def test_equal_to_other_tools(shared):
    with open(shared / "gold" / "eer.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 7
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
            if threshold is not None:
                assert found[1] == pytest.approx(threshold, abs=1e-9), (row["set"], method)


def test_by_hand():
    # 1 of 4 targets below and 1 of 4 non-targets above 0.5
    target, nontarget = [0.9, 0.8, 0.6, 0.2], [0.7, 0.4, 0.3, 0.1]
    for method in METHODS[::2]:
        assert equal_error_rate(target, nontarget, method)[0] == pytest.approx(0.25)
    assert equal_error_rate(target, nontarget) == (0.25, 0.6)


def test_separated_scores_accept_every_target():
    rate, threshold = equal_error_rate([0.8, 0.7], [0.1, 0.3])
    assert (rate, threshold) == (0.0, 0.7)
    assert equal_error_rate([0.1], [0.9])[0] == 1.0


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
    assert found == _crossing(*error_curve(target, nontarget))
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
    generator = np.random.default_rng(2)
    speakers = np.repeat(np.arange(12), 20)
    target = generator.normal(1.5, 1, 240) + generator.normal(0, 0.5, 12)[speakers]
    pairs = np.stack([speakers, (speakers + generator.integers(1, 12, 240)) % 12], axis=1)
    nontarget = generator.normal(0, 1, 240)
    same = np.stack([speakers, speakers], axis=1)
    rate, threshold = equal_error_rate(target, nontarget)
    found = error_rate_intervals(target, nontarget, same, pairs, 12, seed=0)
    (low, high), (threshold_low, threshold_high) = found
    assert 0.0 <= low < rate < high <= 1.0
    assert threshold_low < threshold < threshold_high
    assert found == error_rate_intervals(target, nontarget, same, pairs, 12, seed=0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no target score"):
        equal_error_rate([], [0.1])
    with pytest.raises(ValueError, match="no non-target score"):
        equal_error_rate([0.1], [])
    with pytest.raises(ValueError, match="NaN"):
        equal_error_rate([np.nan], [0.1])
    with pytest.raises(ValueError, match="unknown EER method"):
        equal_error_rate([1.0], [0.0], "middle")
