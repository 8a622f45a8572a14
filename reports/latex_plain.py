"""LaTeX tables of texts: calibration, ablation, published results."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import ceil

from vceval.reports.latex import stack
from vceval.reports.latex_style import DEFAULT, Grid, Style, environment
from vceval.reports.latex_text import breakable, escape, width
from vceval.reports.tables import PlainTable

__all__ = ["plain_table"]

#: Type size and gap between columns in points, in a table that fits so and in one that does not.
LOOSE, TIGHT = (8, 8), (7, 5)
#: Distance of two lines in points, by type size.
LEADING = {8: 9.5, 7: 8.0}
#: In a table too wide, texts wider than this many points are set as paragraphs of at least SHARE of the line.
WIDE, SHARE = 60, 0.16
#: Headings of numbers are broken where they are wider than the numbers, and than this.
NARROW = 36
#: What siunitx aligns; an empty cell or a dash stands for no figure.
_FIGURE = re.compile(r"[-+]?\d+(\.\d+)?")
_NONE = ("", "–")


def plain_table(model: PlainTable, style: Style = DEFAULT) -> str:
    """Set a table of texts; in one that is too wide long ones are paragraphs, which share what the others leave.

    An interval in a column of numbers is set below its figure; a row of one cell is a heading over the rows below it; a
    long table is split by rows.
    """
    count = len(model.headings)
    cells = [[_lines(cell, column in model.numeric) for column, cell in enumerate(row)] for row in model.rows]
    full = [row for row in cells if len(row) == count]
    heads = _heads(model, full, NARROW)
    if sum(max(width(line, LOOSE[0]) for line in lines) + LOOSE[1] for lines in heads) > style.line:
        heads = _heads(model, full, 0)
    full = [heads, *full]

    def widest(column: int, size: int) -> float:
        return max(width(line, size) for row in full for line in row[column])

    texts = [column for column in range(count) if column not in model.numeric and widest(column, LOOSE[0]) > WIDE]
    size, gap, wide = _layout(widest, count, texts, style)
    tight = (size, gap) == TIGHT
    left = style.line - sum(widest(column, size) + gap for column in range(count) if column not in wide)
    share = max(SHARE * style.line, 0.94 * left / max(1, len(wide)) - gap)
    columns = [share if column in wide else widest(column, size) for column in range(count)]
    kinds = tuple(
        " ".join(f"p{{{share:.0f}pt}}" if column in wide else _kind(model, column, aligned) for column in range(count))
        for aligned in (True, False)
    )
    heading = " & ".join(_heading(lines, column in model.numeric) for column, lines in enumerate(heads)) + r" \\"
    pages: list[list[str]] = []
    used = style.page
    for row in cells:
        line, height = _row(row, model, wide, columns, gap, size)
        if used + height > style.page - 80:
            pages.append([])
            used = 0.0
        if len(row) == 1 < count and pages[-1]:
            line = r"\midrule" + "\n" + line
        pages[-1].append(line)
        used += height
    total = sum(columns) + gap * count
    floats = []
    for part, lines in enumerate(pages):
        words, notes = escape(model.caption), []
        if style.below:
            words, notes = escape(model.title), [rf"\vcevalnotes{{{words}}}"]
        caption = words + (" (continued)" if part else "")
        grid = Grid((kinds[0], kinds[1]), [heading, r"\midrule", *lines], total)
        floats.append(environment(style, model.id, part, (escape(model.title), caption), [grid], notes, tight))
    return "\n".join(floats)


def _layout(
    widest: Callable[[int, int], float], count: int, texts: Sequence[int], style: Style
) -> tuple[int, int, list[int]]:
    """Choose type size, gap and the columns to be set as paragraphs: none if the table fits, else as few as will do."""
    for size, gap in (LOOSE, TIGHT):
        if sum(widest(column, size) + gap for column in range(count)) <= style.line:
            return size, gap, []
    longest = sorted(texts, key=lambda column: -widest(column, LOOSE[0]))
    for size, gap in (LOOSE, TIGHT):
        for chosen in (longest[: number + 1] for number in range(len(longest))):
            rest = sum(widest(column, size) + gap for column in range(count) if column not in chosen)
            if rest + len(chosen) * (SHARE * style.line + gap) <= style.line:
                return size, gap, chosen
    return *TIGHT, longest


def _lines(text: str, numeric: bool) -> list[str]:
    figure, bracket, interval = text.partition(" [") if numeric else (text, "", "")
    return [figure, f"[{interval}"] if bracket else [figure]


def _heads(model: PlainTable, rows: Sequence[Sequence[Sequence[str]]], narrow: float) -> list[list[str]]:
    """Break the headings of numbers that are wider than the numbers, and wider than ``narrow``."""
    found = []
    for column, text in enumerate(model.headings):
        room = max([narrow, *(width(line, LOOSE[0]) for row in rows for line in row[column])])
        found.append(_broken(text, room) if column in model.numeric else [text])
    return found


def _broken(text: str, room: float) -> list[str]:
    """Break a heading between words where it is wider than what stands below it."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", LOOSE[0]) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _heading(lines: Sequence[str], numeric: bool) -> str:
    text = stack(r"\vcevalhead", [escape(line) for line in lines])
    return rf"\multicolumn{{1}}{{c}}{{{text}}}" if numeric else text


def _aligned(model: PlainTable, column: int) -> list[str]:
    """The figures of a column that siunitx can align; none where one of them is more than a number."""
    texts = [row[column] for row in model.rows if len(row) > column and len(row) == len(model.headings)]
    texts = [text for text in texts if text not in _NONE]
    return texts if column in model.numeric and all(_FIGURE.fullmatch(text) for text in texts) else []


def _kind(model: PlainTable, column: int, aligned: bool) -> str:
    figures = _aligned(model, column)
    if column not in model.numeric or not aligned or not figures:
        return "r" if column in model.numeric else "l"
    parts = [text.lstrip("-+").partition(".") for text in figures]
    whole, decimals = max(len(part[0]) for part in parts), max(len(part[2]) for part in parts)
    sign = next((text[0] for text in figures if text[0] in "-+"), "")
    return f"S[table-format={sign}{whole}{f'.{decimals}' if decimals else ''}]"


def _row(
    row: Sequence[Sequence[str]],
    model: PlainTable,
    wide: Sequence[int],
    columns: Sequence[float],
    gap: int,
    size: int,
) -> tuple[str, float]:
    """Set one row and estimate its height; the last cell of a short one spans the columns that are left."""
    if len(row) == 1 < len(columns):
        return rf"\multicolumn{{{len(columns)}}}{{l}}{{\itshape {breakable(row[0][0])}}} \\", LEADING[size]
    texts, height = [], 1
    for column, lines in enumerate(row):
        text = _cell(lines, bool(_aligned(model, column)), column in wide)
        room = columns[column]
        if column == len(row) - 1 < len(columns) - 1:
            left = len(columns) - column
            room = sum(columns[column:]) + gap * (left - 1)
            text = _cell(lines, aligned=False, wide=True)
            text = rf"\multicolumn{{{left}}}{{p{{{room:.0f}pt}}}}{{\raggedright {text}}}"
        elif column in wide:
            text = rf"\raggedright {text}"
        height = max(height, len(lines), ceil(width(lines[0], size) / (0.9 * room)) if room else 1)
        texts.append(text)
    return " & ".join(texts) + r" \tabularnewline", LEADING[size] * height


def _cell(lines: Sequence[str], aligned: bool, wide: bool) -> str:
    """Write a cell; a figure that siunitx reads stays bare, anything else is hidden from it."""
    if not aligned:
        return stack(r"\vcevalcell", [breakable(line) if wide else escape(line) for line in lines])
    return lines[0] if _FIGURE.fullmatch(lines[0]) else "{--}" if lines[0] else "{}"
