"""Child processes that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent"]

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl(2)
# Looked up here, as a new process that was forked beside other threads should do as little as possible.
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


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
