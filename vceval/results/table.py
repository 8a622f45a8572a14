"""All that a run found out about its pairs, in columns: a score takes some twenty bytes, whatever its details.

What was converted with several seeds is reduced to pairs here: a pair has the mean over the seeds that have a score,
and failed where no seed has one.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from vceval.records import ConversionPair, Failure, Score, Skip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Column", "Takes", "Tally"]


class Column(NamedTuple):
    """The scores of one system and measure. pairs: numbers of the pairs, ascending. Both sums are float64.

    Of several seeds, sums are means over those that have a score.
    """

    pairs: NDArray[np.int64]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]


class Takes(NamedTuple):
    """The scores of one system and measure, seed by seed: numbers of pairs and of seeds, and both sums."""

    pairs: NDArray[np.int64]
    seeds: NDArray[np.int64]
    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]


class Tally:
    """Scores, failures and skips, counted as they come in.

    Args:
        pairs: all pairs of the run, by id; they are numbered in this order.
        scores, failures, skips: to begin with.
        seeds: how many times a system converted each pair; 1 where it is not named.
    """

    def __init__(
        self,
        pairs: Mapping[str, ConversionPair],
        scores: Iterable[Score] = (),
        failures: Iterable[Failure] = (),
        skips: Iterable[Skip] = (),
        seeds: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.pairs, self.seeds = pairs, seeds
        self.numbers = {name: number for number, name in enumerate(pairs)}
        #: Failures by stage, and skips by need.
        self.stages: Counter[str] = Counter()
        self.needs: Counter[str] = Counter()
        self._scores: dict[tuple[str, str], tuple[array[int], array[int], array[float], array[float]]] = {}
        self._failures: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._unconverted: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self._skips: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))
        self._metrics: dict[str, str] = {}
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
            self._scores[key] = array("q"), array("H"), array("d"), array("d")
            self._metrics[score.measure] = score.metric
        pairs, seeds, numerators, denominators = self._scores[key]
        pairs.append(self.numbers[score.pair])
        seeds.append(score.seed)
        numerators.append(score.numerator)
        denominators.append(score.denominator)

    def failure(self, failure: Failure) -> None:
        """Count a failure: of one metric, or of a conversion, which costs all of them."""
        self.stages[failure.stage] += 1
        number = self.numbers[failure.pair]
        if failure.stage == "score":
            self._failures[failure.system, failure.metric].append(number)
        else:
            self._unconverted[failure.system].add((number, failure.seed))

    def skip(self, skip: Skip) -> None:
        """Count a value that can't exist."""
        self.needs[skip.need] += 1
        self._metrics[skip.measure] = skip.metric
        self._skips[skip.system, skip.measure].append(self.numbers[skip.pair])

    def takes(self, system: str, measure: str) -> Takes:
        """The scores of a system and measure, seed by seed."""
        import numpy as np

        found = self._scores.get((system, measure), (array("q"), array("H"), array("d"), array("d")))
        pairs, seeds = (np.array(part, dtype=np.int64) for part in found[:2])
        return Takes(pairs, seeds, np.array(found[2]), np.array(found[3]))

    def column(self, system: str, measure: str) -> Column:
        """The scores of a system and measure."""
        import numpy as np

        takes = self.takes(system, measure)
        pairs, places, counts = np.unique(takes.pairs, return_inverse=True, return_counts=True)
        sums = (np.bincount(places, part, len(pairs)) for part in (takes.numerators, takes.denominators))
        return Column(pairs, *(part / counts for part in sums))

    def failed(self, system: str, metric: str) -> NDArray[np.int64]:
        """Numbers of the pairs that have no score by a metric, as it failed, each once."""
        import numpy as np

        mine = (key for key in self._scores if key[0] == system and self._metrics[key[1]] == metric)
        scored = [np.array(self._scores[key][0], dtype=np.int64) for key in mine]
        failed = np.array(self._failures.get((system, metric), []), dtype=np.int64)
        return np.setdiff1d(failed, np.concatenate(scored)) if scored else np.unique(failed)

    def unconverted(self, system: str) -> NDArray[np.int64]:
        """Numbers of the pairs that have no converted audio, or none that can be read, each once."""
        import numpy as np

        counts = Counter(number for number, _ in self._unconverted.get(system, ()))
        wanted = self.seeds.get(system, 1)
        return np.array(sorted(number for number, count in counts.items() if count >= wanted), dtype=np.int64)

    def given(self, system: str) -> int:
        """Number of the pairs of which anything is known for a system."""
        kinds = [self._failures, self._skips, {key: found[0] for key, found in self._scores.items()}]
        known = {number for kind in kinds for key, found in kind.items() if key[0] == system for number in found}
        return len(known | {number for number, _ in self._unconverted.get(system, ())})

    def lost(self, system: str) -> int:
        """Number of conversions that failed: of pairs, each with each of its seeds."""
        return len(self._unconverted.get(system, ()))

    def skipped(self, system: str, measure: str) -> NDArray[np.int64]:
        """Numbers of the pairs for which a measure has no value, as they lack what it needs, each once."""
        import numpy as np

        found = np.array(self._skips.get((system, measure), []), dtype=np.int64)
        if not len(found):
            return found
        others = self.takes(system, measure).pairs, self.failed(system, self._metrics[measure])
        return np.setdiff1d(found, np.concatenate(others))

    def skips(self, system: str, measure: str) -> int:
        """Number of values that can't exist: of pairs, each with each of its seeds."""
        return len(self._skips.get((system, measure), ()))
