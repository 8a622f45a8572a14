"""Reports of whole runs: pages, tables, figures, links."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from report_pages import Page, assert_fits, inputs, recordings, sample_data, typeset
from report_runs import HOSTILE, MEASURES, METRICS, RUNS, change, single

from vceval.errors import UsageError
from vceval.reports import figures
from vceval.reports.build import build
from vceval.results.rundir import RunDirectory
from vceval.results.views import SCHEMA


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """Every kind of run with its report."""
    runs = {}
    for name, make in RUNS.items():
        runs[name] = make(tmp_path_factory.mktemp(name))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(figures, "draw", lambda *_: ([], []))  # they have tests of their own
            build(runs[name])
    return runs


@pytest.mark.parametrize("name", RUNS)
def test_page_is_inert_and_loads_nothing_from_elsewhere(built: dict[str, RunDirectory], name: str) -> None:
    index = built[name].report / "index.html"
    page = Page(index)
    counted = [tag for tag, _ in page.tags if tag in ("script", "style", "link", "iframe", "object", "embed", "base")]
    assert sorted(counted) == ["script", "script", "style"]  # one of them is data
    links = []
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], (tag, attributes)
        links += [value for key, value in attributes.items() if key in ("src", "href")]
    links += recordings(built[name])
    assert all(re.fullmatch(r"#[a-z]+|(\.\./)?[\w./%~-]+", link or "") for link in links), links
    for link in links:
        if link and not link.startswith("#"):
            assert (index.parent / unquote(link)).is_file(), link


@pytest.mark.parametrize("name", RUNS)
def test_policy_allows_just_the_style_and_script_of_the_page(built: dict[str, RunDirectory], name: str) -> None:
    page = Page(built[name].report / "index.html")
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for text in page.scripts:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy


def test_hostile_name_is_shown_as_text(built: dict[str, RunDirectory]) -> None:
    page = Page(built["demo"].report / "index.html")
    assert HOSTILE in page.texts
    assert "<script>alert" not in (built["demo"].report / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_main_table_shows_every_figure_with_its_counts(built: dict[str, RunDirectory], name: str) -> None:
    run = built[name]
    summary = run.read_json("summary.json")
    page = Page(run.report / "index.html")
    rows = {row[0][1]: row[1:] for row in reversed(page.rows) if len(row) == len(MEASURES) + 1}
    for system in summary["systems"]:
        shown = dict(zip((m["name"] for m in MEASURES), (text for _, text in rows[system["title"]]), strict=True))
        for cell in summary["cells"]:
            if (cell["system"], cell["dataset"], cell["direction"]) != (system["name"], "all", "all"):
                continue
            m = next(m for m in MEASURES if m["name"] == cell["measure"])
            text = shown[cell["measure"]]
            if cell["value"] is None:
                assert text.startswith("–")
            else:
                assert text.split()[0] == f"{cell['value'] * m['scale']:.{m['decimals']}f}"
            if cell["low"] is not None:
                low, high = (f"{cell[key] * m['scale']:.{m['decimals']}f}" for key in ("low", "high"))
                assert f"[{low}, {high}]" in text
            assert f"{cell['n']}/{cell['expected'] + cell['skipped']}" in text
            assert (f"{cell['skipped']} skipped" in text) == bool(cell["skipped"])


def test_controls_are_never_best(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    page = Page(report / "index.html")
    bold = [row[0][1] for row in page.rows for kind, _ in row if "best" in kind.split()]
    assert "Good system" in bold
    assert "Source (unconverted)" not in bold
    tex, markdown = ((report / "tables" / f"main.{kind}").read_text(encoding="utf-8") for kind in ("tex", "md"))
    assert not [line for line in tex.splitlines() if "unconverted" in line and "bfseries" in line]
    assert [line for line in tex.splitlines() if line.startswith("Good system") and "bfseries" in line]
    assert not [line for line in markdown.splitlines() if "unconverted" in line and "**" in line]


def test_headlines(built: dict[str, RunDirectory]) -> None:
    texts = {name: " | ".join(Page(run.report / "index.html").texts) for name, run in built.items()}
    assert "3 of 192 conversions failed" in texts["demo"]
    skipped = len(built["demo"].read_skips())
    assert f"{skipped} values could not be made because pairs lack a parallel recording" in texts["demo"]
    assert "433 pairs · 23 systems · 7 datasets · 433 conversions, none failed" in texts["scattered"]
    assert "1 pair · 1 system · 1 conversion, none failed" in texts["single"]
    assert "All 12 conversions failed" in texts["broken"]
    assert "37 utterances of the suite’s list missing on disk" in texts["broken"]
    assert "different pairs" in texts["scattered"]
    assert "different pairs" not in texts["demo"]
    for mark in ("PARTIAL", "CUSTOM"):
        assert f"| {mark} |" in texts["broken"]
        assert f"| {mark} |" not in texts["demo"]


@pytest.mark.parametrize("name", RUNS)
def test_csv_holds_the_figures_of_the_summary(built: dict[str, RunDirectory], name: str) -> None:
    run = built[name]
    cells = {
        (c["system"], c["measure"], c["dataset"], c["direction"]): c for c in run.read_json("summary.json")["cells"]
    }
    seen = set()
    for path in sorted(run.report.glob("tables/main*.csv")):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                key = (row["system"], row["measure"], row["dataset"], row["direction"])
                seen.add(key)
                m = next(m for m in MEASURES if m["name"] == row["measure"])
                for column in ("value", "low", "high"):
                    stored = cells[key][column]
                    assert (float(row[column]) / float(str(m["scale"])) if row[column] else None) == (
                        None if stored is None else pytest.approx(stored, rel=1e-9)
                    )
                assert [int(row[c]) for c in ("n", "expected", "failed", "skipped")] == [
                    cells[key][c] for c in ("n", "expected", "failed", "skipped")
                ]
                assert (row["unit"], row["better"]) == (m["unit"], m["better"])
    assert {key for key in cells if key[2:] == ("all", "all")} <= seen
    if name == "scattered":
        assert {key for key in cells if "all" in key[2:]} == seen


def test_signatures_stand_under_every_results_table(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    for metric in METRICS:
        assert str(metric["signature"]) in (report / "tables" / "main.md").read_text(encoding="utf-8")
        assert str(metric["signature"]) in Page(report / "index.html").texts
    directions = (report / "tables" / "main_directions.md").read_text(encoding="utf-8")
    assert directions.count("MCD|sp:world|order:24|dtw:exact|v:1.0") == 1
    assert directions.count("WER|asr:tiny.en|text:basic|v:1.0") == 2  # WER and CER


def test_report_holds_when_the_run_is_moved(built: dict[str, RunDirectory], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(built["demo"].root, moved)
    players = recordings(RunDirectory(moved))
    assert len(players) > 48 * 4
    assert [p for p in players if p and p.startswith("audio/")]
    assert all((moved / "report" / unquote(str(player))).is_file() for player in players)


def test_building_again_gives_the_same_page_and_leaves_nothing_old(tmp_path: Path) -> None:
    run = single(tmp_path)
    first = build(run).read_bytes()
    for name in ("tables/old.tex", "figures/old.png", "data/old.js", "audio/0123456789abcdef.wav"):
        (run.report / name).parent.mkdir(exist_ok=True)
        (run.report / name).write_text("left from an earlier report")
    assert build(run).read_bytes() == first
    assert not [*run.report.rglob("old.*"), *run.report.rglob("0123456789abcdef.wav")]


def test_only_recordings_are_linked_into_a_report(tmp_path: Path) -> None:
    run = single(tmp_path)
    (tmp_path / "secret.key").write_text("private")
    run.write_audio([("mine", "only", "../secret.key")])
    build(run)
    assert not (run.report / "audio").exists()
    assert sample_data(run)[0]["made"][0]["problem"] == "not found: secret.key"


@pytest.mark.parametrize("name", ["summary.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv"])
def test_unfinished_run_is_refused(tmp_path: Path, name: str) -> None:
    run = single(tmp_path)
    (run.root / name).unlink()
    with pytest.raises(UsageError, match=re.escape(name)):
        build(run)


def test_malformed_summary_is_refused(tmp_path: Path) -> None:
    run = single(tmp_path)
    run.write_json("summary.json", {"schema": SCHEMA, "systems": [{"name": "x"}]})
    with pytest.raises(UsageError, match=r"summary\.json: not the summary of a run"):
        build(run)


def test_a_run_without_rankings_is_to_be_made_again(tmp_path: Path) -> None:
    run = single(tmp_path)
    change(run, lambda summary: (summary.pop("rankings"), summary.update(schema=1)))
    with pytest.raises(UsageError, match=r"has schema 1, this vceval reads 3.*give the command .* again"):
        build(run)


@pytest.mark.parametrize("name", RUNS)
def test_latex_compiles_and_fits_the_line(built: dict[str, RunDirectory], tmp_path: Path, name: str) -> None:
    tables = built[name].report / "tables"
    assert {"main.tex", "calibration.tex"} <= {path.name for path in tables.glob("*.tex")}
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    assert_fits(typeset(tmp_path, head + inputs(tables, tmp_path) + "\\end{document}\n"))


def test_json_of_the_run_is_listed(built: dict[str, RunDirectory]) -> None:
    texts = Page(built["demo"].report / "index.html").texts
    assert "0" * 64 in texts
    assert "0.1.0" in texts
    assert shlex.join(["vceval", "run", HOSTILE]) in texts


def test_calibration_is_shown_and_written_in_full(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    rows = [[text for _, text in row] for row in Page(report / "index.html").rows]
    assert [
        "sv",
        "demo",
        "resemblyzer",
        "2.13 [1.02, 3.21]",
        "0.7132",
        "3.11",
        "0.7298",
        "100 + 1000",
        "4",
        "2 recordings unusable",
    ] in rows
    assert ["sv", "VCC2020", "resemblyzer", "0.00", "0.7500", "–", "–", "", "", "same gender: none is known"] in rows
    assert ["sv", "LibriTTS", "unavailable: only 1 speaker with two recordings"] in rows
    with open(report / "tables" / "calibration.csv", encoding="utf-8", newline="") as stream:
        found = {row["dataset"]: row for row in csv.DictReader(stream)}
    assert float(found["demo"]["eer"]) == 0.0213
    assert found["demo"]["trials_sha256"] == "ab" * 32
    assert found["LibriTTS"]["unavailable"] == "only 1 speaker with two recordings"


def test_published_figures_stand_apart(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    page = Page(report / "index.html")
    rows = [row for row in page.rows if any(text == "12.34 ± 0.5 %" for _, text in row)]
    assert [[text for _, text in row] for row in rows] == [
        ["Doe 2022", "2", "unseen", HOSTILE, "WER", "12.34 ± 0.5 %", "own test set"]
    ]
    assert "12.34" not in (report / "tables" / "main.csv").read_text(encoding="utf-8")
    assert "12.34" in (report / "tables" / "published.csv").read_text(encoding="utf-8")
