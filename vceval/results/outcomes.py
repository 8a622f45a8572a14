"""What became of every pair of a run, and the figures and differences that follow, over any part of the pairs.

One model for a run that was just scored (:meth:`Outcomes.of_tally`) and for one that is read
(:meth:`Outcomes.of_report`), so that both have the same figures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vceval.metrics.base import Calibrations
from vceval.results.table import Tally
from vceval.results.views import ALL, Cell, MeasureView, Report
from vceval.statistics.calibrations import scale_variance, threshold_variance
from vceval.statistics.components import Design
from vceval.statistics.inference import Difference, Estimate, Interval, interval, paired_estimate, paired_test
from vceval.statistics.separation import Separation, paired_separation, separation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Outcome", "Outcomes", "Speakers", "System"]

#: Name of a system; of several runs side by side, the number of the run and the name there.
System = str | tuple[int, str]

_T = TypeVar("_T")
#: Patterns kept at once, the newest: of large grids each takes megabytes.
_DESIGNS = 64
#: A score below every threshold.
_REJECTED = -1e9


class Speakers(NamedTuple):
    """Target and source speaker, text, dataset and direction of every pair; None or empty where not known."""

    targets: Sequence[str | None]
    sources: Sequence[str | None]
    texts: Sequence[str | None]
    datasets: Sequence[str]
    directions: Sequence[str]

    @classmethod
    def of(cls, rows: Iterable[Sequence[str | None]]) -> Speakers:
        """Take five facts of each pair, in this order."""
        targets, sources, texts, *others = list(zip(*rows, strict=True)) or [()] * 5
        known: list[list[Any]] = [[name or None for name in side] for side in (targets, sources, texts)]
        return cls(*known, *([name or "" for name in side] for side in others))


class Outcome(NamedTuple):
    """What became of every pair, for one system and measure; all of shape (pairs,).

    numerators: NaN where a pair has no value. denominators: likewise, unless it is known what the pair would weigh.
    scored, failed and skipped exclude each other; a pair that is none of them was never given to the system. A failed
    pair has the worst value of a measure that has one.
    """

    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]
    scored: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    skipped: NDArray[np.bool_]

    @property
    def given(self) -> NDArray[np.bool_]:
        """The pairs that the system was given."""
        return self.scored | self.failed | self.skipped

    def sums(self, among: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Numerators and denominators of some pairs, shape (pairs, 2)."""
        import numpy as np

        return np.stack([self.numerators[among], self.denominators[among]], axis=-1)

    @property
    def valued(self) -> NDArray[np.bool_]:
        """The pairs with a value, if only the worst."""
        import numpy as np

        known: NDArray[np.bool_] = np.isfinite(self.numerators)
        return known


class Outcomes:
    """The outcomes of all systems over one list of pairs.

    Args:
        speakers: of the pairs.
        systems: names, controls too.
        find: makes the outcome of a system and measure, without worst values.
        learnt: says of a system and metric what was learnt from natural speech of each dataset, with
            ``natural_scores``.
    """

    def __init__(
        self,
        speakers: Speakers,
        systems: Sequence[System],
        find: Callable[[Any, MeasureView], Outcome],
        learnt: Callable[[Any, str], Calibrations],
    ) -> None:
        self.speakers, self.systems, self._find, self._learnt = speakers, systems, find, learnt
        self._found: dict[tuple[System, str], Outcome] = {}
        self._sizes: dict[str, NDArray[np.float64]] = {}
        self._separations: dict[tuple[System, str, bytes], Separation | None] = {}
        self._designs: dict[bytes, Design] = {}

    @classmethod
    def of_tally(cls, tally: Tally, systems: Sequence[str], learnt: Mapping[str, Calibrations]) -> Outcomes:
        """Take what was counted while scoring."""
        import numpy as np

        pairs = tally.pairs.values()

        def find(system: str, measure: MeasureView) -> Outcome:
            column = tally.column(system, measure.name)
            sums = [np.full(len(pairs), np.nan) for _ in range(2)]
            sums[0][column.pairs], sums[1][column.pairs] = column.numerators, column.denominators
            failed = np.concatenate([tally.failed(system, measure.metric), tally.unconverted(system)])
            return _outcome(sums[0], sums[1], failed, tally.skipped(system, measure.name))

        speakers = Speakers.of(
            (pair.target_speaker, pair.source_speaker, pair.transcript, pair.dataset, pair.direction) for pair in pairs
        )
        return cls(speakers, systems, find, lambda _, metric: learnt.get(metric, {}))

    @classmethod
    def of_report(cls, report: Report) -> Outcomes:
        """Take what a report read."""
        import numpy as np

        scores = report.scores
        failures: dict[tuple[str, str], list[int]] = defaultdict(list)
        skips: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in report.failures:
            if row["pair"] in scores.pairs:
                metric = row["metric"] if row["stage"] == "score" else ""
                failures[row["system"], metric].append(scores.pairs[row["pair"]])
        for row in report.skips:
            if row["pair"] in scores.pairs:
                skips[row["system"], row["measure"]].append(scores.pairs[row["pair"]])

        def find(system: str, measure: MeasureView) -> Outcome:
            place = scores.systems[system], slice(None), scores.measures[measure.name]
            failed = [*failures[system, measure.metric], *failures[system, ""]]
            numbers = [np.array(found, dtype=np.int64) for found in (failed, skips[system, measure.name])]
            return _outcome(scores.numerators[place], scores.denominators[place], *numbers)

        sides = ("target_speaker", "source_speaker", "transcript", "dataset", "direction")
        speakers = Speakers.of([row[side] for side in sides] for row in report.pairs)
        learnt = report.calibration_file
        return cls(speakers, list(scores.systems), find, lambda _, metric: learnt.get(metric, {}))

    @classmethod
    def of_sums(
        cls, speakers: Speakers, systems: Sequence[str], measures: Sequence[str], sums: NDArray[np.float64]
    ) -> Outcomes:
        """Take sums of shape (systems, pairs, measures, 2), NaN where there are none; nothing is known of failures."""
        import numpy as np

        places = [{name: place for place, name in enumerate(names)} for names in (systems, measures)]
        nothing = np.empty(0, dtype=np.int64)

        def find(system: str, measure: MeasureView) -> Outcome:
            at = places[0].get(system), places[1].get(measure.name)
            known = None not in at
            found = sums[at[0], :, at[1]] if known else np.full((len(speakers.targets), 2), np.nan)
            return _outcome(found[:, 0], found[:, 1], nothing, nothing)

        return cls(speakers, systems, find, lambda _, metric: {})

    @classmethod
    def side_by_side(cls, runs: Sequence[tuple[Outcomes, Sequence[int]]]) -> Outcomes:
        """Put runs side by side; a system is then the number of its run and its name.

        Args:
            runs: outcomes, and the place in them of each pair that is looked at; -1 for one that is not there. Speakers
                and texts are those that the first run knows.
        """
        import numpy as np

        places = [np.array(at, dtype=np.int64) for _, at in runs]

        def find(system: tuple[int, str], measure: MeasureView) -> Outcome:
            number, name = system
            whole = runs[number][0]._find(name, measure)
            gaps = (np.nan, np.nan, False, False, False)
            return Outcome(*(np.append(one, gap)[places[number]] for one, gap in zip(whole, gaps, strict=True)))

        def learnt(system: tuple[int, str], metric: str) -> Calibrations:
            return runs[system[0]][0]._learnt(system[1], metric)

        first, at = runs[0]
        nobody = [""] * len(first.speakers)
        rows = list(zip(*first.speakers, strict=True))
        speakers = Speakers.of(rows[place] if place >= 0 else nobody for place in at)
        systems = [(number, str(name)) for number, (one, _) in enumerate(runs) for name in one.systems]
        return cls(speakers, systems, find, learnt)

    @property
    def everything(self) -> NDArray[np.bool_]:
        """A mask of all pairs."""
        import numpy as np

        return np.ones(len(self.speakers.datasets), dtype=bool)

    def groups(self) -> dict[tuple[str, str], NDArray[np.bool_]]:
        """The parts of the pairs that have figures, as masks: all, and each dataset and direction."""
        import numpy as np

        found = []
        for names in (self.speakers.datasets, self.speakers.directions):
            column = np.array(names, dtype=object)
            found.append({ALL: self.everything} | {name: column == name for name in sorted(set(names)) if name})
        return {
            (dataset, direction): some & others
            for dataset, some in found[0].items()
            for direction, others in found[1].items()
        }

    def outcome(self, system: System, measure: MeasureView) -> Outcome:
        """What became of every pair; failed ones have the measure's worst value where it has one."""
        import numpy as np

        key = system, measure.name
        if key not in self._found:
            raw = self._find(system, measure)
            if measure.worst is not None and raw.failed.any():
                sizes = np.where(raw.failed, self._size(measure), raw.denominators)
                worst = np.where(raw.failed, measure.worst * sizes, raw.numerators)
                raw = raw._replace(numerators=worst, denominators=sizes)
            self._found[key] = raw
        return self._found[key]

    def _size(self, measure: MeasureView) -> NDArray[np.float64]:
        """How much a pair weighs, such as its words: what systems have as denominator there, else what is usual."""
        import numpy as np

        if measure.name not in self._sizes:
            found = np.array([self._find(system, measure).denominators for system in self.systems])
            known = np.isfinite(found)
            total, count = np.where(known, found, 0.0).sum(axis=0), known.sum(axis=0)
            usual = total.sum() / count.sum() if count.sum() else 1.0
            self._sizes[measure.name] = np.where(count > 0, total / np.maximum(count, 1), usual)
        return self._sizes[measure.name]

    def shared(
        self, systems: Iterable[System], measure: MeasureView, among: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The pairs on which systems stand to each other, and those of them that all have a value for.

        All systems were given them. Where nobody has a value, and for somebody there can't be one, there is no pair of
        the measure.
        """
        pairs = valued = among
        skipped = scored = among & ~among
        for one in (self.outcome(system, measure) for system in systems):
            pairs, skipped = pairs & one.given, skipped | one.skipped
            scored, valued = scored | one.scored, valued & one.valued
        pairs = pairs & (~skipped | scored)
        return pairs, pairs & valued

    def value(self, system: System, measure: MeasureView, among: NDArray[np.bool_]) -> float | None:
        """The figure of one system over some pairs; None where there is nothing."""
        found = self.outcome(system, measure)
        chosen = among & found.valued
        if measure.reduction != "ratio":
            drawn = self._separation(system, measure, chosen)
            return None if drawn is None else drawn.value
        total = float(found.denominators[chosen].sum())
        return float(found.numerators[chosen].sum()) / total if total else None

    def cell(self, system: System, measure: MeasureView, among: NDArray[np.bool_], confidence: float = 0.95) -> Cell:
        """The figure of one system over some pairs, its interval, and its counts.

        ``n`` counts the pairs that were scored: where failed ones have the worst value, the figure rests on them too.
        """
        found = self.outcome(system, measure)
        chosen = among & found.valued
        ends: Interval | None = None
        if measure.reduction != "ratio":
            drawn = self._separation(system, measure, chosen)
            ends = drawn.interval(confidence) if drawn else None
        elif chosen.any():
            ends = interval(
                found.numerators[chosen],
                found.denominators[chosen],
                self.design(chosen),
                kind="rate" if measure.rate else "mean",
                confidence=confidence,
                resolution=measure.resolution,
                added_variance=self._calibration_variance(measure, chosen, system),
            )
        n, failed, skipped = (int((among & mask).sum()) for mask in (found.scored, found.failed, found.skipped))
        low, high, method = (ends.low, ends.high, ends.method) if ends else (None, None, "")
        value = self.value(system, measure, among)
        levels = self.design(chosen).levels if value is not None else {"target": 0, "source": 0}
        return Cell(value, low, high, n, n + failed, failed, skipped, levels["target"], levels["source"], method)

    def design(self, among: NDArray[np.bool_]) -> Design:
        """The pattern in which speakers and texts meet in some pairs."""
        import numpy as np

        key = among.tobytes()
        if key not in self._designs:
            if len(self._designs) == _DESIGNS:
                del self._designs[next(iter(self._designs))]
            places = np.flatnonzero(among).tolist()
            sides = (self.speakers.targets, self.speakers.sources, self.speakers.texts)
            self._designs[key] = Design(*([names[place] for place in places] for names in sides))
        return self._designs[key]

    def _calibration_variance(self, measure: MeasureView, among: NDArray[np.bool_], *systems: System) -> float:
        """What the uncertainty of a calibrated threshold or scale adds to a figure, or to a difference of two."""
        import numpy as np

        if measure.placed == "means":
            placed = [self.outcome(system, measure) for system in systems]
            sides = [part[among] for one in placed for part in (one.numerators, one.denominators)]
            names = [self.speakers.datasets[place] for place in np.flatnonzero(among).tolist()]
            learnt = self._learnt(systems[0], measure.metric)
            return scale_variance(sides[0], sides[1], names, learnt, *sides[2:]) or 0.0
        if not measure.thresholded:
            return 0.0
        scores = replace(measure, name=measure.thresholded)
        columns = []
        for found in (self._find(system, scores) for system in systems):
            # A pair without a score is rejected at any threshold
            above = np.where(found.scored, found.numerators, _REJECTED)[among]
            columns.append((above, np.where(found.scored, found.denominators, 1.0)[among]))
        datasets = [self.speakers.datasets[place] for place in np.flatnonzero(among).tolist()]
        (first, weights), (less, their_weights) = columns[0], columns[1] if len(columns) > 1 else (None, None)
        # Two runs that may be compared have the same threshold
        learnt = self._learnt(systems[0], measure.metric)
        return threshold_variance(first, weights, datasets, learnt, less, their_weights) or 0.0

    def difference(
        self,
        first: System,
        second: System,
        measure: MeasureView,
        among: NDArray[np.bool_],
        confidence: float = 0.95,
    ) -> Difference:
        """Test two systems against each other on pairs that both have a value for: first minus second.

        Where the measure has a best value, the distances from it are compared. All tests of a run are made here.
        """
        if measure.reduction != "ratio":
            drawn = [self._separation(system, measure, among) for system in (first, second)]
            if drawn[0] is None or drawn[1] is None:
                raise ValueError(f"nothing to compare {first} and {second} with on {measure.name}")
            return paired_separation(drawn[0], drawn[1], measure.best, confidence)
        found = self._paired(partial(paired_test, confidence=confidence), first, second, measure, among)
        if measure.rate and found.interval is not None:  # no two rates differ by more than one
            low, high = max(found.interval.low, -1.0), min(found.interval.high, 1.0)
            found = found._replace(interval=found.interval._replace(low=low, high=high))
        return found

    def estimate(
        self, first: System, second: System, measure: MeasureView, among: NDArray[np.bool_]
    ) -> Estimate | None:
        """The same difference with its standard error by components; None for an ``eer`` or ``auc``."""
        return None if measure.reduction != "ratio" else self._paired(paired_estimate, first, second, measure, among)

    def _paired(
        self, how: Callable[..., _T], first: System, second: System, measure: MeasureView, among: NDArray[np.bool_]
    ) -> _T:
        one, other = self.outcome(first, measure), self.outcome(second, measure)
        return how(
            one.numerators[among],
            one.denominators[among],
            other.numerators[among],
            other.denominators[among],
            self.design(among),
            resolution=measure.resolution,
            added_variance=self._calibration_variance(measure, among, first, second),
        )

    def _separation(self, system: System, measure: MeasureView, among: NDArray[np.bool_]) -> Separation | None:
        """Compare scores with those of natural speech of the datasets that the pairs are from."""
        import numpy as np

        key = system, measure.name, among.tobytes()
        if key not in self._separations:
            found, chosen = self.outcome(system, measure), np.flatnonzero(among).tolist()
            datasets = [self.speakers.datasets[place] for place in chosen]
            learnt = self._learnt(system, measure.metric)
            natural: dict[Hashable, Any] = {
                (dataset, speaker): values
                for dataset in sorted(set(datasets))
                for speaker, values in learnt.get(dataset, {}).get("natural_scores", {}).items()
            }
            voices = [(dataset, self.speakers.targets[place]) for dataset, place in zip(datasets, chosen, strict=True)]
            scores = found.numerators[chosen] / found.denominators[chosen]
            self._separations[key] = separation("eer" if measure.reduction == "eer" else "auc", natural, scores, voices)
        return self._separations[key]


def _outcome(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    failed: NDArray[np.int64],
    skipped: NDArray[np.int64],
) -> Outcome:
    """Make an outcome of sums, NaN where there are none, and of the numbers of pairs that failed or were skipped.

    A denominator without a numerator says what a failed pair weighs.
    """
    import numpy as np

    scored = np.isfinite(numerators) & np.isfinite(denominators)
    masks = [np.zeros(len(scored), dtype=bool) for _ in range(2)]
    masks[0][failed], masks[1][skipped] = True, True
    # A pair that lacks what a metric needs would have had no value had it been converted
    passed = masks[1] & ~scored
    above = np.where(scored, numerators, np.nan)
    return Outcome(above, denominators, scored, masks[0] & ~scored & ~passed, passed)
