"""Equal error rate of a detector, and the threshold that gives it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vceval.statistics.intervals import percentile_levels

__all__ = ["ErrorCurve", "Method", "equal_error_rate", "error_curve", "error_rate_intervals"]

Method = Literal["interpolated", "rocch", "nearest"]


class ErrorCurve(NamedTuple):
    """Error rates at every threshold: score >= threshold accepts.

    All of shape (k + 1,), for k distinct scores in falling order. The first point accepts nothing; its
    threshold is the highest score + 1.
    """

    thresholds: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    misses: NDArray[np.float64]


def equal_error_rate(
    target_scores: ArrayLike, nontarget_scores: ArrayLike, method: Method = "interpolated"
) -> tuple[float, float]:
    """Find the error rate at which false alarms and misses are equally frequent, and the threshold there.

    Args:
        target_scores: scores of trials that should be accepted, shape (m,), higher is more alike.
        nontarget_scores: scores of trials that should be rejected, shape (n,).
        method: ``interpolated`` draws straight lines between the points of the error curve, one point for every
            distinct score; ``rocch`` crosses the lower convex hull of the curve; ``nearest`` takes the point
            where the two rates differ least (the highest such threshold) and averages them.

    Returns:
        EER as a fraction (0 to 1) and the threshold; a score >= threshold accepts. Scores that tie are accepted
        or rejected together. Where all targets score above all non-targets the threshold is the lowest target.

    Raises:
        ValueError: no target or no non-target score, a score that is not finite, or an unknown method.

    Source: ``interpolated`` is what brentq on an interpolated ROC curve converges to, found here from sorted scores;
    ``rocch``: Brümmer and de Villiers, "The BOSARIS toolkit user guide", 2011.
    """
    if method == "interpolated":
        target, nontarget = _ordered("target", target_scores), _ordered("non-target", nontarget_scores)
        if target.dtype != nontarget.dtype:
            target, nontarget = target.astype("float64"), nontarget.astype("float64")
        return _crossing(*_around_crossing(target, nontarget))
    curve = error_curve(target_scores, nontarget_scores)
    if method == "rocch":
        hull = _lower_hull(curve.false_alarms, curve.misses)
        return _crossing(curve.thresholds[hull], curve.false_alarms[hull], curve.misses[hull])
    if method == "nearest":
        best = int(np.argmin(np.abs(curve.misses - curve.false_alarms)))
        return float((curve.misses[best] + curve.false_alarms[best]) / 2.0), float(curve.thresholds[best])
    raise ValueError(f"unknown EER method {method!r}; known: interpolated, rocch, nearest")


def error_curve(
    target_scores: ArrayLike,
    nontarget_scores: ArrayLike,
    target_weights: ArrayLike | None = None,
    nontarget_weights: ArrayLike | None = None,
) -> ErrorCurve:
    """Compute false-alarm and miss rates at every distinct score.

    Weights (none negative, not all zero) count a trial more than once; they default to one.

    Raises:
        ValueError: no target or no non-target score, or a score that is not finite.
    """
    scores, weights = [], []
    for name, given, weight in (
        ("target", target_scores, target_weights),
        ("non-target", nontarget_scores, nontarget_weights),
    ):
        values = np.asarray(given, dtype=np.float64).ravel()
        if not len(values):
            raise ValueError(f"no {name} score: an equal error rate needs both kinds of trial")
        if not np.isfinite(values).all():
            raise ValueError(f"a {name} score is NaN or infinite")
        scores.append(values)
        weights.append(np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64).ravel())
    # -scores rise where scores fall, and searchsorted wants rising values
    thresholds = -np.unique(-np.concatenate(scores))
    accepted = [_accepted(values, weight, thresholds) for values, weight in zip(scores, weights, strict=True)]
    return ErrorCurve(np.concatenate([thresholds[:1] + 1.0, thresholds]), accepted[1], 1.0 - accepted[0])


def _ordered(name: str, given: ArrayLike) -> NDArray[np.floating[Any]]:
    """Copy and sort scores, in their own precision."""
    values = np.array(given).ravel()
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if not len(values):
        raise ValueError(f"no {name} score: an equal error rate needs both kinds of trial")
    values.sort()
    if not (np.isfinite(values[0]) and np.isfinite(values[-1])):  # NaN sorts last
        raise ValueError(f"a {name} score is NaN or infinite")
    return values


def _around_crossing(targets: NDArray[np.floating[Any]], nontargets: NDArray[np.floating[Any]]) -> ErrorCurve:
    """Find the two points of the error curve between which it crosses the diagonal, in sorted scores.

    Bisection in both arrays instead of the whole curve: millions of scores cost their sorting and no more memory.
    """

    def rates(threshold: np.floating[Any]) -> tuple[float, float]:
        alarms, accepted = (
            (len(values) - int(np.searchsorted(values, threshold))) / len(values) for values in (nontargets, targets)
        )
        return alarms, 1.0 - accepted

    after, before = [], []
    for values in (targets, nontargets):
        low, high = 0, len(values)  # at the lowest score there are as many false alarms as misses, or more
        while high - low > 1:
            middle = (low + high) // 2
            alarms, misses = rates(values[middle])
            low, high = (middle, high) if alarms >= misses else (low, middle)
        after.append(values[low])
        before += list(values[high : high + 1])
    last = max(after)
    first = min(before) if before else None
    (alarm_before, miss_before), (alarm, miss) = (0.0, 1.0) if first is None else rates(first), rates(last)
    above = float(last) + 1.0 if first is None else float(first)
    return ErrorCurve(np.array([above, float(last)]), np.array([alarm_before, alarm]), np.array([miss_before, miss]))


def _accepted(
    scores: NDArray[np.float64], weights: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the weight that lies at or above each threshold, a zero for the point that accepts nothing first."""
    order = np.argsort(-scores, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    count = np.searchsorted(-scores[order], -thresholds, side="right")
    shares: NDArray[np.float64] = np.concatenate([[0.0], total[count] / total[-1]])
    return shares


def _crossing(
    thresholds: NDArray[np.float64], false_alarms: NDArray[np.float64], misses: NDArray[np.float64]
) -> tuple[float, float]:
    """Cross a falling-threshold error curve with the diagonal, with straight lines between its points."""
    after = int(np.argmax(false_alarms >= misses))  # at least 1: the first point has no false alarm and all misses
    before = after - 1
    gap_before = misses[before] - false_alarms[before]
    gap_after = false_alarms[after] - misses[after]
    share = gap_before / (gap_before + gap_after)
    rate = false_alarms[before] + share * (false_alarms[after] - false_alarms[before])
    if false_alarms[after] == false_alarms[before]:
        share = 1.0  # no non-target lies between the two thresholds: take the one that accepts more targets
    return float(rate), float(thresholds[before] + share * (thresholds[after] - thresholds[before]))


def _lower_hull(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[int]:
    """Indices of the lower convex hull of points whose x never falls and whose y never rises."""
    hull: list[int] = []
    for index in range(len(x)):
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (x[b] - x[a]) * (y[index] - y[a]) <= (y[b] - y[a]) * (x[index] - x[a]):
                hull.pop()
            else:
                break
        hull.append(index)
    return hull


def error_rate_intervals(
    target_scores: NDArray[np.float64],
    nontarget_scores: NDArray[np.float64],
    target_speakers: NDArray[np.intp],
    nontarget_speakers: NDArray[np.intp],
    speakers: int,
    seed: int,
    *,
    resamples: int = 500,
    confidence: float = 0.95,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bootstrap intervals of the interpolated EER and of its threshold over speakers.

    A resample draws speakers with replacement; a same-speaker trial counts as often as its speaker was drawn, a
    different-speaker trial as often as both were. Percentiles are widened for few speakers.

    Args:
        target_scores: (m,).
        nontarget_scores: (n,).
        target_speakers: (m, 2) numbers of the speakers on both sides (equal).
        nontarget_speakers: (n, 2) likewise (different).
        speakers: how many speakers there are, at least 2.
        seed: of the resampling.
        resamples: number of draws; those without one kind of trial are left out.
        confidence: nominal coverage.

    Returns:
        Lower and upper end of the EER, as fractions, and of the threshold.
    """
    thresholds = -np.unique(-np.concatenate([target_scores, nontarget_scores]))
    sides = []
    for scores, pairs in ((target_scores, target_speakers), (nontarget_scores, nontarget_speakers)):
        order = np.argsort(-scores, kind="stable")
        sides.append((pairs[order], np.searchsorted(-scores[order], -thresholds, side="right")))
    places = np.concatenate([thresholds[:1] + 1.0, thresholds])
    generator = np.random.default_rng(seed)
    points = []
    for _ in range(resamples):
        drawn = np.bincount(generator.integers(speakers, size=speakers), minlength=speakers).astype(np.float64)
        shares = []
        for pairs, count in sides:
            same = pairs[:, 0] == pairs[:, 1]
            weights = np.where(same, drawn[pairs[:, 0]], drawn[pairs[:, 0]] * drawn[pairs[:, 1]])
            total = np.concatenate([[0.0], np.cumsum(weights)])
            shares.append(np.concatenate([[0.0], total[count] / total[-1]]) if total[-1] else None)
        accepted, alarms = shares
        if accepted is not None and alarms is not None:
            points.append(_crossing(places, alarms, 1.0 - accepted))
    levels = percentile_levels(speakers, confidence)
    (eer_low, eer_high), (low, high) = np.quantile(np.array(points), levels, axis=0).T
    return (float(eer_low), float(eer_high)), (float(low), float(high))
