"""The verdicts on top of the page: for each question who is ahead, and every system's difference from the first.

Differences are drawn with better to the right, whichever way the measure goes. Places are percents of a strip's width,
so that strips stretch and their texts do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from vceval.results.marks import Comparison, p_text
from vceval.results.verdicts import ASKED, Verdict, judged, verdicts
from vceval.results.views import MeasureView, Report

__all__ = ["MOST", "Axis", "Panel", "Row", "each_measure", "panels", "ticks"]

#: Systems shown at once; the rest is folded.
MOST = 12
#: Percents of a strip's width left free on either side.
_MARGIN = 5.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Differences in the unit of a measure, from the worst to the best that is shown; it holds zero."""

    worst: float
    best: float

    @classmethod
    def of(cls, verdict: Verdict) -> Axis:
        """One that holds every difference with its interval."""
        measure = verdict.measure
        if measure is None:
            return cls(0.0, 1.0)
        ends = [0.0]
        for _, one in verdict.differences:
            if one is not None:
                ends += [end * measure.scale for end in (one.difference, one.low, one.high) if end is not None]
        low, high = min(ends), max(ends)
        if low == high:
            low, high = low - 1.0, high + 1.0
        return cls(low, high) if measure.better == "higher" and measure.best is None else cls(high, low)

    def place(self, value: float) -> float:
        """Where a difference stands, in percent from the left."""
        share = (value - self.worst) / (self.best - self.worst)
        return round(_MARGIN + share * (100.0 - 2.0 * _MARGIN), 2)


@dataclass(frozen=True, slots=True)
class Row:
    """One ranked system: its difference from the first and where that is drawn; the first has its figure instead."""

    name: str
    title: str
    mark: str
    figure: str
    interval: str
    place: float
    ends: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One question: the verdict, the systems in their order, ticks of the axis, and who is not ranked and why."""

    verdict: Verdict
    rows: Sequence[Row]
    ticks: Sequence[tuple[float, str]]
    zero: float
    unranked: Sequence[tuple[str, str]]

    @property
    def asked(self) -> str:
        """The question in words."""
        return ASKED[self.verdict.question]

    @property
    def shown(self) -> Sequence[Row]:
        """The rows that are not folded."""
        return self.rows[:MOST]

    @property
    def folded(self) -> Sequence[Row]:
        """The rows after them."""
        return self.rows[MOST:]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure in a few words: who is ahead of whom, by how much, and how sure that is."""

    measure: MeasureView
    verdict: Verdict
    figure: str
    ahead: str
    interval: str
    next: str
    sure: str
    count: str


def panels(report: Report) -> list[Panel]:
    """Make the panels of the three questions."""
    return [_panel(one) for one in verdicts(report)]


def _panel(verdict: Verdict) -> Panel:
    measure, titles = verdict.measure, verdict.titles
    unranked = [(titles.get(name, name), reason) for name, reason in verdict.ranking.unranked.items()]
    if measure is None or verdict.lacking:
        return Panel(verdict, (), (), 50.0, unranked if measure else ())
    axis = Axis.of(verdict)
    rows = [_row(verdict, measure, axis, name, one) for name, one in verdict.differences]
    marked = [(axis.place(value), text) for value, text in ticks(*sorted((axis.worst, axis.best)))]
    return Panel(verdict, rows, marked, axis.place(0.0), unranked)


def _row(verdict: Verdict, measure: MeasureView, axis: Axis, name: str, one: Comparison | None) -> Row:
    title, mark = verdict.titles.get(name, name), "best" if name in verdict.ranking.best else ""
    if one is None:
        figure = f"{measure.text(verdict.ranking.values[name])} {measure.unit}".rstrip()
        return Row(name, title, mark, _minus(figure), "", axis.place(0.0), None)
    interval, ends = "", None
    if one.low is not None and one.high is not None:
        interval = f"[{measure.text(one.low)}, {measure.text(one.high)}]"
        ends = (axis.place(one.low * measure.scale), axis.place(one.high * measure.scale))
    place = axis.place(one.difference * measure.scale)
    return Row(name, title, mark, _minus(measure.signed(one.difference)), _minus(interval), place, ends)


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Up to four round numbers between two ends, zero among them, with their texts."""
    least = (high - low) / 3.0
    power = 10.0 ** floor(log10(least))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1.0 - 1e-9))
    digits = max(0, -floor(log10(step) + 1e-9))
    found = [number * step for number in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
    return [(value, _minus(f"{value:+.{digits}f}") if value else "0") for value in found]


def each_measure(report: Report) -> list[Line]:
    """Say for each primary measure that ranks who is ahead."""
    found = []
    for measure in report.primary_measures:
        verdict = judged(report, measure)
        ahead, order = verdict.ahead, verdict.ranking.order
        if ahead is None or (cell := report.cell(order[0], measure.name)) is None:
            continue
        interval = "" if ahead.low is None else f"[{measure.text(ahead.low)}, {measure.text(ahead.high)}]"
        closer = " closer" if measure.best is not None else ""
        sure = ", ".join(filter(None, ("yes" if verdict.winners else "no", p_text(ahead.p_value))))
        found.append(
            Line(
                measure, verdict, f"{measure.text(cell.value)} {measure.unit}".rstrip(),
                verdict.amount(ahead.difference) + closer, _minus(interval), verdict.titles[ahead.second], sure,
                cell.count,
            )
        )  # fmt: skip
    return found


def _minus(text: str) -> str:
    return text.replace("-", "−")
