"""Variance components of a mean whose items share speakers and texts: restricted maximum likelihood (REML).

An item is its target speaker's deviation, its source speaker's, its text's, that of the meeting of the two speakers,
and noise of its own. How much each of them varies decides how sure the mean of all items is, whatever the pattern in
which they meet: crossed, nested, partly, or unbalanced.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["RESIDUAL", "Design", "MeanError", "Side"]

#: Name of the component that every item has of its own, and of that of a target and a source speaker together.
RESIDUAL, MEETING = "residual", "meeting"
#: More levels than this of meetings are not fitted beside texts: their noise is then summed by meeting instead.
_MOST_MEETINGS = 200
#: Smallest share of the values' variance that the residual is given, so that matrices stay regular.
_FLOOR = 1e-9
_STEPS = 60
#: The search ends when the restricted log-likelihood rises by less.
_RISE = 1e-9
#: Level at which two critical values are joined into one.
_LEVEL = 0.975
#: Share of its variance that a component keeps in the degrees of freedom when it was cut at zero: that of half a normal
#: distribution, 1/2 - 1/(2 pi); more where a side has fewer speakers than ``_FEW``.
_CUT, _CUT_OF_FEW, _FEW = 0.34, 0.6, 4


class Side(NamedTuple):
    """One grouping of the items: its name, the group of each item (numbers from 0), and how many groups there are."""

    name: str
    codes: NDArray[np.intp]
    levels: int


class MeanError(NamedTuple):
    """How sure a mean is. variances: per component. shares: of the mean's variance, per component, together 1.

    freedom: Satterthwaite's degrees of freedom of the variance.
    """

    variance: float
    freedom: float
    variances: dict[str, float]
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Items in the form that is fitted: rows of alike items, how many each holds, and the groups of each."""

    of_item: NDArray[np.intp]
    counts: NDArray[np.float64]
    sides: tuple[Side, ...]
    meetings: bool


class Design:
    """The pattern in which speakers and texts meet in some items; fits any values over these items.

    Args:
        targets, sources, texts: label of each item, or None for a side that nothing is known of. A side without any
            label is left out; where only some items have one, the others together are one group. Texts count where
            they repeat.

    Raises:
        ValueError: lengths differ.
    """

    def __init__(
        self,
        targets: Sequence[Hashable | None] | None,
        sources: Sequence[Hashable | None] | None = None,
        texts: Sequence[Hashable | None] | None = None,
    ) -> None:
        given = {"target": targets, "source": sources, "text": texts}
        labels = {name: list(side) for name, side in given.items() if side is not None}
        if len({len(side) for side in labels.values()}) != 1:
            raise ValueError(f"lengths differ: {', '.join(f'{name} {len(side)}' for name, side in labels.items())}")
        self.items = len(next(iter(labels.values())))
        #: How many speakers and texts there are, by side; 0 for one without labels.
        self.levels = {name: 0 for name in given}
        sides = []
        for name, side in labels.items():
            if all(label is None for label in side):
                continue
            codes, count = _codes(side)
            self.levels[name] = count
            sides.append(Side(name, codes, count))
        #: Group of each item, by side.
        self.codes = {side.name: side.codes for side in sides}
        self._rows = _rows(sides, self.items)
        self._crosses()

    @property
    def sides(self) -> tuple[Side, ...]:
        """The groupings that vary and repeat, each once: those whose variance is fitted."""
        return self._rows.sides

    def contribution(self, name: str) -> float:
        """What the variance of a fitted side counts in that of the mean: the sum of its groups' squared shares."""
        names = [side.name for side in self._rows.sides]
        return self._contributions[names.index(name)]

    def _crosses(self) -> None:
        """Sum the products of all indicator columns, per number of items in a row: all that a fit needs of them."""
        import numpy as np

        rows = self._rows
        self._starts = np.cumsum([0, *(side.levels for side in rows.sides)])
        size = int(self._starts[-1]) + 1
        self._sizes, kind = np.unique(rows.counts, return_inverse=True)
        self._kind = kind.reshape(-1)
        columns = [start + side.codes for start, side in zip(self._starts, rows.sides, strict=False)]
        columns.append(np.full(len(rows.counts), size - 1))
        flat = np.zeros((len(self._sizes), size * size))
        for number in range(len(self._sizes)):
            chosen = self._kind == number
            for one in columns:
                for other in columns:
                    flat[number] += np.bincount(one[chosen] * size + other[chosen], minlength=size * size)
        self._cross = flat
        self._columns = columns
        self._size = size
        self._in_kind = np.bincount(self._kind, minlength=len(self._sizes)).astype(np.float64)
        total = rows.counts.sum()
        weights = rows.counts / total
        self._contributions = [float(np.square(np.bincount(s.codes, weights, s.levels)).sum()) for s in rows.sides]
        if rows.meetings:
            self._contributions.append(float(np.square(weights).sum()))
        self._contributions.append(1.0 / total)

    def mean_error(self, values: ArrayLike) -> MeanError | None:
        """Estimate the variance of the mean of some values, one per item; None for fewer than two, or no spread.

        Components below zero are zero, and count in the degrees of freedom. Source: Patterson and Thompson, "Recovery
        of inter-block information when block sizes are unequal", Biometrika 58, 1971 (REML); Satterthwaite, "An
        approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946; Giesbrecht and
        Burns, "Two-stage analysis based on a mixed model", Biometrics 41, 1985 (from the expected information).
        """
        import numpy as np

        given = np.asarray(values, dtype=np.float64)
        if given.shape != (self.items,):
            raise ValueError(f"lengths differ: {given.shape} values, {self.items} items")
        spread = float(given.var()) if self.items > 1 else 0.0
        largest = float(np.abs(given).max()) if self.items else 0.0
        if not spread > (1e-12 * largest) ** 2:
            return None
        scaled = (given - given.mean()) / np.sqrt(spread)
        fit = _Fit(self, scaled)
        found = fit.search()
        information = fit.information(found)
        parts = np.array(self._contributions) * found
        variance = float(parts.sum())
        names = [side.name for side in self._rows.sides] + [MEETING] * self._rows.meetings + [RESIDUAL]
        return MeanError(
            variance * spread,
            self._freedom(found, information),
            {name: float(value) * spread for name, value in zip(names, found, strict=True)},
            {name: float(value) / variance for name, value in zip(names, parts, strict=True)},
        )

    def _freedom(self, variances: NDArray[np.float64], information: NDArray[np.float64]) -> float:
        """Degrees of freedom whose critical value is the mean of Satterthwaite's and Cochran's.

        Satterthwaite's are too many where a side of few speakers seems to vary little by chance, which Cochran's
        weighted critical value guards against; that one alone asks for too much. A component that was cut at zero
        counts less in Satterthwaite's: it varies less than one that may fall below.
        """
        import numpy as np
        from scipy.special import stdtridf, stdtrit

        contributions = np.array(self._contributions)
        parts = contributions * variances
        variance = float(parts.sum())
        few = any(side.levels < _FEW for side in self._rows.sides)
        cut = np.where(variances <= _FLOOR, sqrt(_CUT_OF_FEW if few else _CUT), 1.0) * contributions
        moved = float(cut @ np.linalg.pinv(information, hermitian=True) @ cut)
        most = float(max(self.items - 1, 1))
        satterthwaite = min(max(2.0 * variance**2 / moved, 1.0), most) if moved > 0 else most
        # Kish's effective number of levels, less one
        single = np.clip(1.0 / contributions - 1.0, 1.0, most)
        critical = 0.5 * (stdtrit(satterthwaite, _LEVEL) + parts @ stdtrit(single, _LEVEL) / variance)
        return float(min(max(stdtridf(_LEVEL, critical), 1.0), most))


class _Fit:
    """The restricted likelihood of one set of values (mean 0, variance 1) over a design."""

    def __init__(self, design: Design, values: NDArray[np.float64]) -> None:
        import numpy as np

        self.design = design
        rows = design._rows
        sums = np.bincount(rows.of_item, values, len(rows.counts))
        self.means = sums / rows.counts
        within = np.square(values).sum() - (sums * self.means).sum()
        self.within = max(float(within), 0.0)
        self.within_freedom = float(len(values) - len(rows.counts))
        self.diagonals = 2 if rows.meetings else 1
        self.count = len(rows.sides) + self.diagonals
        # Per size of a row: what the meeting's and the residual's variance count there
        self.diagonal = np.stack([np.ones_like(design._sizes), 1.0 / design._sizes])[-self.diagonals :]
        self.sizes = [side.levels for side in rows.sides]

    def _shared(self, variances: NDArray[np.float64]) -> _Shared:
        import numpy as np

        design, size = self.design, self.design._size
        sides = len(self.sizes)
        noise = variances[sides:] @ self.diagonal
        weight = 1.0 / noise
        cross = (weight @ design._cross).reshape(size, size)
        scale = np.sqrt(np.repeat(variances[:sides], self.sizes))
        inner = scale[:, None] * cross[:-1, :-1] * scale
        inner[np.diag_indices_from(inner)] += 1.0
        factor = np.linalg.cholesky(inner)
        solved = np.linalg.solve(factor, np.diag(scale)) if len(scale) else np.zeros((0, 0))
        hidden = solved.T @ solved
        border = cross[:-1, -1]
        whole = float(cross[-1, -1] - border @ hidden @ border)
        removed = np.zeros((size, size))
        removed[:-1, :-1] = hidden
        column = np.append(-hidden @ border, 1.0)
        removed += np.outer(column, column) / whole
        logs = (
            float(design._in_kind @ np.log(noise)) + 2.0 * float(np.log(np.diag(factor)).sum()) + float(np.log(whole))
        )
        return _Shared(weight, cross, removed, logs)

    def _moved(self, shared: _Shared) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """y'Py, Z'Py and Py."""
        import numpy as np

        design = self.design
        weight = shared.weight[design._kind]
        weighted = weight * self.means
        right = np.zeros(design._size)
        for column in design._columns:
            right += np.bincount(column, weighted, design._size)
        effects = shared.removed @ right
        quadratic = float((weighted * self.means).sum() - right @ effects)
        residual = self.means.copy()
        for column in design._columns:
            residual -= effects[column]
        return quadratic, right - shared.cross @ effects, weight * residual

    def likelihood(self, variances: NDArray[np.float64], shared: _Shared, quadratic: float) -> float:
        import numpy as np

        found = -0.5 * (shared.logs + quadratic)
        if self.within_freedom:
            found -= 0.5 * (self.within_freedom * float(np.log(variances[-1])) + self.within / float(variances[-1]))
        return found

    def _derivatives(
        self,
        variances: NDArray[np.float64],
        shared: _Shared,
        moved: tuple[float, NDArray[np.float64], NDArray[np.float64]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score and expected information of the variances."""
        import numpy as np

        design = self.design
        sides, size = len(self.sizes), design._size
        starts = design._starts
        _, along, residual = moved
        product = shared.cross @ shared.removed
        inside = shared.cross - product @ shared.cross
        parts = [slice(starts[j], starts[j + 1]) for j in range(sides)]
        score, information = np.zeros(self.count), np.zeros((self.count, self.count))
        for j, one in enumerate(parts):
            score[j] = 0.5 * (float(np.square(along[one]).sum()) - float(np.trace(inside[one, one])))
            for k in range(j + 1):
                information[j, k] = information[k, j] = 0.5 * float(np.square(inside[one, parts[k]]).sum())
        kept = np.eye(size) - product.T
        squares = np.bincount(design._kind, np.square(residual), len(design._sizes))
        crossed = []
        for k in range(self.diagonals):
            weights = np.square(shared.weight) * self.diagonal[k]
            cross = (weights @ design._cross).reshape(size, size)
            place = sides + k
            trace = float(design._in_kind @ (shared.weight * self.diagonal[k])) - float((shared.removed * cross).sum())
            score[place] = 0.5 * (float(squares @ self.diagonal[k]) - trace)
            seen = np.einsum("ij,ij->j", kept, cross @ kept)
            for j, one in enumerate(parts):
                information[j, place] = information[place, j] = 0.5 * float(seen[one].sum())
            crossed.append(shared.removed @ cross)
        for k in range(self.diagonals):
            for other in range(k + 1):
                both = self.diagonal[k] * self.diagonal[other]
                cubes = (shared.weight**3 * both) @ design._cross
                value = (
                    float(design._in_kind @ (np.square(shared.weight) * both))
                    - 2.0 * float(shared.removed.reshape(-1) @ cubes)
                    + float(np.einsum("ij,ji->", crossed[k], crossed[other]))
                )
                information[sides + k, sides + other] = information[sides + other, sides + k] = 0.5 * value
        if self.within_freedom:
            last = float(variances[-1])
            score[-1] += 0.5 * (self.within / last - self.within_freedom) / last
            information[-1, -1] += 0.5 * self.within_freedom / last**2
        return score, information

    def information(self, variances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected information at some variances."""
        shared = self._shared(variances)
        return self._derivatives(variances, shared, self._moved(shared))[1]

    def search(self) -> NDArray[np.float64]:
        """Climb to the largest restricted likelihood among variances that are not negative, by Fisher scoring."""
        import numpy as np

        least = np.append(np.zeros(self.count - 1), _FLOOR)
        variances = np.full(self.count, 0.5 / max(self.count - 1, 1))
        variances[-1] = 0.5
        shared = self._shared(variances)
        moved = self._moved(shared)
        height = self.likelihood(variances, shared, moved[0])
        for _ in range(_STEPS):
            score, information = self._derivatives(variances, shared, moved)
            free = (variances > least) | (score > 0)
            direction = np.zeros(self.count)
            direction[free] = np.linalg.lstsq(information[np.ix_(free, free)], score[free], rcond=1e-12)[0]
            step = 1.0
            while True:
                tried = np.maximum(variances + step * direction, least)
                there = self._shared(tried)
                found = self._moved(there)
                new = self.likelihood(tried, there, found[0])
                if new >= height - 1e-12 or step < 1e-6:
                    break
                step *= 0.5
            rise = new - height
            if rise > 0:
                variances, shared, moved, height = tried, there, found, new
            if rise < _RISE:
                break
        return variances


class _Shared(NamedTuple):
    """What one set of variances gives: weights of rows by size, Z'WZ, the part that is removed, and log determinants."""

    weight: NDArray[np.float64]
    cross: NDArray[np.float64]
    removed: NDArray[np.float64]
    logs: float


def _codes(labels: Sequence[Hashable | None]) -> tuple[NDArray[np.intp], int]:
    """Number the groups by label, so that the order of items changes nothing."""
    import numpy as np

    known = sorted(set(labels), key=lambda label: (label is not None, str(label)))
    number = {label: index for index, label in enumerate(known)}
    return np.array([number[label] for label in labels], dtype=np.intp), len(known)


def _joined(one: Side, other: Side, name: str) -> Side:
    """The grouping by both."""
    import numpy as np

    found, codes = np.unique(one.codes * other.levels + other.codes, return_inverse=True)
    return Side(name, codes.reshape(-1), len(found))


def _rows(given: Sequence[Side], items: int) -> _Rows:
    """Choose the groupings that can be told apart, and join items that share all of them."""
    import numpy as np

    # One group says nothing of others; groups of one item each are the residual
    sides = [side for side in given if 1 < side.levels < items]
    kept: list[Side] = []
    for side in sides:
        if all(_joined(side, other, "").levels > max(side.levels, other.levels) or side.levels != other.levels
               for other in kept):  # fmt: skip
            kept.append(side)
    names = {side.name: side for side in kept}
    meeting = _joined(names["target"], names["source"], MEETING) if {"target", "source"} <= set(names) else None
    if meeting is not None and (
        meeting.levels <= max(names["target"].levels, names["source"].levels) or meeting.levels > 0.8 * items
    ):
        meeting = None
    single = np.arange(items)
    if "text" in names:
        if meeting is not None and meeting.levels <= _MOST_MEETINGS:
            kept.append(meeting)
        return _Rows(single, np.ones(items), tuple(kept), False)
    if meeting is None:
        return _Rows(single, np.ones(items), tuple(kept), False)
    first = np.unique(meeting.codes, return_index=True)[1]
    counts = np.bincount(meeting.codes).astype(np.float64)
    return _Rows(meeting.codes, counts, tuple(Side(s.name, s.codes[first], s.levels) for s in kept), True)
