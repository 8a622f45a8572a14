"""Tables as papers print them: measures side by side per direction or dataset, and ablations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vceval.errors import UsageError
from vceval.reports.tables import Block, Column, Entry, Row, Table, results, unranked, without_empty
from vceval.results.marks import ALPHA
from vceval.results.views import Cell, MeasureView, Report, SystemView

__all__ = ["ablation_table", "grouped_table"]


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
        Column(name, "", "", measure, group=measure.heading, **{split: name})
        for measure in report.primary_measures
        for name in names
    ]
    words = " (source gender, then target gender)" if split == "direction" else ""
    table = results(report, f"{split}s", "Results", columns, f"by {split}{words}")
    return without_empty(table)


def ablation_table(report: Report, names: Sequence[str], number: int = 1) -> Table:
    """Build the table of a system and its variants: all figures, then how each variant differs from the system.

    Differences are over the pairs of the ranking, with the interval of the paired test; bold where it is significant.

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
    table = results(replace(report, systems=systems), f"ablation-{number}", "Ablation", columns)
    rows = [
        Row(
            replace(variant, title=f"Δ {variant.title}"),
            [_difference(base, variant, column.measure, report) for column in columns],
        )
        for variant in variants
    ]
    note = (
        f"Δ: variant minus {base.title}, on the pairs that all ranked systems of the run have; bold: significant "
        f"(paired test over speakers, Holm-corrected over all of them, p < {ALPHA:g}); none where one is not ranked."
    )
    table = unranked(table)
    return replace(table, blocks=[*table.blocks, Block("", rows)], notes=[*table.notes, note])


def _named(report: Report, name: str) -> SystemView:
    for system in report.systems:
        if name in (system.name, system.title):
            return system
    known = ", ".join(system.name for system in report.systems)
    raise UsageError(f"--ablation: the run has no system {name!r}; it has: {known}")


def _difference(base: SystemView, variant: SystemView, measure: MeasureView, report: Report) -> Entry | None:
    test = report.ranking(measure.name).between(variant.name, base.name)
    if test is None:
        return None
    cell = report.cell(variant.name, measure.name)
    shown = Cell(test.difference, test.low, test.high, test.n, cell.expected if cell else test.n, 0, 0,
                 *((cell.targets, cell.sources) if cell else ()))  # fmt: skip
    return Entry(
        value=measure.signed(test.difference),
        low="" if test.low is None else measure.signed(test.low),
        high="" if test.high is None else measure.signed(test.high),
        count=shown.count,
        brief=shown.count,
        skipped=0,
        best=test.p_value is not None and test.p_value < ALPHA,
        usual=cell is not None and test.n == cell.n,
        cell=shown,
    )
