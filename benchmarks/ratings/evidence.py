"""What raw ratings say of intervals, of listeners, and of how many listeners a test needs.

    VCEVAL_SHARED=DIR python benchmarks/ratings/evidence.py [--splits 60]

Coverage: the listeners of a test and its files are split into random halves. One half of the listeners on one half of
the files, and the other half on the other, make two tests that share neither. Each gives a system's mean and its
error. The interval of what the second would find, given the first, holds the errors of both; how often the second's
mean lies in it is the coverage. Each split looks at some systems, drawn anew. Seeds are fixed.

The tables go into ``docs/pages/reference/ratings.md``, the noise between two systems into ``noise.json``.
``DIR/ratings`` holds the two sets that do not ship, ``vcc2018.csv.gz`` and ``svcc2023.csv.gz``; without it they are
left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from vceval.benchmarks.ratings.simulated import DESIGNS, study
from vceval.benchmarks.statistics.table import put_between
from vceval.listen.agree import ceiling
from vceval.listen.power import QUESTIONS, as_ratings, listeners_needed, noise_of, of_vcc2020
from vceval.listen.rating_tables import read_ratings
from vceval.statistics.inference import Estimate, estimate, t_quantile

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "pages" / "reference" / "ratings.md"
#: Systems that each split looks at.
DRAWN = 4
#: Differences that are to be found, in points of a scale of five, and how often.
DIFFERENCES, POWER = (0.1, 0.2, 0.5), 0.8
#: Conversion pairs of each system in the tables.
PAIRS = (20, 40, 80, 160, 640)
#: Systems of VCC2020 that are natural speech: of the targets, and of the sources.
NATURAL = r"ref|team34_"
#: A file that fits none, such as an unconverted source of SVCC2023, is of no system, and not looked at.
_SYSTEM = {
    "vcc2018": r"^(?P<system>[A-Z]\d\d)_.*_(?P<task>SPO|HUB|NAT)",
    "svcc2023": r"^VoiceMOS2023Track2-(?P<system>[^-]+)-[^-]+-(?P<task>[CI])",
}


class Coverage(NamedTuple):
    """How often intervals held the other half's mean: naïve ones, and vceval's; of how many."""

    naive: float
    ours: float
    looked: int


def vcc2020() -> pd.DataFrame:
    """The ratings that ship; a file is a pair of its own."""
    found = read_ratings("vcc2020").ratings
    return found.assign(pair=found["file"])


def rating_sets() -> Iterator[tuple[str, pd.DataFrame]]:
    """Every set of ratings: its name, and its rows."""
    for (group, question), mine in vcc2020().groupby(["listeners", "question"], sort=True):
        yield f"VCC2020, {question}, {group} listeners", mine
    if shared := os.environ.get("VCEVAL_SHARED"):
        for name, title in (("vcc2018", "VCC2018, quality"), ("svcc2023", "SVCC2023, quality")):
            found = read_ratings(str(Path(shared) / "ratings" / f"{name}.csv.gz")).ratings
            parts = found["file"].str.extract(_SYSTEM[name])
            yield title, found.assign(system=parts["system"] + " " + parts["task"], pair=found["file"])


def coverage(ratings: pd.DataFrame, splits: int, drawn: int = DRAWN, seed: int = 0) -> Coverage:
    """Split one set of ratings many times (see the head of this file)."""
    random = np.random.default_rng(seed)
    listeners, files, systems = (pd.factorize(ratings[name], sort=True)[0] for name in ("listener", "pair", "system"))
    scores = ratings["score"].to_numpy(dtype=np.float64)
    of_system = [np.flatnonzero(systems == number) for number in range(systems.max() + 1)]
    naive = ours = looked = 0
    for _ in range(splits):
        side, part = (random.permutation(codes.max() + 1) % 2 for codes in (listeners, files))
        for number in random.choice(len(of_system), size=min(drawn, len(of_system)), replace=False):
            rows = of_system[number]
            halves = [rows[(side[listeners[rows]] == half) & (part[files[rows]] == half)] for half in (0, 1)]
            if min(map(len, halves)) < 4 or any(np.ptp(scores[half]) == 0 for half in halves):
                continue
            plain = [Estimate(scores[h].mean(), scores[h].std(ddof=1) / len(h) ** 0.5, np.inf, {}) for h in halves]
            full = [
                estimate(scores[h], np.ones(len(h)), listeners[h].tolist(), files[h].tolist()) for h in halves
            ]  # fmt: skip
            naive += _held(plain, 1.96)
            ours += _held(full)
            looked += 1
    return Coverage(naive / looked, ours / looked, looked)


def _held(halves: Sequence[Estimate], quantile: float | None = None) -> bool:
    """Whether the mean of one half lies where the other says; Welch's degrees of freedom."""
    one, other = halves
    variance = one.error**2 + other.error**2
    if quantile is None:
        freedom = variance**2 / (one.error**4 / one.freedom + other.error**4 / other.freedom)
        quantile = t_quantile(0.975, freedom)
    return bool(abs(one.value - other.value) <= quantile * variance**0.5)


def converters() -> pd.DataFrame:
    """The ratings of VCC2020 that are of conversions."""
    found = vcc2020()
    return found[~found["system"].str.match(NATURAL)]


def noise() -> dict[str, dict[str, dict[str, float]]]:
    """The noise between two systems of VCC2020, by group and question, as the challenge asked."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (group, question), mine in converters().groupby(["listeners", "question"], sort=True):
        # What was said to whom in whose voice: the same of all systems
        said = mine.assign(pair=mine["file"].str.partition("-")[2])
        found.setdefault(str(group), {})[str(question)] = noise_of(as_ratings(said, "mos"))._asdict()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every table."""
    parser = argparse.ArgumentParser(description="What raw ratings say of intervals and of listeners.")
    parser.add_argument("--splits", type=int, default=60)
    parser.add_argument("--runs", type=int, default=500, help="simulated runs of each design")
    parser.add_argument("--only", choices=("coverage", "ceiling", "noise", "simulation"))
    options = parser.parse_args(arguments)
    makers: dict[str, Callable[[], list[str]]] = {
        "noise": _needed, "ceiling": _ceiling, "simulation": lambda: _simulated(options.runs),
        "coverage": lambda: _covered(options.splits),
    }  # fmt: skip
    for name, make in makers.items():
        if options.only in (None, name):
            lines = make()
            print("\n".join(lines), flush=True)
            put_between(PAGE, lines, f"<!-- {name} -->", f"<!-- end of {name} -->")


def _covered(splits: int) -> list[str]:
    lines = ["| ratings | ratings, listeners, files, systems | ±1.96 SE | vceval | halves looked at |",
             "| :-- | :-- | --: | --: | --: |"]  # fmt: skip
    for name, found in rating_sets():
        counts = ", ".join(f"{found[column].nunique():,}" for column in ("listener", "pair", "system"))
        one = coverage(found, splits)
        lines.append(f"| {name} | {len(found):,}, {counts} | {one.naive:.1%} | {one.ours:.1%} | {one.looked:,} |")
        print(lines[-1], flush=True)
    return lines


def _ceiling() -> list[str]:
    lines = ["| question | level | coefficient | halves | as large a panel | English / Japanese |",
             "| :-- | :-- | :-- | --: | --: | :-- |"]  # fmt: skip
    for question, mine in converters().groupby("question", sort=True):
        for level, of_level in ceiling(mine, ("English", "Japanese")).items():
            for name, one in of_level.items():
                both = one["groups"]["English / Japanese"]
                top = "–" if one["ceiling"] is None else f"{one['ceiling']:.3f}"
                lines.append(
                    f"| {question} | {level} | {name} | {one['halves']:.3f} | {top} | "
                    f"{both['value']:.3f} [{both['low']:.3f}, {both['high']:.3f}] |"
                )
    return lines


def _needed() -> list[str]:
    (HERE / "noise.json").write_text(json.dumps(noise(), indent=1) + "\n", encoding="utf-8")
    lines = ["| question | listeners of | pairs | " + " | ".join(f"{d:g} points" for d in DIFFERENCES) + " |",
             "| :-- | :-- | --: |" + " --: |" * len(DIFFERENCES)]  # fmt: skip
    for question in QUESTIONS:
        for group in ("English", "Japanese"):
            for pairs in PAIRS:
                known = of_vcc2020(question, group)
                counts = (listeners_needed(known, d, POWER, pairs, 4) for d in DIFFERENCES)
                cells = " | ".join("never" if count is None else f"{count:,}" for count in counts)
                lines.append(f"| {question} | {group} | {pairs} | {cells} |")
    return lines


def _simulated(runs: int) -> list[str]:
    lines = ["| design | level | coefficient | truth | mean found | interval holds the truth |",
             "| :-- | :-- | :-- | --: | --: | --: |"]  # fmt: skip
    for design in DESIGNS:
        for (level, name), row in study(design, runs).items():
            lines.append(
                f"| {design.name} | {level} | {name} | {row.truth:.3f} | {row.mean:.3f} | {row.coverage:.1%} |"
            )
            print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    main()
