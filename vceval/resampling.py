"""Drawing whole clusters of scores with replacement, one way or two ways crossed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ratio", "resample", "twofold_error"]

#: Cells of the largest array held at once while resampling.
_BLOCK = 1 << 20


def resample(
    columns: Sequence[ArrayLike],
    labels: Sequence[Hashable | None],
    crossed: Sequence[Hashable | None] | None,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, NDArray[np.float64] | None]:
    """Sum each column over all items, shape (columns,), and over each resample, shape (columns, resamples).

    The third result is the number of clusters (of the smaller side, where two are crossed); below two nothing is drawn.
    The fourth holds the sums of each cell (columns, rows, clusters) where two are crossed, else None.
    """
    import numpy as np

    values = [np.asarray(column, dtype=np.float64).ravel() for column in columns]
    if any(len(column) != len(labels) for column in values) or (crossed is not None and len(crossed) != len(labels)):
        lengths = ", ".join(str(len(column)) for column in values)
        raise ValueError(f"lengths differ: values {lengths}, cluster labels {len(labels)}")
    if not all(np.isfinite(column).all() for column in values):
        raise ValueError("a value is NaN or infinite")
    totals = np.array([column.sum() for column in values])
    codes, count = _codes(labels)
    if count < 2:
        return totals, np.empty((len(values), 0)), count, None
    if crossed is not None and None not in crossed and None not in labels:
        others, rows = _codes(crossed)
        cells = others * count + codes
        if len(np.unique(cells)) >= 2 * max(rows, count):
            grids = np.array([np.bincount(cells, column, rows * count).reshape(rows, count) for column in values])
            return totals, _crossed_sums(grids, resamples, seed), min(rows, count), grids
    sums = np.array([np.bincount(codes, column, minlength=count) for column in values])
    drawn = np.concatenate([sums[:, draw].sum(axis=2) for draw in _draws(count, resamples, seed)], axis=1)
    return totals, drawn, count, None


def _codes(labels: Sequence[Hashable | None]) -> tuple[NDArray[np.intp], int]:
    """Number the clusters by label, so that the order of items changes nothing; without labels each item is one."""
    import numpy as np

    if all(label is None for label in labels):
        return np.arange(len(labels)), len(labels)
    known = sorted(set(labels), key=lambda label: (label is not None, str(label)))
    number = {label: index for index, label in enumerate(known)}
    return np.array([number[label] for label in labels], dtype=np.intp), len(known)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Draw clusters with replacement: numbers of shape (some resamples, clusters), in blocks of bounded size."""
    import numpy as np

    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // clusters)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield generator.integers(clusters, size=(size, clusters))


def _crossed_sums(grids: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw rows and columns of sums (k, rows, columns) independently; sums of all cells, shape (k, resamples)."""
    import numpy as np

    generator = np.random.default_rng(seed)
    _, rows, columns = grids.shape
    step = max(1, _BLOCK // max(rows, columns))
    drawn = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        one = generator.multinomial(rows, np.full(rows, 1.0 / rows), size=size).astype(np.float64)
        other = generator.multinomial(columns, np.full(columns, 1.0 / columns), size=size).astype(np.float64)
        drawn.append(np.array([((one @ grid) * other).sum(axis=1) for grid in grids]))
    return np.concatenate(drawn, axis=1)


def twofold_error(grids: NDArray[np.float64], totals: NDArray[np.float64]) -> float:
    """Standard error of a ratio (or a difference of two) under two-way clustering, by linearisation.

    Variance by rows plus variance by columns minus variance by cells, at least the larger of the first two.
    """
    influence = sum(
        sign * (grids[at] - totals[at] / totals[at + 1] * grids[at + 1]) / totals[at + 1]
        for at, sign in zip(range(0, len(grids), 2), (1.0, -1.0), strict=False)
    )
    by_row, by_column = float((influence.sum(axis=1) ** 2).sum()), float((influence.sum(axis=0) ** 2).sum())
    return sqrt(max(by_row + by_column - float((influence**2).sum()), by_row, by_column))


def ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide resampled sums; a resample with nothing in the denominator gives NaN or an infinity, without a warning."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: NDArray[np.float64] = numerators / denominators
    return ratios
