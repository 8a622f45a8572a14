"""Made-up evaluations whose truth is known: which speakers and texts meet, how they vary, and two systems' scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

__all__ = ["DESIGNS", "Draw", "Pattern", "Scenario"]

Codes = NDArray[np.intp]
Floats = NDArray[np.float64]
Shape = Literal["normal", "t3", "lognormal", "exponential"]


class Pattern(NamedTuple):
    """Speakers and text of each pair; None for a side that nothing is known of."""

    targets: Codes
    sources: Codes | None
    texts: Codes | None


class Draw(NamedTuple):
    """Scores of two equally good systems on the same pairs, as numerators and denominators."""

    pattern: Pattern
    first: tuple[Floats, Floats]
    second: tuple[Floats, Floats]


@dataclass(frozen=True)
class Scenario:
    """A pattern and what the scores of its pairs are made of.

    speakers, texts: standard deviations of target and source speakers and of texts, where that of a pair's own noise
    is 1. kind: a mean of deviating values; a ``rate`` of pairs that are accepted; a ``share`` of each pair's frames,
    which deviates a third as much; or ``words``, errors among words, and the same as a ``capped`` rate.
    level: mean, rate or errors per word. shape: of speakers' and texts' deviations; noise: of the pairs'.
    uneven: whether every target speaker has a noise of its own size. meeting: deviation of two speakers together.
    """

    name: str
    pattern: Callable[[np.random.Generator], Pattern]
    kind: Literal["mean", "rate", "share", "words", "capped"] = "mean"
    speakers: tuple[float, float] = (0.5, 0.5)
    texts: float = 0.5
    level: float = 5.0
    shape: Shape = "normal"
    noise: Shape = "normal"
    uneven: bool = False
    meeting: float = 0.0

    @property
    def is_rate(self) -> bool:
        """Whether the figure lies in 0 to 1, as a measure declares it."""
        return self.kind in ("rate", "share", "capped")

    def draw(self, random: np.random.Generator) -> Draw:
        """Make one evaluation."""
        pattern = self.pattern(random)
        shared, spread = self._effects(random, pattern), self._spread(random, pattern)
        return Draw(pattern, *(self._system(random, pattern, shared, spread) for _ in range(2)))

    def _effects(self, random: np.random.Generator, pattern: Pattern) -> Floats:
        """What speakers and texts add to each pair: one draw of them, of half of their variance."""
        found = np.zeros(len(pattern.targets))
        deviations = (*self.speakers, self.texts)
        for codes, deviation in zip(pattern, deviations, strict=True):
            if codes is not None and deviation:
                found += deviation * np.sqrt(0.5) * _values(random, int(codes.max()) + 1, self.shape)[codes]
        return found

    def _spread(self, random: np.random.Generator, pattern: Pattern) -> Floats:
        size = int(pattern.targets.max()) + 1
        return np.exp(0.5 * random.normal(size=size) if self.uneven else np.zeros(size))[pattern.targets]

    def _system(
        self, random: np.random.Generator, pattern: Pattern, shared: Floats, spread: Floats
    ) -> tuple[Floats, Floats]:
        count = len(pattern.targets)
        effects = shared + self._effects(random, pattern)
        if self.meeting and pattern.sources is not None:
            sizes = int(pattern.targets.max()) + 1, int(pattern.sources.max()) + 1
            effects = effects + self.meeting * random.normal(size=sizes)[pattern.targets, pattern.sources]
        if self.kind == "mean":
            return self.level + effects + spread * _values(random, count, self.noise), np.ones(count)
        deviation = float(np.sqrt(sum(d * d for d, c in zip((*self.speakers, self.texts), pattern, strict=True)
                                      if c is not None)))  # fmt: skip
        if self.kind == "share":
            third = 1.0 / 3.0
            middle = _middle(self.level, third * float(np.sqrt(1.0 + deviation**2)))
            return expit(middle + third * (effects + random.normal(size=count))), np.ones(count)
        chance = expit(_middle(self.level, deviation) + effects)
        if self.kind == "rate":
            return (random.random(count) < chance).astype(np.float64), np.ones(count)
        words = random.integers(5, 15, size=count)
        return random.binomial(words, chance).astype(np.float64), words.astype(np.float64)


def _values(random: np.random.Generator, count: int, shape: Shape) -> Floats:
    """Draw values of mean 0 and variance 1."""
    found: Floats
    if shape == "t3":
        found = random.standard_t(3, size=count) / np.sqrt(3.0)
    elif shape == "exponential":
        found = random.exponential(size=count) - 1.0
    else:
        found = random.normal(size=count)
    if shape == "lognormal":
        found = (np.exp(found) - np.exp(0.5)) / np.sqrt((np.e - 1.0) * np.e)
    return found


def _middle(rate: float, deviation: float) -> float:
    """Logit around which normal deviations give a rate on average."""
    places, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    return float(brentq(lambda middle: float(weights @ expit(middle + deviation * places)) - rate, -30.0, 30.0))


def crossed(targets: int, sources: int, times: int = 1, missing: float = 0.0) -> Callable[..., Pattern]:
    """Every target speaker meets every source speaker; some pairs may be missing."""

    def make(random: np.random.Generator) -> Pattern:
        one = np.repeat(np.arange(targets), sources * times)
        other = np.tile(np.repeat(np.arange(sources), times), targets)
        kept = random.random(len(one)) >= missing
        return Pattern(_numbered(one[kept]), _numbered(other[kept]), None)

    return make


def nested(targets: int, sources: int, times: int) -> Callable[..., Pattern]:
    """Each target speaker meets one source speaker, who meets several targets."""

    def make(_: np.random.Generator) -> Pattern:
        one = np.repeat(np.arange(targets), times)
        return Pattern(one, one % sources, None)

    return make


def nested_targets(targets: int, sources: int, times: int) -> Callable[..., Pattern]:
    """Each source speaker meets one target speaker, who meets several sources."""

    def make(_: np.random.Generator) -> Pattern:
        other = np.repeat(np.arange(sources), times)
        return Pattern(other % targets, other, None)

    return make


def partly(targets: int, sources: int, met: int, times: int) -> Callable[..., Pattern]:
    """Each target speaker meets some source speakers, drawn anew."""

    def make(random: np.random.Generator) -> Pattern:
        one = np.repeat(np.arange(targets), met * times)
        other = np.concatenate([
            np.repeat(random.choice(sources, size=met, replace=False), times) for _ in range(targets)
        ])  # fmt: skip
        return Pattern(one, _numbered(other), None)

    return make


def zipf(targets: int, sources: int, pairs: int) -> Callable[..., Pattern]:
    """Few target speakers have most pairs."""

    def make(random: np.random.Generator) -> Pattern:
        chance = 1.0 / np.arange(1, targets + 1)
        drawn = random.choice(targets, size=pairs - targets, p=chance / chance.sum())
        one = np.concatenate([np.arange(targets), drawn])
        return Pattern(one, _numbered(random.integers(sources, size=pairs)), None)

    return make


def with_texts(pattern: Callable[..., Pattern], texts: int) -> Callable[..., Pattern]:
    """The pairs of two speakers go through the same texts."""

    def make(random: np.random.Generator) -> Pattern:
        found = pattern(random)
        return found._replace(texts=np.arange(len(found.targets)) % texts)

    return make


def targets_only(pattern: Callable[..., Pattern]) -> Callable[..., Pattern]:
    """Nothing is known of source speakers, and they do not vary."""

    def make(random: np.random.Generator) -> Pattern:
        return pattern(random)._replace(sources=None)

    return make


def _numbered(codes: Codes) -> Codes:
    return np.unique(codes, return_inverse=True)[1].reshape(-1)


#: All that the table has, in its order.
DESIGNS: tuple[Scenario, ...] = (
    Scenario("4 × 4 crossed, 5 pairs each", crossed(4, 4, 5)),
    Scenario("5 × 5 crossed, 2 pairs each", crossed(5, 5, 2)),
    Scenario("10 × 10 crossed, 3 pairs each", crossed(10, 10, 3)),
    Scenario("20 × 20 crossed, 1 pair each", crossed(20, 20)),
    Scenario("10 × 10 crossed, speakers who meet deviate", crossed(10, 10, 3), meeting=0.5),
    Scenario("10 × 10 crossed, speakers vary more", crossed(10, 10, 3), speakers=(1.5, 1.5)),
    Scenario("10 × 10 crossed, speakers vary little", crossed(10, 10, 3), speakers=(0.2, 0.2)),
    Scenario("10 × 10 crossed, only targets vary", crossed(10, 10, 3), speakers=(0.5, 0.0)),
    Scenario("10 × 10 crossed, speakers do not vary", crossed(10, 10, 3), speakers=(0.0, 0.0)),
    Scenario("4 × 4 crossed, speakers do not vary", crossed(4, 4, 5), speakers=(0.0, 0.0)),
    Scenario("4 sources nested in 20 targets, 15 pairs", nested(20, 4, 15)),
    Scenario("4 nested in 20, only sources vary", nested(20, 4, 15), speakers=(0.0, 0.5)),
    Scenario("6 sources nested in 24 targets, 10 pairs", nested(24, 6, 10)),
    Scenario("10 sources nested in 20 targets, 5 pairs", nested(20, 10, 5)),
    Scenario("5 targets nested in 20 sources, 5 pairs", nested_targets(5, 20, 5)),
    Scenario("20 targets, each with 3 of 8 sources", partly(20, 8, 3, 2)),
    Scenario("10 targets, each with 2 of 10 sources", partly(10, 10, 2, 4)),
    Scenario("20 targets by Zipf, 6 sources", zipf(20, 6, 300)),
    Scenario("10 targets by Zipf, 10 sources", zipf(10, 10, 200)),
    Scenario("10 × 10, 30 % missing", crossed(10, 10, 2, missing=0.3)),
    Scenario("10 × 10, noise by target", crossed(10, 10, 3), uneven=True),
    Scenario("6 nested in 24, noise by target", nested(24, 6, 10), uneven=True),
    Scenario("10 × 10, heavy tails (t, 3)", crossed(10, 10, 3), shape="t3", noise="t3"),
    Scenario("10 × 10, skewed speakers (lognormal)", crossed(10, 10, 3), shape="lognormal"),
    Scenario("20 × 20, skewed speakers (lognormal)", crossed(20, 20), shape="lognormal"),
    Scenario("10 × 10, skewed noise (lognormal)", crossed(10, 10, 3), noise="lognormal"),
    Scenario("10 × 10, skewed speakers (exponential)", crossed(10, 10, 3), shape="exponential"),
    Scenario("4 × 4, 25 texts in all", with_texts(crossed(4, 4, 25), 25)),
    Scenario("10 × 10, 10 texts in all", with_texts(crossed(10, 10, 10), 10)),
    Scenario("6 nested in 24, 10 texts in all", with_texts(nested(24, 6, 10), 10)),
    Scenario("10 targets, sources unknown, 10 pairs", targets_only(crossed(10, 10))),
    Scenario("2 × 20 crossed, 5 pairs each", crossed(2, 20, 5)),
    Scenario("20 × 2 crossed, 5 pairs each", crossed(20, 2, 5)),
    Scenario("3 × 20 crossed, 3 pairs each", crossed(3, 20, 3)),
    Scenario("rate 0.5, 10 × 10", crossed(10, 10), "rate", level=0.5),
    Scenario("rate 0.7, 5 × 5, 3 pairs each", crossed(5, 5, 3), "rate", level=0.7),
    Scenario("rate 0.9, 10 × 10", crossed(10, 10), "rate", level=0.9),
    Scenario("rate 0.9, 10 × 10, speakers vary more", crossed(10, 10, 3), "rate", (1.5, 1.0), level=0.9),
    Scenario("rate 0.95, 4 nested in 20, 5 pairs", nested(20, 4, 5), "rate", level=0.95),
    Scenario("rate 0.97, 20 × 20", crossed(20, 20), "rate", level=0.97),
    Scenario("rate 0.97, 10 × 10, one target in ten fails", crossed(10, 10), "rate", (2.5, 0.0), level=0.97),
    Scenario("rate 0.993, 5 × 5, 3 pairs each", crossed(5, 5, 3), "rate", level=0.993),
    Scenario("rate 0.993, 10 × 10", crossed(10, 10), "rate", level=0.993),
    Scenario("word errors 20 %, 10 × 10", crossed(10, 10), "words", level=0.2),
    Scenario("word errors 20 %, 4 × 4, 25 texts", with_texts(crossed(4, 4, 25), 25), "words", level=0.2),
    Scenario("word errors 2 %, 10 × 10", crossed(10, 10), "words", level=0.02),
    Scenario("shares of frames, 10 %, 5 × 5", crossed(5, 5), "share", level=0.1),
    Scenario("shares of frames, 10 %, 4 × 4", crossed(4, 4), "share", level=0.1),
    Scenario("shares of frames, 3 %, 6 nested in 24, 2 pairs", nested(24, 6, 2), "share", level=0.03),
    Scenario("capped word errors 20 %, 10 × 10", crossed(10, 10), "capped", level=0.2),
    Scenario("capped word errors 60 %, 5 × 5", crossed(5, 5), "capped", level=0.6),
    Scenario("capped word errors 2 %, 10 × 10", crossed(10, 10), "capped", level=0.02),
)
