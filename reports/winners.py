"""The answer at the top of a report: who wins on what, by how much, is that significant, on how many pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vceval.results.marks import ALPHA, Comparison, between, comparisons_of
from vceval.results.views import Cell, MeasureView, Report, SystemView

__all__ = ["Lead", "Win", "leads", "wins"]


@dataclass(frozen=True, slots=True)
class Win:
    """The best converters on one measure: several where they print the same figure.

    ``cell`` is that of the first. ``next`` is the best of the others and ``ahead`` the first's lead over it on the
    pairs of both, positive where the first is better; None where they share no pair or the measure has no sum over
    pairs. ``alike`` could not be told apart from the best by a test; ``untested`` were not tested against it.
    """

    measure: MeasureView
    systems: Sequence[SystemView]
    cell: Cell
    next: SystemView | None
    ahead: Comparison | None
    alike: Sequence[SystemView]
    untested: Sequence[SystemView]
    others: int

    @property
    def settled(self) -> bool:
        """Whether every system that is not among the best is significantly worse."""
        return self.others > 0 and not self.alike and not self.untested

    @property
    def clear(self) -> bool:
        """Whether one system alone is best and significantly better than every other."""
        return self.settled and len(self.systems) == 1

    def lead(self) -> str:
        """Print the lead with its sign, as a reader sees differences: ``0.20 dB``; empty where there is none."""
        if self.ahead is None:
            return ""
        unit = {"%": "points"}.get(self.measure.unit, self.measure.unit)
        return f"{self.measure.text(self.ahead.difference)} {unit}".rstrip()

    def lead_interval(self) -> str:
        """Print the 95 % interval of the lead, ``[-0.43, 0.83]``; empty where there is none."""
        if self.ahead is None or self.ahead.low is None or self.ahead.high is None:
            return ""
        return f"[{self.measure.text(self.ahead.low)}, {self.measure.text(self.ahead.high)}]"

    def verdict(self) -> str:
        """Say in a few words whether the lead is significant."""
        if not self.others:
            return "nothing to compare with"
        p = p_text(self.ahead.p_value) if self.ahead is not None else ""
        if self.settled:
            tie = f"{len(self.systems)} tie" if len(self.systems) > 1 else ""
            return "; ".join(part for part in (", ".join(part for part in ("yes", p) if part), tie) if part)
        if len(self.untested) == self.others:
            return "not tested"
        if self.others == 1:
            return f"no, {p}"
        found = [f"not against {len(self.alike)} of {self.others}"] if self.alike else []
        found += [f"{len(self.untested)} not tested"] if self.untested else []
        return "; ".join(found)


@dataclass(frozen=True, slots=True)
class Lead:
    """On how many measures one system is best (ties included), and on how many of them significantly."""

    system: SystemView
    best: int
    clear: int


def p_text(value: float | None) -> str:
    """Print a p-value: ``p = 0.45``, ``p < 0.001``; empty where there is none."""
    if value is None:
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < ALPHA else f"p = {value:.2f}"


def wins(report: Report) -> list[Win]:
    """Find the best converters on each primary measure; none where fewer than two have a value."""
    found = []
    tested = comparisons_of(report.comparisons)
    for measure in report.primary_measures:
        ranked = [
            (cell.value if measure.better == "lower" else -cell.value, system, cell)
            for system in report.converters
            if (cell := report.cell(system.name, measure.name)) is not None and cell.value is not None
        ]
        if len(ranked) < 2 or measure.better not in ("lower", "higher"):
            continue
        ranked.sort(key=lambda entry: entry[0])
        tests = tested.get((measure.name, "all", "all"), ())
        found.append(_win(measure, [(system, cell) for _, system, cell in ranked], tests))
    return found


def _win(measure: MeasureView, ranked: Sequence[tuple[SystemView, Cell]], compared: Sequence[Comparison]) -> Win:
    text = measure.text(ranked[0][1].value)
    best = [system for system, cell in ranked if measure.text(cell.value) == text]
    others = [system for system, _ in ranked[len(best) :]]
    sign = -1 if measure.better == "lower" else 1
    alike, untested = [], []
    ahead: Comparison | None = None
    for system in others:
        one = between(compared, best[0].name, system.name)
        if system is others[0] and one is not None:
            ahead = one if sign > 0 else one.turned()
        if one is None or one.p_value is None:
            untested.append(system)
        elif one.p_value >= ALPHA or sign * one.difference <= 0:
            alike.append(system)
    return Win(measure, best, ranked[0][1], others[0] if others else None, ahead, alike, untested, len(others))


def leads(found: Sequence[Win]) -> list[Lead]:
    """Count wins per system, the most successful first."""
    systems = {system.name: system for win in found for system in win.systems}
    counted = [
        Lead(
            system,
            sum(name in [one.name for one in win.systems] for win in found),
            sum(win.clear and win.systems[0].name == name for win in found),
        )
        for name, system in systems.items()
    ]
    return sorted(counted, key=lambda lead: (-lead.best, -lead.clear, lead.system.title))
