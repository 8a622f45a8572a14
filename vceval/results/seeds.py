"""What the noise that systems draw does to their figures, where pairs were converted with several seeds.

A converted pair's score differs from the mean for three reasons: its speakers, its sentence, and the seed. Variances
are found by the method of moments from the pairs that have a score for every seed. That of the seed is the mean
variance within pairs; those of target, source and the rest (the sentence, and what else tells two pairs of the same
speakers apart) follow from the mean squared differences between pairs that share both speakers, one of them or none.
What is a ratio of sums is linearised first: (numerator − figure · denominator) / mean denominator.

Seeds are enough where their noise is under :data:`SHARE` of the variance of a difference: its standard error is then
at most a twentieth larger than without any noise of seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.metrics.base import Measure
    from vceval.results.table import Tally

__all__ = ["MOST", "SHARE", "Split", "seed_summary", "split"]

#: The part of the variance of a difference of two systems, or of a figure, that seeds may have.
SHARE = 0.1
#: No larger number of seeds is named as enough.
MOST = 1000


class Split(NamedTuple):
    """The variance of one converted pair's score, in the square of its unit, and what it does to the mean over pairs.

    speakers: of target and source together; a side is among them where it has several speakers, not all of whom come
    once. sentence: what is left. Both are None where the pairs can't tell them apart. alone: variance of the mean over
    pairs that one seed brings. rest: variance of that mean with no noise of seeds at all.
    """

    seed: float
    speakers: float | None
    sentence: float | None
    alone: float
    rest: float

    def share(self, seeds: int) -> float:
        """The part of the variance of the mean that the noise of so many seeds has."""
        noise = self.alone / seeds
        return noise / (noise + self.rest) if noise else 0.0

    def enough(self) -> int | None:
        """The smallest number of seeds whose noise is at most :data:`SHARE`; None where :data:`MOST` are not."""
        if not self.alone:
            return 1
        wanted = self.alone * (1 - SHARE) / SHARE / self.rest if self.rest else math.inf
        return None if wanted > MOST else max(1, math.ceil(wanted))


def split(values: NDArray[np.float64], targets: Sequence[str | None], sources: Sequence[str | None]) -> Split:
    """Split the variance of scores into seed, speakers and sentence.

    Args:
        values: shape (pairs, seeds), at least two seeds: linearised scores, or differences of two systems.
        targets: speakers of the pairs; None for one that is not known.
        sources: likewise.
    """
    return _Design(targets, sources).split(values)


class _Design:
    """Who speaks in some pairs, prepared for scores of any systems and measures on them.

    Couples of pairs are sorted by the sides that they share. Each kind's mean of half the squared differences is a sum
    of the variances of the sides that are not shared, and of the rest: solved by least squares, none below zero.
    """

    def __init__(self, targets: Sequence[str | None], sources: Sequence[str | None]) -> None:
        import numpy as np

        self._count = len(targets)
        codes = [np.unique(np.array(side, dtype=str), return_inverse=True)[1]
                 for side in (targets, sources) if None not in side and 1 < len(set(side)) < self._count]  # fmt: skip
        #: What a side's variance has in that of the mean over pairs.
        self._shares = [float(np.square(np.bincount(side) / self._count).sum()) for side in codes]
        places = range(len(codes))
        together = [some for k in range(len(codes) + 1) for some in itertools.combinations(places, k)]
        groups = [np.zeros(self._count, dtype=np.intp) for _ in together]
        for place, shared in enumerate(together):
            for side in shared:
                joined = groups[place] * (codes[side].max() + 1) + codes[side]
                groups[place] = np.unique(joined, return_inverse=True)[1]
        self._groups = [(group, np.bincount(group)) for group in groups]
        couples = np.array([float((sizes * (sizes - 1)).sum()) / 2 for _, sizes in self._groups])
        # Those that share just these sides: by inclusion and exclusion of those that share more
        signs = np.array([[(-1) ** (len(b) - len(a)) * (set(a) <= set(b)) for b in together] for a in together])
        numbers = signs @ couples
        kept = numbers > 0.5
        self._signs, self._numbers = signs[kept], numbers[kept]
        rows = [[*(float(place not in shared) for place in places), 1.0] for shared in together]
        self._rows = np.array(rows)[kept]
        rank = np.linalg.matrix_rank
        rest = np.vstack([self._rows, [0.0] * len(codes) + [1.0]])
        self._told = bool(codes) and bool(rank(rest) == rank(self._rows))

    def split(self, values: NDArray[np.float64]) -> Split:
        """Split the variance of scores on these pairs; see :func:`split`."""
        seeds = values.shape[1]
        seed = float(values.var(axis=1, ddof=1).mean())
        means = values.mean(axis=1)
        alone = seed / self._count
        if not self._told:
            total = float(means.var(ddof=1)) if self._count > 1 else 0.0
            return Split(seed, None, None, alone, max(0.0, total / self._count - alone / seeds))
        *parts, pair = self._components(means - means.mean())
        sentence = max(0.0, pair - seed / seeds)
        rest = sum(part * share for part, share in zip(parts, self._shares, strict=True)) + sentence / self._count
        return Split(seed, sum(parts), sentence, alone, rest)

    def _components(self, means: NDArray[np.float64]) -> list[float]:
        """Variances of each side and of the rest, from means over seeds that are zero on average."""
        import numpy as np
        from scipy.optimize import nnls

        squared = means**2
        halves = [
            float((sizes * np.bincount(group, squared) - np.bincount(group, means) ** 2).sum()) / 2
            for group, sizes in self._groups
        ]
        wanted = np.maximum(0.0, self._signs @ np.array(halves) / self._numbers)
        weights = np.sqrt(self._numbers)
        found, _ = nnls(self._rows * weights[:, None], wanted * weights)
        return [float(part) for part in found]


class _Scores(NamedTuple):
    """Sums of the pairs that have a score for every seed: pairs ascending, sums of shape (pairs, seeds)."""

    pairs: NDArray[np.int64]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]

    def figures(self) -> NDArray[np.float64]:
        """The figure of each seed alone."""
        found: NDArray[np.float64] = self.numerators.sum(axis=0) / self.denominators.sum(axis=0)
        return found

    def linear(self) -> NDArray[np.float64]:
        """Linearised scores, in the unit of the figure."""
        figure = self.numerators.sum() / self.denominators.sum()
        found: NDArray[np.float64] = (self.numerators - figure * self.denominators) / self.denominators.mean()
        return found


def seed_summary(tally: Tally, systems: Sequence[str], measures: Sequence[Measure]) -> dict[str, Any] | None:
    """Say what seeds do, as ``summary.json`` holds it; None where every system has one seed.

    Args:
        tally: of the run.
        systems: that are compared; controls are not among them.
        measures: of the run; those that are no ratio of sums have no value per pair and are left out.

    Returns:
        ``share``: :data:`SHARE`. ``figures``: per system that draws noise and measure the conversions ``scored`` of
        those ``expected``, the ``pairs`` that have every seed, ``values`` by seed alone on these, ``sd``: standard
        deviation of the figure if one seed is taken, ``variance`` of a conversion by seed, speakers, sentence
        (:class:`Split`), the seeds' ``part`` of the variance of the mean over them, and ``enough``: number of seeds.
        ``differences``: the same of every two systems of which one draws noise, first minus second on the pairs of
        both, and whether the order ``flips``: whether one seed has the first ahead and another one the second.
    """
    noisy = [name for name in systems if tally.seeds.get(name, 1) > 1]
    if not noisy:
        return None
    pairs = list(tally.pairs.values())
    designs: dict[bytes, _Design] = {}

    def design(numbers: NDArray[np.int64]) -> _Design:
        """The design of some pairs; most systems and measures have the same."""
        if (key := numbers.tobytes()) not in designs:
            some = [pairs[number] for number in numbers]
            designs[key] = _Design([pair.target_speaker for pair in some], [pair.source_speaker for pair in some])
        return designs[key]

    figures, differences = [], []
    for measure in measures:
        if measure.reduction != "ratio":
            continue
        found = {name: _complete(tally, name, measure.name) for name in systems}
        for name in noisy:
            scored = len(tally.takes(name, measure.name).pairs)
            expected = tally.seeds[name] * tally.given(name) - tally.skips(name, measure.name)
            if expected:
                facts = _facts([found[name]], design)
                place = {"system": name, "measure": measure.name, "scored": scored, "expected": expected}
                figures.append({**place, **facts})
        for first, second in itertools.combinations(systems, 2):
            if first not in noisy and second not in noisy:
                continue
            both = _side_by_side(found[first], found[second])
            if len(both[0].pairs):
                facts = _facts(both, design)
                flips = min(facts["values"], default=0.0) < 0 < max(facts["values"], default=0.0)
                differences.append({"measure": measure.name, "first": first, "second": second, **facts, "flips": flips})
    return {"share": SHARE, "figures": figures, "differences": differences}


def _complete(tally: Tally, system: str, measure: str) -> _Scores:
    """The scores of the pairs that have one for every seed."""
    import numpy as np

    takes, seeds = tally.takes(system, measure), tally.seeds.get(system, 1)
    pairs, counts = np.unique(takes.pairs, return_counts=True)
    pairs = pairs[counts == seeds]
    kept = np.isin(takes.pairs, pairs)
    order = np.lexsort((takes.seeds[kept], takes.pairs[kept]))
    sums = (part[kept][order].reshape(len(pairs), seeds) for part in (takes.numerators, takes.denominators))
    return _Scores(pairs, *sums)


def _side_by_side(one: _Scores, other: _Scores) -> list[_Scores]:
    """The pairs of both, with as many seeds: the only one of a system that draws no noise stands beside each."""
    import numpy as np

    seeds = max(one.numerators.shape[1], other.numerators.shape[1])
    found = []
    for scores, rival in ((one, other), (other, one)):
        kept = np.isin(scores.pairs, rival.pairs)
        sums = (np.broadcast_to(part[kept], (int(kept.sum()), seeds)) for part in scores[1:])
        found.append(_Scores(scores.pairs[kept], *sums))
    return found


def _facts(sides: Sequence[_Scores], design: Callable[[NDArray[np.int64]], _Design]) -> dict[str, Any]:
    """What is said of a figure, or of the difference of two on the same pairs."""
    pairs = sides[0].pairs
    if not len(pairs) or not all(side.denominators.sum(axis=0).all() for side in sides):
        return {"pairs": len(pairs), "values": [], "sd": None, "variance": None, "part": None, "enough": None}
    values, linear = sides[0].figures(), sides[0].linear()
    for side in sides[1:]:
        values, linear = values - side.figures(), linear - side.linear()
    found = design(pairs).split(linear)
    return {
        "pairs": len(pairs),
        "values": [float(value) for value in values],
        "sd": math.sqrt(found.alone),
        "variance": {"seed": found.seed, "speakers": found.speakers, "sentence": found.sentence},
        "part": found.share(linear.shape[1]),
        "enough": found.enough(),
    }
