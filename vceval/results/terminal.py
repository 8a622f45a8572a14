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
#: Columns between two of a table, and of a name that are always shown on one line.
_GAP, _NAME = 2, 14


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

    Where the columns do not fit beside each other, headings over numbers are folded and their intervals put below.

    Args:
        headings: of the columns; nothing stands over a table whose headings are all empty.
        sections: rows that belong together; a row of one cell is a heading of its section.
        numeric: the columns that are set flush right.
        columns: of the terminal; its own where None.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heads, parts = _fitted(headings, list(sections), numeric, columns or width())
    console = Console(width=columns or width(), highlight=False, markup=False, emoji=False, file=sys.stdout)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=any(headings), padding=(0, 1, 0, 0),
        header_style="bold",
    )  # fmt: skip
    for place, heading in enumerate(heads):
        table.add_column(
            heading,
            justify="right" if place in numeric else "left",
            overflow="fold",
            no_wrap=place in numeric,
            vertical="top",
        )
    for place, rows in enumerate(parts):
        if place and rows:
            table.add_section()
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _fitted(
    headings: Sequence[str], parts: Sequence[Sequence[Sequence[str | Cell]]], numeric: Collection[int], columns: int
) -> tuple[list[str], Sequence[Sequence[Sequence[str | Cell]]]]:
    """Fold what stands over and between numbers, as far as that is needed for names to be read.

    Headings over numbers are folded between words first; then intervals are put below their figures.
    """
    rows = [row for part in parts for row in part if len(row) == len(headings)]
    wanted = [max(_widest([heading]), *_cells(rows, place), 0) for place, heading in enumerate(headings)]
    if sum(wanted) + _GAP * (len(headings) - 1) <= columns:
        return list(headings), parts
    heads = [_heading(one, rows, place) if place in numeric else one for place, one in enumerate(headings)]
    taken = sum(max(_widest([heads[place]]), *_cells(rows, place), 0) for place in numeric)
    names = sum(min(wanted[place], _NAME) for place in range(len(headings)) if place not in numeric)
    if taken + names + _GAP * (len(headings) - 1) <= columns:
        return heads, parts
    below = [
        [
            [_interval_below(cell) if place in numeric and len(row) == len(headings) else cell
             for place, cell in enumerate(row)]
            for row in part
        ]
        for part in parts
    ]  # fmt: skip
    rows = [row for part in below for row in part if len(row) == len(headings)]
    return [_heading(one, rows, place) if place in numeric else one for place, one in enumerate(headings)], below


def _heading(heading: str, rows: Sequence[Sequence[str | Cell]], place: int) -> str:
    """A heading in lines that are no wider than what stands below it, or than its longest word."""
    room = max(_widest(heading.split()), *_cells(rows, place), 1)
    lines = (wrap(part, room, break_long_words=False, break_on_hyphens=False) for part in heading.split("\n"))
    return "\n".join("\n".join(some) for some in lines)


def _interval_below(cell: str | Cell) -> Cell:
    found = cell if isinstance(cell, Cell) else Cell(cell)
    return Cell(found.text.replace(" [", "\n["), found.style)


def _cells(rows: Sequence[Sequence[str | Cell]], place: int) -> list[int]:
    return [_widest([_text(row[place]).plain]) for row in rows]


def _widest(texts: Iterable[str]) -> int:
    """Columns that the widest line of some texts takes."""
    from rich.cells import cell_len

    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)


def _text(cell: str | Cell) -> Text:
    from rich.text import Text

    found = cell if isinstance(cell, Cell) else Cell(cell)
    return Text("\n".join(clean(line) for line in found.text.split("\n")), style=found.style)
