"""Dynamic time warping between two sequences of feature vectors: exact, and approximate as the package fastdtw.

FastDTW searches within a window that is found on halved copies of the sequences. Its result is approximate: it serves
where another tool's figures must be met, and :func:`dtw` everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vceval.signal.compiled import compiled

__all__ = ["dtw", "dtw_path", "fastdtw"]

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
    first, second = _checked(first, second)
    return _run(first, second, np.empty((1, 1), dtype=np.uint8), False)


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
    first, second = _checked(first, second)
    moves = np.empty((len(first), len(second)), dtype=np.uint8)
    total, length = _run(first, second, moves, True)
    path = np.empty((length, 2), dtype=np.int64)
    i, j = moves.shape[0] - 1, moves.shape[1] - 1
    for step in range(length - 1, -1, -1):
        path[step] = i, j
        move = moves[i, j]
        i -= move != _LEFT
        j -= move != _UP
    return total, path


def _checked(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.ascontiguousarray(first, dtype=np.float64), np.ascontiguousarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not len(first) or not len(second):
        raise ValueError(f"expected two sequences (m, d) and (n, d), got shapes {first.shape} and {second.shape}")
    return first, second


def _run(
    first: NDArray[np.float64], second: NDArray[np.float64], moves: NDArray[np.uint8], keep: bool
) -> tuple[float, int]:
    columns = len(second)
    space = np.empty(columns), np.empty(columns), np.empty(columns, dtype=np.int64)
    total, length = _machine_code(_accumulate_all)(first, np.ascontiguousarray(second.T), moves, keep, *space)
    return float(total), int(length)


def fastdtw(
    first: NDArray[np.float64], second: NDArray[np.float64], radius: int = 1
) -> tuple[float, NDArray[np.int64]]:
    """Align two sequences by Euclidean distance, approximately.

    Both sequences are halved (means of neighbouring frames) until one is shorter than ``radius`` + 2 frames and
    aligned there exactly; each finer level then searches only cells within ``radius`` of the coarser path. Equal
    sums are settled in favour of the step in the first sequence, then the step in the second, then the diagonal:
    with that the paths are those of the package fastdtw 0.3.4 (its Python version), up to the last digit of the
    distances.

    Args:
        first: (m, d) frames.
        second: (n, d) frames.
        radius: at least 1; larger is nearer to the exact path and slower.

    Returns:
        The sum of distances along the path, and the path (l, 2) as indices into both sequences.

    Raises:
        ValueError: a sequence is empty, the dimensions differ, or the radius is below 1.

    Source: Salvador and Chan, "FastDTW: toward accurate dynamic time warping in linear time and space", KDD
    Workshop on Mining Temporal and Sequential Data 2004.
    """
    first, second = _checked(first, second)
    if radius < 1:
        raise ValueError(f"radius {radius} is below 1")
    levels = [(first, second)]
    while min(len(levels[-1][0]), len(levels[-1][1])) >= radius + 2:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    coarse, other = levels.pop()
    total, path = _search(coarse, other, np.zeros(len(coarse), np.int64), np.full(len(coarse), len(other), np.int64))
    for fine, other in reversed(levels):
        total, path = _search(fine, other, *_window(path, len(fine), len(other), radius))
    return total, path


def _search(
    first: NDArray[np.float64], second: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[float, NDArray[np.int64]]:
    """Best path from the first to the last cell within columns low to high - 1 of each row."""
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(high - low)])
    moves = np.empty(offsets[-1], dtype=np.uint8)
    sums = np.full((2, len(second) + 1), np.inf)
    path = np.empty((len(first) + len(second), 2), dtype=np.int64)
    total, start = _machine_code(_accumulate_within)(first, second, low, high, offsets, moves, sums, path)
    return float(total), path[start:]


def _halved(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    even = len(frames) - len(frames) % 2
    result: NDArray[np.float64] = (frames[0:even:2] + frames[1:even:2]) / 2.0
    return result


def _window(
    path: NDArray[np.int64], rows: int, columns: int, radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and past-the-last column of each row of the finer level that the coarser path allows."""
    last = path[-1, 0]
    starts = np.searchsorted(path[:, 0], np.arange(last + 1), side="left")
    ends = np.searchsorted(path[:, 0], np.arange(last + 1), side="right") - 1
    row = np.arange(rows) // 2
    low = 2 * (path[starts[np.clip(row - radius, 0, last)], 1] - radius)
    high = 2 * (path[ends[np.clip(row + radius, 0, last)], 1] + radius) + 2
    return np.maximum(low, 0), np.minimum(high, columns)


@cache
def _machine_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile one of the functions below when it is first needed."""
    return compiled(function)


def _accumulate_all(first, second, moves, keep, distance, sums, lengths):  # type: ignore[no-untyped-def]
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


def _accumulate_within(first, second, low, high, offsets, moves, sums, path):  # type: ignore[no-untyped-def]
    """Fill ``path`` from its end; return the sum and where the path starts. The rest is work space."""
    rows, columns, depth = first.shape[0], second.shape[0], first.shape[1]
    # Shifted by one column: entry 0 stands left of the first column.
    above, here = sums[0], sums[1]
    above[0] = 0.0
    for i in range(rows):
        for j in range(low[i], high[i]):
            squares = 0.0
            for k in range(depth):
                gap = first[i, k] - second[j, k]
                squares += gap * gap
            step = sqrt(squares)
            # The step is added before the sums are compared, as rounding can make unequal sums equal.
            best, move = above[j + 1] + step, _UP
            if here[j] + step < best:
                best, move = here[j] + step, _LEFT
            if above[j] + step < best:
                best, move = above[j] + step, _DIAGONAL
            here[j + 1] = best
            moves[offsets[i] + j - low[i]] = move
        above[:] = inf
        above, here = here, above
    start, i, j = len(path), rows - 1, columns - 1
    while i >= 0 and j >= 0:
        start -= 1
        path[start, 0], path[start, 1] = i, j
        move = moves[offsets[i] + j - low[i]]
        if move != _LEFT:
            i -= 1
        if move != _UP:
            j -= 1
    return above[columns], start
