"""What ``summary.json`` says of who is ahead of whom, and the words for it; :mod:`vceval.results.ranking` decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

__all__ = [
    "ALPHA", "NOBODY", "UNDECIDED", "Comparison", "Enough", "Ranking", "interval_words", "listed", "mark_sentence",
    "p_text", "rankings_of",
]  # fmt: skip

#: Corrected p-values below it are significant.
ALPHA = 0.05
#: Why nobody is marked where systems were compared, and none is worse than the first.
UNDECIDED = "no significant difference from the first"


@dataclass(frozen=True, slots=True)
class Enough:
    """What would do to find a difference as large as the one seen, in 8 of 10 repetitions.

    more: how many more of each side (``target``, ``source``, ``text``; of a listening test ``listener``, ``pair``).
    pairs: how many pairs that makes in all; None where no corpus of usual size has enough. threshold: that is since
    the threshold is learnt from too little natural speech.
    """

    more: Mapping[str, int]
    pairs: int | None
    threshold: bool = False

    @property
    def burden(self) -> float:
        """How much is asked for: speakers and texts, else pairs."""
        return inf if self.pairs is None else sum(self.more.values()) or self.pairs

    @classmethod
    def of(cls, entry: Mapping[str, Any] | None) -> Enough:
        """Read an entry of a comparison."""
        if entry is None:
            return cls({}, None)
        return cls(dict(entry["more"]), entry["pairs"], bool(entry.get("threshold")))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the pairs that the ranking rests on: first minus second, as stored, with its 95 % interval.

    Of a measure with a best value, it is the difference of the distances from it. ``p_value`` is corrected by Holm over
    all comparisons on the measure, ``plain_p_value`` is not; None where nothing could be tested. ``enough`` is None
    where nobody asked.
    """

    first: str
    second: str
    n: int
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    enough: Enough | None = None
    plain_p_value: float | None = None

    def turned(self) -> Comparison:
        """Second minus first."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return replace(self, first=self.second, second=self.first, difference=-self.difference, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Ranking:
    """How systems stand to each other on one measure, over some pairs.

    order: names of the ranked systems, the first one ahead. values: their figures on ``pairs`` less ``left_out`` pairs,
    those that not all have a value for; targets, sources: how many speakers these have, 0 where not known. counted: how
    many failed pairs of a system count as the worst value. unranked: systems that are shown and not ranked, with the
    reason. best, second: the marks. reason: why nobody is marked. weak: it is that what judges
    errs too much on natural speech.
    """

    order: Sequence[str] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    pairs: int = 0
    left_out: int = 0
    targets: int = 0
    sources: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    unranked: Mapping[str, str] = field(default_factory=dict)
    best: frozenset[str] = frozenset()
    second: frozenset[str] = frozenset()
    reason: str = ""
    comparisons: Sequence[Comparison] = ()
    weak: bool = False

    def mark(self, system: str) -> str:
        """``best``, ``second`` or nothing."""
        return "best" if system in self.best else "second" if system in self.second else ""

    def between(self, first: str, second: str) -> Comparison | None:
        """Find the comparison of two systems, turned so that it says first minus second; None where there is none."""
        for one in self.comparisons:
            if (one.first, one.second) == (first, second):
                return one
            if (one.first, one.second) == (second, first):
                return one.turned()
        return None


#: Where nothing is known of who is ahead.
NOBODY = Ranking()


def rankings_of(
    rankings: Iterable[Mapping[str, Any]], comparisons: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str, str], Ranking]:
    """Arrange the rankings and comparisons of a summary by measure, dataset and direction."""
    tests: dict[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for entry in comparisons:
        low, high, p_value = (None if entry[key] is None else float(entry[key]) for key in ("low", "high", "p_holm"))
        tests[_place(entry)].append(
            Comparison(
                str(entry["first"]), str(entry["second"]), int(entry["n"]), float(entry["difference"]),
                low, high, p_value, Enough.of(entry["enough"]) if "enough" in entry else None,
                None if entry.get("p_value") is None else float(entry["p_value"]),
            )
        )  # fmt: skip
    return {
        _place(entry): Ranking(
            [one["system"] for one in entry["order"]], {one["system"]: one["value"] for one in entry["order"]},
            int(entry["pairs"]), int(entry["left_out"]),
            int(entry.get("targets", 0)), int(entry.get("sources", 0)), dict(entry["counted"]), dict(entry["unranked"]),
            frozenset(entry["best"]), frozenset(entry["second"]), str(entry["reason"]), tests[_place(entry)],
            bool(entry.get("weak", False)),
        )
        for entry in rankings
    }  # fmt: skip


def _place(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(entry["measure"]), str(entry.get("dataset", "all")), str(entry.get("direction", "all"))


def interval_words(methods: Iterable[str]) -> str:
    """Say how the 95 % intervals of some figures were made; ``methods`` as cells hold them."""
    known = set(methods)
    words = []
    if plain := known & {"t", "skewed t"}:
        skewed = (
            {1: ", skewness-corrected", 2: ", partly skewness-corrected"}[len(plain)] if "skewed t" in plain else ""
        )
        words.append(f"t from variance components of speakers and texts{skewed}")
    if "clopper-pearson" in known:
        words.append("rates: Clopper-Pearson at the effective number of pairs")
    if "bootstrap" in known:
        words.append("EER, AUC: bootstrap over target speakers")
    return "; ".join(words) or "over speakers and texts"


def p_text(value: float | None) -> str:
    """Print a p-value: ``p = 0.45``, ``p < 0.001``; empty where there is none."""
    if value is None:
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}" if value < ALPHA else f"p = {value:.2f}"


def mark_sentence(columns: Sequence[tuple[str, Ranking]], titles: Mapping[str, str]) -> str:
    """Say what bold and underlined mean in a table, what they rest on, and who or what is not ranked, and why.

    Args:
        columns: name of each column and its ranking; controls have none.
        titles: of the systems, by name.
    """
    # One system alone needs no word
    known = [(name, found) for name, found in columns if len(found.order) != 1 or found.unranked]
    words = []
    if any(found.best for _, found in known):
        second = any(found.second for _, found in known)
        words.append(
            "Bold: first, and those after it up to the first that is significantly worse than it"
            f"{'; underlined: next, likewise' if second else ''} (paired tests over speakers on the same pairs, "
            f"Holm-corrected, p < {ALPHA:g})."
        )
    unmarked = _grouped((found.reason, name) for name, found in known if found.reason)
    if told := [r if len(names) == len(known) else f"{listed(names)} ({r})" for r, names in unmarked.items()]:
        words.append(f"Unmarked: {'; '.join(told).removesuffix('.')}.")  # labels end in a stop, as WER cap. does
    if counted := [name for name, found in known if found.counted]:
        words.append(f"A failed pair counts as the worst value: {listed(counted)}.")
    if lost := [f"{name} ({found.left_out} of {found.pairs})" for name, found in known if found.left_out]:
        words.append(f"Ranked without the pairs that not all have a value for: {listed(lost)}.")
    out = _grouped(
        (f"{titles.get(system, system)} ({reason})", name)
        for name, found in known
        for system, reason in found.unranked.items()
    )
    if out:
        told = [f"{who} in {listed(names)}" if len(known) > len(names) else who for who, names in out.items()]
        words.append(f"Shown, not ranked: {listed(told, '; ')}.")
    return " ".join(words)


def _grouped(entries: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in entries:
        found[key].append(value)
    return found


def listed(names: Sequence[str], between: str = ", ") -> str:
    """List names, a few of many: a caption is read."""
    few = names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"]
    return between.join(few)
