"""Sanity flags in reports: the headline, the table, the marks of samples."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
import report_runs
from report_pages import Page, assert_fits, chunk, sample_data, typeset
from report_runs import GENDERS, HOSTILE, FakeRun

from vceval.metrics.hallucination import TEXT_FLAGS
from vceval.metrics.sanity import FLAGS
from vceval.records import Score
from vceval.reports import latex, markdown, problems
from vceval.reports.build import build
from vceval.reports.problems import flags_table
from vceval.reports.tables import main_tables
from vceval.results import views
from vceval.results.rundir import RunDirectory

MEASURE = {"name": "sanity_flags", "metric": "sanity", "label": "Flagged", "unit": "%", "better": "lower",
           "scale": 100.0, "decimals": 1}  # fmt: skip
METRIC = {"metric": "sanity", "title": "Sanity checks", "signature": "SANITY|v:1.0", "source": "", "needs": []}


def flagged_run(folder: Path) -> RunDirectory:
    """20 pairs: a system with flags, one without, one whose files have another rate, and the source control."""
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(GENDERS)
    for number in range(20):
        fake.pair(f"pair{number:02d}", speakers[number % 4], speakers[(number + 1) % 4])
    names = [pair.id for pair in fake.pairs]

    def system(name: str, flags: dict[int, list[str]], rate: int = 16_000, control: bool = False) -> None:
        fake.system(name, names, control=control)
        fake.scores = [score for score in fake.scores if (score.system, score.metric) != (name, "sanity")]
        for number, pair in enumerate(names):
            found = flags.get(number, [])
            details = {"flags": found, "sample_rate": rate}
            value = float(bool(found))
            fake.scores.append(Score(name, pair, "sanity", "sanity_flags", value, value, 1.0, details))

    system("good", {})
    system(HOSTILE, {0: ["cut off"], 3: ["cut off", HOSTILE], 19: ["odd length"]})
    system("other", {}, rate=24_000)
    system("source", {number: ["same as source"] for number in range(20)}, control=True)
    fake.systems[-1]["converter"] = "source"
    return fake.finish()


@pytest.fixture
def flagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setattr(report_runs, "MEASURES", [*report_runs.MEASURES[:2], MEASURE])
    monkeypatch.setattr(report_runs, "METRICS", [*report_runs.METRICS, METRIC])
    run = flagged_run(tmp_path)
    build(run)
    return run


def test_headline_counts_converters_only(flagged: RunDirectory) -> None:
    texts = " | ".join(Page(flagged.report / "index.html").texts)
    assert "23 of 60 converted recordings bear a flag: 20 wrong rate, 2 cut off" in texts
    assert "43 of 80" not in texts


def test_table_of_flags(flagged: RunDirectory) -> None:
    with open(flagged.report / "tables" / "flags.csv", encoding="utf-8", newline="") as stream:
        rows = {row["System"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["good", HOSTILE, "other", "Control: source"]
    flags = [name for name in rows["good"] if name not in ("System", "n", "Any (%)")]
    assert set(flags) == {"Same as source", "Wrong rate", "Cut off", "Odd length", HOSTILE[:1].upper() + HOSTILE[1:]}
    assert {name: row["Any (%)"] for name, row in rows.items()} == {
        "good": "0.0", HOSTILE: "15.0", "other": "100.0", "Control: source": "100.0",
    }  # fmt: skip
    assert rows[HOSTILE]["Cut off"] == "2"
    assert rows["good"]["Cut off"] == "–"
    page = Page(flagged.report / "index.html")
    assert ("section", "flags") in [(tag, attributes.get("id")) for tag, attributes in page.tags]
    assert "the source: being the same is its purpose" in " ".join(page.texts)
    assert "flags.tex" in page.texts


def test_samples_are_marked_and_can_be_filtered(flagged: RunDirectory) -> None:
    html = (flagged.report / "index.html").read_text(encoding="utf-8")
    choice = re.search(r'<select name="flag">(.*?)</select>', html)
    assert choice is not None
    names = re.findall("<option[^>]*>([^<]*)", choice[1])
    assert names[:3] == ["all", "wrong rate", "cut off"]
    marks = [flag for pair in sample_data(flagged) for entry in pair["made"] for flag in entry.get("flags", [])]
    assert marks.count("cut off") == 2
    assert marks.count("wrong rate") == 20
    assert "same as source" not in marks  # none on the control
    index = chunk(flagged, "pairs")
    cut_off = names.index("cut off") - 1
    assert [place for place, found in index["flags"].items() if [1, cut_off] in found] == ["0", "3"]


def test_flags_of_what_was_heard_stand_beside_those_of_sanity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_runs, "MEASURES", [*report_runs.MEASURES[:2], MEASURE])
    monkeypatch.setattr(report_runs, "METRICS", [*report_runs.METRICS, METRIC])
    run = flagged_run(tmp_path)
    path = run.root / "scores.parquet"
    frame = pandas.read_parquet(path)
    loops = {"pair03": ["repeated words", "too many words"], "pair04": ["repeated words"]}
    for place in frame.index[(frame["system"] == HOSTILE) & frame["pair"].isin(loops) & (frame["metric"] == "wer")]:
        details = json.loads(frame.at[place, "details"])
        frame.at[place, "details"] = json.dumps({**details, "text_flags": loops[frame.at[place, "pair"]]})
    frame.to_parquet(path)
    build(run)
    with open(run.report / "tables" / "flags.csv", encoding="utf-8", newline="") as stream:
        rows = {row["System"]: row for row in csv.DictReader(stream)}
    assert (rows[HOSTILE]["Repeated words"], rows[HOSTILE]["Too many words"]) == ("2", "1")
    assert (rows[HOSTILE]["n"], rows[HOSTILE]["Any (%)"], rows[HOSTILE]["Cut off"]) == ("20", "20.0", "2")
    assert rows["good"]["Repeated words"] == "–"
    texts = " ".join(Page(run.report / "index.html").texts)
    assert "2 repeated words" in texts
    assert "are what the recogniser wrote; this is no part of the measure" in texts
    marks = [entry.get("flags", []) for pair in sample_data(run) for entry in pair["made"]]
    assert ["cut off", HOSTILE, *TEXT_FLAGS] in marks


def test_seldom_flags_share_a_column(flagged: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "FLAG_COLUMNS", 3)
    build(flagged)
    with open(flagged.report / "tables" / "flags.csv", encoding="utf-8", newline="") as stream:
        rows = {row["System"]: row for row in csv.DictReader(stream)}
    assert list(rows["good"])[3:] == ["Same as source", "Wrong rate", "Other"]
    assert (rows[HOSTILE]["Other"], rows["good"]["Other"]) == ("4", "–")
    assert f"Other: cut off, {HOSTILE}, odd length." in " ".join(Page(flagged.report / "index.html").texts)


def test_all_flags_together_fit_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_runs, "MEASURES", [*report_runs.MEASURES[:2], MEASURE])
    monkeypatch.setattr(report_runs, "METRICS", [*report_runs.METRICS, METRIC])
    report = views.load(flagged_run(tmp_path))
    every = dict.fromkeys(report.flags, (*(flag.lower() for flag in (*FLAGS, *TEXT_FLAGS)), "wrong rate"))
    model = flags_table(replace(report, flags=every))
    assert model is not None
    assert model.headings[-1] == "Other"
    text = latex.PREAMBLE + latex.plain_table(model)
    text = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + text + "\\end{document}\n"
    assert_fits(typeset(tmp_path, text))
    heads = [head.lower() for head in model.headings]
    names = every[next(iter(every))]
    others = [flag for flag in names if flag not in heads]
    assert f"Other: {', '.join(sorted(others))}." in model.caption
    for row in model.rows:
        assert [row[heads.index(flag)] for flag in names if flag in heads] == ["20"] * (len(names) - len(others))
        assert row[-1] == str(20 * len(others))


def test_no_section_where_nothing_was_checked(tmp_path: Path) -> None:
    run = report_runs.single(tmp_path)
    build(run)
    html = (run.report / "index.html").read_text(encoding="utf-8")
    assert "Sanity" not in html
    assert 'name="flag"' not in html
    assert not (run.report / "tables" / "flags.csv").exists()


@pytest.mark.parametrize(("narrow", "said"), [(2, False), (3, True)])
def test_a_system_with_many_narrow_bands_has_them_in_its_row(tmp_path: Path, narrow: int, said: bool) -> None:
    report = views.load(flagged_run(tmp_path))
    names = [row["pair"] for row in report.pairs]
    assert len(names) == 20
    flags = {("good", pair): ("narrow band",) if place < narrow else () for place, pair in enumerate(names)}
    model = main_tables(replace(report, flags=flags))[0]
    notes = " ".join(model.notes)
    assert (f"which moves measures: {report.titles['good']} (3 of 20 recordings)." in notes) is said
    assert ("Narrow band (sample rates below 16 kHz" in notes) is said
    marked = [row.title for row in model.rows if row.title != row.system.title]
    assert marked == ([f"{report.titles['good']} (narrow band)"] if said else [])
    for text in (markdown.table(model), latex.table(model)):
        assert (f"{report.titles['good']} (narrow band)" in " ".join(text.split())) is said
