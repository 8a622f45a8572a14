"""How far a measure, or other listeners, agree with listeners: over systems, over files, and within systems.

People differ, and so do systems: an interval speaks of other listeners and of other systems at once. Each system is
left out in turn, with its files; listeners are drawn with replacement. Noise of single ratings shows in both, and
counts once: what it is follows from drawing listeners anew for each system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from math import atanh, sqrt, tanh
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vceval.statistics.bootstrap import SEED, draws
from vceval.statistics.inference import t_quantile
from vceval.statistics.rank_correlation import kendall, pearson, spearman

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]
    _Coefficients = dict["Level", dict["Coefficient", Floats]]

__all__ = [
    "COEFFICIENTS", "LEAST", "LEVELS", "Coefficient", "Correlated", "Draws", "Figures", "Level", "Panel", "agreement",
    "correlations", "lengthened",
]  # fmt: skip

Level = Literal["systems", "files", "within"]
Coefficient = Literal["pearson", "spearman", "kendall"]
LEVELS: tuple[Level, ...] = ("systems", "files", "within")
#: What is computed on which level. Kendall's coefficient counts pairs: of thousands of files there are too many.
COEFFICIENTS: Mapping[Level, tuple[Coefficient, ...]] = {
    "systems": ("pearson", "spearman", "kendall"),
    "files": ("pearson", "spearman"),
    "within": ("pearson", "spearman"),
}
#: Fewer systems, or files, have no correlation worth printing; with fewer systems there is no interval either.
LEAST = 3
_LEAST_FOR_INTERVAL = 4
#: Draws of listeners.
RESAMPLES = 200
#: A coefficient is taken to be no nearer to one: few systems are often in the same order.
_NEAREST = 0.9999


class Correlated(NamedTuple):
    """A coefficient and its 95 % interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Figures(NamedTuple):
    """What a judge says: of each file, shape (files, draws), and of each system, shape (systems, draws).

    One column stands for a judge that is the same in all draws. NaN where nothing is known.
    """

    files: Floats
    systems: Floats


class Panel:
    """Listeners and what they said of files.

    Args:
        files: number of the rated file, of each rating, shape (n,).
        listeners: number of who gave it, likewise.
        scores: likewise.
        systems: number of the system of each file, shape (files,).
    """

    def __init__(self, files: Codes, listeners: Codes, scores: Floats, systems: Codes) -> None:
        from scipy.sparse import csr_array

        self.systems = systems
        self.listeners = int(listeners.max(initial=-1)) + 1
        shape = (len(systems), self.listeners)
        self._sums = csr_array((scores, (files, listeners)), shape=shape)
        self._counts = csr_array((scores * 0.0 + 1.0, (files, listeners)), shape=shape)

    def figures(self, weights: Floats) -> Figures:
        """Mean opinions where listeners count so many times each, shape (listeners, draws)."""
        sums, counts = self._sums @ weights, self._counts @ weights
        of_files = _by_system(self.systems)
        return Figures(_mean(sums, counts), _mean(of_files @ sums, of_files @ counts))

    @cached_property
    def all(self) -> Figures:
        """Mean opinions of everybody."""
        import numpy as np

        return self.figures(np.ones((self.listeners, 1)))

    def drawn(self, resamples: int, seed: int, anew: bool) -> Figures:
        """Mean opinions of listeners drawn with replacement: the same for all systems, or anew for each."""
        import numpy as np

        if not anew:
            return self.figures(self._weights(resamples, seed))
        found = Figures(
            np.empty((len(self.systems), resamples)), np.empty((int(self.systems.max(initial=-1)) + 1, resamples))
        )
        for system in range(len(found.systems)):
            rows = np.flatnonzero(self.systems == system)
            weights = self._weights(resamples, seed + system)
            sums, counts = self._sums[rows] @ weights, self._counts[rows] @ weights
            found.files[rows] = _mean(sums, counts)
            found.systems[system] = _mean(sums.sum(axis=0), counts.sum(axis=0))
        return found

    def _weights(self, resamples: int, seed: int) -> Floats:
        """How often each listener is drawn, shape (listeners, draws)."""
        import numpy as np

        places = np.concatenate(list(draws(self.listeners, resamples, seed)))
        cells = places * resamples + np.arange(resamples)[:, None]
        size = self.listeners * resamples
        return np.bincount(cells.ravel(), minlength=size).astype(np.float64).reshape(self.listeners, resamples)

    def halves(self, splits: int, seed: int = SEED) -> tuple[Figures, Figures]:
        """Mean opinions of either half of the listeners, in so many random splits."""
        first = self._first_halves(splits, seed)
        return self.figures(first), self.figures(1.0 - first)

    def growth(self, splits: int, seed: int = SEED) -> float:
        """How many times as noisy the mean opinion of a file is in such halves as in the whole panel.

        Twice where a file's listeners fall into halves evenly, and more where chance has them fall: a mean of one and
        one of three are noisier together than two means of two. NaN where no file is known to both halves.
        """
        import numpy as np

        first = self._first_halves(splits, seed)
        counts = np.stack([self._counts @ first, self._counts @ (1.0 - first)])
        both = (counts > 0.0).all(axis=0)
        if not both.any():
            return np.nan
        parts, whole = counts[:, both], counts.sum(axis=0)[both]
        return float((1.0 / parts).mean() / (1.0 / whole).mean())

    def _first_halves(self, splits: int, seed: int) -> Floats:
        """Who is in the first half of each split, shape (listeners, splits)."""
        import numpy as np

        random = np.random.default_rng(seed)
        first = np.zeros((self.listeners, splits))
        for split in range(splits):
            first[random.permutation(self.listeners)[: self.listeners // 2], split] = 1.0
        return first


class Draws:
    """A panel with draws of its listeners, the same for everything that is held against it."""

    def __init__(self, panel: Panel, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        self.panel = panel
        several = panel.listeners > 1
        self.together = panel.drawn(resamples, seed, False) if several else None
        self.apart = panel.drawn(resamples, seed + 1, True) if several else None


def agreement(people: Draws, judge: Figures | Draws, sign: float = 1.0) -> dict[Level, dict[Coefficient, Correlated]]:
    """Correlate what a judge says with what people say, on every level, with intervals.

    An interval is Student's t on Fisher's scale. Its variance is that of leaving out each system in turn (the
    jackknife), and what drawing listeners adds to it: the same listeners for all systems, less listeners of its own for
    each. Of Pearson's coefficient over systems it is no smaller than Fisher's.

    Args:
        people: a panel with its draws.
        judge: a measure's figures, or another panel with its draws, of the same files.
        sign: -1 where smaller figures of the judge are better, so that a positive coefficient is agreement.

    Source: Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981; Cameron, Gelbach and
    Miller, "Robust inference with multiway clustering", Journal of Business and Economic Statistics 29, 2011 (two
    factors, less what both hold); Fieller, Hartley and Pearson, "Tests for rank correlation coefficients I",
    Biometrika 44, 1957 (Fisher's scale for ranks).
    """
    import numpy as np

    panel = people.panel
    one, other = panel.all, judge.panel.all if isinstance(judge, Draws) else judge
    values = correlations(one, other, panel.systems)
    known = np.flatnonzero(np.isfinite(one.systems[:, 0]) & np.isfinite(other.systems[:, 0]))
    count = len(known)
    left_out = correlations(one, other, panel.systems, known)
    parts: list[tuple[_Coefficients, _Coefficients, int]] = []
    if people.together is not None and people.apart is not None:
        drawn = [correlations(some, other, panel.systems) for some in (people.together, people.apart)]
        parts.append((drawn[0], drawn[1], panel.listeners))
    if isinstance(judge, Draws) and judge.together is not None and judge.apart is not None:
        drawn = [correlations(one, some, panel.systems) for some in (judge.together, judge.apart)]
        parts.append((drawn[0], drawn[1], judge.panel.listeners))
    found: dict[Level, dict[Coefficient, Correlated]] = {}
    for level in LEVELS:
        found[level] = {
            name: _with_interval(
                sign, float(values[level][name][0]), left_out[level][name], count,
                [(some[level][name], rest[level][name], listeners) for some, rest, listeners in parts],
                (count - 3.0) ** -0.5 if (level, name) == ("systems", "pearson") and count > 3 else 0.0,
            )
            for name in COEFFICIENTS[level]
        }  # fmt: skip
    return found


def correlations(one: Figures, other: Figures, of_file: Codes, left_out: Codes | None = None) -> _Coefficients:
    """Coefficients of two judges on every level, one per draw; NaN where there is none.

    Args:
        one: a judge.
        other: another.
        of_file: number of the system of each file.
        left_out: the system that is left out in each draw; None for all that there are.
    """
    import numpy as np

    systems = len(one.systems)
    times = np.ones((systems, 1 if left_out is None else len(left_out)))
    if left_out is not None:
        times[left_out, np.arange(len(left_out))] = 0.0
    counted = np.where(times > 0, 0.0, np.nan)
    first, second = one.systems + counted, other.systems + counted
    enough = (np.isfinite(first) & np.isfinite(second)).sum(axis=0) >= LEAST
    functions: dict[Coefficient, Callable[[Floats, Floats], Floats]] = {
        "pearson": pearson, "spearman": spearman, "kendall": kendall,
    }  # fmt: skip
    here = np.isfinite(one.files) & np.isfinite(other.files)

    def ranked(judge: Figures, within: bool) -> Floats:
        return _ranked(judge.files, of_file if within else None)

    def of_level(within: bool) -> dict[Coefficient, Floats]:
        return {
            "pearson": _of_files(one.files, other.files, here, of_file, times, within),
            "spearman": _of_files(ranked(one, within), ranked(other, within), here, of_file, times, within),
        }

    return {
        "systems": {name: np.where(enough, function(first, second), np.nan) for name, function in functions.items()},
        "files": of_level(False),
        "within": of_level(True),
    }


def _of_files(
    first: Floats, second: Floats, here: NDArray[np.bool_], of_file: Codes, times: Floats, within: bool
) -> Floats:
    """Pearson's correlation over files whose systems count several times; within systems, around their means."""
    import numpy as np

    of_files = _by_system(of_file)
    one, other = (np.where(here, column - _middle(column), 0.0) for column in (first, second))
    n, x, y, xx, yy, xy = (
        of_files @ column for column in (here.astype(np.float64), one, other, one**2, other**2, one * other)
    )
    if within:
        size = np.maximum(n, 1.0)
        xx, yy, xy = xx - x * x / size, yy - y * y / size, xy - x * y / size
        xx, yy, xy, n = ((times * part).sum(axis=0) for part in (xx, yy, xy, n))
    else:
        n, x, y, xx, yy, xy = ((times * part).sum(axis=0) for part in (n, x, y, xx, yy, xy))
        size = np.maximum(n, 1.0)
        xx, yy, xy = xx - x * x / size, yy - y * y / size, xy - x * y / size
    tiny = [1e-18 * np.maximum(n, 1.0) * float(np.max(column**2, initial=0.0)) for column in (one, other)]
    told = (xx > tiny[0]) & (yy > tiny[1]) & (n >= LEAST)
    found = np.divide(xy, np.sqrt(np.where(told, xx * yy, 1.0)), out=np.full(xy.shape, np.nan), where=told)
    clipped: Floats = np.clip(found, -1.0, 1.0)
    return clipped


def _ranked(files: Floats, of_file: Codes | None) -> Floats:
    """Ranks of files in each draw: among all of them, or among those of their system (and a constant of it)."""
    import numpy as np
    from scipy.stats import rankdata

    known = np.isfinite(files)
    filled = np.where(known, files, _middle(files))  # what is not known does not count later
    if of_file is not None:
        filled = filled + of_file[:, None] * (2.0 * np.ptp(filled) + 1.0)
    return np.where(known, rankdata(filled, axis=0), np.nan)


def _middle(figures: Floats) -> float:
    """The mean of those that are known; 0 where none is."""
    import numpy as np

    known = figures[~np.isnan(figures)]
    return float(known.mean()) if known.size else 0.0


def _by_system(of_file: Codes) -> Any:
    """The matrix that sums over the files of each system."""
    import numpy as np
    from scipy.sparse import csr_array

    count = int(of_file.max(initial=-1)) + 1
    return csr_array((np.ones(len(of_file)), (of_file, np.arange(len(of_file)))), shape=(count, len(of_file)))


def _with_interval(
    sign: float,
    value: float,
    left_out: Floats,
    systems: int,
    listeners: list[tuple[Floats, Floats, int]],
    least: float,
) -> Correlated:
    """Put together what systems and listeners say of the error."""
    import numpy as np

    if not np.isfinite(value):
        return Correlated(None)
    found = _fisher(left_out)
    if systems < _LEAST_FOR_INTERVAL or len(found) < systems or abs(value) > 1.0 - 1e-9:  # exact but for rounding
        return Correlated(sign * value)
    variance = max((systems - 1.0) * float(found.var()), least**2)
    total, of_freedom = variance, variance**2 / (systems - 1.0)
    for together, apart, count in listeners:
        part = max(_spread(together) - _spread(apart), 0.0) * count / (count - 1.0)
        total, of_freedom = total + part, of_freedom + part**2 / (count - 1.0)
    if not total > 0.0:
        return Correlated(sign * value)
    reach = t_quantile(0.975, total**2 / of_freedom) * sqrt(total)
    middle = atanh(min(max(value, -_NEAREST), _NEAREST))
    ends = sorted(sign * tanh(middle + side * reach) for side in (-1.0, 1.0))
    return Correlated(sign * value, min(ends[0], sign * value), max(ends[1], sign * value))


def _fisher(values: Floats) -> Floats:
    """Fisher's scale; figures that are not known are left out."""
    import numpy as np

    found: Floats = np.arctanh(np.clip(values[np.isfinite(values)], -_NEAREST, _NEAREST))
    return found


def _spread(drawn: Floats) -> float:
    """Variance of coefficients, on Fisher's scale."""
    found = _fisher(drawn)
    return float(found.var()) if len(found) else 0.0


def _mean(sums: Floats, counts: Floats) -> Floats:
    import numpy as np

    means: Floats = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means


def lengthened(half: float, times: float = 2.0) -> float:
    """The agreement of panels that are so many times as large, from that of two small ones.

    Source: Spearman, "Correlation calculated from faulty data", and Brown, "Some experimental results in the
    correlation of mental abilities", British Journal of Psychology 3, 1910.
    """
    return times * half / (1.0 + (times - 1.0) * half)
