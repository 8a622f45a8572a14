"""What the gate decides: each rule on each system and direction, with the sums of its pairs, and what it can see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from vceval.gate.decide import Family, Worsening, allowance, measure_worsening
from vceval.gate.evidence import Evidence, PairInfo
from vceval.gate.preconditions import systems_of
from vceval.gate.rules import MeasureRule
from vceval.gate.sight import Sight
from vceval.results.outcomes import Outcomes
from vceval.results.views import MeasureView
from vceval.statistics.components import Design

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Case", "capped", "cases_of", "family_of", "figure", "seen"]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One rule on one system and direction, with the sums it decides on, numerators and denominators: (pairs, 2).

    design: the pattern of speakers and texts. capped: (old, new) pairs whose value was cut.
    """

    rule: MeasureRule
    measure: MeasureView
    system: str
    direction: str
    pairs: Sequence[PairInfo]
    design: Design
    old: NDArray[np.float64]
    new: NDArray[np.float64]
    capped: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """System, measure and direction in words."""
        return f"{self.system}: {self.rule.measure}" + ("" if self.direction == "all" else f", {self.direction}")

    @property
    def allowed(self) -> float:
        """The allowed worsening, in stored units."""
        return allowance(self.rule, figure(self.old)) if self.rule.relative else self.rule.worsening

    def measured(self) -> Worsening:
        """By how much more than allowed it became worse."""
        return measure_worsening(
            (self.new[:, 0], self.new[:, 1]), (self.old[:, 0], self.old[:, 1]), self.design,
            sign=self.measure.sign, allowed=self.rule.worsening, relative=self.rule.relative,
        )  # fmt: skip


def figure(sums: NDArray[np.float64]) -> float:
    """The ratio of summed numerators and denominators, of shape (pairs, 2)."""
    above, below = sums.sum(axis=0).tolist()
    return float(above / below)


def cases_of(rule: MeasureRule, outcomes: Outcomes, run: Evidence, baseline: Evidence) -> Iterator[Case]:
    """Put together what a rule decides; pairs are those with a value in both.

    ``outcomes`` are those of run and baseline, side by side on the pairs of the baseline.
    """
    import numpy as np

    measure = baseline.measures[rule.measure]
    for system in systems_of(rule, baseline):
        new, old = (outcomes.outcome((number, system), measure) for number in (0, 1))
        if not old.scored.any():
            continue
        for direction in rule.directions:
            within = np.array([direction in ("all", pair.direction) for pair in baseline.pairs.values()])
            chosen = within & old.scored & new.scored
            if not (new.denominators[chosen].sum() > 0 and old.denominators[chosen].sum() > 0):
                chosen &= False  # nothing left to compare: undecided, with the count
            before, cut_before = capped(old.sums(chosen), rule.cap)
            after, cut_after = capped(new.sums(chosen), rule.cap)
            pairs = [run.pairs[key] for key in compress(baseline.pairs, chosen)]
            cut = cut_before, cut_after
            yield Case(rule, measure, system, direction, pairs, outcomes.design(chosen), before, after, cut)


def capped(sums: NDArray[np.float64], cap: float | None) -> tuple[NDArray[np.float64], int]:
    """Cut the values of pairs to a cap, and count those that were cut; sums are of shape (..., pairs, 2)."""
    import numpy as np

    if cap is None:
        return sums, 0
    cut = np.stack([np.minimum(sums[..., 0], cap * sums[..., 1]), sums[..., 1]], axis=-1)
    return cut, int((cut != sums).any(axis=-1).sum())


def family_of(cases: Sequence[Case]) -> Family:
    """All rules that have enough pairs to be tested, with their common chance of a false alarm."""
    return Family([case.rule for case in cases if len(case.pairs) >= max(case.rule.minimum_pairs, 2)])


def seen(case: Case, found: Worsening | None, family: Family) -> Sight:
    """What a rule can see; ``found`` None where there is no run yet."""
    differing = None if found is None or found.identical else found
    return Sight.by(case.rule, family.level(case.rule), case.allowed, case.design, differing)
