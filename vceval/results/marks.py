"""Which systems differ, by paired tests and not by digits: comparisons of a run, and who is best and next by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vceval.results.pairwise import PairedScores
from vceval.results.views import ALL, Report, finite

__all__ = [
    "ALPHA", "NOBODY", "Comparison", "Marks", "between", "comparisons_of", "mark_sentence", "marks", "not_told_apart",
    "with_split_tests",
]  # fmt: skip

#: Corrected p-values below it are significant.
ALPHA = 0.05


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
        """Second minus first."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Comparison(self.second, self.first, self.n, -self.difference, low, high, self.p_value)


def comparisons_of(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], list[Comparison]]:
    """Arrange the comparisons of a summary by measure, dataset and direction."""
    found: dict[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for entry in entries:
        low, high, p_value = (finite(entry.get(key)) for key in ("low", "high", "p_holm"))
        found[entry["measure"], entry.get("dataset", "all"), entry.get("direction", "all")].append(
            Comparison(
                str(entry["first"]), str(entry["second"]), int(entry["n"]), float(entry["difference"]),
                low, high, p_value,
            )
        )  # fmt: skip
    return dict(found)


def between(comparisons: Sequence[Comparison], first: str, second: str) -> Comparison | None:
    """Find the comparison of two systems and turn it so that it says first minus second; None where there is none."""
    for one in comparisons:
        if (one.first, one.second) == (first, second):
            return one
        if (one.first, one.second) == (second, first):
            return one.turned()
    return None


def not_told_apart(comparisons: Sequence[Comparison], best: Sequence[str]) -> set[str]:
    """Name the systems that a test could not tell from one of the best; those that were not tested are not among them.

    A system beside several best ones must be found worse by a test against each of them to be left out.
    """
    found = set()
    for one in comparisons:
        if one.p_value is not None and one.p_value >= ALPHA:
            if one.first in best:
                found.add(one.second)
            if one.second in best:
                found.add(one.first)
    return found - set(best)


@dataclass(frozen=True, slots=True)
class Marks:
    """The systems to be marked as best and as second; ``tested`` is False where only the figures decided."""

    best: frozenset[str]
    second: frozenset[str]
    tested: bool


#: A column without marks.
NOBODY = Marks(frozenset(), frozenset(), False)


def marks(values: Mapping[str, tuple[float, str]], better: str, tests: Iterable[Mapping[str, Any]]) -> Marks:
    """Find the best and the second systems of one column.

    Best are the system with the best figure and all that are not significantly worse. Second are the best of the rest
    and, of the rest, all that are not significantly worse than it. Where nothing is significantly worse than the best,
    nobody is marked. Where no test could be made, the best printed figure and the next one are marked.

    Args:
        values: per system its figure, and the figure as printed.
        better: ``lower`` or ``higher``; anything else has no best.
        tests: comparisons of this column: first, second, p_holm (None where there was no test).
    """
    if better not in ("lower", "higher"):
        return NOBODY
    corrected = {
        frozenset((str(test["first"]), str(test["second"]))): float(test["p_holm"])
        for test in tests
        if test.get("p_holm") is not None and test["first"] in values and test["second"] in values
    }
    sign = 1.0 if better == "lower" else -1.0
    ranked = sorted(values, key=lambda name: sign * values[name][0])
    if len(ranked) < 2:
        return NOBODY
    if not corrected:
        return _by_figures(ranked, values)
    ranked = [name for name in ranked if any(name in pair for pair in corrected)]
    best = _tied(ranked, corrected)
    rest = [name for name in ranked if name not in best]
    if not rest:
        return Marks(frozenset(), frozenset(), True)
    return Marks(frozenset(best), frozenset(_tied(rest, corrected)), True)


def _tied(ranked: list[str], corrected: Mapping[frozenset[str], float]) -> list[str]:
    """The first of a ranking and all that a test could not tell from it."""
    top = ranked[0]
    return [top, *(name for name in ranked[1:] if corrected.get(frozenset((top, name)), 1.0) >= ALPHA)]


def _by_figures(ranked: list[str], values: Mapping[str, tuple[float, str]]) -> Marks:
    """Mark by printed figures; what prints the same is marked the same."""
    texts = list(dict.fromkeys(values[name][1] for name in ranked))
    if len(texts) < 2:
        return NOBODY
    best, second = (frozenset(name for name in ranked if values[name][1] == text) for text in texts[:2])
    return Marks(best, second if len(ranked) > 2 else frozenset(), False)


def mark_sentence(marked: Sequence[Marks]) -> str:
    """Say what bold and underlined mean in this table; controls have neither."""
    seen = [found for found in marked if found.best]
    if not seen:
        return "No two systems differ significantly." if any(found.tested for found in marked) else ""
    second = any(found.second for found in seen)
    if not any(found.tested for found in seen):
        return f"Bold: best figure{'; underlined: second' if second else ''}; differences were not tested."
    words = "Bold: best, with all that are not significantly worse"
    if second:
        words += "; underlined: next best, likewise"
    words += f" (paired tests over speakers, Holm-corrected, p < {ALPHA:g})."
    if any(found.tested and not found.best for found in marked):
        words += " Unmarked columns: no significant difference."
    if not all(found.tested for found in seen):
        words += " Where no test can be made, the figures decide."
    return words


def with_split_tests(report: Report, scores: PairedScores) -> Report:
    """Add tests within each direction and each dataset on the primary measures, for the tables that are split so."""
    if not report.same_pairs or not report.comparisons:
        return report
    names = [system.name for system in report.converters]
    parts = [(ALL, name) for name in report.directions if len(report.directions) > 1]
    parts += [(name, ALL) for name in report.datasets if len(report.datasets) > 1]
    added = [entry for part in parts for entry in scores.compare(names, report.primary_measures, *part)]
    return replace(report, comparisons=[*report.comparisons, *added])
