"""Time from scores to a summary: every figure with its interval, every two systems tested, in all directions.

    python benchmarks/speed/summary.py [--pairs 10000] [--systems 8] [--measures 14] [--speakers 40] [--texts 500]

Scores are made up: they deviate by target speaker, source speaker and text, and no two systems are alike. Printed are
the wall-clock and the processor time of ``vceval.results.summary.summarise``, and how many figures and tests it made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np

from vceval.benchmarks.speed.scale import Zero
from vceval.metrics.base import QUESTIONS, Measure
from vceval.records import ConversionPair, Score
from vceval.results.summary import summarise
from vceval.results.table import Tally

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make scores, sum them up, print."""
    parser = argparse.ArgumentParser(description="Time from scores to a summary.")
    for name, usual in (("pairs", 10_000), ("systems", 8), ("measures", 14), ("speakers", 40), ("texts", 500)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args(arguments)
    questions = QUESTIONS[:2]  # of the suites' measures, as many answer a question: what would do is searched for them
    measures = tuple(
        Measure(f"m{number}", f"M{number}", "", "lower", question=questions[number % 2] if number < 4 else "")
        for number in range(options.measures)
    )
    metric = type("Several", (Zero,), {"measures": measures})()
    pairs = {pair.id: pair for pair in _pairs(options.pairs, options.speakers, options.texts)}
    names = [f"system{number}" for number in range(options.systems)]
    tally = Tally(pairs, _scores(list(pairs.values()), names, measures))
    systems = [{"name": name, "expected": options.pairs, "control": False} for name in names]
    start, used = time.perf_counter(), time.process_time()
    summary = summarise(tally, systems, [metric])
    elapsed, worked = time.perf_counter() - start, time.process_time() - used
    print(
        f"{options.pairs} pairs x {options.systems} systems x {options.measures} measures: {elapsed:.1f} s, "
        f"{worked:.1f} s of processor; {len(summary['cells'])} figures, {len(summary['comparisons'])} tests"
    )


def _pairs(count: int, speakers: int, texts: int) -> Iterator[ConversionPair]:
    """Every target meets every source in turn; half of the speakers are women."""
    for number in range(count):
        target, source = number % speakers, number // speakers % speakers
        direction = f"{'FM'[source % 2]}2{'FM'[target % 2]}"
        yield ConversionPair(
            f"pair{number}", "made-up", source_speaker=f"s{source}", target_speaker=f"t{target}", direction=direction,
            transcript=f"text {number % texts}",
        )  # fmt: skip


def _scores(pairs: Sequence[ConversionPair], systems: Sequence[str], measures: Sequence[Measure]) -> Iterator[Score]:
    random = np.random.default_rng(0)
    sides = [[getattr(pair, name) for pair in pairs] for name in ("target_speaker", "source_speaker", "transcript")]
    codes = [np.unique(side, return_inverse=True)[1] for side in sides]
    for number, system in enumerate(systems):
        for measure in measures:
            values = 5.0 + 0.1 * number + random.normal(size=len(pairs))
            for side in codes:
                values += 0.3 * random.normal(size=int(side.max()) + 1)[side]
            for pair, value in zip(pairs, values.tolist(), strict=True):
                yield Score(system, pair.id, "zero", measure.name, value, value, 1.0)


if __name__ == "__main__":
    main()
