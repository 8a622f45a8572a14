"""The one rule of ranking: which pairs and systems count, who is marked, and that bad input leaves words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_outcomes import ACCEPT, Given, outcomes_of
from report_runs import demo

from vceval.records import ConversionPair, Score
from vceval.results import views
from vceval.results.marks import ALPHA, Ranking, mark_sentence, rankings_of
from vceval.results.outcomes import Outcomes
from vceval.results.ranking import decided, ranked
from vceval.results.table import Tally
from vceval.results.views import MeasureView
from vceval.statistics.holm import holm
from vceval.statistics.inference import interval, paired_test

BANDWIDTH = MeasureView("bandwidth", "bandwidth", "Bandw.", "kHz", "higher", 1.0, 1)
WER = MeasureView("wer", "wer", "WER", "%", "lower", 100.0, 1, ranked_by="wer_capped")
CAPPED = MeasureView("wer_capped", "wer", "WER cap.", "%", "lower", 100.0, 1, worst=1.0, rate=True)
EER = MeasureView("eer", "sv", "Spoof EER", "%", "higher", 100.0, 1, "eer", best=0.5)


def rank(
    given: Mapping[str, Mapping[str, Sequence[Given]]], measures: Sequence[MeasureView], **how: Any
) -> dict[tuple[str, str, str], Ranking]:
    return rankings_of(*ranked(outcomes_of(given, measures, **how), list(given), measures))


def one(given: Mapping[str, Sequence[Given]], measure: MeasureView, **how: Any) -> Ranking:
    """Rank on one measure over all pairs."""
    columns = {system: {measure.name: values} for system, values in given.items()}
    return rank(columns, [measure], **how)[measure.name, "all", "all"]


def noise(seed: int, mean: float, spread: float = 0.1, count: int = 20) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, count).tolist()


# Which pairs count


def test_a_system_that_fails_where_it_is_hard_is_not_best() -> None:
    """B is worse on every pair that it converted, fails on the ten hard ones, and has the higher mean for that."""
    hard = [4.0] * 10 + [7.0] * 10
    values = {"A": [v + x for v, x in zip(hard, noise(0, 0.4), strict=True)],
              "B": ["failed"] * 10 + [v + x for v, x in zip(hard[10:], noise(1, -0.5, count=10), strict=True)],
              "C": [v + x for v, x in zip(hard, noise(2, -0.9), strict=True)]}  # fmt: skip
    found = rank({name: {"bandwidth": v} for name, v in values.items()}, [BANDWIDTH])
    for (_, _, direction), ranking in found.items():
        assert not ranking.mark("B")
        assert "B" not in ranking.order
        half = {"all": "10 of 20", "F2F": "5 of 10", "F2M": "5 of 10"}[direction]
        assert ranking.unranked == {"B": f"failed on {half} pairs"}
        assert (ranking.best, ranking.second, ranking.left_out) == ({"A"}, {"C"}, 0)
    words = mark_sentence([("Bandw.", found["bandwidth", "all", "all"])], {"B": "System B"})
    assert "Shown, not ranked: System B (failed on 10 of 20 pairs)." in words


def test_failed_pairs_count_as_the_worst_value_where_there_is_one() -> None:
    outcomes = outcomes_of(
        {"A": {"accept": [1.0, 0.0] * 10}, "B": {"accept": ["failed"] * 10 + [1.0] * 10}, "C": {"accept": [1.0] * 20}},
        [ACCEPT],
    )
    ranking = rankings_of(*ranked(outcomes, ["A", "B", "C"], [ACCEPT]))["accept", "all", "all"]
    assert ranking.values == {"A": 0.5, "B": 0.5, "C": 1.0}
    assert (ranking.order[0], ranking.counted, ranking.unranked) == ("C", {"B": 10}, {})
    assert ranking.between("A", "B").difference == 0.0  # type: ignore[union-attr]
    cell = outcomes.cell("B", ACCEPT, np.ones(20, dtype=bool))
    assert (cell.value, cell.n, cell.expected, cell.failed) == (0.5, 10, 20, 10)
    assert cell.low is not None
    assert "A failed pair counts as the worst value: SV acc.." in mark_sentence([("SV acc.", ranking)], {})


def test_a_failed_pair_weighs_as_much_as_its_words() -> None:
    words = [(1.0, float(n)) for n in range(2, 12)]
    outcomes = outcomes_of({"A": {"wer_capped": words}, "B": {"wer_capped": ["failed", *words[1:]]}}, [CAPPED])
    assert outcomes.value("B", CAPPED, np.ones(10, dtype=bool)) == pytest.approx((2 + 9) / sum(range(2, 12)))


def test_without_a_worst_value_common_pairs_decide_and_the_rest_is_counted() -> None:
    given = {"A": noise(0, 5.0, count=40), "B": noise(1, 6.0, count=40)}
    given["B"][7] = "failed"
    given["A"][3] = "skipped"
    ranking = one(given, BANDWIDTH)
    kept = [n for n in range(40) if n not in (3, 7)]
    assert (ranking.pairs, ranking.left_out, ranking.unranked) == (40, 2, {})
    assert ranking.values["A"] == pytest.approx(np.mean([given["A"][n] for n in kept]))
    assert ranking.between("A", "B").n == 38  # type: ignore[union-attr]
    words = mark_sentence([("Bandw.", ranking)], {})
    assert "Ranked without the pairs that not all have a value for: Bandw. (2 of 40)." in words


def test_what_nobody_can_have_a_value_for_is_no_pair() -> None:
    for measure in (BANDWIDTH, ACCEPT):
        given: dict[str, list[Given]] = {
            name: ["skipped"] * 5 + noise(n, n + 1.0, count=15) for n, name in enumerate("AB")
        }
        given["A"][0] = "failed"  # had it been converted, there would be no value either
        ranking = one(given, measure)
        assert (ranking.pairs, ranking.left_out, ranking.best, ranking.counted) == (15, 0, {"B"}, {})


def test_pairs_of_a_system_alone_do_not_count() -> None:
    """B was given half of the pairs: both are ranked on these."""
    ranking = one({"A": noise(0, 5.0), "B": [None] * 10 + noise(1, 6.0, count=10)}, BANDWIDTH)
    assert (ranking.pairs, ranking.best, ranking.second) == (10, {"B"}, {"A"})


# Which side is better


def test_a_hallucinated_tail_is_not_best() -> None:
    """349.5 % for one recording that repeats itself, 30.8 % for a system that is a little worse throughout."""
    words = 10.0
    errors = {"good": [0.2] * 20, "fair": [3.0 + n % 2 for n in range(20)], "tail": [3.5 + n % 2 for n in range(20)]}
    errors["tail"][4] = 600.0
    given = {
        name: {"wer": [(x, words) for x in v], "wer_capped": [(min(x, words), words) for x in v]}
        for name, v in errors.items()
    }
    found = rank(given, [WER, CAPPED])
    assert found["wer", "all", "all"].values["tail"] > 3.0
    assert found["wer", "all", "all"].best == found["wer", "all", "all"].second == frozenset()
    assert found["wer", "all", "all"].reason == "ranked by WER cap."
    assert found["wer_capped", "all", "all"].best == {"good"}
    assert found["wer_capped", "all", "all"].order == ["good", "fair", "tail"]


@pytest.mark.parametrize(("errors", "weak"), [(0.14, False), (0.15, False), (0.16, True), (None, False)])
def test_a_recogniser_that_errs_on_natural_speech_ranks_nobody(errors: float | None, weak: bool) -> None:
    """Nobody may be blamed for what is the recogniser's own."""
    measure = replace(CAPPED, natural_limit=0.15, judge="PocketSphinx")
    given: dict[str, dict[str, Sequence[Given]]] = {
        "good": {"wer_capped": [(1.0 + n % 2, 10.0) for n in range(20)]},
        "bad": {"wer_capped": [(6.0 + n % 3, 10.0) for n in range(20)]},
        "source": {"wer_capped": [None if errors is None else (10 * errors, 10.0)] * 20},
    }
    outcomes = outcomes_of(given, [measure])
    found = rankings_of(*ranked(outcomes, ["good", "bad"], [measure], natural="source"))["wer_capped", "all", "all"]
    assert found.order == ["good", "bad"]
    if weak:
        assert not found.best | found.second
        assert found.weak
        assert found.reason == "PocketSphinx too weak to rank: 16.0 % on natural speech, at most 15.0 %"
    else:
        assert found.best == {"good"}


def detector(means: Mapping[str, float]) -> dict[tuple[str, str, str], Ranking]:
    """Systems whose scores lie around a mean; those of natural speech lie around 0."""
    rng = np.random.default_rng(1)
    natural = {f"t{n}": rng.normal(0, 1, 60).tolist() for n in range(10)}
    given = {name: {"eer": rng.normal(mean, 1, 300).tolist()} for name, mean in means.items()}
    return rank(given, [EER], targets=10, learnt={"sv": {"d": {"natural_scores": natural}}})


def test_a_detector_that_is_wrong_more_often_than_not_does_not_beat_one_that_guesses() -> None:
    ranking = detector({"copies": 0.6, "guessed": 0.0, "found out": -2.0})["eer", "all", "all"]
    assert ranking.values["copies"] == pytest.approx(0.62, abs=0.02)
    assert ranking.values["guessed"] == pytest.approx(0.5, abs=0.02)
    assert ranking.order == ["guessed", "copies", "found out"]
    assert (ranking.best, ranking.second) == ({"guessed"}, {"copies"})
    tested = ranking.between("guessed", "copies")
    assert tested is not None
    assert tested.difference == pytest.approx(abs(ranking.values["guessed"] - 0.5) - (ranking.values["copies"] - 0.5))
    assert tested.p_value < ALPHA  # type: ignore[operator]


def test_figures_as_far_from_the_best_on_either_side_are_a_tie() -> None:
    assert not detector({"above": 0.4, "below": -0.4})["eer", "all", "all"].best


# Who is marked


def compared(values: Mapping[str, float], different: set[str]) -> list[dict[str, Any]]:
    """A test of every two systems; those in ``different`` are significant."""
    return [
        {"first": x, "second": y, "difference": values[x] - values[y], "p_holm": 0.001 if x + y in different else 0.7}
        for x, y in itertools.combinations(values, 2)
    ]


VALUES = {"a": 1.0, "b": 1.2, "c": 3.0, "d": 3.1, "e": 9.0}
APART = {"ac", "ad", "ae", "bc", "bd", "be", "ce", "de"}


def test_ties_share_a_mark() -> None:
    found = decided(VALUES, CAPPED, compared(VALUES, APART))
    assert (found["best"], found["second"], found["reason"]) == (["a", "b"], ["c", "d"], "")


def test_the_better_side_decides() -> None:
    found = decided(VALUES, ACCEPT, compared(VALUES, APART))
    assert (found["best"], found["second"]) == (["e"], ["d", "c"])


def test_marks_end_at_the_first_that_is_worse() -> None:
    """What stands below is not best, though no test tells it from the best."""
    found = decided(VALUES, CAPPED, compared(VALUES, {"ab"}))
    assert (found["best"], found["second"]) == (["a"], ["b", "c", "d", "e"])
    found = decided(VALUES, CAPPED, compared(VALUES, {"ab", "bc"}))
    assert (found["best"], found["second"]) == (["a"], ["b"])


def test_a_test_of_the_other_sign_counts_for_nothing() -> None:
    tests = [{"first": "a", "second": "b", "difference": 0.5, "p_holm": 0.001}]
    assert decided({"a": 1.0, "b": 2.0}, CAPPED, tests)["best"] == []


def test_nobody_is_marked_where_nothing_differs_or_nothing_was_tested() -> None:
    assert decided(VALUES, CAPPED, compared(VALUES, set()))["reason"] == "no significant difference from the first"
    untested = [{**test, "p_holm": None} for test in compared(VALUES, APART)]
    assert decided(VALUES, CAPPED, untested)["reason"] == "no difference could be tested"
    assert decided(VALUES, CAPPED, compared(VALUES, APART)[:-1])["reason"] == "not every two systems could be compared"
    for found in (decided(VALUES, CAPPED, []), decided({"a": 1.0}, CAPPED, []), decided({}, CAPPED, [])):
        assert found["best"] == found["second"] == []
        assert found["reason"]


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=7),
    st.lists(st.floats(0, 1), min_size=21, max_size=21),
    st.sampled_from([CAPPED, ACCEPT]),
)
def test_marks_are_monotone(figures: list[float], p_values: list[float], measure: MeasureView) -> None:
    values = {f"s{n}": figure for n, figure in enumerate(figures)}
    tests = [{**test, "p_holm": p} for test, p in zip(compared(values, set()), p_values, strict=False)]
    found = decided(values, measure, tests)
    order = [entry["system"] for entry in found["order"]]
    marked = [*found["best"], *found["second"]]
    assert marked == order[: len(marked)]
    assert bool(found["best"]) == bool(found["second"]) == (not found["reason"])
    p_of = {frozenset((t["first"], t["second"])): t["p_holm"] if t["difference"] else 1.0 for t in tests}
    for name in found["best"][1:]:
        assert p_of[frozenset((order[0], name))] >= ALPHA
    if found["second"]:
        assert p_of[frozenset((order[0], found["second"][0]))] < ALPHA


# Bad input


@pytest.mark.parametrize("measure", [BANDWIDTH, ACCEPT, EER])
@pytest.mark.parametrize(
    "given",
    [
        {"A": ["failed"] * 8, "B": [0.5, 0.7] * 4},
        {"A": ["failed"] * 8, "B": ["failed"] * 8},
        {"A": ["skipped"] * 8, "B": ["skipped"] * 8},
        {"A": [0.5], "B": [0.7]},
        {"A": [0.5] * 8},
        {"A": [0.5] * 8, "B": [0.5] * 8},
        {"A": [0.5, None] * 4, "B": [None, 0.7] * 4},
        {"A": [None] * 8, "B": [0.5] * 8},
    ],
    ids=["one fails", "all fail", "no value", "one pair", "one system", "no spread", "nothing common", "nothing given"],
)
def test_bad_input_leaves_a_reason(measure: MeasureView, given: dict[str, list[Given]]) -> None:
    for learnt in ({}, {"sv": {"d": {"natural_scores": {f"t{n}": [0.1, 0.9] * 9 for n in range(5)}}}}):
        for targets in (1, 5):
            ranking = one(given, measure, targets=targets, learnt=learnt)
            for name in given:
                value = outcomes_of({n: {measure.name: v} for n, v in given.items()}, [measure], learnt=learnt).cell(
                    name, measure, np.ones(len(given[name]), dtype=bool)
                )
                assert value.n <= value.expected
            assert ranking.reason or ranking.best
            if given.get("A") != ["failed"] * 8:
                assert not ranking.best


def test_speakers_without_names_are_recordings_of_their_own() -> None:
    pairs = {f"p{n}": ConversionPair(f"p{n}", "d") for n in range(20)}
    scores = [Score(s, p, "accept", "accept", v, v, 1.0) for v, s in enumerate(["A", "B"]) for p in pairs]
    outcomes = Outcomes.of_tally(Tally(pairs, scores), ["A", "B"], {})
    assert rankings_of(*ranked(outcomes, ["A", "B"], [ACCEPT]))["accept", "all", "all"].best == {"B"}


# Figures and tests


def test_comparisons_are_those_of_single_pairs() -> None:
    rng = np.random.default_rng(3)
    names = ["one", "two", "three"]
    given = {name: list(zip(rng.normal(5 + k / 2, 1, 60), rng.integers(1, 4, 60).astype(float), strict=True))
             for k, name in enumerate(names)}  # fmt: skip
    given["two"][7] = "failed"
    for direction in ("all", "F2M"):
        columns = {name: {"bandwidth": values} for name, values in given.items()}
        _, entries = ranked(outcomes_of(columns, [BANDWIDTH]), names, [BANDWIDTH])
        found = [entry for entry in entries if (entry["dataset"], entry["direction"]) == ("all", direction)]
        chosen = [n for n in range(60) if n != 7 and (direction == "all" or n % 2)]
        wanted = [
            paired_test(
                *([given[name][n][side] for n in chosen] for name in (first, second) for side in (0, 1)),
                [f"t{n % 5}" for n in chosen], [f"s{n // 5 % 4}" for n in chosen],
            )
            for first, second in itertools.combinations(names, 2)
        ]  # fmt: skip
        for entry, single, p in zip(found, wanted, holm([w.p_value for w in wanted]), strict=True):  # type: ignore[misc]
            assert single.interval is not None
            assert [entry[key] for key in ("difference", "low", "high", "p_value", "p_holm")] == pytest.approx(
                [single.value, *single.interval[:2], single.p_value, p], rel=1e-9
            )
            assert entry["n"] == len(chosen)


def test_a_cell_is_the_ratio_of_sums_with_its_interval() -> None:
    rng = np.random.default_rng(3)
    values: list[Given] = list(zip(rng.normal(5, 1, 60), rng.integers(1, 4, 60).astype(float), strict=True))
    values[7], values[8] = "failed", "skipped"
    cell = outcomes_of({"A": {"bandwidth": values}}, [BANDWIDTH]).cell("A", BANDWIDTH, np.arange(60) < 40)
    kept = [n for n in range(40) if n not in (7, 8)]
    above, below = ([values[n][side] for n in kept] for side in (0, 1))  # type: ignore[index]
    ends = interval(above, below, [f"t{n % 5}" for n in kept], [f"s{n // 5 % 4}" for n in kept])
    assert ends is not None
    assert cell.value == pytest.approx(sum(above) / sum(below))
    assert (cell.low, cell.high) == pytest.approx(ends[:2])
    assert (cell.n, cell.expected, cell.failed, cell.skipped) == (38, 39, 1, 1)
    assert (cell.targets, cell.sources, cell.count) == (5, 4, "38/40 · 5×4")


def test_a_finished_run_is_ranked_as_it_was(tmp_path: Path) -> None:
    """Runs put together are ranked from their files: of one run this gives what its summary says."""
    report = views.load(demo(tmp_path))
    again = rankings_of(*ranked(Outcomes.of_report(report), [s.name for s in report.converters], report.measures))
    assert again == report.rankings


def test_rates_differ_by_no_more_than_one() -> None:
    given: dict[str, list[Given]] = {"A": [1.0] * 11 + [0.0], "B": [0.0] * 12}
    _, tests = ranked(outcomes_of({n: {"accept": v} for n, v in given.items()}, [ACCEPT]), ["A", "B"], [ACCEPT])
    (entry,) = [one for one in tests if (one["dataset"], one["direction"]) == ("all", "all")]
    assert entry["difference"] == pytest.approx(11 / 12)
    assert entry["low"] < entry["high"] == 1.0
