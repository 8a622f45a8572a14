"""The one table of a paper: a choice of measures, systems and parts of the pairs, by name or as a paper prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from vceval import registry
from vceval.errors import UsageError
from vceval.records import NEEDS
from vceval.reports import efficiency_tables
from vceval.reports.tables import WHOLE, Interval, Part, Row, Table, measure_table, without_empty
from vceval.results.marks import listed, rankings_of
from vceval.results.merge_runs import Material
from vceval.results.ranking import ranked
from vceval.results.views import ALL, FLAG_MEASURE, MeasureView, Report, SystemView

__all__ = ["MOST", "PRESETS", "Choice", "Preset", "Rows", "named_system", "paper_table", "preset", "usual_measures"]

Rows = Literal["system", "direction", "dataset"]
#: Measures of a table over one column for which nobody named any.
MOST = 5


class Wanted(NamedTuple):
    """A column of a preset: measures that are it, the ``--metrics`` that gives them, measures that come near it.

    ``listeners``: it is asked with ``vceval listen``.
    """

    measures: tuple[str, ...]
    metrics: str = ""
    near: tuple[str, ...] = ()
    listeners: bool = False


@dataclass(frozen=True, slots=True)
class Preset:
    """The shape in which a paper prints its results: columns in their order, what rows are, how intervals are set."""

    columns: Sequence[Wanted]
    rows: Rows
    intervals: Interval


_NATURALNESS = Wanted(("listening_mos",), listeners=True)
_SIMILARITY = Wanted(("listening_smos",), listeners=True)
#: ``mae-vc``: as its authors print it of MediumVC, per corpus; ``clsvc``: Table 1 and Figure 3; ``knnvc``: Table 1;
#: ``seedvc``: EVAL.md. Papers that do not state their recipe in full have the default.
PRESETS: Mapping[str, Preset] = {
    "mae-vc": Preset(
        (
            Wanted(("sv_accept:mediumvc",), "sv:mediumvc", ("sv_accept:dvector", "sv_accept")),
            Wanted(("fake_score:resemblyzer",), "fake:resemblyzer", ("fake_score",)),
            _NATURALNESS,
            _SIMILARITY,
        ),
        "dataset",
        "none",
    ),
    "clsvc": Preset(
        (
            Wanted(("mcd",), "mcd"),
            _NATURALNESS,
            _SIMILARITY,
            Wanted(("fake_accept:resemblyzer",), "fake:resemblyzer", ("fake_accept",)),
        ),
        "system",
        "pm",
    ),
    "knnvc": Preset(
        (
            Wanted(("wer",), "wer"),
            Wanted(("cer",), "cer"),
            Wanted(("sv:spoof-eer",), "sv:spoof-eer"),
            _NATURALNESS,
            _SIMILARITY,
        ),
        "system",
        "pm",
    ),
    "seedvc": Preset(
        (
            Wanted(("sv_cosine:resemblyzer",), "sv:resemblyzer", ("sv_cosine",)),
            Wanted(("wer",), "wer"),
            Wanted(("cer",), "cer"),
            Wanted(("dnsmos_sig",), "mos:dnsmos"),
            Wanted(("dnsmos_bak",), "mos:dnsmos"),
            Wanted(("dnsmos_ovrl",), "mos:dnsmos"),
        ),
        "system",
        "none",
    ),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a table shows: measures and systems by name (all where there is none), what its rows are, its caption."""

    measures: Sequence[str] = ()
    systems: Sequence[str] = ()
    rows: Rows = "system"
    caption: str = ""


def preset(report: Report, name: str, say: Callable[[str], None]) -> tuple[list[str], Preset]:
    """Find the measures of a preset in a run, and say which it lacks and what gives them.

    Raises:
        UsageError: no preset of that name.
    """
    if name not in PRESETS:
        raise registry.unknown_name("preset", name, sorted(PRESETS))
    known = {measure.name: measure for measure in report.measures}
    found = []
    for wanted in PRESETS[name].columns:
        exact = next((one for one in wanted.measures if one in known), "")
        near = next((one for one in wanted.near if one in known), "")
        how = "'vceval listen export RUN' asks for it" if wanted.listeners else f"--metrics {wanted.metrics} gives it"
        if not exact:
            instead = f"{near} stands in its place" if near else "left out"
            say(f"preset {name} prints {wanted.measures[0]}, which this run lacks: {instead}; {how}")
        found += [one for one in (exact or near,) if one]
    return found, PRESETS[name]


def usual_measures(report: Report, most: int) -> list[str]:
    """Choose measures where nobody named any: those that decide the report's questions, then other primary ones."""
    valued = {key[1] for key, cell in report.cells.items() if cell.value is not None}
    measures = [one for one in report.primary_measures if one.name in valued]
    decide: dict[str, MeasureView] = {}
    for measure in measures:
        if measure.question:
            decide.setdefault(measure.question, measure)
    others = [one for one in measures if one not in decide.values() and not one.ranked_by and one.name != FLAG_MEASURE]
    chosen = [*decide.values(), *others][:most]
    return [measure.name for measure in measures if measure in chosen]


def paper_table(found: Material, choice: Choice, say: Callable[[str], None]) -> Table:
    """Build a table of chosen measures and systems; columns without a figure are left out, and ``say`` is told why.

    Systems are ranked among those that the table shows.

    Raises:
        UsageError: a measure or system that the run does not have, or nothing is left to show.
    """
    report, names = efficiency_tables.columns(found.report, list(dict.fromkeys(choice.measures)))
    measures = [_measure(report, name) for name in names]
    if choice.systems:
        systems = [named_system(report, name) for name in dict.fromkeys(choice.systems)]
        report = replace(report, systems=systems)
    parts = _parts(report, choice.rows, say)
    if len(report.converters) < len(found.report.converters):
        report = _ranked_anew(found, report, measures, parts)
    table = without_empty(measure_table(report, "results", "Results", measures, parts))
    if table is None:
        raise UsageError(f"no system has a value of {listed(choice.measures)}: {_reason(report, measures[0])}")
    for measure in measures:
        if measure not in [column.measure for column in table.columns]:
            say(f"{measure.name} is left out: {_reason(report, measure)}")
    return _counted(_by_part(replace(table, words=choice.caption)))


def _parts(report: Report, rows: Rows, say: Callable[[str], None]) -> list[Part]:
    if rows == "system":
        return [WHOLE]
    names = report.directions if rows == "direction" else report.datasets
    if len(names) < 2:
        say(f"rows are systems: all pairs are of one {rows}" if names else f"rows are systems: no {rows} is known")
        return [WHOLE]
    mine = {system.name for system in report.systems}
    parts = [Part(name, direction=name) if rows == "direction" else Part(name, name) for name in names]
    known = {key[2:] for key in report.cells if key[0] in mine}
    return [part for part in parts if (part.dataset, part.direction) in known]


def _ranked_anew(found: Material, report: Report, measures: Sequence[MeasureView], parts: Sequence[Part]) -> Report:
    """Rank the systems that are left among themselves; what no score of pairs decides, as listeners do, stays."""
    import numpy as np

    scores = report.scores
    scored = [
        m
        for m in measures
        if m.name in scores.measures and np.isfinite(scores.numerators[:, :, scores.measures[m.name]]).any()
    ]
    by = {measure.ranked_by for measure in scored} - {measure.name for measure in scored}
    rankers = [measure for measure in report.measures if measure.name in by]
    groups = found.outcomes.groups()
    chosen = {key: groups[key] for part in parts if (key := (part.dataset, part.direction)) in groups}
    natural = next((one.name for one in found.report.controls if one.converter == "source"), "")
    names = [system.name for system in report.converters]
    entries = ranked(found.outcomes, names, [*scored, *rankers], chosen, natural)
    return replace(report, rankings={**report.rankings, **rankings_of(*entries)})


def _by_part(table: Table) -> Table:
    """Where each part has one system alone, name the rows by the parts, and the system in the caption."""
    systems = {row.system.name: row.system for row in table.rows}
    if len(systems) > 1 or not any(block.shown for block in table.blocks):
        return table
    [system] = systems.values()
    rows = [replace(row, system=replace(system, title=row.part.name)) for row in table.rows]
    block = replace(table.blocks[0], heading="", rows=rows, shown=False)
    return replace(table, blocks=[block], title=f"Results of {system.title}")


def _counted(table: Table) -> Table:
    """Let figures state their count where not all pairs of their row are scored, and rows theirs where these differ."""
    differ = len({row.given for row in table.rows}) > 1

    def counted(row: Row) -> Row:
        entries = []
        for entry in row.entries:
            cell = entry.cell if entry else None
            if entry is not None and cell is not None:
                whole = cell.n == row.given or not (cell.n or cell.failed)
                count = f"{cell.n}/{cell.given}" if cell.given else ""
                entry = replace(entry, usual=whole, brief="" if whole else count, count=count)
            entries.append(entry)
        return replace(row, entries=entries, pairs=f"{row.given:,}" if differ else "")

    blocks = [replace(block, rows=[counted(row) for row in block.rows]) for block in table.blocks]
    return replace(table, blocks=blocks, usual="")


def named_system(report: Report, name: str) -> SystemView:
    """Find a system of a run by name or title.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    for system in report.systems:
        if name in (system.name, system.title):
            return system
    raise registry.unknown_name("system", name, [system.name for system in report.systems])


def _measure(report: Report, name: str) -> MeasureView:
    known = {measure.name: measure for measure in report.measures}
    if name in known:
        return known[name]
    if metrics := [one for one in _metrics_with(name) if one not in report.metrics]:
        raise UsageError(f"this run has no measure {name!r}: score it with --metrics {metrics[0]}")
    raise registry.unknown_name("measure", name, [*known, *efficiency_tables.COLUMNS])


def _metrics_with(measure: str) -> list[str]:
    """Registered metrics and recipes that yield a measure of a name."""
    found = []
    for name in registry.names("metric"):
        try:
            kinds = [(name, registry.load("metric", name))]
            kinds += [
                (f"{name}:{recipe}", registry.load("metric", f"{name}:{recipe}")) for recipe in kinds[0][1].recipes
            ]
        except UsageError:  # a plug-in that can't be imported yields nothing
            continue
        found += [key for key, kind in kinds if any(one.name == measure for one in kind.measures)]
    return found


def _reason(report: Report, measure: MeasureView) -> str:
    """Say why no system has a value of a measure."""
    if measure.metric == efficiency_tables.METRIC:
        return "nothing was converted in this run, or over no parts of the pairs"
    shown = {system.name for system in report.systems}
    needs = Counter(row["need"] for row in report.skips if row["measure"] == measure.name and row["system"] in shown)
    told = [f"{count:,} pairs lack {NEEDS.get(need, need)}" for need, count in needs.most_common(1)]
    failed = sum(
        row["system"] in shown and (row["stage"] != "score" or row["metric"] == measure.metric)
        for row in report.failures
    )
    told += [f"{failed:,} failed"] if failed else []
    return ", ".join(told) or f"the run has no figure of it over {ALL} pairs"
