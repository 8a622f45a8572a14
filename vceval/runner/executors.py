"""Where workers run: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Protocol

from vceval.runner.options import Options
from vceval.runner.pool import Pool

__all__ = ["Executor", "open_pool"]


class Executor(Protocol):
    """Runs tasks in workers; see :class:`vceval.runner.pool.Pool`."""

    def run(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield (task, result) in no fixed order; a :class:`vceval.runner.pool.Lost` for a lost one."""

    def close(self) -> None:
        """End all workers."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *error: object) -> None: ...


def open_pool(
    options: Options,
    handler: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...] | Callable[[int], tuple[Any, ...]],
    timeout: Callable[[Any], float | None] = lambda _: None,
    *,
    alike: Callable[[Any], Hashable] = lambda _: None,
    converts: bool = False,
) -> Executor:
    """Make what runs the tasks of a stage.

    Args:
        options: of the run.
        handler: makes what does a task, in the worker.
        arguments: of the handler, or a function that gives those of the worker of a number.
        timeout: seconds that a task may take.
        alike: what a task has in common with others that one worker does best.
        converts: the stage works on the devices of the run; one worker for each GPU then.
    """
    on_gpu = converts and options.on_gpu
    if options.executor == "ray":
        from vceval.runner.ray_pool import RayPool

        return RayPool(options.ray_address, handler, arguments, timeout, gpus=1 if on_gpu else 0)
    count = len(options.devices) if on_gpu else options.workers
    return Pool(count, handler, arguments, timeout, alike=alike, ahead=2 if on_gpu else 0)
