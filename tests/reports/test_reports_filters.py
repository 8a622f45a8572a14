"""What the page's filters show: cells of the summary, marks, and figures by what systems were trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from report_runs import FakeRun, scattered

from vceval.reports import filter_data
from vceval.results import views
from vceval.statistics.inference import interval


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
