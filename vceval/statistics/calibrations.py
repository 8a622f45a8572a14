"""What a calibration's own uncertainty adds to that of figures: of thresholds and of the scale of places.

A corpus's natural speech is of few speakers. Resamples of these give other thresholds and other ends of the scale; a
figure is made again with each, and its variance over them is to be added to that over pairs and speakers, which takes
what was learnt for known.

Source: variance of a bootstrap over k speakers, widened by k / (k - 1): Davison and Hinkley, "Bootstrap Methods and
their Application", 1997.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mean_draws", "scale_variance", "threshold_variance"]

#: With fewer speakers the resamples of a calibration are all alike.
_FEWEST_SPEAKERS = 3

_Learnt = Mapping[str, Any]
_Array = NDArray[np.float64]


def mean_draws(sides: Sequence[tuple[_Array, NDArray[np.intp]]], speakers: int, seed: int, resamples: int) -> _Array:
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


def threshold_variance(
    numerators: ArrayLike,
    denominators: ArrayLike,
    datasets: Sequence[Hashable],
    calibrations: Mapping[Any, _Learnt],
    less_numerators: ArrayLike | None = None,
    less_denominators: ArrayLike | None = None,
) -> float | None:
    """Variance of an acceptance rate, or of a difference of two, that comes from the thresholds alone.

    For a difference both systems meet the same threshold in each draw, so that what moves them alike moves nothing: two
    systems that both stay far from the threshold, or are equally near to it, differ as surely as before. Datasets were
    calibrated apart, and their variances add up.

    Args:
        numerators: sums of the scores that are compared with the threshold, one per pair, shape (n,).
        denominators: how many scores each sum holds, likewise; a pair of several counts as if each were their mean.
        datasets: dataset of each pair; leave out pairs that have no acceptance.
        calibrations: dataset to what was learnt of it, as in ``calibration.json``: ``threshold``, ``threshold_draws``
            and ``speakers``. Where no threshold was learnt, or a published one stands there (``threshold_source``),
            scores were accepted at a constant, which adds nothing.
        less_numerators: of the other system, on the same pairs, where a difference is asked for.
        less_denominators: likewise.

    Returns:
        The variance, of rates as fractions; None where a threshold's uncertainty is not known: nothing is kept of it,
        or the natural speech is of fewer than three speakers.

    Raises:
        ValueError: lengths differ, or there are no scores.
    """

    def moved(sums: _Array, counts: _Array, learnt: _Learnt) -> _Array | None:
        if "threshold" not in learnt or "threshold_source" in learnt:
            return None
        scores, draws = sums / counts, np.asarray(learnt.get("threshold_draws", ()), dtype=np.float64)
        order = np.argsort(scores)
        rejected = np.concatenate([[0.0], np.cumsum(counts[order])])
        accepted: _Array = rejected[-1] - rejected[np.searchsorted(scores[order], draws)]
        return accepted

    sides = _sides(numerators, denominators, less_numerators, less_denominators, len(datasets))
    return _variance(sides, datasets, calibrations, moved)


def scale_variance(
    numerators: ArrayLike,
    denominators: ArrayLike,
    datasets: Sequence[Hashable],
    calibrations: Mapping[Any, _Learnt],
    less_numerators: ArrayLike | None = None,
    less_denominators: ArrayLike | None = None,
) -> float | None:
    """Variance of a mean place on the scale, or of a difference of two, that comes from the scale's ends alone.

    On the scale 0 is the mean of impostors and 1 the mean of same-speaker trials. Of a difference only its length
    moves. Datasets were calibrated apart, and their variances add up.

    Args:
        numerators: sums of places, one per pair, shape (n,).
        denominators: how many places each sum holds.
        datasets: dataset of each pair.
        calibrations: dataset to what was learnt of it: ``impostor_mean``, ``same_mean``, ``mean_draws``, ``speakers``.
        less_numerators: of the other system, on the same pairs, where a difference is asked for.
        less_denominators: likewise.

    Returns:
        The variance; None where it is not known: nothing is kept of it, or there are fewer than three speakers.

    Raises:
        ValueError: lengths differ, or there are no places.
    """

    def moved(sums: _Array, counts: _Array, learnt: _Learnt) -> _Array:
        draws = np.asarray(learnt.get("mean_draws", ()), dtype=np.float64).reshape(-1, 2)
        if not len(draws):
            return draws[:, 0]
        low, high = float(learnt["impostor_mean"]), float(learnt["same_mean"])
        # Cosines, which the ends do not move, out of places
        cosines = low * counts.sum() + (high - low) * sums.sum()
        places: _Array = (cosines - draws[:, 0] * counts.sum()) / (draws[:, 1] - draws[:, 0])
        return places

    sides = _sides(numerators, denominators, less_numerators, less_denominators, len(datasets))
    return _variance(sides, datasets, calibrations, moved)


def _sides(
    numerators: ArrayLike, denominators: ArrayLike, less: ArrayLike | None, of_less: ArrayLike | None, pairs: int
) -> list[tuple[_Array, _Array]]:
    """Sums and counts of one system or of two, one per pair."""
    given = [(numerators, denominators)] if less is None or of_less is None else [
        (numerators, denominators), (less, of_less)
    ]  # fmt: skip
    sides = []
    for one in given:
        sums, counts = (np.asarray(values, dtype=np.float64).ravel() for values in one)
        if not pairs or {len(sums), len(counts)} != {pairs}:
            raise ValueError(f"scores of {pairs} pairs: {len(sums)} numerators, {len(counts)} denominators")
        sides.append((sums, counts))
    return sides


def _variance(
    sides: Sequence[tuple[_Array, _Array]],
    datasets: Sequence[Hashable],
    calibrations: Mapping[Any, _Learnt],
    moved: Callable[[_Array, _Array, _Learnt], _Array | None],
) -> float | None:
    """Variance over draws of a figure, or of a difference of two; ``moved`` has the figure's sum in one corpus.

    It gives the sum in each draw, or None where nothing was learnt that could move it.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(datasets))}
    of_pair = np.array([numbers[name] for name in datasets])
    total = 0.0
    for name, number in numbers.items():
        learnt, mine = calibrations.get(name, {}), of_pair == number
        draws = [moved(sums[mine], counts[mine], learnt) for sums, counts in sides]
        figures = [draw / counts.sum() for draw, (_, counts) in zip(draws, sides, strict=True) if draw is not None]
        if not figures:
            continue
        speakers = int(learnt.get("speakers", 0))
        if len(figures[0]) < 2 or speakers < _FEWEST_SPEAKERS:
            return None
        spread = figures[0] - figures[1] if len(figures) > 1 else figures[0]
        total += float(np.var(spread - spread[0], ddof=1)) * speakers / (speakers - 1)
    return total
