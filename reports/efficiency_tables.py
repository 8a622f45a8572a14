"""What converting took, as tables, and as columns beside measures.

Figures of different machines never share a column without the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vceval.reports.tables import PlainTable, suite_label
from vceval.results.efficiency import Efficiency, Spread
from vceval.results.marks import listed
from vceval.results.views import ALL, Cell, MeasureView, Report

__all__ = ["COLUMNS", "METRIC", "columns", "efficiency_tables", "factor"]

_MEGA = 1e6
#: What stands for a metric in its columns.
METRIC = "efficiency"
#: What :func:`columns` offers: name to the measure, and to what of an entry it shows.
COLUMNS: Mapping[str, tuple[MeasureView, Callable[[Efficiency], float | None]]] = {
    "params": (
        MeasureView("params", METRIC, "Parameters", "M", "lower", 1 / _MEGA, 1),
        lambda one: one.total_parameters,
    ),
    "rtf": (MeasureView("rtf", METRIC, "RTF", "", "lower", 1.0, 3), lambda one: one.rtf.median),
    "first_audio": (
        MeasureView("first_audio", METRIC, "First audio", "ms", "lower", 1000.0, 0),
        lambda one: None if one.first_audio is None else one.first_audio.median,
    ),
    "memory": (MeasureView("memory", METRIC, "Memory", "MB", "lower", 1 / _MEGA, 0), lambda one: one.memory),
}


def columns(report: Report, names: Sequence[str]) -> tuple[Report, list[str]]:
    """Give the report with what converting took as measures beside the others, for tables of results.

    Time and memory have a column for each machine, which is named where measures name their judge. A system with
    several set-ups on a machine shows the first.

    Args:
        report: of a run, or of several.
        names: of measures; those that are none of :data:`COLUMNS` stay as they are.

    Returns:
        The report, and the names with those of all machines.
    """
    cells, measures = dict(report.cells), {one.name: one for one in report.measures}
    found = []
    for name in names:
        if name not in COLUMNS or name in measures:
            found.append(name)
            continue
        measure, value = COLUMNS[name]
        machines = list(dict.fromkeys("" if name == "params" else one.machine.text for one in report.efficiency))
        for number, machine in enumerate(machines or [""], 1):
            mine = replace(measure, name=f"{name}:{number}" if number > 1 else name, judge=machine)
            for one in report.efficiency:
                if machine in ("", one.machine.text) and (known := value(one)) is not None:
                    counts = (one.counted, one.of) if name == "rtf" else (0, 0)
                    cell = Cell(float(known), None, None, *counts, 0, 0)
                    cells.setdefault((one.system, mine.name, ALL, ALL), cell)
            measures[mine.name] = mine
            found.append(mine.name)
    return replace(report, cells=cells, measures=list(measures.values())), found


def efficiency_tables(report: Report) -> list[PlainTable]:
    """Build the table of what converting took, and that of the parameters by network; none where nothing converted."""
    if not report.efficiency:
        return []
    titles, controls = report.titles, {system.name for system in report.controls}
    shown = sorted(report.efficiency, key=lambda one: one.system in controls)
    on_gpu = any(one.device_memory is not None for one in shown)
    machines, set_ups = {one.machine.text for one in shown}, {one.set_up.text for one in shown}
    gpu = ["GPU memory (MB)"] if on_gpu else []
    streamed = any(one.first_audio is not None for one in shown)
    first = ["First audio (ms)"] if streamed else []
    headings = ["System", "Parameters (M)", "RTF", "Processor RTF", *first, "Memory (MB)", *gpu, "Conversions"]
    numeric = frozenset(range(1, len(headings)))
    headings += [*(["Machine"] if len(machines) > 1 else []), *(["Set-up"] if len(set_ups) > 1 else [])]
    rows = [
        [
            titles.get(one.system, one.system),
            "–" if one.total_parameters is None else _millions(one.total_parameters),
            _spread(one.rtf),
            _spread(one.processor),
            *([_milliseconds(one.first_audio)] if streamed else []),
            _megabytes(one.memory),
            *([_megabytes(one.device_memory)] if on_gpu else []),
            f"{one.counted:,}/{one.of:,}",
            *([one.machine.text] if len(machines) > 1 else []),
            *([one.set_up.text or "–"] if len(set_ups) > 1 else []),
        ]
        for one in shown
    ]
    caption = " ".join(
        (f"Suite {suite_label(report)}.", *_sentences(report, shown, machines, set_ups, on_gpu, streamed))
    )
    tables = [PlainTable("efficiency", "Efficiency", caption, headings, rows, numeric)]
    counted = {one.system: one.parameters for one in shown if one.parameters}
    networks = [
        [titles.get(system, system), name or "all", f"{count:,}"]
        for system, by_name in counted.items()
        for name, count in by_name.items()
    ]
    if networks:
        words = "Parameters as loaded, by the file or the name of their network."
        named = ("System", "Network", "Parameters")
        tables.append(
            PlainTable("efficiency_networks", "Parameters by network", words, named, networks, frozenset({2}))
        )
    return tables


def _sentences(
    report: Report,
    shown: Sequence[Efficiency],
    machines: set[str],
    set_ups: set[str],
    on_gpu: bool,
    streamed: bool,
) -> list[str]:
    said = [
        "RTF: seconds of converting per second of converted audio, without loading; median over conversions, in "
        "brackets 5 % to 95 %. Processor RTF: the same of processor time. Memory: peak of a worker process, loading "
        "included.",
    ]
    if streamed:
        said.append(
            "First audio: from when the source is first heard to when its conversion is, at the pace of speech; RTF of "
            "such systems: of the chunks of a conversion together."
        )
    if on_gpu:
        said.append("GPU memory: peak that torch had allocated.")
    said.append("Conversions: those that times rest on, of all; a worker's first batch warms up and is left out.")
    cold = list(dict.fromkeys(report.titles.get(one.system, one.system) for one in shown if not one.warm))
    if cold:
        said.append(f"With the first batch, as there was no other: {listed(cold)}.")
    if len(machines) == 1:
        said.append(f"Measured on {', '.join(machines)}.")
    if len(set_ups) == 1 and any(set_ups):
        said.append(f"Set-up: {', '.join(set_ups)}.")
    return said


def factor(value: float) -> str:
    """Print a real-time factor with three digits."""
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def _spread(found: Spread | None) -> str:
    return "–" if found is None else f"{factor(found.median)} [{factor(found.low)}, {factor(found.high)}]"


def _milliseconds(found: Spread | None) -> str:
    if found is None:
        return "–"
    median, low, high = (f"{1000.0 * value:,.0f}" for value in (found.median, found.low, found.high))
    return f"{median} [{low}, {high}]"


def _millions(count: int) -> str:
    return f"{count / _MEGA:,.1f}" if count >= _MEGA else f"{count / _MEGA:.2g}"


def _megabytes(size: int | None) -> str:
    return "–" if size is None else f"{size / _MEGA:,.0f}"
