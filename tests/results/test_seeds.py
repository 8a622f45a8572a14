"""Scores of several seeds: reduced to pairs, and split into seed, speakers and sentence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion, ConversionPair, Failure, Score, Skip
from vceval.results.rundir import RunDirectory
from vceval.results.scores import read_scores
from vceval.results.seeds import MOST, SHARE, Split, seed_summary, split
from vceval.results.summary import summarise
from vceval.results.table import Tally

LOSS = Measure("loss", "Loss", "", "lower")


@dataclass(frozen=True)
class Loss(Metric):
    """Has one measure; nothing is computed by it here."""

    name: ClassVar[str] = "loss"
    title: ClassVar[str] = "Loss"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (LOSS,)
    source: ClassVar[str] = "nobody"

    def signature(self) -> str:
        return "LOSS|v:1.0"

    def statistics(self, conversion: Conversion) -> Statistics:
        raise NotImplementedError


def crossed(targets: int, sources: int, repeats: int = 1) -> dict[str, ConversionPair]:
    """Pairs of every source with every target."""
    return {
        f"{s}-{t}-{k}": ConversionPair(f"{s}-{t}-{k}", "d", source_speaker=f"s{s}", target_speaker=f"t{t}")
        for s, t, k in itertools.product(range(sources), range(targets), range(repeats))
    }


def drawn(
    pairs: dict[str, ConversionPair], seeds: int, seed: int, *, target: float, source: float, pair: float, noise: float
) -> NDArray[np.float64]:
    """Values of shape (pairs, seeds) with effects of given standard deviations."""
    random = np.random.default_rng(seed)
    effects = [
        {name: random.normal(0, spread) for name in sorted({getattr(p, side) for p in pairs.values()})}
        for side, spread in (("target_speaker", target), ("source_speaker", source))
    ]
    base = [effects[0][p.target_speaker] + effects[1][p.source_speaker] for p in pairs.values()]
    values = np.array(base) + random.normal(0, pair, len(pairs))
    return values[:, None] + random.normal(0, noise, (len(pairs), seeds))


def speakers(pairs: dict[str, ConversionPair]) -> tuple[list[str | None], list[str | None]]:
    return [p.target_speaker for p in pairs.values()], [p.source_speaker for p in pairs.values()]


DESIGNS = {
    "crossed": crossed(10, 10),
    "crossed, few speakers, several texts": crossed(5, 5, 4),
    "sources nested in targets": {
        name: pair for name, pair in crossed(20, 4, 5).items() if int(pair.target_speaker[1:]) % 4 == int(name[0])
    },
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_known_variances_are_found_again(design: str) -> None:
    pairs = DESIGNS[design]
    found, means = [], []
    for number in range(150):
        values = drawn(pairs, 3, number, target=1.0, source=0.7, pair=1.4, noise=0.8)
        found.append(split(values, *speakers(pairs)))
        means.append(values.mean())
    assert np.mean([one.seed for one in found]) == pytest.approx(0.64, rel=0.05)
    assert np.mean([one.sentence for one in found]) == pytest.approx(1.96, rel=0.1)
    assert np.mean([one.speakers for one in found]) == pytest.approx(1.49, rel=0.2)
    assert np.mean([one.alone / 3 + one.rest for one in found]) == pytest.approx(np.var(means), rel=0.25)


@pytest.mark.parametrize(
    ("targets", "sources"),
    [
        ([f"t{k}" for k in range(40)], [f"s{k}" for k in range(40)]),
        ([None] * 40, [None] * 40),
        (["t"] * 40, ["s"] * 40),
    ],
    ids=["each speaker once", "no speaker known", "one speaker on each side"],
)
def test_speakers_are_not_made_up(targets: Sequence[str | None], sources: Sequence[str | None]) -> None:
    values = np.random.default_rng(0).normal(0, 1, (40, 1)) + np.random.default_rng(1).normal(0, 0.5, (40, 4))
    found = split(values, targets, sources)
    assert (found.speakers, found.sentence) == (None, None)
    assert found.seed == pytest.approx(0.25, rel=0.2)
    assert found.rest == pytest.approx(max(0.0, values.mean(axis=1).var(ddof=1) / 40 - found.seed / 160))


def test_one_pair_says_what_its_seeds_do_and_no_more() -> None:
    found = split(np.array([[1.0, 2.0, 3.0]]), ["t"], ["s"])
    assert found == Split(1.0, None, None, 1.0, 0.0)
    assert found.enough() is None, "all that is known of the variance is noise"


@pytest.mark.parametrize(("alone", "rest", "enough"), [(0.0, 0.0, 1), (1.0, 9.0, 1), (1.0, 4.5, 2), (1.0, 0.5, 18)])
def test_seeds_are_enough_where_their_part_is_small(alone: float, rest: float, enough: int) -> None:
    found = Split(1.0, 1.0, 1.0, alone, rest)
    assert found.enough() == enough
    assert found.share(enough) <= SHARE + 1e-12
    if enough > 1:
        assert found.share(enough - 1) > SHARE
    assert Split(1.0, 1.0, 1.0, 9.0 * (MOST + 1), 81.0).enough() is None


def tally_of(
    values: dict[str, NDArray[np.float64]], pairs: dict[str, ConversionPair], weights: NDArray[np.float64] | None = None
) -> Tally:
    """A tally of systems with values of shape (pairs, seeds)."""
    found = Tally(pairs, seeds={name: some.shape[1] for name, some in values.items()})
    for name, some in values.items():
        for place, pair in enumerate(pairs):
            weight = 1.0 if weights is None else float(weights[place])
            for number, value in enumerate(some[place]):
                found.score(Score(name, pair, "loss", "loss", value, value * weight, weight, seed=number))
    return found


def test_a_flip_between_seeds_is_told() -> None:
    pairs = crossed(4, 4)
    plain = np.full((16, 1), 5.0)
    near = plain + np.array([[-0.1, 0.2, 0.1]]) + np.linspace(-0.01, 0.01, 16)[:, None]
    far = near + 3.0
    found = seed_summary(tally_of({"plain": plain, "near": near, "far": far}, pairs), ["plain", "near", "far"], [LOSS])
    assert found is not None
    flips = {(entry["first"], entry["second"]): entry["flips"] for entry in found["differences"]}
    assert flips == {("plain", "near"): True, ("plain", "far"): False, ("near", "far"): False}
    by_seed = {(entry["first"], entry["second"]): entry["values"] for entry in found["differences"]}
    assert by_seed["plain", "near"] == pytest.approx([0.1, -0.2, -0.1])
    assert by_seed["near", "far"] == pytest.approx([-3.0, -3.0, -3.0])
    assert seed_summary(tally_of({"plain": plain}, pairs), ["plain"], [LOSS]) is None
    assert (
        seed_summary(tally_of({"near": near}, pairs), ["near"], [Measure("eer", "", "", "lower", reduction="eer")])[
            "figures"
        ]
        == []
    )  # type: ignore[index]


def test_figures_are_ratios_of_sums() -> None:
    pairs = crossed(6, 5)
    weights = np.arange(1.0, 31.0)
    values = drawn(pairs, 4, 3, target=0.2, source=0.2, pair=0.5, noise=0.3) + 5
    found = seed_summary(tally_of({"a": values}, pairs, weights), ["a"], [LOSS])
    assert found is not None
    [figure] = found["figures"]
    by_seed = (values * weights[:, None]).sum(axis=0) / weights.sum()
    assert figure["values"] == pytest.approx(list(by_seed))
    residuals = (values - by_seed.mean()) * weights[:, None] / weights.mean()
    assert figure["sd"] == pytest.approx(np.sqrt(residuals.var(axis=1, ddof=1).mean() / 30))
    draws = [drawn(pairs, 1, 10 + k, target=0, source=0, pair=0, noise=0.3)[:, 0] for k in range(2000)]
    assert figure["sd"] == pytest.approx(np.std([(d * weights).sum() / weights.sum() for d in draws]), rel=0.15)


def test_a_pair_has_the_mean_over_the_seeds_that_have_a_score() -> None:
    pairs = crossed(1, 1, 6)
    names = list(pairs)
    found = Tally(pairs, seeds={"a": 2})
    for pair, values in zip(names, ([1.0, 3.0], [5.0], [], [], [7.0], []), strict=True):
        for number, value in enumerate(values):
            found.score(Score("a", pair, "loss", "loss", value, value, 1.0, seed=number))
    found.failure(Failure("a", names[1], "convert", "", "why", 1))
    for number in (0, 1):
        found.failure(Failure("a", names[2], "convert", "", "why", number))
        found.failure(Failure("a", names[3], "score", "loss", "why", number))
        found.skip(Skip("a", names[5], "loss", "loss", "voiced", "why", number))
    found.skip(Skip("a", names[4], "loss", "loss", "voiced", "why", 1))
    column = found.column("a", "loss")
    assert column.pairs.tolist() == [0, 1, 4]
    assert column.numerators.tolist() == [2.0, 5.0, 7.0]
    assert column.denominators.tolist() == [1.0, 1.0, 1.0]
    assert found.failed("a", "loss").tolist() == [3]
    assert found.unconverted("a").tolist() == [2]
    assert found.skipped("a", "loss").tolist() == [5]
    assert (found.lost("a"), found.skips("a", "loss")) == (3, 3)
    row = {"name": "a", "expected": 12, "control": False}
    summary = summarise(found, [row], [Loss()])
    [cell] = [c for c in summary["cells"] if (c["dataset"], c["direction"]) == ("all", "all")]
    assert {key: cell[key] for key in ("value", "n", "expected", "failed", "skipped")} == {
        "value": pytest.approx(14 / 3), "n": 3, "expected": 5, "failed": 2, "skipped": 1,
    }  # fmt: skip
    assert [(s["expected"], s["converted"], s["failed"]) for s in summary["systems"]] == [(12, 9, 3)]
    [figure] = summary["seeds"]["figures"]
    assert (figure["scored"], figure["expected"], figure["pairs"]) == (4, 9, 1)


def test_files_of_seeds_are_read_as_means(tmp_path: Path) -> None:
    run, pairs = RunDirectory(tmp_path), crossed(2, 2)
    names = list(pairs)
    scores = [Score("b", pair, "loss", "loss", 0.25, 1.0, 4.0) for pair in names]
    for pair, number in itertools.product(names, range(3)):
        if (pair, number) != (names[1], 0):
            value, details = 2.0 + number, {"said": "a", "heard": f"{pair} {number}"}
            scores.append(Score("a", pair, "loss", "loss", value / 4, value, 4.0, details, number))
    run.write_scores(scores, pairs, {"loss": "LOSS"})
    run.write_failures([Failure("a", names[1], "score", "loss", "why")])
    run.write_skips([Skip("a", names[0], "loss", "more", "voiced", "why", 2)])
    frame = run.read_scores().set_index(["system", "pair"])
    arrays = read_scores(tmp_path / "scores.parquet", ["a", "b"], names, ["loss"])
    takes = run.read_takes()
    for (system, pair), row in frame.iterrows():
        mine = takes[(takes["system"] == system) & (takes["pair"] == pair)]
        place = arrays.systems[system], arrays.pairs[pair], 0
        for column, array in (("numerator", arrays.numerators), ("denominator", arrays.denominators)):
            assert row[column] == array[place] == pytest.approx(mine[column].mean())
        assert row["value"] == arrays.values[place] == row["numerator"] / row["denominator"]
    assert "seed" not in frame.columns
    assert [row["seed"] for row in run.read_failures()] == ["0"]
    assert [row["seed"] for row in run.read_skips()] == ["2"]
    assert "seed" not in (tmp_path / "failures.csv").read_text()
    heard = {place: texts.hypothesis for place, texts in arrays.transcripts.items()}
    assert heard == {(0, k): f"{names[k]} 0" for k in (0, 2, 3)}, "what is heard of a pair is what is heard of seed 0"
