"""How well a detector tells natural from converted speech: EER or AUC of its scores, with an interval over speakers.

Half means "not at all": the detector guesses. Zero (EER) and one (AUC) mean that every converted recording is found
out; beyond one half, converted speech scores above natural speech, which copying a prompt can do.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vceval.statistics.bootstrap import percentile_levels
from vceval.statistics.inference import Difference, Estimate, Interval, judged

__all__ = ["ENOUGH", "Separation", "paired_separation", "separation"]

#: Natural scores of the speakers concerned that are enough to leave those of all other speakers out.
ENOUGH = 30
#: Numbers in the largest array held at once while resampling.
_BLOCK = 1 << 22


class Separation(NamedTuple):
    """A figure, and what it is in each draw of speakers, shape (resamples,); NaN where a draw has none.

    Nothing is drawn of fewer than two speakers.
    """

    value: float
    drawn: NDArray[np.float64]
    speakers: int

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Percentiles of the draws, widened for few speakers; None where none was drawn or all are alike."""
        known = self.drawn[np.isfinite(self.drawn)]
        if not len(known) or np.ptp(known) == 0.0:
            return None
        low, high = np.quantile(known, percentile_levels(self.speakers, confidence))
        return Interval(float(low), float(high), confidence, self.speakers, 0, 0, self.speakers - 1.0, "bootstrap")


def separation(
    kind: Literal["eer", "auc"],
    natural: Mapping[Hashable, ArrayLike],
    scores: ArrayLike,
    speakers: Sequence[Hashable],
    *,
    resamples: int = 1000,
    seed: int = 12_345,
) -> Separation | None:
    """Compare scores of converted speech with scores of natural speech.

    Only natural scores of the speakers in ``speakers`` count where there are at least :data:`ENOUGH` of them: some
    voices are easier to recognise than others. Where there are fewer, those of all speakers do.

    Whole speakers are drawn. A drawn speaker brings the converted and the natural scores
    along, as often as it was drawn; natural scores of other speakers stay as they are. The same
    speakers in the same order give the same draws.

    Args:
        kind: ``eer``, the interpolated equal error rate of accepting natural and rejecting converted speech, or
            ``auc``, the probability that a natural score is above a converted one, ties counting half.
        natural: speaker to scores of natural speech; higher is more natural.
        scores: scores of converted speech, shape (n,).
        speakers: target speaker of each of them.
        resamples: number of bootstrap draws.
        seed: of the draws.

    Returns:
        The figure and its draws, as fractions, or None where either kind of score is missing.

    Raises:
        ValueError: lengths differ, or a score is NaN or infinite.

    Source: natural against converted trials: Baas, van Niekerk, Kamper, "Voice conversion with just nearest
    neighbors", Interspeech 2023; AUC: Hanley and McNeil, Radiology 143, 1982; speakers resampled as in
    :func:`vceval.statistics.bootstrap.resample`.
    """
    converted = np.asarray(scores, dtype=np.float64).ravel()
    if len(converted) != len(speakers):
        raise ValueError(f"lengths differ: {len(converted)} scores, {len(speakers)} speakers")
    names = list(dict.fromkeys(speakers))
    number = {name: index for index, name in enumerate(names)}
    own = {name: values for name, values in natural.items() if name in number}
    if sum(np.size(values) for values in own.values()) < ENOUGH:
        own = dict(natural)
    real = np.concatenate([np.asarray(values, dtype=np.float64).ravel() for values in own.values()] or [np.empty(0)])
    if not len(real) or not len(converted):
        return None
    if not (np.isfinite(real).all() and np.isfinite(converted).all()):
        raise ValueError("a score is NaN or infinite")
    # Natural scores of speakers who are not resampled belong to one more cluster, which every draw holds once
    others = len(names)
    clusters = np.concatenate([np.full(np.size(values), number.get(name, others)) for name, values in own.items()])
    sides = _Sides(real, clusters, converted, np.array([number[name] for name in speakers]), others + 1)
    figure = sides.equal_errors if kind == "eer" else sides.area
    drawn = np.empty(0)
    if others >= 2:
        generator = np.random.default_rng(seed)
        weights = np.ones((resamples, others + 1))
        for row, numbers in zip(weights, generator.integers(others, size=(resamples, others)), strict=True):
            row[:others] = np.bincount(numbers, minlength=others)
        step = max(1, _BLOCK // (others + 1))
        drawn = np.concatenate([figure(weights[start : start + step]) for start in range(0, resamples, step)])
    return Separation(float(figure(np.ones((1, others + 1)))[0]), drawn, others)


def paired_separation(
    first: Separation, second: Separation, best: float | None = None, confidence: float = 0.95
) -> Difference:
    """Compare two systems on the same pairs by the same draws of speakers: first minus second.

    With ``best``, the distances from it are compared: what is negative says that the first is closer. The standard
    error is the standard deviation of the drawn differences, widened by sqrt(k / (k - 1)) for k speakers; interval and
    p-value follow from Student's t.

    Raises:
        ValueError: the draws are of different numbers of speakers, so they are not of the same pairs.
    """
    if first.speakers != second.speakers or len(first.drawn) != len(second.drawn):
        raise ValueError(f"draws differ: of {first.speakers} and of {second.speakers} speakers")
    (value, drawn), (other, others) = (
        (one.value, one.drawn) if best is None else (abs(one.value - best), np.abs(one.drawn - best))
        for one in (first, second)
    )
    known = (drawn - others)[np.isfinite(drawn - others)]
    difference = 0.0 if abs(value - other) <= 1e-12 else value - other
    if len(known) < 2:
        return Difference(difference, None, None)
    error = float(known.std(ddof=1)) * sqrt(first.speakers / (first.speakers - 1))
    freedom = first.speakers - 1.0
    found = Estimate(difference, 0.0 if error <= 1e-12 else error, freedom, {})
    return judged(found, (first.speakers, 0, 0), 2.0**-freedom, confidence, "bootstrap")


class _Sides:
    """Counts of both kinds of score per cluster, from which the figures of any weighting of clusters follow."""

    def __init__(
        self,
        natural: NDArray[np.float64],
        natural_clusters: NDArray[np.intp],
        converted: NDArray[np.float64],
        converted_clusters: NDArray[np.intp],
        clusters: int,
    ) -> None:
        thresholds, place = np.unique(np.concatenate([natural, converted]), return_inverse=True)
        size = clusters * len(thresholds)
        # (clusters, thresholds), lowest threshold first
        self._natural, self._converted = (
            np.bincount(number * len(thresholds) + at, minlength=size).reshape(clusters, -1).astype(np.float64)
            for number, at in (
                (natural_clusters, place[: len(natural)]),
                (converted_clusters, place[len(natural) :]),
            )
        )

    def equal_errors(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolated EER for each row of weights (draws, clusters); NaN where a side is empty.

        All rows bisect the points of their error curves together: false alarms rise and misses fall along it.
        """
        # (points, clusters): how many scores lie at or above a threshold; the first point accepts nothing
        counts = [
            np.pad(np.cumsum(side[:, ::-1], axis=1), ((0, 0), (1, 0))).T.copy()
            for side in (self._converted, self._natural)
        ]
        totals = [weights @ count[-1] for count in counts]

        def rates(points: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            with np.errstate(invalid="ignore"):
                alarms, accepted = (
                    np.einsum("dc,dc->d", weights, count[points]) / total
                    for count, total in zip(counts, totals, strict=True)
                )
            return alarms, 1.0 - accepted

        before = np.zeros(len(weights), dtype=np.intp)
        after = np.full(len(weights), len(counts[0]) - 1)
        while (after - before > 1).any():
            middle = (before + after) // 2
            alarms, misses = rates(middle)
            beyond = alarms >= misses
            before, after = np.where(beyond, before, middle), np.where(beyond, middle, after)
        (low_alarms, low_misses), (alarms, misses) = rates(before), rates(after)
        gap = low_misses - low_alarms
        share = gap / (gap + alarms - misses)
        found: NDArray[np.float64] = low_alarms + share * (alarms - low_alarms)
        return found

    def area(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the curve for each row of weights (draws, clusters); NaN where a side is empty."""
        below = np.cumsum(self._converted, axis=1) - self._converted / 2.0
        wins = self._natural @ below.T  # (clusters, clusters): natural scores of one above converted ones of the other
        with np.errstate(invalid="ignore", divide="ignore"):
            areas: NDArray[np.float64] = ((weights @ wins) * weights).sum(axis=1) / (
                (weights @ self._natural.sum(axis=1)) * (weights @ self._converted.sum(axis=1))
            )
        return areas
