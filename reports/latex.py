"""LaTeX tables for a paper: each file needs ``booktabs`` alone and is put into a text as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import ceil

from vceval.reports.latex_text import breakable, escape, width
from vceval.reports.tables import ARROWS, Column, Entry, Row, Table

__all__ = ["LINE", "PAGE", "environment", "preamble", "stack", "table"]

#: Points: the line of a one-column article, what its page holds, a line of \footnotesize.
LINE, PAGE, LEADING = 345, 530, 9.5
#: Type sizes of figures, of what stands below them and of captions; the gap between columns.
SIZE, SMALL, NORMAL, GAP = 8, 7, 10, 8
#: Wider names are set as a paragraph of this width.
NAME = 82
#: Wider headings are broken between words.
HEADING = 42
#: What keeps the lines of one system apart from those of the next.
SPACE = r"\addlinespace[2pt]"


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
    names = max((width(row.system.title, SIZE) for row in _rows(model)), default=0)
    room = LINE - GAP - min(names, NAME)
    widths = [_width(model, index) for index in range(count)]
    for parts in range(1, count + 1):
        size = ceil(count / parts)
        spans = [range(start, min(start + size, count)) for start in range(0, count, size)]
        if parts == count or all(sum(widths[index] for index in span) <= room for span in spans):
            yield from spans
            return


def _rows(model: Table) -> Iterator[Row]:
    for block in model.blocks:
        yield from block.rows


def _width(model: Table, index: int) -> float:
    entries = [row.entries[index] for row in _rows(model)]
    widths = [width(line, SIZE) for line in _heading_lines(model.columns[index])]
    widths += [max(width(e.interval, SMALL), width(e.value, SIZE), width(f"n={e.count}", SMALL)) for e in entries if e]
    return max(widths) + GAP


def _caption(model: Table, part: int = 1) -> tuple[str, str]:
    """Return what a caption says in plain words, and the signatures below it."""
    words = f"{model.full_title}{' (continued)' if part else ''}. {model.caption} {model.count_note}".strip()
    return words, "; ".join(metric.signature for metric in model.metrics)


def _pages(model: Table, columns: range) -> list[list[str]]:
    """Cut the body of a table into pages."""
    words, signatures = _caption(model)
    caption = ceil(width(words, NORMAL) / LINE) + 1 + ceil(width(signatures, SMALL) / LINE)
    heading = max(len(_heading_lines(model.columns[index])) for index in columns)
    room = PAGE - 1.3 * NORMAL * caption - LEADING * heading
    pages: list[list[str]] = [[]]
    used = 0.0
    for number, block in enumerate(model.blocks):
        rule = [r"\midrule"] if number else []
        for row in block.rows:
            height = LEADING * _height(row, columns) + 2
            if used and used + height > room:
                pages.append([])
                used, rule = 0.0, []
            pages[-1] += [*(rule or ([SPACE] if used else [])), _line(row, columns)]
            used, rule = used + height, []
    return pages


def _height(row: Row, columns: range) -> int:
    entries = [entry for index in columns if (entry := row.entries[index]) is not None]
    name = ceil(width(row.system.title, SIZE) / (0.7 * NAME))  # lines of a paragraph are not all full
    return max([name, *(1 + bool(entry.interval) + (not entry.usual) for entry in entries)])


def _line(row: Row, columns: range) -> str:
    name = breakable(row.system.title)
    if row.system.control:
        name = rf"\itshape {name}"
    if width(row.system.title, SIZE) > NAME:
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
    return stack(r"\vcevalcell", lines)


def _signed(text: str) -> str:
    return text.replace("-", "$-$")


def _heading_lines(column: Column) -> list[str]:
    """Break a heading between words, about as narrow as the figures below it."""
    lines = [""]
    for piece in re.split(r"(?<=[\s_/-])", column.heading):
        if lines[-1] and width((lines[-1] + piece).strip(), SIZE) > HEADING:
            lines.append("")
        lines[-1] += piece
    lines = [line.strip() for line in lines]
    lines[-1] += ARROWS.get(column.better, "")
    return [*lines, f"({column.unit})"] if column.unit else lines


def stack(macro: str, lines: Sequence[str]) -> str:
    """Put lines over one another within one cell."""
    return macro + "{" + r"\\".join(lines) + "}" if len(lines) > 1 else "".join(lines)


def _float(model: Table, columns: range, lines: Sequence[str], part: int) -> str:
    paragraph = any(width(row.system.title, SIZE) > NAME for row in _rows(model))
    kinds = (f"p{{{NAME}pt}}" if paragraph else "l") + "r" * len(columns)
    words, signatures = _caption(model, part)
    caption = escape(words)
    if signatures:
        caption += rf" {{\scriptsize {breakable(signatures)}}}"
    heads = [[escape(line) for line in _heading_lines(model.columns[index])] for index in columns]
    heading = ["System", *(stack(r"\vcevalhead", head) for head in heads)]
    return environment(model.id, escape(model.full_title), caption, part, kinds, heading, lines)


def environment(
    identity: str,
    short: str,
    caption: str,
    part: int,
    kinds: str,
    heading: Sequence[str],
    lines: Sequence[str],
    tight: bool = False,
) -> str:
    """Set a table as a float, a tight one in smaller type; texts are LaTeX already, lines end as rows do."""
    size = r"\scriptsize\setlength{\tabcolsep}{2.5pt}" if tight else r"\footnotesize\setlength{\tabcolsep}{4pt}"
    return "\n".join([
        r"\begin{table}[htbp]",
        rf"\centering{size}",
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
