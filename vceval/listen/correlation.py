"""How well each metric agrees with listeners: over systems, and over single recordings.

Agreement over systems is what a results table needs, and with few systems nobody can know it well: its interval says
so. Agreement over recordings is about the systems of the test alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import atanh, sqrt, tanh
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from vceval.statistics.bootstrap import percentile_levels, resample

if TYPE_CHECKING:
    import pandas
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Correlation", "agreement", "clustered_correlation", "pearson", "spearman"]

#: Fewer points have no correlation worth printing.
_LEAST = 3


class Correlation(NamedTuple):
    """A coefficient and its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


def pearson(ones: Sequence[float], others: Sequence[float]) -> Correlation:
    """Pearson's correlation of independent points, with Fisher's interval; none for fewer than four or exact ones.

    Args:
        ones: shape (n,), at least two, not all the same.
        others: likewise.
    """
    from scipy.stats import pearsonr

    found = pearsonr(ones, others)
    value = float(found.statistic)
    if _without_interval(value, ones):
        return Correlation(value, None, None)
    interval = found.confidence_interval(0.95)
    return Correlation(value, float(interval.low), float(interval.high))


def spearman(ones: Sequence[float], others: Sequence[float]) -> Correlation:
    """Spearman's correlation of independent points, which varies a little more than Pearson's; else like that.

    Source: Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
    Psychometrika 65, 2000.
    """
    from scipy.stats import spearmanr

    value = float(spearmanr(ones, others).statistic)
    if _without_interval(value, ones):
        return Correlation(value, None, None)
    reach = NormalDist().inv_cdf(0.975) * sqrt((1 + value**2 / 2) / (len(ones) - 3))
    return Correlation(value, tanh(atanh(value) - reach), tanh(atanh(value) + reach))


def _without_interval(value: float, points: Sequence[float]) -> bool:
    return len(points) < 4 or abs(value) > 1.0 - 1e-9  # exact but for rounding


def clustered_correlation(ones: ArrayLike, others: ArrayLike, clusters: Sequence[str]) -> Correlation:
    """Pearson's correlation of points that come in clusters, with an interval that resamples whole clusters.

    The coefficient follows from sums over points, so each resample adds up the sums of the clusters drawn.

    Args:
        ones: shape (n,).
        others: shape (n,); for Spearman's coefficient give ranks, which are kept as they are in all resamples.
        clusters: label of each point.
    """
    import numpy as np

    # Around their means, so that no digits are lost in the sums
    x, y = np.asarray(ones, dtype=np.float64), np.asarray(others, dtype=np.float64)
    x, y = x - x.mean(), y - y.mean()
    if len(x) < _LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(None, None, None)
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    totals, drawn, count = resample(columns, list(clusters))
    value = float(_from_sums(totals))
    if count < _LEAST:
        return Correlation(value, None, None)
    resampled = _from_sums(drawn)
    resampled = resampled[np.isfinite(resampled)]
    low, high = np.quantile(resampled, percentile_levels(count))
    return Correlation(value, float(low), float(high))


def _from_sums(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    n, x, y, xx, yy, xy = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(xx - x * x / n, 0) * np.maximum(yy - y * y / n, 0))
        found: NDArray[Any] = np.clip((xy - x * y / n) / spread, -1.0, 1.0)
    return found


def agreement(
    human: Sequence[Mapping[str, Any]],
    cells: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    scores: pandas.DataFrame,
    systems: Mapping[str, bool],
) -> list[dict[str, Any]]:
    """Correlate every measure of a run with every kind of human score.

    Args:
        human: mean rating per system and pair (:func:`vceval.listen.opinion_scores.per_pair`).
        cells: human scores per system (:func:`vceval.listen.opinion_scores.cells`).
        summary: of the run; what it says of measures, and figures that are no sums over pairs (EER, AUC).
        scores: of the run.
        systems: names of the rows, with whether each is a control.

    Returns:
        Per human measure, measure and level (``systems``: converters; ``rows``: with controls; ``recordings``: of
        converters; ``within``: the same less the mean of each system, so that only recordings of one system are told
        apart): ``n`` points, Pearson's and Spearman's coefficients with intervals, and whether the sign is the one
        that the measure's direction promises. A metric's figure is taken over the pairs that were rated.
    """
    rated: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for row in human:
        if row["system"] in systems:
            rated[row["measure"]][row["system"], row["pair"]] = float(row["value"])
    means = {
        (cell["measure"], cell["system"]): cell["value"]
        for cell in cells
        if (cell["dataset"], cell["direction"]) == ("all", "all") and cell["value"] is not None
    }
    whole = {
        (cell["measure"], cell["system"]): cell["value"]
        for cell in summary.get("cells", ())
        if (cell["dataset"], cell["direction"]) == ("all", "all") and cell["value"] is not None
    }
    found = []
    by_measure = dict(tuple(scores.groupby("measure")))
    for measure in summary.get("measures", ()):
        name, ratio = measure["name"], measure.get("reduction", "ratio") == "ratio"
        table: Mapping[tuple[str, str], tuple[float, float, float]] = {}
        if name in by_measure:
            columns = (by_measure[name][c].tolist() for c in ("system", "pair", "value", "numerator", "denominator"))
            table = {(s, p): (v, n, d) for s, p, v, n, d in zip(*columns, strict=True)}
        for scale, stimuli in rated.items():
            common = [key for key in stimuli if key in table]
            figures = _figures(table, common) if ratio else {s: whole[m, s] for m, s in whole if m == name}
            facts = {"human": scale, "measure": name, "better": measure["better"]}
            for level, rows in (
                ("systems", [s for s, control in systems.items() if not control]),
                ("rows", list(systems)),
            ):
                both = [s for s in rows if s in figures and (scale, s) in means]
                entry = _over_systems([figures[s] for s in both], [means[scale, s] for s in both])
                if level == "systems" or len(both) > sum(not systems[s] for s in both):
                    found.append({**facts, "level": level, "n": len(both), **entry})
            if ratio:
                points = [key for key in common if not systems[key[0]]]
                for level in ("recordings", "within"):
                    entry = _over_recordings(points, table, stimuli, level == "within")
                    found.append({**facts, "level": level, "n": len(points), **entry})
    return [{**entry, "agrees": _agrees(entry)} for entry in found]


def _figures(
    table: Mapping[tuple[str, str], tuple[float, float, float]], keys: Sequence[tuple[str, str]]
) -> dict[str, float]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for key in keys:
        sums[key[0]][0] += table[key][1]
        sums[key[0]][1] += table[key][2]
    return {system: numerator / denominator for system, (numerator, denominator) in sums.items() if denominator}


def _over_systems(ones: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    empty = Correlation(None, None, None)
    if len(ones) < _LEAST or np.ptp(ones) == 0 or np.ptp(others) == 0:
        return _named(empty, empty)
    return _named(pearson(ones, others), spearman(ones, others))


def _over_recordings(
    keys: Sequence[tuple[str, str]],
    table: Mapping[tuple[str, str], tuple[float, float, float]],
    stimuli: Mapping[tuple[str, str], float],
    within: bool,
) -> dict[str, Any]:
    import numpy as np
    from scipy.stats import rankdata

    systems, pairs = [system for system, _ in keys], [pair for _, pair in keys]
    values = (np.array([table[key][0] for key in keys]), np.array([stimuli[key] for key in keys]))
    if len(keys) < _LEAST:
        empty = Correlation(None, None, None)
        return _named(empty, empty)
    ranks = (rankdata(values[0]), rankdata(values[1]))
    if within:
        values = (_centred(values[0], systems), _centred(values[1], systems))
        ranks = (_centred(ranks[0], systems), _centred(ranks[1], systems))
    return _named(clustered_correlation(*values, pairs), clustered_correlation(*ranks, pairs))


def _centred(values: NDArray[Any], systems: Sequence[str]) -> NDArray[Any]:
    """Take the mean of each system away; what is left of rounding is no difference."""
    import numpy as np

    _, codes = np.unique(systems, return_inverse=True)
    means = np.bincount(codes, values) / np.bincount(codes)
    rest = values - means[codes]
    return np.where(np.abs(rest) < 1e-9 * max(1.0, float(np.abs(values).max())), 0.0, rest)


def _named(plain: Correlation, of_ranks: Correlation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in (("pearson", plain), ("spearman", of_ranks)):
        found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return found


def _agrees(entry: Mapping[str, Any]) -> bool | None:
    value = entry["spearman"]
    return None if value is None else bool(value > 0) == (entry["better"] == "higher")
