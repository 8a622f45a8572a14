"""The figures of a report, in the order in which the page shows them; each as .png and .pdf.

Corpus figures with intervals, distributions over pairs, one measure against another, quality against the cost of
converting, detector scores, calibrations; the map of voices is drawn by :mod:`vceval.reports.figure_speakers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.efficiency_tables import factor
from vceval.reports.figure_speakers import speaker_map
from vceval.reports.figure_style import (
    GROUND,
    INK,
    LINE,
    MARK,
    SERIES,
    SOFT,
    Drawing,
    canvas,
    named,
    plain,
    save,
    system_axis,
    system_colours,
)
from vceval.results.efficiency import Efficiency
from vceval.results.verdicts import ASKED, Verdict, verdicts
from vceval.results.views import Cell, MeasureView, Report, SystemView
from vceval.statistics.components import Design
from vceval.statistics.inference import interval

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw"]

#: Pairs per system up to which every one of them is a dot.
FEW = 60
#: Dots of pairs drawn per system in a scatter plot.
DOTS = 150
#: Systems beyond which a scatter plot numbers them and keeps intervals faint.
MANY = 10
#: Directions by whether source and target have the same gender.
GENDERS: Mapping[str, Sequence[str]] = {"same gender": ("F2F", "M2M"), "cross-gender": ("F2M", "M2F")}
#: Published threshold of Resemblyzer's fake-speech demo, as in ClsVC's Figure 3.
PUBLISHED_THRESHOLD = 0.84
#: Error rates that a DET plot labels.
RATES = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5)
NATURAL = "Natural speech"


def draw(report: Report, folder: Path, find: Callable[[str], Path | None]) -> tuple[list[Drawing], list[str]]:
    """Draw everything that a run has figures for into ``folder``.

    ``find`` gives the file of a recording that the run names; None where it is not there.

    Returns:
        The figures drawn, and for those that could have been expected but are not there, a sentence each.
    """
    voices, reason = speaker_map(report, folder, find)
    found = [
        _differences(report, folder),
        _overview(report, folder),
        *_distributions(report, folder),
        _against(report, "mcd", "sv_cosine", folder),
        _against(report, "wer", "sv_cosine", folder),
        _quality_against_time(report, folder),
        _fake_scores(report, folder),
        _source_or_target(report, folder),
        voices,
        *_calibration_curves(report, folder),
    ]
    return [drawing for drawing in found if drawing is not None], [reason] if reason else []


def _measure_named(report: Report, name: str) -> MeasureView | None:
    """Find a measure by its name before any colon, so that other recipes of it count: the first one."""
    return next((measure for measure in report.measures if measure.name.split(":")[0] == name), None)


def _axis_title(measure: MeasureView) -> str:
    return f"{measure.title}, {measure.hint}" if measure.hint else measure.title


def _stem(name: str) -> str:
    """Make a name part of a file name: other characters than letters and digits become underscores."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


def _dots(axes: Axes, values: NDArray[np.float64], place: float, **style: Any) -> None:
    """Draw single values on one line, moved up and down evenly so that they do not hide each other."""
    import numpy as np

    axes.scatter(values, place + (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.5, linewidths=0, **style)


def _overview(report: Report, folder: Path) -> Drawing | None:
    """Draw all primary measures side by side: a dot and an interval per system; None where nothing is compared."""
    systems = [*report.converters, *report.controls]
    shown = [
        measure
        for measure in report.primary_measures
        if sum(_value(report, system, measure) is not None for system in systems) > 1
    ]
    if not shown:
        return None
    columns = min(3, len(shown))
    marked = any(report.ranking(measure.name).best for measure in shown)
    rows = -(-len(shown) // columns)

    def draw() -> Figure:
        figure = canvas(10.0, rows * (0.75 + 0.22 * len(systems)))
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place < len(shown):
                _forest(report, axes, shown[place], systems, labels=place % columns == 0)
            else:
                axes.set_visible(False)
        return figure

    width, height = save(folder, "overview", draw)
    words = " ".join(_describe(report, measure, systems) for measure in shown)
    filled = " Filled: best systems, as in the tables." if marked else ""
    note = f"Dots are corpus figures, lines 95 % intervals.{filled} Diamonds: controls."
    return Drawing("overview", "All measures.", words, note, width, height, wide=True)


def _differences(report: Report, folder: Path) -> Drawing | None:
    """Draw how far every system is from the first, for each question that was answered; None where none was."""
    shown = [one for one in verdicts(report) if not one.lacking]
    if not shown:
        return None
    rows = max(len(one.ranking.order) for one in shown)

    def draw() -> Figure:
        figure = canvas(10.0 if len(shown) > 1 else 6.0, 1.1 + 0.24 * rows)
        for axes, one in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            if one.measure is not None:
                _from_the_first(report, axes, one, one.measure)
        return figure

    width, height = save(folder, "differences", draw)
    words = " ".join(_told(one, one.measure) for one in shown if one.measure)
    note = (
        "Paired differences from the first system on the same pairs, with 95 % intervals of each comparison alone. "
        "Better is to the right. Filled: best systems, as in the tables (corrected for the number of comparisons)."
    )
    return Drawing("differences", "Who is ahead?", words, note, width, height, wide=len(shown) > 1)


def _from_the_first(report: Report, axes: Axes, verdict: Verdict, measure: MeasureView) -> None:
    colours, titles = system_colours(report), {system.name: system for system in report.systems}
    systems = [titles[name] for name, _ in verdict.differences]
    for place, (name, one) in enumerate(verdict.differences):
        colour, filled = colours[name], name in verdict.ranking.best
        if one is not None and one.low is not None and one.high is not None:
            ends = [one.low * measure.scale, one.high * measure.scale]
            axes.plot(ends, [place, place], color=colour, linewidth=1.6, zorder=2)
        at = one.difference * measure.scale if one else 0.0
        axes.plot([at], [place], color=colour, linestyle="none", zorder=3, marker="o", markersize=5.2,
                  markerfacecolor=colour if filled else GROUND)  # fmt: skip
    axes.axvline(0.0, color=SOFT, linewidth=0.8, zorder=1)
    system_axis(axes, systems)
    axes.margins(x=0.06)
    if measure.better == "lower" or measure.best is not None:
        axes.invert_xaxis()
    axes.set_title(ASKED[verdict.question])
    axes.set_xlabel(f"{measure.label}, difference{f' in {verdict.unit}' if verdict.unit else ''}; better →")
    axes.xaxis.label.set_parse_math(False)


def _told(verdict: Verdict, measure: MeasureView) -> str:
    """A verdict in words, and the differences that are drawn."""
    found = [
        f"{verdict.titles[name]} {measure.signed(one.difference)}"
        + (f", {measure.text(one.low)} to {measure.text(one.high)}" if one.low is not None else "")
        for name, one in verdict.differences
        if one is not None
    ]
    first = verdict.titles[verdict.ranking.order[0]]
    return f"{ASKED[verdict.question]} {verdict.sentence} From {first}, in {measure.label}: {'; '.join(found)}."


def _value(report: Report, system: SystemView, measure: MeasureView) -> Cell | None:
    cell = report.cell(system.name, measure.name)
    return cell if cell is not None and cell.value is not None else None


def _describe(report: Report, measure: MeasureView, systems: Sequence[SystemView]) -> str:
    parts = []
    for system in systems:
        if (cell := _value(report, system, measure)) is not None:
            interval = f", {measure.text(cell.low)} to {measure.text(cell.high)}" if cell.low is not None else ""
            parts.append(f"{system.title} {measure.text(cell.value)}{interval}")
    unit = f" in {measure.unit}" if measure.unit else ""
    return f"{measure.labelled}{unit} with 95 % intervals: {'; '.join(parts)}."


def _forest(report: Report, axes: Axes, measure: MeasureView, systems: Sequence[SystemView], *, labels: bool) -> None:
    colours = system_colours(report)
    cells = [(place, system, _value(report, system, measure)) for place, system in enumerate(systems)]
    best = report.ranking(measure.name).best
    for place, system, cell in cells:
        if cell is None:
            continue
        colour = colours[system.name]
        if cell.low is not None and cell.high is not None:
            ends = [cell.low * measure.scale, cell.high * measure.scale]
            axes.plot(ends, [place, place], color=colour, linewidth=1.6, zorder=2)
        kind: dict[str, Any] = {"marker": "D" if system.control else "o", "markersize": 4.2 if system.control else 5.2}
        if system.name not in best:
            kind["markerfacecolor"] = GROUND
        axes.plot([(cell.value or 0.0) * measure.scale], [place], color=colour, linestyle="none", zorder=3, **kind)
    system_axis(axes, systems, labels=labels)
    axes.margins(x=0.06)
    axes.set_title(measure.heading).set_parse_math(False)


def _distributions(report: Report, folder: Path) -> list[Drawing]:
    """Draw how a measure spreads over pairs, per system and direction, for measures that lie between yes and no."""
    import numpy as np

    drawings = []
    for measure in report.primary_measures:
        column = report.scores.values[:, :, report.scores.measures[measure.name]]
        known = column[~np.isnan(column)]
        if measure.reduction == "ratio" and len(known) > 1 and len(np.unique(known[:10_000])) > 5:
            drawings.append(_distribution(report, measure, folder, f"distribution_{_stem(measure.name.lower())}"))
    return drawings


def _distribution(report: Report, measure: MeasureView, folder: Path, stem: str) -> Drawing:
    import numpy as np

    known = [s for s in [*report.converters, *report.controls] if _value(report, s, measure) is not None]
    ways = np.array([row["direction"] for row in report.pairs])
    directions = list(report.directions) or [""]

    def draw() -> Figure:
        colours = system_colours(report)
        width = 10.0 if len(directions) > 2 else 6.0
        figure = canvas(width, 0.95 + 0.24 * len(known))
        grid = figure.subplots(1, len(directions), sharex=True, squeeze=False)[0]
        for number, (axes, direction) in enumerate(zip(grid, directions, strict=True)):
            for place, system in enumerate(known):
                values = report.scores.of(system.name, measure.name)[(ways == direction) | (direction == "")]
                _spread(axes, values[~np.isnan(values)] * measure.scale, place, colours[system.name])
            system_axis(axes, known, labels=number == 0)
            axes.set_title(direction)
        figure.supxlabel(_axis_title(measure), fontsize=8.5).set_parse_math(False)
        return figure

    width, height = save(folder, stem, draw)
    parts = []
    for system in known:
        values = report.scores.of(system.name, measure.name)
        scored = values[~np.isnan(values)]  # none where every conversion failed, and counts as the worst
        middle = f"median {measure.text(float(np.median(scored)))}, " if len(scored) else ""
        parts.append(f"{system.title} {middle}n {len(scored)}")
    words = f"{measure.labelled} over pairs: {'; '.join(parts)}."
    note = "Per system and direction: median, middle half, 5 % to 95 %; dots are single pairs where they are few."
    return Drawing(stem, f"{measure.labelled} by direction.", words, note, width, height, wide=len(directions) > 2)


def _spread(axes: Axes, values: NDArray[np.float64], place: float, colour: str) -> None:
    """Draw quantiles of some values on one line; single values where there are few."""
    import numpy as np

    if not len(values):
        return
    if len(values) <= FEW:
        _dots(axes, values, place, s=8, color=colour, alpha=0.45 if len(values) > 3 else 0.9, zorder=2)
    if len(values) > 3:
        ends = np.quantile(values, [0.05, 0.25, 0.75, 0.95])
        axes.plot(ends[[0, 3]], [place, place], color=colour, linewidth=0.9, zorder=3)
        axes.plot(ends[[1, 2]], [place, place], color=colour, linewidth=4.0, zorder=3)
        axes.plot(
            [np.median(values)], [place], marker="o", markersize=4.5, markerfacecolor=GROUND,
            markeredgecolor=colour, linestyle="none", zorder=4,
        )  # fmt: skip


def _against(report: Report, first: str, second: str, folder: Path) -> Drawing | None:
    """Draw one measure against another: systems with both intervals, pairs as faint dots; None where one is missing."""
    x, y = _measure_named(report, first), _measure_named(report, second)
    if x is None or y is None:
        return None
    points = [
        (system, across, up)
        for system in report.systems
        if (across := _value(report, system, x)) is not None and (up := _value(report, system, y)) is not None
    ]
    if sum(not system.control for system, _, _ in points) < 2:
        return None
    stem = f"{first}_against_{second}"

    many = len(points) > MANY

    def draw() -> Figure:
        figure = canvas(10.0 if many else 6.0, 4.6 if many else 4.2)
        axes = figure.add_subplot()
        colours = system_colours(report)
        for number, (system, across, up) in enumerate(points, 1):
            label = f"{number}  {named(system.title, 28)}" if many else named(system.title, 28)
            _cross(axes, report, (x, y), system, (across, up), colours[system.name], label, faint=many)
            if many:
                at = [(cell.value or 0.0) * measure.scale for measure, cell in ((x, across), (y, up))]
                axes.annotate(str(number), at, (4, 3), textcoords="offset points", fontsize=7.5, zorder=5)  # type: ignore[arg-type]
        axes.grid()
        for measure, write in ((x, axes.set_xlabel), (y, axes.set_ylabel)):
            write(_axis_title(measure)).set_parse_math(False)
        axes.margins(0.09)
        if many:
            side: dict[str, Any] = {"markerscale": 0.0, "handlelength": 0.0, "handletextpad": 0.0}
            legend = figure.legend(loc="outside right upper", ncols=1 + len(points) // 25, **side)
        else:
            legend = axes.legend(loc="best", handletextpad=0.3)
        plain(legend.get_texts())
        return figure

    width, height = save(folder, stem, draw)
    words = "; ".join(
        f"{system.title}: {x.label} {x.text(across.value)}, {y.label} {y.text(up.value)}"
        for system, across, up in points
    )
    pairs = "" if many else ", faint dots single pairs"
    note = f"Crosses are 95 % intervals of corpus figures{pairs}. Diamonds: controls."
    return Drawing(stem, f"{x.label} against {y.label}.", f"{words}.", note, width, height, wide=many)


def _cross(
    axes: Axes, report: Report, measures: tuple[MeasureView, MeasureView], system: SystemView,
    cells: tuple[Cell, Cell], colour: str, label: str, *, faint: bool,
) -> None:  # fmt: skip
    """Draw one system: its figures, their intervals (faint ones where there are many systems), its pairs."""
    import numpy as np

    at = [(cell.value or 0.0) * measure.scale for measure, cell in zip(measures, cells, strict=True)]
    if not system.control and not faint:
        dots = np.stack([report.scores.of(system.name, measure.name) * measure.scale for measure in measures])
        dots = dots[:, ~np.isnan(dots).any(axis=0)]
        few = dots[:, :: max(1, dots.shape[1] // DOTS)]
        axes.scatter(few[0], few[1], s=7, color=colour, alpha=0.35, linewidths=0, zorder=1)
    for cell, measure, vertical in zip(cells, measures, (False, True), strict=True):
        if cell.low is not None and cell.high is not None:
            ends = [cell.low * measure.scale, cell.high * measure.scale]
            line = ([at[0]] * 2, ends) if vertical else (ends, [at[1]] * 2)
            axes.plot(*line, color=colour, linewidth=1.2, alpha=0.25 if faint else 1.0, zorder=2)
    marker = {"marker": "D", "markerfacecolor": GROUND} if system.control else {"marker": "o"}
    axes.plot([at[0]], [at[1]], color=colour, linestyle="none", markersize=5.5, zorder=3, label=label, **marker)  # type: ignore[arg-type]


def _quality_against_time(report: Report, folder: Path) -> Drawing | None:
    """Draw a measure against the real-time factor of systems that converted here; None for fewer than two of them.

    The measure is the one that answers how good it sounds, or else the next of the verdicts that is answered.
    """
    answered = {one.question: one.measure for one in verdicts(report) if one.measure is not None and not one.lacking}
    measure = next((answered[question] for question in ("quality", "voice", "words") if question in answered), None)
    if measure is None:
        return None
    systems = {system.name: system for system in report.converters}
    points = [
        (systems[one.system], one, cell)
        for one in report.efficiency
        if one.system in systems and (cell := _value(report, systems[one.system], measure)) is not None
    ]
    if len({system.name for system, _, _ in points}) < 2:
        return None
    machines = list(dict.fromkeys(one.machine.text for _, one, _ in points))
    many = len(points) > MANY

    def draw() -> Figure:
        figure = canvas(10.0 if many else 6.0, 4.6 if many else 4.2)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        colours = system_colours(report)
        for number, (system, one, cell) in enumerate(points, 1):
            label = named(system.title, 28) + (f" on {_letter(machines, one)}" if len(machines) > 1 else "")
            _costs(axes, measure, one, cell, colours[system.name], f"{number}  {label}" if many else label)
            if many:
                at = (one.rtf.median, (cell.value or 0.0) * measure.scale)
                axes.annotate(str(number), at, (4, 3), textcoords="offset points", fontsize=7.5, zorder=5)
        axes.grid()
        axes.set_xlabel("real-time factor (seconds of converting per second of audio), lower is better")
        axes.set_ylabel(_axis_title(measure)).set_parse_math(False)
        axes.margins(0.09)
        _decimal_ticks(axes)
        if many:
            side: dict[str, Any] = {"markerscale": 0.0, "handlelength": 0.0, "handletextpad": 0.0}
            legend = figure.legend(loc="outside right upper", ncols=1 + len(points) // 25, **side)
        else:
            legend = axes.legend(loc="best", handletextpad=0.3)
        plain(legend.get_texts())
        return figure

    stem = "quality_against_time"
    width, height = save(folder, stem, draw)
    words = "; ".join(
        f"{system.title}: RTF {factor(one.rtf.median)}, {measure.label} {measure.text(cell.value)}"
        for system, one, cell in points
    )
    keys = (f"{_letters(place)}: {text}" for place, text in enumerate(machines))
    where = machines[0] if len(machines) == 1 else "; ".join(keys)
    note = (
        "Across: median over conversions, lines from 5 % to 95 % of them, logarithmic. Up: corpus figures with 95 % "
        f"intervals. Measured on {where}."
    )
    return Drawing(stem, f"{measure.labelled} against time.", f"{words}.", note, width, height, wide=many)


def _decimal_ticks(axes: Axes) -> None:
    """Label a logarithmic axis with decimal numbers: 1, 2 and 5 of every decade, of many decades 1 alone."""
    import numpy as np

    low, high = axes.get_xlim()
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    steps = (1.0,) if last - first > 4 else (1.0, 2.0, 5.0)
    places = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
    shown = [place for place in places if low <= place <= high]
    axes.set_xticks(shown, [f"{place:g}" for place in shown])
    axes.set_xticks([], minor=True)


def _letters(place: int) -> str:
    return chr(ord("A") + place % 26) * (1 + place // 26)


def _letter(machines: Sequence[str], one: Efficiency) -> str:
    return _letters(machines.index(one.machine.text))


def _costs(axes: Axes, measure: MeasureView, one: Efficiency, cell: Cell, colour: str, label: str) -> None:
    """Draw one system: its figure and real-time factor, and how far both reach."""
    at = (cell.value or 0.0) * measure.scale
    axes.plot([one.rtf.low, one.rtf.high], [at] * 2, color=colour, linewidth=1.2, zorder=2)
    if cell.low is not None and cell.high is not None:
        ends = [cell.low * measure.scale, cell.high * measure.scale]
        axes.plot([one.rtf.median] * 2, ends, color=colour, linewidth=1.2, zorder=2)
    axes.plot([one.rtf.median], [at], marker="o", color=colour, linestyle="none", markersize=5.5, zorder=3, label=label)


def _calibration_curves(report: Report, folder: Path) -> list[Drawing]:
    """Draw, for each metric that keeps its error curve, the DET plot and both error rates by threshold."""
    drawings = []
    for metric, datasets in sorted(report.calibration_file.items()):
        curves = {name: facts for name, facts in sorted(datasets.items()) if "curve" in facts}
        if curves:
            drawings.append(_calibration(report, metric, curves, folder))
    return drawings


def _calibration(report: Report, metric: str, curves: Mapping[str, Mapping[str, Any]], folder: Path) -> Drawing:
    stem = f"calibration_{_stem(metric)}"
    shown = dict(list(curves.items())[:8])
    title = report.metrics[metric].title if metric in report.metrics else metric

    def draw() -> Figure:
        figure = canvas(10.0, 4.0)
        left, right = figure.subplots(1, 2)
        for (name, facts), colour in zip(shown.items(), SERIES, strict=False):
            _det(left, name, facts, colour)
            _rates(right, facts, colour)
        _det_axes(left)
        legend = left.legend(loc="upper right", handlelength=1.2)
        plain(legend.get_texts())
        right.set_xlabel("threshold (cosine)")
        right.set_ylabel("error rate (%)")
        right.set_title("False alarms (falling) and misses (rising)")
        right.grid()
        return figure

    width, height = save(folder, stem, draw)
    words = "; ".join(
        f"{name}: EER {100 * facts['eer']:.2f} %, threshold {facts['threshold']:.4f}, "
        f"{facts['target_trials']} + {facts['nontarget_trials']} trials"
        for name, facts in curves.items()
    )
    note = "On natural speech. Left: DET plot, dots at equal errors. Right: the threshold that the scores use, dashed."
    if len(shown) < len(curves):
        note += f" The first {len(shown)} of {len(curves)} datasets."
    return Drawing(stem, f"Calibration: {title.lower()}.", f"{words}.", note, width, height, wide=True)


def _det(axes: Axes, name: str, facts: Mapping[str, Any], colour: str) -> None:
    import numpy as np
    from scipy.special import ndtri

    curve = facts["curve"]
    # A rate of 0 has no place on this axis: half an error instead
    least = [0.5 / max(1, facts[kind]) for kind in ("nontarget_trials", "target_trials")]
    rates = [
        np.clip(np.array(curve[kind]), low, 1 - low)
        for kind, low in zip(("false_alarms", "misses"), least, strict=True)
    ]
    label = f"{named(name, 24)}: EER {100 * facts['eer']:.2f} %, threshold {facts['threshold']:.3f}"
    axes.plot(ndtri(rates[0]), ndtri(rates[1]), color=colour, linewidth=1.4, label=label, zorder=3)
    at = ndtri(max(float(facts["eer"]), max(least)))
    axes.plot([at], [at], marker="o", markersize=5, color=colour, linestyle="none", zorder=4)


def _det_axes(axes: Axes) -> None:
    from scipy.special import ndtri

    ticks = [float(ndtri(rate)) for rate in RATES]
    labels = [f"{100 * rate:g}" for rate in RATES]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    ends = (float(ndtri(0.00008)), float(ndtri(0.62)))
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.plot(ends, ends, color=LINE, linewidth=0.8, zorder=1)
    axes.grid()
    axes.set_xlabel("false alarms (%)")
    axes.set_ylabel("misses (%)")
    axes.set_title("Detection error trade-off")


def _rates(axes: Axes, facts: Mapping[str, Any], colour: str) -> None:
    import numpy as np

    curve = facts["curve"]
    for kind in ("false_alarms", "misses"):
        axes.plot(curve["thresholds"][1:], 100 * np.array(curve[kind][1:]), color=colour, linewidth=1.2, zorder=3)
    axes.axvline(facts["threshold"], color=colour, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)


def _fake_scores(report: Report, folder: Path) -> Drawing | None:
    """Draw detector scores of natural speech and of every system, same and cross gender, with the thresholds.

    Source: the layout of ClsVC's Figure 3.
    """
    import numpy as np

    measure, groups, systems = _by_gender(report, "fake_score")
    if measure is None or not systems:
        return None
    found = report.calibration_file.get(measure.metric, {})
    by_speaker = [values for facts in found.values() for values in facts.get("natural_scores", {}).values()]
    natural = np.array([value for values in by_speaker for value in values])
    thresholds = sorted({round(float(facts["threshold"]), 6) for facts in found.values() if "threshold" in facts})

    def draw() -> Figure:
        colours = system_colours(report)
        rows = len(systems) + bool(len(natural))
        figure = canvas(10.0, 1.15 + 0.26 * rows)
        grid = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
        for number, (axes, (name, pairs)) in enumerate(zip(grid, groups.items(), strict=True)):
            _strip(axes, natural, 0, INK)
            for place, system in enumerate(systems, int(bool(len(natural)))):
                values = report.scores.of(system.name, measure.name)[pairs]
                _strip(axes, values[~np.isnan(values)], place, colours[system.name])
            _fake_axes(axes, systems, bool(len(natural)), thresholds, labels=number == 0)
            axes.set_title(name)
        figure.supxlabel("mean cosine to natural speech of the target", fontsize=8.5)
        return figure

    width, height = save(folder, "fake", draw)
    parts = []
    for system in systems:
        values = report.scores.of(system.name, measure.name)
        values = values[~np.isnan(values)]
        share = 100 * float((values >= PUBLISHED_THRESHOLD).mean())
        parts.append(f"{system.title}: median {np.median(values):.3f}, {share:.0f} % at {PUBLISHED_THRESHOLD} or above")
    note = f"Dashed: the published threshold, {PUBLISHED_THRESHOLD}; dotted: that of equal errors on natural speech"
    note += ", one per dataset. " if len(thresholds) > 1 else ". "
    note += "What scores above a threshold passes as the target's own voice."
    return Drawing("fake", "Fake-speech detection.", f"{'; '.join(parts)}.", note, width, height, wide=True)


def _fake_axes(
    axes: Axes, systems: Sequence[SystemView], natural: bool, thresholds: Sequence[float], *, labels: bool
) -> None:
    axes.axvline(PUBLISHED_THRESHOLD, color=MARK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    for threshold in thresholds:
        axes.axvline(threshold, color=SOFT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=2)
    if not natural:
        system_axis(axes, systems, labels=labels)
        return
    first = SystemView("", NATURAL, False, "", "", None, "", "", 0, 0, 0)
    system_axis(axes, [first, *systems], labels=labels)


def _strip(axes: Axes, values: NDArray[np.float64], place: int, colour: str) -> None:
    """Draw single scores where they are few, the density of many as a filled shape, and the median."""
    import numpy as np

    if not len(values):
        return
    if len(values) <= FEW:
        _dots(axes, values, place, s=7, color=colour, alpha=0.55, zorder=3)
    else:
        counts, edges = np.histogram(values, bins=60)
        height = 0.4 * np.convolve(counts, np.ones(3) / 3, mode="same") / max(counts.max(), 1)
        middles = (edges[1:] + edges[:-1]) / 2
        axes.fill_between(middles, place - height, place + height, color=colour, alpha=0.6, linewidth=0, zorder=3)
    axes.plot([np.median(values)] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=1.6, zorder=4)


def _source_or_target(report: Report, folder: Path) -> Drawing | None:
    """Draw how often a conversion is closer to its target than to its source, for same and cross gender.

    Source: the layout of ClsVC's Figure 4a.
    """
    import numpy as np

    measure, groups, systems = _by_gender(report, "fake_target")
    if measure is None or not systems:
        return None
    names = ("target_speaker", "source_speaker", "transcript")
    speakers = [tuple(row[name] or None for name in names) for row in report.pairs]
    found: dict[tuple[str, str], tuple[float, float | None, float | None, int]] = {}
    for system in systems:
        values = report.scores.of(system.name, measure.name)
        for name, pairs in groups.items():
            scored = np.flatnonzero(pairs & ~np.isnan(values))
            if len(scored):
                sides = zip(*(speakers[place] for place in scored), strict=True)
                ends = interval(values[scored], np.ones(len(scored)), Design(*sides), kind="rate")
                low, high = (ends.low, ends.high) if ends else (None, None)
                found[system.name, name] = (float(values[scored].mean()), low, high, len(scored))

    def draw() -> Figure:
        figure = canvas(6.0, 1.15 + 0.34 * len(systems))
        axes = figure.add_subplot()
        for name, colour, marker, shift in zip(groups, SERIES, "os", (-0.14, 0.14), strict=False):
            for place, system in enumerate(systems):
                if (system.name, name) not in found:
                    continue
                share, low, high, _ = found[system.name, name]
                if low is not None and high is not None:
                    axes.plot([100 * low, 100 * high], [place + shift] * 2, color=colour, linewidth=1.6, zorder=2)
                label = name if system is systems[0] else None
                axes.plot([100 * share], [place + shift], marker=marker, markersize=5, color=colour, linestyle="none",
                          label=label, zorder=3)  # fmt: skip
        axes.axvline(50, color=SOFT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        system_axis(axes, systems)
        axes.set_xlim(-3, 103)
        axes.set_xlabel("conversions closer to the target than to the source (%)")
        figure.legend(loc="outside upper right", ncols=2, handletextpad=0.2)
        return figure

    width, height = save(folder, "source_or_target", draw)
    titles = {system.name: system.title for system in systems}
    words = "; ".join(
        f"{titles[system]}, {name}: {100 * share:.1f} % of {count}"
        for (system, name), (share, _, _, count) in found.items()
    )
    note = "Lines: 95 % intervals, over speakers and texts. Dotted: chance."
    return Drawing("source_or_target", "Source or target?", f"{words}.", note, width, height)


def _by_gender(
    report: Report, name: str
) -> tuple[MeasureView | None, Mapping[str, NDArray[np.bool_]], Sequence[SystemView]]:
    """Find a measure, masks of the pairs whose speakers have the same gender and different ones, and systems scored.

    No system is there where no gender is known.
    """
    import numpy as np

    measure = _measure_named(report, name)
    ways = np.array([row["direction"] for row in report.pairs])
    groups = {group: np.isin(ways, directions) for group, directions in GENDERS.items()}
    groups = {group: pairs for group, pairs in groups.items() if pairs.any()}
    if measure is None or not groups:
        return None, {}, ()
    shown = [*report.converters, *report.controls]
    return measure, groups, [s for s in shown if not np.isnan(report.scores.of(s.name, measure.name)).all()]
