"""What a worker measures of a converter: how long its calls take, and what it and its machine are."""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vceval.converters.base import Converter, Footprint
from vceval.errors import reason_of
from vceval.runner.progress import say
from vceval.storage.processes import forget_peak, peak_memory, processor_seconds

__all__ = ["Gauge", "Lap", "processor_name"]


@dataclass(slots=True)
class Lap:
    """One call of a converter that went well, timed.

    by: number of the opening that it is of. of: pairs in the call. first: whether the converter warmed up in it.
    processor: seconds of processor time; None on a GPU, and where nobody tells.
    """

    by: str
    of: int
    first: bool
    processor: float | None
    _wall: float
    _queued: tuple[Any, Any] | None

    def seconds(self) -> float:
        """Wall-clock time; on a GPU from when it was free for the call until it was done with it, which is waited for.

        Raises:
            RuntimeError: the GPU failed meanwhile.
        """
        if self._queued is None:
            return self._wall
        begun, ended = self._queued
        ended.synchronize()
        return float(begun.elapsed_time(ended)) / 1000.0


class Gauge:
    """Watches the converter that is open in this process.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        workers: how many work side by side; 0 where nobody knows.
    """

    def __init__(self, device: str, workers: int) -> None:
        self._device, self._workers = device, workers
        self._by = ""
        self._opened = self._laps = 0
        self._counts_memory = True
        self._broken = False

    def opening(self) -> None:
        """Take note that a converter is about to be opened: what was measured of earlier ones is not its own."""
        self._by, self._laps, self._broken = os.urandom(4).hex(), 0, False
        self._counts_memory = forget_peak() or not self._opened
        self._opened += 1
        if (torch := _on_gpu(self._device)) is not None:
            torch.cuda.reset_peak_memory_stats(self._device)

    def timed(self, converter: Converter, pairs: int) -> _Running:
        """Begin to time a call."""
        return _Running(self, converter, pairs)

    def report(self, converter: Converter) -> dict[str, Any]:
        """Say what the converter takes and where it runs."""
        known = self.footprint(converter)
        memory, device_memory, device = known.memory, known.device_memory, known.device
        if known.program is not None:
            memory = memory or peak_memory(known.program)
        elif self._counts_memory:
            memory = peak_memory(os.getpid()) or _usage()
        if known.program is None and (torch := _on_gpu(self._device)) is not None:
            device_memory = int(torch.cuda.max_memory_allocated(self._device))
            device = str(torch.cuda.get_device_name(self._device))
        kind = self._device.partition(":")[0]
        return {
            "id": self._by, "memory": _whole(memory), "device_memory": _whole(device_memory),
            "parameters": None if known.parameters is None else dict(known.parameters), "precision": known.precision,
            "torch": known.torch, "threads": known.threads,
            "machine": {
                "processor": processor_name(), "cores": len(os.sched_getaffinity(0)),
                "device": "" if kind == "cpu" else device or kind, "workers": self._workers,
            },
        }  # fmt: skip

    def footprint(self, converter: Converter) -> Footprint:
        """Ask a converter what it takes; a plug-in may throw anything, which is said and costs nothing but this."""
        try:
            found: Any = Footprint() if self._broken else converter.footprint()
            if isinstance(found, Footprint):
                return found
            reason = f"footprint() gave a {type(found).__name__}, not a Footprint"
        except Exception as error:
            reason = reason_of(error)
        self._broken = True
        say(f"vceval: {converter.info.name} can't say what it takes: {reason}")
        return Footprint()


class _Running:
    """A call that is being timed."""

    def __init__(self, gauge: Gauge, converter: Converter, pairs: int) -> None:
        self._gauge, self._converter, self._pairs = gauge, converter, pairs
        self._program = gauge.footprint(converter).program
        self._used = self._processor(self._program)
        self._moment = _moment(gauge._device)
        self._began = time.perf_counter()

    def ended(self) -> Lap:
        """End it, where it went well."""
        gauge, wall, moment = self._gauge, time.perf_counter() - self._began, _moment(self._gauge._device)
        program = gauge.footprint(self._converter).program
        used = self._processor(program)
        first = not gauge._laps or program != self._program
        spent = used - self._used if used is not None and self._used is not None and program == self._program else None
        gauge._laps += 1
        queued = (self._moment, moment) if self._moment is not None and moment is not None else None
        return Lap(gauge._by, self._pairs, first, spent, wall, queued)

    def _processor(self, program: int | None) -> float | None:
        if self._gauge._device != "cpu":
            return None
        return time.process_time() if program is None else processor_seconds(program) if program else 0.0


def _on_gpu(device: str) -> Any:
    """Torch, where it computes on the GPU in this process."""
    torch = sys.modules.get("torch")
    return torch if device != "cpu" and torch is not None and torch.cuda.is_initialized() else None


def _moment(device: str) -> Any:
    """Mark a moment in a GPU's queue, as calls only fill that; None where there is none."""
    torch = _on_gpu(device)
    if torch is None:
        return None
    found = torch.cuda.Event(enable_timing=True, blocking=True)
    found.record(torch.cuda.current_stream(device))
    return found


def _whole(memory: int | None) -> int | None:
    """Bytes, rounded up to 4 MiB: what is said again at every page is no news."""
    return None if memory is None else -(-memory // (1 << 22)) << 22


def _usage() -> int:
    """Most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@cache
def processor_name() -> str:
    """The model of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return " ".join(found[1].split()) if found else platform.processor() or platform.machine()
