"""One style for all figures: one font, colours that colour-blind readers tell apart; dark pages turn them."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.results.views import Report, SystemView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = [
    "GROUND", "INK", "LINE", "MARK", "SERIES", "SOFT", "Drawing", "canvas", "named", "plain", "save", "system_axis",
    "system_colours",
]  # fmt: skip

#: Dots per inch of the pictures on the page; they are shown at half the size, sharp on dense screens.
DPI = 200
MAX_NAME = 34


GROUND, INK, SOFT, LINE, MARK = "#ffffff", "#191918", "#6b6b67", "#e3e3df", "#D55E00"
#: Okabe and Ito's palette, its yellow and black replaced by what shows on white and beside grey controls.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a6a00", "#4d4d4d")


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure on disk: file name without ending, what it shows in words, and its size on the page in pixels.

    ``note`` says how to read it; ``wide`` figures get the full width of the page.
    """

    stem: str
    title: str
    alternative: str
    note: str = ""
    width: int = 600
    height: int = 300
    wide: bool = False


def canvas(width: float, height: float) -> Figure:
    """Make an empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(folder: Path, stem: str, draw: Callable[[], Figure]) -> tuple[int, int]:
    """Draw a figure as ``stem.png`` and ``stem.pdf`` and return its size on the page in pixels."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_settings()), warnings.catch_warnings():
        # A system's name may hold characters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing")
        figure = draw()
        figure.savefig(folder / f"{stem}.png", dpi=DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # the layout just found holds for the second format too
        figure.savefig(folder / f"{stem}.pdf", metadata={"CreationDate": None})
        width, height = (round(size * DPI / 2) for size in figure.get_size_inches())
    return width, height


def _settings() -> Any:
    return {
        "font.size": 9, "font.family": "DejaVu Sans", "pdf.fonttype": 42, "axes.titlesize": 9.5,
        "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlelocation": "left", "axes.axisbelow": True,
        "axes.grid": False, "grid.color": LINE, "grid.linewidth": 0.6,
        "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.labelsize": 8, "ytick.labelsize": 8.5,
        "legend.frameon": False, "legend.fontsize": 8, "lines.solid_capstyle": "butt",
        "figure.facecolor": GROUND, "savefig.facecolor": GROUND, "axes.facecolor": GROUND,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT,
        "xtick.color": SOFT, "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    }  # fmt: skip


def named(title: str, longest: int = MAX_NAME) -> str:
    """Shorten a name to one line without control characters."""
    text = "".join(c for c in " ".join(title.split()) if not unicodedata.category(c).startswith("C"))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(texts: Iterable[Text]) -> None:
    """Take texts as they are: a dollar sign in a name is no formula."""
    for text in texts:
        text.set_parse_math(False)


def system_colours(report: Report) -> dict[str, str]:
    """Give every system a colour of its own, controls a soft one; beyond the palette all share its first colour."""
    converters = report.converters
    colours = SERIES if len(converters) <= len(SERIES) else [SERIES[0]] * len(converters)
    found = {system.name: colour for system, colour in zip(converters, colours, strict=False)}
    return found | {system.name: SOFT for system in report.controls}


def system_axis(axes: Axes, systems: Sequence[SystemView], *, labels: bool = True) -> None:
    """Write systems down the left side, the first one on top, with a line above the controls."""
    axes.set_yticks(range(len(systems)), [named(system.title) if labels else "" for system in systems])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    plain(axes.get_yticklabels())
    for text, system in zip(axes.get_yticklabels(), systems, strict=True):
        if system.control:
            text.set_color(SOFT)
    first = next((place for place, system in enumerate(systems) if system.control), 0)
    if first:
        axes.axhline(first - 0.5, color=LINE, linewidth=0.6, zorder=1)
    axes.set_ylim(len(systems) - 0.4, -0.6)
    axes.grid(axis="x")
