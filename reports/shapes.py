"""The shapes in which papers print results: per direction, seen and unseen speakers, ablation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vceval.errors import UsageError
from vceval.reports.data import ALL, Cell, MeasureView, Report, SystemView
from vceval.reports.paired import PairedScores
from vceval.reports.significance import ALPHA
from vceval.reports.tables import ARROWS, Block, Column, Entry, Row, Table, results
from vceval.reports.training import unranked

__all__ = ["ablation_table", "exposure_table", "grouped_table"]

#: What a heading shows for what is known of a speaker's part in the training.
_LETTERS = {"trained": "S", "unseen": "U", "unknown": "?"}
#: The order of columns: source, then target.
_CLASSES = ("S2S", "U2S", "S2U", "U2U", "?2S", "?2U", "S2?", "U2?", "?2?")


def grouped_table(report: Report, split: str) -> Table | None:
    """Build one table of the primary measures, each with a column per direction or dataset; None where there is one.

    Args:
        report: of the run.
        split: ``direction`` or ``dataset``.
    """
    names = report.directions if split == "direction" else report.datasets
    if len(names) < 2:
        return None
    columns = [
        Column(name, "", "", measure, group=_heading(measure), **{split: name})
        for measure in report.primary_measures
        for name in names
    ]
    words = " (source gender, then target gender)" if split == "direction" else ""
    table = results(report, f"{split}s", "Results", columns, f"by {split}{words}")
    return _without_empty(table)


def _heading(measure: MeasureView) -> str:
    return measure.label + (f" ({measure.unit})" if measure.unit else "") + ARROWS.get(measure.better, "")


def _without_empty(table: Table) -> Table | None:
    """Leave out columns in which no system has a figure."""
    rows = [row for block in table.blocks for row in block.rows]
    kept = [i for i in range(len(table.columns)) if any((e := row.entries[i]) and e.value for row in rows)]
    if not kept:
        return None
    return replace(
        table,
        columns=[table.columns[i] for i in kept],
        blocks=[
            Block(block.heading, [Row(row.system, [row.entries[i] for i in kept]) for row in block.rows])
            for block in table.blocks
        ],
    )


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
        Column(name, "", "", measure, direction=name, group=_heading(measure)) for measure in measures for name in names
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
    return _without_empty(table)


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
    for system, pair, measure in skips:
        skipped[system, measure, classes.get((system, pair), "")] += 1
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


def ablation_table(report: Report, names: Sequence[str], number: int = 1) -> Table:
    """Build the table of a system and its variants: all figures, then how each variant differs from the system.

    Differences are over the pairs that both have, with the interval of the paired test; bold where it is significant.

    Args:
        report: of the run.
        names: the full system, then its variants, by name or title.
        number: which ablation it is, for its label.

    Raises:
        UsageError: fewer than two names, or one that is no system of the run.
    """
    systems = [_named(report, name) for name in names]
    if len(systems) < 2:
        raise UsageError(f"an ablation needs a system and at least one variant of it, not only {', '.join(names)}")
    base, *variants = systems
    columns = [
        Column(m.label, m.unit, m.better, m) for m in report.primary_measures if m.reduction == "ratio"
    ]  # fmt: skip
    table = results(replace(report, systems=systems, comparisons=()), f"ablation-{number}", "Ablation", columns)
    tests = {
        (str(test["measure"]), frozenset((str(test["first"]), str(test["second"])))): test
        for test in report.comparisons
        if test.get("dataset", ALL) == ALL and test.get("direction", ALL) == ALL
    }
    rows = [
        Row(
            replace(variant, title=f"Δ {variant.title}"),
            [_difference(tests, base, variant, column, report) for column in columns],
        )
        for variant in variants
    ]
    note = (
        f"Δ: variant minus {base.title}, on the pairs that both have; bold: significant (paired test over speakers, "
        f"Holm-corrected over all systems of the run, p < {ALPHA:g})."
    )
    notes = [note for note in table.notes if "different pairs" not in note]
    return replace(
        table, blocks=[*(unranked(block) for block in table.blocks), Block("", rows)], marks="", notes=[*notes, note]
    )  # fmt: skip


def _named(report: Report, name: str) -> SystemView:
    for system in report.systems:
        if name in (system.name, system.title):
            return system
    known = ", ".join(system.name for system in report.systems)
    raise UsageError(f"--ablation: the run has no system {name!r}; it has: {known}")


def _difference(
    tests: Mapping[tuple[str, frozenset[str]], Mapping[str, Any]],
    base: SystemView,
    variant: SystemView,
    column: Column,
    report: Report,
) -> Entry | None:
    measure = column.measure
    test = tests.get((measure.name, frozenset((base.name, variant.name))))
    if test is None:
        return None
    sign = 1.0 if test["first"] == variant.name else -1.0
    value = sign * float(test["difference"])
    ends = sorted(sign * float(test[key]) for key in ("low", "high")) if test["low"] is not None else []
    cell = report.cell(variant.name, measure.name)
    expected = cell.expected if cell else int(test["n"])
    low, high = (ends[0], ends[1]) if ends else (None, None)
    return Entry(
        value=_signed(measure, value),
        low=_signed(measure, low) if low is not None else "",
        high=_signed(measure, high) if high is not None else "",
        count=f"{test['n']}/{expected}",
        skipped=0,
        best=test.get("p_holm") is not None and float(test["p_holm"]) < ALPHA,
        usual=cell is not None and int(test["n"]) == cell.n,
        cell=Cell(value, low, high, int(test["n"]), expected, 0, 0),
    )


def _signed(measure: MeasureView, value: float) -> str:
    text = measure.text(value)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"
