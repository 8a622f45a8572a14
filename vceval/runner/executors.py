"""Where workers run, processes of this machine or actors of a Ray cluster, and what becomes of tasks lost with one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from vceval.runner.options import Options
from vceval.runner.pool import Lost, Pool

__all__ = ["Divisible", "Executor", "open_pool", "persistent"]


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
    on_device: Callable[[Any], bool] | bool = False,
) -> Executor:
    """Make what runs the tasks of a stage.

    Args:
        options: of the run.
        handler: makes what does a task, in the worker.
        arguments: of the handler, or a function that gives those of the worker of a number; on GPUs the first workers
            are those of the GPUs, in their order.
        timeout: seconds that a task may take.
        alike: what a task has in common with others that one worker does best.
        on_device: whether tasks work on the devices of the run, or which do: there is one worker for each GPU then,
            and what does not work there goes to workers beside these (on Ray all goes to the same ones).
    """
    on_gpu = options.on_gpu and on_device is not False
    if options.executor == "ray":
        from vceval.runner.ray_pool import RayPool

        return RayPool(options.ray_address, handler, arguments, timeout, gpus=1 if on_gpu else 0)
    if not on_gpu:
        return Pool(options.workers, handler, arguments, timeout, alike=alike)
    chosen = on_device if callable(on_device) else None
    return Pool(
        len(options.devices), handler, arguments, timeout, alike=alike, ahead=2, apart=options.workers if chosen else 0,
        is_apart=lambda task: chosen is not None and not chosen(task),
    )  # fmt: skip


class Divisible(Protocol):
    """A task of several items that knows how many workers died of it."""

    @property
    def deaths(self) -> int:
        """How many workers died of it."""

    def parts(self) -> Sequence[Any]:
        """One task for every item."""

    def again(self) -> Any:
        """The same task, with one death more."""


D = TypeVar("D", bound=Divisible)


def persistent(
    pool: Executor, tasks: Iterable[D], parts: Callable[[D], Sequence[D]] = lambda task: task.parts()
) -> Iterator[tuple[D, Any]]:
    """Run tasks; yield each with its result, a :class:`Lost` only for one of a single item that was lost twice.

    A worker may die for reasons of its own (somebody killed it, its machine is gone), so a task is first tried again
    whole. One that dies again, or that hangs, is divided, so that only the item at fault is lost.
    """
    waiting: Iterable[D] = tasks
    while True:
        lost: list[D] = []
        for task, result in pool.run(waiting):
            again = _again(task, result, parts) if isinstance(result, Lost) else []
            lost += again
            if not again:
                yield task, result
        if not lost:
            return
        waiting = lost


def _again(task: D, lost: Lost, parts: Callable[[D], Sequence[D]]) -> Sequence[D]:
    if not lost.hung and not task.deaths:
        again: D = task.again()
        return [again]
    smaller = parts(task)
    return smaller if len(smaller) > 1 else []
