"""A scale for scores of trials: 0 the mean of impostors, 1 the mean of same-speaker trials; and how sure it is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mean_draws", "scale_variance"]

#: With fewer speakers the resamples of a calibration are all alike.
_FEWEST_SPEAKERS = 3


def mean_draws(
    sides: Sequence[tuple[NDArray[np.float64], NDArray[np.intp]]], speakers: int, seed: int, resamples: int
) -> NDArray[np.float64]:
    """Mean score of each side in resamples of speakers, shape (at most resamples, sides).

    A same-speaker trial counts as often as its speaker was drawn, a different-speaker trial as often as both were.
    Resamples without a trial of every side are left out.

    Args:
        sides: scores (m,) of each, and the numbers of the speakers of both recordings (m, 2).
        speakers: how many there are.
        seed: of the resampling.
        resamples: number of draws.
    """
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = np.bincount(generator.integers(speakers, size=speakers), minlength=speakers).astype(np.float64)
        sums = []
        for scores, pairs in sides:
            same = pairs[:, 0] == pairs[:, 1]
            weights = np.where(same, drawn[pairs[:, 0]], drawn[pairs[:, 0]] * drawn[pairs[:, 1]])
            sums.append((float(weights @ scores), float(weights.sum())))
        if all(weight for _, weight in sums):
            found.append([total / weight for total, weight in sums])
    return np.array(found).reshape(-1, len(sides))


def scale_variance(
    numerators: ArrayLike,
    denominators: ArrayLike,
    datasets: Sequence[Hashable],
    calibrations: Mapping[Any, Mapping[str, Any]],
    less_numerators: ArrayLike | None = None,
    less_denominators: ArrayLike | None = None,
) -> float | None:
    """Variance of a mean place on the scale, or of a difference of two, that comes from the scale's ends alone.

    It is to be added to the variance over pairs and speakers. The mean place is computed again with the ends of each
    resample of the natural speech's speakers. Of a difference only the length of the scale moves. Datasets were
    calibrated apart, and their variances add up.

    Args:
        numerators: sums of places, one per pair, shape (n,).
        denominators: how many places each sum holds.
        datasets: dataset of each pair.
        calibrations: dataset to what was learnt of it: ``impostor_mean``, ``same_mean``, ``mean_draws``, ``speakers``.
        less_numerators: of the other system, on the same pairs, where a difference is asked for.
        less_denominators: likewise.

    Returns:
        The variance; None where it is not known: nothing is kept of it, or there are fewer than three speakers.

    Source: variance of a bootstrap over k speakers, widened by k / (k - 1): Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997.
    """
    sides = [(np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64))]
    if less_numerators is not None and less_denominators is not None:
        sides.append((np.asarray(less_numerators, dtype=np.float64), np.asarray(less_denominators, dtype=np.float64)))
    names = np.array([str(name) for name in datasets])
    total = 0.0
    for name in sorted(set(datasets), key=str):
        learnt = calibrations.get(name, {})
        draws = np.asarray(learnt.get("mean_draws", ()), dtype=np.float64)
        speakers = int(learnt.get("speakers", 0))
        if len(draws) < 2 or speakers < _FEWEST_SPEAKERS:
            return None
        low, high = float(learnt["impostor_mean"]), float(learnt["same_mean"])
        lows, lengths = draws[:, 0], draws[:, 1] - draws[:, 0]
        places = []
        for sums, counts in sides:
            mine = names == str(name)
            # Cosines, which the ends do not move, out of places
            cosines = low * counts[mine].sum() + (high - low) * sums[mine].sum()
            places.append((cosines - lows * counts[mine].sum()) / lengths / counts.sum())
        moved = places[0] - places[1] if len(places) > 1 else places[0]
        total += float(np.var(moved, ddof=1)) * speakers / (speakers - 1)
    return total
