"""Who can be the best of several, told by the same values by which one of them is picked: comparisons with the best.

Whoever is first of many is first partly by luck. "It is the best" is rejected of another one where the first is better
by a one-sided test, at a level that is shared out among all that could have been first. Those of whom it is not
rejected hold the best with the confidence asked for, however many tie; nothing is assumed of how the values go
together.

Source: Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the best", Annals of
Statistics 12, 1984 (here with errors that differ by pair, and Bonferroni's critical values); Gupta, "On some multiple
decision (selection and ranking) rules", Technometrics 7, 1965 (the set that holds the best).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vceval.statistics.inference import Difference, t_quantile

__all__ = ["behind", "corrected", "level", "opposite", "shrunk"]


def level(count: int, alpha: float) -> float:
    """Confidence of the two-sided interval of each difference, for comparisons with the best of ``count``.

    Each one-sided test is made at alpha over the number of the others: the best may be any, and the first any of the
    others. Of two it is half of alpha, as in the usual two-sided test, since either can seem to win where both are
    equally good. Where two tie at the top of more, each seems to win at alpha / (count - 1), together at alpha at most.
    Source: Gutmann and Maymin, "Is the selected population the best?", Annals of Statistics 15, 1987 (two that tie are
    the worst case).
    """
    return 1.0 - 2.0 * alpha / _comparisons(count)


def corrected(p_value: float, count: int) -> float:
    """From a two-sided p-value of two, that of "the worse one is the best of ``count``"."""
    return min(p_value / 2.0 * _comparisons(count), 1.0)


def behind(leads: Iterable[Difference]) -> float | None:
    """How far one is behind the best at most.

    Args:
        leads: by how much each of those that can be the best is better than it, with intervals of the confidence that
            :func:`level` says.

    Returns:
        None where a difference has no interval.
    """
    ends = [lead.interval and lead.interval.high for lead in leads]
    known = [end for end in ends if end is not None]
    return max([0.0, *known]) if len(known) == len(ends) else None


def shrunk(values: Mapping[str, float], differences: Iterable[Difference]) -> dict[str, float] | None:
    """Move figures towards their mean by what noise alone spreads them, so that the first of them is not too good.

    Args:
        values: of each.
        differences: of one of them and each other, with intervals: they say how large the noise is.

    Returns:
        None for fewer than four, and where a difference has no interval.

    Source: Efron and Morris, "Data analysis using Stein's estimator and its generalizations", Journal of the American
    Statistical Association 70, 1975.
    """
    variances = [_variance(one) for one in differences]
    known = [one for one in variances if one is not None]
    if len(values) < 4 or not known or len(known) < len(variances):
        return None
    middle = sum(values.values()) / len(values)
    spread = sum((value - middle) ** 2 for value in values.values())
    noise = sum(known) / len(known) / 2.0  # a difference has that of two
    kept = max(1.0 - (len(values) - 3) * noise / spread, 0.0) if spread else 1.0
    return {name: middle + kept * (value - middle) for name, value in values.items()}


def opposite(found: Difference) -> Difference:
    """Second minus first."""
    ends = found.interval
    return Difference(-found.value, ends and ends._replace(low=-ends.high, high=-ends.low), found.p_value)


def _comparisons(count: int) -> int:
    return max(count - 1, 2)


def _variance(found: Difference) -> float | None:
    if found.interval is None:
        return None
    half = (found.interval.high - found.interval.low) / 2.0
    return float((half / t_quantile(0.5 + found.interval.confidence / 2.0, found.interval.freedom)) ** 2)
