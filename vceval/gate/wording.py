"""The gate's figures in words."""

from __future__ import annotations

from vceval.gate.decide import POWER
from vceval.gate.evidence import MeasureInfo
from vceval.gate.verdict import Figures, Outcome

__all__ = ["amount", "enough_said", "said_of"]


def amount(value: float, measure: MeasureInfo, sign: str = "") -> str:
    """Write a stored value in the measure's unit, with one digit more than tables have: differences are small."""
    digits = measure.decimals + 1
    return f"{round(value * measure.scale, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def said_of(figures: Figures, outcome: Outcome, minimum: int) -> str:
    """Say in a sentence or two what was measured, how sure it is, and what would help where it is undecided."""
    measure = figures.measure
    change = "worse" if figures.worsening > 0 else "better"
    said = (
        f"{measure.label} {amount(figures.old, measure)} → {amount(figures.new, measure)} {measure.unit}".rstrip()
        + (f", {change} by {amount(abs(figures.worsening), measure)}" if figures.worsening else ", no change")
    )
    bounds = [f"allowed {amount(figures.allowed, measure, '+')}"]
    if figures.low is not None and figures.high is not None and figures.low < figures.high:
        ends = [amount(end, measure, "+") for end in (figures.low, figures.high)]
        bounds.insert(0, f"worsening {ends[0]} to {ends[1]}")
    said += f" ({'; '.join(bounds)}); {figures.pairs} pairs"
    if figures.by != "pairs":
        said += f", {figures.clusters} {figures.by}"
    if figures.p_holm is not None:
        said += f", p {figures.p_holm:.2g}"
    if figures.cap is not None:
        said += f"; capped {figures.capped[0]} before, {figures.capped[1]} now"
    return said if outcome != "undecided" else f"{said}. {enough_said(figures, minimum)}"


def enough_said(figures: Figures, minimum: int) -> str:
    """Say how many pairs would be enough."""
    if figures.pairs < minimum:
        return f"The rule asks for {minimum} pairs at least."
    if figures.p is None:
        return "All pairs are of one kind: their noise can't be told."
    if figures.enough is None:
        return "No number of pairs would be enough: nothing is allowed, or the change is just what is allowed."
    return f"Too few pairs to tell: {_enough(figures)}"


def _enough(figures: Figures) -> str:
    assert figures.enough is not None
    clusters, pairs = figures.enough
    of = f" of {clusters:,} {figures.by}" if figures.by != "pairs" else ""
    return f"about {pairs:,} pairs{of} would be enough in {POWER * 10:.0f} of 10 cases."
