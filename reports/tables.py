"""One model of a results table, rendered as HTML, LaTeX and Markdown alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vceval.metrics.band import NARROW_BAND
from vceval.results.marks import interval_words, listed, mark_sentence
from vceval.results.views import ALL, Cell, MeasureView, MetricView, Report, SystemView

__all__ = [
    "OWN",
    "Block",
    "Column",
    "Entry",
    "PlainTable",
    "Row",
    "Table",
    "changed",
    "dataset_tables",
    "direction_tables",
    "main_tables",
    "mark_words",
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
#: Share of recordings with a narrow band from which on a table says so of a system.
MANY_NARROW = 0.1

#: Stands behind a figure that the system's own encoder judges, or one related to it.
OWN = "†"


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

    ``count`` is empty where every pair was skipped, so that nothing was expected. ``cell`` holds the figure as stored.
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

    @property
    def mark(self) -> str:
        """``best``, ``second``, ``own`` or nothing."""
        return "best" if self.best else "second" if self.second else "own" if self.own else ""


@dataclass(frozen=True, slots=True)
class Row:
    """One system; an entry is None where the run has nothing to say about that column.

    ``remark`` stands behind its title: what keeps its figures from standing beside the others.
    """

    system: SystemView
    entries: Sequence[Entry | None]
    remark: str = ""

    @property
    def title(self) -> str:
        """What the row is called: the system's title, and the remark in brackets."""
        return f"{self.system.title} ({self.remark})" if self.remark else self.system.title


@dataclass(frozen=True, slots=True)
class Block:
    """Rows under one heading: controls; systems need none."""

    heading: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of systems; ``usual`` is the count of every figure that does not state its own.

    ``title`` names what is shown, ``group`` how it is split (``by dataset``; empty where it is not), ``marks`` says by
    what bold and underlined figures were chosen.
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

    @property
    def rows(self) -> list[Row]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def full_title(self) -> str:
        """Title and split, as a caption far from any heading needs them."""
        return f"{self.title} {self.group}".rstrip()

    @property
    def caption(self) -> str:
        """What stands over the table: title, suite, what the marks mean."""
        parts = [f"Suite {self.suite}."]
        parts += self.figure_notes()
        if self.marks:
            parts.append(self.marks)
        return " ".join([*parts, *self.notes])

    def figure_notes(self, lead: str = "In brackets: 95 % interval") -> list[str]:
        """How intervals were made, after a lead that says where they stand, and :attr:`speaker_notes`."""
        entries = [entry for row in self.rows for entry in row.entries if entry and entry.interval]
        words = interval_words(entry.cell.method for entry in entries if entry.cell)
        return [*([f"{lead} ({words})."] if entries else []), *self.speaker_notes]

    @property
    def speaker_notes(self) -> list[str]:
        """What the numbers of speakers keep the figures from saying."""
        named = [
            (column.full_heading, entry.cell)
            for row in self.rows
            for column, entry in zip(self.columns, row.entries, strict=True)
            if entry and entry.cell and entry.value
        ]
        cells = [cell for _, cell in named]
        if cells and not any(cell.targets or cell.sources for cell in cells):
            return ["No speaker is known: intervals take recordings for independent."]
        counts = {side: [getattr(cell, f"{side}s") for cell in cells] for side in ("target", "source")}
        notes = [
            f"One {side} speaker: {'the' if set(mine) == {1} else 'some'} figures say nothing of others."
            for side, mine in counts.items()
            if 1 in mine
        ]
        few: dict[tuple[str, ...], list[str]] = {}
        for side, mine in counts.items():
            names = dict.fromkeys(name for (name, _), count in zip(named, mine, strict=True) if 1 < count < FEW)
            if names:
                few.setdefault(tuple(names), []).append(side)
        whole = len({name for name, _ in named})
        return notes + [
            f"Fewer than {FEW} {' and '.join(sides)} speakers: "
            f"{'all intervals' if len(names) == whole else f'intervals of {listed(names)}'} are rough."
            for names, sides in few.items()
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
        return "pairs scored/expected" + (" · target×source speakers" if known else "")


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
    tables = [
        results(report, name, title, [Column(m.label, m.unit, m.better, m) for m in measures])
        for name, title, measures in parts
        if measures or name == "main"
    ]
    notes = [f"{sentence}." for sentence in (trained_sentence(report), narrow_sentence(report)) if sentence]
    return [replace(table, notes=[*table.notes, *notes]) for table in tables]


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


def results(report: Report, identity: str, title: str, columns: Sequence[Column], group: str = "") -> Table:
    """Build a table of systems: every column over the pairs that it names, best and second marked by the tests."""
    cells = {
        (system.name, index): report.cell(system.name, column.measure.name, column.dataset, column.direction)
        for system in report.systems
        for index, column in enumerate(columns)
    }
    rankings = [report.ranking(column.measure.name, column.dataset, column.direction) for column in columns]
    counts = [_counts(cell) for cell in cells.values() if cell is not None and cell.value is not None]
    usual = tuple(_often(part) for part in zip(*counts, strict=True)) if counts else ("", "")
    narrow = _narrow(report)

    def row(system: SystemView) -> Row:
        entries = []
        for index, column in enumerate(columns):
            cell, mark = cells[system.name, index], rankings[index].mark(system.name)
            mark = "own" if (system.name, column.measure.metric) in report.kin else mark
            entries.append(_entry(cell, column.measure, mark, usual) if cell else None)
        return Row(system, entries, NARROW_BAND if system.name in narrow else "")

    groups = [("", report.converters), ("Controls (lower and upper bounds, not ranked)", report.controls)]
    blocks = [Block(heading, [row(system) for system in systems]) for heading, systems in groups if systems]
    used = list(dict.fromkeys(column.measure.metric for column in columns))
    notes = [seeds_sentence(report)] if seeds_sentence(report) else []
    metrics = [report.metrics[name] for name in used if name in report.metrics]
    words = mark_words(report, columns)
    if any(entry and entry.own for block in blocks for one in block.rows for entry in one.entries):
        words = f"{words} {OWN}: judged by an encoder that the system was made with, or by one related to it.".strip()
    return Table(identity, title, group, suite_label(report), columns, blocks, metrics, _joined(usual), notes, words)


def mark_words(report: Report, columns: Sequence[Column]) -> str:
    """Say what the marks of some columns mean, and what is not ranked in them."""
    found = [(c.full_heading, report.ranking(c.measure.name, c.dataset, c.direction)) for c in columns]
    return mark_sentence(found, report.titles)


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
    brief = _joined("" if mine == one else mine for mine, one in zip(_counts(cell), usual, strict=True))
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
    return replace(
        table,
        columns=[table.columns[i] for i in kept],
        blocks=[
            Block(block.heading, [replace(row, entries=[row.entries[i] for i in kept]) for row in block.rows])
            for block in table.blocks
        ],
    )


def unranked(table: Table) -> Table:
    """Take the marks of best and second systems off."""
    return replace(changed(table, lambda entry: replace(entry, best=False, second=False)), marks="")


def changed(table: Table, change: Callable[[Entry], Entry]) -> Table:
    """Change every figure of a table."""
    return replace(
        table,
        blocks=[
            Block(block.heading, [replace(row, entries=[e and change(e) for e in row.entries]) for row in block.rows])
            for block in table.blocks
        ],
    )
