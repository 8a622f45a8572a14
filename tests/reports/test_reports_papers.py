"""Tables for papers: every style compiles in two columns, hostile names come out as they are, shapes hold the facts."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_runs
from report_pages import assert_fits, compiled
from report_runs import RUNS, FakeRun

from vceval.errors import UsageError
from vceval.reports.latex import STYLES
from vceval.reports.table_files import Options, write_tables
from vceval.results.merge_runs import material
from vceval.results.ranking import decided
from vceval.results.rundir import RunDirectory
from vceval.results.views import MeasureView

HOSTILE = r"&_%$#{}~^\ <script>alert(1)</script> -- --- `a' *b* [c] \input{x}"
EMOJI = "naïve \U0001f600 名"
LONG = "long_name-" * 20
PUBLISHED = [
    {"paper": "Doe 2022", "citation": "", "table": "Table 2", "task": "unseen", "system": HOSTILE, "metric": "MCD",
     "value": 5.1, "plus_minus": 0.25, "unit": "dB", "notes": "", "corpus": "demo and others", "evaluator": "a tool"},
    {"paper": "Doe 2022", "citation": "", "table": "Table 3", "task": "unseen", "system": HOSTILE, "metric": "MCD",
     "value": 6.1, "plus_minus": None, "unit": "dB", "notes": "", "corpus": "VCTK", "evaluator": "a tool"},
    {"paper": "Doe 2022", "citation": "", "table": "Table 2", "task": "unseen", "system": HOSTILE, "metric": "MOS",
     "value": 3.5, "plus_minus": 0.1, "unit": "1-5", "notes": ""},
    {"paper": "Roe", "citation": "", "table": "README", "task": "d-vector calibration VCTK", "system": "d-vector",
     "metric": "EER", "value": 7.71, "plus_minus": None, "unit": "%", "notes": ""},
    {"paper": "Roe", "citation": "", "table": "README", "task": "d-vector calibration VCTK", "system": "d-vector",
     "metric": "threshold", "value": 0.462, "plus_minus": None, "unit": "cosine", "notes": ""},
]  # fmt: skip


def hostile_run(folder: Path) -> RunDirectory:
    """Systems with names that no table likes, tests between them, and an audit of their training speakers."""
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(report_runs.GENDERS)
    for number in range(24):
        fake.pair(f"p{number}", speakers[number % 4], speakers[(number + 1 + number // 8) % 4])
    names = [pair.id for pair in fake.pairs]
    for level, name in enumerate((HOSTILE, EMOJI, LONG, "plain")):
        fake.system(name, names, level=0.7 + level / 5, fail=("p3",) if name == EMOJI else ())
    fake.system("source", names, "Source & control", control=True)
    systems = (HOSTILE, EMOJI, LONG, "plain")
    comparisons = [
        {"measure": "mcd", "first": one, "second": other, "n": 16, "difference": -0.5, "low": -0.8, "high": -0.2,
         "p_value": 0.001, "p_holm": 0.004}
        for place, one in enumerate(systems) for other in systems[place + 1 :]
    ]  # fmt: skip
    values = {name: 5.0 + place / 2 for place, name in enumerate(systems)}
    ranking = {"measure": "mcd", "pairs": 16, "left_out": 0, "counted": {}, "unranked": {},
               **decided(values, MeasureView.of(report_runs.MEASURES[0]), comparisons)}  # fmt: skip
    run = fake.finish(comparisons=comparisons, rankings=[ranking], published=PUBLISHED)
    run.write_leakage(
        (name, pair, "unseen", "trained" if number % 3 else "unknown")
        for name in systems
        for number, pair in enumerate(names)
    )
    return run


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tables of a hostile run in every style."""
    folder = tmp_path_factory.mktemp("hostile")
    run = hostile_run(folder)
    found = {}
    for style in STYLES:
        found[style] = folder / style
        tables(run, found[style], Options(style, ablations=((HOSTILE, LONG, "plain"), ("plain", EMOJI))))
    return found


def tables(run: RunDirectory, folder: Path, options: Options) -> None:
    """Write the tables of a run as its report has them, without page and figures."""
    write_tables(material([run]), folder, options)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_fits_two_columns(styled: dict[str, Path], tmp_path: Path, style: str) -> None:
    log, _ = compiled(styled[style], tmp_path, kind=style)
    assert_fits(log)
    assert "Missing character" not in log


@pytest.mark.parametrize("name", RUNS)
def test_every_run_fits_two_columns(tmp_path: Path, name: str) -> None:
    tables(RUNS[name](tmp_path), tmp_path / "tables", Options("acl"))
    log, _ = compiled(tmp_path / "tables", tmp_path, kind="acl")
    assert_fits(log)


@pytest.mark.parametrize("style", ["plain", "ieee"])
def test_siunitx_takes_the_same_tables(styled: dict[str, Path], tmp_path: Path, style: str) -> None:
    finder = shutil.which("kpsewhich")
    if finder is None or not subprocess.run([finder, "siunitx.sty"], capture_output=True, check=False).stdout:
        pytest.skip("the TeX package siunitx is not installed")
    log, _ = compiled(styled[style], tmp_path, "\\usepackage{siunitx}", kind=style)
    assert not re.findall(r"(?:Overfull \\[hv]box|siunitx error).*", log)


def test_hostile_names_come_out_as_they_are(styled: dict[str, Path], tmp_path: Path) -> None:
    _, shown = compiled(styled["acl"], tmp_path)
    if not shown:
        pytest.skip("pdftotext is not installed")
    # An underscore is drawn as a rule, which is no letter
    plain = re.sub(r"[\s_]", "", shown).replace("\u2019", "'").replace("˜", "~").replace("ˆ", "^")
    for piece in ("&%$#{}~^\\<script>alert(1)</script>", "U+1F600U+540D", "longname-longname-"):
        assert piece in plain, piece
    assert "MCD|sp:world|order:24|dtw:exact|v:1.0" in plain


def test_marks_follow_the_tests(styled: dict[str, Path]) -> None:
    tex = (styled["plain"] / "main.tex").read_text(encoding="utf-8")
    rows = [line for line in tex.splitlines() if r"\\" in line and "&" in line]
    first, second = (next(line for line in rows if line.startswith(word)) for word in (r"\&\_\%", r"na\"{\i}ve"))
    assert first.split(" & ")[1].startswith(r"\bfseries ")
    assert r"\vcevalsecond{" in second.split(" & ")[1]
    assert "first that is significantly worse" in tex
    found = json.loads((styled["plain"] / "main.json").read_text(encoding="utf-8"))["tables"][0]
    mcd = {row["system"]: row["figures"][0]["mark"] for row in found["rows"]}
    assert mcd == {HOSTILE: "best", EMOJI: "second", LONG: None, "plain": None, "source": None}


def test_json_holds_the_figures_of_the_csv(styled: dict[str, Path]) -> None:
    with open(styled["acl"] / "main.csv", encoding="utf-8", newline="") as stream:
        rows = {(r["system"], r["measure"]): r for r in csv.DictReader(stream)}
    document = json.loads((styled["acl"] / "main.json").read_text(encoding="utf-8"))
    seen = 0
    for table in document["tables"]:
        assert table["signatures"]
        for row in table["rows"]:
            for column, figure in zip(table["columns"], row["figures"], strict=True):
                stored = rows[row["system"], column["measure"]]
                assert figure["value"] == pytest.approx(float(stored["value"]))
                assert (figure["n"], figure["expected"]) == (int(stored["n"]), int(stored["expected"]))
                seen += 1
    assert seen == len(rows)


def test_every_table_comes_in_every_format(styled: dict[str, Path]) -> None:
    names = {path.stem for path in styled["plain"].glob("*.tex")} - {"signatures", "appendix"}
    assert {"main", "main_directions", "main_seen", "ablation-1", "ablation-2", "comparison", "calibration"} <= names
    for name in names:
        for kind in ("md", "csv", "json"):
            assert (styled["plain"] / f"{name}.{kind}").is_file(), (name, kind)


def test_directions_stand_side_by_side(styled: dict[str, Path]) -> None:
    tex = (styled["acl"] / "main_directions.tex").read_text(encoding="utf-8")
    assert r"{c}{MCD (dB) $\downarrow$}" in tex
    assert r"\cmidrule(lr)" in tex
    assert tex.count(r"\caption[") < len(report_runs.MEASURES)


def test_seen_speakers_have_figures_of_their_own(styled: dict[str, Path]) -> None:
    table = json.loads((styled["plain"] / "main_seen.json").read_text(encoding="utf-8"))["tables"][0]
    assert {column["direction"] for column in table["columns"]} == {"U2S", "U2?"}
    columns = [(c["measure"], c["direction"]) for c in table["columns"]]
    row = next(row for row in table["rows"] if row["system"] == EMOJI)
    wer = {d: f for (m, d), f in zip(columns, row["figures"], strict=True) if m == "wer"}
    assert (wer["U2S"]["n"], wer["U2?"]["n"]) == (16, 7)
    assert wer["U2?"]["failed"] == 1  # p3 was never converted
    assert all(figure["mark"] is None for row in table["rows"] for figure in row["figures"])
    assert [row["system"] for row in table["rows"]] == [HOSTILE, EMOJI, LONG, "plain"]


def test_ablation_states_variant_minus_system(styled: dict[str, Path]) -> None:
    table = json.loads((styled["plain"] / "ablation-1.json").read_text(encoding="utf-8"))["tables"][0]
    titles = [row["title"] for row in table["rows"]]
    assert titles == [HOSTILE, LONG, "plain", f"Δ {LONG}", "Δ plain"]
    delta = table["rows"][3]["figures"][0]
    assert (delta["printed"], delta["value"], delta["low"], delta["high"]) == ("+0.50", 0.5, 0.2, 0.8)
    assert delta["mark"] == "best"


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    run = report_runs.demo(tmp_path)
    with pytest.raises(UsageError, match="no system 'nobody'; it has: good"):
        tables(run, tmp_path, Options(ablations=(("good", "nobody"),)))
    with pytest.raises(UsageError, match="at least one variant"):
        tables(run, tmp_path, Options(ablations=(("good",),)))
    with pytest.raises(UsageError, match="unknown style 'nature'; known: plain, interspeech, ieee, acl"):
        tables(run, tmp_path, Options("nature"))


def test_published_rows_stand_apart_from_measured_ones(styled: dict[str, Path]) -> None:
    table = json.loads((styled["plain"] / "comparison.json").read_text(encoding="utf-8"))
    rows = table["rows"]
    assert "What is known to differ: Table 2: corpus: demo and others; measured with: a tool." in table["caption"]
    assert "(1: speech of VCTK, not of demo; 1: the run has no MOS)" in table["caption"]
    start = rows.index(["Published: Doe 2022, Table 2"])
    assert rows[0] == ["Measured: suite demo@1"]
    assert rows[start:] == [["Published: Doe 2022, Table 2"], [HOSTILE, "unseen", "5.10 ± 0.25"]]
    assert all("±" not in cell for row in rows[:start] for cell in row)
    calibration = json.loads((styled["plain"] / "calibration.json").read_text(encoding="utf-8"))["rows"]
    assert ["VCTK (d-vector)", "7.71", "0.462", "–", "–", "–", "–"] in calibration
    assert ["demo", "2.13 [1.02, 3.21]", "0.7132", "3.11", "0.7298", "100 + 1,000", "4"] in calibration
