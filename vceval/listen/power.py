"""How many listeners and recordings tell two systems apart: the power of the test that ``vceval listen import`` makes.

The difference of two systems has noise from listeners (who likes which system better), from what is said (on which
pair which system is better), and of single ratings. How much of each there is comes from a test that was made.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from importlib.resources import files
from math import exp, pi, sqrt
from typing import TYPE_CHECKING, NamedTuple

from vceval.errors import UsageError
from vceval.listen.differences import levelled
from vceval.listen.key import Rating
from vceval.statistics.components import Design
from vceval.statistics.inference import paired_residuals, t_quantile
from vceval.statistics.planning import Precision

if TYPE_CHECKING:
    import pandas

__all__ = [
    "LEVEL",
    "MOST",
    "QUESTIONS",
    "Noise",
    "as_ratings",
    "listeners_needed",
    "noise_of",
    "of_vcc2020",
    "precision",
]

#: Confidence of a one-sided test that errs as often as a two-sided one at 0.05.
LEVEL = 0.975
#: More listeners are not searched for.
MOST = 2_000
#: What can be planned for, and the kind of test that asks it.
QUESTIONS = {"quality": "mos", "similarity": "smos"}
#: Points of the similarity scale of VCC2020 lie further apart than those of a scale of five.
_STRETCH = 4.0 / 3.0
#: Pairs of systems from which noise is told.
_COMPARED = 40


class Noise(NamedTuple):
    """Variances of what makes the difference of two systems: per listener, per pair, and of single ratings.

    The difference of n ratings of each system by L listeners of F pairs has the variance
    ``listener`` / L + ``pair`` / F + ``rating`` / (2 n).
    """

    listener: float
    pair: float
    rating: float


def of_vcc2020(question: str, group: str) -> Noise:
    """The noise between two systems of VCC2020, on a scale of five points.

    Made by ``benchmarks/ratings/evidence.py``. That challenge asked for similarity on four points; its differences are
    stretched by 4/3.
    """
    with (files("vceval.benchmarks") / "ratings" / "noise.json").open(encoding="utf-8") as stream:
        known = json.load(stream)
    found = Noise(**known[group][question])
    scale = _STRETCH**2 if question == "similarity" else 1.0
    return Noise(*(scale * part for part in found))


def as_ratings(table: pandas.DataFrame, test: str) -> list[Rating]:
    """Rows of a table of ratings (listener, system, pair, score) as those of a listening test."""
    columns = (table[name].tolist() for name in ("listener", "system", "pair", "score"))
    return [Rating(rater, test, (system,), pair, score) for rater, system, pair, score in zip(*columns, strict=True)]


def noise_of(ratings: Sequence[Rating], seed: int = 0) -> Noise:
    """The noise between two systems of a test, on average over pairs of systems (so many of them, drawn).

    Raises:
        UsageError: fewer than two systems, listeners or pairs.
    """
    import numpy as np

    systems = sorted({one.conditions[0] for one in ratings})
    counts = len(systems), len({one.rater for one in ratings}), len({one.pair for one in ratings})
    if min(counts) < 2:
        raise UsageError(
            "a plan needs ratings of two systems, by two listeners, of two pairs at least; there are "
            f"{counts[0]}, {counts[1]} and {counts[2]}"
        )
    rest = levelled(ratings)
    mine: dict[str, list[tuple[Rating, float]]] = {name: [] for name in systems}
    for one, value in zip(ratings, rest, strict=True):
        mine[one.conditions[0]].append((one, value))
    pairs = list(itertools.combinations(systems, 2))
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(pairs))[:_COMPARED]
    found = []
    for first, second in (pairs[place] for place in chosen):
        ones, others = mine[first], mine[second]
        signs = np.repeat([1.0, 0.0], [len(ones), len(others)])
        values = np.array([value for _, value in (*ones, *others)])
        _, residuals = paired_residuals(values * signs, signs, values * (1.0 - signs), 1.0 - signs)
        both = [one for one, _ in (*ones, *others)]
        error = Design([one.rater for one in both], [one.pair for one in both]).mean_error(residuals)
        if error is not None:
            parts = error.variances
            # What is left of the noise of a group where it could not be told is in the ratings' own
            found.append((
                parts.get("target", 0.0), parts.get("source", 0.0), parts["residual"] + parts.get("meeting", 0.0),
            ))  # fmt: skip
    if not found:
        raise UsageError("the ratings of every two systems are alike; a plan can't tell their noise")
    return Noise(*(float(part) for part in np.mean(found, axis=0)))


def precision(noise: Noise, listeners: int, pairs: int, each: int) -> Precision:
    """How sure a difference will be.

    Args:
        noise: between two systems.
        listeners: how many there are, two at least.
        pairs: recordings of each system, two at least.
        each: ratings of each system by a listener.
    """
    from scipy.special import stdtridf

    ratings = 2 * listeners * each
    pairs = max(min(pairs, listeners * each), 2)  # no more can be heard
    parts = {
        "target": _estimated(noise.listener, noise.rating * listeners / ratings, listeners) / listeners,
        "source": _estimated(noise.pair, noise.rating * pairs / ratings, pairs) / pairs,
        "residual": noise.rating / ratings,
    }
    single = {"target": listeners - 1.0, "source": pairs - 1.0, "residual": ratings - 1.0}
    variance = sum(parts.values())
    satterthwaite = variance**2 / sum(part**2 / single[name] for name, part in parts.items())
    # As the test does: the mean of Satterthwaite's critical value and Cochran's
    cochran = sum(part * t_quantile(LEVEL, single[name]) for name, part in parts.items()) / variance
    freedom = float(stdtridf(LEVEL, (t_quantile(LEVEL, satterthwaite) + cochran) / 2.0))
    shares = {name: part / variance for name, part in parts.items()}
    return Precision(sqrt(variance), freedom, shares, {"target": listeners, "source": pairs}, ratings)


def _estimated(variance: float, noise: float, groups: int) -> float:
    """What a component comes out as on average: estimates below zero are zero, so that small ones are too large."""
    from scipy.special import ndtr

    spread = (variance + noise) * sqrt(2.0 / (groups - 1.0))
    place = variance / spread
    return float(variance * ndtr(place) + spread * exp(-place * place / 2.0) / sqrt(2.0 * pi))


def listeners_needed(noise: Noise, difference: float, power: float, pairs: int, each: int) -> int | None:
    """The fewest listeners with whom a difference is found so often; None where ``MOST`` are not enough."""

    def enough(listeners: int) -> bool:
        return precision(noise, listeners, pairs, each).power(LEVEL, difference) >= power

    low, high = 1, 2
    while not enough(high):
        if high >= MOST:
            return None
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
