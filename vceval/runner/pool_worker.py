"""What runs in a worker process: take a task, do it, send the result.

What does a task is a callable. One that also has the methods ``fetch``, ``compute`` and ``store`` can have tasks in all
three stages at once: ``fetch(task)`` reads what the task needs (in a thread, ahead of time), ``compute(task, fetched)``
works, ``store(task, computed)`` writes and gives the result (in a thread, while the next task is worked at). Its
attribute ``ahead`` says for how many tasks it wants to fetch early; 0 for one thing after the other.
"""

from __future__ import annotations

import queue
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from vceval.storage.processes import die_with_parent

__all__ = ["serve"]


def serve(pipe: Connection, parent: int, handler: Callable[..., Callable[[Any], Any]], given: tuple[Any, ...]) -> None:
    """Do tasks from a pipe until its other end is closed; the process's main function.

    Args:
        pipe: tasks come in, results go out, in the same order.
        parent: process number of the main process.
        handler: makes what does a task, see above.
        given: its arguments.
    """
    die_with_parent(parent)
    # Ctrl-C reaches the whole process group; the main process decides what to do with its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
