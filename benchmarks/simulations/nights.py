"""Simulated nights: a baseline and a new run of one model, noise as measured (``noise.json``), decided by the gate.

Scores of a night are level + noise: levels of targets, sources and pairs, which both runs share, and noise of targets,
sources and pairs, which each run draws for itself. How large the noise is, was measured; how much of its variance lies
between speakers was not, with any certainty: worlds from none to half of it are drawn (:class:`World`). Acceptance is a
similarity above a threshold, so that noise and worsenings of similarity hit the speakers near the threshold most, as
they do in reality; word errors are counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.gate.decide import Family, Worsening, measure_worsening, one_sided
from vceval.gate.rules import MeasureRule
from vceval.gate.sight import sees
from vceval.statistics.components import Design
from vceval.statistics.planning import Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Night", "Pattern", "World", "decide", "judge", "measured_noise", "simulate", "told"]

#: Of the simulated measures, those of which more is better.
HIGHER_IS_BETTER = frozenset({"sv_accept", "bandwidth"})
#: Words of an utterance.
WORDS = 10


@dataclass(frozen=True, slots=True)
class Pattern:
    """A grid: every source speaker to every target speaker, ``each`` times."""

    targets: int = 20
    sources: int = 20
    each: int = 3

    @property
    def pairs(self) -> int:
        """How many pairs that makes."""
        return self.targets * self.sources * self.each

    def design(self) -> Design:
        """Target and source speaker of each pair; every pair has a text of its own."""
        places = [(t, s) for t in range(self.targets) for s in range(self.sources) for _ in range(self.each)]
        return Design([f"t{t}" for t, _ in places], [f"s{s}" for _, s in places])


@dataclass(frozen=True, slots=True)
class World:
    """How much of the variance of a night's noise lies between target speakers, and between source speakers.

    A single speaker has no share: what a night does to him alone can't be told from a change of the model.
    """

    target: float = 0.0
    source: float = 0.0

    def sizes(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Standard deviations by speaker and pair, with the measured variance."""
        whole = sum(measured[name] ** 2 for name in ("target", "source", "pair"))
        shares = {"target": self.target, "source": self.source, "pair": 1.0 - self.target - self.source}
        return {name: (share * whole) ** 0.5 for name, share in shares.items()}

    def among(self, pattern: Pattern) -> World:
        """What a pattern leaves of it: a side of one speaker has no share."""
        return World(self.target * (pattern.targets > 1), self.source * (pattern.sources > 1))


@dataclass(frozen=True, slots=True)
class Night:
    """Many nights of one measure: sums of the new run and of the baseline, each of shape (nights, pairs)."""

    new: tuple[NDArray[np.float64], NDArray[np.float64]]
    old: tuple[NDArray[np.float64], NDArray[np.float64]]


def measured_noise() -> dict[str, Any]:
    """What ``noise.py`` measured: measure to its mean, level and night noise."""
    content = json.loads((Path(__file__).parent / "noise.json").read_text(encoding="utf-8"))
    measures: dict[str, Any] = content["measures"]
    return measures


def simulate(
    measure: str,
    noise: Mapping[str, Any],
    pattern: Pattern,
    nights: int,
    seed: int,
    *,
    worse: float = 0.0,
    kind: str = "closest",
    world: World | None = None,
    evenly: bool = False,
) -> Night:
    """Draw nights of one measure.

    Args:
        measure: ``sv_accept``, ``mcd``, ``wer`` or ``bandwidth``.
        noise: what :func:`measured_noise` says of it.
        pattern: speakers and pairs.
        nights: how many.
        seed: of the draws.
        worse: how much worse the new model truly is: acceptance, dB, word error rate, or kHz.
        kind: which night noise, ``closest`` or ``variants``.
        world: how that noise's variance is shared out; as measured where None.
        evenly: acceptance falls by the same chance for every pair that would be accepted (say, some conversions
            break down), instead of similarity by the same amount.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    level = _effects(generator, noise["level"], pattern, nights)
    sizes = noise[kind] if world is None else world.among(pattern).sizes(noise[kind])
    runs = [level + _effects(generator, sizes, pattern, nights) for _ in range(2)]
    ones = np.ones_like(level)
    if measure == "sv_accept":
        from scipy.special import ndtri

        parts = ("target", "source", "pair")
        wide = np.sqrt(sum(size[name] ** 2 for size in (noise["level"], sizes) for name in parts))
        means = (noise["mean"] - (0.0 if evenly else worse), noise["mean"])
        new, old = ((run > wide * ndtri(1.0 - mean)).astype(np.float64) for run, mean in zip(runs, means, strict=True))
        if evenly:
            new *= generator.random(new.shape) >= worse / noise["mean"]
        return Night((new, ones), (old, ones))
    if measure in ("mcd", "bandwidth"):
        shift = worse if measure == "mcd" else -worse
        return Night((runs[0] + noise["mean"] + shift, ones), (runs[1] + noise["mean"], ones))
    means = (noise["mean"] + worse, noise["mean"])
    errors = [np.round(np.clip(run + mean, 0, None) * WORDS) for run, mean in zip(runs, means, strict=True)]
    return Night((np.minimum(errors[0], WORDS), WORDS * ones), (np.minimum(errors[1], WORDS), WORDS * ones))


def _effects(
    generator: np.random.Generator, sizes: Mapping[str, float], pattern: Pattern, nights: int
) -> NDArray[np.float64]:
    """Effects of target, source and pair, shape (nights, pairs)."""
    shape = (nights, pattern.targets, pattern.sources, pattern.each)
    total: NDArray[np.float64] = generator.normal(0.0, sizes["pair"], shape)
    total += generator.normal(0.0, sizes["target"], (nights, pattern.targets, 1, 1))
    total += generator.normal(0.0, sizes["source"], (nights, 1, pattern.sources, 1))
    return total.reshape(nights, -1)


def judge(night: Night, rule: MeasureRule, design: Design) -> list[Worsening]:
    """Measure the worsening of each night, beyond what a rule allows."""
    sign = -1.0 if rule.measure in HIGHER_IS_BETTER else 1.0
    return [
        measure_worsening((n1, d1), (n0, d0), design, sign=sign, allowed=rule.worsening)
        for n1, d1, n0, d0 in zip(*night.new, *night.old, strict=True)
    ]


def told(found: Sequence[Worsening], rules: Sequence[MeasureRule], design: Design) -> list[str]:
    """Decide one night: an outcome for each rule, all corrected together; ``blind`` where a rule can't see.

    Noise is taken from the night, as the gate does; a rule of which not one pair differs is taken to see.
    """
    family = Family(rules)
    p_values = [one_sided(one) for one in found]
    corrected = family.corrected([worse for worse, _ in p_values])
    outcomes: list[str] = []
    for rule, one, p, (_, within) in zip(rules, found, corrected, p_values, strict=True):
        now = Precision.of(one.beyond, design)
        blind = None if sees(now, family.level(rule), rule.worsening) else now.p_above(one.beyond.value)
        outcomes.append(family.outcome(rule, one.identical, p, within, blind=blind))
    return outcomes


def decide(
    judged: Mapping[str, Sequence[Worsening]], rules: Sequence[MeasureRule], design: Design
) -> dict[str, list[str]]:
    """Let the gate decide every night: measure to outcomes. A night is ``regress`` where one of its measures is."""
    own = [rule for rule in rules if rule.measure in judged]
    outcomes = [told(night, own, design) for night in zip(*(judged[rule.measure] for rule in own), strict=True)]
    return {rule.measure: [night[place] for night in outcomes] for place, rule in enumerate(own)}
