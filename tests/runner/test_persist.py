"""Tasks that are lost with their worker are done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vceval.runner.executors import persistent
from vceval.runner.pool import Lost

DEAD, HUNG = Lost("died"), Lost("hung", hung=True)


@dataclass(frozen=True)
class Task:
    items: str
    deaths: int = 0

    def parts(self) -> list[Task]:
        return [Task(item) for item in self.items]

    def again(self) -> Task:
        return replace(self, deaths=self.deaths + 1)


class Fake:
    """A pool that does what it is told of a task, and notes what it was given."""

    def __init__(self, result: Callable[[Task, int], object]) -> None:
        self.result = result
        self.given: list[str] = []

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, object]]:
        for task in tasks:
            self.given.append(task.items)
            yield task, self.result(task, self.given.count(task.items))


def done(pool: Fake, *tasks: str) -> dict[str, object]:
    return {task.items: result for task, result in persistent(pool, map(Task, tasks))}  # type: ignore[arg-type]


def test_a_death_from_outside_costs_nothing() -> None:
    pool = Fake(lambda task, time: DEAD if time == 1 and "b" in task.items else task.items.upper())
    assert done(pool, "abc", "de") == {"abc": "ABC", "de": "DE"}
    assert pool.given == ["abc", "de", "abc"]


def test_what_kills_its_worker_is_found() -> None:
    pool = Fake(lambda task, time: DEAD if "b" in task.items else task.items.upper())
    assert done(pool, "abc") == {"a": "A", "b": DEAD, "c": "C"}
    assert pool.given == ["abc", "abc", "a", "b", "c", "b"]


def test_what_hangs_is_divided_at_once() -> None:
    pool = Fake(lambda task, time: HUNG if "b" in task.items else task.items.upper())
    assert done(pool, "abc") == {"a": "A", "b": HUNG, "c": "C"}
    assert pool.given == ["abc", "a", "b", "c"]
