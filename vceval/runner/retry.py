"""Tasks that are lost with their worker are done again: first as they are, then piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from vceval.runner.executors import Executor
from vceval.runner.pool import Lost

__all__ = ["Divisible", "persistent"]


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
