"""What attacks found: rows of the fault table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["BAD", "Row", "markdown"]

#: What must not happen: an error that nobody caught, no end, a value that is not what was written and is not known to
#: be another one, something that was said to be kept and is not there.
BAD = ("trace", "no end", "other value", "lost")


@dataclass
class Row:
    """What came of the cases of one kind. ``bad``: the cases that must not be, so that they can be tried again."""

    kind: str
    found: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, what: str, case: str) -> None:
        """Count a case."""
        self.found[what] += 1
        if what in BAD:
            self.bad.append(f"{self.kind}, {case}: {what}")


def markdown(rows: list[Row]) -> str:
    """The table, as the reference page has it."""
    lines = ["| kind | cases | what happened |", "|---|---:|---|"]
    for row in rows:
        said = ", ".join(f"{count:,} {what}" for what, count in row.found.most_common())
        lines.append(f"| {row.kind} | {row.found.total():,} | {said}{f'. {row.note}' if row.note else ''} |")
    return "\n".join(lines) + "\n"
