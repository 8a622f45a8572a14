"""How often two laboratories that run the same system agree on a board: the table in docs/pages/how-to/board.md.

    python benchmarks/statistics/laboratories.py [--draws 500]

Both convert the pairs of a suite with the same system. What its speakers and texts add is the same for both; what
chance adds to a pair is drawn anew by each (seeds, machines), and a part of it by target speaker. Their results go
through what a board does with two results of one system, and counted is how often the 95 % interval of the difference
covers zero.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vceval.board.standing import agreements
from vceval.protocol import suite as suites
from vceval.results.outcomes import Outcomes, Speakers
from vceval.results.views import MeasureView

__all__ = ["agreement", "main"]

#: Measures: how figures are made up, better, whether a rate.
MEASURES = {
    "mean": MeasureView("mean", "made", "MCD", "dB", "lower", 1.0, 2),
    "rate": MeasureView("rate", "made", "SV acc.", "%", "higher", 100.0, 1, rate=True, worst=0.0),
    "words": MeasureView("words", "made", "WER", "%", "lower", 100.0, 1),
}
#: Standard deviations that target speakers, source speakers and texts add, where that of a pair's own chance is 1, and
#: what each laboratory's chance adds to a target speaker.
SIDES, OWN = 0.5, 0.3


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, count, print."""
    parser = argparse.ArgumentParser(description="How often two laboratories that run the same system agree.")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--suites", default="demo,vctk_unseen")
    parser.add_argument("--measures", default=",".join(MEASURES))
    options = parser.parse_args(arguments)
    print("| Suite | measure | covers zero | differs at 0.05 |\n| :-- | :-- | --: | --: |")
    for name in options.suites.split(","):
        for kind in options.measures.split(","):
            measure = MEASURES[kind]
            covered = agreement(name, measure, options.draws)
            told = f"{covered:,} of {options.draws:,} ({100 * covered / options.draws:.1f} %)"
            missed = 100 * (1 - covered / options.draws)
            print(f"| {name} | {measure.label} ({kind}) | {told} | {missed:.1f} % |", flush=True)


def agreement(suite: str, measure: MeasureView, draws: int, seed: int = 0) -> int:
    """How many of some draws cover zero."""
    random = np.random.default_rng(seed)
    pairs = suites.frozen_pairs(suites.load(suite))
    sides = [[_speaker(pair.prompts[0]) for pair in pairs], [_speaker(pair.source) for pair in pairs],
             [pair.source.partition("_")[2] for pair in pairs]]  # fmt: skip
    codes = [np.unique(side, return_inverse=True)[1] for side in sides]
    speakers = Speakers(sides[0], sides[1], sides[2], [suite] * len(pairs), [pair.direction or "" for pair in pairs])
    covered = 0
    for _ in range(draws):
        system = sum((random.normal(0.0, SIDES, code.max() + 1)[code] for code in codes), np.zeros(len(pairs)))
        sums = np.stack([_measured(random, system, codes[0], measure) for _ in range(2)])[:, :, None, :]
        outcomes = Outcomes.of_sums(speakers, ["first", "second"], [measure.name], sums)
        [found] = agreements(outcomes, [measure], [("first", "second")])
        covered += bool(found.agrees)
    return covered


def _measured(
    random: np.random.Generator, system: NDArray[np.float64], targets: NDArray[np.intp], measure: MeasureView
) -> NDArray[np.float64]:
    """What one laboratory measures: numerators and denominators, shape (pairs, 2)."""
    chance = random.normal(0.0, 1.0, len(system)) + random.normal(0.0, OWN, targets.max() + 1)[targets]
    level, ones = system + chance, np.ones(len(system))
    if measure.name == "mean":
        return np.stack([6.0 + level, ones], axis=-1)
    if measure.rate:
        return np.stack([(level < 0.8).astype(float), ones], axis=-1)
    words = 6.0 + random.integers(0, 6, len(system))
    return np.stack([random.binomial(words.astype(int), 1.0 / (1.0 + np.exp(1.5 - 0.5 * level))), words], axis=-1)


def _speaker(recording: str) -> str:
    return Path(recording).name.partition("_")[0]


if __name__ == "__main__":
    main()
