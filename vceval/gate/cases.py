"""What the gate decides: each rule on each system and direction, with the sums of its pairs, and what it can see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vceval.gate.decide import Family, Worsening, allowance, measure_worsening
from vceval.gate.evidence import Evidence, MeasureInfo, PairInfo
from vceval.gate.preconditions import systems_of
from vceval.gate.rules import MeasureRule
from vceval.gate.sight import Sight
from vceval.statistics.components import Design

__all__ = ["Case", "cases_of", "design_of", "family_of", "seen"]


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one system and direction, with the sums it decides on, pair by pair: (numerator, denominator).

    capped: (old, new) pairs whose value was cut.
    """

    rule: MeasureRule
    measure: MeasureInfo
    system: str
    direction: str
    pairs: Sequence[PairInfo]
    old: Sequence[tuple[float, float]]
    new: Sequence[tuple[float, float]]
    capped: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """System, measure and direction in words."""
        return f"{self.system}: {self.rule.measure}" + ("" if self.direction == "all" else f", {self.direction}")

    @property
    def design(self) -> Design:
        """The pattern of its speakers and texts."""
        return design_of(self.pairs)

    @property
    def allowed(self) -> float:
        """The allowed worsening, in stored units."""
        if not self.rule.relative:
            return self.rule.worsening
        return allowance(self.rule, sum(n for n, _ in self.old) / sum(d for _, d in self.old))

    def measured(self) -> Worsening:
        """By how much more than allowed it became worse."""
        new, old = (tuple(zip(*sums, strict=True)) for sums in (self.new, self.old))
        return measure_worsening(
            (new[0], new[1]), (old[0], old[1]), self.design,
            sign=self.measure.sign, allowed=self.rule.worsening, relative=self.rule.relative,
        )  # fmt: skip


def cases_of(rule: MeasureRule, run: Evidence, baseline: Evidence) -> Iterator[Case]:
    """Put together what a rule decides; pairs are those with a value in both."""
    measure = baseline.measures[rule.measure]
    for system in systems_of(rule, baseline):
        before = baseline.sums.get(system, {}).get(rule.measure, {})
        after = run.sums.get(system, {}).get(rule.measure, {})
        for direction in rule.directions:
            keys = [
                key
                for key, pair in baseline.pairs.items()
                if key in before and key in after and direction in ("all", pair.direction)
            ]
            old, cut_old = _capped([before[key] for key in keys], rule.cap)
            new, cut_new = _capped([after[key] for key in keys], rule.cap)
            # A run knows the texts of its pairs, an older baseline does not
            pairs = [run.pairs[key] for key in keys]
            if before and not (sum(d for _, d in old) > 0 and sum(d for _, d in new) > 0):
                pairs, old, new = [], [], []  # nothing left to compare: undecided, with the count
            if before:
                yield Case(rule, measure, system, direction, pairs, old, new, (cut_old, cut_new))


def _capped(sums: Sequence[tuple[float, float]], cap: float | None) -> tuple[list[tuple[float, float]], int]:
    if cap is None:
        return list(sums), 0
    cut = [(min(numerator, cap * denominator), denominator) for numerator, denominator in sums]
    return cut, sum(one != other for one, other in zip(cut, sums, strict=True))


def design_of(pairs: Sequence[PairInfo]) -> Design:
    """The pattern in which the speakers and texts of some pairs meet; the same object for the same pairs."""
    return _design(tuple((pair.target_speaker, pair.source_speaker, pair.text or None) for pair in pairs))


@lru_cache(maxsize=64)
def _design(labels: tuple[tuple[str | None, str | None, str | None], ...]) -> Design:
    targets, sources, texts = zip(*labels, strict=True)
    return Design(targets, sources, texts)


def family_of(cases: Sequence[Case]) -> Family:
    """All rules that have enough pairs to be tested, with their common chance of a false alarm."""
    return Family([case.rule for case in cases if len(case.pairs) >= max(case.rule.minimum_pairs, 2)])


def seen(case: Case, found: Worsening | None, family: Family) -> Sight:
    """What a rule can see; ``found`` None where there is no run yet."""
    differing = None if found is None or found.identical else found
    return Sight.by(case.rule, family.level(case.rule), case.allowed, case.design, differing)
