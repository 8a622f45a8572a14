"""Figures of scores: corpus figures with intervals, distributions over pairs, one measure against another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.figure_style import GROUND, Drawing, named, plain, save, system_axis, system_colours
from vceval.results.views import Cell, MeasureView, Report, SystemView

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["against", "distributions", "measure_named", "overview"]

#: Pairs per system up to which every one of them is a dot.
FEW = 60
#: Dots of pairs drawn per system in a scatter plot.
DOTS = 150
#: Systems beyond which a scatter plot numbers them and keeps intervals faint.
MANY = 10
HINTS = {"lower": "lower is better", "higher": "higher is better"}


def measure_named(report: Report, name: str) -> MeasureView | None:
    """Find a measure by its name before any colon, so that other recipes of it count: the first one."""
    return next((measure for measure in report.measures if measure.name.split(":")[0] == name), None)


def overview(report: Report, folder: Path) -> Drawing | None:
    """Draw all primary measures side by side: a dot and an interval per system; None where nothing is compared."""
    systems = [*report.converters, *report.controls]
    shown = [
        measure
        for measure in report.primary_measures
        if sum(_value(report, system, measure) is not None for system in systems) > 1
    ]
    if not shown:
        return None
    columns, ranked = min(3, len(shown)), report.same_pairs
    rows = -(-len(shown) // columns)

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0, rows * (0.75 + 0.22 * len(systems))), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place < len(shown):
                _forest(report, axes, shown[place], systems, labels=place % columns == 0, ranked=ranked)
            else:
                axes.set_visible(False)
        return figure

    width, height = save(folder, "overview", draw)
    words = " ".join(_describe(report, measure, systems) for measure in shown)
    note = (
        f"Dots are corpus figures, lines 95 % intervals.{' Filled: best system.' if ranked else ''} Diamonds: controls."
    )
    return Drawing("overview", "All measures.", words, note, width, height, wide=True)


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
    return f"{measure.label}{unit} with 95 % intervals: {'; '.join(parts)}."


def _forest(
    report: Report, axes: Axes, measure: MeasureView, systems: Sequence[SystemView], *, labels: bool, ranked: bool
) -> None:
    colours = system_colours(report)
    cells = [(place, system, _value(report, system, measure)) for place, system in enumerate(systems)]
    values = [cell.value for _, system, cell in cells if cell and cell.value is not None and not system.control]
    top = None
    if ranked and len(values) > 1 and measure.better in HINTS:
        top = measure.text(min(values) if measure.better == "lower" else max(values))
    for place, system, cell in cells:
        if cell is None:
            continue
        best = not system.control and measure.text(cell.value) == top
        colour = colours[system.name]
        if cell.low is not None and cell.high is not None:
            ends = [cell.low * measure.scale, cell.high * measure.scale]
            axes.plot(ends, [place, place], color=colour, linewidth=1.6, zorder=2)
        kind: dict[str, Any] = {"marker": "D" if system.control else "o", "markersize": 4.2 if system.control else 5.2}
        if not best:
            kind["markerfacecolor"] = GROUND
        axes.plot([(cell.value or 0.0) * measure.scale], [place], color=colour, linestyle="none", zorder=3, **kind)
    system_axis(axes, systems, labels=labels)
    axes.margins(x=0.06)
    unit = f" ({measure.unit})" if measure.unit else ""
    arrow = {"lower": " ↓", "higher": " ↑"}.get(measure.better, "")
    axes.set_title(f"{measure.label}{unit}{arrow}").set_parse_math(False)


def distributions(report: Report, folder: Path) -> list[Drawing]:
    """Draw how a measure spreads over pairs, per system and direction, for measures that lie between yes and no."""
    import numpy as np

    drawings = []
    for measure in report.primary_measures:
        column = report.scores.values[:, :, report.scores.measures[measure.name]]
        known = column[~np.isnan(column)]
        if measure.reduction == "ratio" and len(known) > 1 and len(np.unique(known[:10_000])) > 5:
            stem = "distribution_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in measure.name.lower())
            drawings.append(_distribution(report, measure, folder, stem))
    return drawings


def _distribution(report: Report, measure: MeasureView, folder: Path, stem: str) -> Drawing:
    import numpy as np

    known = [s for s in [*report.converters, *report.controls] if _value(report, s, measure) is not None]
    ways = np.array([row["direction"] for row in report.pairs])
    directions = list(report.directions) or [""]

    def draw() -> Figure:
        from matplotlib.figure import Figure

        colours = system_colours(report)
        width = 10.0 if len(directions) > 2 else 6.0
        figure = Figure(figsize=(width, 0.95 + 0.24 * len(known)), layout="constrained")
        grid = figure.subplots(1, len(directions), sharex=True, squeeze=False)[0]
        for number, (axes, direction) in enumerate(zip(grid, directions, strict=True)):
            for place, system in enumerate(known):
                values = report.scores.of(system.name, measure.name)[(ways == direction) | (direction == "")]
                _spread(axes, values[~np.isnan(values)] * measure.scale, place, colours[system.name])
            system_axis(axes, known, labels=number == 0)
            axes.set_title(direction)
        unit = f" ({measure.unit})" if measure.unit else ""
        hint = f", {HINTS[measure.better]}" if measure.better in HINTS else ""
        figure.supxlabel(f"{measure.label}{unit}{hint}", fontsize=8.5).set_parse_math(False)
        return figure

    width, height = save(folder, stem, draw)
    parts = []
    for system in known:
        values = report.scores.of(system.name, measure.name)
        middle = measure.text(float(np.nanmedian(values)))
        parts.append(f"{system.title} median {middle}, n {int((~np.isnan(values)).sum())}")
    words = f"{measure.label} over pairs: {'; '.join(parts)}."
    note = "Per system and direction: median, middle half, 5 % to 95 %; dots are single pairs where they are few."
    return Drawing(stem, f"{measure.label} by direction.", words, note, width, height, wide=len(directions) > 2)


def _spread(axes: Axes, values: NDArray[np.float64], place: float, colour: str) -> None:
    """Draw quantiles of some values on one line; single values where there are few."""
    import numpy as np

    if not len(values):
        return
    if len(values) <= FEW:
        up = (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.5  # spread evenly, the same every time
        alpha = 0.45 if len(values) > 3 else 0.9
        axes.scatter(values, place + up, s=8, color=colour, alpha=alpha, linewidths=0, zorder=2)
    if len(values) > 3:
        ends = np.quantile(values, [0.05, 0.25, 0.75, 0.95])
        axes.plot(ends[[0, 3]], [place, place], color=colour, linewidth=0.9, zorder=3)
        axes.plot(ends[[1, 2]], [place, place], color=colour, linewidth=4.0, zorder=3)
        axes.plot(
            [np.median(values)], [place], marker="o", markersize=4.5, markerfacecolor=GROUND,
            markeredgecolor=colour, linestyle="none", zorder=4,
        )  # fmt: skip


def against(report: Report, first: str, second: str, folder: Path) -> Drawing | None:
    """Draw one measure against another: systems with both intervals, pairs as faint dots; None where one is missing."""
    x, y = measure_named(report, first), measure_named(report, second)
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
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.0 if many else 6.0, 4.6 if many else 4.2), layout="constrained")
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
            unit = f" ({measure.unit})" if measure.unit else ""
            hint = f", {HINTS[measure.better]}" if measure.better in HINTS else ""
            write(f"{measure.label}{unit}{hint}").set_parse_math(False)
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
