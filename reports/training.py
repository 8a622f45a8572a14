"""Training speakers in a report: whom the systems had heard before, and the results without those speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vceval.reports.tables import Block, PlainTable, Row, Table, main_tables, suite_label
from vceval.results.leakage import EXPOSURES
from vceval.results.views import Report, cells_of

__all__ = ["trained_marks", "training_table", "unranked", "unseen_tables"]


def training_table(report: Report) -> PlainTable | None:
    """Build the table of exposures: per system, pairs by what is known of target and source; None without an audit."""
    entries = _entries(report)
    if not entries:
        return None
    headings = ["System", "Pairs", *(f"{who} {kind}" for who in ("Target", "Source") for kind in EXPOSURES), "Left"]
    rows = [
        [
            _title(report, entry),
            *(
                f"{count:,}"
                for count in (
                    entry["pairs"],
                    *(entry[who][kind] for who in ("targets", "sources") for kind in EXPOSURES),
                    entry["left"],
                )
            ),
        ]
        for entry in entries
    ]
    caption = (
        f"Pairs by whether the system was trained on their speakers. Suite {suite_label(report)}. By what authors "
        "published of their weights; unknown: nobody published it. Left: pairs without a speaker trained on. "
        "Pretrained content encoders, speaker encoders and vocoders of other authors are not counted."
    )
    return PlainTable("training", "Training speakers", caption, headings, rows, frozenset(range(1, len(headings))))


def trained_marks(report: Report) -> dict[str, str]:
    """Say of every system that was trained on speakers of its pairs on how many: ``trained on 12/48``, by name."""
    return {
        str(entry["system"]): f"trained on {entry['pairs'] - entry['left']:,}/{entry['pairs']:,}"
        for entry in _entries(report)
        if entry["pairs"] > entry["left"]
    }


def unseen_tables(report: Report) -> list[Table]:
    """Build the main tables again without the pairs that involve a speaker trained on; none where nothing is left out.

    Every system leaves out its own pairs. Where that leaves different pairs to different systems, none is best.
    """
    found = (report.training or {}).get("cells") or []
    if not found:
        return []
    same = bool((report.training or {}).get("same_pairs"))
    notes = ["Pairs with an unknown speaker are kept."]
    if not same:
        notes.append("What is left differs from system to system, so rows are not a ranking on equal terms.")
    if none := [_title(report, entry) for entry in _entries(report) if not entry["left"]]:
        notes.append(f"No pair is left of: {', '.join(none)}.")
    tables = main_tables(replace(report, cells=cells_of(found), training=None, comparisons=()))
    return [
        replace(
            table,
            id=f"unseen-{table.id}",
            title=f"{table.title} without speakers trained on",
            notes=[*table.notes, *notes],
            blocks=table.blocks if same else [unranked(block) for block in table.blocks],
            marks=table.marks if same else "",
        )
        for table in tables
    ]


def unranked(block: Block) -> Block:
    """Take the marks of best and second systems off."""
    return Block(
        block.heading,
        [
            Row(row.system, [entry and replace(entry, best=False, second=False) for entry in row.entries])
            for row in block.rows
        ],
    )


def _entries(report: Report) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = (report.training or {}).get("systems") or []
    return entries


def _title(report: Report, entry: Mapping[str, Any]) -> str:
    name = str(entry["system"])
    return next((system.title for system in report.systems if system.name == name), name)
