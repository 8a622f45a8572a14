"""The answer at the top of a report: who is best on what, by how much, is that significant, on how many pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vceval.results.marks import ALPHA, Comparison, Ranking
from vceval.results.views import Cell, MeasureView, Report, SystemView

__all__ = ["Lead", "Win", "leads", "no_ranking", "wins"]


@dataclass(frozen=True, slots=True)
class Win:
    """The best systems on one measure, as tables mark them; none where nobody is significantly worse than the first.

    ``cell`` is that of the ``first``. ``next`` is the first system that is not among the best, where there are any,
    else the second of the order; ``ahead`` is the first's lead over it on the pairs of the ranking, positive where the
    first is better.
    """

    measure: MeasureView
    systems: Sequence[SystemView]
    first: SystemView
    cell: Cell
    next: SystemView
    ahead: Comparison | None
    ranking: Ranking

    def lead(self) -> str:
        """Print the lead with its sign, as a reader sees differences: ``0.20 dB``; empty where there is none."""
        if self.ahead is None:
            return ""
        unit = {"%": "points"}.get(self.measure.unit, self.measure.unit)
        closer = " closer" if self.measure.best is not None else ""
        return f"{self.measure.text(self.ahead.difference)} {unit}".rstrip() + closer

    def lead_interval(self) -> str:
        """Print the 95 % interval of the lead, ``[-0.43, 0.83]``; empty where there is none."""
        if self.ahead is None or self.ahead.low is None or self.ahead.high is None:
            return ""
        return f"[{self.measure.text(self.ahead.low)}, {self.measure.text(self.ahead.high)}]"

    def verdict(self) -> str:
        """Say in a few words whether the lead is significant."""
        p = p_text(self.ahead.p_value) if self.ahead is not None else ""
        if self.systems:
            return ", ".join(part for part in ("yes", p) if part)
        return ", ".join(part for part in ("no", p or self.ranking.reason) if part)


@dataclass(frozen=True, slots=True)
class Lead:
    """On how many measures one system is among the best, and on how many of them alone."""

    system: SystemView
    best: int
    alone: int


def p_text(value: float | None) -> str:
    """Print a p-value: ``p = 0.45``, ``p < 0.001``; empty where there is none."""
    if value is None:
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < ALPHA else f"p = {value:.2f}"


def wins(report: Report) -> list[Win]:
    """Find the best systems on each primary measure that ranks; none where fewer than two are ranked."""
    systems = {system.name: system for system in report.systems}
    found = []
    for measure in report.primary_measures:
        ranking = report.ranking(measure.name)
        order = list(ranking.order)
        if measure.ranked_by or len(order) < 2 or (cell := report.cell(order[0], measure.name)) is None:
            continue
        following = order[len(ranking.best) if ranking.best else 1]
        ahead = ranking.between(order[0], following)
        if ahead is not None and measure.best is None and measure.better == "higher":
            shown: Comparison | None = ahead
        else:
            shown = ahead and ahead.turned()
        best = [systems[name] for name in order if name in ranking.best]
        found.append(Win(measure, best, systems[order[0]], cell, systems[following], shown, ranking))
    return found


def no_ranking(report: Report) -> str:
    """Say why no system is ranked on any primary measure; empty where there is nothing to rank."""
    if len(report.converters) < 2:
        return ""
    reasons = Counter(reason for m in report.primary_measures if (reason := report.ranking(m.name).reason))
    return reasons.most_common(1)[0][0] if reasons else ""


def leads(found: Sequence[Win]) -> list[Lead]:
    """Count per system on how many measures it is best, the most successful first."""
    systems = {system.name: system for win in found for system in win.systems}
    counted = [
        Lead(
            system,
            sum(name in [one.name for one in win.systems] for win in found),
            sum([one.name for one in win.systems] == [name] for win in found),
        )
        for name, system in systems.items()
    ]
    return sorted(counted, key=lambda lead: (-lead.best, -lead.alone, lead.system.title))
