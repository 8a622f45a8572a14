"""Made-up outcomes of pairs, by system and measure, for tests of rankings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vceval.records import ConversionPair, Failure, Score, Skip
from vceval.results.outcomes import Outcomes
from vceval.results.table import Tally
from vceval.results.views import MeasureView

ACCEPT = MeasureView("accept", "sv", "SV acc.", "%", "higher", 100.0, 1, worst=0.0, rate=True)
#: A value as a number or as (numerator, denominator); or "failed", "skipped"; None where the pair was not given.
Given = float | tuple[float, float] | str | None


def outcomes_of(
    given: Mapping[str, Mapping[str, Sequence[Given]]],
    measures: Sequence[MeasureView],
    targets: int = 5,
    sources: int = 4,
    learnt: Mapping[str, Any] | None = None,
) -> Outcomes:
    """Outcomes of systems: by system and measure, what became of each pair."""
    count = len(next(iter(next(iter(given.values())).values())))
    pairs = {
        f"p{n}": ConversionPair(
            f"p{n}", "d", source_speaker=f"s{n // targets % sources}", target_speaker=f"t{n % targets}",
            direction=("F2F", "F2M")[n % 2],
        )
        for n in range(count)
    }  # fmt: skip
    tally = Tally(pairs)
    metric_of = {measure.name: measure.metric for measure in measures}
    for system, columns in given.items():
        for measure, values in columns.items():
            for pair, value in zip(pairs, values, strict=True):
                if value == "failed":
                    tally.failure(Failure(system, pair, "score", metric_of[measure], "why"))
                elif value == "skipped":
                    tally.skip(Skip(system, pair, metric_of[measure], measure, "other", "why"))
                elif value is not None:
                    above, below = value if isinstance(value, tuple) else (float(value), 1.0)
                    tally.score(Score(system, pair, metric_of[measure], measure, above / below, above, below))
    return Outcomes.of_tally(tally, list(given), learnt or {})
