"""Every corpus figure by dataset, direction and training speakers, as the page's filters show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from vceval.reports.tables import Column, main_tables, mark_words
from vceval.results.outcomes import Outcomes
from vceval.results.views import ALL, Cell, Report, SystemView, cells_of

__all__ = ["cells", "exposed"]


def cells(report: Report) -> dict[str, Any]:
    """List all figures for the page: names of what they are about, and one row per figure.

    Returns:
        ``rows`` of system, measure, dataset, direction (places in the lists of names, dataset and direction -1 for
        all), part (0 all pairs, 1 without speakers trained on, 2 only with them), printed value, low, high, count,
        skipped, mark (0 none, 1 best, 2 second; none but over all pairs, since systems leave out pairs of
        their own). ``parts`` says whether the last two parts exist. ``said`` has the words for the marks: of each main
        table by dataset and direction, and of each measure's table of all directions or datasets.
    """
    places = {name: place for place, name in enumerate(report.datasets)} | {ALL: -1}
    ways = {name: place for place, name in enumerate(report.directions)} | {ALL: -1}
    systems = {system.name: place for place, system in enumerate(report.systems)}
    numbers = {measure.name: place for place, measure in enumerate(report.measures)}
    measures = {measure.name: measure for measure in report.measures}
    rows = []
    parts = _parts(report)
    for part, known in enumerate([report.cells, *parts]):
        for (system, name, dataset, direction), cell in known.items():
            mark = "" if part else report.ranking(name, dataset, direction).mark(system)
            text = measures[name].text
            rows.append([
                systems[system], numbers[name], places[dataset], ways[direction], part, text(cell.value),
                text(cell.low), text(cell.high), cell.count, cell.skipped,
                ("", "best", "second").index(mark),
            ])  # fmt: skip
    said: dict[str, dict[str, str]] = {
        table.id: {
            f"{places[dataset]},{ways[direction]}": mark_words(
                report, [replace(column, dataset=dataset, direction=direction) for column in table.columns]
            )
            for dataset, direction in product(places, ways)
        }
        for table in main_tables(report)
    }
    for split, names in (("direction", report.directions), ("dataset", report.datasets)):
        said[split] = {
            str(number): mark_words(
                report,
                [Column("All", "", "", m), *(Column(name, "", "", m, **{split: name}) for name in names)],
            )
            for number, m in enumerate(report.measures)
        }
    return {"datasets": list(report.datasets), "directions": list(report.directions), "rows": rows,
            "parts": bool(parts), "said": said}  # fmt: skip


def _parts(report: Report) -> list[dict[tuple[str, str, str, str], Cell]]:
    """Make the figures without speakers trained on, and only with them; none where no system was."""
    involved = {key for key, exposures in report.exposures.items() if "trained" in exposures}
    if not involved:
        return []
    given = cells_of((report.training or {}).get("cells", ()))
    found: list[dict[tuple[str, str, str, str], Cell]] = [{}, {}]
    outcomes = Outcomes.of_report(report)
    for system in report.systems:
        mine = [pair for name, pair in report.exposures if name == system.name]
        trained = {pair for pair in mine if (system.name, pair) in involved}
        if not mine or not trained:
            found[0].update({key: cell for key, cell in report.cells.items() if key[0] == system.name})
        elif len(trained) == len(mine):
            found[1].update({key: cell for key, cell in report.cells.items() if key[0] == system.name})
        else:
            found[0].update(_some(report, outcomes, system, set(mine) - trained))
            found[1].update(_some(report, outcomes, system, trained))
            found[0].update({key: cell for key, cell in given.items() if key[0] == system.name})
    return found


def _some(
    report: Report, outcomes: Outcomes, system: SystemView, wanted: set[str]
) -> Iterator[tuple[tuple[str, str, str, str], Cell]]:
    """Make one system's figures over some of its pairs, where they are sums over pairs."""
    import numpy as np

    chosen = np.array([row["pair"] in wanted for row in report.pairs])
    for (dataset, direction), group in outcomes.groups().items():
        for measure in report.measures:
            if measure.reduction == "ratio":
                cell = outcomes.cell(system.name, measure, group & chosen)
                if cell.n:
                    yield (system.name, measure.name, dataset, direction), cell


def exposed(report: Report) -> Sequence[bool]:
    """Say of each pair whether any system was trained on one of its speakers."""
    trained = {pair for (_, pair), exposures in report.exposures.items() if "trained" in exposures}
    return [row["pair"] in trained for row in report.pairs]
