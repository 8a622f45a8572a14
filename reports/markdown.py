"""Tables as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vceval.reports.tables import OWN, Column, Entry, Interval, PlainTable, Table, judge_sentence
from vceval.results.verdicts import ASKED, Verdict
from vceval.results.views import with_unit

__all__ = ["escape", "plain_table", "table", "verdicts"]


def escape(text: str) -> str:
    """Write any text so that Markdown shows it as it is, within one table cell."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def table(model: Table, interval: Interval = "brackets") -> str:
    """Write a results table in GitHub's Markdown, signatures below it."""
    words = " ".join(filter(None, (model.explained(interval), model.count_note, judge_sentence(model))))
    lead = [f"**{escape(model.words)}**"] if model.words else [f"**{escape(model.full_title)}.**"]
    lines = [" ".join([*lead, escape(words)]).strip(), ""]
    counted = ["Pairs"] if any(row.pairs for row in model.rows) else []
    lines.append(_line(["System", *counted, *(_heading(column) for column in model.columns)]))
    lines.append(_line([":--", *("--:" for _ in [*counted, *model.columns])]))
    for block in model.blocks:
        if block.shown:
            lines.append(_line([f"**{escape(block.heading)}**", *("" for _ in [*counted, *model.columns])]))
        for row in block.rows:
            name = escape(row.title)
            cells = [row.pairs for _ in counted] + [
                _entry(entry, column, interval) for entry, column in zip(row.entries, model.columns, strict=True)
            ]
            lines.append(_line([f"*{name}*" if row.system.control else name, *cells]))
    if any(row.system.control for row in model.rows):
        lines += ["", "*In italics: controls (lower and upper bounds, not ranked).*"]
    lines += ["", *(f"- {escape(metric.title)}: {_code(metric.signature)}" for metric in model.metrics), ""]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(column: Column) -> str:
    return escape(with_unit(column.labelled, column.unit) + column.arrow)


def _entry(entry: Entry | None, column: Column, interval: Interval) -> str:
    if entry is None:
        return ""
    value = (entry.value or "–") + (OWN if entry.own else "")
    parts = [f"**{value}**" if entry.best else f"<u>{value}</u>" if entry.second else value]
    arms = entry.arms(column.measure)
    if interval == "brackets" and entry.interval:
        parts.append(entry.interval)
    elif interval == "pm" and arms:
        parts.append(f"±{arms[0]}" if arms[0] == arms[1] else f"+{arms[0]} −{arms[1]}")
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
