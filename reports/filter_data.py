"""Every corpus figure by dataset, direction and training speakers, as the page's filters show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from vceval.results.marks import Comparison, comparisons_of, not_told_apart
from vceval.results.pairwise import PairedScores
from vceval.results.views import ALL, Cell, MeasureView, Report, SystemView, cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALIKE", "BEST", "cells", "exposed", "marks"]

#: Marks of a figure beside those of other systems.
BEST, ALIKE = "best", "alike"


def marks(
    report: Report, measure: MeasureView, found: Mapping[str, Cell], tests: Sequence[Comparison]
) -> dict[str, str]:
    """Mark the best converters on a measure, and those that a test could not tell from them, by system.

    What prints alike is best alike. Nothing is marked where fewer than two converters have a value.
    """
    values = {s.name: found[s.name].value for s in report.converters if s.name in found}
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) < 2 or measure.better not in ("lower", "higher"):
        return {}
    text = measure.text(min(known.values()) if measure.better == "lower" else max(known.values()))
    best = [name for name, value in known.items() if measure.text(value) == text]
    alike = not_told_apart(tests, best)
    return {**dict.fromkeys(alike & set(known), ALIKE), **dict.fromkeys(best, BEST)}


def cells(report: Report) -> dict[str, Any]:
    """List all figures for the page: names of what they are about, and one row per figure.

    Returns:
        ``rows`` of system, measure, dataset, direction (places in the lists of names, dataset and direction -1 for
        all), part (0 all pairs, 1 without speakers trained on, 2 only with them), printed value, low, high, n,
        expected, skipped, mark (0 none, 1 best, 2 not told from the best; none where systems have different pairs).
        ``parts`` says whether the last two parts
        exist.
    """
    places = {name: place for place, name in enumerate(report.datasets)} | {ALL: -1}
    ways = {name: place for place, name in enumerate(report.directions)} | {ALL: -1}
    systems = {system.name: place for place, system in enumerate(report.systems)}
    rows = []
    parts = _parts(report)
    tested, ranked = comparisons_of(report.comparisons), report.same_pairs
    for number, measure in enumerate(report.measures):
        for dataset, direction in product(places, ways):
            for part, known in enumerate([report.cells, *parts]):
                found = {
                    name: cell
                    for name in systems
                    if (cell := known.get((name, measure.name, dataset, direction))) is not None
                }
                tests = tested.get((measure.name, dataset, direction), ())
                # Systems leave out pairs of their own: what is left of them is no ranking
                marked = marks(report, measure, found, tests) if ranked and not part else {}
                for name, cell in found.items():
                    mark = {BEST: 1, ALIKE: 2}.get(marked.get(name, ""), 0)
                    rows.append([
                        systems[name], number, places[dataset], ways[direction], part, measure.text(cell.value),
                        measure.text(cell.low), measure.text(cell.high), cell.n, cell.expected, cell.skipped, mark,
                    ])  # fmt: skip
    return {"datasets": list(report.datasets), "directions": list(report.directions), "rows": rows,
            "parts": bool(parts)}  # fmt: skip


def _parts(report: Report) -> list[dict[tuple[str, str, str, str], Cell]]:
    """Make the figures without speakers trained on, and only with them; none where no system was."""
    involved = {key for key, exposures in report.exposures.items() if "trained" in exposures}
    if not involved:
        return []
    given = cells_of((report.training or {}).get("cells", ()))
    found: list[dict[tuple[str, str, str, str], Cell]] = [{}, {}]
    for system in report.systems:
        mine = [pair for name, pair in report.exposures if name == system.name]
        trained = {pair for pair in mine if (system.name, pair) in involved}
        if not mine or not trained:
            found[0].update({key: cell for key, cell in report.cells.items() if key[0] == system.name})
        elif len(trained) == len(mine):
            found[1].update({key: cell for key, cell in report.cells.items() if key[0] == system.name})
        else:
            found[0].update(_some(report, system, set(mine) - trained))
            found[1].update(_some(report, system, trained))
            found[0].update({key: cell for key, cell in given.items() if key[0] == system.name})
    return found


def _some(report: Report, system: SystemView, wanted: set[str]) -> Iterator[tuple[tuple[str, str, str, str], Cell]]:
    """Make one system's figures over some of its pairs, where they are sums over pairs."""
    import numpy as np

    sums = PairedScores.of(report)
    chosen = np.array([row["pair"] in wanted for row in report.pairs])
    sets, ways = (np.array([row[name] for row in report.pairs]) for name in ("dataset", "direction"))
    for dataset, direction in product([ALL, *report.datasets], [ALL, *report.directions]):
        pairs = chosen & ((sets == dataset) | (dataset == ALL)) & ((ways == direction) | (direction == ALL))
        for measure in report.measures:
            values = report.scores.of(system.name, measure.name)
            if measure.reduction == "ratio" and (scored := int((pairs & ~np.isnan(values)).sum())):
                failed = _failed(report, system.name, measure.metric, pairs & np.isnan(values))
                cell = sums.cell(system.name, measure.name, pairs, failed, int(pairs.sum()) - scored - failed)
                yield (system.name, measure.name, dataset, direction), cell


def _failed(report: Report, system: str, metric: str, pairs: NDArray[Any]) -> int:
    """Count what failed of some pairs: conversions and, of this metric, scores."""
    places = report.scores.pairs
    return len({
        row["pair"]
        for row in report.failures
        if row["system"] == system and (row["stage"] != "score" or row["metric"] == metric)
        and row["pair"] in places and pairs[places[row["pair"]]]
    })  # fmt: skip


def exposed(report: Report) -> Sequence[bool]:
    """Say of each pair whether any system was trained on one of its speakers."""
    trained = {pair for (_, pair), exposures in report.exposures.items() if "trained" in exposures}
    return [row["pair"] in trained for row in report.pairs]
