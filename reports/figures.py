"""Figures: per measure one dot and interval per system, as .png and .pdf."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.reports.data import Cell, MeasureView, Report, SystemView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drawing", "draw"]

#: Okabe and Ito's palette, which stays apart in all common kinds of colour blindness.
SYSTEM_COLOUR, BEST_COLOUR, CONTROL_COLOUR = "#0072B2", "#D55E00", "#6b6b6b"
MAX_NAME = 34


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure on disk: file name without ending, and what it shows in words."""

    stem: str
    title: str
    alternative: str
    note: str = ""
    width: int = 1200
    height: int = 600
    wide: bool = False


def draw(report: Report, folder: Path) -> list[Drawing]:
    """Draw every measure that has values to compare, those of two systems or more, into ``folder``.

    Returns:
        The figures drawn, in the order of the measures.
    """
    drawings = []
    for index, measure in enumerate(report.primary_measures):
        rows = [
            (system, cell)
            for system in [*report.converters, *report.controls]
            if (cell := report.cell(system.name, measure.name)) is not None and cell.value is not None
        ]
        if len(rows) > 1:
            stem = f"{index + 1:02d}_{re.sub(r'[^a-z0-9]+', '_', measure.name.lower()).strip('_') or 'measure'}"
            folder.mkdir(parents=True, exist_ok=True)
            _figure(measure, rows, folder / stem)
            drawings.append(Drawing(stem, measure.label, _describe(measure, rows)))
    return drawings


def _describe(measure: MeasureView, rows: Sequence[tuple[SystemView, Cell]]) -> str:
    parts = []
    for system, cell in rows:
        interval = f", {measure.text(cell.low)} to {measure.text(cell.high)}" if cell.low is not None else ""
        parts.append(f"{system.title} {measure.text(cell.value)}{interval}")
    unit = f" in {measure.unit}" if measure.unit else ""
    return f"{measure.label}{unit} with 95 % intervals: {'; '.join(parts)}."


def _figure(measure: MeasureView, rows: Sequence[tuple[SystemView, Cell]], stem: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 9, "font.family": "DejaVu Sans", "axes.linewidth": 0.6, "pdf.fonttype": 42,
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "xtick.major.width": 0.6, "ytick.major.size": 0,
    }  # fmt: skip
    with mpl.rc_context(style), warnings.catch_warnings():
        # A system's name may hold characters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing")
        figure = Figure(figsize=(6.0, 0.9 + 0.27 * len(rows)), layout="constrained")
        _plot(figure.add_subplot(), measure, rows)
        figure.savefig(stem.with_suffix(".png"), dpi=200, metadata={"Software": None})
        figure.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": None})


def _plot(axes: Axes, measure: MeasureView, rows: Sequence[tuple[SystemView, Cell]]) -> None:
    ranked = [cell.value for system, cell in rows if not system.control and cell.value is not None]
    top = None
    if len(ranked) > 1 and measure.better in ("lower", "higher"):
        top = measure.text(min(ranked) if measure.better == "lower" else max(ranked))
    for place, (system, cell) in enumerate(rows):
        value = (cell.value or 0.0) * measure.scale
        best = not system.control and measure.text(cell.value) == top
        colour = CONTROL_COLOUR if system.control else BEST_COLOUR if best else SYSTEM_COLOUR
        if cell.low is not None and cell.high is not None:
            low, high = cell.low * measure.scale, cell.high * measure.scale
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
        shape = (
            {"marker": "D", "markersize": 4.5, "markerfacecolor": "white"}
            if system.control
            else {"marker": "o", "markersize": 5.5}
        )
        axes.plot([value], [place], color=colour, linestyle="none", zorder=3, **shape)  # type: ignore[arg-type]
    first_control = next((place for place, (system, _) in enumerate(rows) if system.control), 0)
    if first_control:
        axes.axhline(first_control - 0.5, color="#c8c8c8", linewidth=0.6, zorder=1)
    axes.set_yticks(range(len(rows)), [_name(system.title) for system, _ in rows])
    for text, (system, _) in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_parse_math(False)
        if system.control:
            text.set_color(CONTROL_COLOUR)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.06)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    hint = {"lower": "  (lower is better)", "higher": "  (higher is better)"}.get(measure.better, "")
    unit = f" [{measure.unit}]" if measure.unit else ""
    axes.set_xlabel(f"{measure.label}{unit}{hint}").set_parse_math(False)


def _name(title: str) -> str:
    """Shorten a name to one line without control characters."""
    text = "".join(c for c in " ".join(title.split()) if not unicodedata.category(c).startswith("C"))
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
