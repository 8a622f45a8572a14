"""Worker processes with one compute thread each, that may die without taking the run along.

A worker that crashes or hangs costs the task it was doing and is started again. When the main process dies,
however suddenly, its workers are killed with it.

On Linux workers are forked from a server: a process without threads that has imported once what all of them need, and
ends with the main process. Elsewhere, and where there is no place for the server's socket, each starts from nothing.

What does a task in a worker is a callable. One that also has the methods ``fetch``, ``compute`` and ``store`` can have
tasks in all three stages at once: ``fetch(task)`` reads what the task needs (in a thread, ahead of time),
``compute(task, fetched)`` works, ``store(task, computed)`` writes and gives the result (in a thread, while the next
task is worked at). Its attribute ``ahead`` says for how many tasks it wants to fetch early; 0 for one thing after the
other.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Generic, TypeVar

from vceval.storage.processes import die_with_parent, signal_name

__all__ = ["THREAD_VARIABLES", "Lost", "Pool", "preload", "serve"]

Task = TypeVar("Task")

#: What holds libraries to one compute thread a process: parallelism is over items.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: What every worker imports sooner or later.
_MODULES = (
    "vceval.runner.pool", "vceval.runner.convert_worker", "vceval.runner.score_worker", "numba", "scipy.fft",
    "soundfile", "soxr",
)  # fmt: skip
#: In a worker the process that forked it, as it imported this module; where it did not, this process itself.
_IMPORTED_BY = os.getpid()
#: Tasks among which one that suits a worker is looked for.
_IN_SIGHT = 64
#: Seconds that idle workers have to close what they have open.
_FAREWELL = 2.0


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for a result that never came, with the reason in words; ``hung`` where the time was up."""

    reason: str
    hung: bool = False


def preload(modules: Iterable[str]) -> None:
    """Start the server of workers, if there is none yet: it imports while this process has other things to do.

    Args:
        modules: what workers are going to import besides what all of them do.
    """
    forkserver.set_forkserver_preload([*_MODULES, *modules])
    _method()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module, which a new process would run once more: workers need nothing of a user's script."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back from what starts meanwhile, until that looks away from it by itself."""
    resource_tracker.ensure_running()  # as a part of a start it would let Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(slots=True)
class _Worker(Generic[Task]):
    """A process and the tasks given to it, the one it is at first; ``since`` it is at that one."""

    process: Any
    pipe: Connection
    slot: int
    tasks: deque[Task] = field(default_factory=deque)
    since: float = 0.0
    last: Hashable = None


#: Tasks that no worker has yet, of both kinds.
Waiting = tuple[deque[Task], deque[Task]]


class Pool(Generic[Task]):
    """Runs ``handler(*arguments)`` in each worker and then calls what it returned on tasks.

    Args:
        count: number of workers.
        handler: a module-level callable; called in the worker with ``arguments``, it returns the function that
            does a task, see above. Tasks and results must be picklable.
        arguments: of the handler, or a function that gives those of the worker of a number (a GPU each, say).
        timeout: seconds that a task may take, given the task; None for no limit.
        alike: what a task has in common with others that the same worker does best; None for no matter.
        ahead: tasks that a worker is given while it is at another one.
        apart: number of further workers, numbered after the others, for the tasks that ``is_apart`` tells; these are
            given one at a time.
    """

    def __init__(
        self,
        count: int,
        handler: Callable[..., Callable[[Any], Any]],
        arguments: tuple[Any, ...] | Callable[[int], tuple[Any, ...]] = (),
        timeout: Callable[[Any], float | None] = lambda _: None,
        *,
        alike: Callable[[Any], Hashable] = lambda _: None,
        ahead: int = 0,
        apart: int = 0,
        is_apart: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._handler, self._timeout, self._alike = handler, timeout, alike
        self._arguments: Callable[[int], tuple[Any, ...]] = arguments if callable(arguments) else lambda _: arguments
        count = max(1, count)
        #: Of both kinds of workers: their numbers, and how many tasks one may have.
        self._slots = range(count), range(count, count + apart)
        self._depths = 1 + max(0, ahead), 1
        self._is_apart = is_apart
        self._workers: list[_Worker[Task]] = []

    def __enter__(self) -> Pool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Yield (task, result) as results come in, in no fixed order; a :class:`Lost` for a lost one.

        Tasks are taken from their iterable as they are needed.
        """
        coming = iter(tasks)
        waiting: Waiting[Task] = (deque(), deque())
        while True:
            for task in islice(coming, max(0, _IN_SIGHT - max(map(len, waiting)))):
                waiting[self._is_apart(task)].append(task)
            for kind, some in enumerate(waiting):
                while some and (worker := self._free(kind)) is not None:
                    self._give(worker, self._choose(some, worker))
            if not any(worker.tasks for worker in self._workers):
                return
            yield from self._collect(waiting)

    def close(self) -> None:
        """End all workers; those that are at work are killed."""
        started = [worker for worker in self._workers if worker.process.pid is not None]
        for worker in self._workers:
            worker.pipe.close()
        for worker in started:
            if worker.tasks:
                worker.process.kill()
        deadline = time.monotonic() + _FAREWELL
        for worker in started:
            worker.process.join(timeout=max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _free(self, kind: int) -> _Worker[Task] | None:
        """A worker that has nothing to do, a new one, or one that can take a task ahead; None where there is none."""
        workers = [worker for worker in self._workers if worker.slot in self._slots[kind]]
        for worker in workers:
            if not worker.tasks:
                return worker
        for slot in self._slots[kind]:
            if all(slot != worker.slot for worker in workers):
                return self._start(slot)
        return next((worker for worker in workers if len(worker.tasks) < self._depths[kind]), None)

    def _start(self, slot: int) -> _Worker[Task]:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context(_method())
        # A server has the environment of its own start
        arguments = (theirs, dict(os.environ), self._handler, self._arguments(slot))
        process = context.Process(target=serve, args=arguments, daemon=False)  # type: ignore[attr-defined]
        # Known before it starts: a Ctrl-C meanwhile must not leave a worker that nobody ends
        self._workers.append(_Worker(process, ours, slot))
        with _interrupts_held(), _without_main():
            process.start()
        theirs.close()
        return self._workers[-1]

    def _choose(self, waiting: deque[Task], worker: _Worker[Task]) -> Task:
        """Take what is like the worker's last task, else what is like no other worker's, else the first."""
        kinds = [self._alike(task) for task in waiting]
        if kinds[0] is not None:
            others = {other.last for other in self._workers if other is not worker}
            mine = (place for place, kind in enumerate(kinds) if kind == worker.last)
            nobodys = (place for place, kind in enumerate(kinds) if kind not in others)
            place = next(mine, next(nobodys, 0))
            waiting.rotate(-place)
            task = waiting.popleft()
            waiting.rotate(place)
            return task
        return waiting.popleft()

    def _give(self, worker: _Worker[Task], task: Task) -> None:
        if not worker.tasks:
            worker.since = time.monotonic()
        worker.tasks.append(task)
        worker.last = self._alike(task)
        try:
            worker.pipe.send(task)
        except OSError:
            return  # it died meanwhile; _collect sees the closed pipe

    def _collect(self, waiting: Waiting[Task]) -> Iterator[tuple[Task, Any]]:
        busy = {worker.pipe: worker for worker in self._workers if worker.tasks}
        for pipe in wait(list(busy), timeout=0.2):
            worker = busy[pipe]  # type: ignore[index]
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                worker.process.join(timeout=5)
                code = worker.process.exitcode
                yield self._drop(worker, waiting), Lost(f"the worker process died ({_how(code)})")
                continue
            task, worker.since = worker.tasks.popleft(), time.monotonic()
            yield task, result
        now = time.monotonic()
        for worker in [worker for worker in self._workers if worker.tasks]:
            limit = self._timeout(worker.tasks[0])
            if limit is not None and now - worker.since > limit:
                yield self._drop(worker, waiting), Lost(f"not done within {limit:g} s", hung=True)

    def _drop(self, worker: _Worker[Task], waiting: Waiting[Task]) -> Task:
        """End a worker and return the task that it was at; what it was given ahead goes to others."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        task = worker.tasks.popleft()
        waiting[worker.slot in self._slots[1]].extendleft(reversed(worker.tasks))
        return task


def _method() -> str:
    """How a worker starts here, with everything made ready for it."""
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    if sys.platform != "linux":
        return "spawn"
    try:
        with _interrupts_held():
            forkserver.ensure_running()
    except OSError:  # no folder for temporary files, or one whose name is too long for a socket
        return "spawn"
    return "forkserver"


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal_name(-code)}"
    return f"exit code {code}"


def serve(
    pipe: Connection,
    environment: Mapping[str, str],
    handler: Callable[..., Callable[[Any], Any]],
    given: tuple[Any, ...],
) -> None:
    """Do tasks from a pipe until its other end is closed; the process's main function.

    Args:
        pipe: tasks come in, results go out, in the same order.
        environment: of the main process.
        handler: makes what does a task, see above.
        given: its arguments.
    """
    die_with_parent(None if os.getpid() == _IMPORTED_BY else _IMPORTED_BY)
    if environment != os.environ:
        os.environ.clear()
        os.environ.update(environment)
    # Ctrl-C reaches the whole process group; the main process decides what to do with its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # pyworld and webrtcvad announce at every import that they use pkg_resources; setuptools is held below 81 for it.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    work = handler(*given)
    ahead = getattr(work, "ahead", 0)
    try:
        if ahead:
            _overlapped(pipe, work, ahead)
        else:
            while True:
                pipe.send(work(pipe.recv()))
    except (EOFError, OSError):
        return  # the main process closed the pipe or is gone
    finally:
        close = getattr(work, "close", None)
        if close is not None:
            close()


def _overlapped(pipe: Connection, work: Any, ahead: int) -> None:
    """Read ahead of the work and write behind it, one thread each beside the main one that works."""
    fetched: queue.Queue[tuple[Any, Future[Any]]] = queue.Queue()
    stored: queue.Queue[Future[Any]] = queue.Queue()
    over: Future[Any] = Future()
    with ThreadPoolExecutor(ahead) as readers, ThreadPoolExecutor(1) as writer:

        def receive() -> None:
            try:
                while True:
                    task = pipe.recv()
                    fetched.put((task, readers.submit(work.fetch, task)))
            except (EOFError, OSError):
                fetched.put((None, over))

        def send() -> None:
            while (result := stored.get()) is not over:
                pipe.send(result.result())

        receiver = threading.Thread(target=receive, daemon=True)
        sender = _Sender(send)
        receiver.start()
        sender.start()
        while True:
            task, coming = fetched.get()
            if coming is over:
                break
            sender.check()
            stored.put(writer.submit(work.store, task, work.compute(task, coming.result())))
        stored.put(over)
        sender.join()
        sender.check()


class _Sender(threading.Thread):
    """A thread whose error is raised where it is asked for."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._what = target
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._what()
        except BaseException as error:
            self.error = error

    def check(self) -> None:
        if self.error is not None:
            raise self.error
