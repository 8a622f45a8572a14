"""Processes: children that do not outlive their parent, and what a process and its children took."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import signal
import sys
from pathlib import Path

__all__ = [
    "LONGEST_WAIT",
    "die_with_parent",
    "forget_peak",
    "is_wait",
    "peak_memory",
    "processor_seconds",
    "signal_name",
]

#: Seconds that a process may be waited for; the system counts milliseconds in 31 bits.
LONGEST_WAIT = 1_000_000
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl(2)
# Looked up here, as a new process that was forked beside other threads should do as little as possible.
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
#: Of the GNU C library.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the one that started it ends, however suddenly; Linux only.

    Called in the new process. Elsewhere a process finds out by its closed pipes, when it next looks at them.

    Args:
        parent: process number of the one that started it, where it is known: if that is gone already, this one ends.
    """
    if _prctl is not None:
        _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def is_wait(seconds: float) -> bool:
    """Whether a process can be waited for so long: above 0, and no more than :data:`LONGEST_WAIT`."""
    return 0 < seconds <= LONGEST_WAIT


def signal_name(number: int) -> str:
    """Give the name of a signal; those for programs' own purposes have a number only."""
    return next((one.name for one in signal.Signals if one == number), f"signal {number}")


def peak_memory(process: int) -> int | None:
    """Most bytes of main memory that a process, with the children that it has now, ever held; None where nobody tells.

    Sums up the peaks of each, so it may be above what they held at one time.
    """
    peaks = [peak for one in _family(process) if (peak := _peak(one)) is not None]
    return sum(peaks) if peaks else None


def forget_peak() -> bool:
    """Have :func:`peak_memory` of this process count from now on; False where the kernel does not offer that.

    What was freed goes back to the kernel before, as far as it can.
    """
    gc.collect()
    if _trim is not None:
        _trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False


def processor_seconds(process: int) -> float | None:
    """Processor time that a process and its children took so far; None where nobody tells."""
    # After the name, which may hold anything: times of the process itself, and of children of it that ended
    times = [_read(one, "stat").rpartition(")")[2].split()[11:15] for one in _family(process)]
    ticks = [int(part) for one in times for part in one]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def _peak(process: int) -> int | None:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _read(process, "status"), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _family(process: int) -> list[int]:
    """A process and all that it started, as far as they still run."""
    found = [process]
    for one in found:
        found += map(int, _read(one, f"task/{one}/children").split())
    return found


def _read(process: int, name: str) -> str:
    """What the kernel says of a process; empty where it has ended, or the kernel is another one."""
    try:
        return (Path("/proc") / str(process) / name).read_text()
    except OSError:
        return ""
