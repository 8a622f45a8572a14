"""Tables and paragraphs as a terminal shows them: within its width, plain where nobody sees styles."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["NARROWEST", "Cell", "clean", "grid", "line", "paragraph", "width"]

#: Columns that are taken where nobody says how many there are, and the fewest that anything is set for.
_USUAL, NARROWEST = 100, 60


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of one cell, of one line or several; ``style`` is rich's, for terminals that have styles."""

    text: str
    style: str = ""


def width() -> int:
    """Columns of the terminal; of a pipe what ``COLUMNS`` says, or 100."""
    return max(NARROWEST, shutil.get_terminal_size((_USUAL, 24)).columns)


def clean(text: str) -> str:
    """Put a name on one line, without control characters: a terminal would obey them."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def paragraph(text: str, head: str = "", indent: int = 0, columns: int | None = None) -> str:
    """Wrap a text behind a head of ``indent`` columns."""
    return "\n".join(
        wrap(
            f"{head:<{indent}}{text}", min(columns or width(), _USUAL), subsequent_indent=" " * indent,
            break_on_hyphens=False,
        )
    )  # fmt: skip


def line(text: str, indent: int) -> str:
    """One thing that is said, wrapped behind its first columns where a terminal is there; a pipe has a line of each."""
    return paragraph(text[indent:], text[:indent], indent) if sys.stdout.isatty() else text


def grid(
    headings: Sequence[str],
    sections: Iterable[Sequence[Sequence[str | Cell]]],
    numeric: Collection[int] = (),
    columns: int | None = None,
) -> str:
    """Set texts in aligned columns under their headings, a rule between sections; long texts are wrapped.

    Args:
        headings: of the columns; nothing stands over a table whose headings are all empty.
        sections: rows that belong together; a row of one cell is a heading of its section.
        numeric: the columns that are set flush right.
        columns: of the terminal; its own where None.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=columns or width(), highlight=False, markup=False, emoji=False, file=sys.stdout)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=any(headings), padding=(0, 1, 0, 0),
        header_style="bold",
    )  # fmt: skip
    for place, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="right" if place in numeric else "left",
            overflow="fold",
            no_wrap=place in numeric,
            vertical="top",
        )
    for place, rows in enumerate(sections):
        if place and rows:
            table.add_section()
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _text(cell: str | Cell) -> Text:
    from rich.text import Text

    found = cell if isinstance(cell, Cell) else Cell(cell)
    return Text("\n".join(clean(line) for line in found.text.split("\n")), style=found.style)
