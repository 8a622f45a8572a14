"""The self-test of predictors of opinion: what moves them that should not, and whether their signatures say so.

    python benchmarks/invariance/predictors.py [--corpus FOLDER] [--recordings 2] [--metrics mos:distill] [--out PAGE]

``mos`` and every recipe of it that can be used here hear recordings of the demo corpus twice, in another order, all
together, and changed as in ``table.py``: by gain, by zeros, upside down, at other rates. The table shows the largest
move of each figure; what exceeds 0.1 must stand in the signature, and nothing else may: the command ends with 1 where
it does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soxr
from numpy.typing import NDArray

from vceval import registry
from vceval.benchmarks.invariance import table
from vceval.benchmarks.invariance.table import END, START, Change, Samples, gain, zeros
from vceval.corpora.base import Corpus
from vceval.corpora.csv_manifest import CsvManifest
from vceval.corpora.demo import Demo
from vceval.errors import UsageError
from vceval.metrics.base import Workspace
from vceval.metrics.opinion import MOVES, OpinionPredictor
from vceval.records import Conversion, ConversionPair

__all__ = ["CHANGES", "LIMIT", "moved", "self_test", "usable"]

#: More than this is said by the signature.
LIMIT = 0.1
PAGE = Path(__file__).resolve().parents[2] / "docs" / "pages" / "metrics" / "mos.md"


def _at(rate: int) -> Change:
    def resampled(samples: Samples, own: int) -> NDArray[Any]:
        found: Samples = soxr.resample(samples, own, rate)
        return found

    return Change("rate", f"{rate / 1000:g} kHz", resampled, rate=rate)


#: Each belongs to one of :data:`vceval.metrics.opinion.MOVES`.
CHANGES = (
    *(Change("gain", f"{decibel:+g} dB", gain(decibel)) for decibel in (-20.0, 6.0)),
    *(Change("padding", f"{one}, {two}", zeros(one, two)) for one, two in ((2.0, 0.0), (0.0, 3.0))),
    Change("polarity", "upside down", lambda samples, _: -samples),
    *(_at(rate) for rate in (22_050, 48_000)),
)
#: Those that are heard as they are: again, from the last to the first, all together.
SAME = ("repeat", "order", "batch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Test every predictor that is here and write the table."""
    parser = argparse.ArgumentParser(description="What moves predictors of opinion.")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="with utterances.csv; else the demo corpus")
    parser.add_argument("--recordings", type=int, default=6)
    parser.add_argument("--metrics", type=lambda text: text.split(","), metavar="NAME,NAME")
    parser.add_argument("--device", default="cpu", help="of the networks: cpu, or cuda:N")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="PAGE")
    options = parser.parse_args(arguments)
    corpus = Demo() if options.corpus is None else CsvManifest(options.corpus)
    here, absent = usable(options.metrics)
    found = {name: self_test(name, corpus, options.recordings, options.device) for name in here}
    lines = [*rows(found), *(f"\nNot tested: `{name}`. {why}." for name, why in absent.items())]
    print("\n".join(lines))
    if options.metrics is None:
        page = options.out.read_text(encoding="utf-8")
        before, _, rest = page.partition(START)
        made = "\n".join(rows(found))
        options.out.write_text(f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    wrong = [name for name, moves in found.items() if moved(moves) != declared(name)]
    for name in wrong:
        said = [", ".join(some) or "none" for some in (moved(found[name]), declared(name))]
        print(f"{name}: moved by {said[0]}; its signature says {said[1]}")
    return 1 if wrong else 0


def usable(names: Sequence[str] | None = None) -> tuple[list[str], dict[str, str]]:
    """Name the predictors that can be used here, and why others can't."""
    recipes = registry.load("metric", "mos").recipes
    every = ["mos", *(f"mos:{recipe}" for recipe in recipes)] if names is None else list(names)
    absent: dict[str, str] = {}
    for name in every:
        try:
            predictor(name)
        except UsageError as error:
            absent[name] = str(error)
    return [name for name in every if name not in absent], absent


def predictor(name: str, device: str = "cpu") -> OpinionPredictor:
    """Open a predictor that has kept nothing."""
    metric = registry.load("metric", name)()
    if not isinstance(metric, OpinionPredictor):
        raise UsageError(f"{name} is no predictor of opinion")
    metric.open(Workspace(device=device))
    return metric


def self_test(name: str, corpus: Corpus, count: int, device: str = "cpu") -> dict[str, dict[str, float]]:
    """Measure the largest move of each figure: label to kind of change to move."""
    paths = [path for _, path in table.parallel_pairs(list(corpus.utterances()), count)]
    usual = scored(predictor(name, device), paths)
    other = {
        "repeat": scored(predictor(name, device), paths),
        "order": scored(predictor(name, device), paths[::-1]),
        "batch": scored(predictor(name, device), paths, together=True),
    }
    changed = table.moves([name], corpus, count, CHANGES)
    return {
        label: {
            **{
                kind: max(abs(again[path][label] - usual[path][label]) for path in paths)
                for kind, again in other.items()
            },
            **changed[label],
        }
        for label in usual[paths[0]]
    }


def scored(metric: OpinionPredictor, paths: Sequence[Path], together: bool = False) -> dict[Path, dict[str, float]]:
    """Score recordings: path to label to figure."""
    conversions = [Conversion("x", ConversionPair(str(number), "d"), path) for number, path in enumerate(paths)]
    if together:
        metric.prepare(conversions)
    labels = {measure.name: measure.label for measure in metric.measures}
    found = {one.path: metric.statistics(one).sums for one in conversions}
    return {path: {labels[name]: value for name, (value, _) in sums.items()} for path, sums in found.items()}


def moved(moves: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Name what moves any figure by more than :data:`LIMIT`."""
    kinds = (*SAME, *MOVES)
    return tuple(kind for kind in kinds if any(by_kind[kind] > LIMIT for by_kind in moves.values()))


def declared(name: str) -> tuple[str, ...]:
    """What the signature says."""
    kind: type[OpinionPredictor] = registry.load("metric", name)
    return kind.moved_by


def rows(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    """Write the table: a line a figure, a column a kind of change."""
    kinds = (*SAME, *MOVES)
    yield f"| Figure | {' | '.join(kinds)} | signature |"
    yield "| :-- |" + " --: |" * len(kinds) + " :-- |"
    for name, moves in found.items():
        for label, by_kind in moves.items():
            shown = " | ".join(f"{by_kind[kind]:.2g}" for kind in kinds)
            yield f"| {label} | {shown} | `moved-by:{','.join(declared(name)) or 'none'}` |"


if __name__ == "__main__":
    sys.exit(main())
