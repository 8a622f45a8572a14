"""Workers on a Ray cluster: actors on any of its nodes, which may die, leave and join while a run goes on.

The folder of the run, the data and the cache must be reachable by the same paths on every node (a shared file system):
workers write audio where the driver reads it. The driver alone writes journals and tables, as it does locally.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.runner.pool import THREAD_VARIABLES, Lost

__all__ = ["RayPool"]

#: Tasks that an actor has: one at work, one that waits, so that it need not wait for the driver.
_DEPTH = 2
#: Tasks held ready by the driver.
_IN_SIGHT = 64
#: Seconds between two looks at the size of the cluster, and the time after which a missing node is given up.
_LOOK, _PATIENCE = 5.0, 300.0
#: Actors one after the other that may fail to start.
_STILLBORN = 8
#: Seconds in which the head of a cluster must answer.
_ANSWER = 10.0


@dataclass(slots=True)
class _Actor:
    """An actor, and the tasks given to it, the one it is at first; ``since`` it is at that one.

    starting: what will come when it has started; None afterwards.
    """

    handle: Any
    slot: int
    starting: Any
    tasks: deque[tuple[Any, Any]] = field(default_factory=deque)
    since: float = 0.0


class RayPool:
    """Runs tasks in actors of a Ray cluster; what :class:`vceval.runner.pool.Pool` is for one machine.

    Args:
        address: of the cluster, ``auto`` for the one that this machine belongs to; None makes one of this machine.
        handler: as in the local pool.
        arguments: as in the local pool.
        timeout: as in the local pool.
        gpus: GPUs that an actor needs.
        workers: actors at most; None for as many as the cluster has room for.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """

    def __init__(
        self,
        address: str | None,
        handler: Callable[..., Callable[[Any], Any]],
        arguments: tuple[Any, ...] | Callable[[int], tuple[Any, ...]] = (),
        timeout: Callable[[Any], float | None] = lambda _: None,
        *,
        gpus: float = 0,
        workers: int | None = None,
    ) -> None:
        self._ray = connect(address)
        self._arguments: Callable[[int], tuple[Any, ...]] = arguments if callable(arguments) else lambda _: arguments
        self._handler, self._timeout, self._gpus, self._most = handler, timeout, gpus, workers
        self._actors: list[_Actor] = []
        self._looked, self._served = 0.0, time.monotonic()
        self._room = self._stillborn = 0

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield (task, result) as results come in; a :class:`Lost` for a task whose actor or node died.

        Raises:
            UsageError: the cluster has had no room for a single worker for five minutes.
        """
        coming = iter(tasks)
        waiting: deque[Any] = deque()
        while True:
            waiting.extend(islice(coming, max(0, _IN_SIGHT - len(waiting))))
            if waiting:
                self._grow()
            for actor in sorted(self._actors, key=lambda one: len(one.tasks)):
                while waiting and actor.starting is None and len(actor.tasks) < _DEPTH:
                    self._give(actor, waiting.popleft())
            if not waiting and not any(actor.tasks for actor in self._actors):
                return
            yield from self._collect(waiting)

    def close(self) -> None:
        """End all actors; the cluster stays as it is."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._actors.clear()

    def _grow(self) -> None:
        """Start actors where there is room; nodes may have joined."""
        now = time.monotonic()
        if now - self._looked > _LOOK or not self._actors:
            self._looked = now
            self._room = self._capacity()
        while len(self._actors) < self._room:
            slot = next(n for n in range(self._room) if all(n != actor.slot for actor in self._actors))
            remote = self._ray.remote(num_cpus=1, num_gpus=self._gpus, max_restarts=0)(_Serving)
            handle = remote.remote(self._handler, self._arguments(slot), str(Path.cwd()))
            self._actors.append(_Actor(handle, slot, handle.ready.remote()))
        self._look_at_new_ones()
        if any(actor.starting is None for actor in self._actors):
            self._served = now
        elif now - self._served > _PATIENCE:
            kind = "GPU" if self._gpus else "CPU"
            raise UsageError(f"the Ray cluster has had no {kind} free for {_PATIENCE:g} s; look at it with: ray status")

    def _look_at_new_ones(self) -> None:
        """See which actors have started: one that waits for room on the cluster is given nothing."""
        new = [actor for actor in self._actors if actor.starting is not None]
        for actor in new:
            if not self._ray.wait([actor.starting], timeout=0)[0]:
                continue
            try:
                self._ray.get(actor.starting)
                actor.starting, self._stillborn = None, 0
            except self._ray.exceptions.RayError as error:
                self._actors.remove(actor)
                self._stillborn += 1
                if self._stillborn > _STILLBORN:
                    message = _told(error)
                    raise UsageError(
                        f"workers can't start on the Ray cluster, where vceval must be, too: {message}"
                    ) from error

    def _capacity(self) -> int:
        """Number of actors that the nodes of the cluster can hold."""
        count = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                resources = node["Resources"]
                cpus = int(resources.get("CPU", 0))
                count += min(cpus, int(resources.get("GPU", 0) / self._gpus)) if self._gpus else cpus
        return count if self._most is None else min(count, self._most)

    def _give(self, actor: _Actor, task: Any) -> None:
        if not actor.tasks:
            actor.since = time.monotonic()
        actor.tasks.append((task, actor.handle.do.remote(task)))

    def _collect(self, waiting: deque[Any]) -> Iterator[tuple[Any, Any]]:
        heads = {actor.tasks[0][1]: actor for actor in self._actors if actor.tasks}
        if not heads:
            time.sleep(0.05)
            return
        done, _ = self._ray.wait(list(heads), num_returns=1, timeout=0.5)
        if done:  # whatever else is there by now, too
            done, _ = self._ray.wait(list(heads), num_returns=len(heads), timeout=0)
        for reference in done:
            actor = heads[reference]
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                yield self._drop(actor, waiting), Lost(f"the worker died on its node ({_told(error)})")
                continue
            task, _ = actor.tasks.popleft()
            actor.since = time.monotonic()
            yield task, result
        now = time.monotonic()
        for actor in [actor for actor in self._actors if actor.tasks]:
            limit = self._timeout(actor.tasks[0][0])
            if limit is not None and now - actor.since > limit:
                yield self._drop(actor, waiting), Lost(f"not done within {limit:g} s", hung=True)

    def _drop(self, actor: _Actor, waiting: deque[Any]) -> Any:
        """End an actor and return the task that it was at; what it was given ahead goes to others."""
        self._ray.kill(actor.handle)
        self._actors.remove(actor)
        self._looked = 0.0
        task, _ = actor.tasks.popleft()
        waiting.extendleft(reversed([task for task, _ in actor.tasks]))
        return task


class _Serving:
    """What runs in an actor: makes what does a task once, and does tasks."""

    def __init__(self, handler: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...], folder: str) -> None:
        try:
            os.chdir(folder)  # so that relative paths mean here what they mean to the driver
        except OSError as error:
            raise UsageError(
                f"{folder} is not on node {os.uname().nodename} ({error.strerror}); start the run in a folder that all "
                "nodes share"
            ) from error
        self._work = handler(*arguments)

    def ready(self) -> None:
        """Answer, so that the driver knows that it has started."""

    def do(self, task: Any) -> Any:
        """Call the handler's function on a task, and give its result."""
        return self._work(task)


def connect(address: str | None) -> Any:
    """Join a Ray cluster, or make one of this machine's processors; returns Ray.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--executor ray needs Ray: pip install 'vceval[ray]' ({error})") from error
    if not ray.is_initialized():
        _reach(address)
        environment = {name: value for name, value in os.environ.items() if name.startswith("VCEVAL_")}
        environment |= dict.fromkeys(THREAD_VARIABLES, "1")
        if "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        try:
            ray.init(
                address=address or "local", log_to_driver=False, include_dashboard=False if address is None else None,
                runtime_env={"env_vars": environment}, logging_level=logging.ERROR,
            )  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(f"--ray-address {address}: no Ray cluster is to be found there ({error})") from error
    return ray


def _reach(address: str | None) -> None:
    """See whether anybody is there: Ray itself would wait for minutes.

    Raises:
        UsageError: the address is none, or nobody answers.
    """
    if address in (None, "auto", "local"):
        return
    host, _, port = str(address).rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER):
            return
    except (OSError, ValueError) as error:
        raise UsageError(f"--ray-address {address}: no Ray cluster is to be found there ({error})") from error


def _told(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def cluster_devices(asked: str, address: str | None) -> tuple[str, ...]:
    """Turn ``--device`` into the device of every actor: its GPU, where the cluster has some and they are wanted.

    Raises:
        UsageError: the device is not known, or no node has a GPU.
    """
    if asked == "cpu":
        return ("cpu",)
    if asked not in ("auto", "cuda"):
        raise UsageError(f"--device {asked}: with --executor ray it must be cpu, cuda or auto")
    count = connect(address).cluster_resources().get("GPU", 0)
    if asked == "cuda" and not count:
        raise UsageError("--device cuda: no node of the Ray cluster has a GPU; use --device cpu")
    return ("cuda:0",) if count else ("cpu",)  # Ray shows every actor its own GPU only
