"""How many speakers, texts and pairs a test needs: what it finds with those that there are, and with more of them.

A difference has a standard error that shrinks with the number of speakers or texts on the side that it comes from. From
the variance components of what was measured, or of noise that is assumed, follows what other numbers would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import ceil, log2, prod, sqrt
from typing import TYPE_CHECKING

from vceval.statistics.components import Design
from vceval.statistics.inference import ELSEWHERE, Estimate, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FEW", "POWER", "SHARES", "Precision", "Wanted", "blurred", "counted", "enough", "expected", "wanted"]

#: How often what is called found is found, in repetitions with other speakers and texts.
POWER = 0.8
#: Least and largest share of a difference's variance that lies between speakers, where it is not known.
SHARES = (0.0, 0.5)
#: With fewer speakers on a side, nobody can tell how much they differ: the largest share is taken for granted.
FEW = 5
#: Draws from which the degrees of freedom of a pattern are told.
DRAWS = 40
#: More speakers than this are not searched for.
MOST = 1_000_000
#: No corpus of usual size has more speakers or texts, no evaluation more pairs.
USUAL, USUAL_PAIRS = 1_000, 100_000

_SIDES = ("target", "source", "text")
_SPEAKERS = ("target", "source")
#: Components that further pairs of the same speakers and texts do not make smaller.
_FIXED = (*_SIDES, ELSEWHERE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many pairs of how many speakers and texts would be enough. ``grown``: the sides that need more."""

    pairs: int
    levels: Mapping[str, int]
    grown: tuple[str, ...]

    def said(self) -> str:
        """In words, all in all: ``about 1,200 pairs of 40 target speakers``."""
        of = counted({side: self.levels[side] for side in self.grown})
        return f"about {self.pairs:,} pairs" + (f" of {of}" if of else "")

    def more(self, now: Mapping[str, int], pairs: int) -> str:
        """What to add, in words: ``about 12 more source speakers``."""
        if not self.grown:
            return f"about {self.pairs - pairs:,} more pairs"
        return "about " + counted({side: self.levels[side] - now[side] for side in self.grown}, "more ")


def counted(levels: Mapping[str, int], more: str = "") -> str:
    """So many of each side in words: ``12 more target speakers and 3 more texts``."""
    words = [
        f"{count:,} {more}{side}{' speaker' if side in _SPEAKERS else ''}{'s' if count != 1 else ''}"
        for side, count in levels.items()
    ]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


@dataclass(frozen=True, slots=True)
class Precision:
    """How sure a difference is: its standard error, degrees of freedom, and by what it would become surer.

    shares: of its variance, by component. levels: speakers and texts, by side that varies.
    """

    error: float
    freedom: float
    shares: Mapping[str, float]
    levels: Mapping[str, int]
    pairs: int

    @classmethod
    def measured(cls, found: Estimate, design: Design) -> Precision:
        """That of an estimate, taken as it is."""
        return cls(found.error, found.freedom, found.shares, _levels(design), design.items)

    @classmethod
    def of(cls, found: Estimate, design: Design) -> Precision:
        """That of an estimate; where a side has few speakers, with as much noise between them as there may be."""
        now = cls.measured(found, design)
        few = [side for side, count in now.levels.items() if side != "text" and count < FEW]
        parts = {name: share * now.error**2 for name, share in now.shares.items()}
        for side in few:
            least = SHARES[1] / len(few) * found.deviation**2 * design.contribution(side)
            parts[side] = max(parts.get(side, 0.0), least)
        variance = sum(parts.values())
        if not variance > now.error**2:
            return now
        shares = {name: part / variance for name, part in parts.items()}
        freedom = min(now.freedom, now._satterthwaite(shares, now.levels, now.pairs))
        return cls(sqrt(variance), freedom, shares, now.levels, now.pairs)

    def power(self, level: float, margin: float) -> float:
        """How often a one-sided test at some confidence finds a difference that lies so far beyond a bound.

        The tail of the noncentral t distribution, over quantiles of the error's chi distribution.
        """
        from scipy.special import ndtr

        if not self.error:
            return float(margin > 0.0)
        reach = t_quantile(level, self.freedom) * _chi(self.freedom)
        return float(ndtr(margin / self.error - reach).mean())

    def caught(self, level: float) -> float:
        """The smallest margin that a one-sided test at some confidence finds as often as POWER says."""
        low, high = 0.0, self.error
        while self.error and self.power(level, high) < POWER:
            low, high = high, 2.0 * high
        while high - low > 1e-4 * high:
            middle = (low + high) / 2.0
            low, high = (low, middle) if self.power(level, middle) >= POWER else (middle, high)
        return high

    def p_above(self, beyond: float) -> float:
        """One-sided p-value of "not beyond the bound" for what was found beyond it."""
        return Estimate(beyond, self.error, self.freedom, {}).p_above(0.0)

    def times(self, factor: float) -> Precision:
        """The same pattern, with an error so many times as large."""
        return Precision(self.error * factor, self.freedom, self.shares, self.levels, self.pairs)

    def grown(self, factor: float, sides: tuple[str, ...]) -> Precision:
        """With ``factor`` times as many speakers or texts on some sides, each in as many pairs as now."""
        pairs = factor ** max(len(sides), 1)
        parts = {name: part / (factor if name in sides else 1.0 if name in _FIXED else pairs)
                 for name, part in self.shares.items()}  # fmt: skip
        variance = sum(parts.values())
        levels = {side: ceil(count * (factor if side in sides else 1.0) - 1e-9) for side, count in self.levels.items()}
        count = ceil(self.pairs * pairs - 1e-9)
        before = self._satterthwaite(self.shares, self.levels, self.pairs)
        after = self._satterthwaite(parts, levels, count)
        freedom = min(self.freedom * after / before, max(count - 1.0, 1.0))
        return Precision(self.error * sqrt(variance), freedom, parts, levels, count)

    @staticmethod
    def _satterthwaite(parts: Mapping[str, float], levels: Mapping[str, int], pairs: int) -> float:
        single = {name: part**2 / max(levels.get(name, pairs) - 1.0, 1.0) for name, part in parts.items()}
        return sum(parts.values()) ** 2 / sum(single.values())


@lru_cache(maxsize=4096)
def _chi(freedom: float) -> NDArray[np.float64]:
    """Quantiles of how an estimated error relates to the true one."""
    import numpy as np
    from scipy.special import gammaincinv

    half = min(freedom, 1e6) / 2.0
    return np.asarray(np.sqrt(gammaincinv(half, (np.arange(300) + 0.5) / 300.0) / half))


def _levels(design: Design) -> dict[str, int]:
    """Speakers and texts of the sides that vary and repeat."""
    return {side.name: side.levels for side in design.sides if side.name in _SIDES}


def enough(found: Estimate, design: Design, level: float) -> Wanted | None:
    """Find how many speakers or texts would do to find a difference as large as the one found, as often as POWER says.

    Difference and components are taken as they were measured, so that this is a rough number where speakers are few.

    Args:
        found: the difference.
        design: of the items that it was found on.
        level: confidence of a one-sided test; 0.975 for a two-sided one at 0.05.

    Returns:
        None where that takes more than a corpus of usual size has.
    """
    if not found.value:
        return None
    if not found.error:
        return _alike(design, ceil(-log2(1.0 - level)))
    wish = wanted(Precision.measured(found, design), lambda there: there.power(level, abs(found.value)) >= POWER)
    if wish is None or wish.pairs > USUAL_PAIRS or max((wish.levels[side] for side in wish.grown), default=0) > USUAL:
        return None
    return wish


def blurred(found: Estimate, level: float) -> bool:
    """Whether no number of pairs would do, as what does not come from the items, such as a threshold, is too unsure."""
    error = found.error * sqrt(found.shares.get(ELSEWHERE, 0.0))
    return Precision(error, 1e9, {}, {}, 0).power(level, abs(found.value)) < POWER


def _alike(design: Design, count: int) -> Wanted | None:
    """What a sign test asks for where every pair shows the same difference: so many speakers on either side."""
    now = _levels(design)
    grown = tuple(side for side, levels in now.items() if side != "text" and levels < count)
    levels = {side: count if side in grown else known for side, known in now.items()}
    times = prod(count / now[side] for side in grown) if grown else count / design.items
    return Wanted(ceil(design.items * times - 1e-9), levels, grown) if times > 1.0 else None


def wanted(now: Precision, fits: Callable[[Precision], bool]) -> Wanted | None:
    """Find the fewest further speakers (texts, or pairs where neither repeats) with which something holds.

    Returns:
        None where no number is enough, or it holds already.
    """
    if fits(now) or not now.error:
        return None
    found = [one for sides in _growths(now) if (one := _least(now, sides, fits))]
    return min(found, key=lambda one: sum(one.levels[s] - now.levels[s] for s in one.grown) or one.pairs, default=None)


def _growths(now: Precision) -> Iterator[tuple[str, ...]]:
    """Sets of sides to try, the smallest first."""
    sides = tuple(now.levels)
    if not sides:
        yield ()
    for count in range(1, len(sides) + 1):
        yield from combinations(sides, count)


def _least(now: Precision, sides: tuple[str, ...], fits: Callable[[Precision], bool]) -> Wanted | None:
    start = min((now.levels[side] for side in sides), default=now.pairs)

    def grown(count: int) -> Precision:
        return now.grown(count / start, sides)

    low, high = start, 2 * start
    while not fits(grown(high)):
        if high > MOST:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(grown(middle)) else (middle, high)
    enough = grown(high)
    return Wanted(enough.pairs, enough.levels, sides)


@lru_cache(maxsize=256)
def expected(design: Design, share: float) -> Precision:
    """Precision of a mean of noise of variance 1, a share of it evenly between the sides of speakers that vary.

    Its variance follows from the pattern. The degrees of freedom are the median of what the same fit finds in drawn
    noise. There must be two pairs at least.
    """
    import numpy as np

    sides = [side for side in design.sides if side.name in ("target", "source")]
    each = share / len(sides) if sides else 0.0
    rest = 1.0 - each * len(sides)
    parts = {side.name: each * design.contribution(side.name) for side in sides}
    parts["residual"] = rest / design.items
    generator = np.random.default_rng(0)
    freedoms = []
    for _ in range(DRAWS):
        values = generator.normal(0.0, sqrt(rest), design.items)
        for side in sides:
            values += generator.normal(0.0, sqrt(each), side.levels)[design.codes[side.name]]
        found = design.mean_error(values)
        freedoms.append(found.freedom if found else 1.0)
    variance = sum(parts.values())
    shares = {name: part / variance for name, part in parts.items()}
    return Precision.of(Estimate(0.0, sqrt(variance), float(np.median(freedoms)), shares, 1.0), design)
