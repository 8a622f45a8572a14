"""Whose answers count: every listener is checked by the same rules, and each one left out has a reason.

The rules look at attention and at natural and bad anchors, never at what is said of the systems compared, apart from
the last: a listener whose order of conditions is the reverse of everybody else's used the scale the wrong way round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple

from vceval.listen.answers import Session
from vceval.listen.key import Key, Rating, ratings
from vceval.listen.kinds import KINDS
from vceval.listen.recordings import HIGH, LOW

__all__ = ["Reason", "Rules", "Screened", "screen"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a listener's answers do not count.

    complete: least share of the form that must be answered.
    checks: least share of attention checks that must be right.
    fast: largest share of answers that may come before the recordings can have been heard to their ends.
    flat: answers of one test from which on all of them being the same is too many.
    agreement: least correlation of a listener's means of conditions with those of all others, over three or more.
    headphones: whether loudspeakers rule a listener out.
    """

    complete: float = 0.8
    checks: float = 0.75
    fast: float = 0.1
    flat: int = 10
    agreement: float = 0.0
    headphones: bool = False

    def signature(self) -> str:
        """Name them as the signature of a metric does."""
        text = (
            f"complete:{self.complete:g},checks:{self.checks:g},fast:{self.fast:g},flat:{self.flat},"
            f"anchors,agree:{self.agreement:g}"
        )
        return f"{text},headphones" if self.headphones else text


class Reason(NamedTuple):
    """Why a listener's answers do not count: the rule, and what broke it."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Screened:
    """One listener with what was looked at, and the reasons for which the answers do not count (none: they do)."""

    session: Session
    expected: int
    checks: int
    right: int
    fast: int
    agreement: float | None
    reasons: tuple[Reason, ...]

    @property
    def kept(self) -> bool:
        """Whether the answers count."""
        return not self.reasons

    def facts(self) -> dict[str, Any]:
        """The listener as ``listening.json`` shows it: without session, participant code and comment."""
        return {
            "form": self.session.form, "finished": bool(self.session.finished), **self.session.about,
            "answers": len(self.session.answers), "expected": self.expected, "checks": self.checks,
            "right": self.right, "fast": self.fast, "agreement": self.agreement, "kept": self.kept,
            "reasons": [{"rule": reason.rule, "text": reason.text} for reason in self.reasons],
        }  # fmt: skip


def screen(sessions: Sequence[Session], expected: Mapping[int, int], key: Key, rules: Rules) -> list[Screened]:
    """Check every listener.

    Args:
        sessions: one per listener; those without an answer are no listeners and left out.
        expected: number of trials of each form.
        key: of the test.
        rules: what is asked of a listener.
    """
    present = [session for session in sessions if session.answers]
    found = [_alone(session, expected[session.form], key, rules) for session in present]
    again = _repeated(present)
    found = [
        replace(one, reasons=(*one.reasons, Reason("answered twice", "the same participant code has a fuller session")))
        if one.session.id in again
        else one
        for one in found
    ]
    # Agreement is with those who passed everything else
    rated = {one.session.id: _means(ratings([one.session], key)) for one in found}
    good = {one.session.id for one in found if one.kept}
    return [_compared(one, rated, good, rules) for one in found]


def _alone(session: Session, expected: int, key: Key, rules: Rules) -> Screened:
    """What can be said of a listener without the others."""
    checks = [answer for answer in session.answers if key.trials[answer.trial].kind == "check"]
    right = sum(answer.answer == key.trials[answer.trial].answer for answer in checks)
    # A tenth is left for clocks and for browsers that end a recording early
    fast = sum(answer.seconds < 0.9 * key.seconds[answer.trial] for answer in session.answers)
    reasons: list[Reason] = []
    if len(session.answers) < rules.complete * expected:
        reasons.append(Reason("incomplete", f"answered {len(session.answers)} of {expected} questions"))
    if checks and right < rules.checks * len(checks):
        reasons.append(Reason("attention checks", f"{right} of {len(checks)} attention checks right"))
    if fast > rules.fast * len(session.answers):
        text = f"{fast} of {len(session.answers)} answers came before the recordings had ended"
        reasons.append(Reason("too fast", text))
    if rules.headphones and session.about.get("device") == "loudspeakers":
        reasons.append(Reason("loudspeakers", "listened with loudspeakers"))
    mine = ratings([session], key)
    for test, kind in KINDS.items():
        given = [rating.value for rating in mine if rating.test == test]
        if kind.scale and len(given) >= rules.flat and len(set(given)) == 1:
            text = f"all {len(given)} answers on {kind.title.lower()} are {given[0]:g}"
            reasons.append(Reason("all answers the same", text))
        if test in HIGH:
            high = [r.value for r in mine if r.test == test and r.conditions[0] in HIGH[test]]
            low = [r.value for r in mine if r.test == test and r.conditions[0] in LOW[test]]
            if high and low and fmean(high) <= fmean(low):
                text = f"natural speech ({fmean(high):.1f}) not above the worst anchor ({fmean(low):.1f})"
                reasons.append(Reason("anchors not told apart", f"{kind.title.lower()}: {text}"))
    return Screened(session, expected, len(checks), right, fast, None, tuple(reasons))


def _repeated(sessions: Sequence[Session]) -> set[str]:
    """Sessions under a participant code that has a fuller one; of equally full ones the first counts."""
    by_code: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        if session.rater:
            by_code[session.rater].append(session)
    return {
        session.id
        for mine in by_code.values()
        for session in sorted(mine, key=lambda one: (-len(one.answers), one.started or "~"))[1:]
    }


def _means(given: Sequence[Rating]) -> dict[tuple[str, str], float]:
    """A listener's mean of each condition of the tests with a scale."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rating in given:
        if KINDS[rating.test].scale:
            values[rating.test, rating.conditions[0]].append(rating.value)
    return {condition: fmean(mine) for condition, mine in values.items()}


def _compared(
    one: Screened, rated: Mapping[str, Mapping[tuple[str, str], float]], good: set[str], rules: Rules
) -> Screened:
    others: dict[tuple[str, str], list[float]] = defaultdict(list)
    for session in good - {one.session.id}:
        for condition, value in rated[session].items():
            others[condition].append(value)
    mine = rated[one.session.id]
    common = [condition for condition in mine if condition in others]
    agreement = _pearson([mine[c] for c in common], [fmean(others[c]) for c in common]) if len(common) > 2 else None
    if agreement is None:
        return one
    reasons = one.reasons
    if agreement < rules.agreement:
        text = f"orders the systems unlike everybody else (correlation {agreement:.2f})"
        reasons = (*reasons, Reason("unlike everybody else", text))
    return replace(one, agreement=agreement, reasons=reasons)


def _pearson(ones: Sequence[float], others: Sequence[float]) -> float | None:
    import numpy as np

    if np.ptp(ones) == 0 or np.ptp(others) == 0:
        return None
    return float(np.corrcoef(ones, others)[0, 1])
