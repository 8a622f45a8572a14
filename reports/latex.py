"""Tables of results as LaTeX, to be put into a paper as they are: each file needs ``booktabs`` alone.

Where a table is split follows from estimated widths of its texts, so that it fits on a line and a page of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from vceval.reports.latex_escape import breakable, escape
from vceval.reports.tables import OWN, Column, Entry, PlainTable, Row, Table, suite_label
from vceval.results.verdicts import Verdict
from vceval.results.views import Report, number

__all__ = ["DEFAULT", "PREAMBLE", "STYLES", "Style", "plain_table", "table", "text_macros"]

#: Type sizes of figures, of intervals and of captions in points; the gap between columns; a line of \footnotesize.
SIZE, SMALL, NORMAL, GAP, LEADING = 8, 7, 10, 8, 9.5
#: Longer names are set as a paragraph of this share of the line.
NAME = 0.36
#: Wider headings are broken between words.
HEADING = 46
#: Type size and gap between columns in points, in a table of texts that fits so and in one that does not.
LOOSE, TIGHT = (8, 8), (7, 5)
#: Distance of two lines in points, by type size.
LEADINGS = {8: 9.5, 7: 8.0}
#: In a table of texts that is too wide, texts wider than WIDE points are paragraphs of at least SHARE of the line.
WIDE, SHARE = 60, 0.16
#: Headings of numbers are broken where they are wider than the numbers, and than this.
NARROW = 36
#: What siunitx aligns; an empty cell or a dash stands for no figure.
_FIGURE = re.compile(r"[-+]?\d+(\.\d+)?")
_NONE = ("", "–")


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in points: one column, the whole line, what a page holds.

    ``interval`` is how an interval is set: ``brackets`` prints both ends, ``plusminus`` and ``subscript`` the longer
    arm. ``below`` puts the explanations below the table, for classes that set captions in capitals. Widths are those of
    the narrowest usual class, so that a table fits all of them.
    """

    name: str
    column: float
    line: float
    page: float
    interval: Literal["brackets", "plusminus", "subscript"]
    below: bool = False

    @property
    def interval_lead(self) -> str:
        """How a caption begins to speak of intervals."""
        return "In brackets: 95 % interval" if self.interval == "brackets" else "±: longer arm of the 95 % interval"


STYLES = {
    style.name: style
    for style in (
        Style("plain", 219, 345, 530, "brackets"),
        Style("acl", 219, 455, 530, "subscript"),
        Style("ieee", 219, 455, 530, "plusminus", below=True),
    )
}
DEFAULT = STYLES["plain"]

#: What every file begins with: how a figure, its interval and its n are set, unless the paper has defined it otherwise.
PREAMBLE = r"""% Needs \usepackage{booktabs}. Figures are aligned with \usepackage{siunitx} and without it.
% Define any of these before to change it: interval by its ends, by its arm, arm as subscript, n/expected, signatures.
\providecommand{\vcevalinterval}[2]{{\scriptsize [#1, #2]}}
\providecommand{\vcevalplusminus}[1]{{\scriptsize $\pm$#1}}
\providecommand{\vcevalsubscript}[1]{$_{\pm#1}$}
\providecommand{\vcevaln}[1]{{\scriptsize (#1)}}
\providecommand{\vcevalsignatures}[1]{\par\vspace{3pt}\parbox{\linewidth}{\raggedright\tiny #1\par}}
\providecommand{\vcevalnotes}[1]{\par\vspace{3pt}\parbox{\linewidth}{\raggedright\scriptsize #1\par}}
\providecommand{\vcevalhead}[1]{\begin{tabular}[b]{@{}c@{}}#1\end{tabular}}
\providecommand{\vcevalcell}[1]{\begin{tabular}[t]{@{}r@{}}#1\end{tabular}}
\ifdefined\vcevalsecond\else\protected\def\vcevalsecond#1{\llap{\underline{\phantom{#1}}}}\fi
\ifcsname vcevaltabular\endcsname\else\newenvironment{vcevaltabular}[2]{\ifdefined\sisetup
  \sisetup{detect-weight=true,detect-inline-weight=math,retain-explicit-plus=true}\def\vcevalminus{-}\def\vcevalopen{\tabular{#1}}\else\def\vcevalminus{$-$}\def\vcevalopen{\tabular{#2}}\fi
  \vcevalopen}{\endtabular}\fi
"""
_MACROS = r"""% \input this file once, anywhere before it is used; it prints nothing.
% \vcevalSignature[mcd] prints the signature of a metric, \vcevalSignature all of them, \vcevalRun what was run,
% \vcevalVerdict{voice} who is ahead, and so for words and quality.
\makeatletter
\newcommand{\vcevalVerdict}[1]{\ifcsname vceval@verdict@#1\endcsname
  \csname vceval@verdict@#1\endcsname\else
  \GenericError{}{vceval: no verdict on `#1'}{Known: voice, words, quality}{}\fi}
\newcommand{\vcevalSignature}[1][]{{\ttfamily\ifcsname vceval@signature@#1\endcsname
  \csname vceval@signature@#1\endcsname\else
  \GenericError{}{vceval: no metric `#1' in this run}{Known: %s}{}\fi}}
"""


def table(model: Table, style: Style = DEFAULT) -> str:
    """Set a results table; a wide one is split by columns into parts below one another, a long one by rows.

    Where columns that share a heading don't fit with both ends of their intervals, the longer arms are printed.
    """
    sheet = _Sheet(model, style)
    if style.interval == "brackets" and not sheet.whole:
        sheet = _Sheet(model, replace(style, interval="plusminus"))
    floats: list[list[_Part]] = []
    used = 0.0
    for part in sheet.parts():
        if not floats or used + part.height > sheet.room(len(floats)):
            floats.append([])
            used = 0.0
        floats[-1].append(part)
        used += part.height
    return "\n".join(sheet.write(found, place) for place, found in enumerate(floats))


@dataclass(frozen=True, slots=True)
class _Part:
    """Some columns of some rows, as lines of a body, and their height in points with the heading."""

    columns: range
    lines: Sequence[str]
    height: float


class _Sheet:
    """A results table in one style: what is printed in its columns, and how wide they are in points."""

    def __init__(self, model: Table, style: Style) -> None:
        self._model, self._style = model, style
        widest = max((_width(row.title, SIZE) for row in model.rows), default=0.0)
        #: Whether some names need more than the column of names has.
        self._long_names = widest > NAME * style.line
        self._names = NAME * style.line if self._long_names else widest
        columns = [[entry for row in model.rows if (entry := row.entries[i])] for i in range(len(model.columns))]
        self._values = [[entry.value for entry in entries] for entries in columns]
        #: What stands beside the figures, as plain text for measuring.
        tails = [
            [_tail_text(entry, column, style) for entry in entries]
            for column, entries in zip(model.columns, columns, strict=True)
        ]
        self._tailed = [any(texts) for texts in tails]
        self._widths = [
            max(
                max((_width(value, SIZE) for value in values), default=0.0)
                + max((_width(text, SMALL) + 2 for text in texts if text), default=0.0),
                max(_width(line, SIZE) for line in _heading_lines(column)),
            )
            + GAP
            for column, values, texts in zip(model.columns, self._values, tails, strict=True)
        ]
        self._groups = list(_groups(model, range(len(model.columns))))
        #: Whether all columns that share a heading fit side by side.
        self.whole = all(sum(self._widths[start:stop]) <= style.line - self._names for _, start, stop in self._groups)

    def parts(self) -> Iterator[_Part]:
        """Cut the table into parts: by columns, then by rows."""
        room = self.room(1)
        for columns in self._spans():
            head = LEADING * (3 + len(self._headings(columns)) - 2)
            body: list[str] = []
            used = head
            for place, block in enumerate(self._model.blocks):
                rule = [r"\midrule"] if place else []
                for row in block.rows:
                    lines = ceil(_width(row.title, SIZE) / (0.75 * self._names)) if self._long_names else 1
                    if body and used + LEADING * lines > room:
                        yield _Part(columns, body, used)
                        body, used, rule = [], head, []
                    body += [*rule, self._line(row, columns)]
                    used, rule = used + LEADING * lines + 1, []
            yield _Part(columns, body, used)

    def room(self, place: int) -> float:
        """What a page holds besides the caption and the notes of the table; ``place`` is that of the page, from 0."""
        words = " ".join(self._caption()) if place < 2 else self._model.full_title
        above = 1.3 * NORMAL * (ceil(_width(words, NORMAL) / self._style.line) + 1)
        signatures = sum(
            ceil(0.75 * _width(metric.signature, SMALL) / self._style.line) for metric in self._model.metrics
        )
        return self._style.page - above - 6 * (signatures + 1)

    def write(self, parts: Sequence[_Part], place: int) -> str:
        """Write one float; ``place`` is 0 for the first."""
        title, words = self._caption()
        if place:
            title, words = f"{self._model.full_title} (continued).", ""
        notes = [rf"\vcevalnotes{{{breakable(words, 40, '/_')}}}"] if self._style.below and words else []
        used = {self._model.columns[index].measure.metric for part in parts for index in part.columns}
        if found := [metric.signature for metric in self._model.metrics if metric.name in used]:
            notes.append(r"\vcevalsignatures{" + r"\\ ".join(breakable(text, 40, "|,") for text in found) + "}")
        caption = breakable(title if self._style.below else f"{title} {words}".strip(), 40, "/_")
        grids = [
            _Grid(
                self._kinds(part.columns),
                [*self._headings(part.columns), *part.lines],
                self._names + sum(self._widths[index] for index in part.columns),
            )
            for part in parts
        ]
        return _environment(self._style, self._model.id, place, (escape(self._model.full_title), caption), grids, notes)

    def _spans(self) -> Iterator[range]:
        """Spread the columns evenly over as few tables as their widths allow; what shares a heading stays together."""
        room = self._style.line - self._names
        units = [range(start, stop) for _, start, stop in self._groups]
        if not self.whole:
            units = [range(i, i + 1) for i in range(len(self._widths))]
        for parts in range(1, len(units) + 1):
            size = ceil(len(units) / parts)
            chunks = [units[start : start + size] for start in range(0, len(units), size)]
            spans = [range(chunk[0].start, chunk[-1].stop) for chunk in chunks]
            if parts == len(units) or all(sum(self._widths[i] for i in span) <= room for span in spans):
                yield from spans
                return
        if not units:
            yield range(0)

    def _caption(self) -> tuple[str, str]:
        """Return what names the table, and what explains it; plain text."""
        model = self._model
        entries = [entry for row in model.rows for entry in row.entries if entry]
        words = model.figure_notes(self._style.interval_lead)
        words += [model.marks] if model.marks else []
        if any(row.system.control for row in model.rows):
            words.append("Italic: controls, which bound what a converter can reach; never ranked.")
        words += model.notes
        if any(not entry.usual for entry in entries):
            words.append(f"In parentheses: {model.count_words}" + (" where they are others." if model.usual else "."))
        count = f" n = {model.usual}." if model.usual else ""
        return f"{model.full_title}. Suite {model.suite}.{count}", " ".join(words)

    def _line(self, row: Row, columns: range) -> str:
        name = escape(row.title)
        if self._long_names and _width(row.title, SIZE) > self._names:
            name = rf"\raggedright\hangindent=1em {breakable(row.title)}"
        if row.system.control:
            name = rf"\itshape {name}"
        cells = [name]
        for index in columns:
            entry = row.entries[index]
            cells.append(_figure(entry))
            if self._tailed[index]:
                cells.append("" if entry is None else _tail(entry, self._model.columns[index], self._style))
        return " & ".join(cells) + r" \\"

    def _headings(self, columns: range) -> list[str]:
        """Write the lines over the body: group headings with their rules, if any, then column headings."""
        heads, groups, rules, place = ["System"], [""], [], 2
        sizes = {index: 1 + self._tailed[index] for index in columns}
        for group, start, stop in _groups(self._model, columns):
            size = sum(sizes[index] for index in range(start, stop))
            groups.append(rf"\multicolumn{{{size}}}{{c}}{{{escape(group)}}}")
            if group:
                rules.append(rf"\cmidrule(lr){{{place}-{place + size - 1}}}")
            place += size
        for index in columns:
            text = _stack(r"\vcevalhead", [escape(line) for line in _heading_lines(self._model.columns[index])])
            heads.append(rf"\multicolumn{{{sizes[index]}}}{{c}}{{{text}}}")
        lines = [" & ".join(groups) + r" \\", " ".join(rules)] if rules else []
        return [*lines, " & ".join(heads) + r" \\", r"\midrule"]

    def _kinds(self, columns: range) -> tuple[str, str]:
        first = f"p{{{self._names:.0f}pt}}" if self._long_names else "l"
        aligned, plain = [first], [first]
        for index in columns:
            tail = r"@{\,}l" if self._tailed[index] else ""
            values = [value for value in self._values[index] if value]
            sign = "-" if any(value.startswith(("-", "+")) for value in values) else ""
            aligned.append(f"S[table-format={sign}{_digits(values)}]{tail}")
            plain.append(f"r{tail}")
        return " ".join(aligned), " ".join(plain)


def _groups(model: Table, columns: range) -> Iterator[tuple[str, int, int]]:
    """Neighbouring columns under one heading: its text, the first column, the one after the last."""
    start = columns.start
    for index in columns:
        group = model.columns[index].group
        if index + 1 == columns.stop or not group or model.columns[index + 1].group != group:
            yield group, start, index + 1
            start = index + 1


def _heading_lines(column: Column) -> list[str]:
    """Break a heading between words, about as narrow as the figures below it."""
    lines = [""]
    for piece in re.split(r"(?<=[\s_/-])", column.labelled):
        if lines[-1] and _width((lines[-1] + piece).strip(), SIZE) > HEADING:
            lines.append("")
        lines[-1] += piece
    lines = [line.strip() for line in lines]
    unit = f" ({column.unit})" if column.unit else ""
    if unit and _width(lines[-1] + unit, SIZE) > HEADING:
        return [*lines, f"({column.unit}){column.arrow}"]
    lines[-1] += unit + column.arrow
    return lines


def _tail_text(entry: Entry, column: Column, style: Style) -> str:
    interval = entry.interval if style.interval == "brackets" else f"±{arm}" if (arm := _arm(entry, column)) else ""
    interval += OWN if entry.own else ""
    return interval + ("" if entry.usual else f" ({entry.brief})")


def _arm(entry: Entry, column: Column) -> str:
    """The longer arm of an interval as it is printed; empty where there is none."""
    cell = entry.cell
    if not entry.low or cell is None or cell.value is None or cell.low is None or cell.high is None:
        return ""
    return number(max(cell.high - cell.value, cell.value - cell.low) * column.measure.scale, column.measure.decimals)


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
    text += r"\textsuperscript{\textdagger}" if entry.own else ""
    return text + ("" if entry.usual else rf"\,\vcevaln{{{escape(entry.brief)}}}")


def _signed(text: str) -> str:
    return text.replace("-", "$-$")


def plain_table(model: PlainTable, style: Style = DEFAULT) -> str:
    """Set a table of texts; in one that is too wide long ones are paragraphs, which share what the others leave.

    An interval in a column of numbers is set below its figure; a row of one cell is a heading over the rows below it; a
    long table is split by rows.
    """
    count = len(model.headings)
    cells = [[_cell_lines(cell, column in model.numeric) for column, cell in enumerate(row)] for row in model.rows]
    full = [row for row in cells if len(row) == count]
    heads = _plain_heads(model, full, NARROW)
    if sum(max(_width(line, LOOSE[0]) for line in lines) + LOOSE[1] for lines in heads) > style.line:
        heads = _plain_heads(model, full, 0)
    full = [heads, *full]

    def widest(column: int, size: int) -> float:
        return max(_width(line, size) for row in full for line in row[column])

    texts = [column for column in range(count) if column not in model.numeric and widest(column, LOOSE[0]) > WIDE]
    size, gap, wide = _plain_layout(widest, count, texts, style)
    tight = (size, gap) == TIGHT
    left = style.line - sum(widest(column, size) + gap for column in range(count) if column not in wide)
    share = max(SHARE * style.line, 0.94 * left / max(1, len(wide)) - gap)
    columns = [share if column in wide else widest(column, size) for column in range(count)]
    kinds = tuple(
        " ".join(
            f"p{{{share:.0f}pt}}" if column in wide else _plain_kind(model, column, aligned) for column in range(count)
        )
        for aligned in (True, False)
    )
    heading = " & ".join(_plain_heading(lines, column in model.numeric) for column, lines in enumerate(heads)) + r" \\"
    pages: list[list[str]] = []
    used = style.page
    for row in cells:
        line, height = _plain_row(row, model, wide, columns, gap, size)
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
        grid = _Grid((kinds[0], kinds[1]), [heading, r"\midrule", *lines], total)
        floats.append(_environment(style, model.id, part, (escape(model.title), caption), [grid], notes, tight))
    return "\n".join(floats)


def _plain_layout(
    widest: Callable[[int, int], float], count: int, texts: Sequence[int], style: Style
) -> tuple[int, int, list[int]]:
    """Choose type size, gap and the columns to be set as paragraphs: none if the table fits, else as few as will do."""
    for size, gap in (LOOSE, TIGHT):
        if sum(widest(column, size) + gap for column in range(count)) <= style.line:
            return size, gap, []
    longest = sorted(texts, key=lambda column: -widest(column, LOOSE[0]))
    for size, gap in (LOOSE, TIGHT):
        for chosen in (longest[:most] for most in range(1, len(longest) + 1)):
            rest = sum(widest(column, size) + gap for column in range(count) if column not in chosen)
            if rest + len(chosen) * (SHARE * style.line + gap) <= style.line:
                return size, gap, chosen
    return *TIGHT, longest


def _cell_lines(text: str, numeric: bool) -> list[str]:
    figure, bracket, interval = text.partition(" [") if numeric else (text, "", "")
    return [figure, f"[{interval}"] if bracket else [figure]


def _plain_heads(model: PlainTable, rows: Sequence[Sequence[Sequence[str]]], narrow: float) -> list[list[str]]:
    """Break the headings of numbers that are wider than the numbers, and wider than ``narrow``."""
    found = []
    for column, text in enumerate(model.headings):
        room = max([narrow, *(_width(line, LOOSE[0]) for row in rows for line in row[column])])
        found.append(_broken(text, room) if column in model.numeric else [text])
    return found


def _broken(text: str, room: float) -> list[str]:
    """Break a heading between words where it is wider than what stands below it."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}", LOOSE[0]) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _plain_heading(lines: Sequence[str], numeric: bool) -> str:
    text = _stack(r"\vcevalhead", [escape(line) for line in lines])
    return rf"\multicolumn{{1}}{{c}}{{{text}}}" if numeric else text


def _aligned(model: PlainTable, column: int) -> list[str]:
    """The figures of a column that siunitx can align; none where one of them is more than a number."""
    texts = [row[column] for row in model.rows if len(row) > column and len(row) == len(model.headings)]
    texts = [text for text in texts if text not in _NONE]
    return texts if column in model.numeric and all(_FIGURE.fullmatch(text) for text in texts) else []


def _plain_kind(model: PlainTable, column: int, aligned: bool) -> str:
    figures = _aligned(model, column)
    if column not in model.numeric or not aligned or not figures:
        return "r" if column in model.numeric else "l"
    sign = next((text[0] for text in figures if text[0] in "-+"), "")
    return f"S[table-format={sign}{_digits(figures)}]"


def _plain_row(
    row: Sequence[Sequence[str]],
    model: PlainTable,
    wide: Sequence[int],
    columns: Sequence[float],
    gap: int,
    size: int,
) -> tuple[str, float]:
    """Set one row and estimate its height; the last cell of a short one spans the columns that are left."""
    if len(row) == 1 < len(columns):
        return rf"\multicolumn{{{len(columns)}}}{{l}}{{\itshape {breakable(row[0][0])}}} \\", LEADINGS[size]
    texts, height = [], 1
    for column, lines in enumerate(row):
        text = _plain_cell(lines, bool(_aligned(model, column)), column in wide)
        room = columns[column]
        if column == len(row) - 1 < len(columns) - 1:
            left = len(columns) - column
            room = sum(columns[column:]) + gap * (left - 1)
            text = _plain_cell(lines, aligned=False, wide=True)
            text = rf"\multicolumn{{{left}}}{{p{{{room:.0f}pt}}}}{{\raggedright {text}}}"
        elif column in wide:
            text = rf"\raggedright {text}"
        height = max(height, len(lines), ceil(_width(lines[0], size) / (0.9 * room)) if room else 1)
        texts.append(text)
    return " & ".join(texts) + r" \tabularnewline", LEADINGS[size] * height


def _plain_cell(lines: Sequence[str], aligned: bool, wide: bool) -> str:
    """Write a cell; a figure that siunitx reads stays bare, anything else is hidden from it."""
    if not aligned:
        return _stack(r"\vcevalcell", [breakable(line) if wide else escape(line) for line in lines])
    return lines[0] if _FIGURE.fullmatch(lines[0]) else "{--}" if lines[0] else "{}"


def _digits(values: Sequence[str]) -> str:
    """The number of digits before and after the point, as siunitx is told it."""
    parts = [value.lstrip("-+").partition(".") for value in values]
    whole = max((len(part[0]) for part in parts), default=1)
    decimals = max((len(part[2]) for part in parts), default=0)
    return f"{whole}.{decimals}" if decimals else f"{whole}"


def _stack(macro: str, lines: Sequence[str]) -> str:
    """Put lines over one another within one cell."""
    return macro + "{" + r"\\".join(lines) + "}" if len(lines) > 1 else "".join(lines)


@dataclass(frozen=True, slots=True)
class _Grid:
    """One tabular: column kinds with siunitx and without, its lines between the rules, its width in points."""

    kinds: tuple[str, str]
    body: Sequence[str]
    width: float


def _environment(
    style: Style,
    identity: str,
    part: int,
    caption: tuple[str, str],
    grids: Sequence[_Grid],
    notes: Sequence[str] = (),
    tight: bool = False,
) -> str:
    """Set tabulars, one below the other, as a float over one column where they fit, else over the whole line.

    Args:
        style: of the paper.
        identity: of the table, for its label.
        part: from 0; further ones have labels of their own.
        caption: the entry of a list of tables, and the caption itself; LaTeX already.
        grids: what stands in the table; LaTeX already.
        notes: what stands below the table; LaTeX already.
        tight: set it in smaller type.
    """
    narrow = all(grid.width <= style.column for grid in grids)
    float_kind, place = ("table", "htbp") if narrow else ("table*", "tp")
    size = r"\scriptsize\setlength{\tabcolsep}{2.5pt}" if tight else r"\footnotesize\setlength{\tabcolsep}{4pt}"
    short, text = caption
    body: list[str] = []
    for grid in grids:
        body += [r"\par\vspace{4pt}"] if body else []
        body += [
            rf"\begin{{vcevaltabular}}{{{grid.kinds[0]}}}{{{grid.kinds[1]}}}",
            r"\toprule", *grid.body, r"\bottomrule", r"\end{vcevaltabular}",
        ]  # fmt: skip
    return "\n".join([
        rf"\begin{{{float_kind}}}[{place}]",
        rf"\centering{size}\setlength{{\abovetopsep}}{{3pt}}",
        rf"\caption[{{{short}}}]{{{text}}}",
        rf"\label{{tab:vceval-{identity}{f'-part{part + 1}' if part else ''}}}",
        *body,
        *notes,
        rf"\end{{{float_kind}}}",
        "",
    ])  # fmt: skip


def _width(text: str, size: int) -> float:
    """Estimate how wide a text is set in Computer Modern, in points, at a type size of 10, 8 or 7 points."""
    # Small sizes are drawn wider for their height.
    return size * {10: 1.0, 8: 1.07, 7: 1.14}[size] * sum(_ems(character) for character in text)


def _ems(character: str) -> float:
    if character in "iljI.,:;'|![]-_ ":
        return 0.32
    if character in "ftrs()":
        return 0.4
    if character in "mMwW%@+=":
        return 0.85
    if character.isupper():
        return 0.73
    if character.isascii():
        return 0.52
    if character in "±×·−≤≥µ°Δ†":
        return 0.8
    return 1.0 if character in "↑↓→–—…" else 3.3  # others are set as U+1F600


def text_macros(report: Report, verdicts: Sequence[Verdict]) -> str:
    r"""Write ``signatures.tex``: ``\vcevalSignature`` for one metric or all, ``\vcevalRun`` for suite and version.

    ``\vcevalVerdict`` prints a verdict as a sentence.

    Names of metrics are registered names such as ``mcd`` or ``wer:seedtts``, which TeX takes as they are.
    """
    known = ", ".join(escape(name) for name in report.metrics)
    lines = [_MACROS.replace("%s", known)]
    for name, metric in report.metrics.items():
        lines.append(rf"\@namedef{{vceval@signature@{_macro_name(name)}}}{{{breakable(metric.signature, 40, '|,')}}}")
    every = r";\penalty0\ ".join(breakable(metric.signature, 40, "|,") for metric in report.metrics.values())
    lines += [rf"\@namedef{{vceval@verdict@{one.question}}}{{{escape(one.sentence)}}}" for one in verdicts]
    lines += [rf"\@namedef{{vceval@signature@}}{{{every}}}", rf"\newcommand{{\vcevalRun}}{{{_run_words(report)}}}"]
    return "\n".join([*lines, r"\makeatother", ""])


def _macro_name(name: str) -> str:
    r"""Leave out of a name what ``\csname`` can't hold."""
    return "".join(
        character for character in name if character.isascii() and (character.isalnum() or character in ":-.")
    )


def _run_words(report: Report) -> str:
    runs = report.run.get("runs") or [report.run]
    versions = dict.fromkeys(str((run.get("versions") or {}).get("vceval", "")) for run in runs)
    made_by = "vceval " + ", ".join(version for version in versions if version)
    words = [made_by.strip(), f"suite {suite_label(report)}", f"{report.pair_count:,} conversion pairs"]
    digest = str(runs[0].get("pairs_sha256") or "")
    if digest:
        words.append(f"pair list SHA-256 {digest[:12]}")
    return escape(", ".join(words))
