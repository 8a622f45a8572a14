"""Which pairs are converted together: those whose sources are about as long, up to so many seconds of audio.

The division follows from the plan alone, not from what is done of it already: a run that was cut off and goes on
computes the same batches, and so, to the last bit, the same audio. How much of a batch fits on a device at once is
found out while converting, and remembered.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from vceval.errors import ItemError
from vceval.records import ConversionPair
from vceval.signal import audio
from vceval.storage.files import replacing

__all__ = ["Fitting", "Lengths", "batches", "out_of_memory"]

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


T = TypeVar("T")

#: Seconds of audio that a converter is first given on a GPU.
_FIRST = 60.0
#: While less than this part of a GPU's memory was ever in use, twice as many seconds are tried.
_EASY = 0.4


class Fitting:
    """Divides batches into parts for which there is room, and learns from how they went.

    On a GPU it begins with a minute of audio and doubles that while memory is easily enough; where there is no room, it
    halves, and never again goes to what did not fit. On a processor it gives everything until there is no room.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        folder: where ``batches.json`` keeps what was found out, by converter and kind of device; None for nowhere.
    """

    def __init__(self, device: str, folder: Path | None) -> None:
        self._device = device
        self._file = None if folder is None else folder / "batches.json"
        self._fits: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        for key, value in _read(self._file).items():
            self._fits[key] = value

    def parts(self, converter: str, items: Sequence[T], seconds: Sequence[float]) -> Iterator[list[T]]:
        """Divide items of given lengths into parts that should fit; what was learnt from a part counts for the next."""
        place = 0
        while place < len(items):
            limit = self._fits.get(self._key(converter), math.inf if self._device == "cpu" else _FIRST)
            part, total = [items[place]], seconds[place]
            while (end := place + len(part)) < len(items) and total + seconds[end] <= limit:
                part.append(items[end])
                total += seconds[end]
            yield part
            place += len(part)

    def went_well(self, converter: str, seconds: float) -> None:
        """Take note that so many seconds fitted."""
        key = self._key(converter)
        limit = self._fits.get(key, _FIRST)
        refused = self._refused.get(key, math.inf)
        if self._device != "cpu" and seconds > limit / 2 and 2 * limit < refused and _easily(self._device):
            self._learn(key, 2 * limit)

    def too_much(self, converter: str, seconds: float) -> None:
        """Take note that so many seconds did not fit."""
        key = self._key(converter)
        self._refused[key] = min(seconds, self._refused.get(key, math.inf))
        self._learn(key, seconds / 2)

    def _key(self, converter: str) -> str:
        return f"{converter} on {_device_name(self._device)}"

    def _learn(self, key: str, seconds: float) -> None:
        self._fits[key] = seconds
        if self._file is not None:
            text = json.dumps({**_read(self._file), key: seconds}, indent=1, sort_keys=True)
            with contextlib.suppress(OSError), replacing(self._file) as stream:  # nothing depends on it
                stream.write(text.encode() + b"\n")


def free_device_memory() -> None:
    """Give unused memory of the device back, which pieces of failed attempts may hold."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether there was no room; by name, as torch is not imported for it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _read(path: Path | None) -> dict[str, float]:
    """What a file remembers; a damaged one counts as empty."""
    if path is not None:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            found = json.loads(path.read_text(encoding="utf-8")).items()
            return {str(key): float(value) for key, value in found if 0 < float(value) < math.inf}
    return {}


def _device_name(device: str) -> str:
    torch = sys.modules.get("torch")
    if device == "cpu" or torch is None or not torch.cuda.is_initialized():
        return device.partition(":")[0]
    return str(torch.cuda.get_device_name(device))


def _easily(device: str) -> bool:
    """Whether little of a GPU's memory was ever in use since the converter was opened."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    return bool(torch.cuda.max_memory_reserved(device) < _EASY * torch.cuda.get_device_properties(device).total_memory)
