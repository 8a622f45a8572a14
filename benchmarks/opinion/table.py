"""Whether predictors of opinion put natural speech above what was made of it.

    python benchmarks/opinion/table.py [--demos FOLDER] [--pairs 6] [--predictors mos:distill,mos:dnsmos]

``--demos`` is a folder of published conversions with ``manifest.csv`` (columns origin, dataset, direction, source_utt,
target_utt, system, file); of every origin so many pairs are scored, spread evenly. Scores are kept in ``scores.csv``,
and only what is not there is scored. Without ``--demos`` the tables of the page are made from what was kept.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from vceval import registry
from vceval.metrics.base import Workspace
from vceval.records import Conversion, ConversionPair

#: Where the tables stand in the page.
START, END = "<!-- table -->", "<!-- end -->"
HERE = Path(__file__).parent
#: How the manifest calls the recording that is converted, and what is no conversion of it.
NATURAL, NOT_SCORED = "source", ("target", "real")
#: What is kept of a score.
COLUMNS = ("predictor", "origin", "pair", "system", "value")


class Score(NamedTuple):
    """What a predictor says of a recording."""

    predictor: str
    origin: str
    pair: str
    system: str
    value: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is missing and write the tables."""
    parser = argparse.ArgumentParser(description="Do predictors of opinion put natural speech first?")
    parser.add_argument("--demos", type=Path, metavar="FOLDER", help="with manifest.csv; score what is not kept yet")
    parser.add_argument("--pairs", type=int, default=6, help="pairs of each origin")
    parser.add_argument("--predictors", type=lambda text: text.split(","), default=["mos:distill", "mos:dnsmos"])
    parser.add_argument("--scores", type=Path, default=HERE / "scores.csv", metavar="FILE")
    parser.add_argument("--out", type=Path, default=HERE / "README.md", metavar="PAGE")
    options = parser.parse_args(arguments)
    if options.demos is not None:
        for name in options.predictors:
            score(name, options.demos, options.pairs, options.scores)
    made = "\n".join(tables(read(options.scores)))
    print(made)
    if options.out.is_file():
        page = options.out.read_text(encoding="utf-8")
        before, _, rest = page.partition(START)
        options.out.write_text(f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def chosen(rows: Sequence[Mapping[str, str]], count: int) -> list[Mapping[str, str]]:
    """Take so many pairs of each origin, spread evenly, with all that was made of them."""
    by_origin: dict[str, dict[str, list[Mapping[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["system"] not in NOT_SCORED:
            by_origin[row["origin"]][pair_of(row)].append(row)
    found = []
    for pairs in by_origin.values():
        some = list(pairs.values())
        most = min(count, len(some))
        found += [row for place in range(most) for row in some[int((place + 0.5) * len(some) / most)]]
    return found


def pair_of(row: Mapping[str, str]) -> str:
    """Name a pair within its origin."""
    return f"{row['dataset']}/{row['direction']}/{row['source_utt']}__{row['target_utt']}"


def score(name: str, folder: Path, count: int, file: Path) -> None:
    """Score what is not kept yet, and keep each score at once."""
    metric = registry.load("metric", name)()
    metric.open(Workspace())
    measure = next(one.name for one in metric.measures if one.question == "quality")
    known = {one[:4] for one in read(file)} if file.is_file() else set()
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as stream:
        wanted = chosen(list(csv.DictReader(stream)), count)
    with open(file, "a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if not known and stream.tell() == 0:
            writer.writerow(COLUMNS)
        for row in wanted:
            key = (name, row["origin"], pair_of(row), row["system"])
            if key not in known:
                found = metric.statistics(Conversion(row["system"], ConversionPair("p", "d"), folder / row["file"]))
                writer.writerow([*key, f"{found.sums[measure][0]:.4f}"])
                stream.flush()


def read(file: Path) -> list[Score]:
    """Read what was kept."""
    with open(file, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return [Score(row["predictor"], row["origin"], row["pair"], row["system"], float(row["value"])) for row in rows]


def complete(scores: Sequence[Score]) -> list[Score]:
    """Keep pairs of which every predictor has scored the source and every system of the set."""
    predictors = {one.predictor for one in scores}
    systems: dict[str, set[str]] = defaultdict(set)
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for one in scores:
        systems[one.origin].add(one.system)
        seen[one.origin, one.pair] += 1
    return [one for one in scores if seen[one.origin, one.pair] == len(predictors) * len(systems[one.origin])]


def means(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean scores by predictor, origin and system."""
    values: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for one in sorted(scores):
        values[one.predictor][one.origin][one.system].append(one.value)
    return {
        name: {origin: {system: fmean(some) for system, some in found.items()} for origin, found in origins.items()}
        for name, origins in values.items()
    }


def above(scores: Sequence[Score], predictor: str) -> list[bool]:
    """Say of each conversion whether it stands above the recording that was converted."""
    mine = [one for one in scores if one.predictor == predictor]
    natural = {(one.origin, one.pair): one.value for one in mine if one.system == NATURAL}
    return [one.value > natural[one.origin, one.pair] for one in mine if one.system != NATURAL]


def tables(scores: Sequence[Score]) -> Iterator[str]:
    """Write the tables: what each predictor gives systems of each set, and how often natural speech is first."""
    scores = complete(scores)
    found = means(scores)
    labels = {name: _label(name) for name in found}
    pairs = {one: len({s.pair for s in scores if s.origin == one}) for one in dict.fromkeys(s.origin for s in scores)}
    yield "| Set (pairs) | Predictor | Place of natural speech | Means, best first |"
    yield "| :-- | :-- | --: | :-- |"
    for origin, count in pairs.items():
        for name, by_origin in found.items():
            order = sorted(by_origin[origin].items(), key=lambda item: -item[1])
            place = 1 + [system for system, _ in order].index(NATURAL)
            shown = ", ".join(f"{'**natural**' if one == NATURAL else one} {value:.2f}" for one, value in order)
            yield f"| {origin.removesuffix('-demo')} ({count}) | {labels[name]} | {place} of {len(order)} | {shown} |"
    yield ""
    yield "| Predictor | Natural first, sets | Systems above natural | Conversions above their source |"
    yield "| :-- | --: | --: | --: |"
    for name, by_origin in found.items():
        first = sum(max(means_of, key=means_of.__getitem__) == NATURAL for means_of in by_origin.values())
        better = sum(value > means_of[NATURAL] for means_of in by_origin.values() for value in means_of.values())
        systems = sum(len(means_of) - 1 for means_of in by_origin.values())
        each = above(scores, name)
        yield (f"| {labels[name]} | {first} of {len(by_origin)} | {better} of {systems} | {sum(each)} of {len(each)} |")


def _label(name: str) -> str:
    kind = registry.load("metric", name)
    return next(str(one.label) for one in kind.measures if one.question == "quality")


if __name__ == "__main__":
    main()
