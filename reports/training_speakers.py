"""Training speakers in a report: which speakers the systems were trained on, and the results with and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vceval.reports.tables import (
    Column,
    PlainTable,
    Table,
    changed,
    main_tables,
    results,
    suite_label,
    without_empty,
)
from vceval.results.leakage import EXPOSURES
from vceval.results.marks import rankings_of
from vceval.results.outcomes import Outcomes
from vceval.results.views import ALL, Cell, MeasureView, Report, cells_of

__all__ = ["exposure_table", "trained_marks", "training_table", "unseen_tables"]

#: What a heading shows for what is known of a speaker's part in the training.
_LETTERS = {"trained": "S", "unseen": "U", "unknown": "?"}
#: The order of columns: source, then target.
_CLASSES = ("S2S", "U2S", "S2U", "U2U", "?2S", "?2U", "S2?", "U2?", "?2?")


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
    training = report.training or {}
    found = training.get("cells") or []
    if not found:
        return []
    notes = ["Pairs with an unknown speaker are kept."]
    if not training.get("same_pairs"):
        notes.append("What is left differs from system to system, so rows are not a ranking on equal terms.")
    if none := [_title(report, entry) for entry in _entries(report) if not entry["left"]]:
        notes.append(f"No pair is left of: {', '.join(none)}.")
    rankings = rankings_of(training.get("rankings") or (), training.get("comparisons") or ())
    tables = main_tables(replace(report, cells=cells_of(found), training=None, rankings=rankings))
    return [
        replace(
            table,
            id=f"unseen-{table.id}",
            title=f"{table.title} without speakers trained on",
            notes=[*table.notes, *notes],
        )
        for table in tables
    ]


def exposure_table(report: Report, outcomes: Outcomes) -> Table | None:
    """Build the table of seen and unseen speakers: every primary measure by who of them the system was trained on.

    Every figure is over the pairs of its class alone, with an interval of its own. The classes differ from system to
    system, so nothing is marked as best.

    Args:
        report: of the run.
        outcomes: of the run.

    Returns:
        The table, or None where every pair of every system is in the same class.
    """
    classes = {key: f"{_LETTERS[source]}2{_LETTERS[target]}" for key, (source, target) in report.exposures.items()}
    present = set(classes.values())
    names = [name for name in _CLASSES if name in present]
    if len(names) < 2:
        return None
    measures = [measure for measure in report.primary_measures if measure.reduction == "ratio"]
    columns = [
        Column(name, "", "", measure, direction=name, group=measure.heading) for measure in measures for name in names
    ]
    cells = _exposure_cells(report, outcomes, classes, measures)
    systems = [system for system in report.converters if any(key[0] == system.name for key in classes)]
    table = results(
        replace(report, cells=cells, rankings={}, systems=systems, training=None), "seen", "Results", columns,
        "by training speakers (source, then target)",
    )  # fmt: skip
    unknown = "; ?: nobody published it" if any("?" in name for name in names) else ""
    note = (
        f"S: the system was trained on the speaker; U: it was not{unknown}. Classes hold other pairs for every system."
    )
    # Classes differ in size: every figure has its count
    counted = changed(table, lambda entry: replace(entry, usual=not entry.value, brief=entry.count))
    return without_empty(replace(counted, notes=[note], usual=""))


def _exposure_cells(
    report: Report,
    outcomes: Outcomes,
    classes: Mapping[tuple[str, str], str],
    measures: Sequence[MeasureView],
) -> dict[tuple[str, str, str, str], Cell]:
    import numpy as np

    cells = {}
    for converter in report.converters:
        mine = np.array([classes.get((converter.name, row["pair"]), "") for row in report.pairs])
        for name in sorted(set(mine.tolist()) - {""}):
            for measure in measures:
                key = (converter.name, measure.name, ALL, name)
                cells[key] = outcomes.cell(converter.name, measure, mine == name)
    return cells


def _entries(report: Report) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = (report.training or {}).get("systems") or []
    return entries


def _title(report: Report, entry: Mapping[str, Any]) -> str:
    name = str(entry["system"])
    return next((system.title for system in report.systems if system.name == name), name)
