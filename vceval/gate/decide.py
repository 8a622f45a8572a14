"""The statistics of one rule: how much worse, how sure, and what follows for all rules together.

A worsening is new minus old on the same pairs, turned so that positive is worse. Its standard error and degrees of
freedom come from the variance components of target speakers, source speakers and texts
(:func:`vceval.statistics.inference.paired_estimate`), and give two one-sided p-values: against "no worse than allowed"
(small: ``regress``) and against "worse than allowed" (small: ``pass``).

Source: Schuirmann, "A comparison of the two one-sided tests procedure", Journal of Pharmacokinetics and
Biopharmaceutics 15, 1987 (showing that something is no worse).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Literal

from vceval.gate.rules import MeasureRule
from vceval.statistics.components import Design
from vceval.statistics.holm import holm
from vceval.statistics.inference import Estimate, paired_estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Family", "Outcome", "Worsening", "allowance", "measure_worsening", "one_sided"]

Outcome = Literal["pass", "regress", "undecided", "blind"]

#: A blind rule that nobody accepted must be so many times as sure before it says that a run is worse.
PLAIN = 0.1


@dataclass(frozen=True, slots=True)
class Worsening:
    """A worsening beyond the allowance, with its standard error (NaN for a single pair).

    identical: whether not one pair differs.
    """

    beyond: Estimate
    pairs: int
    identical: bool


def allowance(rule: MeasureRule, old: float) -> float:
    """How much worse than ``old`` a measure may become, in stored units."""
    return rule.worsening * abs(old) if rule.relative else rule.worsening


def measure_worsening(
    new: tuple[ArrayLike, ArrayLike],
    old: tuple[ArrayLike, ArrayLike],
    design: Design,
    *,
    sign: float,
    allowed: float,
    relative: bool = False,
) -> Worsening:
    """Measure by how much more than allowed a measure became worse.

    Args:
        new: numerators and denominators of the new run, each of shape (pairs,).
        old: those of the baseline, for the same pairs.
        design: target speaker, source speaker and text of each pair.
        sign: 1 where lower is better, -1 where higher is.
        allowed: allowed worsening, in stored units or as a share of the old value.
        relative: whether it is a share; old values must then be positive.

    Raises:
        ValueError: lengths differ, a value is not finite, or a denominator sums to zero.
    """
    import numpy as np

    (n1, d1), (n0, d0) = ([np.asarray(part, dtype=np.float64) for part in sums] for sums in (new, old))
    identical = bool((n1 == n0).all() and (d1 == d0).all())
    if relative:  # new - (1 + share) old, so that the noise of the old value counts as well
        n0, allowed = n0 * (1.0 + sign * allowed), 0.0
    found = paired_estimate(n1, d1, n0, d0, design)
    return Worsening(found._replace(value=sign * found.value - allowed), design.items, identical)


def one_sided(found: Worsening) -> tuple[float, float]:
    """P-values against "no worse than allowed" and against "worse than allowed".

    Where every pair shows the same difference there is no noise to compare with: the first is then 2 ** -pairs (a
    sign test) where it is beyond the allowance, else 1, and the second the other way round. NaN for a single pair,
    unless nothing differs.
    """
    if found.identical:
        return 1.0, 0.0
    beyond = found.beyond
    if isnan(beyond.error):
        return nan, nan
    if beyond.error == 0.0:
        certain = 2.0**-found.pairs
        return (certain, 1.0) if beyond.value > 0.0 else (1.0, certain)
    return beyond.p_above(0.0), beyond._replace(value=-beyond.value).p_above(0.0)


@dataclass(frozen=True, slots=True)
class Family:
    """All decisions of one gate, which share one chance of a false alarm.

    That of the least confident rule is the chance for all of them together, and Holm's procedure shares it out by
    what each rule asks for: a rule of confidence 0.99 gets a fifth of what one of 0.95 gets.
    """

    rules: Sequence[MeasureRule]

    @property
    def alarm(self) -> float:
        """Largest chance that any of the rules is ``regress`` where nothing is worse than allowed."""
        return 1.0 - min((rule.confidence for rule in self.rules), default=1.0)

    def corrected(self, p_values: Sequence[float]) -> list[float]:
        """The p-values against "no worse than allowed", one per rule, corrected for all of them."""
        return holm(p_values, [1.0 - rule.confidence for rule in self.rules])

    def level(self, rule: MeasureRule) -> float:
        """The confidence at which one rule is tested first; 1 for one that is not tested."""
        if rule not in self.rules:
            return 1.0
        return 1.0 - self.alarm * (1.0 - rule.confidence) / sum(1.0 - one.confidence for one in self.rules)

    def outcome(
        self, rule: MeasureRule, identical: bool, p_holm: float | None, p_within: float, *, blind: float | None = None
    ) -> Outcome:
        """Decide a rule from its corrected p-value (None where untested) and the one against "worse than allowed".

        blind: for a rule that is blind and not accepted as such, the p-value with the noise that it must reckon with:
        it tells nothing but what is plain.
        """
        if identical:
            return "pass"
        if blind is not None:
            return "regress" if blind <= PLAIN * (1.0 - self.level(rule)) else "blind"
        if p_holm is None:
            return "undecided"
        if p_holm <= self.alarm:
            return "regress"
        return "pass" if p_within <= 1.0 - rule.pass_confidence else "undecided"
