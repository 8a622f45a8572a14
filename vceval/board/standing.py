"""Figures, marks and agreements of the results of one table, made of the sums in their files.

Nothing is computed in another way than for runs: sums go into :class:`vceval.results.outcomes.Outcomes`, systems are
ranked by :mod:`vceval.results.ranking`, and two laboratories differ as two runs do in ``vceval compare``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from vceval.board.intake import Entry
from vceval.metrics.base import Calibrations
from vceval.publish.columns import unpack_facts
from vceval.publish.rebuild import unpacked
from vceval.publish.record import read
from vceval.results.marks import Ranking, rankings_of
from vceval.results.outcomes import Outcome, Outcomes, Speakers
from vceval.results.ranking import ranked
from vceval.results.views import ALL, Cell, MeasureView
from vceval.statistics.inference import Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_TESTED", "Agreement", "Contest", "Figures", "Standing", "agreements", "figures", "stand"]

#: Systems of a column that are tested two by two; of more, only what decides a mark is tested.
MOST_TESTED = 24


@dataclass(frozen=True, slots=True)
class Figures:
    """What a file's sums give: figures over all pairs, and over those without speakers that the system was trained on.

    sums: numerators and denominators, shape (measures, 2, pairs); became: what became of each pair, shape (measures,
    pairs): scored, failed, skipped, or never given (:data:`_BECAME`). identities: of the pairs, as the file has them.
    unseen: empty where the system was trained on nobody of them. learnt: calibrations, packed as the file has them.
    """

    cells: Mapping[str, Cell]
    unseen: Mapping[str, Cell]
    measures: Sequence[str]
    sums: NDArray[Any]
    became: NDArray[Any]
    identities: NDArray[Any]
    speakers: Speakers
    learnt: Mapping[str, Mapping[str, Mapping[str, Any]]]
    datasets: Sequence[str]


_BECAME = ("", "scored", "failed", "skipped")


def figures(entry: Entry) -> Figures:
    """Make the figures of a result; its file was checked before.

    Raises:
        UsageError: the file is not any more what was checked.
    """
    import numpy as np

    result = read(entry.path).result
    report, name = unpacked([result], entry.path), result.system.name
    outcomes = Outcomes.of_report(report)
    involved = np.array(["trained" in report.exposures.get((name, row["pair"]), ()) for row in report.pairs])
    given = {measure.name: outcomes.outcome(name, measure) for measure in report.measures}
    became = np.array([one.scored + 2 * one.failed + 3 * one.skipped for one in given.values()], dtype=np.int8)
    sums = np.array([[one.numerators, one.denominators] for one in given.values()])
    sides = ("target_speaker", "source_speaker", "transcript", "dataset", "direction")
    measures = [one for one in report.measures if given[one.name].given.any()]
    return Figures(
        cells={one.name: outcomes.cell(name, one, outcomes.everything) for one in measures},
        unseen={one.name: outcomes.cell(name, one, ~involved) for one in measures} if involved.any() else {},
        measures=list(given),
        sums=sums,
        became=became,
        identities=np.array([row["identity"] for row in report.pairs]),
        speakers=Speakers.of([row[side] for side in sides] for row in report.pairs),
        learnt=result.calibrations,
        datasets=report.datasets,
    )


class Contest(NamedTuple):
    """Results that stand in one column, to be ranked: all of one metric with one signature.

    names: of the rows, those in ``compared`` are no controls. natural: the row of natural speech; empty for none. kin:
    rows that the metric's encoder must not rank, with the reason. twice: rows of one system by two publishers.
    """

    measures: Sequence[MeasureView]
    names: Sequence[str]
    compared: Sequence[str]
    natural: str
    kin: Mapping[str, str]
    twice: Sequence[tuple[str, str]]
    figures: Sequence[Figures]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One measure of one system by two publishers, on the pairs that both have a value for.

    difference: the second less the first, of the distances where the measure has a best value.
    """

    measure: MeasureView
    first: str
    second: str
    pairs: int
    cells: tuple[Cell, Cell]
    difference: Difference

    @property
    def agrees(self) -> bool | None:
        """Whether the interval of the difference covers zero; None where nothing could be tested."""
        return None if self.difference.interval is None else self.difference.p_value is not None and (
            self.difference.interval.low <= 0.0 <= self.difference.interval.high
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """What is made of a contest: by measure who is ahead of whom, and how publishers agree."""

    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    agreements: Sequence[Agreement] = ()


def stand(contest: Contest) -> Standing:
    """Rank the results of a column, and hold publishers of one system against each other."""
    outcomes = _outcomes(contest)
    kin = {(name, measure.metric): why for measure in contest.measures for name, why in contest.kin.items()}
    groups = {(ALL, ALL): outcomes.everything}
    found = ranked(outcomes, contest.compared, contest.measures, groups, contest.natural, kin, MOST_TESTED)
    rankings = {measure: ranking for (measure, _, _), ranking in rankings_of(*found).items()}
    return Standing(rankings, agreements(outcomes, contest.measures, contest.twice))


def agreements(
    outcomes: Outcomes, measures: Sequence[MeasureView], twice: Sequence[tuple[str, str]]
) -> list[Agreement]:
    """Hold results of one system by two publishers against each other."""
    found = []
    for measure, (first, second) in itertools.product(measures, twice):
        _, chosen = outcomes.shared((first, second), measure, outcomes.everything)
        if not chosen.any():
            continue
        one, other = (outcomes.cell(name, measure, chosen) for name in (first, second))
        if one.value is not None and other.value is not None:
            difference = outcomes.difference(second, first, measure, chosen)
            found.append(Agreement(measure, first, second, int(chosen.sum()), (one, other), difference))
    return found


def _outcomes(contest: Contest) -> Outcomes:
    """Put the results of a column side by side, their pairs in the order of the first."""
    import numpy as np

    places = {name: place for place, name in enumerate(contest.names)}
    learnt: dict[tuple[int, str], Calibrations] = {}
    first = contest.figures[0].identities
    ranks = np.argsort(np.argsort(first))
    orders = [np.argsort(one.identities)[ranks] for one in contest.figures]

    def find(name: str, measure: MeasureView) -> Outcome:
        mine = contest.figures[places[name]]
        at, order = mine.measures.index(measure.name), orders[places[name]]
        became = mine.became[at][order]
        scored, failed, skipped = (became == _BECAME.index(word) for word in _BECAME[1:])
        return Outcome(mine.sums[at, 0][order], mine.sums[at, 1][order], scored, failed, skipped)

    def calibrations(name: str, metric: str) -> Calibrations:
        key = places[name], metric
        if key not in learnt:
            mine = contest.figures[places[name]].learnt.get(metric, {})
            learnt[key] = {dataset: unpack_facts(facts) for dataset, facts in mine.items()}
        return learnt[key]

    return Outcomes(contest.figures[0].speakers, contest.names, find, calibrations)


def lean(one: Figures, metric: str, measures: Sequence[MeasureView]) -> Figures:
    """Keep of a result what a contest in one metric needs."""
    at = [one.measures.index(measure.name) for measure in measures]
    learnt = {metric: one.learnt[metric]} if metric in one.learnt else {}
    return replace(
        one, cells={}, unseen={}, measures=[measure.name for measure in measures], sums=one.sums[at],
        became=one.became[at], learnt=learnt,
    )  # fmt: skip
