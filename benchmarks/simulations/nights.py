"""Simulated nights: a baseline and a new run of one model, noise as measured (``noise.json``), decided by the gate.

Scores of a night are level + noise: levels of targets, sources and pairs, which both runs share, and noise of targets,
sources and pairs, which each run draws for itself. Acceptance is a similarity above a threshold, so that noise and
worsenings of similarity hit the speakers near the threshold most, as they do in reality; word errors are counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.gate.decide import Family, measure_worsening, one_sided
from vceval.gate.rules import MeasureRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Design", "Night", "decide", "measured_noise", "simulate"]

#: Of the simulated measures, those of which more is better.
HIGHER_IS_BETTER = frozenset({"sv_accept", "bandwidth"})
#: Words of an utterance.
WORDS = 10


@dataclass(frozen=True, slots=True)
class Design:
    """A grid: every source speaker to every target speaker, ``each`` times."""

    targets: int = 20
    sources: int = 20
    each: int = 3

    @property
    def pairs(self) -> int:
        """How many pairs that makes."""
        return self.targets * self.sources * self.each

    def speakers(self) -> tuple[list[str], list[str]]:
        """Target and source speaker of each pair."""
        places = [(t, s) for t in range(self.targets) for s in range(self.sources) for _ in range(self.each)]
        return [f"t{t}" for t, _ in places], [f"s{s}" for _, s in places]


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
    design: Design,
    nights: int,
    seed: int,
    *,
    worse: float = 0.0,
    kind: str,
    evenly: bool = False,
) -> Night:
    """Draw nights of one measure.

    Args:
        measure: ``sv_accept``, ``mcd``, ``wer`` or ``bandwidth``.
        noise: what :func:`measured_noise` says of it.
        design: speakers and pairs.
        nights: how many.
        seed: of the draws.
        worse: how much worse the new model truly is: acceptance, dB, word error rate, or kHz.
        kind: which night noise, ``closest`` or ``variants``.
        evenly: acceptance falls by the same chance for every pair that would be accepted (say, some conversions
            break down), instead of similarity by the same amount.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    level = _effects(generator, noise["level"], design, nights)
    runs = [level + _effects(generator, noise[kind], design, nights) for _ in range(2)]
    ones = np.ones_like(level)
    if measure == "sv_accept":
        from scipy.special import ndtri

        wide = np.sqrt(sum(noise[part][name] ** 2 for part in ("level", kind) for name in ("target", "source", "pair")))
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
    generator: np.random.Generator, sizes: Mapping[str, float], design: Design, nights: int
) -> NDArray[np.float64]:
    """Effects of target, source and pair, shape (nights, pairs)."""
    shape = (nights, design.targets, design.sources, design.each)
    total: NDArray[np.float64] = generator.normal(0.0, sizes["pair"], shape)
    total += generator.normal(0.0, sizes["target"], (nights, design.targets, 1, 1))
    total += generator.normal(0.0, sizes["source"], (nights, 1, design.sources, 1))
    return total.reshape(nights, -1)


def decide(nights: Mapping[str, Night], rules: Sequence[MeasureRule], design: Design) -> dict[str, list[str]]:
    """Let the gate decide every night: measure to outcomes, all rules of a night corrected together.

    A night as a whole is ``regress`` where one of its measures is.
    """
    targets, sources = design.speakers()
    judged = {}
    for rule in rules:
        if rule.measure in nights:
            night = nights[rule.measure]
            sign = -1.0 if rule.measure in HIGHER_IS_BETTER else 1.0
            found = measure_worsening(night.new, night.old, targets, sources, sign=sign, allowed=rule.worsening)
            judged[rule] = (found.identical, *one_sided(found))
    outcomes: dict[str, list[str]] = {rule.measure: [] for rule in judged}
    family = Family(list(judged))
    for number in range(len(next(iter(judged.values()))[0])):
        corrected = family.corrected([float(worse[number]) for _, worse, _ in judged.values()])
        for (rule, (identical, _, within)), p in zip(judged.items(), corrected, strict=True):
            outcomes[rule.measure].append(family.outcome(rule, bool(identical[number]), p, float(within[number])))
    return outcomes
