"""Markdown and CSV tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from vceval.reports.tables import ARROWS, Column, Entry, PlainTable, Table
from vceval.results.views import Cell, Report

__all__ = ["CELL_COLUMNS", "calibration_csv", "cells_csv", "escape", "plain_csv", "plain_table", "table", "table_csv"]

#: Columns of every CSV file of corpus figures; values and bounds are in ``unit``.
CELL_COLUMNS = (
    "system", "measure", "dataset", "direction", "value", "low", "high",
    "n", "expected", "failed", "skipped", "unit", "better",
)  # fmt: skip


def escape(text: str) -> str:
    """Write any text so that Markdown shows it as it is, within one table cell."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def table(model: Table) -> str:
    """Write a results table in GitHub's Markdown, signatures below it."""
    lines = [f"**{escape(model.full_title)}.** {escape(f'{model.caption} {model.count_note}'.strip())}", ""]
    lines.append(_line(["System", *(_heading(column) for column in model.columns)]))
    lines.append(_line([":--", *("--:" for _ in model.columns)]))
    for block in model.blocks:
        for row in block.rows:
            name = escape(row.system.title)
            lines.append(
                _line([f"*{name}*" if row.system.control else name, *(_entry(entry) for entry in row.entries)])
            )
    if any(row.system.control for block in model.blocks for row in block.rows):
        lines += ["", "*In italics: controls (lower and upper bounds, not ranked).*"]
    lines += ["", *(f"- {escape(metric.title)}: {_code(metric.signature)}" for metric in model.metrics), ""]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: Column) -> str:
    return escape(column.heading + (f" ({column.unit})" if column.unit else "") + ARROWS.get(column.better, ""))


def _entry(entry: Entry | None) -> str:
    if entry is None:
        return ""
    value = entry.value or "–"
    parts = [f"**{value}**" if entry.best else f"<u>{value}</u>" if entry.second else value]
    if entry.interval:
        parts.append(f"[{entry.low}, {entry.high}]")
    if not entry.usual:
        parts.append(f"n={entry.count}")
    return " ".join(parts)


def _code(text: str) -> str:
    """Set a signature as code; a backtick in it would end the code."""
    text = " ".join(text.split())
    return escape(text) if "`" in text else f"`{text}`"


def plain_table(model: PlainTable) -> str:
    """Write a table of texts."""
    marks = ["--:" if column in model.numeric else ":--" for column in range(len(model.headings))]
    count = len(model.headings)
    padded = [[*row, *[""] * (count - len(row))] for row in [model.headings, *model.rows]]
    rows = [_line(escape(cell) for cell in row) for row in padded]
    return "\n".join([f"**{escape(model.caption)}**", "", rows[0], _line(marks), *rows[1:], ""])


def plain_csv(model: PlainTable) -> str:
    """Write a table of texts as CSV."""
    return _csv(model.headings, model.rows)


def calibration_csv(report: Report) -> str:
    """Write everything that calibration learnt as CSV, one row per metric and dataset, values as stored."""
    found = [(metric, name, facts) for metric, by in sorted(report.calibration.items()) for name, facts in by.items()]
    plain = {key for *_, facts in found for key, value in facts.items() if not isinstance(value, dict | list)}
    order = sorted(plain)
    rows = [
        [metric, name, *(str(facts.get(key, "")) for key in order)]
        for metric, name, facts in sorted(found, key=lambda row: row[:2])
    ]
    return _csv(["metric", "dataset", *order], rows)


def cells_csv(report: Report, columns: Sequence[Column]) -> str:
    """Write corpus figures as CSV, one row per system and column; values and bounds are in the unit named."""
    rows = []
    for column in columns:
        measure = column.measure
        for system in report.systems:
            cell = report.cell(system.name, measure.name, column.dataset, column.direction)
            if cell is None:
                continue
            rows.append(_cell_row(system.name, column, cell))
    return _csv(CELL_COLUMNS, rows)


def table_csv(models: Sequence[Table]) -> str:
    """Write tables as CSV, one row per system and column; values and bounds are in the unit named."""
    rows = []
    for model in models:
        for block in model.blocks:
            for row in block.rows:
                for column, entry in zip(model.columns, row.entries, strict=True):
                    if entry is not None and entry.cell is not None:
                        rows.append(_cell_row(row.system.name, column, entry.cell))
    return _csv(CELL_COLUMNS, rows)


def _cell_row(system: str, column: Column, cell: Cell) -> list[str]:
    measure = column.measure
    figures = [None if v is None else v * measure.scale for v in (cell.value, cell.low, cell.high)]
    return (
        [system, measure.name, column.dataset, column.direction]
        + ["" if figure is None else f"{figure:.12g}" for figure in figures]
        + [str(count) for count in (cell.n, cell.expected, cell.failed, cell.skipped)]
        + [measure.unit, measure.better]
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
