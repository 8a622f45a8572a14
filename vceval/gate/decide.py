"""The statistics of one rule: how much worse, how sure, and how many pairs would be enough to tell.

A worsening is new minus old on the same pairs, turned so that positive is worse. Its standard error comes from the
bootstrap over whole target speakers (crossed with source speakers where they cross), and is never smaller than that of
independent pairs: with a handful of speakers the estimate over speakers is often too small by chance, and raises false
alarms then. Student's t with (speakers - 1) degrees of freedom then gives two one-sided p-values: against
"no worse than allowed" (small: ``regress``) and against "worse than allowed" (small: ``pass``).

Sources: Cameron, Gelbach, Miller, "Bootstrap-based improvements for inference with clustered errors", The Review of
Economics and Statistics 90, 2008; Angrist and Pischke, "Mostly Harmless Econometrics", 2009, section 8.2 (the larger
of the clustered and the plain error); Schuirmann, "A comparison of the two one-sided tests procedure", Journal of
Pharmacokinetics and Biopharmaceutics 15, 1987 (showing that something is no worse).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Literal

from vceval.gate.rules import MeasureRule
from vceval.statistics.intervals import holm, paired_effects, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["POWER", "Family", "Outcome", "Worsening", "allowance", "enough", "measure_worsening", "one_sided"]

Outcome = Literal["pass", "regress", "undecided"]

#: How often the pairs that are called enough decide for `pass` where nothing changed.
POWER = 0.8
#: More clusters than this are not asked for: no corpus has them.
MOST_CLUSTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Worsening:
    """Worsenings beyond the allowance, one per series, with their standard errors.

    beyond: worsening minus what is allowed; errors: NaN where there are fewer than two clusters.
    by: what the clusters are: ``target speakers``, ``source speakers`` or ``pairs``.
    identical: whether not one pair differs.
    """

    beyond: NDArray[np.float64]
    errors: NDArray[np.float64]
    pairs: int
    clusters: int
    by: str
    identical: NDArray[np.bool_]


def allowance(rule: MeasureRule, old: float) -> float:
    """How much worse than ``old`` a measure may become, in stored units."""
    return rule.worsening * abs(old) if rule.relative else rule.worsening


def measure_worsening(
    new: tuple[ArrayLike, ArrayLike],
    old: tuple[ArrayLike, ArrayLike],
    targets: Sequence[str | None],
    sources: Sequence[str | None],
    *,
    sign: float,
    allowed: float,
    relative: bool = False,
) -> Worsening:
    """Measure by how much more than allowed a measure became worse.

    Args:
        new: numerators and denominators of the new run, each of shape (pairs,) or (series, pairs).
        old: those of the baseline, for the same pairs.
        targets: target speaker of each pair.
        sources: source speaker of each pair.
        sign: 1 where lower is better, -1 where higher is.
        allowed: allowed worsening, in stored units or as a share of the old value.
        relative: whether it is a share; old values must then be positive.

    Returns:
        One value per series (shape () for one-dimensional sums).

    Raises:
        ValueError: lengths differ, a value is not finite, or a denominator sums to zero.
    """
    import numpy as np

    (n1, d1), (n0, d0) = ([np.asarray(part, dtype=np.float64) for part in sums] for sums in (new, old))
    identical = ((n1 == n0) & (d1 == d0)).all(axis=-1)
    if relative:  # new - (1 + share) old, so that the noise of the old value counts as well
        n0, allowed = n0 * (1.0 + sign * allowed), 0.0
    clusters, crossed, by = _clusters(targets, sources)
    effects = paired_effects(n1, d1, n0, d0, clusters, crossed=crossed)
    if effects.clusters < len(set(clusters)) and by == "target speakers":
        by = "source speakers"  # crossed, and the smaller side
    pairs = n1.shape[-1]
    single = np.sqrt(np.square(_influence(n1, d1) - _influence(n0, d0)).sum(axis=-1) * pairs / max(pairs - 1, 1))
    single = np.where(single <= 1e-9 * np.abs(effects.values), 0.0, single)  # rounding noise
    errors = np.maximum(effects.errors, single)
    return Worsening(sign * effects.values - allowed, errors, pairs, effects.clusters, by, identical)


def _clusters(
    targets: Sequence[str | None], sources: Sequence[str | None]
) -> tuple[Sequence[str | None], Sequence[str | None] | None, str]:
    """What is resampled: target speakers; source speakers for a single target; else pairs, each for itself."""
    if len(set(targets)) > 1:
        return targets, sources, "target speakers"
    if len(set(sources)) > 1:
        return sources, None, "source speakers"
    return [None] * len(targets), None, "pairs"


def _influence(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    total = denominators.sum(axis=-1, keepdims=True)
    share: NDArray[np.float64] = (numerators - numerators.sum(axis=-1, keepdims=True) / total * denominators) / total
    return share


def one_sided(found: Worsening) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P-values against "no worse than allowed" and against "worse than allowed", one per series.

    Where every pair shows the same difference there is no noise to compare with: the first is then 2 ** -pairs (a
    sign test) where it is beyond the allowance, else 1, and the second the other way round. NaN below two
    clusters, unless nothing differs.
    """
    import numpy as np
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = found.beyond / found.errors
    freedom = max(found.clusters - 1, 1)
    worse, within = stdtr(freedom, -statistic), stdtr(freedom, statistic)
    same = found.errors == 0.0
    certain, above = 2.0**-found.pairs, found.beyond > 0.0
    worse = np.where(same, np.where(above, certain, 1.0), worse)
    within = np.where(same, np.where(above, 1.0, certain), within)
    return np.where(found.identical, 1.0, worse), np.where(found.identical, 0.0, within)


@dataclass(frozen=True, slots=True)
class Family:
    """All decisions of one gate, which share one chance of a false alarm.

    That of the least confident rule is the chance for all of them together, and Holm's procedure shares it out by
    what each rule asks for: a rule of confidence 0.99 gets a fifth of what one of 0.95 gets.
    """

    rules: Sequence[MeasureRule]

    @property
    def alarm(self) -> float:
        """Largest chance that any of the rules is ``regress`` where nothing is worse than allowed."""
        return 1.0 - min((rule.confidence for rule in self.rules), default=1.0)

    def corrected(self, p_values: Sequence[float]) -> list[float]:
        """The p-values against "no worse than allowed", one per rule, corrected for all of them."""
        return holm(p_values, [1.0 - rule.confidence for rule in self.rules])

    def share(self, rule: MeasureRule) -> float:
        """The level at which one rule is tested first."""
        return self.alarm * (1.0 - rule.confidence) / sum(1.0 - one.confidence for one in self.rules)

    def outcome(self, rule: MeasureRule, identical: bool, p_holm: float | None, p_within: float) -> Outcome:
        """Decide a rule from its corrected p-value (None where untested) and the one against "worse than allowed"."""
        if identical:
            return "pass"
        if p_holm is None:
            return "undecided"
        if p_holm <= self.alarm:
            return "regress"
        return "pass" if p_within <= 1.0 - rule.pass_confidence else "undecided"


def enough(error: float, clusters: int, pairs: int, allowed: float, confidence: float) -> tuple[int, int] | None:
    """Say how many clusters and pairs of the same kind would be enough for ``pass`` where nothing changed.

    The error falls with the root of the number of clusters, each with as many pairs as now; the rule must then pass
    in POWER of all cases.

    Returns:
        (clusters, pairs), or None where no number is: nothing is allowed, or there is no error to go by.
    """
    if not allowed > 0.0 or not error > 0.0 or clusters < 2:
        return None

    def decides(count: int) -> bool:
        reach = t_quantile(confidence, count - 1) + t_quantile(POWER, count - 1)
        return error * sqrt(clusters / count) * reach <= allowed

    low, high = 1, 2
    while not decides(high):
        if high > MOST_CLUSTERS:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high, ceil(pairs * high / clusters)
