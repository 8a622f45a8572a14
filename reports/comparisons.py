"""Which systems differ: comparisons on the same pairs, as a summary holds them, and what follows for a ranking."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["LEVEL", "Comparison", "between", "comparisons_of", "not_worse"]

#: A corrected p-value below this is called significant.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the pairs that both have a value for: first minus second, as stored, with its 95 % interval.

    ``p_value`` is corrected by Holm over all comparisons on the measure; None where nothing could be tested.
    """

    first: str
    second: str
    n: int
    difference: float
    low: float | None
    high: float | None
    p_value: float | None

    def turned(self) -> Comparison:
        """The same the other way round."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Comparison(self.second, self.first, self.n, -self.difference, low, high, self.p_value)


def comparisons_of(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Comparison]]:
    """Arrange the comparisons of a summary by measure, dataset and direction."""
    found: dict[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for entry in entries:
        low, high, p_value = (_finite(entry.get(key)) for key in ("low", "high", "p_holm"))
        found[entry["measure"], entry.get("dataset", "all"), entry.get("direction", "all")].append(
            Comparison(
                str(entry["first"]), str(entry["second"]), int(entry["n"]), float(entry["difference"]),
                low, high, p_value,
            )
        )  # fmt: skip
    return dict(found)


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else float(value)


def between(comparisons: Sequence[Comparison], first: str, second: str) -> Comparison | None:
    """Find the comparison of two systems and turn it so that it says first minus second; None where there is none."""
    for one in comparisons:
        if (one.first, one.second) == (first, second):
            return one
        if (one.first, one.second) == (second, first):
            return one.turned()
    return None


def not_worse(comparisons: Sequence[Comparison], best: Sequence[str]) -> set[str]:
    """Name the systems that a test could not tell from one of the best; those that were not tested are not among them.

    A system beside several best ones must be found worse by a test against each of them to be left out.
    """
    found = set()
    for one in comparisons:
        if one.p_value is not None and one.p_value >= LEVEL:
            if one.first in best:
                found.add(one.second)
            if one.second in best:
                found.add(one.first)
    return found - set(best)
