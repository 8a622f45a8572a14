"""All that a run found out about its pairs, in columns: a score takes twenty bytes, whatever its details."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from vceval.records import ConversionPair, Failure, Score, Skip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Column", "Tally"]


class Column(NamedTuple):
    """The scores of one system and measure. pairs: numbers of the pairs, ascending. Both sums are float64."""

    pairs: NDArray[np.int64]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]


class Tally:
    """Scores, failures and skips, counted as they come in.

    Args:
        pairs: all pairs of the run, by id; they are numbered in this order.
        scores, failures, skips: to begin with.
    """

    def __init__(
        self,
        pairs: Mapping[str, ConversionPair],
        scores: Iterable[Score] = (),
        failures: Iterable[Failure] = (),
        skips: Iterable[Skip] = (),
    ) -> None:
        self.pairs = pairs
        self.numbers = {name: number for number, name in enumerate(pairs)}
        #: Failures by stage, and skips by need.
        self.stages: Counter[str] = Counter()
        self.needs: Counter[str] = Counter()
        self._scores: dict[tuple[str, str], tuple[array[int], array[float], array[float]]] = {}
        self._failures: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._skips: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        for score in scores:
            self.score(score)
        for failure in failures:
            self.failure(failure)
        for skip in skips:
            self.skip(skip)

    def score(self, score: Score) -> None:
        """Count a score."""
        key = score.system, score.measure
        if key not in self._scores:
            self._scores[key] = array("q"), array("d"), array("d")
        pairs, numerators, denominators = self._scores[key]
        pairs.append(self.numbers[score.pair])
        numerators.append(score.numerator)
        denominators.append(score.denominator)

    def failure(self, failure: Failure) -> None:
        """Count a failure: of one metric, or of a conversion, which costs all of them."""
        self.stages[failure.stage] += 1
        metric = failure.metric if failure.stage == "score" else ""
        self._failures[failure.system, metric].append(self.numbers[failure.pair])

    def skip(self, skip: Skip) -> None:
        """Count a value that can't exist."""
        self.needs[skip.need] += 1
        self._skips[skip.system, skip.measure].append(self.numbers[skip.pair])

    def column(self, system: str, measure: str) -> Column:
        """The scores of a system and measure."""
        import numpy as np

        found = self._scores.get((system, measure), (array("q"), array("d"), array("d")))
        pairs = np.array(found[0], dtype=np.int64)
        order = np.argsort(pairs, kind="stable")
        return Column(pairs[order], np.array(found[1])[order], np.array(found[2])[order])

    def failed(self, system: str, metric: str) -> NDArray[np.int64]:
        """Numbers of the pairs that have no score by a metric, as it failed."""
        return _numbers(self._failures.get((system, metric)))

    def unconverted(self, system: str) -> NDArray[np.int64]:
        """Numbers of the pairs that have no converted audio, or none that can be read, each once."""
        import numpy as np

        return np.unique(_numbers(self._failures.get((system, ""))))

    def skipped(self, system: str, measure: str) -> NDArray[np.int64]:
        """Numbers of the pairs for which a measure has no value."""
        return _numbers(self._skips.get((system, measure)))


def _numbers(found: array[int] | None) -> NDArray[np.int64]:
    import numpy as np

    return np.array(found if found is not None else [], dtype=np.int64)
