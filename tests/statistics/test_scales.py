"""A scale between impostors and same-speaker trials: how far its ends' uncertainty moves places on it."""

from __future__ import annotations

import numpy as np
import pytest
from trials_of_voices import scored_trials

from vceval.statistics.scales import mean_draws, scale_variance


def _learnt(draws: list[list[float]], speakers: int = 10) -> dict[str, dict[str, object]]:
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
    learnt = _learnt([[0.1, 0.7], [0.2, 0.8], [0.3, 0.9]])
    places, ones = np.full(5, 0.5), np.ones(5)
    moved = np.var([4 / 6, 3 / 6, 2 / 6], ddof=1) * 10 / 9
    assert scale_variance(places, ones, ["d"] * 5, learnt) == pytest.approx(moved)
    assert scale_variance(places, ones, ["d"] * 5, learnt, places + 0.3, ones) == pytest.approx(0.0, abs=1e-12)
    stretched = _learnt([[0.2, 0.7], [0.2, 0.8], [0.2, 0.9]])
    lengths = np.array([0.6 / 0.5, 1.0, 0.6 / 0.7])
    wanted = np.var(0.3 * lengths, ddof=1) * 10 / 9
    assert scale_variance(places + 0.3, ones, ["d"] * 5, stretched, places, ones) == pytest.approx(wanted)


def test_what_is_not_known_has_no_variance() -> None:
    ones = np.ones(2)
    assert scale_variance(ones, ones, ["d", "d"], {}) is None
    assert scale_variance(ones, ones, ["d", "d"], _learnt([[0.2, 0.8]] * 3, speakers=2)) is None
