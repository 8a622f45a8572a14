"""What a rule can see: the smallest worsening that it catches, whether it is blind, and what would help.

Decided before any outcome, from the pattern of pairs and the noise alone. The noise is that between baseline and run
where they differ; else that of two nights of one model as it was measured on published demos, with none to half of
its variance between speakers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vceval.gate.decide import Worsening
from vceval.gate.rules import MeasureRule
from vceval.statistics.components import Design
from vceval.statistics.planning import POWER, SHARES, Precision, expected, wanted

__all__ = ["NIGHT_NOISE", "TIMES", "Sight", "sees"]

#: A rule that can't catch so many times its allowance is blind.
TIMES = 5.0
#: Standard deviation of a pair's difference between two nights of one model, in stored units: ``noise.json`` of
#: benchmarks/simulations, nearest variants.
NIGHT_NOISE: Mapping[str, float] = {"sv_accept": 0.30, "mcd": 0.134, "wer": 0.21, "bandwidth": 0.114}


def sees(now: Precision, level: float, allowed: float) -> bool:
    """Whether TIMES what is allowed is caught, at that confidence; so always where nothing is allowed."""
    return not allowed or now.power(level, (TIMES - 1.0) * allowed) >= POWER


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule can see on some pairs.

    caught: least and largest of the smallest worsening, in stored units, that is caught in POWER of all nights; the two
    differ where the noise comes from elsewhere. None where nothing is known of the noise, or nothing can be caught.
    measured: whether the noise is that between this baseline and this run.
    blind: whether TIMES the allowance can't be caught even at the least. add: what would help, in words.
    p: where it is blind and there are differences, the p-value of "no worse than allowed" with the noise assumed here.
    """

    caught: tuple[float, float] | None
    allowed: float
    measured: bool
    blind: bool
    accepted: bool
    add: str = ""
    p: float | None = None

    @property
    def trusted(self) -> bool:
        """Whether the rule may decide."""
        return self.accepted or not self.blind

    @classmethod
    def by(cls, rule: MeasureRule, level: float, allowed: float, design: Design, found: Worsening | None) -> Sight:
        """Tell what a rule sees when it is tested at some confidence: ``found`` where baseline and run differ."""
        if design.items < rule.minimum_pairs or design.items < 2:
            lacking = max(rule.minimum_pairs, 2) - design.items
            add = f"{lacking} more pair{'s' if lacking > 1 else ''}, as the rule asks for"
            return cls(None, allowed, False, True, rule.accept_blind, add)
        if found is not None:
            precisions = [Precision.of(found.beyond, design)] * 2
        elif rule.measure in NIGHT_NOISE:
            precisions = [expected(design, share).times(NIGHT_NOISE[rule.measure]) for share in SHARES]
        else:
            return cls(None, allowed, False, False, rule.accept_blind)

        blind = not sees(precisions[0], level, allowed)
        p = precisions[0].p_above(found.beyond.value) if blind and found is not None else None
        least, most = (allowed + precision.caught(level) for precision in precisions)
        add = ""
        if blind:
            more = wanted(precisions[0], lambda there: sees(there, level, allowed))
            add = more.more(precisions[0].levels, design.items) if more else "no number of speakers is enough"
        ends = (min(least, most), max(least, most))
        return cls(ends, allowed, found is not None, blind, rule.accept_blind, add, p)
