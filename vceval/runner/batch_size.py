"""How many seconds of audio fit on a device at once: found out while converting, and remembered."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from vceval.storage.files import replacing

__all__ = ["Fitting", "out_of_memory"]

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
    """Whether little of a GPU's memory was ever in use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    return bool(torch.cuda.max_memory_reserved(device) < _EASY * torch.cuda.get_device_properties(device).total_memory)
