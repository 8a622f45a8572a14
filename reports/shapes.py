"""The shapes in which papers print results: measures side by side per direction or dataset, ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vceval.errors import UsageError
from vceval.reports.tables import ARROWS, Block, Column, Entry, Row, Table, results
from vceval.reports.training import unranked
from vceval.results.marks import ALPHA
from vceval.results.views import ALL, Cell, MeasureView, Report, SystemView

__all__ = ["ablation_table", "group_heading", "grouped_table", "without_empty"]


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
        Column(name, "", "", measure, group=group_heading(measure), **{split: name})
        for measure in report.primary_measures
        for name in names
    ]
    words = " (source gender, then target gender)" if split == "direction" else ""
    table = results(report, f"{split}s", "Results", columns, f"by {split}{words}")
    return without_empty(table)


def group_heading(measure: MeasureView) -> str:
    """Write the heading over the columns of a measure: label, unit, arrow."""
    return measure.label + (f" ({measure.unit})" if measure.unit else "") + ARROWS.get(measure.better, "")


def without_empty(table: Table) -> Table | None:
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
