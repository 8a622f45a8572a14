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
from vceval.results.marks import Comparison, between, comparisons_of, not_told_apart
from vceval.results.views import Report
from vceval.statistics.intervals import cluster_bootstrap


def compared(first: str, second: str, difference: float, p: float | None) -> Comparison:
    return Comparison(first, second, 48, difference, difference - 0.1, difference + 0.2, p)


def entries(measure: str, comparisons: list[Comparison]) -> list[dict[str, object]]:
    """Write comparisons as a summary holds them."""
    return [
        {"measure": measure, "first": one.first, "second": one.second, "n": one.n, "difference": one.difference,
         "low": one.low, "high": one.high, "p_value": one.p_value, "p_holm": one.p_value}
        for one in comparisons
    ]  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return views.load(demo(tmp_path_factory.mktemp("demo")))


def with_figures(report: Report, measure: str, figures: dict[str, float | None]) -> Report:
    """Put corpus figures on one measure in place of those of the run."""
    found = dict(report.cells)
    for system, value in figures.items():
        key = (system, measure, "all", "all")
        found[key] = replace(found[key], value=value, low=None, high=None)
    return replace(report, cells=found)


def test_lead_is_positive_for_the_better_system_whichever_way_the_measure_goes(report: Report) -> None:
    names = [system.name for system in report.converters]
    good, hostile, long = names
    for measure, values in (("mcd", (5.0, 6.0, 7.0)), ("sv", (0.9, 0.8, 0.7))):
        sign = 1 if measure == "mcd" else -1
        pairs = [compared(good, hostile, -1.0 * sign, 0.01), compared(long, good, 2.0 * sign, 0.2)]
        run = replace(
            with_figures(report, measure, dict(zip(names, values, strict=True))),
            comparisons=entries(measure, pairs),
        )
        win = next(win for win in winners.wins(run) if win.measure.name == measure)
        assert [system.name for system in win.systems] == [good]
        assert win.next is not None
        assert win.next.name == hostile
        assert win.ahead is not None
        assert (win.ahead.difference, win.ahead.low < win.ahead.high) == (1.0, True)  # type: ignore[operator]
        assert [system.name for system in win.alike] == [long]
        assert not win.clear
        assert win.verdict() == "not against 1 of 2"
        assert win.lead() == ("1.00 dB" if measure == "mcd" else "100.0 points")


def test_verdicts(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    run = with_figures(report, "mcd", {good: 5.0, hostile: 6.0, long: None})

    def verdict(run: Report, p: float | None) -> str:
        run = replace(run, comparisons=entries("mcd", [compared(good, hostile, -1.0, p)]))
        return next(win for win in winners.wins(run) if win.measure.name == "mcd").verdict()

    assert verdict(run, 0.0004) == "yes, p < 0.001"
    assert verdict(run, 0.031) == "yes, p = 0.031"
    assert verdict(run, 0.45) == "no, p = 0.45"
    assert verdict(run, None) == "not tested"
    three = with_figures(report, "mcd", {good: 5.0, hostile: 6.0, long: 7.0})
    assert verdict(three, 0.01) == "1 not tested"
    both = [compared(good, long, -2.0, 0.02), compared(hostile, long, -2.0, 0.02)]
    two = replace(with_figures(report, "mcd", {good: 5.0, hostile: 5.0, long: 7.0}), comparisons=entries("mcd", both))
    win = next(win for win in winners.wins(two) if win.measure.name == "mcd")
    assert (win.verdict(), win.settled, win.clear) == ("yes, p = 0.020; 2 tie", True, False)
    tie = with_figures(report, "mcd", {good: 5.0, hostile: 5.0001, long: 5.0})
    assert verdict(tie, 0.9) == "nothing to compare with"


def test_systems_with_the_same_printed_figure_win_together(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    run = with_figures(report, "sv", {good: 0.9, hostile: 0.9999, long: 1.0})
    win = next(win for win in winners.wins(run) if win.measure.name == "sv")
    assert {system.name for system in win.systems} == {hostile, long}
    assert not win.clear
    counted = {lead.system.name: lead.best for lead in winners.leads([win])}
    assert counted == {hostile: 1, long: 1}
    alone = with_figures(report, "sv", {good: 0.9, hostile: None, long: None})
    assert "sv" not in [win.measure.name for win in winners.wins(alone)]


def test_marks_name_the_best_and_those_a_test_could_not_tell_from_it(report: Report) -> None:
    good, hostile, long = (system.name for system in report.converters)
    measure = next(m for m in report.measures if m.name == "mcd")
    run = with_figures(report, "mcd", {good: 5.0, hostile: 6.0, long: 7.0, "source": 1.0})
    found = {s.name: cell for s in run.systems if (cell := run.cell(s.name, "mcd")) is not None}
    assert filter_data.marks(run, measure, found, []) == {good: filter_data.BEST}
    pairs = [compared(good, hostile, -1, 0.6), compared(good, long, -2, None), compared(hostile, long, -1, 0.9)]
    assert filter_data.marks(run, measure, found, pairs) == {good: filter_data.BEST, hostile: filter_data.ALIKE}
    # On the page the same, and within a direction only where that was tested
    tests = entries("mcd", pairs)
    some = [{**entry, "direction": "F2F"} for entry in tests]
    rows = filter_data.cells(replace(run, comparisons=[*tests, *some]))["rows"]
    marked = {(run.systems[row[0]].name, row[3]): row[-1] for row in rows if row[1:3] == [0, -1]}
    directions = [*report.directions, "all"]
    assert marked[hostile, -1] == 2
    assert {mark for (_, way), mark in marked.items() if directions[way] == "F2M"} == {0, 1}


@given(st.floats(-5, 5), st.floats(0, 1) | st.none())
def test_a_comparison_turned_twice_is_itself(difference: float, p: float | None) -> None:
    one = compared("a", "b", difference, p)
    assert one.turned().turned() == one
    assert between([one], "b", "a") == one.turned()
    assert between([one], "a", "c") is None
    assert not_told_apart([one], ["a"]) == ({"b"} if p is not None and p >= 0.05 else set())


def test_comparisons_are_read_by_measure_dataset_and_direction() -> None:
    entry = {"measure": "mcd", "first": "a", "second": "b", "n": 3, "difference": 0.5, "low": None, "high": None,
             "p_value": 0.01, "p_holm": 0.02}  # fmt: skip
    found = comparisons_of([entry, {**entry, "direction": "F2M", "p_holm": None}])
    assert found["mcd", "all", "all"][0].p_value == 0.02
    assert found["mcd", "all", "F2M"][0].p_value is None


def test_rows_of_the_page_are_the_cells_of_the_summary(tmp_path: Path) -> None:
    report = views.load(scattered(tmp_path))
    found = filter_data.cells(report)
    datasets, directions = [*found["datasets"], "all"], [*found["directions"], "all"]
    listed = {}
    for system, measure, dataset, direction, part, value, low, high, n, expected, skipped, _ in found["rows"]:
        assert part == 0
        key = (report.systems[system].name, report.measures[measure].name, datasets[dataset], directions[direction])
        listed[key] = (value, low, high, n, expected, skipped)
    assert set(listed) == set(report.cells)
    measures = {measure.name: measure for measure in report.measures}
    for key, cell in report.cells.items():
        text = measures[key[1]].text
        assert listed[key] == (
            text(cell.value),
            text(cell.low),
            text(cell.high),
            cell.n,
            cell.expected,
            cell.skipped,
        )


def test_nothing_is_marked_where_systems_have_different_pairs(tmp_path: Path) -> None:
    report = views.load(scattered(tmp_path))
    assert not report.same_pairs
    assert {row[-1] for row in filter_data.cells(report)["rows"]} == {0}


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
        speakers = [(report.pairs[p]["target_speaker"], report.pairs[p]["source_speaker"]) for p in some]
        interval = cluster_bootstrap(
            values[some], np.ones(len(some)), [one for one, _ in speakers], crossed=[one for _, one in speakers]
        )
        assert interval is not None
        shown = rows[0, mcd, -1, -1, part]
        assert shown[:3] == [f"{x:.2f}" for x in (values[some].mean(), interval.low, interval.high)]
        failed = int("p05" in wanted)
        assert shown[3:6] == [len(some), len(some) + failed, 0]
    assert rows[1, mcd, -1, -1, 1][:6] == rows[1, mcd, -1, -1, 0][:6]
    assert (1, mcd, -1, -1, 2) not in rows
    assert rows[2, mcd, -1, -1, 2][:6] == rows[2, mcd, -1, -1, 0][:6]
    assert (2, mcd, -1, -1, 1) not in rows
