"""Exact dynamic time warping of many pairs at once on a device of torch: :func:`vceval.metrics.dtw.dtw`, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["dtw_batch"]

#: Distances that are kept at once: half a gigabyte.
_LARGEST = 1 << 26
#: Diagonals in one CUDA graph; a multiple of three, as three of them are in memory.
_STEPS = 48
_FAR = 1 << 30


def dtw_batch(
    firsts: Sequence[NDArray[np.float64]], seconds: Sequence[NDArray[np.float64]], device: str | torch.device
) -> list[tuple[float, int]]:
    """Align each pair of sequences as :func:`vceval.metrics.dtw.dtw` does, all cells of a diagonal at once.

    Args:
        firsts: (m, d) frames of each pair.
        seconds: (n, d) frames of each pair.
        device: where it is computed.

    Returns:
        Sum of distances and number of frame pairs on the path, in the order of the pairs.
    """
    order = sorted(range(len(firsts)), key=lambda pair: len(firsts[pair]) + len(seconds[pair]))
    results: dict[int, tuple[float, int]] = {}
    while order:
        chosen: list[int] = []
        rows = columns = 0
        while order:
            rows, columns = max(rows, len(firsts[order[-1]])), max(columns, len(seconds[order[-1]]))
            if chosen and (len(chosen) + 1) * rows * columns > _LARGEST:
                break
            chosen.append(order.pop())
        found = _together([firsts[pair] for pair in chosen], [seconds[pair] for pair in chosen], device)
        results.update(zip(chosen, found, strict=True))
    return [results[pair] for pair in range(len(firsts))]


def _together(
    firsts: Sequence[NDArray[np.float64]], seconds: Sequence[NDArray[np.float64]], device: str | torch.device
) -> list[tuple[float, int]]:
    import torch

    def padded(sequences: Sequence[NDArray[np.float64]]) -> torch.Tensor:
        tensors = [torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float64)) for frames in sequences]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(device)

    first, second = padded(firsts), padded(seconds)
    distances = _distances(first, second)
    pairs, rows, columns = distances.shape
    row = torch.arange(rows, device=device)
    # Entry 0 stands before the first row. Diagonal k is in place k % 3.
    sums = torch.full((3, pairs, rows + 1), torch.inf, dtype=torch.float64, device=device)
    lengths = torch.full((3, pairs, rows + 1), _FAR, dtype=torch.int32, device=device)
    sums[0, :, 1], lengths[0, :, 1] = distances[:, 0, 0], 1
    ends = torch.tensor([len(frames) for frames in firsts], device=device)[:, None]
    far = torch.full((1,), _FAR, dtype=torch.int32, device=device)
    near = torch.empty((_STEPS, pairs, rows), dtype=torch.float64, device=device)
    last_sums = torch.empty((_STEPS, pairs, 1), dtype=torch.float64, device=device)
    last_lengths = torch.empty((_STEPS, pairs, 1), dtype=torch.int32, device=device)

    def steps() -> None:
        for step in range(_STEPS):
            here, before, further = (step + 1) % 3, step % 3, (step - 1) % 3
            up, left, diagonal = sums[before, :, :-1], sums[before, :, 1:], sums[further, :, :-1]
            best = torch.minimum(torch.minimum(up, left), diagonal)
            length = torch.minimum(
                torch.where(up == best, lengths[before, :, :-1], far),
                torch.where(left == best, lengths[before, :, 1:], far),
            )
            length = torch.minimum(length, torch.where(diagonal == best, lengths[further, :, :-1], far))
            torch.add(best, near[step], out=sums[here, :, 1:])
            torch.add(length, 1, out=lengths[here, :, 1:])
            torch.gather(sums[here], 1, ends, out=last_sums[step])
            torch.gather(lengths[here], 1, ends, out=last_lengths[step])

    run = _recorded(steps, (sums, lengths)) if first.is_cuda else steps
    totals, counts = [distances[:, :1, 0]], [torch.ones((pairs, 1), dtype=torch.int32, device=device)]
    for start in range(1, rows + columns - 1, _STEPS):
        column = torch.arange(start, start + _STEPS, device=device)[:, None] - row
        gaps = distances[:, row, column.clamp(0, columns - 1)]
        near.copy_(torch.where(column >= 0, gaps, torch.inf).transpose(0, 1))
        run()
        totals.append(last_sums[:, :, 0].T.clone())
        counts.append(last_lengths[:, :, 0].T.clone())
    last = torch.tensor(
        [[len(one) + len(other) - 2] for one, other in zip(firsts, seconds, strict=True)], device=device
    )
    total, count = torch.cat(totals, 1).gather(1, last), torch.cat(counts, 1).gather(1, last)
    return list(zip(total[:, 0].tolist(), count[:, 0].tolist(), strict=True))


def _distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Euclidean distances (pairs, m, n), summed over the dimensions in their order, as on the processor."""
    import torch

    squares = torch.zeros((len(first), first.shape[1], second.shape[1]), dtype=torch.float64, device=first.device)
    for dimension in range(first.shape[2]):
        gaps = first[:, :, None, dimension] - second[:, None, :, dimension]
        squares.addcmul_(gaps, gaps)
    return squares.sqrt_()


def _recorded(steps: Callable[[], None], state: Sequence[torch.Tensor]) -> Callable[[], None]:
    """Record steps as a CUDA graph: they are thousands of small operations, and starting each one takes longest."""
    import torch

    kept = [tensor.clone() for tensor in state]
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        steps()  # whatever is prepared at a first call must not be recorded
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        steps()
    for tensor, values in zip(state, kept, strict=True):
        tensor.copy_(values)
    return graph.replay
