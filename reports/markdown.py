"""Tables as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vceval.reports.tables import OWN, Column, Entry, PlainTable, Table
from vceval.results.verdicts import ASKED, Verdict
from vceval.results.views import with_unit

__all__ = ["escape", "plain_table", "table", "verdicts"]


def escape(text: str) -> str:
    """Write any text so that Markdown shows it as it is, within one table cell."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def table(model: Table) -> str:
    """Write a results table in GitHub's Markdown, signatures below it."""
    lines = [f"**{escape(model.full_title)}.** {escape(f'{model.caption} {model.count_note}'.strip())}", ""]
    lines.append(_line(["System", *(_heading(column) for column in model.columns)]))
    lines.append(_line([":--", *("--:" for _ in model.columns)]))
    for row in model.rows:
        name = escape(row.title)
        lines.append(_line([f"*{name}*" if row.system.control else name, *(_entry(entry) for entry in row.entries)]))
    if any(row.system.control for row in model.rows):
        lines += ["", "*In italics: controls (lower and upper bounds, not ranked).*"]
    lines += ["", *(f"- {escape(metric.title)}: {_code(metric.signature)}" for metric in model.metrics), ""]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: Column) -> str:
    return escape(with_unit(column.labelled, column.unit) + column.arrow)


def _entry(entry: Entry | None) -> str:
    if entry is None:
        return ""
    value = (entry.value or "–") + (OWN if entry.own else "")
    parts = [f"**{value}**" if entry.best else f"<u>{value}</u>" if entry.second else value]
    if entry.interval:
        parts.append(entry.interval)
    if not entry.usual:
        parts.append(f"n={entry.brief}")
    return " ".join(parts)


def _code(text: str) -> str:
    """Set a signature as code; a backtick in it would end the code."""
    text = " ".join(text.split())
    return escape(text) if "`" in text else f"`{text}`"


def verdicts(found: Sequence[Verdict]) -> str:
    """Write the verdicts as a list, one a question."""
    return "".join(
        f"- {escape(ASKED[one.question])} **{escape(one.headline)}**: {escape(one.reason)}\n" for one in found
    )


def plain_table(model: PlainTable) -> str:
    """Write a table of texts."""
    marks = ["--:" if column in model.numeric else ":--" for column in range(len(model.headings))]
    count = len(model.headings)
    padded = [[*row, *[""] * (count - len(row))] for row in [model.headings, *model.rows]]
    rows = [_line(escape(cell) for cell in row) for row in padded]
    return "\n".join([f"**{escape(model.caption)}**", "", rows[0], _line(marks), *rows[1:], ""])
