"""What the gate says: a verdict per rule, system and direction, all of them together, and their figures in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vceval.gate.decide import Outcome
from vceval.gate.sight import TIMES, Sight
from vceval.results.views import MeasureView
from vceval.statistics.planning import POWER, Wanted

__all__ = [
    "WORST_FIRST", "Figures", "Offender", "Result", "Verdict", "amount", "blind_of", "blindness", "catches",
    "described",
]  # fmt: skip

WORST_FIRST: tuple[Outcome, ...] = ("regress", "blind", "undecided", "pass")


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
    targets, sources, texts: speakers, and texts where they repeat; 0 where nothing is known of them.
    capped: (old, new) pairs whose value was cut to the cap. enough: with how many the rule would decide.
    """

    measure: MeasureView
    old: float
    new: float
    worsening: float
    low: float | None
    high: float | None
    allowed: float
    p: float | None
    p_holm: float | None
    pairs: int
    targets: int
    sources: int
    texts: int
    cap: float | None = None
    capped: tuple[int, int] = (0, 0)
    enough: Wanted | None = None


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
    sight: Sight | None = None

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
    def blind(self) -> Sequence[Verdict]:
        """Those for whose rules the gate is blind: not accepted as such, or all of them where not one rule sees."""
        found = {id(sight) for sight in blind_of([one.sight for one in self.verdicts if one.sight])}
        return [verdict for verdict in self.verdicts if id(verdict.sight) in found]

    @property
    def outcome(self) -> Outcome:
        """The worst of all: ``regress`` before ``blind`` before ``undecided`` before ``pass``."""
        found: list[Outcome] = [verdict.outcome for verdict in self.verdicts]
        if self.blind:
            found.append("blind")
        return min(found, key=WORST_FIRST.index, default="pass")

    def counted(self) -> dict[str, int]:
        """Count the verdicts of each outcome."""
        return {name: sum(v.outcome == name for v in self.verdicts) for name in WORST_FIRST}

    def said(self) -> str:
        """The counts in words, and how many rules can't see."""
        words = ", ".join(f"{number} {name}" for name, number in self.counted().items() if number)
        blind = len(self.blind)
        return words + (f"; {blind} {'rule is' if blind == 1 else 'rules are'} blind" if blind else "")

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, for ``--json``."""
        from dataclasses import asdict

        return {
            "schema": 2,
            "outcome": self.outcome,
            "run": self.run,
            "baseline": self.baseline,
            "suite": self.suite,
            "rules": self.rules,
            "counts": self.counted(),
            "blind": len(self.blind),
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
        }


def blind_of(sights: Sequence[Sight]) -> Sequence[Sight]:
    """Those that make a gate blind: not accepted as such, or all of them where not one rule sees."""
    if all(sight.blind for sight in sights):
        return sights
    return [sight for sight in sights if not sight.trusted]


def amount(value: float, measure: MeasureView, sign: str = "") -> str:
    """Write a stored value in the measure's unit, with one digit more than tables have: differences are small."""
    digits = measure.decimals + 1
    return f"{round(value * measure.scale, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def described(figures: Figures, outcome: Outcome, minimum: int, identical: bool) -> str:
    """Say in a few sentences what was measured, how sure it is, and what would help where it is undecided."""
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
    message += f" ({'; '.join(bounds)}); {', '.join(_counted(figures))}"
    if figures.p_holm is not None:
        message += f", p {figures.p_holm:.2g}"
    if figures.cap is not None:
        message += f"; capped {figures.capped[0]} before, {figures.capped[1]} now"
    if identical:
        message += "; not one pair differs"
    single = [side for side, count in (("target", figures.targets), ("source", figures.sources)) if count == 1]
    if single:
        message += f". One {' and one '.join(single)} speaker: says nothing of others"
    if outcome == "undecided":
        message += f". {_help_said(figures, minimum)}"
    return message


def _counted(figures: Figures) -> list[str]:
    """What there is of pairs, speakers and texts, in words."""
    counts = (("target", figures.targets), ("source", figures.sources))
    known = " and ".join(f"{count} {side}" for side, count in counts if count)
    words = [f"{figures.pairs} pairs"]
    if known:
        words.append(f"{known} speaker{'s' if max(figures.targets, figures.sources) > 1 else ''}")
    return words + ([f"{figures.texts} texts"] if figures.texts else [])


def catches(sight: Sight, measure: MeasureView) -> str:
    """The smallest worsening that is caught: one figure, or from noise without to noise with speakers in it."""
    if sight.caught is None:
        return "nothing" if sight.blind else "unknown"
    ends = [amount(end, measure) for end in sight.caught]
    return ends[0] if sight.measured or ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def blindness(verdict: Verdict) -> str:
    """Say what a blind rule can't see, and what to add; nothing where it is not blind."""
    sight = verdict.sight
    if sight is None or not sight.blind or verdict.figures is None:
        return ""
    measure = verdict.figures.measure
    allowed, unit = amount(sight.allowed, measure), f" {measure.unit}" if measure.unit else ""
    seen = f", sees {catches(sight, measure)}{unit}" if sight.caught else ""
    accepted = " (accepted in the rules)" if sight.accepted else ""
    return f"blind{accepted}: allows {allowed}{unit}{seen}; to see {TIMES:.0f} times that, add {sight.add}"


def _help_said(figures: Figures, minimum: int) -> str:
    """Say what keeps a rule undecided, and how many pairs would be enough."""
    if figures.pairs < minimum:
        return f"The rule asks for {minimum} pairs at least."
    if figures.p is None:
        return "All pairs are of one kind: their noise can't be told."
    if figures.enough is None:
        return "No number of pairs would be enough: nothing is allowed, or the change is just what is allowed."
    return f"Too few pairs to tell: {figures.enough.said()} would be enough in {POWER * 10:.0f} of 10 cases."
