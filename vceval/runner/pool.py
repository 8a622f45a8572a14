"""Worker processes with one compute thread each, that may die without taking the run along.

A worker that crashes or hangs costs the task it was doing and is started again. When the main process dies,
however suddenly, its workers see their pipe close and end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

__all__ = ["Lost", "Pool"]

Task = TypeVar("Task")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for a result that never came, with the reason in words."""

    reason: str


@dataclass(slots=True)
class _Worker(Generic[Task]):
    process: Any
    pipe: Connection
    task: Task | None = None
    since: float = 0.0
    busy: bool = field(default=False)


class Pool(Generic[Task]):
    """Runs ``handler(*arguments)`` in each worker and then calls what it returned on tasks.

    Args:
        count: number of workers.
        handler: a module-level callable; called in the worker with ``arguments``, it returns the function that
            does a task. Tasks and results must be picklable.
        timeout: seconds that a task may take, given the task; None for no limit.
    """

    def __init__(
        self,
        count: int,
        handler: Callable[..., Callable[[Any], Any]],
        arguments: tuple[Any, ...] = (),
        timeout: Callable[[Any], float | None] = lambda _: None,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._handler, self._arguments, self._timeout = handler, arguments, timeout
        self._count = max(1, count)
        self._workers: list[_Worker[Task]] = []

    def __enter__(self) -> Pool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yield (task, result) as results come in, in no fixed order; a :class:`Lost` for a lost one."""
        waiting = deque(tasks)
        while waiting or any(worker.busy for worker in self._workers):
            while waiting:
                worker = self._idle()
                if worker is None:
                    break
                self._give(worker, waiting.popleft())
            yield from self._collect()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(timeout=0.0 if worker.busy else 2.0)
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def _idle(self) -> _Worker[Task] | None:
        for worker in self._workers:
            if not worker.busy:
                return worker
        if len(self._workers) >= self._count:
            return None
        ours, theirs = self._context.Pipe()
        for variable in _THREAD_VARIABLES:
            os.environ.setdefault(variable, "1")
        process = self._context.Process(target=_serve, args=(theirs, self._handler, self._arguments), daemon=False)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _give(self, worker: _Worker[Task], task: Task) -> None:
        worker.task, worker.since, worker.busy = task, time.monotonic(), True
        try:
            worker.pipe.send(task)
        except OSError:
            return  # it died meanwhile; _collect sees the closed pipe

    def _collect(self) -> Iterator[tuple[Task, Any]]:
        busy = {worker.pipe: worker for worker in self._workers if worker.busy}
        for pipe in wait(list(busy), timeout=0.2):
            worker = busy[pipe]  # type: ignore[index]
            task = worker.task
            assert task is not None
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join(timeout=5)
                code = worker.process.exitcode
                self._drop(worker)
                yield task, Lost(f"the worker process died ({_how(code)})")
                continue
            worker.task, worker.busy = None, False
            yield task, result
        now = time.monotonic()
        for worker in [worker for worker in self._workers if worker.busy]:
            assert worker.task is not None
            limit = self._timeout(worker.task)
            if limit is not None and now - worker.since > limit:
                task = worker.task
                self._drop(worker)
                yield task, Lost(f"not done within {limit:g} s")

    def _drop(self, worker: _Worker[Task]) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _serve(pipe: Connection, handler: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole process group; the main process decides what to do with its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # pyworld and webrtcvad announce at every import that they use pkg_resources; setuptools is held below 81 for it.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    work = handler(*arguments)
    try:
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, BrokenPipeError):
        return  # the main process closed the pipe or is gone
    finally:
        close = getattr(work, "close", None)
        if close is not None:
            close()
