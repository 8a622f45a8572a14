"""Tables as JSON: every figure unrounded, with its counts, and what the table says about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vceval.reports.tables import Column, Entry, PlainTable, Table

__all__ = ["plain_json", "tables_json"]


def tables_json(models: Sequence[Table]) -> str:
    """Write results tables as one JSON document.

    Figures and bounds are in the unit of their column and not rounded; ``mark`` is ``best``, ``second`` or null.
    """
    return _text({"schema": 1, "tables": [_table(model) for model in models]})


def plain_json(model: PlainTable) -> str:
    """Write a table of texts as JSON; rows of one cell are headings over the rows below them."""
    return _text({
        "schema": 1,
        "title": model.title,
        "caption": model.caption,
        "headings": list(model.headings),
        "rows": [list(row) for row in model.rows],
    })  # fmt: skip


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _table(model: Table) -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.full_title,
        "suite": model.suite,
        "caption": f"{model.caption} {model.count_note}".strip(),
        "signatures": {metric.name: metric.signature for metric in model.metrics},
        "columns": [
            {
                "measure": column.measure.name,
                "metric": column.measure.metric,
                "label": column.measure.label,
                "heading": column.heading,
                "unit": column.measure.unit,
                "better": column.measure.better,
                "dataset": column.dataset,
                "direction": column.direction,
            }
            for column in model.columns
        ],
        "rows": [
            {
                "system": row.system.name,
                "title": row.system.title,
                "control": row.system.control,
                "figures": [
                    entry and _figure(entry, column) for entry, column in zip(row.entries, model.columns, strict=True)
                ],
            }
            for block in model.blocks
            for row in block.rows
        ],
    }  # fmt: skip


def _figure(entry: Entry, column: Column) -> dict[str, Any]:
    cell, scale = entry.cell, column.measure.scale
    figures = (None, None, None) if cell is None else (cell.value, cell.low, cell.high)
    value, low, high = (None if figure is None else figure * scale for figure in figures)
    counts = {} if cell is None else {key: getattr(cell, key) for key in ("n", "expected", "failed", "skipped")}
    mark = "best" if entry.best else "second" if entry.second else None
    return {"value": value, "low": low, "high": high, "printed": entry.value, "mark": mark, **counts}
