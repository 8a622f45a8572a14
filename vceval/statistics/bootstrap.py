"""Drawing whole clusters of scores with replacement, one way or two ways crossed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
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

    Columns of shape (series, items) are that many data sets over the same items: the same draws serve them all, and
    every result has the axis ``series`` after its first.
    """
    import numpy as np

    values = [np.asarray(column, dtype=np.float64) for column in columns]
    sizes = [column.shape[-1] if column.ndim else 1 for column in values]
    if any(size != len(labels) for size in sizes) or (crossed is not None and len(crossed) != len(labels)):
        raise ValueError(f"lengths differ: values {', '.join(map(str, sizes))}, cluster labels {len(labels)}")
    if not all(np.isfinite(column).all() for column in values):
        raise ValueError("a value is NaN or infinite")
    stack = np.stack(np.broadcast_arrays(*values))
    flat = stack.reshape(int(np.prod(stack.shape[:-1])), len(labels))
    totals = np.array([row.sum() for row in flat]).reshape(stack.shape[:-1])
    codes, count = _codes(labels)
    if count < 2:
        return totals, np.empty((*totals.shape, 0)), count, None
    if crossed is not None and None not in crossed and None not in labels:
        others, rows = _codes(crossed)
        cells = others * count + codes
        if len(np.unique(cells)) >= 2 * max(rows, count):
            grids = np.array([np.bincount(cells, row, rows * count).reshape(rows, count) for row in flat])
            drawn = _crossed_sums(grids, resamples, seed)
            shape = (*totals.shape, rows, count)
            return totals, drawn.reshape(*totals.shape, resamples), min(rows, count), grids.reshape(shape)
    sums = [np.bincount(codes, row, minlength=count) for row in flat]
    blocks = [np.array([row[draw].sum(axis=1) for row in sums]) for draw in _draws(count, resamples, seed)]
    return totals, np.concatenate(blocks, axis=1).reshape(*totals.shape, resamples), count, None


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


def twofold_error(grids: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of a ratio (or a difference of two) under two-way clustering, by linearisation.

    Variance by rows plus variance by columns minus variance by cells, at least the larger of the first two. Sums of
    cells have the shape (columns, [series,] rows, clusters); there is one error per series.
    """
    import numpy as np

    influence: NDArray[np.float64] = sum(  # type: ignore[assignment]
        sign * _influence(grids, totals[..., None, None], at)
        for at, sign in zip(range(0, len(grids), 2), (1.0, -1.0), strict=False)
    )
    by_row, by_column = (np.square(influence.sum(axis=axis)).sum(axis=-1) for axis in (-1, -2))
    both = by_row + by_column - np.square(influence).sum(axis=(-2, -1))
    error: NDArray[np.float64] = np.sqrt(np.maximum(both, np.maximum(by_row, by_column)))
    return error


def _influence(sums: NDArray[np.float64], totals: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    """How far each part of the sums moves the ratio of columns ``at`` and ``at + 1``."""
    share: NDArray[np.float64] = (sums[at] - totals[at] / totals[at + 1] * sums[at + 1]) / totals[at + 1]
    return share


def ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide resampled sums; a resample with nothing in the denominator gives NaN or an infinity, without a warning."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: NDArray[np.float64] = numerators / denominators
    return ratios
