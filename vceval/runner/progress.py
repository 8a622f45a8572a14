"""How a run shows its progress: bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Advance", "lasting", "say", "stage"]


class Advance(Protocol):
    """Reports that some items are done, and how many of them failed."""

    def __call__(self, items: int, failed: int = 0) -> None:
        """Count ``items`` as done, ``failed`` of them in vain."""


def say(text: str) -> None:
    """Print a line for the user; standard output is kept for results."""
    print(text, file=sys.stderr, flush=True)


def lasting(seconds: float) -> str:
    """Put a time span in words, in the unit that suits it."""
    for limit, size, unit in ((90.0, 1.0, "s"), (5_400.0, 60.0, "min"), (172_800.0, 3_600.0, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"


@contextmanager
def stage(name: str, total: int, unit: str) -> Iterator[Advance]:
    """Show one stage of a run; yields the function to call as items get done."""
    began = time.monotonic()
    done = failures = 0

    def line(mark: str) -> str:
        failed = f", {failures} failed" if failures else ""
        return f"{name:<10}{done}/{total} {unit}{failed}  {time.monotonic() - began:.1f} s{mark}"

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(name, total=total)

            def advance(items: int, failed: int = 0) -> None:
                nonlocal done, failures
                done, failures = done + items, failures + failed
                progress.update(bar, completed=done)

            try:
                yield advance
            except BaseException:
                say(line("  (stopped)"))
                raise
    else:

        def advance(items: int, failed: int = 0) -> None:
            nonlocal done, failures
            done, failures = done + items, failures + failed

        try:
            yield advance
        except BaseException:
            say(line("  (stopped)"))
            raise
    say(line(""))
