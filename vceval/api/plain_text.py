"""Results in plain text, for ``print`` and a console of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from vceval.reports.notebook import short_table
from vceval.reports.tables import suite_label
from vceval.results.verdicts import Verdict, lines, verdicts
from vceval.results.views import Report

__all__ = ["plain_text"]

_WIDTH, _NAME, _MEASURES = 80, 24, 4


def plain_text(report: Report) -> str:
    """Say in at most 80 columns who was scored by what, the figures of the first measures, and the verdicts."""
    failed = f", {len(report.failures):,} failures" if report.failures else ""
    head = f"{report.name}: {suite_label(report)}, {report.pair_count:,} pairs, {len(report.systems)} systems{failed}"
    found = verdicts(report)
    return "\n".join([_short(head, _WIDTH), "", *_table(report, found), *lines(found, _WIDTH)])


def _table(report: Report, found: Sequence[Verdict]) -> list[str]:
    model, left = short_table(report, found, _MEASURES)
    if model is None:
        return []
    rows = [[_short(row.system.title, _NAME)] for row in model.rows]
    heads = ["system"]
    room = _WIDTH - max(len(row[0]) for row in rows)
    for place, column in enumerate(model.columns):
        heading = f"{column.heading} ({column.unit})" if column.unit else column.heading
        entries = [row.entries[place] for row in model.rows]
        cells = [f"{entry.value if entry else '-'}{'*' if entry and entry.best else ' '}" for entry in entries]
        room -= 2 + max(map(len, [heading, *cells]))
        if room < 0:
            break
        heads.append(heading + " " * (len(heading) < max(map(len, cells))))
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    printed = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in [heads, *rows]
    ]
    left += len(model.columns) - len(heads) + 1
    notes = ["* best"] if any("*" in line for line in printed[1:]) else []
    notes += [f"table() has {left} more measure{'s' if left > 1 else ''}"] if left else []
    return [*printed, *(["; ".join(notes)] if notes else []), ""]


def _short(text: str, width: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= width else plain[: width - 1] + "…"
