"""What the noise of seeds does, where pairs were converted with several: how much, whether it turns systems round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vceval.reports.tables import PlainTable, suite_label
from vceval.results.seeds import MOST
from vceval.results.views import MeasureView, Report

__all__ = ["seed_tables"]


def seed_tables(report: Report) -> list[PlainTable]:
    """Build the table of seeds, and that of systems whose order depends on them; none where a run has one seed."""
    if report.seeds is None:
        return []
    titles = {system.name: system.title for system in report.systems}
    measures = {measure.name: measure for measure in report.measures}
    share = f"{100 * report.seeds['share']:.0f} %"
    rows = []
    for entry in report.seeds["figures"]:
        measure = measures[entry["measure"]]
        if measure in report.primary_measures:
            rows.append([titles[entry["system"]], measure.title, *_figures(entry, measure), *_split(entry)])
    turned = [entry for entry in report.seeds["differences"] if entry["flips"]]
    known = [entry for entry in report.seeds["differences"] if entry["values"]]
    caption = (
        f"Suite {suite_label(report)}. By seed: the figure of one seed alone, on pairs that have all of them; SD: its "
        "standard deviation. Variance of one conversion by what it comes from; speakers: of source and target; "
        f"sentence: what is left. Enough: seeds whose noise is at most {share} of the variance of the figure."
    )
    if known:
        caption += (
            " No two systems change places between single seeds."
            if not turned
            else f" {len(turned):,} of {len(known):,} differences of two systems change sign between single seeds."
        )
        caption += _enough_for_all([entry["enough"] for entry in known], share)
    split = ("Seed (%)", "Speakers (%)", "Sentence (%)")
    headings = ("System", "Measure", "Conversions", "By seed", "SD", *split, "Enough")
    found = [PlainTable("seeds", "Seeds", caption, headings, rows, frozenset(range(2, len(headings))))]
    if turned:
        found.append(_turned(turned, titles, measures, share))
    return found


def _turned(
    entries: list[Mapping[str, Any]], titles: Mapping[str, str], measures: Mapping[str, MeasureView], share: str
) -> PlainTable:
    rows = []
    for entry in entries:
        measure = measures[entry["measure"]]
        by_seed = ", ".join(measure.signed(value) for value in entry["values"])
        both = titles[entry["first"]], titles[entry["second"]]
        rows.append([measure.title, *both, by_seed, _percent(entry["part"]), _enough(entry)])
    caption = (
        "Differences, first minus second, that have one sign with one seed and the other with another: no seed alone "
        "says which system is ahead. Part: of the variance of the difference of the means over all seeds, what seeds "
        f"bring. Enough: seeds with which that is at most {share}."
    )
    headings = ("Measure", "First", "Second", "By seed", "Part (%)", "Enough")
    return PlainTable("seeds_turned", "Order that depends on the seed", caption, headings, rows, frozenset({3, 4, 5}))


def _figures(entry: Mapping[str, Any], measure: MeasureView) -> list[str]:
    counts = f"{entry['scored']}/{entry['expected']}"
    if not entry["values"]:
        return [counts, "–", "–"]
    return [counts, ", ".join(map(measure.text, entry["values"])), f"{entry['sd'] * measure.scale:.2g}"]


def _split(entry: Mapping[str, Any]) -> list[str]:
    variance = entry["variance"]
    if variance is None:
        return ["–", "–", "–", "–"]
    # In the order of the headings: files order keys as they like
    parts = [variance[name] for name in ("seed", "speakers", "sentence")]
    total = sum(part for part in parts if part is not None)
    told = variance["speakers"] is not None and total > 0
    return [*(_percent(part / total) if told else "–" for part in parts), _enough(entry)]


def _enough_for_all(needed: list[int | None], share: str) -> str:
    numbers = [number for number in needed if number is not None]
    if not numbers:
        return f" No number of seeds up to {MOST:,} would be enough for a difference."
    others = len(needed) - len(numbers)
    but = f" but {others:,}, for which no number up to {MOST:,} would do" if others else ""
    return f" With {max(numbers)} seeds their noise would be at most {share} of the variance of every difference{but}."


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.0f}"


def _enough(entry: Mapping[str, Any]) -> str:
    if not entry["values"]:
        return "–"
    return "none" if entry["enough"] is None else str(entry["enough"])
