"""What a calibration's uncertainty adds: its threshold to acceptance rates, the ends of its scale to places."""

from __future__ import annotations

import numpy as np
import pytest
from trials_of_voices import scored_trials

from vceval.statistics.calibrations import mean_draws, scale_variance, threshold_variance
from vceval.statistics.eer import equal_error_rate, error_rate_intervals


def learnt(draws, speakers=10):
    return {"threshold": float(np.mean(draws)), "threshold_draws": list(draws), "speakers": speakers}


def test_the_rate_is_taken_at_every_draw():
    calibrations = {"d": learnt([0.5, 0.7, 0.9], speakers=4)}
    # one score, and the mean of three: at 0.5 both pass, at 0.7 the single one does not, at 0.9 neither does
    found = threshold_variance([0.6, 2.4], [1.0, 3.0], ["d", "d"], calibrations)
    assert found == pytest.approx(np.var([1.0, 0.75, 0.0], ddof=1) * 4 / 3)


def test_scores_far_from_the_threshold_are_sure():
    calibrations = {"d": learnt(np.random.default_rng(0).normal(0.7, 0.01, 200))}
    assert threshold_variance([0.1, 0.95, 0.99], [1.0] * 3, ["d"] * 3, calibrations) == 0.0


def test_one_draw_serves_both_systems():
    generator = np.random.default_rng(1)
    calibrations = {"d": learnt(generator.normal(0.7, 0.03, 200))}
    first, names = generator.uniform(0.5, 1.0, 500), ["d"] * 500
    second = first + generator.normal(0, 0.005, 500)
    alone = threshold_variance(first, np.ones(500), names, calibrations)
    both = threshold_variance(first, np.ones(500), names, calibrations, second, np.ones(500))
    assert alone == pytest.approx((2.0 * 0.03) ** 2, rel=0.25)  # the scores' density times the deviation
    assert both < 0.05 * alone
    assert threshold_variance(first, np.ones(500), names, calibrations, first, np.ones(500)) == 0.0
    # another system that the threshold meets elsewhere is not spared
    far = threshold_variance(first, np.ones(500), names, calibrations, first + 0.6, np.ones(500))
    assert far == pytest.approx(alone)


def test_datasets_are_calibrated_apart():
    generator = np.random.default_rng(2)
    calibrations = {name: learnt(generator.normal(0.7, 0.03, 200)) for name in "ab"}
    scores, ones = generator.normal(0.7, 0.1, 400), np.ones(400)
    names = ["a", "b"] * 200
    parts = [threshold_variance(scores[place::2], ones[place::2], names[place::2], calibrations) for place in range(2)]
    whole = threshold_variance(scores, ones, names, calibrations)
    assert whole == pytest.approx(sum(parts) / 4)  # each is half of the pairs
    fixed = {"a": calibrations["a"], "b": {"threshold": 0.7, "threshold_source": "somebody", "speakers": 9}}
    assert threshold_variance(scores, ones, names, fixed) == pytest.approx(parts[0] / 4)


@pytest.mark.parametrize(
    "calibrations",
    [{"d": {"threshold": 0.7, "speakers": 9}}, {"d": learnt([0.7] * 200, speakers=2)}, {"d": learnt([0.7])}],
)
def test_what_is_not_known_is_not_zero(calibrations):
    assert threshold_variance([0.7, 0.8], [1.0, 1.0], ["d", "d"], calibrations) is None


@pytest.mark.parametrize(
    "calibrations",
    [{}, {"d": {"unavailable": "too few"}}, {"d": {"threshold": 0.7, "threshold_source": "somebody", "speakers": 9}}],
)
def test_a_published_constant_adds_nothing(calibrations):
    assert threshold_variance([0.7, 0.8], [1.0, 1.0], ["d", "d"], calibrations) == 0.0


def test_the_variance_is_that_of_new_natural_speech():
    """Acceptance at thresholds of fresh calibrations varies as much as the draws of one of them say."""
    fixed = np.random.default_rng(3).normal(0.4, 0.12, 3_000)
    rates, predicted = [], []
    for seed in range(40):
        made = scored_trials(15, 4, seed)
        rates.append(np.mean(fixed >= equal_error_rate(*made[:2])[1]))
        if seed < 15:
            draws = error_rate_intervals(*made, seed=seed, resamples=200).draws
            predicted.append(threshold_variance(fixed, np.ones(3_000), ["d"] * 3_000, {"d": learnt(draws, 15)}))
    assert np.sqrt(np.mean(predicted)) == pytest.approx(np.std(rates), rel=0.35)
    assert np.std(rates) > 0.02


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="scores of 1 pairs: 2 numerators, 2 denominators"):
        threshold_variance([0.7, 0.8], [1.0, 1.0], ["d"], {})
    with pytest.raises(ValueError, match="scores of 0 pairs"):
        threshold_variance([], [], [], {})


# The scale between impostors and same-speaker trials


def scale_of(draws: list[list[float]], speakers: int = 10) -> dict[str, dict[str, object]]:
    return {"d": {"impostor_mean": 0.2, "same_mean": 0.8, "mean_draws": draws, "speakers": speakers}}


def test_draws_are_means_of_resampled_speakers() -> None:
    same, other, same_speakers, other_speakers, speakers = scored_trials(8, 6, 0)
    draws = mean_draws([(other, other_speakers), (same, same_speakers)], speakers, 0, 300)
    assert draws.shape == (300, 2)
    assert draws.mean(axis=0) == pytest.approx([other.mean(), same.mean()], abs=0.05)
    assert (draws.std(axis=0) > 0.0).all()
    again = mean_draws([(other, other_speakers), (same, same_speakers)], speakers, 0, 300)
    assert (draws == again).all()


def test_a_shift_of_both_ends_moves_a_place_and_no_difference() -> None:
    learnt = scale_of([[0.1, 0.7], [0.2, 0.8], [0.3, 0.9]])
    places, ones = np.full(5, 0.5), np.ones(5)
    moved = np.var([4 / 6, 3 / 6, 2 / 6], ddof=1) * 10 / 9
    assert scale_variance(places, ones, ["d"] * 5, learnt) == pytest.approx(moved)
    assert scale_variance(places, ones, ["d"] * 5, learnt, places + 0.3, ones) == pytest.approx(0.0, abs=1e-12)
    stretched = scale_of([[0.2, 0.7], [0.2, 0.8], [0.2, 0.9]])
    lengths = np.array([0.6 / 0.5, 1.0, 0.6 / 0.7])
    wanted = np.var(0.3 * lengths, ddof=1) * 10 / 9
    assert scale_variance(places + 0.3, ones, ["d"] * 5, stretched, places, ones) == pytest.approx(wanted)


def test_a_scale_that_is_not_known_has_no_variance() -> None:
    ones = np.ones(2)
    assert scale_variance(ones, ones, ["d", "d"], {}) is None
    assert scale_variance(ones, ones, ["d", "d"], scale_of([[0.2, 0.8]] * 3, speakers=2)) is None
