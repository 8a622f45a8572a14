"""Measured results beside published ones, and calibrations as papers print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vceval.reports.data import Report
from vceval.reports.tables import ARROWS, PlainTable, suite_label

__all__ = ["calibration_shape", "comparison_table"]

_BETTER = {"MOS": "higher", "SMOS": "higher", "VSS": "higher", "SECS": "higher", "SIM": "higher"}


def comparison_table(report: Report) -> PlainTable | None:
    """Build the table of measured systems and, apart from them, what papers print; None without published figures.

    A published figure stands in the column of a measure if it bears the same name; nothing makes the two comparable.
    """
    rows = [row for row in report.published if not _of_verifier(row)]
    if not rows:
        return None
    columns = list(dict.fromkeys((str(row["metric"]), str(row.get("unit") or "")) for row in rows))
    measures = {measure.label: measure for measure in report.measures}
    heads = [
        name + (f" ({unit})" if unit else "")
        + ARROWS.get(measures[name].better if name in measures else _BETTER.get(name, ""), "")
        for name, unit in columns
    ]  # fmt: skip
    body: list[list[str]] = []
    names = [name for name, _ in columns]
    shown = [
        [system.title, "control" if system.control else "", *cells]
        for system in [*report.converters, *report.controls]
        if any(cells := _measured(report, system.name, names))
    ]
    if shown:
        body += [[f"Measured: suite {suite_label(report)}"], *(_filled(row, 2) for row in shown)]
    for (paper, table), entries in _grouped(rows, "paper", "table").items():
        body.append([f"Published: {paper}, {table}"])
        for (task, system), figures in _grouped(entries, "task", "system").items():
            values = {(str(row["metric"]), str(row.get("unit") or "")): _value(row) for row in figures}
            body.append(_filled([system, task, *(values.get(column, "") for column in columns)], 2))
    caption = (
        f"Measured and published results. Suite {suite_label(report)}. Published figures are those that the papers "
        "print (± as printed), on their own data, with their own tools and listeners: they are no part of a ranking "
        "with measured ones. Below measured figures: 95 % interval (bootstrap over speakers)."
    )
    headings = ["System", "Task", *heads]
    return PlainTable(
        "comparison", "Measured and published results", caption, headings, body, frozenset(range(2, len(headings)))
    )  # fmt: skip


def _of_verifier(row: Mapping[str, Any]) -> bool:
    """Whether a published figure is about a verifier, and not about a converter."""
    return "calibration" in str(row["task"]) or row["metric"] == "threshold"


def _measured(report: Report, system: str, names: Iterable[str]) -> list[str]:
    """Print a system's figures on the measures of these names, empty where the run has none."""
    by_label = {measure.label: measure for measure in report.measures}
    cells = []
    for name in names:
        measure = by_label.get(name)
        cell = report.cell(system, measure.name) if measure else None
        if measure is None or cell is None or cell.value is None:
            cells.append("")
            continue
        bounded = cell.low is not None and cell.high is not None
        interval = f" [{measure.text(cell.low)}, {measure.text(cell.high)}]" if bounded else ""
        cells.append(measure.text(cell.value) + interval)
    return cells


def _filled(row: Sequence[str], start: int) -> list[str]:
    return [text or "–" if column >= start else text for column, text in enumerate(row)]


def _grouped(
    rows: Iterable[Mapping[str, Any]], first: str, second: str
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((str(row.get(first) or ""), str(row.get(second) or "")), []).append(row)
    return found


def _value(row: Mapping[str, Any]) -> str:
    """Print a published figure with as many decimals as its ± has."""
    value, spread = row.get("value"), row.get("plus_minus")
    if not isinstance(value, float):
        return str(value)
    if not isinstance(spread, float):
        return f"{value:.6g}"
    decimals = max(len(f"{number:.6g}".partition(".")[2]) for number in (value, spread))
    return f"{value:.{decimals}f} ± {spread:.{decimals}f}"


def calibration_shape(report: Report) -> PlainTable | None:
    """Build the table of EER and threshold per corpus, published calibrations below it; None where there is neither."""
    body: list[list[str]] = []
    notes: list[str] = []
    for metric, datasets in sorted(report.calibration.items()):
        found = [(name, facts) for name, facts in sorted(datasets.items()) if "unavailable" not in facts]
        lacking = [name for name, facts in sorted(datasets.items()) if "unavailable" in facts]
        title = report.metrics[metric].title if metric in report.metrics else metric
        if lacking:
            notes.append(f"{title}: too little natural speech of {', '.join(lacking)}.")
        if not found:
            continue
        encoders = dict.fromkeys(str(facts.get("encoder") or "") for _, facts in found)
        body.append([f"{title}, {', '.join(encoders)}".rstrip(", ")])
        body += [_calibrated(name, facts) for name, facts in found]
    published = [row for row in report.published if "calibration" in str(row["task"])]
    for (paper, table), entries in _grouped(published, "paper", "table").items():
        body.append([f"Published: {paper}, {table}"])
        for (task, system), rows in _grouped(entries, "task", "system").items():
            values = {str(row["metric"]): float(row["value"]) for row in rows}
            body.append([
                f"{task.partition(' calibration ')[2] or task} ({system})",
                *(_plain(values.get(name), style) for name, style in (("EER", ".2f"), ("threshold", ".3f"))),
                _plain(values.get("trials"), ",.0f"), "–",
            ])  # fmt: skip
    if not body and not notes:
        return None
    caption = (
        f"Calibration on natural speech: equal error rate with its 95 % interval, and the threshold there. Suite "
        f"{suite_label(report)}. Trials: same speaker + different speakers."
    )
    if published:
        caption += " Published calibrations are of other trials; their recordings are not known."
    headings = ("Corpus", "EER (%)", "Threshold", "Trials", "Speakers")
    return PlainTable(
        "calibration", "Calibration", " ".join([caption, *notes]), headings, body, frozenset(range(1, len(headings)))
    )  # fmt: skip


def _calibrated(name: str, facts: Mapping[str, Any]) -> list[str]:
    eer, low, high = (facts.get(key) for key in ("eer", "eer_low", "eer_high"))
    interval = "" if low is None or high is None else f" [{100 * float(low):.2f}, {100 * float(high):.2f}]"
    trials = [f"{int(facts[key]):,}" for key in ("target_trials", "nontarget_trials") if key in facts]
    return [
        name,
        "–" if eer is None else f"{100 * float(eer):.2f}{interval}",
        _plain(facts.get("threshold"), ".4f"),
        " + ".join(trials) or "–",
        str(facts.get("speakers", "–")),
    ]


def _plain(value: Any, style: str) -> str:
    return "–" if value is None else format(float(value), style)
