"""What converting took, in reports: tables, the page's section, the figure, and columns beside measures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_pages import assert_fits, compiled
from report_runs import HOSTILE, demo, make

from vceval.reports import figures, latex, report_page, tables
from vceval.reports.efficiency_tables import columns, efficiency_tables, factor
from vceval.reports.latex import STYLES
from vceval.reports.table_files import Options, write_tables
from vceval.results import efficiency, views
from vceval.results.efficiency import Efficiency, Machine, SetUp, Spread
from vceval.results.merge_runs import material
from vceval.results.rundir import RunDirectory
from vceval.results.views import Report

HERE, THERE = Machine("Slow One", 2, "", 2), Machine("Fast One", 16, "NVIDIA H200", 1)
TORCH = SetUp("2.13.0", 1, "float32")


def entry(system: str, rtf: float = 0.5, machine: Machine = HERE, **facts: Any) -> Efficiency:
    """What a system took."""
    known: dict[str, Any] = {
        "parameters": {"a.pt": 12_345_678, "b.pt": 1_000_000}, "counted": 40, "of": 48, "warm": True, "together": 8,
        "rtf": Spread(rtf, rtf / 2, rtf * 2), "processor": Spread(rtf / 2, rtf / 4, rtf), "memory": 1_234_000_000,
        "device_memory": None, "set_up": TORCH, **facts,
    }  # fmt: skip
    return Efficiency(system=system, machine=machine, **known)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return demo(tmp_path_factory.mktemp("efficiency"))


@pytest.fixture
def plain(run: RunDirectory) -> Report:
    """The demo-like run, that has no figures of efficiency."""
    return views.load(run)


@pytest.fixture
def report(plain: Report) -> Report:
    return replace(plain, efficiency=[entry("good"), entry(HOSTILE, 4.0, parameters=None, memory=None)])


def test_one_machine_and_one_set_up_stand_in_the_caption(report: Report) -> None:
    main, networks = efficiency_tables(report)
    assert main.headings == ["System", "Parameters (M)", "RTF", "Processor RTF", "Memory (MB)", "Conversions"]
    assert list(main.rows[0]) == [
        "Good system", "13.3", "0.500 [0.250, 1.00]", "0.250 [0.125, 0.500]", "1,234", "40/48",
    ]  # fmt: skip
    assert list(main.rows[1])[1:] == ["–", "4.00 [2.00, 8.00]", "2.00 [1.00, 4.00]", "–", "40/48"]
    assert "Measured on Slow One (2 cores), 2 workers." in main.caption
    assert "Set-up: torch 2.13.0, 1 thread, float32." in main.caption
    assert [list(row) for row in networks.rows] == [
        ["Good system", "a.pt", "12,345,678"], ["Good system", "b.pt", "1,000,000"],
    ]  # fmt: skip


def test_several_machines_have_a_column_and_a_system_a_row_on_each(report: Report) -> None:
    there = entry("good", 0.01, THERE, processor=None, device_memory=2_000_000, set_up=SetUp("", None, ""), warm=False)
    main = efficiency_tables(replace(report, efficiency=[*report.efficiency, there]))[0]
    assert list(main.headings)[-3:] == ["Conversions", "Machine", "Set-up"]
    assert "GPU memory (MB)" in main.headings
    assert [row[-2] for row in main.rows] == [HERE.text, HERE.text, THERE.text]
    assert list(main.rows[2])[2:4] == ["0.0100 [0.00500, 0.0200]", "–"]
    assert main.rows[2][-1] == "–"
    assert "Measured on" not in main.caption
    assert "With the first batch, as there was no other: Good system." in main.caption


def test_controls_stand_below(report: Report) -> None:
    main = efficiency_tables(replace(report, efficiency=[entry("source"), entry("good")]))[0]
    assert [row[0] for row in main.rows] == ["Good system", "Source (unconverted)"]


def test_files_are_made_like_those_of_other_tables(report: Report, tmp_path: Path) -> None:
    names = write_tables(replace(material([RunDirectory(report.root)]), report=report), tmp_path)
    assert {f"efficiency.{kind}" for kind in ("md", "tex", "csv", "json")} <= set(names)
    with open(tmp_path / "efficiency.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1][:2] == ["Good system", "13.3"]
    assert json.loads((tmp_path / "efficiency.json").read_text())["headings"] == rows[0]
    assert "RTF" in (tmp_path / "efficiency.tex").read_text()
    assert "RTF" not in (tmp_path / "main.md").read_text(), "off where nobody asked"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("machines", [1, 2])
def test_tables_fit_every_paper(report: Report, tmp_path: Path, style: str, machines: int) -> None:
    """One machine, and two with GPU memory, set-ups and the names of machines in columns."""
    there = entry("good", 0.01, THERE, device_memory=2_000_000, set_up=SetUp("2.13.0+cu130", 16, "bfloat16"))
    several = replace(report, efficiency=[*report.efficiency, *([there] if machines == 2 else [])])
    write_tables(replace(material([RunDirectory(report.root)]), report=several), tmp_path / "tables", Options(style))
    assert_fits(compiled(tmp_path / "tables", tmp_path, files="[es]*.tex", kind=style)[0])


def test_the_page_has_a_section_where_something_was_converted(report: Report, plain: Report) -> None:
    page = report_page.page(report, [])
    assert '<a href="#efficiency">Efficiency</a>' in page
    section = page.partition('<section id="efficiency"')[2].partition("</section>")[0]
    assert "0.500 [0.250, 1.00]" in section
    assert "a.pt" in section
    assert "efficiency" not in report_page.page(plain, [])
    assert efficiency_tables(plain) == []


def drawn(report: Report, folder: Path) -> Any:
    return figures._quality_against_time(report, folder)


def test_the_figure_shows_the_measure_that_the_verdict_rests_on(report: Report, tmp_path: Path) -> None:
    """No measure of this run says how good it sounds; the next question is whose voice it is."""
    one = drawn(report, tmp_path)
    assert (tmp_path / "quality_against_time.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "quality_against_time.png").is_file()
    assert one.title == "SV accuracy against time."
    assert "Good system: RTF 0.500, SV accuracy" in one.alternative
    assert "Measured on Slow One (2 cores), 2 workers." in one.note
    better = [replace(m, question="quality") if m.name == "mcd" else m for m in report.measures]
    assert drawn(replace(report, measures=better), tmp_path).title == "MCD against time."


def test_the_figure_names_several_machines(report: Report, tmp_path: Path) -> None:
    several = replace(report, efficiency=[*report.efficiency, entry("good", 0.01, THERE)])
    one = drawn(several, tmp_path)
    assert f"Measured on A: {HERE.text}; B: {THERE.text}." in one.note


@pytest.mark.parametrize("systems", [[], ["good"], ["good", "source"]])
def test_one_system_is_no_figure(report: Report, tmp_path: Path, systems: list[str]) -> None:
    assert drawn(replace(report, efficiency=[entry(name) for name in systems]), tmp_path) is None


def test_columns_for_tables_of_results(report: Report) -> None:
    with_figures, found = columns(report, ["rtf", "params", "memory", "mcd"])
    assert found == ["rtf", "params", "memory", "mcd"]
    measures = [one for one in with_figures.measures if one.name in found[:3]]
    table = tables.measure_table(with_figures, "chosen", "Chosen", measures, [tables.WHOLE])
    assert [column.labelled for column in table.columns] == [
        f"RTF ({HERE.text})", "Parameters", f"Memory ({HERE.text})",
    ]  # fmt: skip
    values = {row.system.name: [entry and entry.value for entry in row.entries] for row in table.rows}
    assert values["good"] == ["0.500", "13.3", "1234"]
    assert values[HOSTILE] == ["4.000", None, None]
    assert values["source"] == [None, None, None]
    assert "RTF" in latex.table(table)
    assert report.cells.keys() < with_figures.cells.keys()


def test_columns_of_two_machines_are_two(report: Report) -> None:
    several = replace(report, efficiency=[*report.efficiency, entry("good", 0.01, THERE)])
    with_figures, found = columns(several, ["rtf", "params"])
    assert found == ["rtf", "rtf:2", "params"]
    cells = [with_figures.cell("good", name) for name in found]
    assert [cell and cell.value for cell in cells] == [0.5, 0.01, 13_345_678.0]
    judges = {one.name: one.judge for one in with_figures.measures}
    assert (judges["rtf"], judges["rtf:2"]) == (HERE.text, THERE.text)


def test_runs_put_together_keep_what_each_took(tmp_path: Path) -> None:
    runs = [make(tmp_path / name, {"a": 1.0, name: 1.1}, seed=seed) for seed, name in enumerate(("one", "two"))]
    for run, machine in zip(runs, (HERE, THERE), strict=True):
        efficiency.write(run, [entry("a", machine=machine), entry(run.root.name, machine=machine)])
    found = material(runs).report.efficiency
    assert [(one.system, one.machine) for one in found] == [
        ("a", HERE), ("one", HERE), ("a (two)", THERE), ("two", THERE),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.0, "1.00"), (12.345, "12.3"), (123.4, "123"), (1234.5, "1234")]
)
def test_factors_have_three_digits(value: float, text: str) -> None:
    assert factor(value) == text
