"""``vceval table``: one float that fits one column of every class, with names, counts and intervals as they are."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_runs
from report_pages import CLASSES, assert_fits, compiled
from report_runs import GENDERS, MEASURES, METRICS, FakeRun

from vceval.cli.main import main
from vceval.reports import latex
from vceval.reports.paper_table import PRESETS
from vceval.reports.tables import Block, Column, Row, Table, _entry
from vceval.results.rundir import RunDirectory
from vceval.results.views import Cell, MeasureView, SystemView

EIGHT = [f"{name}-VC" for name in ("AdaIN", "Auto", "Fragment", "Medium", "AGAIN", "MAE", "Free", "YourOwn")]
FIVE = "mcd,wer,sv,cosine,fake"
#: Not of scores: what a system costs, as another part of a run may say it.
RTF = {"name": "rtf", "metric": "efficiency", "label": "RTF", "unit": "", "better": "lower", "decimals": 2,
       "secondary": True, "judge": "two cores"}  # fmt: skip


def eight(folder: Path) -> RunDirectory:
    """Eight systems, most on 24 pairs, of which a third have no parallel recording; one failed twice."""
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(GENDERS)
    for number in range(24):
        fake.pair(f"p{number}", speakers[number % 4], speakers[(number + 1 + number // 8) % 4])
    names = [pair.id for pair in fake.pairs]
    for place, name in enumerate(EIGHT):
        fake.system(
            name, names[: 24 - 4 * (place == 3)], level=0.7 + place / 10, fail=("p4", "p5") if not place else ()
        )
    fake.system("target", names, "Target (natural speech)", control=True, level=0.4)
    rows = [{"system": name, "measure": "rtf", "dataset": "all", "direction": "all", "value": 0.1 * place + 0.02,
             "low": None, "high": None, "n": 0, "expected": 0, "failed": 0, "skipped": 0}
            for place, name in enumerate(EIGHT)]  # fmt: skip
    efficiency = {"metric": "efficiency", "title": "Efficiency", "signature": "EFFICIENCY|device:cpu|v:1.0",
                  "source": "", "needs": []}  # fmt: skip
    return fake.finish(measures=[*MEASURES, RTF], cells=[*fake.cells(), *rows], metrics=[*METRICS, efficiency])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(eight(tmp_path_factory.mktemp("eight")).root)


@pytest.mark.parametrize("kind", CLASSES)
def test_eight_systems_and_five_measures_fit_one_column(run: str, tmp_path: Path, kind: str) -> None:
    """A class that is not here is an article of its sizes; IEEEtran is the class itself."""
    finder = shutil.which("kpsewhich")
    if kind == "IEEEtran" and not (
        finder and subprocess.run([finder, "IEEEtran.cls"], capture_output=True, check=False).stdout
    ):
        pytest.skip("the TeX class IEEEtran is not installed")
    style = "ieee" if kind == "IEEEtran" else kind
    out = tmp_path / "made" / "results.tex"
    out.parent.mkdir()
    words = ["table", run, "--measures", FIVE, "--systems", ",".join(EIGHT), "--style", style, "--out", str(out)]
    assert main(words) == 0
    text = out.read_text(encoding="utf-8")
    assert (text.count(r"\begin{table}"), text.count(r"\begin{table*}"), text.count(r"\tiny")) == (1, 0, 0)
    assert (tmp_path / "made" / "results-signatures.tex").is_file()
    (tmp_path / "made" / "z.tex").write_text(r"\def\vcevalRun{}\def\vcevalSignature[#1]{}", encoding="utf-8")
    log, shown = compiled(out.parent, tmp_path, kind=kind)
    assert_fits(log)
    assert "Missing character" not in log
    for word in ("YourOwn-", "MCD|sp:world|order:24") if shown else ():
        assert word in shown


def table(run: str, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Give the command and return what it printed."""
    assert main(["table", run, *words]) == 0
    said = capsys.readouterr()
    return said.out, said.err


def test_counts_hide_no_pair(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, _ = table(run, "--measures", "mcd,wer", "--systems", "AdaIN-VC,Medium-VC", capsys=capsys)
    assert "System & Pairs &" in made
    rows = {line.split(" & ")[0]: line for line in made.splitlines() if "-VC & " in line}
    assert rows["AdaIN-VC"].startswith("AdaIN-VC & 24 &"), "failed and skipped pairs are pairs of the row"
    assert rows["Medium-VC"].startswith("Medium-VC & 20 &")
    assert re.findall(r"\\vcevaln\{\(?(\d+/\d+)\)?\}", made) == ["14/24", "22/24", "13/20"]
    assert "pairs scored/in all" in made.replace(r"\allowbreak{}", "")
    assert "20\\textendash{}24 conversion pairs per system" in made
    shown, _ = table(run, "--measures", "mcd", "--systems", "Auto-VC", "--format", "markdown", capsys=capsys)
    assert "n=16/24" in shown


def test_markdown_sets_intervals_as_they_are_asked_for(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--measures", "cosine", "--systems", "Auto-VC", "--format", "markdown"]
    forms = {form: table(run, *words, "--intervals", form, capsys=capsys)[0] for form in ("pm", "brackets", "none")}
    rows = {form: re.findall(r"^\| Auto-VC \| (.*) \|$", made, re.MULTILINE) for form, made in forms.items()}
    assert rows == {"pm": ["0.237 +0.027 −0.021"], "brackets": ["0.237 [0.216, 0.264]"], "none": ["0.237"]}
    assert ["interval" in made for made in forms.values()] == [True, True, False]


def test_heads_and_notes_say_what_the_figures_are(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, said = table(run, "--measures", "sv,mcd", "--caption", "Ours & theirs.", "--intervals", "none", capsys=capsys)
    assert r"SV accuracy (\%) $\uparrow$" in made.replace(r"\\", " ")
    assert made.index("SV") < made.index("MCD")
    assert r"]{Ours \& theirs.}" in made
    assert "Judged by Resemblyzer (SV accuracy)" in made
    assert "interval" not in made.split(r"\toprule")[1]
    assert "--signatures FILE" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--measures", "mdc"], "unknown measure 'mdc'; did you mean mcd"),
        (["--measures", "mos_distill"], "score it with --metrics mos"),
        (["--measures", "wer:seedtts"], "score it with --metrics wer:seedtts"),
        (["--systems", "adain"], "unknown system 'adain'; did you mean AdaIN-VC"),
        (["--preset", "seed-vc"], "unknown preset 'seed-vc'; did you mean seedvc"),
        (["--intervals", "brackets", "--measures", FIVE], "pt at least, and one column of style plain has 226: give "),
    ],
)
def test_wrong_use_names_what_would_do(
    run: str, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", run, *words]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_a_way_that_is_named_does(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["table", run, "--intervals", "brackets", "--measures", FIVE, "--style", "acl"]
    assert main(words) == 2
    way = re.findall(r"give (--.*), or fewer", capsys.readouterr().err)[0]
    assert main([*words, *way.split()]) == 0


def test_empty_columns_are_left_out_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeRun(tmp_path / "run", tmp_path / "corpus")
    for number in range(9):
        fake.pair(f"p{number}", "p1", "p2")
    fake.system("A", [f"p{number}" for number in (0, 3, 6)])  # none of them has a parallel recording
    root = str(fake.finish().root)
    made, said = table(root, "--measures", "mcd,wer", "--format", "csv", capsys=capsys)
    assert {row["measure"] for row in csv.DictReader(io.StringIO(made))} == {"wer"}
    assert "mcd is left out: 3 pairs lack a parallel recording" in said
    assert main(["table", root, "--measures", "mcd"]) == 2
    assert "no system has a value of mcd: 3 pairs lack a parallel recording" in capsys.readouterr().err


def test_rows_may_be_directions(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    two = ["--systems", "Free-VC,Auto-VC", "--measures", "wer", "--rows", "direction"]
    made, _ = table(run, *two, capsys=capsys)
    order = re.findall(r"^(?:\\multicolumn\{\d\}\{@\{\}l\}\{\\itshape (\w+)\}|(\w+-VC) &)", made, re.MULTILINE)
    assert [a or b for a, b in order] == [
        word for part in ("F2F", "F2M", "M2F", "M2M") for word in (part, "Free-VC", "Auto-VC")
    ]
    alone, _ = table(run, "--systems", "Free-VC", "--measures", "wer", "--rows", "direction", capsys=capsys)
    assert re.findall(r"^(\w2\w) &", alone, re.MULTILINE) == ["F2F", "F2M", "M2F", "M2M"]
    assert "Results of Free-VC on" in alone
    rows, _ = table(run, *two, "--format", "csv", capsys=capsys)
    assert {row["direction"] for row in csv.DictReader(io.StringIO(rows))} == {"F2F", "F2M", "M2F", "M2M"}
    _, said = table(run, "--measures", "wer", "--rows", "dataset", capsys=capsys)
    assert "rows are systems: all pairs are of one dataset" in said


def test_systems_are_ranked_among_those_shown(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--measures", "cosine", "--format", "markdown"]
    every, _ = table(run, *words, capsys=capsys)
    four, _ = table(run, *words, "--systems", "AdaIN-VC,Auto-VC,Fragment-VC,AGAIN-VC", capsys=capsys)
    assert "| Fragment-VC | 24 | <u>0.260</u>" in every
    assert "| Fragment-VC | **0.260**" in four, "bold, as the systems ahead of it are not shown"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_say_which_recipe_a_run_lacks(run: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = PRESETS[name].columns
    known = {str(measure["name"]) for measure in MEASURES}
    code = main(["table", run, "--preset", name])
    said = capsys.readouterr()
    for column in wanted:
        here = known & set(column.measures)
        assert (f"prints {column.measures[0]}, which this run lacks" in said.err) != bool(here)
        if not here and not column.listeners:
            assert f"--metrics {column.metrics} gives it" in said.err
    assert code == (0 if any(known & {*column.measures, *column.near} for column in wanted) else 2)


def test_presets_name_measures_and_recipes_that_there_are() -> None:
    from vceval import registry
    from vceval.listen.opinion_scores import MEASURES as HEARD

    for preset in PRESETS.values():
        for column in preset.columns:
            if column.listeners:
                assert set(column.measures) <= {measure.name for measure in HEARD.values()}
            else:
                assert column.measures[0] in {one.name for one in registry.load("metric", column.metrics).measures}


def test_a_column_that_is_no_metric_is_named_like_any(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, _ = table(run, "--measures", "wer,rtf", "--systems", ",".join(EIGHT), capsys=capsys)
    assert r"RTF $\downarrow$" in made
    assert "two cores (RTF)" in made, "what it was measured on stands in the note"
    assert re.findall(r"YourOwn-VC & .* & 0\.72 ", made)
    usual, _ = table(run, capsys=capsys)
    assert "RTF" not in usual


def test_signatures_go_where_they_are_told(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "appendix.tex"
    made, said = table(run, "--measures", "mcd", "--signatures", str(place), capsys=capsys)
    text = re.sub(r"\\allowbreak\{\}", "", place.read_text(encoding="utf-8"))
    assert r"MCD\textbar{}sp:world\textbar{}order:24" in text
    assert "WER" not in text
    assert "order:24" not in made
    assert str(place) in said


def test_arms_of_an_interval_are_both_said_where_they_differ() -> None:
    rate = MeasureView("sv", "sv", "SV", "%", "higher", 100.0, 1)
    system = SystemView("a", "A", False, "converter", "a", None, "", "", 7, 7, 0)
    for cell, code in (
        (Cell(1.0, 0.2857, 1.0, 7, 7, 0, 3), r"\vcevalarms{0.0}{71.4}"),
        (Cell(0.5, 0.4, 0.6, 7, 7, 0, 3), r"\vcevalpm{10.0}"),
    ):
        rows = [Row(system, [_entry(cell, rate, "", ("7/10", ""))])]
        model = Table(
            "t", "Results", "", "demo", [Column("SV", "%", "higher", rate)], [Block("", rows)], [], "7/10", []
        )
        assert code in latex.one_float(model, latex.STYLES["acl"])


def test_reports_hold_one_float_and_what_it_leaves_out(tmp_path: Path) -> None:
    run = report_runs.demo(tmp_path)
    assert main(["report", str(run.root), "--style", "interspeech"]) == 0
    tables = run.report / "tables"
    main_text, more = ((tables / f"{name}.tex").read_text(encoding="utf-8") for name in ("main", "more"))
    assert main_text.count(r"\begin{table") == 1
    assert r"\begin{table}" in main_text
    headed = json.loads((tables / "more.json").read_text(encoding="utf-8"))["tables"][0]["columns"]
    assert {column["measure"] for column in headed} == {"fake"}
    assert "Real" in more
    assert r"\tiny" not in main_text + more
    assert "MCD" in (tables / "appendix.tex").read_text(encoding="utf-8")
