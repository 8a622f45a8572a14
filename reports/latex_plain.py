"""LaTeX tables of texts: calibration, published results."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from vceval.reports.latex import LINE, PAGE, environment, stack
from vceval.reports.latex_text import breakable, escape, width
from vceval.reports.tables import PlainTable

__all__ = ["plain_table"]

#: Type size and gap between columns in points, in a table that fits so and in one that does not.
LOOSE, TIGHT = (8, 8), (7, 5)
#: Distance of two lines in points, by type size.
LEADING = {8: 9.5, 7: 8.0}
#: Texts wider than this many points are set as paragraphs of at least SHARE of the line.
WIDE, SHARE = 60, 0.16


def plain_table(model: PlainTable) -> str:
    """Set a table of texts; long ones are set as paragraphs, which share what the others leave of the line.

    An interval in a column of numbers is set below its figure; a long table is split by rows.
    """
    count = len(model.headings)
    heads = [text.split() if column in model.numeric else [text] for column, text in enumerate(model.headings)]
    cells = [[_lines(cell, column in model.numeric) for column, cell in enumerate(row)] for row in model.rows]
    full = [heads, *(row for row in cells if len(row) == count)]

    def widest(column: int, size: int) -> float:
        return max(width(line, size) for row in full for line in row[column])

    wide = [column for column in range(count) if column not in model.numeric and widest(column, LOOSE[0]) > WIDE]

    def needed(size: int, gap: int) -> float:
        return sum(widest(column, size) for column in range(count) if column not in wide) + gap * count

    tight = needed(*LOOSE) + len(wide) * SHARE * LINE > LINE
    size, gap = TIGHT if tight else LOOSE
    share = max(SHARE, (0.94 - needed(size, gap) / LINE) / max(1, len(wide)))
    columns = [share * LINE if column in wide else widest(column, size) for column in range(count)]
    kinds = "".join(
        "r" if column in model.numeric else rf"p{{{share:.3f}\linewidth}}" if column in wide else "l"
        for column in range(count)
    )
    heading = [stack(r"\vcevalhead", [escape(line) for line in lines]) for lines in heads]
    pages: list[list[str]] = []
    used = float(PAGE)
    for row in cells:
        line, height = _row(row, wide, columns, gap, size)
        if used + height > PAGE - 80:
            pages.append([])
            used = 0.0
        pages[-1].append(line)
        used += height
    parts = []
    for part, lines in enumerate(pages):
        caption = escape(model.caption) + (" (continued)" if part else "")
        parts.append(environment(model.id, escape(model.title), caption, part, kinds, heading, lines, tight))
    return "\n".join(parts)


def _lines(text: str, numeric: bool) -> list[str]:
    figure, bracket, interval = text.partition(" [") if numeric else (text, "", "")
    return [figure, f"[{interval}"] if bracket else [figure]


def _row(
    row: Sequence[Sequence[str]], wide: Sequence[int], columns: Sequence[float], gap: int, size: int
) -> tuple[str, float]:
    """Set one row and estimate its height; the last cell of a short one spans the columns that are left."""
    texts, height = [], 1
    for column, lines in enumerate(row):
        text = stack(r"\vcevalcell", [breakable(line) for line in lines])
        room = columns[column]
        if column == len(row) - 1 < len(columns) - 1:
            left = len(columns) - column
            room = sum(columns[column:]) + gap * (left - 1)
            text = rf"\multicolumn{{{left}}}{{p{{{room:.0f}pt}}}}{{\raggedright {text}}}"
        elif column in wide:
            text = rf"\raggedright {text}"
        height = max(height, len(lines), ceil(width(lines[0], size) / (0.9 * room)) if room else 1)
        texts.append(text)
    return " & ".join(texts) + r" \tabularnewline", LEADING[size] * height
