"""How alike two judges order systems: Kendall's tau, with an interval over speakers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from vceval.statistics.bootstrap import percentile_levels, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["kendall", "kendall_agreement"]


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
