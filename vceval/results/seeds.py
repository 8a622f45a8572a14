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
from collections.abc import Sequence
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
    import numpy as np

    count, seeds = values.shape
    seed = float(values.var(axis=1, ddof=1).mean())
    means = values.mean(axis=1)
    alone = seed / count
    total = float(means.var(ddof=1)) if count > 1 else 0.0
    sides = [np.unique(np.array(side, dtype=str), return_inverse=True)[1]
             for side in (targets, sources) if None not in side and 1 < len(set(side)) < count]  # fmt: skip
    found = _components(means, sides)
    if found is None:
        return Split(seed, None, None, alone, max(0.0, total / count - alone / seeds))
    *parts, pair = found
    sentence = max(0.0, pair - seed / seeds)
    shares = [float(np.square(np.bincount(side) / count).sum()) for side in sides]
    rest = sum(part * share for part, share in zip(parts, shares, strict=True)) + sentence / count
    return Split(seed, sum(parts), sentence, alone, rest)


def _components(means: NDArray[np.float64], sides: Sequence[NDArray[np.intp]]) -> list[float] | None:
    """Variances of each side and of the rest; None where speakers and the rest can't be told apart.

    Pairs of recordings are sorted by the sides that they share. Each kind's mean of half the squared differences is a
    sum of the variances of the sides that are not shared, and of the rest: solved by least squares, none below zero.
    """
    import numpy as np
    from scipy.optimize import nnls

    if not sides:
        return None
    means = means - means.mean()
    together: dict[tuple[int, ...], tuple[float, float]] = {}
    places = range(len(sides))
    for shared in itertools.chain.from_iterable(itertools.combinations(places, k) for k in range(len(sides) + 1)):
        together[shared] = _squares(means, [sides[place] for place in shared])
    rows, wanted, weights = [], [], []
    for shared in together:
        # Those that share just these: by inclusion and exclusion of those that share more
        more = [other for other in together if set(shared) <= set(other)]
        signs = [(-1) ** (len(other) - len(shared)) for other in more]
        squares, number = (sum(s * together[o][k] for s, o in zip(signs, more, strict=True)) for k in (0, 1))
        if number > 0.5:
            rows.append([*(float(place not in shared) for place in places), 1.0])
            wanted.append(max(0.0, squares / number))
            weights.append(math.sqrt(number))
    design, scale = np.array(rows), np.array(weights)
    rank = np.linalg.matrix_rank(design)
    if np.linalg.matrix_rank(np.vstack([design, [0.0] * len(sides) + [1.0]])) > rank:
        return None
    found, _ = nnls(design * scale[:, None], np.array(wanted) * scale)
    return [float(part) for part in found]


def _squares(means: NDArray[np.float64], sides: Sequence[NDArray[np.intp]]) -> tuple[float, float]:
    """Sum of half the squared differences over all two recordings that share some sides, and how many these are."""
    import numpy as np

    groups = np.zeros(len(means), dtype=np.intp)
    for side in sides:
        groups = np.unique(groups * (side.max() + 1) + side, return_inverse=True)[1]
    sizes, sums, squares = (np.bincount(groups, weights) for weights in (None, means, means**2))
    return float((sizes * squares - sums**2).sum()) / 2, float((sizes * (sizes - 1)).sum()) / 2


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
    speakers = [pair.target_speaker for pair in pairs], [pair.source_speaker for pair in pairs]
    figures, differences = [], []
    for measure in measures:
        if measure.reduction != "ratio":
            continue
        found = {name: _complete(tally, name, measure.name) for name in systems}
        for name in noisy:
            scored = len(tally.takes(name, measure.name).pairs)
            expected = tally.seeds[name] * len(pairs) - tally.skips(name, measure.name)
            if expected:
                facts = _facts([found[name]], speakers)
                place = {"system": name, "measure": measure.name, "scored": scored, "expected": expected}
                figures.append({**place, **facts})
        for first, second in itertools.combinations(systems, 2):
            if first not in noisy and second not in noisy:
                continue
            both = _side_by_side(found[first], found[second])
            if len(both[0].pairs):
                facts = _facts(both, speakers)
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


def _facts(sides: Sequence[_Scores], speakers: tuple[Sequence[str | None], Sequence[str | None]]) -> dict[str, Any]:
    """What is said of a figure, or of the difference of two on the same pairs."""
    pairs = sides[0].pairs
    if not len(pairs) or not all(side.denominators.sum(axis=0).all() for side in sides):
        return {"pairs": len(pairs), "values": [], "sd": None, "variance": None, "part": None, "enough": None}
    values, linear = sides[0].figures(), sides[0].linear()
    for side in sides[1:]:
        values, linear = values - side.figures(), linear - side.linear()
    targets, sources = ([side[number] for number in pairs] for side in speakers)
    found = split(linear, targets, sources)
    return {
        "pairs": len(pairs),
        "values": [float(value) for value in values],
        "sd": math.sqrt(found.alone),
        "variance": {"seed": found.seed, "speakers": found.speakers, "sentence": found.sentence},
        "part": found.share(linear.shape[1]),
        "enough": found.enough(),
    }
