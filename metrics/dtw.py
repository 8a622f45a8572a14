"""Exact dynamic time warping between two sequences of feature vectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["dtw", "dtw_path"]

_UP, _LEFT, _DIAGONAL = 0, 1, 2


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

    return _run(*_prepared(first, second), np.empty((1, 1), dtype=np.uint8), False)


def dtw_path(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
    """Align as :func:`dtw` does and return the path itself.

    Paths can tie in sum and length; then the diagonal step counts before the step in the first sequence, and
    that before the step in the second.

    Args:
        first: (m, d) frames.
        second: (n, d) frames.

    Returns:
        The sum of distances, and the path (l, 2) as indices into both sequences. Takes m * n bytes of memory.

    Raises:
        ValueError: a sequence is empty or the dimensions differ.
    """
    import numpy as np

    first, turned = _prepared(first, second)
    moves = np.empty((len(first), turned.shape[1]), dtype=np.uint8)
    total, length = _run(first, turned, moves, True)
    path = np.empty((length, 2), dtype=np.int64)
    i, j = moves.shape[0] - 1, moves.shape[1] - 1
    for step in range(length - 1, -1, -1):
        path[step] = i, j
        move = moves[i, j]
        i -= move != _LEFT
        j -= move != _UP
    return total, path


def _prepared(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    first = np.ascontiguousarray(first, dtype=np.float64)
    second = np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not len(first) or not len(second):
        raise ValueError(f"expected two sequences (m, d) and (n, d), got shapes {first.shape} and {second.shape}")
    return first, np.ascontiguousarray(second.T)


def _run(
    first: NDArray[np.float64], turned: NDArray[np.float64], moves: NDArray[np.uint8], keep: bool
) -> tuple[float, int]:
    import numpy as np

    columns = turned.shape[1]
    space = np.empty(columns), np.empty(columns), np.empty(columns, dtype=np.int64)
    total, length = _kernel()(first, turned, moves, keep, *space)
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


def _accumulate(first, second, moves, keep, distance, sums, lengths):  # type: ignore[no-untyped-def]
    """Row by row: smallest (sum, length) of a path to each cell; ``second`` is (d, n), so that sums run along n.

    Where ``keep`` is true, ``moves`` (m, n) takes the last step to each cell. The last three arguments are work
    space of length n.
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
            best_sum, best_length, move = inf, 0, _DIAGONAL
            if i == 0 and j == 0:
                best_sum = 0.0
            if i > 0 and j > 0:
                best_sum, best_length = diagonal_sum, diagonal_length
            if i > 0 and (sums[j] < best_sum or (sums[j] == best_sum and lengths[j] < best_length)):
                best_sum, best_length, move = sums[j], lengths[j], _UP
            if j > 0 and (sums[j - 1] < best_sum or (sums[j - 1] == best_sum and lengths[j - 1] < best_length)):
                best_sum, best_length, move = sums[j - 1], lengths[j - 1], _LEFT
            diagonal_sum, diagonal_length = sums[j], lengths[j]
            sums[j] = best_sum + sqrt(distance[j])
            lengths[j] = best_length + 1
            if keep:
                moves[i, j] = move
    return sums[columns - 1], lengths[columns - 1]
