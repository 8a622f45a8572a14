"""What the pages of a board show: rows and columns of ``board.json`` as printed texts, in the order of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vceval.board.record import AgreementFacts, BoardFile, ColumnFacts, RankingFacts, RowFacts, SuiteBoard, TableFacts
from vceval.board.standing import MOST_TESTED
from vceval.protocol import suite as suites
from vceval.reports.published_tables import comparison_tables, published_table
from vceval.reports.tables import PlainTable
from vceval.results.marks import Ranking, interval_words, mark_sentence, p_text
from vceval.results.scores import Scores
from vceval.results.views import ALL, Cell, MeasureView, Report, assemble, with_interval, with_unit

__all__ = [
    "MARKS", "TableView", "agreement_table", "day", "heading", "judge_of", "label", "published_tables", "row_view",
    "shown_columns", "table_view", "titled",
]  # fmt: skip

#: Marks of figures, by number.
MARKS = ("", "best", "second", "own")
#: Measured systems beside published ones.
_BESIDE = 20


class TableView(NamedTuple):
    """A table as its page shows it.

    columns: with ``on``, whether one is shown at first. rows: as :func:`row_view` makes them, in order; controls last.
    order: numbers of the rows. words: what intervals and marks mean.
    """

    facts: TableFacts
    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[Sequence[Any]]
    order: Sequence[int]
    words: str
    licences: Sequence[str]
    years: Sequence[int]
    sizes: bool
    exposed: bool


def day(moment: str) -> str:
    """The date of a time."""
    return moment[:10]


def titled(board: BoardFile, table: TableFacts) -> dict[int, str]:
    """Call every row of a table by its title, with its publisher where another row has the same."""
    names = {one.key: one.name for one in board.keys}
    times = Counter(row.title for row in table.rows)
    return {
        number: f"{row.title} ({names[row.key]})" if times[row.title] > 1 else row.title
        for number, row in enumerate(table.rows)
    }


def shown_columns(table: TableFacts) -> list[ColumnFacts]:
    """The columns that are shown at first: primary measures that most converters have."""
    counts = {
        column.id: sum(column.id in row.figures for row in table.rows if not row.control) for column in table.columns
    }
    most = max(counts.values(), default=0)
    primary = [one for one in table.columns if not one.measure.secondary and 2 * counts[one.id] >= most]
    return primary or list(table.columns)[:6]


def judge_of(column: ColumnFacts) -> str:
    """What made the figures of a column, where its label does not say so."""
    judge = column.measure.judge or column.encoder
    return "" if judge in column.measure.label else judge


def heading(column: ColumnFacts) -> str:
    """What a table calls a column; those after the first of a measure are numbered."""
    number = column.id.partition("~")[2]
    return f"{column.measure.label} · {number}" if number else column.measure.label


def label(column: ColumnFacts) -> str:
    """What a sentence calls a column."""
    judge = judge_of(column)
    return f"{heading(column)} ({judge})" if judge else heading(column)


def table_view(board: BoardFile, table: TableFacts) -> TableView:
    """Print a table."""
    rankings = {one.column: one for one in table.rankings}
    shown = {one.id for one in shown_columns(table)}
    order = _order(table, rankings)
    titles = titled(board, table)
    names = {one.key: one.name for one in board.keys}
    ranked = [
        (label(column), _ranking(found))
        for column in table.columns
        if column.id in shown and (found := rankings.get(column.id))
    ]
    marks = mark_sentence(ranked, {str(number): title for number, title in titles.items()})
    many = ""
    if any(len(found.order) > MOST_TESTED for found in rankings.values()):
        many = (
            f" Of more than {MOST_TESTED} systems only the tests that decide a mark are made, corrected for the number "
            "of all (Bonferroni)."
        )
    methods = interval_words(
        cell.method
        for row in table.rows
        for name, cell in row.figures.items()
        if name in shown and cell.low is not None
    )
    return TableView(
        table,
        [_column(column, column.id in shown) for column in table.columns],
        [row_view(table, number, names, rankings) for number in order],
        order,
        f"In brackets: 95 % interval ({methods}). {marks}{many}".strip(),
        sorted({row.licence for row in table.rows if row.licence and not row.control})[:40],
        sorted({row.year for row in table.rows if row.year is not None}, reverse=True),
        any(row.parameters is not None for row in table.rows),
        any(row.trained or row.unknown for row in table.rows),
    )


def _order(table: TableFacts, rankings: Mapping[str, RankingFacts]) -> list[int]:
    """Rows in the order of the first column that ranks them, the others behind it, controls last."""
    lead = next((one for one in shown_columns(table) if one.id in rankings and rankings[one.id].order), None)
    places = {number: place for place, number in enumerate(rankings[lead.id].order)} if lead else {}

    def key(number: int) -> tuple[bool, int, float, str]:
        row = table.rows[number]
        cell = row.figures.get(lead.id) if lead else None
        value = float("inf") if cell is None or cell.value is None or lead is None else lead.measure.sign * cell.value
        return row.control, places.get(number, len(table.rows)), value, row.title.casefold()

    return sorted(range(len(table.rows)), key=key)


def _ranking(found: RankingFacts) -> Ranking:
    """A ranking as sentences about marks take it."""
    best, second = (frozenset(map(str, some)) for some in (found.best, found.second))
    return Ranking(
        order=[str(one) for one in found.order], pairs=found.pairs, left_out=found.left_out,
        unranked={str(one): reason for one, reason in found.unranked.items()}, best=best, second=second,
        reason=found.reason,
    )  # fmt: skip


def _column(column: ColumnFacts, on: bool) -> dict[str, Any]:
    measure = column.measure
    return {
        "id": column.id,
        "heading": heading(column),
        "label": label(column),
        "judge": judge_of(column),
        "unit": measure.unit,
        "arrow": measure.arrow.strip(),
        "better": measure.better,
        "best": None if measure.best is None else measure.best * measure.scale,
        "title": f"{measure.hint}. {column.signature}".removeprefix(". "),
        "on": on,
    }


def row_view(
    table: TableFacts, number: int, names: Mapping[str, str], rankings: Mapping[str, RankingFacts]
) -> list[Any]:
    """Print a row: what it is, its figures by column, and those of unseen speakers where they differ.

    Returns:
        title, page, publisher, day, licence, year, parameters, pairs with speakers trained on, pairs whose speakers
        nobody knows to be unseen, whether it is a control, figures, figures of unseen speakers, older results. A figure
        is value, low, high, count, mark (a place in :data:`MARKS`); 0 for none.
    """
    row = table.rows[number]

    def cells(found: Mapping[str, Cell], marked: bool) -> list[Any]:
        printed: list[Any] = []
        for column in table.columns:
            cell = found.get(column.id)
            if cell is None or not (cell.expected or cell.skipped):
                printed.append(0)
                continue
            mark = _mark(column, number, row, rankings) if marked else 0
            text = column.measure.text
            printed.append([text(cell.value), text(cell.low), text(cell.high), cell.count, mark])
        return printed

    return [
        row.title, row.page, names[row.key], day(row.published), row.licence, row.year, row.parameters, row.trained,
        row.unknown, int(row.control), cells(row.figures, True), cells(row.unseen, False) if row.unseen else 0,
        len(row.history),
    ]  # fmt: skip


def _mark(column: ColumnFacts, number: int, row: RowFacts, rankings: Mapping[str, RankingFacts]) -> int:
    if column.measure.metric in row.kin:
        return MARKS.index("own")
    found = rankings.get(column.id)
    if found is None:
        return 0
    return MARKS.index("best") if number in found.best else MARKS.index("second") if number in found.second else 0


def agreement_table(board: BoardFile, table: TableFacts, only: str | None = None) -> PlainTable | None:
    """Build the table of systems that two laboratories published; of one system where it is named."""
    columns = {one.id: one for one in table.columns}
    names = {one.key: one.name for one in board.keys}
    found = [
        one for one in table.agreements
        if one.column in columns and only in (None, table.rows[one.first].system)
    ]  # fmt: skip
    if not found:
        return None
    rows = [_agreement(one, table, columns[one.column], names)[only is not None :] for one in found]
    covers, tested = sum(one.agrees is True for one in found), sum(one.agrees is not None for one in found)
    caption = (
        f"The same system, published by two: {covers} of {tested} differences have a 95 % interval that covers zero, "
        "as 95 of 100 have where laboratories differ by chance alone. Differences are of the second from the first, on "
        "the pairs that both have a value for; p-values are not corrected."
    )
    headings = ("System", "Measure", "First", "Second", "Figures", "Difference", "p", "Zero within", "Pairs")
    shown = headings[only is not None :]
    numeric = frozenset(place for place, name in enumerate(shown) if name in ("Figures", "Difference", "p", "Pairs"))
    return PlainTable("agreement", "Two laboratories", caption, shown, rows, numeric)


def _agreement(one: AgreementFacts, table: TableFacts, column: ColumnFacts, names: Mapping[str, str]) -> list[str]:
    measure, first, second = column.measure, table.rows[one.first], table.rows[one.second]
    figures = " and ".join(measure.text(value) or "–" for value in one.values)
    apart = with_interval(one.difference, one.low, one.high, measure.signed)
    agrees = "–" if one.agrees is None else "yes" if one.agrees else "no"
    return [
        first.title, with_unit(label(column), measure.unit), names[first.key], names[second.key],
        figures.replace("-", "−"), apart.replace("-", "−"), p_text(one.p_value).removeprefix("p = ").removeprefix("p "),
        agrees, f"{one.pairs:,}",
    ]  # fmt: skip


def published_tables(board: BoardFile, suite: SuiteBoard) -> Iterator[PlainTable]:
    """Build tables of what papers print for a suite, apart from what was measured; none of a suite not known here."""
    name, _, version = suite.name.partition("@")
    if name not in suites.names() or not version or not suite.tables:
        return
    table, loaded = suite.tables[0], suites.load(name)
    if table.custom or loaded.label != suite.name or not loaded.published:
        return
    report = _report(board, suite.name, table, suites.published_rows(loaded))
    yield from comparison_tables(report)
    if found := published_table(report):
        yield found


def _report(board: BoardFile, suite: str, table: TableFacts, published: Sequence[Mapping[str, Any]]) -> Report:
    """Make of a table a report with what comparisons with published figures look at."""
    titles = titled(board, table)
    measures: dict[str, MeasureView] = {one.measure.name: one.measure for one in table.columns if "~" not in one.id}
    chosen = _order(table, {one.column: one for one in table.rankings})[:_BESIDE]
    summary = {
        "suite": suite,
        "pairs": table.pairs,
        "systems": [
            {"name": str(n), "title": titles[n], "control": table.rows[n].control, "expected": 0, "converted": 0,
             "failed": 0}
            for n in chosen
        ],
        "metrics": [],
        "measures": [asdict(one) for one in measures.values()],
        "datasets": table.datasets,
        "cells": [
            {"system": str(n), "measure": name, "dataset": ALL, "direction": ALL, **asdict(cell)}
            for n in chosen for name in measures if (cell := table.rows[n].figures.get(name))
        ],
        "rankings": [], "comparisons": [], "published": list(published),
    }  # fmt: skip
    nothing = np.empty((0, 0, 0))
    return assemble(Path(), {}, summary, [], Scores({}, {}, {}, nothing, nothing, nothing, {}, {}))
