"""Per-pair sums of finished runs: figures and paired tests on any part of the pairs, without touching audio."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vceval.results.views import ALL, Cell, MeasureView, Report
from vceval.statistics.intervals import cluster_bootstrap, holm_tested, paired_difference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: Numerators and denominators of one system on one measure, one per pair; NaN where there is no score.
    Sums = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["PairedScores"]


class PairedScores:
    """The sums behind every figure, by system and measure, over one list of pairs.

    Args:
        pairs: rows of ``pairs.csv``.
        sums: (system, measure) to numerators and denominators, each of shape (pairs,), NaN where there is no score.
    """

    def __init__(self, pairs: Sequence[Mapping[str, str]], sums: Mapping[tuple[str, str], Sums]) -> None:
        self.pairs = list(pairs)
        self._sums = dict(sums)
        self._targets = [pair["target_speaker"] or None for pair in self.pairs]
        self._sources = [pair["source_speaker"] or None for pair in self.pairs]
        self._meetings = _meetings(self._targets, self._sources)

    @classmethod
    def of(cls, report: Report) -> PairedScores:
        """Take the sums of a report."""
        import numpy as np

        scores = report.scores
        sums = {}
        for system, row in scores.systems.items():
            for measure, column in scores.measures.items():
                numerators, denominators = scores.numerators[row, :, column], scores.denominators[row, :, column]
                if (known := np.isfinite(numerators) & np.isfinite(denominators)).any():
                    sums[system, measure] = (np.where(known, numerators, np.nan), denominators)
        return cls(report.pairs, sums)

    def cell(self, system: str, measure: str, among: NDArray[np.bool_], lost: int = 0, skipped: int = 0) -> Cell:
        """Sum one system up over some pairs: value, 95 % interval over speakers, counts.

        Args:
            system: its name.
            measure: name of a measure that is a ratio of sums.
            among: which pairs, shape (pairs,).
            lost: how many of them failed.
            skipped: how many of them lack what the measure needs.
        """
        import numpy as np

        sums = self._sums.get((system, measure))
        chosen = np.flatnonzero(among & np.isfinite(sums[0])) if sums else np.empty(0, dtype=np.intp)
        n = len(chosen)
        if sums is None or not n or not sums[1][chosen].sum():
            return Cell(None, None, None, n, n + lost, lost, skipped)
        (numerators, denominators), targets, sources = self._grouped(sums, chosen)
        interval = cluster_bootstrap(numerators, denominators, targets, crossed=sources)
        value = float(numerators.sum() / denominators.sum())
        low, high = (interval.low, interval.high) if interval else (None, None)
        return Cell(value, low, high, n, n + lost, lost, skipped)

    def compare(
        self,
        systems: Iterable[str],
        measures: Iterable[MeasureView],
        dataset: str = ALL,
        direction: str = ALL,
    ) -> Iterator[dict[str, Any]]:
        """Test every two systems on the pairs that both have a value for, corrected by Holm within each measure.

        The entries have the shape of those in ``summary.json``, with the dataset and the direction besides. Measures
        that are no ratio of sums have no difference per pair and are left out.
        """
        import numpy as np

        among = np.array([
            dataset in (ALL, pair["dataset"]) and direction in (ALL, pair["direction"]) for pair in self.pairs
        ])  # fmt: skip
        names = list(systems)
        for measure in measures:
            if measure.reduction != "ratio":
                continue
            found = [
                entry
                for first, second in itertools.combinations(names, 2)
                if (entry := self._difference(first, second, measure.name, among)) is not None
            ]
            for entry, p_holm in zip(found, holm_tested(entry["p_value"] for entry in found), strict=True):
                yield {**entry, "p_holm": p_holm, "dataset": dataset, "direction": direction}

    def _grouped(
        self, columns: Sequence[NDArray[np.float64]], chosen: NDArray[np.intp]
    ) -> tuple[list[NDArray[np.float64]], list[str | None], list[str | None]]:
        """Columns over some pairs, and the pairs' target and source speakers.

        Whole speakers are resampled, so sums over the pairs of the same two speakers say all, and are fewer.
        """
        import numpy as np

        if self._meetings is None:
            kept = [column[chosen] for column in columns]
            return kept, [self._targets[i] for i in chosen], [self._sources[i] for i in chosen]
        numbers, speakers = self._meetings
        mine = numbers[chosen]
        present = np.unique(mine)
        sums = [np.bincount(mine, column[chosen], len(speakers))[present].astype(np.float64) for column in columns]
        return sums, [speakers[i][0] for i in present], [speakers[i][1] for i in present]

    def _difference(self, first: str, second: str, measure: str, among: NDArray[np.bool_]) -> dict[str, Any] | None:
        import numpy as np

        one, other = self._sums.get((first, measure)), self._sums.get((second, measure))
        if one is None or other is None:
            return None
        common = np.flatnonzero(among & np.isfinite(one[0]) & np.isfinite(other[0]))
        if not one[1][common].sum() or not other[1][common].sum():
            return None
        (a, b, c, d), targets, sources = self._grouped([*one, *other], common)
        found = paired_difference(a, b, c, d, targets, crossed=sources)
        return {"measure": measure, "first": first, "second": second, "n": len(common), **found.entry()}


def _meetings(
    targets: Sequence[str | None], sources: Sequence[str | None]
) -> tuple[NDArray[np.intp], list[tuple[str, str]]] | None:
    """Number the meetings of a target and a source speaker: number of each pair's, and the speakers of each.

    None where a speaker is not known: such pairs may have to be told apart.
    """
    import numpy as np

    numbers: dict[tuple[str, str], int] = {}
    found = np.empty(len(targets), dtype=np.intp)
    for place, (target, source) in enumerate(zip(targets, sources, strict=True)):
        if target is None or source is None:
            return None
        found[place] = numbers.setdefault((target, source), len(numbers))
    return found, list(numbers)
