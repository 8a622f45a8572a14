"""What a report says of a ranking: winners, leads, tests, marks, and figures by what systems were trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import FakeRun, demo, scattered

from vceval.reports import filter_data, winners
from vceval.results import views
from vceval.results.marks import Comparison, Ranking
from vceval.results.views import Report
from vceval.statistics.inference import interval


def compared(first: str, second: str, difference: float, p: float | None) -> Comparison:
    return Comparison(first, second, 48, difference, difference - 0.1, difference + 0.2, p)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return views.load(demo(tmp_path_factory.mktemp("demo")))


def ranked(report: Report, measure: str, comparisons: list[Comparison], **facts: object) -> Report:
    """Rank on one measure only; the order is that of the systems of the report unless it is said."""
    order = [system.name for system in report.converters]
    ranking = Ranking(**{"order": order, "comparisons": comparisons, **facts})  # type: ignore[arg-type]
    return replace(report, rankings={(measure, "all", "all"): ranking})


def only_win(report: Report) -> winners.Win:
    [win] = winners.wins(report)
    return win


def test_lead_is_positive_for_the_better_system_whichever_way_the_measure_goes(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    for measure, sign in (("mcd", 1), ("sv", -1)):
        pairs = [compared(good, hostile, -1.0 * sign, 0.2), compared(long, good, 2.0 * sign, 0.01)]
        win = only_win(ranked(report, measure, pairs, best=frozenset({good, hostile}), second=frozenset({long})))
        assert [system.name for system in win.systems] == [good, hostile]
        assert (win.first.name, win.next.name) == (good, long)
        assert win.ahead is not None
        assert (win.ahead.difference, win.ahead.low < win.ahead.high) == (2.0, True)  # type: ignore[operator]
        assert win.verdict() == "yes, p = 0.010"
        assert win.lead() == ("2.00 dB" if measure == "mcd" else "200.0 points")


def test_a_lead_of_a_measure_with_a_best_value_is_how_much_closer_the_first_is(report: Report) -> None:
    good, hostile, _ = (system.name for system in report.converters)
    measures = [replace(m, reduction="eer", best=0.5) if m.name == "sv" else m for m in report.measures]
    pairs = [compared(good, hostile, -0.12, 0.01)]
    run = ranked(replace(report, measures=measures), "sv", pairs, best=frozenset({good}), second=frozenset({hostile}))
    assert only_win(run).lead() == "12.0 points closer"
    assert measures[3].heading == "SV accuracy (%) → 50.0"


def test_verdicts(report: Report) -> None:
    good, hostile, _ = (system.name for system in report.converters)

    def verdict(p: float | None, best: set[str], reason: str = "") -> str:
        pairs = [compared(good, hostile, -1.0, p)]
        return only_win(ranked(report, "mcd", pairs, best=frozenset(best), reason=reason)).verdict()

    assert verdict(0.0004, {good}) == "yes, p < 0.001"
    assert verdict(0.031, {good}) == "yes, p = 0.031"
    assert verdict(0.45, set(), "no significant difference from the first") == "no, p = 0.45"
    assert verdict(None, set(), "no difference could be tested") == "no, no difference could be tested"


def test_measures_are_counted_for_those_that_are_best(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    pairs = [compared(good, hostile, -1.0, 0.6), compared(good, long, -1.0, 0.01)]
    one = only_win(ranked(report, "mcd", pairs, best=frozenset({good, hostile}), second=frozenset({long})))
    two = only_win(ranked(report, "wer", pairs, best=frozenset({good}), second=frozenset({hostile, long})))
    none = only_win(ranked(report, "cer", pairs))
    counted = {lead.system.name: (lead.best, lead.alone) for lead in winners.leads([one, two, none])}
    assert counted == {good: (2, 1), hostile: (1, 0)}
    assert winners.wins(ranked(report, "mcd", pairs, order=[good])) == []
    assert winners.no_ranking(ranked(report, "mcd", [], order=[], reason="why not")) == "why not"


def test_a_measure_that_another_one_ranks_has_no_winner(report: Report) -> None:
    measures = [replace(m, ranked_by="mcd") if m.name == "wer" else m for m in report.measures]
    assert winners.wins(ranked(replace(report, measures=measures), "wer", [])) == []


@given(st.floats(-5, 5), st.floats(0, 1) | st.none())
def test_a_comparison_turned_twice_is_itself(difference: float, p: float | None) -> None:
    one = compared("a", "b", difference, p)
    assert one.turned().turned() == one
    ranking = Ranking(comparisons=[one])
    assert ranking.between("b", "a") == one.turned()
    assert ranking.between("a", "c") is None


def test_rows_of_the_page_are_the_cells_of_the_summary(tmp_path: Path) -> None:
    report = views.load(scattered(tmp_path))
    found = filter_data.cells(report)
    datasets, directions = [*found["datasets"], "all"], [*found["directions"], "all"]
    listed = {}
    for system, measure, dataset, direction, part, value, low, high, count, skipped, _ in found["rows"]:
        assert part == 0
        key = (report.systems[system].name, report.measures[measure].name, datasets[dataset], directions[direction])
        listed[key] = (value, low, high, count, skipped)
    assert set(listed) == set(report.cells)
    measures = {measure.name: measure for measure in report.measures}
    for key, cell in report.cells.items():
        text = measures[key[1]].text
        assert listed[key] == (
            text(cell.value),
            text(cell.low),
            text(cell.high),
            cell.count,
            cell.skipped,
        )


def test_nothing_is_marked_where_systems_have_different_pairs(tmp_path: Path) -> None:
    report = views.load(scattered(tmp_path))
    found = filter_data.cells(report)
    assert {row[-1] for row in found["rows"]} == {0}
    assert found["said"]["main"]["-1,-1"] == ("Unmarked: the systems have different pairs, and none is common to all.")


def test_figures_without_and_only_with_speakers_trained_on(tmp_path: Path) -> None:
    fake = FakeRun(tmp_path / "run", tmp_path / "corpus")
    for number in range(24):
        fake.pair(f"p{number:02d}", ("p1", "p2")[number % 2], ("p3", "p4")[number // 2 % 2])
    names = [pair.id for pair in fake.pairs]
    for name in ("mixed", "clean", "all"):
        fake.system(name, names, skip=False, fail=("p05",) if name == "mixed" else ())
    run = fake.finish()
    trained = {name for place, name in enumerate(names) if place % 3 == 0}
    run.write_leakage(
        (system, pair, "unseen", "trained" if system == "all" or (system == "mixed" and pair in trained) else "unseen")
        for system in ("mixed", "clean", "all")
        for pair in names
    )
    report = views.load(run)
    assert filter_data.exposed(report) == [True] * 24
    found = filter_data.cells(report)
    assert found["parts"]
    rows = {tuple(row[:5]): row[5:] for row in found["rows"]}
    mcd = next(number for number, measure in enumerate(report.measures) if measure.name == "mcd")
    values = report.scores.of("mixed", "mcd")
    for part, wanted in ((1, set(names) - trained), (2, trained)):
        some = [place for place, name in enumerate(names) if name in wanted and not np.isnan(values[place])]
        sides = [[report.pairs[p][name] for p in some] for name in ("target_speaker", "source_speaker", "transcript")]
        ends = interval(values[some], np.ones(len(some)), *sides)
        assert ends is not None
        shown = rows[0, mcd, -1, -1, part]
        assert shown[:3] == [f"{x:.2f}" for x in (values[some].mean(), ends.low, ends.high)]
        failed = int("p05" in wanted)
        counts = "×".join(str(len(set(side))) for side in sides[:2])
        assert shown[3:5] == [f"{len(some)}/{len(some) + failed} · {counts}", 0]
    assert rows[1, mcd, -1, -1, 1][:5] == rows[1, mcd, -1, -1, 0][:5]
    assert (1, mcd, -1, -1, 2) not in rows
    assert rows[2, mcd, -1, -1, 2][:5] == rows[2, mcd, -1, -1, 0][:5]
    assert (2, mcd, -1, -1, 1) not in rows
