"""Which items of unequal length a network takes together, and how far they are padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["on_gpu", "roomy", "together"]

T = TypeVar("T")
R = TypeVar("R")


def on_gpu(device: object) -> bool:
    """Whether a device is a GPU: it gains from batches, and kernels are chosen anew for every shape it is given."""
    return not str(device).startswith("cpu")


def roomy(length: int) -> int:
    """Round a length up to one of few: sixteen from a power of two to the next, so by 3 % on average."""
    step = 1 << max(0, length.bit_length() - 5)
    return -(-length // step) * step


def together(
    items: Sequence[T],
    length: Callable[[T], int],
    run: Callable[[list[T], int], Sequence[R]],
    *,
    device: object,
    most: int,
    on_processors: int,
    in_all: int,
) -> list[R]:
    """Run items of about the same length together, the longest first, and give the results in the items' order.

    On a GPU choosing kernels for a new shape takes longer than to run them, so there are few shapes: lengths are padded
    to a :func:`roomy` one, and the last item is repeated until there are two or a multiple of four.

    Args:
        items: of unequal length.
        length: gives that of an item.
        run: takes some items and the length to which they are to be padded, and gives a result for each.
        device: that the network is on.
        most: items that go together at most, on a GPU.
        on_processors: the same on processors.
        in_all: what their lengths may come to, padding counted; bounds memory.
    """
    few_shapes = on_gpu(device)
    limit = most if few_shapes else on_processors
    results: dict[int, R] = {}
    order = sorted(range(len(items)), key=lambda place: -length(items[place]))
    while order:
        longest = length(items[order[0]])
        size = roomy(longest) if few_shapes else longest
        count = min(limit, max(1, in_all // max(1, size)))
        if few_shapes and count > 4:
            count -= count % 4
        # What is much shorter waits: padding costs as much as sound
        part = [place for place in order[:count] if 4 * length(items[place]) >= 3 * longest]
        order = order[len(part) :]
        batch = [items[place] for place in part]
        if few_shapes and len(batch) > 2:
            batch += batch[-1:] * (min(count, -(-len(batch) // 4) * 4) - len(batch))
        results.update(zip(part, run(batch, size), strict=False))
    return [results[place] for place in range(len(items))]
