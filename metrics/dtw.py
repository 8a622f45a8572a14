"""Exact dynamic time warping between two sequences of feature vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["dtw"]


def dtw(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, int]:
    """Align two sequences so that the sum of Euclidean distances along the path is smallest.

    The path runs from the first pair of frames to the last in steps (1, 0), (0, 1) and (1, 1), all of weight
    one, without a band: no path is excluded. Among paths with the same sum the shortest one counts, so the
    result is unique and the same whichever sequence comes first.

    Args:
        first: (m, d) frames.
        second: (n, d) frames.

    Returns:
        The sum of distances and the number of frame pairs on the path (max(m, n) to m + n - 1). Time is
        proportional to m * n, memory to m + n.

    Raises:
        ValueError: a sequence is empty or the dimensions differ.

    Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE
    Trans. ASSP 26, 1978 (symmetric form, without slope constraint).
    """
    import numpy as np

    first = np.ascontiguousarray(first, dtype=np.float64)
    second = np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not len(first) or not len(second):
        raise ValueError(f"expected two sequences (m, d) and (n, d), got shapes {first.shape} and {second.shape}")
    turned = np.ascontiguousarray(second.T)
    sums, lengths = np.empty(len(second)), np.empty(len(second), dtype=np.int64)
    total, length = _kernel()(first, turned, np.empty(len(second)), sums, lengths)
    return float(total), int(length)


@cache
def _kernel() -> Callable[..., Any]:
    import numba

    compiled: Callable[..., Any]
    try:
        compiled = numba.njit(cache=True, nogil=True)(_accumulate)
    except RuntimeError:  # no folder to keep machine code in: a read-only installation without a home
        compiled = numba.njit(nogil=True)(_accumulate)
    return compiled


def _accumulate(first, second, distance, sums, lengths):  # type: ignore[no-untyped-def]
    """Row by row: smallest (sum, length) of a path to each cell; ``second`` is (d, n), so that sums run along n.

    The last three arguments are work space of length n.
    """
    rows, columns, depth = first.shape[0], second.shape[1], first.shape[1]
    for i in range(rows):
        distance[:] = 0.0
        for k in range(depth):
            value = first[i, k]
            for j in range(columns):
                gap = value - second[k, j]
                distance[j] += gap * gap
        diagonal_sum, diagonal_length = 0.0, 0  # of cell (i - 1, j - 1), overwritten as the row advances
        for j in range(columns):
            best_sum, best_length = inf, 0
            if i == 0 and j == 0:
                best_sum = 0.0
            if i > 0 and j > 0:
                best_sum, best_length = diagonal_sum, diagonal_length
            if i > 0 and (sums[j] < best_sum or (sums[j] == best_sum and lengths[j] < best_length)):
                best_sum, best_length = sums[j], lengths[j]
            if j > 0 and (sums[j - 1] < best_sum or (sums[j - 1] == best_sum and lengths[j - 1] < best_length)):
                best_sum, best_length = sums[j - 1], lengths[j - 1]
            diagonal_sum, diagonal_length = sums[j], lengths[j]
            sums[j] = best_sum + sqrt(distance[j])
            lengths[j] = best_length + 1
    return sums[columns - 1], lengths[columns - 1]
