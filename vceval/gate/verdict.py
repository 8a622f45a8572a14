"""What the gate says: a verdict per rule, system and direction, all of them together, and their figures in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vceval.gate.decide import POWER, Outcome
from vceval.gate.evidence import MeasureInfo

__all__ = ["Figures", "Offender", "Result", "Verdict", "amount", "described"]


@dataclass(frozen=True, slots=True)
class Offender:
    """One pair that became worse: its old and new value where there is one, what happened, and its recordings.

    ``audio`` and ``audio_before`` are paths as text, empty where there is none.
    """

    pair: str
    said: str
    audio: str = ""
    audio_before: str = ""
    worsening: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of a measure's verdict, in stored units.

    worsening: new minus old, positive is worse. low, high: its one-sided bounds, at the rule's confidence and
    pass_confidence. p: of "no worse than allowed"; p_holm: corrected for all rules together.
    clusters, by: what the error rests on. capped: (old, new) pairs whose value was cut to the cap.
    enough: (clusters, pairs) with which the rule would decide.
    """

    measure: MeasureInfo
    old: float
    new: float
    worsening: float
    low: float | None
    high: float | None
    allowed: float
    p: float | None
    p_holm: float | None
    pairs: int
    clusters: int
    by: str
    cap: float | None = None
    capped: tuple[int, int] = (0, 0)
    enough: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision. ``rule`` and ``message`` are short texts; names in them come from users and are not escaped."""

    rule: str
    system: str
    direction: str
    outcome: Outcome
    message: str
    figures: Figures | None = None
    offenders: Sequence[Offender] = ()

    @property
    def title(self) -> str:
        """The rule, and its direction where it is about one: ``mcd, F2M``."""
        return self.rule if self.direction == "all" else f"{self.rule}, {self.direction}"


@dataclass(frozen=True, slots=True)
class Result:
    """All verdicts of one gate, where they come from, and notes that decide nothing."""

    run: str
    baseline: str
    suite: str
    rules: str
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The worst of all: ``regress`` before ``undecided`` before ``pass``."""
        found = {verdict.outcome for verdict in self.verdicts}
        return "regress" if "regress" in found else "undecided" if "undecided" in found else "pass"

    def counted(self) -> dict[str, int]:
        """Count the verdicts of each outcome."""
        return {name: sum(v.outcome == name for v in self.verdicts) for name in ("regress", "undecided", "pass")}

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, for ``--json``."""
        from dataclasses import asdict

        return {
            "schema": 1,
            "outcome": self.outcome,
            "run": self.run,
            "baseline": self.baseline,
            "suite": self.suite,
            "rules": self.rules,
            "counts": self.counted(),
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
        }


def amount(value: float, measure: MeasureInfo, sign: str = "") -> str:
    """Write a stored value in the measure's unit, with one digit more than tables have: differences are small."""
    digits = measure.decimals + 1
    return f"{round(value * measure.scale, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def described(figures: Figures, outcome: Outcome, minimum: int) -> str:
    """Say in a sentence or two what was measured, how sure it is, and what would help where it is undecided."""
    measure = figures.measure
    change = "worse" if figures.worsening > 0 else "better"
    message = (
        f"{measure.label} {amount(figures.old, measure)} → {amount(figures.new, measure)} {measure.unit}".rstrip()
        + (f", {change} by {amount(abs(figures.worsening), measure)}" if figures.worsening else ", no change")
    )
    bounds = [f"allowed {amount(figures.allowed, measure, '+')}"]
    if figures.low is not None and figures.high is not None and figures.low < figures.high:
        ends = [amount(end, measure, "+") for end in (figures.low, figures.high)]
        bounds.insert(0, f"worsening {ends[0]} to {ends[1]}")
    message += f" ({'; '.join(bounds)}); {figures.pairs} pairs"
    if figures.by != "pairs":
        message += f", {figures.clusters} {figures.by}"
    if figures.p_holm is not None:
        message += f", p {figures.p_holm:.2g}"
    if figures.cap is not None:
        message += f"; capped {figures.capped[0]} before, {figures.capped[1]} now"
    return message if outcome != "undecided" else f"{message}. {_help_said(figures, minimum)}"


def _help_said(figures: Figures, minimum: int) -> str:
    """Say what keeps a rule undecided, and how many pairs would be enough."""
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
