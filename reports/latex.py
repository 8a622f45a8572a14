"""LaTeX tables for a paper; each file needs ``booktabs`` alone and can be put into a text with ``\input``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from vceval.reports.latex_text import breakable, escape
from vceval.reports.tables import ARROWS, Column, Entry, PlainTable, Row, Table

__all__ = ["plain_table", "preamble", "table"]

#: Points that a table may be wide: the line of a one-column article.
LINE = 345
#: Rough widths in points: of a character in \footnotesize and in \scriptsize, of the gap between columns.
WIDE, NARROW, GAP = 4.1, 3.15, 8
#: Lines of a page-high table; longer ones are continued in the next.
MAX_LINES = 46
#: Names longer than this many characters are set as a paragraph, NAME points wide.
MAX_NAME, NAME = 20, 82
#: Longer headings are broken between words.
MAX_HEADING = 9
#: In tables of texts: longer cells are set as a paragraph of at least SHARE of the line; rows of one page.
MAX_CELL, SHARE, MAX_ROWS = 14, 0.16, 20


def preamble() -> str:
    r"""Define how a figure, its interval and its n are set, unless the paper has defined it otherwise."""
    return "\n".join([
        r"% Needs \usepackage{booktabs}. Redefine these to change or leave out intervals and counts.",
        r"\providecommand{\vcevalcell}[1]{\begin{tabular}[t]{@{}r@{}}#1\end{tabular}}",
        r"\providecommand{\vcevalhead}[1]{\begin{tabular}[b]{@{}r@{}}#1\end{tabular}}",
        r"\providecommand{\vcevalinterval}[2]{{\scriptsize [#1, #2]}}",
        r"\providecommand{\vcevaln}[1]{{\scriptsize n=#1}}",
        "",
    ])  # fmt: skip


def table(model: Table) -> str:
    """Set a results table; a wide one is split by columns, a long one by rows."""
    parts: list[str] = []
    for columns in _spans(model):
        for lines in _pages(model, columns):
            parts.append(_float(model, columns, lines, len(parts)))
    return "\n".join(parts)


def _spans(model: Table) -> Iterator[range]:
    """Spread the columns evenly over as few tables as their widths allow."""
    count = len(model.columns)
    longest = max((len(row.system.title) for row in _rows(model)), default=0)
    room = LINE - GAP - (NAME if longest > MAX_NAME else longest * WIDE)
    widths = [_width(model, index) for index in range(count)]
    for parts in range(1, count + 1):
        size = -(-count // parts)
        spans = [range(start, min(start + size, count)) for start in range(0, count, size)]
        if parts == count or all(sum(widths[index] for index in span) <= room for span in spans):
            yield from spans
            return


def _rows(model: Table) -> Iterator[Row]:
    for block in model.blocks:
        yield from block.rows


def _width(model: Table, index: int) -> float:
    column, entries = model.columns[index], [row.entries[index] for row in _rows(model)]
    widths = [WIDE * len(line) for line in _heading_lines(column)]
    widths += [max(NARROW * len(entry.interval), WIDE * len(entry.value)) for entry in entries if entry]
    return max(widths) + GAP


def _pages(model: Table, columns: range) -> list[list[str]]:
    """Cut the body of a table into pages."""
    pages: list[list[str]] = [[]]
    used = 0
    for number, block in enumerate(model.blocks):
        rule = [r"\midrule"] if number else []
        for row in block.rows:
            height = _height(row, columns)
            if used and used + height > MAX_LINES:
                pages.append([])
                used, rule = 0, []
            pages[-1] += [*rule, _line(row, columns)]
            used, rule = used + height, []
    return pages


def _height(row: Row, columns: range) -> int:
    entries = [entry for index in columns if (entry := row.entries[index]) is not None]
    name = -(-len(row.system.title) // (MAX_NAME - 6))  # lines break at words and are not full
    return max([name, *(1 + bool(entry.interval) + (not entry.usual) for entry in entries)])


def _line(row: Row, columns: range) -> str:
    name = breakable(row.system.title)
    if row.system.control:
        name = rf"\itshape {name}"
    if len(row.system.title) > MAX_NAME:
        name = rf"\raggedright {name}"
    return " & ".join([name, *(_figure(row.entries[index]) for index in columns)]) + r" \tabularnewline"


def _figure(entry: Entry | None) -> str:
    if entry is None:
        return ""
    value = _signed(entry.value) or "--"
    lines = [rf"\textbf{{{value}}}" if entry.best else value]
    if entry.interval:
        lines.append(rf"\vcevalinterval{{{_signed(entry.low)}}}{{{_signed(entry.high)}}}")
    if not entry.usual:
        lines.append(rf"\vcevaln{{{entry.count}}}")
    return _stack(r"\vcevalcell", lines)


def _signed(text: str) -> str:
    return text.replace("-", "$-$")


def _heading(column: Column) -> str:
    return _stack(r"\vcevalhead", [escape(line) for line in _heading_lines(column)])


def _heading_lines(column: Column) -> list[str]:
    """Break a heading between words, about as narrow as the figures below it."""
    lines = textwrap.wrap(column.heading, MAX_HEADING, break_long_words=False) or [""]
    lines[-1] += ARROWS.get(column.better, "")
    return [*lines, f"({column.unit})"] if column.unit else lines


def _stack(macro: str, lines: Sequence[str]) -> str:
    """Put lines over one another within one cell."""
    return macro + "{" + r"\\".join(lines) + "}" if len(lines) > 1 else "".join(lines)


def _float(model: Table, columns: range, lines: Sequence[str], part: int) -> str:
    paragraph = any(len(row.system.title) > MAX_NAME for row in _rows(model))
    kinds = (f"p{{{NAME}pt}}" if paragraph else "l") + "r" * len(columns)
    title = model.full_title + (" (continued)" if part else "")
    caption = escape(f"{title}. {model.caption} {model.count_note}".strip())
    if model.metrics:
        signatures = "; ".join(breakable(metric.signature) for metric in model.metrics)
        caption += rf" {{\scriptsize {signatures}}}"
    heading = [r"System", *(_heading(model.columns[index]) for index in columns)]
    return _environment(model.id, escape(model.full_title), caption, part, kinds, heading, lines)


def plain_table(model: PlainTable) -> str:
    """Set a table of texts; long ones are set as paragraphs, which share what the others leave of the line."""
    cells = [[max(heading.split(), key=len, default="") for heading in model.headings], *model.rows]
    longest = [max(len(row[column]) for row in cells) for column in range(len(model.headings))]
    wide = [column for column, length in enumerate(longest) if length > MAX_CELL and column not in model.numeric]
    narrow = sum(WIDE * length for column, length in enumerate(longest) if column not in wide) + GAP * len(longest)
    share = max(SHARE, (1 - narrow / LINE) / max(1, len(wide)))
    kinds = "".join(
        "r" if column in model.numeric else rf"p{{{share:.2f}\linewidth}}" if column in wide else "l"
        for column in range(len(longest))
    )
    heading = [
        _stack(r"\vcevalhead", [escape(word) for word in text.split()]) if column in model.numeric else escape(text)
        for column, text in enumerate(model.headings)
    ]
    lines = [
        " & ".join((r"\raggedright " if column in wide else "") + breakable(cell) for column, cell in enumerate(row))
        + r" \tabularnewline"
        for row in model.rows
    ]
    parts = []
    for part, start in enumerate(range(0, len(lines), MAX_ROWS)):
        caption = escape(model.caption) + (" (continued)" if part else "")
        page = lines[start : start + MAX_ROWS]
        parts.append(_environment(model.id, escape(model.title), caption, part, kinds, heading, page))
    return "\n".join(parts)


def _environment(
    identity: str, short: str, caption: str, part: int, kinds: str, heading: Sequence[str], lines: Sequence[str]
) -> str:
    return "\n".join([
        r"\begin{table}[htbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption[{{{short}}}]{{{caption}}}",
        rf"\label{{tab:vceval-{identity}{f'-part{part + 1}' if part else ''}}}",
        rf"\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        " & ".join(heading) + r" \tabularnewline",
        r"\midrule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ])  # fmt: skip
