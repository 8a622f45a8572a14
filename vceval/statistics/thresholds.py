"""How far a calibrated threshold's own uncertainty moves the shares of scores that it accepts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["threshold_variance"]

#: With fewer speakers the resamples of a calibration are all alike.
_FEWEST_SPEAKERS = 3


def threshold_variance(
    numerators: ArrayLike,
    denominators: ArrayLike,
    datasets: Sequence[Hashable],
    calibrations: Mapping[Any, Mapping[str, Any]],
    less_numerators: ArrayLike | None = None,
    less_denominators: ArrayLike | None = None,
) -> float | None:
    """Variance of an acceptance rate, or of a difference of two, that comes from the thresholds alone.

    It is to be added to the variance over pairs and speakers, which takes the threshold for known. The rate is computed
    again at each threshold that resampling the speakers of the natural speech gave. For a difference both systems
    meet the same threshold in each draw, so that what moves them alike moves nothing: two systems that both stay far
    from the threshold, or are equally near to it, differ as surely as before. Datasets were calibrated apart, and
    their variances add up.

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

    Source: variance of a bootstrap over k speakers, widened by k / (k - 1): Davison and Hinkley, "Bootstrap Methods and
    their Application", 1997.
    """
    sides = [_scores(numerators, denominators, len(datasets))]
    if less_numerators is not None and less_denominators is not None:
        sides.append(_scores(less_numerators, less_denominators, len(datasets)))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(datasets))}
    of_pair = np.array([numbers[name] for name in datasets])
    total = 0.0
    for name, number in numbers.items():
        learnt = calibrations.get(name, {})
        if "threshold" not in learnt or "threshold_source" in learnt:
            continue
        draws = np.asarray(learnt.get("threshold_draws", ()), dtype=np.float64)
        speakers = int(learnt.get("speakers", 0))
        if len(draws) < 2 or speakers < _FEWEST_SPEAKERS:
            return None
        mine = of_pair == number
        rates, *less = (_accepted(scores[mine], counts[mine], draws) / counts.sum() for scores, counts in sides)
        moved = rates - less[0] if less else rates
        total += float(np.var(moved - moved[0], ddof=1)) * speakers / (speakers - 1)
    return total


def _scores(
    numerators: ArrayLike, denominators: ArrayLike, pairs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean score of each pair, and how many scores it holds."""
    sums, counts = (np.asarray(values, dtype=np.float64).ravel() for values in (numerators, denominators))
    if not pairs or {len(sums), len(counts)} != {pairs}:
        raise ValueError(f"scores of {pairs} pairs: {len(sums)} numerators, {len(counts)} denominators")
    return sums / counts, counts


def _accepted(
    scores: NDArray[np.float64], counts: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Count the scores at or above each threshold."""
    order = np.argsort(scores)
    rejected = np.concatenate([[0.0], np.cumsum(counts[order])])
    accepted: NDArray[np.float64] = rejected[-1] - rejected[np.searchsorted(scores[order], thresholds)]
    return accepted
