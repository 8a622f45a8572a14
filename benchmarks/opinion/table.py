"""Whether predictors of opinion put natural speech above converted speech, and systems in the order of listeners.

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
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from vceval import registry
from vceval.metrics.base import Workspace
from vceval.protocol import published
from vceval.records import Conversion, ConversionPair

#: Where the tables stand in the page.
START, END = "<!-- table -->", "<!-- end -->"
HERE = Path(__file__).parent
#: How the manifest calls the recording that is converted, and what is no conversion of it.
NATURAL, NOT_SCORED = "source", ("target", "real")
#: Variants of one system with other prompts, and sets that are another domain: speakers whom the system was trained on.
COLUMNS = ("predictor", "origin", "pair", "system", "value")
#: How papers call what listeners said of naturalness.
OPINIONS = ("MOS", "N-MOS", "NMOS", "nMOS")


class Score(NamedTuple):
    """What a predictor says of a recording."""

    predictor: str
    origin: str
    pair: str
    system: str
    value: float


class Agreement(NamedTuple):
    """How many pairs of systems of listening tests a predictor has in the listeners' order."""

    alike: int
    pairs: int


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
        return [Score(**{**row, "value": float(row["value"])}) for row in csv.DictReader(stream)]


def means(scores: Sequence[Score]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean scores by predictor, origin and system, of pairs that every predictor has scored and every system made."""
    predictors = sorted({one.predictor for one in scores})
    systems: dict[str, set[str]] = defaultdict(set)
    seen: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for one in scores:
        systems[one.origin].add(one.system)
        seen[one.origin, one.pair].add((one.predictor, one.system))
    values: dict[str, dict[str, dict[str, list[float]]]] = {
        name: defaultdict(lambda: defaultdict(list)) for name in predictors
    }
    for one in scores:
        if len(seen[one.origin, one.pair]) == len(predictors) * len(systems[one.origin]):
            values[one.predictor][one.origin][one.system].append(one.value)
    return {
        name: {origin: {system: fmean(some) for system, some in found.items()} for origin, found in origins.items()}
        for name, origins in values.items()
    }


def tables(scores: Sequence[Score]) -> Iterator[str]:
    """Write the tables: what each predictor gives systems of each set, and how often it agrees with listeners."""
    found = means(scores)
    labels = {name: _label(name) for name in found}
    pairs = {origin: len({s.pair for s in scores if s.origin == origin}) for origin in next(iter(found.values()))}
    yield "| Set (pairs) | Predictor | Place of natural speech | Means, best first |"
    yield "| :-- | :-- | --: | :-- |"
    for origin, count in pairs.items():
        for name, by_origin in found.items():
            order = sorted(by_origin[origin].items(), key=lambda item: -item[1])
            place = 1 + [system for system, _ in order].index(NATURAL)
            shown = ", ".join(f"{'**natural**' if one == NATURAL else one} {value:.2f}" for one, value in order)
            yield f"| {origin.removesuffix('-demo')} ({count}) | {labels[name]} | {place} of {len(order)} | {shown} |"
    yield ""
    yield "| Predictor | Natural speech first, sets | Systems above natural speech | Pairs in papers' order |"
    yield "| :-- | --: | --: | --: |"
    for name, by_origin in found.items():
        first = sum(max(means_of, key=means_of.__getitem__) == NATURAL for means_of in by_origin.values())
        above = sum(value > means_of[NATURAL] for means_of in by_origin.values() for value in means_of.values())
        several = sum(len(means_of) - 1 for means_of in by_origin.values())
        heard = agreement(by_origin)
        yield (
            f"| {labels[name]} | {first} of {len(by_origin)} | {above} of {several} | {heard.alike} of {heard.pairs} |"
        )


def agreement(by_origin: Mapping[str, Mapping[str, float]]) -> Agreement:
    """Compare the order of two systems in a set with that in a published listening test that had both."""
    tests: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for row in published.read(published.names(), HERE / "table.py"):
        if row["metric"] in OPINIONS:
            tests[row["paper"], row["table"], row["task"]][row["system"]] = float(row["value"])
    alike = compared = 0
    for opinions in tests.values():
        for one, other in combinations(sorted(opinions), 2):
            for means_of in by_origin.values():
                if one in means_of and other in means_of and opinions[one] != opinions[other]:
                    compared += 1
                    alike += (opinions[one] > opinions[other]) == (means_of[one] > means_of[other])
    return Agreement(alike, compared)


def _label(name: str) -> str:
    kind = registry.load("metric", name)
    return next(one.label for one in kind.measures if one.question == "quality")


if __name__ == "__main__":
    main()
