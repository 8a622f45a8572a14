"""How alike two judges order things: Pearson's, Spearman's and Kendall's coefficients of many columns at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from vceval.statistics.bootstrap import percentile_levels, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["kendall", "kendall_agreement", "pearson", "spearman"]


def pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of columns of figures (things, draws), NaN where a judge tells nothing apart.

    Things count where both have a figure in both columns.
    """
    import numpy as np

    known = np.isfinite(first) & np.isfinite(second)
    count = np.maximum(known.sum(axis=0), 1)
    one, other = (np.where(known, column, 0.0) for column in (first, second))
    one, other = (np.where(known, column - column.sum(axis=0) / count, 0.0) for column in (one, other))
    # What is left of rounding is no difference
    squares = [(c**2).sum(axis=0) for c in (one, other)]
    sizes = [np.where(known, np.abs(c), 0.0).max(axis=0, initial=0.0) for c in (first, second)]
    spread = [np.where(s > count * (1e-12 * z) ** 2, s, 0.0) for s, z in zip(squares, sizes, strict=True)]
    scale = np.sqrt(spread[0] * spread[1])
    found = np.divide((one * other).sum(axis=0), scale, out=np.full(scale.shape, np.nan), where=scale > 0)
    clipped: NDArray[np.float64] = np.clip(found, -1.0, 1.0)
    return clipped


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation of columns of figures (things, draws): Pearson's of their ranks, ties at their mean."""
    import numpy as np
    from scipy.stats import rankdata

    one, other = np.broadcast_arrays(first, second)
    known = np.isfinite(one) & np.isfinite(other)
    # What does not count is put last, where it changes no rank
    ranks = [rankdata(np.where(known, column, np.inf), axis=0) for column in (one, other)]
    return pearson(*(np.where(known, rank, np.nan) for rank in ranks))


def kendall(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's tau-b of columns of figures (systems, draws), NaN where one judge tells no two systems apart.

    Two systems count where both have a figure in both columns.

    Source: Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945.
    """
    import numpy as np

    above, below = np.triu_indices(len(first), 1)
    signs = [np.sign(column[above] - column[below]) for column in (first, second)]
    known = np.isfinite(signs[0]) & np.isfinite(signs[1])
    one, other = (np.where(known, sign, 0.0) for sign in signs)
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    together = (one * other).sum(axis=0)
    taus: NDArray[np.float64] = np.divide(together, scale, out=np.full(len(scale), np.nan), where=scale > 0)
    return taus


def kendall_agreement(
    first: NDArray[np.float64], second: NDArray[np.float64], speakers: Sequence[Hashable | None], resamples: int = 2000
) -> tuple[float | None, float | None, float | None]:
    """Tau of two judges over systems, and its 95 % interval from a bootstrap over speakers; None where there is none.

    Both judges see the same resamples. Percentiles are widened for few speakers; fewer than three systems, or than two
    speakers, have no interval.

    Args:
        first: numerators and denominators of a judge's figures, (systems, 2, pairs), zero where a pair has no value.
        second: of the other.
        speakers: of the pairs.
        resamples: draws of speakers.
    """
    import numpy as np

    systems = len(first)
    if systems < 2:
        return None, None, None
    columns = np.concatenate([first, second]).reshape(4 * systems, -1)
    totals, draws, clusters = resample(list(columns), speakers, resamples)

    def taus(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = sums.reshape(2, systems, 2, -1)
        numerators, denominators = parts[:, :, 0], parts[:, :, 1]
        values = np.divide(numerators, denominators, out=np.full(numerators.shape, np.nan), where=denominators > 0)
        return kendall(values[0], values[1])

    [value] = taus(totals[:, None])
    found = taus(draws) if clusters > 1 and systems > 2 else np.empty(0)
    found = found[np.isfinite(found)]
    if not np.isfinite(value):
        return None, None, None
    if not len(found):
        return float(value), None, None
    low, high = np.quantile(found, percentile_levels(clusters))
    return float(value), float(min(low, value)), float(max(high, value))
