"""Tables of results as LaTeX, to be put into a paper as they are: each file needs ``booktabs`` alone.

How closely a table is set, and where it is split, follows from estimated widths of its texts, so that it fits a column
or the line, and a page, of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from vceval.errors import UsageError
from vceval.reports.latex_escape import breakable, escape, unbroken
from vceval.reports.tables import (
    LEADS,
    OWN,
    Column,
    Entry,
    Interval,
    PlainTable,
    Row,
    Table,
    judge_sentence,
    suite_label,
)
from vceval.results.marks import interval_words
from vceval.results.verdicts import Verdict
from vceval.results.views import Report

__all__ = [
    "DEFAULT", "PREAMBLE", "STYLES", "Style", "appendix", "fits", "one_float", "plain_table",
    "table", "text_macros",
]  # fmt: skip

#: Type size of captions in points.
NORMAL = 10
#: Names may take this share of the line; where there is no room, they are broken into lines of at least LEAST points.
NAME, LEAST = 0.36, 44
#: Type size and gap between columns in points, in a table of texts that fits so and in one that does not.
LOOSE, TIGHT = (8, 8), (7, 5)
#: How wide Times is, of what is reckoned for Computer Modern at 10 points, whatever its size.
TIMES = 0.95
#: Distance of two lines in points, by type size.
LEADINGS = {8: 9.5, 7: 8.0, 6: 7.0}
#: Type size of sub- and superscripts, by type size.
SCRIPT = {8: 6, 7: 5}
#: In a table of texts that is too wide, texts wider than WIDE points are paragraphs of at least SHARE of the line, or
#: of what is left.
WIDE, SHARE = 60, 0.16
#: Headings of numbers are broken where they are wider than the numbers, and than this.
NARROW = 36
#: What siunitx aligns; an empty cell or a dash stands for no figure.
_FIGURE = re.compile(r"[-+]?\d+(\.\d+)?")
_NONE = ("", "–")


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in points: one column, the whole line, what a page holds; ``interval`` is how an interval is set.

    ``times``: the class sets texts in Times, which is narrower than Computer Modern.

    Widths are those of the narrowest usual class, so that a table fits all of them.
    """

    name: str
    column: float
    line: float
    page: float
    interval: Interval
    times: bool = True


STYLES = {
    style.name: style
    for style in (
        Style("plain", 226, 345, 530, "brackets", times=False),
        Style("interspeech", 226, 480, 560, "pm"),  # 80 mm of 170 mm
        Style("ieee", 243, 503, 560, "pm"),  # 86 mm of 178 mm, as ICASSP has them; IEEEtran has more
        Style("acl", 218, 454, 560, "pm"),  # 77 mm of 160 mm
    )
}
DEFAULT = STYLES["plain"]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How closely a table is set: type size of figures, that of what stands beside or below them, gap, and what does.

    ``heading`` is the width in points from which on headings are broken.
    """

    size: int
    small: int
    gap: int
    heading: int
    interval_below: bool = False
    count_below: bool = False


#: From the most legible to the narrowest.
_LAYOUTS = (
    _Layout(8, 7, 8, 46),
    _Layout(8, 6, 6, 36, count_below=True),
    _Layout(7, 6, 5, 32),
    _Layout(7, 6, 5, 30, count_below=True),
    _Layout(8, 6, 6, 34, interval_below=True, count_below=True),
    _Layout(7, 6, 3, 26, interval_below=True, count_below=True),
)
#: Of them, those in which a table is set into one column rather than over the line where nobody asked for the column.
_LEGIBLE = _LAYOUTS[:3]

#: What every file begins with: how figures, intervals and counts are set, unless the paper has defined it otherwise.
PREAMBLE = r"""% Needs \usepackage{booktabs}.
% Define any of these before to change it: interval by its ends, by its arm, by both arms; pairs scored/in all; notes.
\providecommand{\vcevalinterval}[2]{{\vcevalsmall[#1, #2]}}
\providecommand{\vcevalpm}[1]{{\vcevalsmall$\pm$#1}}
\providecommand{\vcevalarms}[2]{$^{+#1}_{-#2}$}
\providecommand{\vcevaln}[1]{{\vcevalsmall#1}}
\providecommand{\vcevalnotes}[1]{\par\vspace{3pt}\parbox{\linewidth}{\fontsize{7}{8}\selectfont\raggedright #1\par}}
\providecommand{\vcevalhead}[1]{\begin{tabular}[b]{@{}c@{}}#1\end{tabular}}
\providecommand{\vcevalcell}[1]{\begin{tabular}[t]{@{}r@{}}#1\end{tabular}}
\providecommand{\vcevalsecond}[1]{\underline{#1}}
\ifcsname vcevaltabular\endcsname\else\newenvironment{vcevaltabular}[2]{\ifdefined\sisetup
  \sisetup{detect-weight=true,detect-inline-weight=math,retain-explicit-plus=true}\def\vcevalopen{\tabular{#1}}\else\def\vcevalopen{\tabular{#2}}\fi
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
    """Set a results table in one column where it is legible there, else over the line.

    One that is wider than the line is split by columns into parts below one another, a long one by rows into floats.
    Where both ends of intervals don't fit, their arms are printed.
    """
    asked = _forms(style)
    shapes = [(layout, form, False) for form in asked for layout in _LEGIBLE]
    shapes += [(layout, form, True) for form in asked for layout in _LAYOUTS]
    sheets = (_Sheet(model, style, *shape) for shape in shapes)
    return next((sheet for sheet in sheets if sheet.whole), _Sheet(model, style, _LAYOUTS[0], asked[-1], True)).floats()


def one_float(model: Table, style: Style, *, wide: bool = False, interval: Interval | None = None) -> str:
    """Set a results table as one float, over one column or (``wide``) over the line.

    Args:
        model: of the table.
        style: of the paper.
        wide: set it over the line.
        interval: how intervals are set; as the style has it, or by arms where that is too wide, if not given.

    Raises:
        UsageError: it does not fit; the message says what would.
    """
    sheet = _fitting(model, style, wide, interval)
    if sheet is not None:
        return sheet.floats()
    place = f"{'the line' if wide else 'one column'} of style {style.name}"
    narrowest = _Sheet(model, style, _LAYOUTS[-1], interval or "pm", wide)
    if narrowest.whole:
        raise UsageError(
            f"{len(model.rows)} rows are more than a page of style {style.name} holds: name fewer --systems"
        )
    ways: list[tuple[str, bool, Interval | None]] = [
        ("--intervals pm", wide, "pm"),
        ("--intervals none", wide, "none"),
        ("--width text", True, interval),
        ("--width text --intervals none", True, "none"),
    ]  # fmt: skip
    found = [
        said
        for said, over, form in ways
        if (over, form) != (wide, interval) and fits(model, style, wide=over, interval=form)
    ]
    raise UsageError(
        f"{len(model.columns)} columns need {narrowest.width:.0f} pt at least, and {place} has {narrowest.line:.0f}: "
        + (f"give {found[0]}, or fewer --measures" if found else "give fewer --measures")
    )


def fits(model: Table, style: Style, *, wide: bool = False, interval: Interval | None = None) -> bool:
    """Whether :func:`one_float` can set a table."""
    return _fitting(model, style, wide, interval) is not None


def _forms(style: Style) -> list[Interval]:
    """How intervals may be set where nobody said it."""
    return list(dict.fromkeys((style.interval, "pm")))


def _fitting(model: Table, style: Style, wide: bool, interval: Interval | None) -> _Sheet | None:
    forms = [interval] if interval else _forms(style)
    sheets = (_Sheet(model, style, layout, form, wide) for form in forms for layout in _LAYOUTS)
    return next((sheet for sheet in sheets if sheet.whole and not sheet.too_high), None)


#: Estimates how wide a text is set, at a type size.
_Measure = Callable[[str, int], float]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands beside or below a figure: LaTeX, and how wide and how high it is in points."""

    code: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Segment:
    """Some columns of some rows, as lines of a body, and their height in points with the heading."""

    columns: range
    lines: Sequence[str]
    height: float


class _Sheet:
    """A results table in one style, layout and width: what is printed in its columns, how wide they are in points."""

    def __init__(self, model: Table, style: Style, layout: _Layout, interval: Interval, wide: bool) -> None:
        self._model, self._style, self._layout, self._interval, self._wide = model, style, layout, interval, wide
        self.line = style.line if wide else style.column
        numbered = list(enumerate(model.columns))
        self._values = [[e.value for row in model.rows if (e := row.entries[i])] for i, _ in numbered]
        pieces = [
            [self._pieces(e, column) if (e := row.entries[i]) else ([], []) for row in model.rows]
            for i, column in numbered
        ]
        #: By column, then by row: what stands beside the figures, and what below them.
        self._beside = [[beside for beside, _ in column] for column in pieces]
        self._below = [[below for _, below in column] for column in pieces]
        self._tailed = [any(column) for column in self._beside]
        self._heads = [_heading_lines(column, layout, self._measure) for column in model.columns]
        self._widths = [self._column_width(i) + layout.gap for i, _ in numbered]
        self._pairs = [row.pairs for row in model.rows] if any(row.pairs for row in model.rows) else []
        texts = ["Pairs", *self._pairs] if self._pairs else []
        counted = max((self._measure(text, layout.size) + layout.gap for text in texts), default=0.0)
        self._fixed = counted
        self._groups = list(_groups(model, range(len(model.columns))))
        widest = max((self._measure(row.title, layout.size) for row in model.rows), default=0.0)
        words = [self._measure(word.strip(), layout.size) for row in model.rows for word in _pieces_of(row.title)]
        least = min(widest, NAME * self.line, max([LEAST, *words]))
        left = self.line - sum(self._widths) - counted
        #: Whether it fits without being split by columns.
        self.whole = left >= least
        self._names = min(widest, max(left, least) if self.whole else NAME * self.line)
        #: How wide it is with names as narrow as they can be.
        self.width = sum(self._widths) + counted + least

    def _measure(self, text: str, size: int) -> float:
        """Estimate how wide a text is set, in points."""
        return TIMES * size * _width(text, 10) / 10 if self._style.times else _width(text, size)

    @property
    def too_high(self) -> bool:
        """Whether a page does not hold its rows."""
        return len(list(self._segments())) > 1

    def floats(self) -> str:
        """Write the table: one float, or more where it is split."""
        found: list[list[_Segment]] = []
        used = 0.0
        for part in self._segments():
            if not found or used + part.height > self._room(len(found)):
                found.append([])
                used = 0.0
            found[-1].append(part)
            used += part.height
        return "\n".join(self._write(parts, place) for place, parts in enumerate(found))

    def _pieces(self, entry: Entry, column: Column) -> tuple[list[_Piece], list[_Piece]]:
        """What stands beside a figure, and what below it."""
        layout = self._layout
        beside: list[_Piece] = []
        below: list[_Piece] = []
        if entry.own:
            code = r"\textsuperscript{\textdagger}"
            beside.append(_Piece(code, self._measure(OWN, SCRIPT[layout.size]), LEADINGS[layout.small]))
        if piece := _interval_piece(entry, column, self._interval, layout, self._measure):
            (below if layout.interval_below else beside).append(piece)
        if not entry.usual:
            text = entry.brief if layout.count_below else f"({entry.brief})"
            piece = _Piece(rf"\vcevaln{{{escape(text)}}}", self._measure(text, layout.small), LEADINGS[layout.small])
            (below if layout.count_below else beside).append(piece)
        return beside, below

    def _column_width(self, index: int) -> float:
        layout = self._layout
        figures = max((self._measure(value, layout.size) for value in self._values[index]), default=0.0)
        beside = max((sum(piece.width + 2 for piece in pieces) for pieces in self._beside[index]), default=0.0)
        below = max((piece.width for pieces in self._below[index] for piece in pieces), default=0.0)
        return max(figures + beside, below, *(self._measure(line, layout.size) for line in self._heads[index]))

    def _segments(self) -> Iterator[_Segment]:
        """Cut the table into parts: by columns, then by rows."""
        room = self._room(1)
        for columns in self._spans():
            over = max([1, *(len(self._heads[index]) for index in columns)]) + len(self._headings(columns)) - 2
            head = LEADINGS[self._layout.size] * over + 16
            body: list[str] = []
            used, number = head, 0
            for place, block in enumerate(self._model.blocks):
                rule = [r"\midrule"] if place else []
                if block.shown:
                    size = 1 + bool(self._pairs) + sum(1 + self._tailed[index] for index in columns)
                    rule.append(rf"\multicolumn{{{size}}}{{@{{}}l}}{{\itshape {escape(block.heading)}}} \\")
                for row in block.rows:
                    lines, height = self._lines(row, number, columns)
                    height += LEADINGS[self._layout.size] * (len(rule) - (rule[:1] == [r"\midrule"]))
                    if body and used + height > room:
                        yield _Segment(columns, body, used)
                        body, used, rule = [], head, []
                    body += [*rule, *lines]
                    used, rule, number = used + height + 1, [], number + 1
            yield _Segment(columns, body, used)

    def _room(self, place: int) -> float:
        """What a page holds besides the caption and the notes of the table; ``place`` is that of the page, from 0."""
        caption = 1.3 * NORMAL * (ceil(self._measure(self._model.lead, NORMAL) / self.line) + 1)
        notes = LEADINGS[7] * (ceil(self._measure(self._note(), 7) / self.line) + 1) if place < 2 else 0.0
        return self._style.page - caption - notes

    def _write(self, parts: Sequence[_Segment], place: int) -> str:
        """Write one float; ``place`` is 0 for the first."""
        model = self._model
        caption = f"{model.full_title} (continued)." if place else model.lead
        notes = [rf"\vcevalnotes{{{breakable(self._note(), 40, '/_')}}}"] if not place and self._note() else []
        grids = []
        for part in parts:
            kinds = self._kinds(part.columns)
            grids.append(_Grid((kinds, kinds), [*self._headings(part.columns), *part.lines]))
        words = escape(model.full_title), breakable(caption, 40, "/_")
        layout = self._layout
        return _environment(self._wide, model.id, place, words, grids, notes, (layout.size, layout.small, layout.gap))

    def _spans(self) -> Iterator[range]:
        """Spread the columns evenly over as few tables as their widths allow; what shares a heading stays together."""
        if self.whole:
            yield range(len(self._widths))
            return
        room = self.line - self._names - self._fixed
        units = [range(start, stop) for _, start, stop in self._groups]
        if any(sum(self._widths[i] for i in unit) > room for unit in units):
            units = [range(i, i + 1) for i in range(len(self._widths))]
        for parts in range(2, len(units) + 1):
            size = ceil(len(units) / parts)
            chunks = [units[start : start + size] for start in range(0, len(units), size)]
            spans = [range(chunk[0].start, chunk[-1].stop) for chunk in chunks]
            if parts == len(units) or all(sum(self._widths[i] for i in span) <= room for span in spans):
                yield from spans
                return
        yield range(len(self._widths))

    def _note(self) -> str:
        """What explains the table; plain text."""
        model = self._model
        entries = [entry for row in model.rows for entry in row.entries if entry]
        words = model.figure_notes(LEADS[self._interval]) if self._interval != "none" else model.lone_notes
        words += [model.marks] if model.marks else []
        if any(row.system.control for row in model.rows):
            words.append("Italic: controls, which bound what a converter can reach; never ranked.")
        words += model.notes
        if judges := judge_sentence(model):
            words.append(judges)
        if any(not entry.usual for entry in entries):
            where = "Below figures" if self._layout.count_below else "In parentheses"
            others = f" where they are others than {model.usual}" if model.usual else ""
            words.append(f"{where}: {model.count_words}{others}.")
        return " ".join(words)

    def _lines(self, row: Row, number: int, columns: range) -> tuple[list[str], float]:
        """Write a row, the ``number``-th, as lines of the tabular: figures, what stands below, the rest of its name."""
        layout = self._layout
        names = [escape(line) for line in _name_lines(row.title, layout.size, self._names, self._measure)]
        if row.system.control:
            names = [rf"\itshape {name}" for name in names]
        below = [self._below[index][number] for index in columns]
        first = [names[0], *([row.pairs] if self._pairs else [])]
        for index in columns:
            entry = row.entries[index]
            first.append(_figure(entry, self._values[index]))
            if self._tailed[index]:
                first.append(r"\,".join(piece.code for piece in self._beside[index][number]))
        lines = [" & ".join(first)]
        height = max(
            [LEADINGS[layout.size], *(piece.height for index in columns for piece in self._beside[index][number])]
        )
        for place in range(max(len(names) - 1, *(len(pieces) for pieces in below), 0)):
            cells = [names[place + 1] if place + 1 < len(names) else "", *([""] if self._pairs else [])]
            for index, pieces in zip(columns, below, strict=True):
                code = pieces[place].code if place < len(pieces) else ""
                cells.append(rf"\multicolumn{{{1 + self._tailed[index]}}}{{c}}{{{code}}}" if code else
                             "&" * self._tailed[index])  # fmt: skip
            lines.append(" & ".join(cells))
            tall = [pieces[place].height for pieces in below if place < len(pieces)]
            height += max([LEADINGS[layout.size] if place + 1 < len(names) else 0.0, *tall])
        if any(below):  # a little air below the figures, and more between rows
            return [f"{line} \\\\{gap}" for line, gap in zip(lines, _airy(len(lines)), strict=True)], height + 4
        return [f"{line} \\\\" for line in lines], height

    def _headings(self, columns: range) -> list[str]:
        """Write the lines over the body: group headings with their rules, if any, then column headings."""
        named = ["System", *(["Pairs"] if self._pairs else [])]
        heads, groups, rules, place = named, [" & " * (len(named) - 1)], [], 1 + len(named)
        sizes = {index: 1 + self._tailed[index] for index in columns}
        for group, start, stop in _groups(self._model, columns):
            size = sum(sizes[index] for index in range(start, stop))
            groups.append(rf"\multicolumn{{{size}}}{{c}}{{{escape(group)}}}")
            if group:
                rules.append(rf"\cmidrule(lr){{{place}-{place + size - 1}}}")
            place += size
        for index in columns:
            text = _stack(r"\vcevalhead", [escape(line) for line in self._heads[index]])
            heads.append(rf"\multicolumn{{{sizes[index]}}}{{c}}{{{text}}}")
        lines = [" & ".join(groups) + r" \\", " ".join(rules)] if rules else []
        return [*lines, " & ".join(heads) + r" \\", r"\midrule"]

    def _kinds(self, columns: range) -> str:
        kinds = ["l", *(["r"] if self._pairs else [])]
        kinds += [r"r@{\,}l" if self._tailed[index] else "c" for index in columns]
        return rf"@{{}}{' '.join(kinds)}@{{}}"


def _airy(count: int) -> list[str]:
    """The space after each line of a row, as LaTeX is told it."""
    return ["[1pt]", *[""] * (count - 2), "[3pt]"]


def _groups(model: Table, columns: range) -> Iterator[tuple[str, int, int]]:
    """Neighbouring columns under one heading: its text, the first column, the one after the last."""
    start = columns.start
    for index in columns:
        group = model.columns[index].group
        if index + 1 == columns.stop or not group or model.columns[index + 1].group != group:
            yield group, start, index + 1
            start = index + 1


def _heading_lines(column: Column, layout: _Layout, measure: _Measure) -> list[str]:
    """Break a heading between words, about as narrow as the figures; what made these stands in a note."""
    lines = _broken(column.heading, layout.heading, layout.size, measure)
    end = (f" ({column.unit})" if column.unit else "") + column.arrow
    if column.unit and measure(lines[-1] + end, layout.size) > layout.heading:
        return [*lines, end.strip()]
    lines[-1] += end
    return lines


def _pieces_of(name: str) -> list[str]:
    """Cut a name where a line may end."""
    return re.split(r"(?<=[\s_/-])", name)


def _name_lines(text: str, size: int, room: float, measure: _Measure) -> list[str]:
    """Break a name into lines of a width, between words where that goes."""
    lines = [""]
    for piece in _pieces_of(text):
        if lines[-1] and measure((lines[-1] + piece).strip(), size) > room:
            lines.append("")
        while measure(piece.strip(), size) > room and len(piece) > 1:
            taken = next((n for n in range(len(piece) - 1, 0, -1) if measure(piece[:n], size) <= room), 1)
            lines[-1], piece = lines[-1] + piece[:taken], piece[taken:]
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines if line.strip()] or [""]


def _interval_piece(entry: Entry, column: Column, form: Interval, layout: _Layout, wide: _Measure) -> _Piece | None:
    """Set the interval of a figure; None where there is none, or it is not wanted."""
    arms = entry.arms(column.measure)
    if form == "none" or arms is None:
        return None
    leading = LEADINGS[layout.small]
    if form == "brackets":
        code = rf"\vcevalinterval{{{_signed(entry.low)}}}{{{_signed(entry.high)}}}"
        return _Piece(code, wide(entry.interval, layout.small), leading)
    up, down = arms
    if up == down:
        return _Piece(rf"\vcevalpm{{{up}}}", wide(f"±{up}", layout.small), leading)
    width = max(_width(f"{sign}{arm}", SCRIPT[layout.size]) for sign, arm in (("+", up), ("−", down)))
    return _Piece(rf"\vcevalarms{{{up}}}{{{down}}}", width, 1.6 * leading)


def _figure(entry: Entry | None, values: Sequence[str]) -> str:
    """Write a figure, filled up to the width of the widest of its column, so that points stand below one another."""
    if entry is None:
        return ""
    if not entry.value:
        return r"\textendash{}"
    missing = max(len(value.partition(".")[0]) for value in values) - len(entry.value.partition(".")[0])
    pad = rf"\phantom{{{'0' * missing}}}" if missing else ""
    value = _signed(entry.value)
    if entry.best:
        return rf"\bfseries {pad}{value}"
    return pad + (rf"\vcevalsecond{{{value}}}" if entry.second else value)


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
    left = style.line - sum(widest(column, size) + gap for column in range(count) if column not in wide)
    pieces = [_width(part.rstrip(), size) for row in full for column in wide for part in unbroken(row[column][0])]
    share = max(LEAST, 0.94 * left / max(1, len(wide)) - gap, max(pieces, default=0.0) / 0.94)
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
        caption = escape(model.caption) + (" (continued)" if part else "")
        grid = _Grid((kinds[0], kinds[1]), [heading, r"\midrule", *lines])
        words = escape(model.title), caption
        floats.append(_environment(total > style.column, model.id, part, words, [grid], [], (size, 6, gap)))
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
        found.append(_broken(text, room, LOOSE[0], _width) if column in model.numeric else [text])
    return found


def _broken(text: str, room: float, size: int, measure: _Measure) -> list[str]:
    """Break a heading between words where it is wider than what stands below it."""
    lines: list[str] = []
    for word in text.split():
        if lines and measure(f"{lines[-1]} {word}", size) <= room:
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
    """One tabular: column kinds with siunitx and without, its lines between the rules."""

    kinds: tuple[str, str]
    body: Sequence[str]


def _environment(
    wide: bool,
    identity: str,
    part: int,
    caption: tuple[str, str],
    grids: Sequence[_Grid],
    notes: Sequence[str],
    sizes: tuple[int, int, int],
) -> str:
    """Set tabulars, one below the other, as a float over one column or over the whole line.

    Args:
        wide: over the whole line.
        identity: of the table, for its label.
        part: from 0; further ones have labels of their own.
        caption: the entry of a list of tables, and the caption itself; LaTeX already.
        grids: what stands in the table; LaTeX already.
        notes: what stands below the table; LaTeX already.
        sizes: of figures and of what is smaller, and the gap between columns, in points: classes differ in their own.
    """
    float_kind, place = ("table*", "tp") if wide else ("table", "tp")
    size, small, gap = sizes
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
        rf"\caption[{{{short}}}]{{{text}}}",
        rf"\label{{tab:vceval-{identity}{f'-part{part + 1}' if part else ''}}}",
        rf"\centering\fontsize{{{size}}}{{{LEADINGS[size]}}}\selectfont\setlength{{\tabcolsep}}{{{gap / 2:g}pt}}"
        rf"\setlength{{\abovetopsep}}{{3pt}}\def\vcevalsmall{{\fontsize{{{small}}}{{{LEADINGS[small]}}}\selectfont}}",
        *body,
        *notes,
        rf"\end{{{float_kind}}}",
        "",
    ])  # fmt: skip


def _width(text: str, size: int) -> float:
    """Estimate how wide a text is set in Computer Modern, in points, at a type size of 5 to 8 or 10 points."""
    # Small sizes are drawn wider for their height.
    return size * {10: 1.0, 8: 1.07, 7: 1.14, 6: 1.22, 5: 1.36}[size] * sum(_ems(character) for character in text)


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
    lines += [
        rf"\@namedef{{vceval@signature@}}{{{every}}}",
        rf"\newcommand{{\vcevalRun}}{{{escape(_run_words(report))}}}",
    ]
    return "\n".join([*lines, r"\makeatother", ""])


def appendix(report: Report, models: Sequence[Table]) -> str:
    """Write what an appendix says of some tables: what was run, how intervals were made, and the signatures."""
    entries = [entry for model in models for row in model.rows for entry in row.entries if entry and entry.interval]
    methods = [entry.cell.method for entry in entries if entry.cell]
    metrics = {metric.name: metric for model in models for metric in model.metrics}
    paragraphs = [("Run", f"{breakable(_run_words(report), 40, '/_-')}.")]
    if methods:
        paragraphs.append(("Intervals (95~\\%)", f"{escape(interval_words(methods))}."))
    for metric in metrics.values():
        signature = rf"\texttt{{{breakable(metric.signature, 20, '|,+;:-')}}}"
        paragraphs.append((escape(metric.title), signature))
    lines = [rf"\par\noindent\textbf{{{name}.}} {text}\par" for name, text in paragraphs]
    return "\n".join(["% What the tables rest on, for the appendix.", r"{\footnotesize\raggedright", *lines, "}", ""])


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
    return ", ".join(words)
