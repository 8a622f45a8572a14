"""LaTeX tables of results for a paper: each file needs ``booktabs`` alone and is put into a text as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from vceval.reports.latex_style import DEFAULT, Grid, Style, environment, preamble
from vceval.reports.latex_text import breakable, escape, width
from vceval.reports.tables import ARROWS, Column, Entry, Row, Table
from vceval.results.views import number

__all__ = ["preamble", "stack", "table"]

#: Type sizes of figures, of intervals and of captions in points; the gap between columns; a line of \footnotesize.
SIZE, SMALL, NORMAL, GAP, LEADING = 8, 7, 10, 8, 9.5
#: Longer names are set as a paragraph of this share of the line.
NAME = 0.36
#: Wider headings are broken between words.
HEADING = 46


def table(model: Table, style: Style = DEFAULT) -> str:
    """Set a results table; a wide one is split by columns into parts below one another, a long one by rows.

    Where columns that share a heading don't fit with both ends of their intervals, the longer arms are printed.
    """
    if style.interval == "brackets" and not _whole(model, style):
        style = replace(style, interval="plusminus")
    floats: list[list[_Part]] = []
    used = 0.0
    for part in _parts(model, style):
        if not floats or used + part.height > _room(model, style, len(floats)):
            floats.append([])
            used = 0.0
        floats[-1].append(part)
        used += part.height
    return "\n".join(_float(model, found, number, style) for number, found in enumerate(floats))


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns of some rows, as lines of a body, and their height in points with the heading."""

    columns: range
    lines: Sequence[str]
    height: float


def _parts(model: Table, style: Style) -> Iterator[_Part]:
    for columns in _spans(model, style):
        head = LEADING * (3 + len(_headings(model, columns, style)) - 2)
        yield from _pages(model, columns, style, head)


def _whole(model: Table, style: Style) -> bool:
    """Whether all columns that share a heading fit side by side."""
    room = style.line - _name_width(model, style)[0]
    widths = [_width(model, index, style) for index in range(len(model.columns))]
    return all(sum(widths[start:stop]) <= room for _, start, stop in _groups(model, range(len(widths))))


def _room(model: Table, style: Style, number: int) -> float:
    """What a page holds besides the caption and the notes of a table."""
    words = " ".join(_caption(model, style)) if number < 2 else model.full_title
    above = 1.3 * NORMAL * (ceil(width(words, NORMAL) / style.line) + 1)
    signatures = sum(ceil(0.75 * width(metric.signature, SMALL) / style.line) for metric in model.metrics)
    return style.page - above - 6 * (signatures + 1)


def stack(macro: str, lines: Sequence[str]) -> str:
    """Put lines over one another within one cell."""
    return macro + "{" + r"\\".join(lines) + "}" if len(lines) > 1 else "".join(lines)


def _rows(model: Table) -> Iterator[Row]:
    for block in model.blocks:
        yield from block.rows


def _name_width(model: Table, style: Style) -> tuple[float, bool]:
    """Width of the column of names in points, and whether some need more than it has."""
    widest = max((width(row.system.title, SIZE) for row in _rows(model)), default=0.0)
    room = NAME * style.line
    return (room, True) if widest > room else (widest, False)


def _spans(model: Table, style: Style) -> Iterator[range]:
    """Spread the columns evenly over as few tables as their widths allow; what shares a heading stays together."""
    room = style.line - _name_width(model, style)[0]
    widths = [_width(model, index, style) for index in range(len(model.columns))]
    units = [range(start, stop) for _, start, stop in _groups(model, range(len(widths)))]
    if not _whole(model, style):
        units = [range(i, i + 1) for i in range(len(widths))]
    for parts in range(1, len(units) + 1):
        size = ceil(len(units) / parts)
        chunks = [units[start : start + size] for start in range(0, len(units), size)]
        spans = [range(chunk[0].start, chunk[-1].stop) for chunk in chunks]
        if parts == len(units) or all(sum(widths[i] for i in span) <= room for span in spans):
            yield from spans
            return
    if not units:
        yield range(0)


def _groups(model: Table, columns: range) -> Iterator[tuple[str, int, int]]:
    """Neighbouring columns under one heading: its text, the first column, the one after the last."""
    start = columns.start
    for index in columns:
        group = model.columns[index].group
        if index + 1 == columns.stop or not group or model.columns[index + 1].group != group:
            yield group, start, index + 1
            start = index + 1


def _width(model: Table, index: int, style: Style) -> float:
    values, tails = _texts(model, index, style)
    body = max((width(value, SIZE) for value in values), default=0.0)
    tail = max((width(text, SMALL) + 2 for text in tails if text), default=0.0)
    heading = max(width(line, SIZE) for line in _heading_lines(model.columns[index]))
    return max(body + tail, heading) + GAP


def _texts(model: Table, index: int, style: Style) -> tuple[list[str], list[str]]:
    """The printed figures of a column, and what stands beside them as plain text, for measuring."""
    entries = [entry for row in _rows(model) if (entry := row.entries[index]) is not None]
    return [entry.value for entry in entries], [_tail_text(entry, model.columns[index], style) for entry in entries]


def _tail_text(entry: Entry, column: Column, style: Style) -> str:
    interval = entry.interval if style.interval == "brackets" else f"±{arm}" if (arm := _arm(entry, column)) else ""
    return interval + ("" if entry.usual else f" ({entry.count})")


def _arm(entry: Entry, column: Column) -> str:
    """The longer arm of an interval as it is printed; empty where there is none."""
    cell = entry.cell
    if not entry.low or cell is None or cell.value is None or cell.low is None or cell.high is None:
        return ""
    return number(max(cell.high - cell.value, cell.value - cell.low) * column.measure.scale, column.measure.decimals)


def _caption(model: Table, style: Style) -> tuple[str, str]:
    """Return what names the table, and what explains it; plain text."""
    entries = [entry for row in _rows(model) for entry in row.entries if entry]
    words = [style.interval_note] if any(entry.interval for entry in entries) else []
    words += [model.marks] if model.marks else []
    if any(row.system.control for row in _rows(model)):
        words.append("Italic: controls, which bound what a converter can reach; never ranked.")
    words += model.notes
    if any(not entry.usual for entry in entries):
        words.append("In parentheses: n/expected" + (" where it is another." if model.usual else "."))
    count = f" n = {model.usual} pairs." if model.usual else ""
    return f"{model.full_title}. Suite {model.suite}.{count}", " ".join(words)


def _pages(model: Table, columns: range, style: Style, head: float) -> Iterator[_Part]:
    """Cut the body of a table into pages."""
    room = _room(model, style, 1)
    names, paragraph = _name_width(model, style)
    body: list[str] = []
    used = head
    for place, block in enumerate(model.blocks):
        rule = [r"\midrule"] if place else []
        for row in block.rows:
            lines = ceil(width(row.system.title, SIZE) / (0.75 * names)) if paragraph and names else 1
            if body and used + LEADING * lines > room:
                yield _Part(columns, body, used)
                body, used, rule = [], head, []
            body += [*rule, _line(model, row, columns, style)]
            used, rule = used + LEADING * lines + 1, []
    yield _Part(columns, body, used)


def _line(model: Table, row: Row, columns: range, style: Style) -> str:
    names, paragraph = _name_width(model, style)
    name = escape(row.system.title)
    if paragraph and width(row.system.title, SIZE) > names:
        name = rf"\raggedright\hangindent=1em {breakable(row.system.title)}"
    if row.system.control:
        name = rf"\itshape {name}"
    cells = [name]
    for index in columns:
        entry, column = row.entries[index], model.columns[index]
        cells.append(_figure(entry))
        if any(_texts(model, index, style)[1]):
            cells.append("" if entry is None else _tail(entry, column, style))
    return " & ".join(cells) + r" \\"


def _figure(entry: Entry | None) -> str:
    """Write a figure so that both a column of siunitx and a plain one take it."""
    if entry is None:
        return ""
    if not entry.value:
        return "{--}"
    value = entry.value.replace("-", r"\vcevalminus ")
    if entry.best:
        return rf"\bfseries {value}"
    return value + (rf"\vcevalsecond{{{value}}}" if entry.second else "")


def _tail(entry: Entry, column: Column, style: Style) -> str:
    text = ""
    if entry.low and style.interval == "brackets":
        text = rf"\vcevalinterval{{{_signed(entry.low)}}}{{{_signed(entry.high)}}}"
    elif arm := _arm(entry, column):
        text = rf"\vceval{style.interval}{{{arm}}}"
    return text + ("" if entry.usual else rf"\,\vcevaln{{{entry.count}}}")


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
    unit = f" ({column.unit})" if column.unit else ""
    if unit and width(lines[-1] + unit, SIZE) > HEADING:
        return [*lines, f"({column.unit}){ARROWS.get(column.better, '')}"]
    lines[-1] += unit + ARROWS.get(column.better, "")
    return lines


def _headings(model: Table, columns: range, style: Style) -> list[str]:
    """Write the lines over the body: group headings with their rules, if any, then column headings."""
    heads, groups, rules, place = ["System"], [""], [], 2
    sizes = {index: 1 + any(_texts(model, index, style)[1]) for index in columns}
    for group, start, stop in _groups(model, columns):
        size = sum(sizes[index] for index in range(start, stop))
        groups.append(rf"\multicolumn{{{size}}}{{c}}{{{escape(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + size - 1}}}")
        place += size
    for index in columns:
        text = stack(r"\vcevalhead", [escape(line) for line in _heading_lines(model.columns[index])])
        heads.append(rf"\multicolumn{{{sizes[index]}}}{{c}}{{{text}}}")
    lines = [" & ".join(groups) + r" \\", " ".join(rules)] if rules else []
    return [*lines, " & ".join(heads) + r" \\", r"\midrule"]


def _kinds(model: Table, columns: range, style: Style) -> tuple[str, str]:
    names, paragraph = _name_width(model, style)
    first = f"p{{{names:.0f}pt}}" if paragraph else "l"
    aligned, plain = [first], [first]
    for index in columns:
        values, tails = _texts(model, index, style)
        tail = r"@{\,}l" if any(tails) else ""
        aligned.append(f"S[table-format={_format(values)}]{tail}")
        plain.append(f"r{tail}")
    return " ".join(aligned), " ".join(plain)


def _format(values: Sequence[str]) -> str:
    """Find the number of digits before and after the point, with a sign where there is one."""
    parts = [value.lstrip("-+").partition(".") for value in values if value]
    whole = max((len(part[0]) for part in parts), default=1)
    decimals = max((len(part[2]) for part in parts), default=0)
    sign = "-" if any(value.startswith(("-", "+")) for value in values) else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def _signatures(model: Table, columns: Iterable[int]) -> list[str]:
    used = {model.columns[index].measure.metric for index in columns}
    return [metric.signature for metric in model.metrics if metric.name in used]


def _float(model: Table, parts: Sequence[_Part], number: int, style: Style) -> str:
    title, words = _caption(model, style)
    if number:
        title, words = f"{model.full_title} (continued).", ""
    notes = [rf"\vcevalnotes{{{escape(words)}}}"] if style.below and words else []
    if found := _signatures(model, {index for part in parts for index in part.columns}):
        notes.append(r"\vcevalsignatures{" + r"\\ ".join(breakable(text, 40, "|,") for text in found) + "}")
    caption = escape(title if style.below else f"{title} {words}".strip())
    grids = [
        Grid(
            _kinds(model, part.columns, style),
            [*_headings(model, part.columns, style), *part.lines],
            _name_width(model, style)[0] + sum(_width(model, index, style) for index in part.columns),
        )
        for part in parts
    ]
    return environment(style, model.id, number, (escape(model.full_title), caption), grids, notes)
