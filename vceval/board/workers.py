"""Work on many files by several processes: results come in order, and few are in memory at once."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

from vceval.storage.processes import die_with_parent

__all__ = ["Doing", "workers"]

_Job = TypeVar("_Job")
_Done = TypeVar("_Done")
#: With fewer files a process takes longer to start than they take.
_WORTH = 100
#: What each process has ready.
_READY = ["vceval.board.standing", "vceval.publish.check", "scipy.special", "cryptography.hazmat.primitives.asymmetric"]


class Doing(Protocol):
    """Does a job for each of many, in their order: a function of a module, and what it is given."""

    def __call__(self, job: Callable[[_Job], _Done], given: Iterable[_Job], /) -> Iterator[_Done]:
        """Do the job for each."""


@contextmanager
def workers(files: int) -> Iterator[Doing]:
    """Start as many processes as there are cores, none for few files."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if files < _WORTH or count < 2:
        yield lambda job, given: map(job, given)
        return
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(_READY)
    with ProcessPoolExecutor(count, context, _ready) as pool:

        def each(job: Callable[[_Job], _Done], given: Iterable[_Job]) -> Iterator[_Done]:
            waiting: deque[Future[_Done]] = deque()
            for one in given:
                waiting.append(pool.submit(job, one))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        yield each


def _ready() -> None:
    """Prepare a process: it ends with its parent, and seldom looks for circles, which what it reads does not make."""
    die_with_parent()
    gc.set_threshold(100_000, 50, 100)
