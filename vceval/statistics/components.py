"""Variance components of a mean whose items share speakers and texts: restricted maximum likelihood (REML).

An item is its target speaker's deviation, its source speaker's, its text's, that of the meeting of the two speakers,
and noise of its own. How much each of them varies decides how sure the mean of all items is, whatever the pattern in
which they meet: crossed, nested, partly, or unbalanced.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["RESIDUAL", "Design", "MeanError", "Side"]

#: Name of the component that every item has of its own, and of that of a target and a source speaker together.
RESIDUAL, MEETING = "residual", "meeting"
#: With more texts, or more meetings beside them, the variance of texts is found by moments: matrices would be large.
_MOST_TEXTS, _MOST_MEETINGS = 60, 200
#: Smallest share of the values' variance that the residual is given, so that matrices stay regular.
_FLOOR = 1e-4
_STEPS = 60
#: The search ends when the restricted log-likelihood rises by less.
_RISE = 1e-7
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
    """Items in the form that is fitted: rows of alike items, how many each holds, and the groups of each.

    meetings: whether a row is the meeting of two speakers and has a variance of its own. texts: where they are too many
    to be fitted beside speakers.
    """

    of_item: NDArray[np.intp]
    counts: NDArray[np.float64]
    sides: tuple[Side, ...]
    meetings: bool
    texts: Side | None = None


class Design:
    """The pattern in which speakers and texts meet in some items; fits any values over these items.

    Args:
        targets, sources, texts: label of each item, or None for a side that nothing is known of. A side without any
            label is left out; where only some items have a speaker, the others together are one group. Texts count
            where they repeat.

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
        self.levels = dict.fromkeys(given, 0)
        sides = []
        for name, side in labels.items():
            if all(label is None for label in side):
                continue
            if name == "text":  # what is not known is a text of its own
                side = [(place, None) if label is None else label for place, label in enumerate(side)]
                if len(set(side)) == len(side):
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
        self._parts = [slice(*ends) for ends in itertools.pairwise(self._starts.tolist())]
        size = int(self._starts[-1]) + 1
        self._sizes, kind = np.unique(rows.counts, return_inverse=True)
        self._kind = kind.reshape(-1)
        self._in_kind = np.bincount(self._kind, minlength=len(self._sizes)).astype(np.float64)
        columns = [start + side.codes for start, side in zip(self._starts.tolist(), rows.sides, strict=False)]
        self._columns = [*columns, np.full(len(rows.counts), size - 1)]
        self._size = size
        cells = len(self._sizes) * size * size
        places = (
            (self._kind * size + one) * size + other
            for one, other in itertools.product(self._columns, self._columns)
        )  # fmt: skip
        cross = np.zeros(cells)
        for place in places:
            cross += np.bincount(place, minlength=cells)
        self._cross = cross.reshape(len(self._sizes), size * size)
        weights = rows.counts / rows.counts.sum()
        self._contributions = [float(np.square(np.bincount(s.codes, weights, s.levels)).sum()) for s in rows.sides]
        if rows.meetings:
            self._contributions.append(float(np.square(weights).sum()))
        self._contributions.append(1.0 / max(self.items, 1))

    def _summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of a value per row over each group of each side, and over all."""
        import numpy as np

        found = [np.bincount(side.codes, values, side.levels) for side in self._rows.sides]
        return np.concatenate([*found, [values.sum()]])

    def _spread(self, effects: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per row the sum of what its groups, and the mean, have."""
        import numpy as np

        total = np.full(len(self._rows.counts), effects[-1])
        for column in self._columns[:-1]:
            total += effects[column]
        return total

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
        fit = _Fit(self, (given - given.mean()) / sqrt(spread))
        best = fit.search()
        found = best.variances
        names = [side.name for side in self._rows.sides] + [MEETING] * self._rows.meetings + [RESIDUAL]
        parts = np.array(self._contributions) * found
        freedom = self._freedom(found, parts, fit.expected(best)[1])
        result = _summed_up(names, found * spread, parts * spread, freedom)
        if self._rows.texts is None:
            return result
        left = given - sqrt(spread) * sum(
            (fit.predicted(best, place)[self._rows.of_item] for place in range(len(self._rows.sides))), np.zeros(1)
        )
        return _with_texts(result, left, self._rows.texts)

    def _freedom(
        self, variances: NDArray[np.float64], parts: NDArray[np.float64], information: NDArray[np.float64]
    ) -> float:
        """Degrees of freedom whose critical value is the mean of Satterthwaite's and Cochran's.

        Satterthwaite's are too many where a side of few speakers seems to vary little by chance, which Cochran's
        weighted critical value guards against; that one alone asks for too much. A component that was cut at zero
        counts less in Satterthwaite's: it varies less than one that may fall below.
        """
        import numpy as np
        from scipy.special import stdtridf, stdtrit

        contributions = np.array(self._contributions)
        variance = float(parts.sum())
        few = any(side.levels < _FEW for side in self._rows.sides)
        cut = np.where(variances <= _FLOOR, sqrt(_CUT_OF_FEW if few else _CUT), 1.0) * contributions
        moved = float(cut @ np.linalg.pinv(information, hermitian=True) @ cut)
        most = float(max(self.items - 1, 1))
        satterthwaite = min(max(2.0 * variance**2 / moved, 1.0), most) if moved > 0 else most
        if len(self._rows.sides) < 2:
            return satterthwaite
        # Kish's effective number of levels, less one
        single = np.clip(1.0 / contributions - 1.0, 1.0, most)
        critical = 0.5 * (stdtrit(satterthwaite, _LEVEL) + parts @ stdtrit(single, _LEVEL) / variance)
        return float(min(max(stdtridf(_LEVEL, critical), 1.0), most))


def _summed_up(
    names: Sequence[str], variances: NDArray[np.float64], parts: NDArray[np.float64], freedom: float
) -> MeanError:
    total = float(parts.sum())
    return MeanError(
        total,
        freedom,
        {name: float(value) for name, value in zip(names, variances, strict=True)},
        {name: float(value) / total for name, value in zip(names, parts, strict=True)},
    )


def _with_texts(spoken: MeanError, left: NDArray[np.float64], texts: Side) -> MeanError:
    """Add the variance of texts, by moments (one-way analysis of variance), to what speakers leave of the values."""
    import numpy as np

    items = len(left)
    counts = np.bincount(texts.codes, minlength=texts.levels).astype(np.float64)
    means = np.bincount(texts.codes, left, texts.levels) / counts
    between = float(counts @ np.square(means - left.mean())) / (texts.levels - 1)
    within = float(np.square(left - means[texts.codes]).sum()) / (items - texts.levels)
    usual = (items - float(counts @ counts) / items) / (texts.levels - 1)
    variance = max((between - within) / usual, 0.0)
    # As a part of the residual, each item's text counts already as if it were its own
    share = float(counts @ counts) / items**2
    part = variance * (share - 1.0 / items)
    total = spoken.variance + part
    freedom = total**2 / (spoken.variance**2 / spoken.freedom + part**2 / max(1.0 / share - 1.0, 1.0))
    return MeanError(
        total,
        min(freedom, items - 1.0),
        {**spoken.variances, texts.name: variance},
        {**{name: value * spoken.variance / total for name, value in spoken.shares.items()}, texts.name: part / total},
    )


class _Fit:
    """The restricted likelihood of one set of values (mean 0, variance 1) over a design.

    Matrices over items are never made: with Z the indicator columns of all sides and of the mean, D the variances that
    rows have of their own, W their inverse and C = Z'WZ, the projection P that REML rests on is W - W Z K Z'W.
    """

    def __init__(self, design: Design, values: NDArray[np.float64]) -> None:
        import numpy as np

        self.design = design
        rows = design._rows
        sums = np.bincount(rows.of_item, values, len(rows.counts))
        self.means = sums / rows.counts
        self.within = max(float(np.square(values).sum() - (sums * self.means).sum()), 0.0)
        self.within_freedom = float(len(values) - len(rows.counts))
        diagonals = 2 if rows.meetings else 1
        self.count = len(rows.sides) + diagonals
        self.least = np.append(np.zeros(self.count - 1), _FLOOR)
        # What the meeting's and the residual's variance count in a row, by its number of items
        self.diagonal = np.stack([np.ones_like(design._sizes), 1.0 / design._sizes])[-diagonals:]
        self.of_row = self.diagonal[:, design._kind]

    def search(self) -> _Point:
        """Climb to the largest restricted likelihood among variances that are not negative.

        Steps follow the average information, which is cheap; source: Gilmour, Thompson and Cullis, "Average information
        REML", Biometrics 51, 1995. Where one does not rise, the expected information gives the next.
        """
        import numpy as np

        here = self._at(self._start())
        expected = False
        for _ in range(_STEPS):
            direction = self._direction(here, expected)
            step = 1.0
            there = self._at(np.maximum(here.variances + direction, self.least))
            while not there.height >= here.height and step > 1e-3:
                step *= 0.5
                there = self._at(np.maximum(here.variances + step * direction, self.least))
            rise = there.height - here.height if np.isfinite(there.height) else -np.inf
            if rise > 0:
                here = there
            if rise < _RISE and (expected or step == 1.0):
                break
            expected = expected or rise < _RISE
        return here

    def _direction(self, here: _Point, expected: bool) -> NDArray[np.float64]:
        """Where the likelihood rises; variances at zero stay there unless they want to grow."""
        import numpy as np

        score, information = self.expected(here) if expected else self._average(here)
        free = (here.variances > self.least) | (score > 0)
        wanted, known = score[free], information[np.ix_(free, free)]
        found = np.linalg.lstsq(known, wanted, rcond=1e-12)[0]
        if not expected and float(np.abs(known @ found - wanted).max(initial=0.0)) > 1e-6 * (
            1.0 + float(np.abs(wanted).max(initial=0.0))
        ):
            return self._direction(here, True)  # the values have fewer dimensions than there are components
        direction = np.zeros(self.count)
        direction[free] = found
        # No leaps: where the residual vanishes the likelihood has no limit
        direction[-1] = max(direction[-1], -0.9 * here.variances[-1])
        return np.minimum(direction, 3.0 * here.variances + 0.3)

    def predicted(self, at: _Point, place: int) -> NDArray[np.float64]:
        """What each row has from its group of one side, as far as the values tell (best linear prediction)."""
        effects = at.variances[place] * at.along[self.design._parts[place]]
        found: NDArray[np.float64] = effects[self.design._rows.sides[place].codes]
        return found

    def _start(self) -> NDArray[np.float64]:
        """Guess the variances from how the means of the groups vary."""
        import numpy as np

        design = self.design
        found = np.full(self.count, 0.1)
        for place, side in enumerate(design._rows.sides):
            counts = np.bincount(side.codes, design._rows.counts, side.levels)
            sums = np.bincount(side.codes, self.means * design._rows.counts, side.levels)
            found[place] = min(max(float((sums / counts).var() - (1.0 / counts).mean()), 0.02), 1.0)
        found[-1] = max(1.0 - float(found[:-1].sum()), 0.2)
        return found

    def _at(self, variances: NDArray[np.float64]) -> _Point:
        """Compute what the likelihood and its derivatives need at some variances."""
        import numpy as np

        design = self.design
        size, sides = design._size, len(design._rows.sides)
        noise = variances[sides:] @ self.diagonal
        weight = 1.0 / noise
        cross = (weight @ design._cross).reshape(size, size)
        scale = np.sqrt(np.repeat(variances[:sides], np.diff(design._starts)))
        inner = scale[:, None] * cross[:-1, :-1] * scale
        inner[np.diag_indices_from(inner)] += 1.0
        kernel = np.zeros((size, size))
        kernel[:-1, :-1] = scale[:, None] * np.linalg.inv(inner) * scale
        border = cross[:-1, -1]
        column = np.append(-kernel[:-1, :-1] @ border, 1.0)
        whole = float(cross[-1] @ column)
        kernel += np.outer(column, column) / whole
        weighted = weight[design._kind] * self.means
        right = design._summed(weighted)
        effects = kernel @ right
        projected = weight[design._kind] * (self.means - design._spread(effects))
        quadratic = float(self.means @ projected)
        height = -0.5 * (
            float(design._in_kind @ np.log(noise))
            + 2.0 * float(np.log(np.diag(np.linalg.cholesky(inner))).sum())
            + float(np.log(whole))
            + quadratic
        )
        if self.within_freedom:
            last = float(variances[-1])
            height -= 0.5 * (self.within_freedom * float(np.log(last)) + self.within / last)
        return _Point(variances, weight, cross, kernel, projected, right - cross @ effects, height)

    def _score(self, at: _Point, traces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slope of the likelihood, given the traces of P times each component's matrix."""
        import numpy as np

        squares = [float(np.square(at.along[part]).sum()) for part in self.design._parts]
        squares += [float(np.square(at.projected) @ row) for row in self.of_row]
        score = 0.5 * (np.array(squares) - traces)
        if self.within_freedom:
            last = float(at.variances[-1])
            score[-1] += 0.5 * (self.within / last - self.within_freedom) / last
        return score

    def _average(self, at: _Point) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score and average information."""
        import numpy as np

        design = self.design
        inside = np.diag(at.cross) - np.einsum("ij,ij->i", at.cross @ at.kernel, at.cross)
        traces = [float(inside[part].sum()) for part in design._parts]
        for row in self.diagonal:
            cross = (np.square(at.weight) * row) @ design._cross
            traces.append(float(design._in_kind @ (at.weight * row)) - float(at.kernel.reshape(-1) @ cross))
        moved = [at.along[part][side.codes] for part, side in zip(design._parts, design._rows.sides, strict=True)]
        moved += [row * at.projected for row in self.of_row]
        weight = at.weight[design._kind]
        found = [weight * (one - design._spread(at.kernel @ design._summed(weight * one))) for one in moved]
        information = 0.5 * np.array([[float(one @ other) for other in found] for one in moved])
        if self.within_freedom:
            information[-1, -1] += 0.5 * self.within_freedom / float(at.variances[-1]) ** 2
        return self._score(at, np.array(traces)), information

    def expected(self, at: _Point) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score and expected information."""
        import numpy as np

        design = self.design
        size, parts = design._size, design._parts
        sides = len(parts)
        product = at.cross @ at.kernel
        inside = at.cross - product @ at.cross
        information = np.zeros((self.count, self.count))
        traces = [float(np.trace(inside[part, part])) for part in parts]
        for j, one in enumerate(parts):
            for k in range(j + 1):
                information[j, k] = float(np.square(inside[one, parts[k]]).sum())
        kept = np.eye(size) - product.T
        crosses = []
        for k, row in enumerate(self.diagonal):
            cross = ((np.square(at.weight) * row) @ design._cross).reshape(size, size)
            traces.append(float(design._in_kind @ (at.weight * row)) - float((at.kernel * cross).sum()))
            seen = np.einsum("ij,ij->j", kept, cross @ kept)
            information[sides + k, :sides] = [float(seen[part].sum()) for part in parts]
            crosses.append(at.kernel @ cross)
            for other in range(k + 1):
                both = row * self.diagonal[other]
                cubes = (at.weight**3 * both) @ design._cross
                information[sides + k, sides + other] = (
                    float(design._in_kind @ (np.square(at.weight) * both))
                    - 2.0 * float(at.kernel.reshape(-1) @ cubes)
                    + float(np.einsum("ij,ji->", crosses[k], crosses[other]))
                )
        information = 0.5 * (information + np.tril(information, -1).T)
        if self.within_freedom:
            information[-1, -1] += 0.5 * self.within_freedom / float(at.variances[-1]) ** 2
        return self._score(at, np.array(traces)), information


class _Point(NamedTuple):
    """A place of the search: weights of rows by size, C, K, Py of each row, Z'Py, and the log-likelihood."""

    variances: NDArray[np.float64]
    weight: NDArray[np.float64]
    cross: NDArray[np.float64]
    kernel: NDArray[np.float64]
    projected: NDArray[np.float64]
    along: NDArray[np.float64]
    height: float


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
    left = items - 1  # degrees of freedom: one at least is the residual's
    # Where there are too few items for all, a side of few groups counts more: one of nearly as many groups as items is
    # hardly more than the residual
    for side in sorted(sides, key=lambda side: side.levels):
        new = all(_joined(side, other, "").levels > side.levels or side.levels != other.levels for other in kept)
        if new and side.levels <= left:
            kept.append(side)
            left -= side.levels - 1
    kept = [side for side in sides if any(side is one for one in kept)]
    names = {side.name: side for side in kept}
    meeting = _joined(names["target"], names["source"], MEETING) if {"target", "source"} <= set(names) else None
    if meeting is not None and (
        meeting.levels <= max(names["target"].levels, names["source"].levels) or meeting.levels > 0.8 * items
    ):
        meeting = None
    single = _Rows(np.arange(items), np.ones(items), tuple(kept), False)
    text = names.get("text")
    if text is not None and text.levels <= _MOST_TEXTS and (meeting is None or meeting.levels <= _MOST_MEETINGS):
        return single if meeting is None else replace(single, sides=(*kept, meeting))
    spoken = tuple(side for side in kept if side is not text)
    if meeting is None:
        return replace(single, sides=spoken, texts=text)
    first = np.unique(meeting.codes, return_index=True)[1]
    counts = np.bincount(meeting.codes).astype(np.float64)
    return _Rows(meeting.codes, counts, tuple(Side(s.name, s.codes[first], s.levels) for s in spoken), True, text)
