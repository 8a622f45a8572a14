"""Which pairs are converted together: those whose sources are about as long, up to so many seconds of audio.

The division follows from the plan alone, not from what is done of it already: a run that was cut off and goes on
computes the same batches, and so, to the last bit, the same audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from vceval.errors import ItemError
from vceval.records import ConversionPair
from vceval.signal import audio

__all__ = ["Lengths", "batches"]

#: Seconds of source audio in a batch: what a kill can cost, and what a GPU can have at once.
SECONDS = {"cpu": 60.0, "cuda": 240.0}


class Lengths:
    """Lengths of recordings in seconds, each read from its file once; 0.0 for one that can't be read."""

    def __init__(self) -> None:
        self._known: dict[Path, float] = {}

    def __call__(self, pair: ConversionPair) -> float:
        """Length of a pair's source."""
        source = pair.source
        if source is None:
            return 0.0
        if source.duration is not None:
            return source.duration
        if source.path not in self._known:
            try:
                self._known[source.path] = audio.duration(source.path)
            except ItemError:
                self._known[source.path] = 0.0  # the pair will be a failure
        return self._known[source.path]


def batches(
    pairs: Iterable[ConversionPair], lengths: Lengths, device: str, most: int
) -> Iterator[tuple[ConversionPair, ...]]:
    """Divide the pairs of one system, longest sources first, pairs of one source side by side.

    Args:
        pairs: all of them.
        lengths: of their sources.
        device: ``cpu``, ``cuda`` or ``cuda:N``; decides how many seconds go together.
        most: pairs that go together at most.
    """
    limit = SECONDS.get(device.partition(":")[0], SECONDS["cpu"])
    ordered = sorted(pairs, key=lambda pair: (-lengths(pair), pair.source.id if pair.source else "", pair.id))
    batch: list[ConversionPair] = []
    seconds = 0.0
    for pair in ordered:
        length = lengths(pair)
        if batch and (len(batch) >= most or seconds + length > limit):
            yield tuple(batch)
            batch, seconds = [], 0.0
        batch.append(pair)
        seconds += length
    if batch:
        yield tuple(batch)
