"""A panel of speaker encoders in a report: what each says of every system, side by side, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vceval.reports.tables import OWN, PlainTable, suite_label
from vceval.results.views import Report, number, with_interval

__all__ = ["panel_tables"]


def panel_tables(report: Report) -> list[PlainTable]:
    """Build both tables of every panel; none where a run has no panel."""
    return [table for panel in report.panels for table in (_figures(report, panel), _agreement(report, panel))]


def _figures(report: Report, panel: Mapping[str, Any]) -> PlainTable:
    """Systems by encoders: the primary measures and similarities of each."""
    columns = [
        (judge["encoder"], measure)
        for judge in panel["judges"]
        for measure in report.measures
        if measure.metric == judge["metric"] and (not measure.secondary or measure.placed)
    ]
    columns.sort(key=lambda one: _kinds(report, panel).index(_kind(one[1].label)))
    headings = ["System", *(f"{_kind(measure.label)}, {encoder}" for encoder, measure in columns)]
    rows = []
    for system in [*report.converters, *report.controls]:
        row = [system.title]
        for _, measure in columns:
            cell = report.cell(system.name, measure.name)
            text = "–" if cell is None else with_interval(cell.value, cell.low, cell.high, measure.text)
            row.append(text + (OWN if (system.name, measure.metric) in report.kin and cell else ""))
        if any(text.strip("–" + OWN) for text in row[1:]):
            rows.append(row)
    own = [
        f"{report.titles.get(system, system)} was {reason.replace('this encoder', report.metrics[metric].encoder)}"
        for (system, metric), reason in report.kin.items()
        if metric in {judge["metric"] for judge in panel["judges"]}
    ]
    caption = f"Every encoder at its own calibrated threshold, with 95 % intervals. Suite {suite_label(report)}." + (
        f" {OWN}: judged by an encoder that the system was made with, or by one related to it: {'; '.join(own)}."
        if own
        else ""
    )
    name = f"panel-{panel['family']}"
    return PlainTable(name, "Encoders side by side", caption, headings, rows, frozenset(range(1, len(headings))))


def _kinds(report: Report, panel: Mapping[str, Any]) -> list[str]:
    metrics = {judge["metric"] for judge in panel["judges"]}
    return list(dict.fromkeys(_kind(measure.label) for measure in report.measures if measure.metric in metrics))


def _kind(label: str) -> str:
    """The label without the recipe in brackets: the same for all encoders."""
    return label.partition(" (")[0]


def _agreement(report: Report, panel: Mapping[str, Any]) -> PlainTable:
    rows = [
        [
            f"{one['first']}, {one['second']}",
            with_interval(one["tau"], one["low"], one["high"], lambda value: number(value, 2)),
            str(one["systems"]),
            ", ".join(report.titles.get(name, name) for name in one["left_out"]) or "–",
            "; ".join(" / ".join(report.titles.get(name, name) for name in pair) for pair in one["against"]) or "–",
        ]
        for one in panel["agreement"]
    ]
    caption = (
        "Agreement of every two encoders on the order of the systems by acceptance: Kendall's tau with a 95 % interval "
        "over target speakers. Left out: systems that one of the two was made with. Turned round: pairs of systems "
        "that both put in an order significantly, and each in another."
    )
    headings = ["Encoders", "Kendall's tau", "Systems", "Left out", "Turned round"]
    name = f"agreement-{panel['family']}"
    return PlainTable(name, "Agreement of encoders", caption, headings, rows, frozenset({1, 2}))
