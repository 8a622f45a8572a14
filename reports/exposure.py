"""The table of seen and unseen speakers: results by what a system had heard of the speakers of its pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vceval.reports.shapes import group_heading, without_empty
from vceval.reports.tables import Block, Column, Row, Table, results
from vceval.reports.training import unranked
from vceval.results.pairwise import PairedScores
from vceval.results.views import ALL, Cell, MeasureView, Report

__all__ = ["exposure_table"]

#: What a heading shows for what is known of a speaker's part in the training.
_LETTERS = {"trained": "S", "unseen": "U", "unknown": "?"}
#: The order of columns: source, then target.
_CLASSES = ("S2S", "U2S", "S2U", "U2U", "?2S", "?2U", "S2?", "U2?", "?2?")


def exposure_table(report: Report, scores: PairedScores, exposures: Sequence[Mapping[str, str]]) -> Table | None:
    """Build the table of seen and unseen speakers: every primary measure by what the system had heard of the speakers.

    Every figure is over the pairs of its class alone, with an interval of its own. The classes differ from system to
    system, so nothing is marked as best.

    Args:
        report: of the run.
        scores: its sums.
        exposures: rows of ``leakage.csv``.

    Returns:
        The table, or None where every pair of every system is in the same class.
    """
    classes = {
        (row["system"], row["pair"]): f"{_LETTERS[row['source_exposure']]}2{_LETTERS[row['target_exposure']]}"
        for row in exposures
    }
    present = set(classes.values())
    names = [name for name in _CLASSES if name in present]
    if len(names) < 2:
        return None
    measures = [measure for measure in report.primary_measures if measure.reduction == "ratio"]
    columns = [
        Column(name, "", "", measure, direction=name, group=group_heading(measure))
        for measure in measures
        for name in names
    ]
    cells = _exposure_cells(report, scores, classes, measures, names)
    systems = [system for system in report.converters if any(key[0] == system.name for key in classes)]
    table = results(
        replace(report, cells=cells, comparisons=(), systems=systems, training=None), "seen", "Results", columns,
        "by training speakers (source, then target)",
    )  # fmt: skip
    unknown = "; ?: nobody published it" if any("?" in name for name in names) else ""
    note = (
        f"S: the system was trained on the speaker; U: it was not{unknown}. Classes hold other pairs for every system."
    )
    table = replace(
        table, marks="", notes=[note], usual="", blocks=[_counted(unranked(block)) for block in table.blocks]
    )  # fmt: skip
    return without_empty(table)


def _counted(block: Block) -> Block:
    """Print the count of every figure: classes differ in size."""
    rows = [
        Row(row.system, [entry and replace(entry, usual=not entry.value) for entry in row.entries])
        for row in block.rows
    ]
    return Block(block.heading, rows)


def _exposure_cells(
    report: Report,
    scores: PairedScores,
    classes: Mapping[tuple[str, str], str],
    measures: Sequence[MeasureView],
    names: Sequence[str],
) -> dict[tuple[str, str, str, str], Cell]:
    import numpy as np

    skips = {(row["system"], row["pair"], row["measure"]) for row in report.skips}
    lost: Counter[tuple[str, str, str]] = Counter()
    skipped: Counter[tuple[str, str, str]] = Counter()
    for system, pair, name in skips:
        skipped[system, name, classes.get((system, pair), "")] += 1
    for row in report.failures:
        for measure in measures:
            key = (row["system"], row["pair"], measure.name)
            if key not in skips and (row["stage"] != "score" or row["metric"] == measure.metric):
                lost[row["system"], measure.name, classes.get(key[:2], "")] += 1
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, pair_row in enumerate(scores.pairs):
        for system_view in report.converters:
            found = classes.get((system_view.name, pair_row["pair"]))
            if found is not None:
                members[system_view.name, found].append(place)
    cells = {}
    for (system, name), places in members.items():
        among = np.zeros(len(scores.pairs), dtype=bool)
        among[places] = True
        for measure in measures:
            key = (system, measure.name, name)
            cells[system, measure.name, ALL, name] = scores.cell(
                system, measure.name, among, lost[key], skipped[key]
            )  # fmt: skip
    return cells
