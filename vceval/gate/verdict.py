"""What the gate says: a verdict per rule, system and direction, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vceval.gate.evidence import MeasureInfo

__all__ = ["Figures", "Offender", "Outcome", "Result", "Verdict"]

Outcome = Literal["pass", "regress", "undecided"]


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
        """Rule and direction."""
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
        """Outcome to the number of verdicts."""
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
