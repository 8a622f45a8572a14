"""The end of a run at a terminal: who is ahead, one table, why figures are missing, where the rest lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vceval.records import NEEDS
from vceval.reports.tables import OWN, OWN_WORDS, Block, Column, Entry, Table, main_tables, without_empty
from vceval.results import terminal, verdicts
from vceval.results.marks import ALPHA, listed
from vceval.results.terminal import Cell, clean, paragraph
from vceval.results.views import Report, SystemView

__all__ = ["ending", "lacking", "results"]

#: What stands behind a figure that tables print bold, and behind one that they underline.
_BEST, _SECOND = "*", "°"
#: Share of the width that names of systems may take, and the fewest columns for them.
_NAMES, _LEAST = 0.3, 16
_GAP = 2
_INDENT = 9


def ending(report: Report, page: Path, columns: int | None = None) -> str:
    """What ``run``, ``score`` and ``report`` print last.

    Args:
        report: of the run, or of several.
        page: its ``index.html``; tables lie beside it.
        columns: of the terminal; its own where None.
    """
    columns = columns or terminal.width()
    said = verdicts.lines(verdicts.verdicts(report), columns)
    tables = f"{page.parent / 'tables'}  (all measures, signatures)"
    places = [f"{head:<{_INDENT}}{clean(place)}" for head, place in (("page", str(page)), ("tables", tables))]
    return "\n".join([*said, "", results(report, columns), "", *places])


def results(report: Report, columns: int) -> str:
    """The first table of the report in so many columns, what its figures rest on, and why figures are missing."""
    whole, *more = main_tables(report)
    table = without_empty(whole)
    if table is None:
        return "\n".join([f"{whole.suite}: no figure", *_noted(lacking(report, whole), columns)])
    shown = _fitting(table, _first(report), columns)
    hidden = [column for column in table.columns if column not in shown.columns]
    left_out = [column.heading for column in (*hidden, *(column for one in more for column in one.columns))]
    notes = [*_figures(shown), *lacking(report, whole, hidden)]
    if left_out:
        notes.append(f"Not shown here: {', '.join(left_out).removesuffix('.')}.")
    return "\n".join([f"{clean(shown.suite)}", _set(shown, columns), "", *_noted(notes, columns)])


def lacking(report: Report, table: Table, hidden: Sequence[Column] = ()) -> list[str]:
    """Say of every column with a dash why, in one sentence for each reason; not of hidden ones."""
    found = []
    for place, column in enumerate(table.columns):
        if column in hidden:
            continue
        without: dict[str, list[str]] = {}
        for row in table.rows:
            if (entry := row.entries[place]) is not None and not entry.value:
                without.setdefault(_why(report, column, row.system), []).append(clean(row.system.title))
        for why, titles in without.items():
            who = "" if len(titles) == len(table.rows) else f" of {listed(titles)}"
            found.append(f"{column.heading}{who} –: {why}.")
    return found


def _why(report: Report, column: Column, system: SystemView) -> str:
    needs = Counter(
        row["need"] for row in report.skips if row["measure"] == column.measure.name and row["system"] == system.name
    )
    cell = report.cell(system.name, column.measure.name, column.dataset, column.direction)
    found = [f"for lack of {NEEDS.get(need, need)}" for need, _ in needs.most_common(1)]
    found += [f"{cell.failed:,} values failed (failures.csv)"] if cell and cell.failed else []
    return ", and ".join(found) or "nothing to take it from"


def _first(report: Report) -> list[str]:
    """The measures in the order in which they are left out last: those that decide, those that rank, the others."""
    decide = [one.measure.name for one in verdicts.verdicts(report) if one.measure]
    ranked = [one.name for one in report.measures if not one.ranked_by]
    return list(dict.fromkeys([*decide, *ranked, *(one.name for one in report.measures)]))


def _fitting(table: Table, order: Sequence[str], columns: int) -> Table:
    """Leave out the columns for which there is no room."""
    room = columns - _names(table, columns)
    kept: set[int] = set()
    for place in sorted(range(len(table.columns)), key=lambda place: order.index(table.columns[place].measure.name)):
        room -= _GAP + max(len(line) for text in _column(table, place) for line in text.split("\n"))
        if room < 0 and kept:
            break
        kept.add(place)
    places = sorted(kept)
    return replace(
        table,
        columns=[table.columns[place] for place in places],
        blocks=[
            Block(block.heading, [replace(row, entries=[row.entries[place] for place in places]) for row in block.rows])
            for block in table.blocks
        ],
    )


def _names(table: Table, columns: int) -> int:
    longest = max((len(row.title) for row in table.rows), default=0)
    return min(longest, max(_LEAST, int(columns * _NAMES)))


def _column(table: Table, place: int) -> Iterator[str]:
    yield _heading(table.columns[place])
    yield from (_entry(row.entries[place]) for row in table.rows)


def _heading(column: Column) -> str:
    unit = f"({column.unit})" if column.unit else ""
    return "\n".join(filter(None, (column.heading, column.judge, f"{unit}{column.arrow}".strip())))


def _entry(entry: Entry | None) -> str:
    """A figure, below it its interval, and its count where that is not the usual one."""
    if entry is None:
        return ""
    value = (entry.value or "–") + (_BEST if entry.best else _SECOND if entry.second else OWN if entry.own else "")
    return "\n".join(filter(None, (value, entry.interval, "" if entry.usual else f"n={entry.brief}")))


def _set(table: Table, columns: int) -> str:
    style = {"best": "bold green", "second": "underline"}
    sections: list[list[list[str | Cell]]] = []
    for block in table.blocks:
        heading: list[list[str | Cell]] = [[Cell("Controls (not ranked)", "dim")]] if block.heading else []
        rows: list[list[str | Cell]] = [
            [row.title, *(Cell(_entry(entry), style.get(entry.mark, "") if entry else "") for entry in row.entries)]
            for row in block.rows
        ]
        sections.append([*heading, *rows])
    heads = ["System", *(_heading(column) for column in table.columns)]
    return terminal.grid(heads, sections, range(1, len(heads)), columns)


def _figures(table: Table) -> Iterator[str]:
    """What the figures of a table are, and what keeps them from saying more."""
    entries = [entry for row in table.rows for entry in row.entries if entry]
    if any(entry.interval for entry in entries):
        yield "Below a figure: its 95 % interval."
    if table.count_note:
        yield table.count_note
    marks = [f"{sign} {word}" for sign, word in ((_BEST, "best"), (_SECOND, "next")) if _any(entries, word)]
    if marks:
        yield (
            f"{', '.join(marks)}, with what can't be told from it (same pairs, Holm-corrected, p < {ALPHA:g}); "
            "no mark: no significant difference, or not ranked."
        )
    if any(entry.own for entry in entries):
        yield OWN_WORDS
    yield from table.speaker_notes
    yield from table.notes


def _any(entries: Sequence[Entry], word: str) -> bool:
    return any(entry.best if word == "best" else entry.second for entry in entries)


def _noted(notes: Sequence[str], columns: int) -> list[str]:
    return [paragraph(clean(note), indent=2, columns=columns).lstrip() for note in notes]
