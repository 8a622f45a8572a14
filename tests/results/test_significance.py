"""Best and second by tests: what is marked in a table, and tests within parts of the pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.results.marks import ALPHA, marks
from vceval.results.pairwise import PairedScores
from vceval.results.views import MeasureView
from vceval.statistics.intervals import cluster_bootstrap, holm, paired_difference

VALUES = {"a": (1.0, "1.0"), "b": (1.2, "1.2"), "c": (3.0, "3.0"), "d": (3.1, "3.1"), "e": (9.0, "9.0")}
MEASURE = MeasureView("mcd", "mcd", "MCD", "dB", "lower", 1.0, 2)


def pairwise(different: set[str]) -> list[dict[str, object]]:
    """A test of every two systems; those in ``different`` are significant."""
    return [
        {"first": x, "second": y, "p_holm": 0.001 if x + y in different else 0.7}
        for x, y in itertools.combinations(VALUES, 2)
    ]


APART = {"ac", "ad", "ae", "bc", "bd", "be", "ce", "de"}


def test_ties_share_a_mark() -> None:
    found = marks(VALUES, "lower", pairwise(APART))
    assert (set(found.best), set(found.second), found.tested) == ({"a", "b"}, {"c", "d"}, True)


def test_the_better_side_decides() -> None:
    found = marks(VALUES, "higher", pairwise(APART))
    assert (set(found.best), set(found.second)) == ({"e"}, {"c", "d"})
    assert not marks(VALUES, "", pairwise(APART)).best


def test_nobody_is_marked_where_nothing_differs() -> None:
    found = marks(VALUES, "lower", pairwise(set()))
    assert (found.best, found.second, found.tested) == (frozenset(), frozenset(), True)


def test_without_tests_the_printed_figures_decide() -> None:
    values = {**VALUES, "z": (1.0001, "1.0")}
    found = marks(values, "lower", [{"first": "a", "second": "b", "p_holm": None}])
    assert (set(found.best), set(found.second), found.tested) == ({"a", "z"}, {"b"}, False)
    assert not marks({"a": (1.0, "1.0")}, "lower", []).best
    assert marks({"a": (1.0, "1.0"), "b": (1.0, "1.0")}, "lower", []).best == frozenset()


def test_a_system_that_no_test_reaches_is_not_best() -> None:
    """One pair of one speaker may look splendid; there is no test for it."""
    values = {**VALUES, "lucky": (0.1, "0.1")}
    assert "lucky" not in marks(values, "lower", pairwise(APART)).best


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=7),
    st.lists(st.floats(0, 1), min_size=21, max_size=21),
    st.sampled_from(["lower", "higher"]),
)
def test_marks_follow_from_the_tests(figures: list[float], p_values: list[float], better: str) -> None:
    values = {f"s{n}": (figure, f"{figure:.2f}") for n, figure in enumerate(figures)}
    found = [
        {"first": x, "second": y, "p_holm": p}
        for (x, y), p in zip(itertools.combinations(values, 2), p_values, strict=False)
    ]
    result = marks(values, better, found)
    p_of = {frozenset((t["first"], t["second"])): float(str(t["p_holm"])) for t in found}
    assert not result.best & result.second
    if result.best:
        top = (min if better == "lower" else max)(figures)
        leader = next(name for name in result.best if values[name][0] == top)
        for name in values:
            if name != leader:
                assert (name in result.best) == (p_of[frozenset((leader, name))] >= ALPHA)
        assert result.second
    else:
        assert not result.second


@pytest.fixture
def scores() -> PairedScores:
    """Three systems on 60 pairs of 5 target and 4 source speakers; one value is missing."""
    rng = np.random.default_rng(3)
    pairs = [
        {"pair": f"p{n}", "dataset": "d" if n % 2 else "e", "direction": ("F2F", "F2M")[n % 2],
         "source_speaker": f"s{n % 4}", "target_speaker": f"t{n % 5}"}
        for n in range(60)
    ]  # fmt: skip
    sums = {(f"sys{k}", "mcd"): (rng.normal(5 + k / 2, 1, 60), rng.integers(1, 4, 60).astype(float)) for k in range(3)}
    sums["sys1", "mcd"][0][7] = np.nan
    return PairedScores(pairs, sums)


@pytest.mark.parametrize("direction", ["all", "F2M"])
def test_comparisons_are_those_of_single_pairs(scores: PairedScores, direction: str) -> None:
    found = list(scores.compare(["sys0", "sys1", "sys2"], [MEASURE], direction=direction))
    wanted = []
    for first, second in itertools.combinations(["sys0", "sys1", "sys2"], 2):
        one, other = scores._sums[first, "mcd"], scores._sums[second, "mcd"]
        chosen = [
            n for n, pair in enumerate(scores.pairs)
            if direction in ("all", pair["direction"]) and np.isfinite(one[0][n]) and np.isfinite(other[0][n])
        ]  # fmt: skip
        wanted.append(
            paired_difference(
                one[0][chosen], one[1][chosen], other[0][chosen], other[1][chosen],
                [scores.pairs[n]["target_speaker"] for n in chosen],
                crossed=[scores.pairs[n]["source_speaker"] for n in chosen],
            )
        )  # fmt: skip
    p_values = [one.p_value for one in wanted if one.p_value is not None]
    assert len(p_values) == 3
    for entry, single, corrected in zip(found, wanted, holm(p_values), strict=True):
        assert single.interval is not None
        assert [entry[key] for key in ("difference", "low", "high", "p_value", "p_holm")] == pytest.approx(
            [single.value, *single.interval[:2], single.p_value, corrected], rel=1e-9
        )
        assert (entry["dataset"], entry["direction"]) == ("all", direction)
    assert [entry["n"] for entry in found] == ([59, 60, 59] if direction == "all" else [29, 30, 29])


def test_a_cell_is_the_ratio_of_sums_with_its_interval(scores: PairedScores) -> None:
    among = np.arange(60) < 40
    cell = scores.cell("sys1", "mcd", among, lost=2, skipped=3)
    numerators, denominators = (column[:40][np.isfinite(scores._sums["sys1", "mcd"][0][:40])] for column in
                                scores._sums["sys1", "mcd"])  # fmt: skip
    kept = [n for n in range(40) if n != 7]
    interval = cluster_bootstrap(
        numerators, denominators, [f"t{n % 5}" for n in kept], crossed=[f"s{n % 4}" for n in kept]
    )
    assert interval is not None
    assert cell.value == pytest.approx(numerators.sum() / denominators.sum())
    assert (cell.low, cell.high) == pytest.approx(interval[:2])
    assert (cell.n, cell.expected, cell.failed, cell.skipped) == (39, 41, 2, 3)
    assert scores.cell("nobody", "mcd", among).value is None
