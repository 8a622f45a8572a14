"""Many tests at once: p-values corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["holm", "holm_tested"]


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Correct p-values for the number of comparisons: what is below alpha afterwards holds jointly at level alpha.

    Args:
        p_values: one per comparison, each in 0 to 1.
        weights: how alpha is shared out, one per comparison, each above 0; evenly by default.

    Returns:
        Corrected values in the same order, none smaller than before, none above 1.

    Raises:
        ValueError: a value lies outside of 0 to 1, or a weight is not above 0.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    for value in p_values:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"p-value {value} lies outside of 0 to 1")
    shares = [1.0] * len(p_values) if weights is None else list(weights)
    if len(shares) != len(p_values) or not all(share > 0.0 for share in shares):
        raise ValueError("every comparison needs a weight above 0")
    corrected = [0.0] * len(p_values)
    largest, left = 0.0, sum(shares)
    for index in sorted(range(len(p_values)), key=lambda i: p_values[i] / shares[i]):
        largest = max(largest, min(1.0, left / shares[index] * p_values[index]))
        corrected[index] = largest
        left -= shares[index]
    return corrected


def holm_tested(p_values: Iterable[float | None]) -> list[float | None]:
    """Correct one family of p-values by :func:`holm`; None, where nothing could be tested, stays and does not count."""
    given = list(p_values)
    corrected = iter(holm([value for value in given if value is not None]))
    return [None if value is None else next(corrected) for value in given]
