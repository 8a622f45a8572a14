"""Intervals and paired tests for figures over conversion pairs, whatever the pattern of speakers and texts.

Pairs are not independent: those of one target speaker, one source speaker or one text resemble each other. How much
each side varies is estimated (:mod:`vceval.statistics.components`), and an interval is as wide as the side with the
fewest speakers makes it. A side with one speaker can't vary: the statement is for that speaker then, and says nothing
of others.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

from vceval.statistics.components import Design, MeanError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ELSEWHERE",
    "Difference",
    "Estimate",
    "Interval",
    "Kind",
    "Method",
    "estimate",
    "interval",
    "judged",
    "paired_estimate",
    "paired_residuals",
    "paired_test",
    "t_quantile",
    "t_tail",
]

Kind = Literal["mean", "rate"]
#: How an interval was made: Student's t on a standard error from variance components, the same corrected for skewness,
#: a Clopper-Pearson interval at the effective number of items, or percentiles of drawn speakers.
Method = Literal["t", "skewed t", "clopper-pearson", "bootstrap"]
#: Label of each item, of one side; a :class:`Design` in place of the first holds all sides, made once for many figures.
Labels = Sequence[Hashable | None]

#: A side needs so many speakers for its skewness to be told.
_LEAST_FOR_SKEWNESS = 10
#: Component of what does not come from the items.
ELSEWHERE = "elsewhere"
#: Correlation of the outcomes of one speaker that is assumed at least, where a rate is too near 0 or 1 to show it.
_LEAST_CORRELATION = 0.02


class Interval(NamedTuple):
    """A confidence interval: its ends, its nominal coverage, and what it rests on.

    targets, sources, texts: how many there are; 0 where nothing is known of them. freedom: Student's degrees of
    freedom.
    """

    low: float
    high: float
    confidence: float
    targets: int
    sources: int
    texts: int
    freedom: float
    method: Method


class Difference(NamedTuple):
    """First minus second system on the same pairs: the difference, its interval, and a two-sided p-value.

    ``interval`` and ``p_value`` are None for a single pair. The interval holds zero exactly when
    ``p_value`` > 1 - confidence.
    """

    value: float
    interval: Interval | None
    p_value: float | None

    def entry(self) -> dict[str, float | None]:
        """The difference as comparisons in ``summary.json`` hold it."""
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {"difference": self.value, "low": low, "high": high, "p_value": self.p_value}


class Estimate(NamedTuple):
    """A figure with its standard error and degrees of freedom. error: NaN where a single item tells nothing of it.

    shares: of the variance, by component: ``target``, ``source``, ``text``, ``meeting``, ``residual``, and
    ``elsewhere`` for what no further item makes smaller (rounding, a threshold); empty where the error is 0.
    deviation: standard deviation of the items' differences, where the figure is one.
    """

    value: float
    error: float
    freedom: float
    shares: dict[str, float]
    deviation: float = 0.0

    def reach(self, level: float) -> float:
        """How far below or above the value a one-sided bound of some level lies."""
        return t_quantile(level, self.freedom) * self.error if self.error else 0.0

    def p_above(self, bound: float) -> float:
        """One-sided p-value of "no larger than ``bound``": small where the figure is larger."""
        if not self.error:
            return 0.0 if self.value > bound else 1.0
        return t_tail((self.value - bound) / self.error, self.freedom)


def interval(
    numerators: ArrayLike,
    denominators: ArrayLike,
    targets: Labels | Design,
    sources: Labels | None = None,
    texts: Labels | None = None,
    *,
    kind: Kind = "mean",
    confidence: float = 0.95,
    resolution: float = 0.0,
    added_variance: float = 0.0,
) -> Interval | None:
    """Interval of sum(numerators) / sum(denominators) over items that share speakers and texts.

    Means: Student's t on the standard error from REML variance components, corrected for the skewness of the speakers'
    means. Rates: a Clopper-Pearson interval at the effective number of items, which exists at 0 and 1.

    Args:
        numerators: one per item, shape (n,).
        denominators: one per item, shape (n,); 1 for a mean, the number of words for a word error rate.
        targets: target speaker of each item (None where it is not known), or a :class:`Design` over all sides.
        sources: source speaker of each item.
        texts: text of each item; counted where texts repeat.
        kind: ``rate`` where every item counts as 0 or 1 (or in between) and the figure lies in 0 to 1.
        confidence: nominal coverage.
        resolution: smallest step of the measure, in its unit; the standard error is no smaller than its rounding.
        added_variance: variance of the figure from elsewhere, such as of a threshold that was estimated.

    Returns:
        The interval; None for fewer than two items, for denominators that sum to zero, and for values without any
        spread where the measure has no resolution.

    Raises:
        ValueError: lengths differ, or a value is not finite.

    Source: Johnson, "Modified t tests and confidence intervals for asymmetrical populations", Journal of the American
    Statistical Association 73, 1978, and Hall, "On the removal of skewness by transformation", Journal of the Royal
    Statistical Society B 54, 1992 (skewness); Korn and Graubard, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data", Survey Methodology 24, 1998 (rates).
    """
    import numpy as np

    design = _design(targets, sources, texts)
    if design.items < 2 or not _total(denominators):
        return None
    value, residuals = _linear(numerators, denominators)
    spread = design.mean_error(residuals)
    level = 0.5 + confidence / 2.0
    method: Method = "t"
    found = _estimate(value, spread, design, resolution, added_variance)
    if kind == "rate" and 0.0 <= value <= 1.0:
        sampled = _estimate(value, spread, design, resolution, 0.0)
        low, high = _rate_ends(sampled, residuals, design, confidence)
        # At 0 and 1 pairs show no variance, so that what is added can't be a part of theirs
        added = t_quantile(level, sampled.freedom) ** 2 * added_variance
        low, high = (
            max(value - sqrt((value - low) ** 2 + added), 0.0),
            min(value + sqrt((high - value) ** 2 + added), 1.0),
        )
        method = "clopper-pearson"
    elif not found.error:
        return None
    else:
        skewness = _skewness(residuals, spread, design)
        quantile = t_quantile(level, found.freedom)
        low = value - found.error * _without_skewness(quantile, skewness)
        high = value - found.error * _without_skewness(-quantile, skewness)
        if np.min(numerators) >= 0.0:
            low = max(low, 0.0)  # what counts errors, or measures a distance, is not below zero
        method = "skewed t" if skewness else "t"
    levels = design.levels
    return Interval(low, high, confidence, levels["target"], levels["source"], levels["text"], found.freedom, method)


def estimate(
    numerators: ArrayLike,
    denominators: ArrayLike,
    targets: Labels | Design,
    sources: Labels | None = None,
    texts: Labels | None = None,
    *,
    resolution: float = 0.0,
    added_variance: float = 0.0,
) -> Estimate:
    """Figure of sum(numerators) / sum(denominators) with its standard error; arguments as in :func:`interval`.

    Raises:
        ValueError: lengths differ, a value is not finite, or the denominators sum to zero.
    """
    design = _design(targets, sources, texts)
    value, residuals = _linear(numerators, denominators)
    return _estimate(value, design.mean_error(residuals), design, resolution, added_variance)


def paired_estimate(
    first_numerators: ArrayLike,
    first_denominators: ArrayLike,
    second_numerators: ArrayLike,
    second_denominators: ArrayLike,
    targets: Labels | Design,
    sources: Labels | None = None,
    texts: Labels | None = None,
    *,
    resolution: float = 0.0,
    added_variance: float = 0.0,
) -> Estimate:
    """First minus second system on the same items, with its standard error; arguments as in :func:`paired_test`."""
    design = _design(targets, sources, texts)
    value, residuals = paired_residuals(first_numerators, first_denominators, second_numerators, second_denominators)
    # Both systems are rounded
    found = _estimate(value, design.mean_error(residuals), design, resolution * sqrt(2.0), added_variance)
    return found._replace(deviation=float(residuals.std()))


def paired_residuals(
    first_numerators: ArrayLike,
    first_denominators: ArrayLike,
    second_numerators: ArrayLike,
    second_denominators: ArrayLike,
) -> tuple[float, NDArray[np.float64]]:
    """First minus second system, and per item how far it moves that difference, times n; rounding noise is none.

    Raises:
        ValueError: lengths differ, a value is not finite, or the denominators of a system sum to zero.
    """
    import numpy as np

    first, ours = _linear(first_numerators, first_denominators)
    second, theirs = _linear(second_numerators, second_denominators)
    if len(ours) != len(theirs):
        raise ValueError(f"lengths differ: {len(ours)} and {len(theirs)} items")
    tiny = 1e-12 * max(abs(first), abs(second))
    value = 0.0 if abs(first - second) <= tiny else first - second
    residuals = ours - theirs
    return value, np.where(np.abs(residuals) <= 1e-12 * (np.abs(ours) + np.abs(theirs)), 0.0, residuals)


def paired_test(
    first_numerators: ArrayLike,
    first_denominators: ArrayLike,
    second_numerators: ArrayLike,
    second_denominators: ArrayLike,
    targets: Labels | Design,
    sources: Labels | None = None,
    texts: Labels | None = None,
    *,
    resolution: float = 0.0,
    added_variance: float = 0.0,
    confidence: float = 0.95,
) -> Difference:
    """Compare two systems on the same items, with an interval and a two-sided test.

    The differences' variance comes from REML components of target, source, text, meeting and residual; ratios enter by
    their linearised residuals. Where all items show the same difference and the measure has no resolution,
    the p-value is the smallest that a sign test over the speakers of the smaller side can give.

    Args:
        first_numerators: of the first system, one per item, shape (n,).
        first_denominators: likewise.
        second_numerators: of the second system, for the same items in the same order.
        second_denominators: likewise.
        targets: target speaker of each item, or a :class:`Design`, as in :func:`interval`.
        sources: source speaker of each item.
        texts: text of each item.
        resolution: smallest step of the measure; the standard error is no smaller than the rounding of both figures.
        added_variance: variance of the difference from elsewhere.
        confidence: nominal coverage of the interval.

    Returns:
        First minus second.

    Raises:
        ValueError: lengths differ, a value is not finite, or the denominators of a system sum to zero.
    """
    design = _design(targets, sources, texts)
    found = paired_estimate(
        first_numerators, first_denominators, second_numerators, second_denominators, design,
        resolution=resolution, added_variance=added_variance,
    )  # fmt: skip
    levels = design.levels
    return judged(found, (levels["target"], levels["source"], levels["text"]), 2.0 ** (1 - _fewest(design)), confidence)


def judged(
    found: Estimate,
    levels: tuple[int, int, int],
    least: float,
    confidence: float = 0.95,
    method: Method = "t",
) -> Difference:
    """Make interval and p-value of a difference from its standard error.

    Args:
        found: the difference.
        levels: how many targets, sources and texts it rests on.
        least: the smallest p-value that can be claimed where nothing varies.
        confidence: nominal coverage.
        method: how the error was found.
    """
    if not isfinite(found.error):
        return Difference(found.value, None, None)
    reach = found.reach(0.5 + confidence / 2.0)
    ends = Interval(found.value - reach, found.value + reach, confidence, *levels, found.freedom, method)
    if found.error:
        return Difference(found.value, ends, 2.0 * t_tail(abs(found.value) / found.error, found.freedom))
    return Difference(found.value, ends, least if found.value else 1.0)


def t_quantile(level: float, freedom: float) -> float:
    """Value that Student's t with ``freedom`` degrees of freedom stays below with probability ``level``."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))


def t_tail(statistic: float, freedom: float) -> float:
    """Probability that Student's t with ``freedom`` degrees of freedom exceeds ``statistic``."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -statistic))


def _design(targets: Labels | Design, sources: Labels | None, texts: Labels | None) -> Design:
    return targets if isinstance(targets, Design) else Design(targets, sources, texts)


def _total(denominators: ArrayLike) -> float:
    import numpy as np

    return float(np.sum(denominators))


def _linear(numerators: ArrayLike, denominators: ArrayLike) -> tuple[float, NDArray[np.float64]]:
    """A ratio of sums, and per item how far it moves the ratio, times n: their mean is 0, with the ratio's error."""
    import numpy as np

    above, below = (np.asarray(given, dtype=np.float64).reshape(-1) for given in (numerators, denominators))
    if above.shape != below.shape:
        raise ValueError(f"lengths differ: {len(above)} numerators, {len(below)} denominators")
    if not (np.isfinite(above).all() and np.isfinite(below).all()):
        raise ValueError("a value is NaN or infinite")
    total = float(below.sum())
    if not total:
        raise ValueError("nothing to compare: the denominators sum to zero")
    value = float(above.sum()) / total
    return value, (above - value * below) * (len(above) / total)


def _fewest(design: Design) -> int:
    """Speakers of the smaller side that varies; items where none does."""
    return min((side.levels for side in design.sides if side.name in ("target", "source")), default=design.items)


def _estimate(
    value: float, spread: MeanError | None, design: Design, resolution: float, added_variance: float
) -> Estimate:
    """Put together what the items, the measure's rounding and other sources say of the error."""
    if design.items < 2:
        return Estimate(value, float("nan"), inf, {})
    if spread is None:
        variance, freedom = added_variance, float(max(_fewest(design) - 1, 1))
    else:
        variance = spread.variance + added_variance
        # What is added is taken as known
        freedom = min(spread.freedom * (variance / spread.variance) ** 2, 1e9)
    total = max(variance, resolution**2 / 12.0)
    own = spread.variance if spread else 0.0
    shares = {name: share * own / total for name, share in spread.shares.items()} if spread else {}
    if total > own:
        shares[ELSEWHERE] = (total - own) / total
    return Estimate(value, sqrt(total), freedom, shares)


def _skewness(residuals: NDArray[np.float64], spread: MeanError | None, design: Design) -> float:
    """Skewness of a mean: that of the speakers' and texts' sums, by their shares of the variance."""
    import numpy as np

    if spread is None:
        return 0.0
    skewness = 0.0
    for side in design.sides:
        if side.levels < _LEAST_FOR_SKEWNESS or side.name not in design.codes:
            continue
        sums = np.bincount(design.codes[side.name], residuals, side.levels)
        sums -= sums.mean()
        deviation = float(sums.std())
        if deviation > 0.0:
            count = side.levels
            unbiased = float((sums**3).mean()) / deviation**3 * sqrt(count * (count - 1.0)) / (count - 2.0)
            skewness += spread.shares[side.name] ** 1.5 * unbiased / sqrt(count)
    return skewness


def _without_skewness(quantile: float, skewness: float) -> float:
    """Undo the cubic transformation that makes a skewed mean's t symmetric."""
    if abs(skewness) < 1e-9:
        return quantile
    argument = 1.0 + skewness * (quantile - skewness / 6.0)
    root = abs(argument) ** (1.0 / 3.0) * (1.0 if argument >= 0.0 else -1.0)
    return float(3.0 * (root - 1.0) / skewness)


def _rate_ends(
    found: Estimate, residuals: NDArray[np.float64], design: Design, confidence: float
) -> tuple[float, float]:
    """Clopper-Pearson's ends at the number of independent trials that would give the same standard error.

    An item whose value lies between 0 and 1, such as a share of frames or words, is worth several trials.
    """
    import numpy as np
    from scipy.special import betaincinv

    tail, items = (1.0 - confidence) / 2.0, float(design.items)
    rate = found.value
    variance, trial = found.error**2, rate * (1.0 - rate)
    item = float(np.sum(residuals**2)) / (items - 1.0)
    worth = max(trial / item, 1.0) if item else 1.0
    effective = trial / variance if variance else items
    # Near 0 and 1 nothing shows how alike a speaker's outcomes are: some likeness is taken for granted
    shares = sum(design.contribution(side.name) for side in design.sides)
    assumed = 1.0 / (_LEAST_CORRELATION * shares + (1.0 - _LEAST_CORRELATION) / items)
    effective = min(effective, assumed * worth, items * worth)
    effective *= (t_quantile(1.0 - tail, items * worth - 1.0) / t_quantile(1.0 - tail, found.freedom)) ** 2
    above, below = rate * effective, (1.0 - rate) * effective
    low = 0.0 if above <= 0.0 else float(betaincinv(above, below + 1.0, tail))
    high = 1.0 if below <= 0.0 else float(betaincinv(above + 1.0, below, 1.0 - tail))
    return low, high
