"""One model of a results table, rendered as HTML, LaTeX and Markdown alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vceval.metrics.band import NARROW_BAND
from vceval.results.marks import interval_words, listed, mark_sentence
from vceval.results.views import ALL, Cell, MeasureView, MetricView, Report, SystemView, number

__all__ = [
    "LEADS",
    "OWN",
    "OWN_WORDS",
    "WHOLE",
    "Block",
    "Column",
    "Entry",
    "Interval",
    "Part",
    "PlainTable",
    "Row",
    "Table",
    "changed",
    "dataset_tables",
    "direction_tables",
    "figure_place",
    "judge_sentence",
    "main_tables",
    "mark_words",
    "measure_table",
    "narrow_sentence",
    "results",
    "seeds_sentence",
    "suite_label",
    "trained_sentence",
    "unranked",
    "without_empty",
]  # fmt: skip

#: With fewer speakers on a side, how they vary is hardly known.
FEW = 5
_SIDES = ("target", "source")
#: Share of recordings with a narrow band from which on a table says so of a system.
MANY_NARROW = 0.1
#: The speaker encoder in a signature, without the hash of its weights.
_ENCODER = re.compile(r"\|enc:(.+?)(?:-[0-9a-f]{8}[^|]*)?(?=\||$)")


Interval = Literal["pm", "brackets", "none"]
#: How intervals are set (by their arms: ``±``, or both where they differ; by both ends; not at all), and how a caption
#: begins to speak of them.
LEADS: Mapping[Interval, str] = {
    "pm": "±, or + and − where they differ: arms of the 95 % interval",
    "brackets": "In brackets: 95 % interval",
}

#: Stands behind a figure that the system's own encoder judges, or one related to it.
OWN = "†"
OWN_WORDS = f"{OWN}: judged by an encoder that the system was made with, or by one related to it."


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a measure, over all pairs or over one dataset or direction.

    ``unit`` and ``better`` are what the heading shows; they are empty where the table's title says it, or the heading
    ``group`` over neighbouring columns.
    """

    heading: str
    unit: str
    better: str
    measure: MeasureView
    dataset: str = ALL
    direction: str = ALL
    group: str = ""

    @property
    def arrow(self) -> str:
        """The arrow to the better side that the heading shows; empty where the title or the group has it."""
        return self.measure.arrow if self.better else ""

    @property
    def judge(self) -> str:
        """What made the figures, such as a recogniser; empty where the measure says it all, or a heading above does."""
        return "" if self.group else self.measure.judge

    @property
    def labelled(self) -> str:
        """The heading with what made the figures."""
        return f"{self.heading} ({self.judge})" if self.judge else self.heading

    @property
    def full_heading(self) -> str:
        """What a sentence calls the column: the measure too, where the heading is a part of the pairs."""
        return f"{self.measure.label} {self.heading}" if self.group else self.heading


@dataclass(frozen=True, slots=True)
class Entry:
    """One printed figure; ``count`` is that of its cell, ``usual`` whether the caption already says so.

    ``brief`` leaves out of it what the caption says.

    ``own`` says that the encoder which judges is the system's own, or related to it: shown, and not ranked.

    ``cell`` holds the figure as stored.
    """

    value: str
    low: str
    high: str
    count: str
    brief: str
    skipped: int
    best: bool
    usual: bool
    second: bool = False
    cell: Cell | None = None
    own: bool = False

    @property
    def interval(self) -> str:
        """The 95 % interval, ``[low, high]``; empty where there is none."""
        return f"[{self.low}, {self.high}]" if self.low else ""

    def arms(self, measure: MeasureView) -> tuple[str, str] | None:
        """The arms of the interval as they are printed, up and down; None where there is none."""
        cell = self.cell
        if not self.low or cell is None or cell.value is None or cell.low is None or cell.high is None:
            return None
        ends = (cell.high - cell.value, cell.value - cell.low)
        up, down = (number(max(0.0, end) * abs(measure.scale), measure.decimals) for end in ends)
        return up, down

    @property
    def mark(self) -> str:
        """``best``, ``second``, ``own`` or nothing."""
        return "best" if self.best else "second" if self.second else "own" if self.own else ""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the pairs, as rows of a table show them: one dataset or direction, or all."""

    name: str = ""
    dataset: str = ALL
    direction: str = ALL


#: All pairs.
WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Row:
    """One system; an entry is None where the run has nothing to say about that column.

    ``remark`` stands behind its title: what keeps its figures from standing beside the others. ``part`` holds the pairs
    that it is about. ``pairs`` is how many these are, where rows differ in it and a column of its own says so.
    """

    system: SystemView
    entries: Sequence[Entry | None]
    remark: str = ""
    part: Part = WHOLE
    pairs: str = ""

    @property
    def title(self) -> str:
        """What the row is called: the system's title, and the remark in brackets."""
        return f"{self.system.title} ({self.remark})" if self.remark else self.system.title

    @property
    def given(self) -> int:
        """How many pairs the system was given, whatever became of them."""
        return max((entry.cell.given for entry in self.entries if entry and entry.cell), default=0)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows under one heading: controls, or a dataset or direction; systems need none. ``shown``: print the heading."""

    heading: str
    rows: Sequence[Row]
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of systems; ``usual`` is the count of every figure that does not state its own.

    ``title`` names what is shown, ``group`` how it is split (``by dataset``; empty where it is not), ``place`` the
    suite or the corpora that the pairs are from, ``marks`` says by what bold and underlined figures were chosen.
    ``words`` stand in place of a caption made of these.
    """

    id: str
    title: str
    group: str
    suite: str
    columns: Sequence[Column]
    blocks: Sequence[Block]
    metrics: Sequence[MetricView]
    usual: str
    notes: Sequence[str]
    marks: str = ""
    place: str = ""
    words: str = ""

    @property
    def rows(self) -> list[Row]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def full_title(self) -> str:
        """Title and split, as a caption far from any heading needs them."""
        return f"{self.title} {self.group}".rstrip()

    @property
    def lead(self) -> str:
        """What names the table: the words given, else its title and what it rests on."""
        return self.words or f"{self.full_title} on {self.scope}".removesuffix(" on ") + "."

    @property
    def scope(self) -> str:
        """What the figures rest on: suite or corpora, pairs, speakers."""
        cells = [entry.cell for row in self.rows for entry in row.entries if entry and entry.cell]
        pairs = _span([row.given for row in self.rows if row.given])
        parts = [f"{pairs} conversion pair{'' if pairs == '1' else 's'}"] if pairs else []
        split = any(row.part != WHOLE for row in self.rows)
        if parts and (split or any(row.given != self.rows[0].given for row in self.rows)):
            parts[-1] += " per row" if split else " per system"
        known = [cell for cell in cells if cell.targets and cell.sources]
        if known:
            target, source = (_span([getattr(cell, side) for cell in known]) for side in ("targets", "sources"))
            parts.append(f"{target} target × {source} source speakers")
        return ": ".join(part for part in (self.place, ", ".join(parts)) if part)

    @property
    def caption(self) -> str:
        """What stands over the table, below its title: what it rests on, what the marks mean."""
        return self.explained("brackets")

    def explained(self, interval: Interval) -> str:
        """What stands over the table, below its title, where intervals are set in a form."""
        parts = [f"On {self.scope}."] if self.scope and not self.words else []
        parts += self.figure_notes(LEADS[interval]) if interval != "none" else self.lone_notes
        if self.marks:
            parts.append(self.marks)
        return " ".join([*parts, *self.notes])

    def figure_notes(self, lead: str = LEADS["brackets"]) -> list[str]:
        """How intervals were made, after a lead that says where they stand, and :attr:`speaker_notes`."""
        entries = [entry for row in self.rows for entry in row.entries if entry and entry.interval]
        words = interval_words(entry.cell.method for entry in entries if entry.cell)
        return [*([f"{lead} ({words})."] if entries else []), *self.speaker_notes]

    @property
    def speaker_notes(self) -> list[str]:
        """What the numbers of speakers keep the figures and their intervals from saying."""
        cells = [cell for _, cell in self._named]
        if cells and not any(cell.targets or cell.sources for cell in cells):
            return ["No speaker is known: intervals take recordings for independent."]
        few: dict[tuple[str, ...], list[str]] = {}
        for side in _SIDES:
            names = dict.fromkeys(name for name, cell in self._named if 1 < getattr(cell, f"{side}s") < FEW)
            if names:
                few.setdefault(tuple(names), []).append(side)
        whole = len({name for name, _ in self._named})
        return self.lone_notes + [
            f"Fewer than {FEW} {' and '.join(sides)} speakers: "
            f"{'all intervals' if len(names) == whole else f'intervals of {listed(names)}'} are rough."
            for names, sides in few.items()
        ]

    @property
    def lone_notes(self) -> list[str]:
        """What one speaker alone keeps the figures from saying."""
        counts = {side: {getattr(cell, f"{side}s") for _, cell in self._named} for side in _SIDES}
        return [
            f"One {side} speaker: {'the' if mine == {1} else 'some'} figures say nothing of others."
            for side, mine in counts.items()
            if 1 in mine
        ]

    @property
    def _named(self) -> list[tuple[str, Cell]]:
        """The figures that there are, with what their column is called."""
        return [
            (column.full_heading, entry.cell)
            for row in self.rows
            for column, entry in zip(self.columns, row.entries, strict=True)
            if entry and entry.cell and entry.value
        ]

    @property
    def count_note(self) -> str:
        """The count of every figure that does not state its own; empty where there is no figure."""
        return f"n = {self.usual} ({self.count_words}) unless stated otherwise." if self.usual else ""

    @property
    def count_words(self) -> str:
        """What the numbers beside a figure are."""
        entries = [entry for row in self.rows for entry in row.entries if entry]
        known = any("×" in entry.count for entry in entries)
        return "pairs scored/in all" + (" · target×source speakers" if known else "")


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table of texts; ``numeric`` holds the columns that are set flush right.

    The last cell of a row with fewer cells than there are headings spans the columns that are left.
    """

    id: str
    title: str
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int]


def main_tables(report: Report) -> list[Table]:
    """Build the main results, systems × measures over all pairs: the primary measures, then the others if any."""
    primary = report.primary_measures
    others = [measure for measure in report.measures if measure not in primary]
    parts = (("main", "Results", primary), ("more", "More measures", others))
    return [measure_table(report, *part) for part in parts if part[2] or part[0] == "main"]


def measure_table(
    report: Report, identity: str, title: str, measures: Sequence[MeasureView], parts: Sequence[Part] = (WHOLE,)
) -> Table:
    """Build a table of some measures over all pairs, or over parts of them, with what keeps figures from comparison."""
    table = results(report, identity, title, [Column(m.label, m.unit, m.better, m) for m in measures], parts=parts)
    notes = [f"{sentence}." for sentence in (trained_sentence(report), narrow_sentence(report)) if sentence]
    return replace(table, notes=[*table.notes, *notes])


def trained_sentence(report: Report) -> str:
    """Say which systems were trained on speakers of their pairs; empty where none is known to be."""
    titles = {system.name: system.title for system in report.systems}
    parts = [
        f"{titles.get(entry['system'], entry['system'])} ({heard:,} of {entry['pairs']:,} pairs)"
        for entry in (report.training or {}).get("systems", ())
        if (heard := entry["pairs"] - entry["left"])
    ]
    return f"Trained on the target or source speaker: {', '.join(parts)}" if parts else ""


def narrow_sentence(report: Report) -> str:
    """Say which systems have many recordings of a narrow band; empty where none has."""
    parts = [f"{report.titles[name]} ({counts} recordings)" for name, counts in _narrow(report).items()]
    rates = "sample rates below 16 kHz, or below that of the reference where a measure looks at more"
    return f"Narrow band ({rates}), which moves measures: {', '.join(parts)}" if parts else ""


def _narrow(report: Report) -> dict[str, str]:
    """Systems with many recordings of a narrow band, and how many: ``3 of 20``."""
    checked = Counter(name for name, _ in report.flags)
    narrow = Counter(name for (name, _), flags in report.flags.items() if NARROW_BAND in flags)
    return {
        system.name: f"{narrow[system.name]:,} of {checked[system.name]:,}"
        for system in report.systems
        if narrow[system.name] > MANY_NARROW * checked[system.name]
    }


def direction_tables(report: Report) -> list[Table]:
    """Build one table per measure with a column per direction; none where there is only one direction."""
    heading = "by direction (source gender, then target gender)"
    return _split(report, "direction", heading, [(name, {"direction": name}) for name in report.directions])


def dataset_tables(report: Report) -> list[Table]:
    """Build one table per measure with a column per dataset; none where there is only one dataset."""
    return _split(report, "dataset", "by dataset", [(name, {"dataset": name}) for name in report.datasets])


def _split(report: Report, identity: str, heading: str, parts: Sequence[tuple[str, Mapping[str, str]]]) -> list[Table]:
    """Build a table per measure that has a value, with a column for all pairs and one for each part of them."""
    if len(parts) < 2:
        return []
    tables = []
    for index, m in enumerate(report.measures):
        columns = [Column("All", "", "", m), *(Column(name, "", "", m, **which) for name, which in parts)]
        table = results(report, f"{identity}-{index + 1}", m.heading, columns, heading)
        if any(entry and entry.value for row in table.rows for entry in row.entries):
            tables.append(table)
    return tables


def results(
    report: Report,
    identity: str,
    title: str,
    columns: Sequence[Column],
    group: str = "",
    parts: Sequence[Part] = (WHOLE,),
) -> Table:
    """Build a table of systems: every column over the pairs that it names, best and second marked by the tests.

    With several parts, the systems stand once below each.
    """
    cells = {
        (system.name, index, part): report.cell(system.name, *figure_place(column, part))
        for system in report.systems
        for index, column in enumerate(columns)
        for part in parts
    }
    counts = [_counts(cell) for cell in cells.values() if cell is not None and cell.value is not None]
    usual = tuple(_often(some) for some in zip(*counts, strict=True)) if counts else ("", "")
    narrow = _narrow(report)

    def row(system: SystemView, part: Part) -> Row:
        entries = []
        for index, column in enumerate(columns):
            cell, mark = cells[system.name, index, part], report.ranking(*figure_place(column, part)).mark(system.name)
            mark = "own" if (system.name, column.measure.metric) in report.kin else mark
            entries.append(_entry(cell, column.measure, mark, usual) if cell else None)
        return Row(system, entries, NARROW_BAND if system.name in narrow else "", part)

    if len(parts) > 1:
        order = [*report.converters, *report.controls]
        rows = {part: [found for one in order if (found := row(one, part)).given] for part in parts}
        blocks = [Block(part.name, rows[part], shown=True) for part in parts if rows[part]]
    else:
        groups = [("", report.converters), ("Controls (lower and upper bounds, not ranked)", report.controls)]
        blocks = [Block(heading, [row(one, parts[0]) for one in systems]) for heading, systems in groups if systems]
    used = list(dict.fromkeys(column.measure.metric for column in columns))
    notes = [seeds_sentence(report)] if seeds_sentence(report) else []
    metrics = [report.metrics[name] for name in used if name in report.metrics]
    words = mark_words(report, columns, parts)
    if any(entry and entry.own for block in blocks for one in block.rows for entry in one.entries):
        words = f"{words} {OWN_WORDS}".strip()
    return Table(
        identity, title, group, suite_label(report), columns, blocks, metrics, _joined(usual), notes, words,
        suite_label(report) if "@" in report.suite else _corpora(report),
    )  # fmt: skip


def mark_words(report: Report, columns: Sequence[Column], parts: Sequence[Part] = (WHOLE,)) -> str:
    """Say what the marks of some columns mean, and what is not ranked in them."""
    found = [
        (f"{column.full_heading} {part.name}".rstrip(), report.ranking(*figure_place(column, part)))
        for part in parts
        for column in columns
    ]
    return mark_sentence(found, report.titles)


def figure_place(column: Column, part: Part) -> tuple[str, str, str]:
    """Name the measure, dataset and direction of a figure."""
    dataset = column.dataset if part.dataset == ALL else part.dataset
    return column.measure.name, dataset, column.direction if part.direction == ALL else part.direction


def _corpora(report: Report) -> str:
    """Name the corpora of a run, or say how many they are."""
    return listed(report.datasets) if len(report.datasets) < 4 else f"{len(report.datasets)} corpora"


def judge_sentence(table: Table) -> str:
    """Name the recognisers and speaker encoders behind the columns, and which columns these are."""
    found: dict[str, list[str]] = {}
    signatures = {metric.name: metric.signature for metric in table.metrics}
    for column in table.columns:
        measure = column.measure
        encoder = _ENCODER.search(signatures.get(measure.metric, ""))
        judge = measure.judge or (encoder[1].capitalize().replace("-", " ") if encoder else "")
        if judge:
            found.setdefault(judge, []).append(column.full_heading)
    told = [f"{judge} ({listed(list(dict.fromkeys(names)))})" for judge, names in found.items()]
    return f"Judged by {'; '.join(told)}." if told else ""


def seeds_sentence(report: Report) -> str:
    """Say which systems were converted with how many seeds, and what is missing of it; empty where all have one."""
    groups: dict[int, list[str]] = {}
    for system in report.converters:
        if system.seeds > 1:
            lost = f" (without {system.failed:,} of {system.expected:,} conversions)" if system.failed else ""
            groups.setdefault(system.seeds, []).append(system.title + lost)
    parts = [f"mean over {seeds} seeds: {', '.join(titles)}" for seeds, titles in sorted(groups.items())]
    return f"M{'; '.join(parts)[1:]}." if parts else ""


def suite_label(report: Report) -> str:
    """Name the suite with the marks that change what a result means: ``vctk_unseen@1, PARTIAL``."""
    marks = [mark for mark, is_set in (("PARTIAL", report.partial), ("CUSTOM", report.custom)) if is_set]
    return ", ".join([report.suite, *marks])


def _span(numbers: Sequence[int]) -> str:
    """Print numbers as one, or as the range that they span; empty where there is none."""
    ends = sorted({min(numbers), max(numbers)}) if numbers else []
    return "–".join(f"{end:,}" for end in ends)


def _counts(cell: Cell) -> tuple[str, str]:
    """The pairs and the speakers of a figure."""
    pairs, _, speakers = cell.count.partition(" · ")
    return pairs, speakers


def _joined(parts: Iterable[str]) -> str:
    return " · ".join(part for part in parts if part)


def _often(texts: Sequence[str]) -> str:
    """What half of the texts are, or more; empty where there is nothing such."""
    found, times = Counter(texts).most_common(1)[0]
    return found if 2 * times >= len(texts) else ""


def _entry(cell: Cell, measure: MeasureView, mark: str, usual: tuple[str, ...]) -> Entry:
    nothing = not cell.n and not cell.failed  # every pair was skipped: the dash says so
    brief = "" if nothing else _joined(a if a != b else "" for a, b in zip(_counts(cell), usual, strict=True))
    bounded = cell.value is not None and cell.low is not None and cell.high is not None
    return Entry(
        value=measure.text(cell.value),
        low=measure.text(cell.low) if bounded else "",
        high=measure.text(cell.high) if bounded else "",
        count=cell.count,
        brief=brief,
        skipped=cell.skipped,
        best=mark == "best",
        usual=not brief,
        second=mark == "second",
        cell=cell,
        own=mark == "own",
    )


def without_empty(table: Table) -> Table | None:
    """Leave out columns in which no system has a figure."""
    kept = [i for i in range(len(table.columns)) if any((e := row.entries[i]) and e.value for row in table.rows)]
    if not kept:
        return None
    columns = [table.columns[i] for i in kept]
    used = {column.measure.metric for column in columns}
    return replace(
        table,
        columns=columns,
        blocks=[
            replace(block, rows=[replace(row, entries=[row.entries[i] for i in kept]) for row in block.rows])
            for block in table.blocks
        ],
        metrics=[metric for metric in table.metrics if metric.name in used],
    )


def unranked(table: Table) -> Table:
    """Take the marks of best and second systems off."""
    return replace(changed(table, lambda entry: replace(entry, best=False, second=False)), marks="")


def changed(table: Table, change: Callable[[Entry], Entry]) -> Table:
    """Change every figure of a table."""
    return replace(
        table,
        blocks=[
            replace(block, rows=[replace(row, entries=[e and change(e) for e in row.entries]) for row in block.rows])
            for block in table.blocks
        ],
    )
