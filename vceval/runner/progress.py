"""How a run shows its progress: bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "lasting", "say", "stage"]


#: Seconds between two lines of a stage where there is no terminal.
_TELL = 30.0


class Advance(Protocol):
    """Reports that some items are done, and how many of them failed."""

    def __call__(self, items: int, failed: int = 0) -> None:
        """Count ``items`` as done, ``failed`` of them in vain."""


def say(text: str) -> None:
    """Print a line for the user; standard output is kept for results."""
    print(text, file=sys.stderr, flush=True)


def lasting(seconds: float, digits: int = 0) -> str:
    """Put a time span in words, in the unit that suits it."""
    for limit, size, unit in ((90.0, 1.0, "s"), (5_400.0, 60.0, "min"), (172_800.0, 3_600.0, "h")):
        if seconds < limit:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


class _Count:
    """How far a stage is: items done before, done now, failed now."""

    def __init__(self, name: str, total: int, unit: str, before: int) -> None:
        self.name, self.total, self.unit, self.before = name, total, unit, before
        self.done = self.failures = 0
        self.began = time.monotonic()

    def line(self, mark: str = "") -> str:
        """The state in words, with the rate of this attempt and the time that is left at that rate."""
        failed = f", {self.failures} failed" if self.failures else ""
        took = time.monotonic() - self.began
        rate = self.done / took if took else 0.0
        left = self.total - self.before - self.done
        words = f"{self.name:<10}{self.before + self.done}/{self.total} {self.unit}{failed}  {lasting(took, 1)}{mark}"
        if self.done:
            words += f", {rate:.3g} a second"
        return words + (f", {lasting(left / rate)} left" if left and rate else "")


@contextmanager
def stage(name: str, total: int, unit: str, before: int = 0) -> Iterator[Advance]:
    """Show one stage of a run; yields the function to call as items get done.

    Args:
        name: of the stage.
        total: number of items.
        unit: what they are.
        before: items that were done by an earlier attempt.
    """
    count = _Count(name, total, unit, before)
    with _bar(count) if sys.stderr.isatty() else _lines(count) as shown:

        def advance(items: int, failed: int = 0) -> None:
            count.done, count.failures = count.done + items, count.failures + failed
            shown()

        try:
            yield advance
        except BaseException:
            say(count.line("  (stopped)"))
            raise
    say(count.line())


@contextmanager
def _bar(count: _Count) -> Iterator[Callable[[], None]]:
    """A bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(count.unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(count.name, total=count.total, completed=count.before, rate="")

        def shown() -> None:
            rate = count.done / max(1e-9, time.monotonic() - count.began)
            progress.update(bar, completed=count.before + count.done, rate=f"{rate:.3g} a second")

        yield shown


@contextmanager
def _lines(count: _Count) -> Iterator[Callable[[], None]]:
    """A line now and then, for logs."""
    told = time.monotonic()

    def shown() -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL and count.before + count.done < count.total:
            told = time.monotonic()
            say(count.line())

    yield shown
