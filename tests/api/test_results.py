"""``vceval.load``: what a run says as tables of pandas, words, LaTeX and a view for notebooks; nothing is made anew."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas
import pytest
import report_runs
import soundfile
from report_runs import HOSTILE

import vceval
from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.results import verdicts
from vceval.results.rundir import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """48 pairs, three systems, one of them of a hostile name and with failures, and a control."""
    return report_runs.demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def results(run: RunDirectory) -> vceval.Results:
    return vceval.load(str(run.root))


def test_the_table_holds_what_the_files_of_the_report_hold(results: vceval.Results) -> None:
    results.report()
    table = results.table(results.measures)
    printed = pandas.read_csv(results.path / "report" / "tables" / "main.csv").set_index(["system", "measure"])
    assert len(printed) == len(table) == 4 * 6
    for column in ("value", "low", "high", "n", "expected", "failed", "targets", "sources"):
        found = table.loc[printed.index, column].to_numpy(float)
        assert np.allclose(found, printed[column].to_numpy(float), rtol=1e-11, equal_nan=True), column
    marks = {
        (row["system"], column["measure"]): figure["mark"] or ""
        for one in json.loads((results.path / "report" / "tables" / "main.json").read_text())["tables"]
        for row in one["rows"]
        for column, figure in zip(one["columns"], row["figures"], strict=True)
    }
    assert marks == table["mark"].to_dict()
    assert {"best", "second", ""} == set(table["mark"])
    assert table.loc[("good", "wer"), "unit"] == "%"
    assert table.attrs["signatures"] == results.signatures == {
        "mcd": "MCD|sp:world|order:24|dtw:exact|v:1.0", "wer": "WER|asr:tiny.en|text:basic|v:1.0",
        "sv": "SV|enc:resemblyzer|v:1.0", "fake": "FAKE|enc:resemblyzer|refs:6|v:1.0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("by", "other", "parts"),
    [("direction", "dataset", ["all", "F2F", "F2M", "M2F", "M2M"]), ("dataset", "direction", ["all", "demo"])],
)
def test_the_table_by_parts_of_the_pairs(
    run: RunDirectory, results: vceval.Results, by: Literal["direction", "dataset"], other: str, parts: list[str]
) -> None:
    found = results.table("wer", "good", by=by)["value"]
    assert found.index.names == ["system", by, "measure"]
    cells = {
        cell[by]: 100.0 * cell["value"]
        for cell in run.read_json("summary.json")["cells"]
        if (cell["system"], cell["measure"], cell[other]) == ("good", "wer", "all")
    }
    assert list(found.index.get_level_values(by)) == parts
    assert found.droplevel(["system", "measure"]).dropna().to_dict() == cells


def test_measures_and_systems_come_in_the_order_asked_for(results: vceval.Results) -> None:
    table = results.table(["wer", "mcd"], ["source", "good"])
    assert list(table.index) == [("source", "wer"), ("source", "mcd"), ("good", "wer"), ("good", "mcd")]
    assert results.systems == ["good", HOSTILE, "long", "source"]
    assert table["value"].unstack().shape == (2, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: r.table("mdc"), "unknown measure 'mdc'; did you mean mcd"),
        (lambda r: r.table(systems=["god"]), "unknown system 'god'; did you mean good"),
        (lambda r: r.table(by="directions"), "unknown grouping 'directions'; did you mean direction"),
        (lambda r: r.scores("mdc"), "unknown measure 'mdc'"),
        (lambda r: r.comparisons("mdc"), "unknown measure 'mdc'"),
        (lambda r: r.to_latex("mdc"), "unknown measure 'mdc'"),
        (lambda r: r.to_latex(style="nature"), "unknown style 'nature'"),
        (lambda r: r.calibration("vs"), "unknown calibrated metric 'vs'; did you mean sv"),
        (lambda r: r.calibration("sv"), "sv was calibrated on demo, LibriTTS, VCC2020: name one"),
        (lambda r: r.calibration("sv", "demos"), "unknown dataset 'demos'; did you mean demo"),
        (lambda r: r.compare("nowhere"), "nowhere: no such folder"),
        (lambda r: r.compare(), "at least two runs"),
    ],
)
def test_wrong_names_are_told_with_the_nearest(
    results: vceval.Results, call: Callable[[vceval.Results], object], words: str
) -> None:
    with pytest.raises(UsageError, match=words.replace("'", ".")):
        call(results)


def test_scores_are_those_of_the_run_in_the_units_of_tables(run: RunDirectory, results: vceval.Results) -> None:
    stored, found = run.read_scores(), results.scores()
    assert list(found["pair"]) == list(stored["pair"])
    for measure, scale in (("wer", 100.0), ("mcd", 1.0)):
        mine = found["measure"] == measure
        assert np.array_equal(found["value"][mine], scale * stored["value"][mine])
    assert set(results.scores(["mcd"])["measure"]) == {"mcd"}


def test_comparisons_are_those_of_the_summary(run: RunDirectory, results: vceval.Results) -> None:
    found = results.comparisons()
    every = run.read_json("summary.json")["comparisons"]
    stored = [entry for entry in every if entry["dataset"] == entry["direction"] == "all"]
    scales = {"mcd": 1.0, "cosine": 1.0}
    assert len(found) == len(stored) > 6
    for row, entry in zip(found.to_dict("records"), stored, strict=True):
        scale = scales.get(entry["measure"], 100.0)
        assert (row["measure"], row["first"], row["second"], row["n"]) == tuple(
            entry[key] for key in ("measure", "first", "second", "n")
        )
        assert row["difference"] == entry["difference"] * scale
        assert (row["p"], row["p_holm"]) == (entry["p_value"], entry["p_holm"])
        assert (row["low"], row["high"]) == (entry["low"] * scale, entry["high"] * scale)


def test_the_verdict_is_that_of_the_report(results: vceval.Results) -> None:
    found = results.verdict()
    assert list(found) == ["voice", "words", "quality"]
    assert found["words"].winners == ["good"]
    assert found["words"].sentence.startswith("Good system: ahead of")
    said = json.loads(_tables(results).joinpath("verdicts.json").read_text(encoding="utf-8"))
    assert said == verdicts.as_json(list(found.values()))


def _tables(results: vceval.Results) -> Path:
    return results.report().parent / "tables"


def test_what_is_missing_is_counted(results: vceval.Results, tmp_path: Path) -> None:
    assert not results.ok
    assert set(results.failures["system"]) == {HOSTILE}
    assert results.failures["reason"].str.contains("NaN samples").all()
    assert len(results.failures) == 3
    assert set(results.skipped["need"]) == {"reference"}
    fine = vceval.load(report_runs.single(tmp_path).root)
    assert fine.ok
    assert fine.failures.empty
    assert list(fine.failures.columns) == ["system", "pair", "seed", "stage", "metric", "reason"]


def test_a_run_in_which_everything_failed_can_be_looked_at(tmp_path: Path) -> None:
    broken = vceval.load(report_runs.broken(tmp_path).root)
    assert set(broken.table()["mark"]) == {""}
    assert "12 failures" in repr(broken)
    assert "every conversion failed" in broken._repr_html_()
    with pytest.raises(UsageError, match="no system has a value of mcd"):
        broken.to_latex("mcd")


def test_calibrations(results: vceval.Results) -> None:
    table = results.calibrations
    assert table.loc[("sv", "demo"), "threshold"] == 0.7132
    assert table.loc[("sv", "LibriTTS"), "unavailable"] == "only 1 speaker with two recordings"
    assert results.calibration("sv", "demo")["same_gender"] == {"eer": 0.0311, "threshold": 0.7298}


def test_latex_is_what_the_command_prints(results: vceval.Results, capsys: pytest.CaptureFixture[str]) -> None:
    from vceval.cli.main import main

    assert main(["table", str(results.path)]) == 0
    assert results.to_latex().strip() == capsys.readouterr().out.strip()
    one = results.to_latex("wer", "good", style="acl")
    assert "24.3" in one
    assert "4.64" not in one  # another measure
    assert "38.2" not in one  # another system


def test_the_report_is_made_where_it_is_not_there(tmp_path: Path) -> None:
    results = vceval.load(report_runs.single(tmp_path).root)
    page = results.path / "report" / "index.html"
    assert not page.exists()
    assert results.report() == page
    made = page.stat().st_mtime_ns
    assert results.report().stat().st_mtime_ns == made


def test_other_runs_are_compared_as_the_command_compares_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report_runs.make(tmp_path / "first", {"a": 1.0, "b": 1.2}, seed=1)
    second = report_runs.make(tmp_path / "second", {"a": 1.4, "b": 1.2}, seed=2)
    report_runs.change(second, report_runs.set_signature)
    found = vceval.load(first.root).compare(vceval.load(second.root))
    assert list(found.attrs["refused"]) == ["mcd"]
    [row] = found[(found["measure"] == "wer") & (found["system"] == "a")].to_dict("records")
    assert row["run"] == "second"
    assert row["verdict"] == "worse"
    assert row["difference"] == pytest.approx(row["value"] - row["before"])
    assert main(["compare", str(first.root), str(second.root), "--no-page"]) == 1
    assert f"{row['before']:.1f}" in capsys.readouterr().out
    assert found.equals(vceval.load(first.root).compare(second.root))


def test_runs_that_may_not_be_compared(tmp_path: Path) -> None:
    first = report_runs.make(tmp_path / "first", {"a": 1.0})
    second = report_runs.make(tmp_path / "second", {"a": 1.0})

    def other(summary: dict[str, object]) -> None:
        for entry in summary["metrics"]:  # type: ignore[attr-defined]
            entry["signature"] += "x"

    report_runs.change(second, other)
    with pytest.raises(UsageError, match="nothing may be compared: mcd: "):
        vceval.load(first.root).compare(second.root)


@pytest.mark.parametrize("name", ["demo", "single", "broken"])
def test_plain_text_has_eighty_columns(tmp_path: Path, name: str) -> None:
    text = repr(vceval.load(report_runs.RUNS[name](tmp_path).root))
    assert max(map(len, text.splitlines())) <= 80
    assert not set(text) & set("\t\r\x1b")
    if name == "demo":
        assert re.search(r"^Good system +4\.64\* +24\.3\* +23\.9\* +24\.1$", text, re.MULTILINE)
        assert "\n* best" in text


class Page(html.parser.HTMLParser):
    """Collects what a part of a page loads, runs and says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.events: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.events += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_view_of_notebooks_is_escaped_and_complete(results: vceval.Results) -> None:
    text = results._repr_html_()
    page = Page(text)
    assert not {"script", "iframe", "object", "link", "img"} & set(page.tags)
    assert not page.events
    assert HOSTILE in page.words
    for words in ("Good system", "24.3", "Are these the source's words?", "3 failures", "45/48", "<b>more</b>"):
        assert words in page.words
    assert page.tags.count("audio") == len(page.links) == 2 * 5
    assert len(text) < 200_000
    for link in page.links:
        kind, _, data = link.partition(",")
        assert kind == "data:audio/mpeg;base64"
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert rate == 16_000
        assert len(samples) / rate == pytest.approx(0.3, abs=0.2)
        assert np.abs(samples).max() > 0.05


def test_recordings_that_are_gone_leave_the_rest(tmp_path: Path) -> None:
    run = report_runs.demo(tmp_path)
    for path in run.root.rglob("*.flac"):
        path.unlink()
    page = Page(vceval.load(run.root)._repr_html_())
    assert "Good system" in page.words
    assert page.tags.count("audio") == 2 * 2  # sources and targets lie elsewhere


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.json: no such file; is .* the folder of a finished run"):
        vceval.load(tmp_path)


def test_a_run_that_was_stopped_is_no_folder_without_a_run(tmp_path: Path) -> None:
    run = report_runs.demo(tmp_path)
    for name in ("summary.json", "hashes.json"):
        (run.root / name).unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"summary\.json: no such file; the run is not finished: .*vceval status"):
        vceval.load(run.root)


def test_a_file_is_told_from_a_folder_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").touch()
    with pytest.raises(UsageError, match=r"scores\.csv: is a file; name the folder of a run \(a result"):
        vceval.load(tmp_path / "scores.csv")
