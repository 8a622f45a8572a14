"""HTML, LaTeX, Markdown and JSON show the same marks, and these follow the rule, on generated runs of every kind."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from made_runs import write_files
from markupsafe import escape

from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import ConversionPair, Failure, Score, Skip
from vceval.reports import filter_data, latex, markdown, report_page, table_files, tables, verdict_panels
from vceval.reports.latex import STYLES
from vceval.reports.latex_escape import escape as latex_escape
from vceval.results import views
from vceval.results.marks import ALPHA, interval_words
from vceval.results.rundir import RunDirectory
from vceval.results.summary import summarise
from vceval.results.table import Tally
from vceval.results.verdicts import Verdict, as_json, judged, lines, verdicts
from vceval.results.views import Report

RUNS = 200 if os.environ.get("VCEVAL_LONG") else 60


@dataclass(frozen=True)
class Made(Metric):
    """Measures of every kind of ranking."""

    name: ClassVar[str] = "made"
    title: ClassVar[str] = "Made up"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("accept", "Accepted", "%", "higher", 100.0, 1, worst=0.0, rate=True, question="voice"),
        Measure("distance", "Distance", "dB", "lower", question="quality"),
        Measure("errors", "Errors", "%", "lower", scale=100.0, ranked_by="capped"),
        Measure("capped", "Capped", "%", "lower", scale=100.0, worst=1.0, question="words"),
        Measure("eer", "EER", "%", "higher", scale=100.0, decimals=1, reduction="eer", best=0.5),
    )
    source: ClassVar[str] = "nobody"

    def signature(self) -> str:
        return "MADE|v:1"

    def statistics(self, conversion: object) -> Statistics:
        raise NotImplementedError


def made_run(folder: Path, seed: int) -> Report:
    """A run with anything: systems apart or alike, few and many speakers, failures, skips, ties, pairs not given."""
    rng = np.random.default_rng(seed)
    targets, sources = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    split = bool(rng.integers(2))
    pairs = {
        f"p{n}": ConversionPair(
            f"p{n}", "d", source_speaker=f"s{n // targets % sources}", target_speaker=f"t{n % targets}",
            direction=("F2F", "F2M")[n % 2] if split else None,
        )
        for n in range(int(rng.integers(1, 40)))
    }  # fmt: skip
    scores, failures, skips, rows = [], [], [], []
    for place in range(int(rng.integers(1, 5))):
        system, level = f"sys{place}", float(rng.choice([0.0, 0.3, 1.0])) * place
        spread = float(rng.choice([0.0, 0.3, 1.0]))
        failing = float(rng.choice([0.0, 0.0, 0.03, 0.3, 1.0], p=[0.5, 0.2, 0.15, 0.1, 0.05]))
        given = [p for p in pairs if rng.random() < rng.choice([1.0, 1.0, 1.0, 0.6])]
        for pair in given:
            if rng.random() < failing:
                stage, metric = ("convert", "") if rng.random() < 0.5 else ("score", "made")
                failures.append(Failure(system, pair, stage, metric, "why"))
                continue
            wrong = max(0.0, float(rng.normal(2 + level, 2 * spread)) + 40.0 * (rng.random() < 0.02))
            sums = {
                "accept": (float(rng.random() < 0.8 - 0.15 * level), 1.0),
                "distance": (rng.normal(5 + level, spread), 1.0),
                "errors": (wrong, 8.0),
                "capped": (min(wrong, 8.0), 8.0),
                "eer": (rng.normal(0.5 - level, 1.0), 1.0),
            }
            for name, (above, below) in sums.items():
                if rng.random() < 0.01:
                    skips.append(Skip(system, pair, "made", name, "other", "why"))
                else:
                    scores.append(Score(system, pair, "made", name, above / below, float(above), below))
        rows.append({"name": system, "title": f"System {place}", "control": False, "expected": len(given)})
    natural = {"natural_scores": {f"t{n}": rng.normal(0, 1, 20).tolist() for n in range(targets)}}
    learnt: dict[str, Any] = {"made": {"d": natural}} if rng.random() < 0.9 else {}
    summary = summarise(Tally(pairs, scores, failures, skips), rows, [Made()], learnt)
    run = RunDirectory(folder)
    write_files(
        run, pairs.values(), scores, {"made": "MADE|v:1"}, about={"name": "made"},
        summary={**summary, "calibration": {}}, audio=(), failures=failures, skips=skips,
    )  # fmt: skip
    return views.load(run)


#: Marks by title of the system and place of the column.
Marked = dict[tuple[str, int], str]


def in_table(model: tables.Table) -> Marked:
    figures = [(row.system.title, place, entry) for row in model.rows for place, entry in enumerate(row.entries)]
    return {(title, place): entry.mark if entry else "" for title, place, entry in figures}


def in_markdown(model: tables.Table) -> Marked:
    lines = [line for line in markdown.table(model).splitlines() if line.startswith("| System ")][1:]
    cells = [(line.strip("| ").split(" |")[0], line.split("|")[2:-1]) for line in lines]
    return {
        (title, place): "best" if "**" in cell else "second" if "<u>" in cell else ""
        for title, found in cells
        for place, cell in enumerate(found)
    }


def in_latex(model: tables.Table) -> Marked:
    found: Marked = {}
    start = 0
    for part in latex.table(model, STYLES["plain"]).split(r"\toprule")[1:]:
        head, body = part.split(r"\midrule")
        sizes = [int(size) for size in re.findall(r"\\multicolumn\{(\d)\}\{c\}", head)]
        for line in body.split(r"\bottomrule")[0].strip().splitlines():
            title, *cells = line.partition(r"\\")[0].strip().split("&")
            if not title.strip():  # what stands below the figures
                continue
            for place, cell in enumerate(cells[sum(sizes[:number])] for number in range(len(sizes))):
                mark = "best" if r"\bfseries" in cell else "second" if r"\vcevalsecond" in cell else ""
                found[title.strip(), start + place] = mark
        start += len(sizes)
    return found


def in_html(page: str) -> dict[str, Marked]:
    """Marks of the tables that the page holds before any script has run."""
    found: dict[str, Marked] = {}
    for name, table in re.findall(r'<table class="results" data-table="(\w+)">(.*?)</table>', page, re.DOTALL):
        for row in table.split("<tr data-system=")[1:]:
            title = re.findall(r'<span class="name">(.*?)</span>', row)[0]
            for place, mark in enumerate(re.findall(r'<td class="num(?: (\w+))?"', row)):
                found.setdefault(name, {})[title, place] = "" if mark == "none" else mark
    return found


def in_filters(report: Report) -> dict[tuple[str, str, str, str], str]:
    """Marks that the page's script shows, by system, measure, dataset and direction."""
    found = filter_data.cells(report)
    datasets, directions = [*found["datasets"], "all"], [*found["directions"], "all"]
    return {
        (report.systems[s].name, report.measures[m].name, datasets[d], directions[w]): ("", "best", "second")[row[-1]]
        for row in found["rows"]
        for s, m, d, w in [row[:4]]
    }


def test_every_format_says_how_intervals_were_made(tmp_path: Path) -> None:
    methods: set[str] = set()
    for seed in range(8):
        report = made_run(tmp_path / str(seed), seed)
        page = html.unescape(report_page.page(report, []))
        methods |= {cell.method for cell in report.cells.values()}
        for model in tables.main_tables(report):
            words = interval_words(
                entry.cell.method
                for row in model.rows
                for entry in row.entries
                if entry and entry.interval and entry.cell
            )
            shown = [markdown.table(model).replace("\\", ""), *(latex.table(model, style) for style in STYLES.values())]
            said = any(entry and entry.interval for row in model.rows for entry in row.entries)
            assert [f"interval ({words})." in text for text in shown] == [said] * len(shown)
            assert not said or f"interval ({words})." in page
            for note in model.speaker_notes:
                assert all(note in text for text in (page, model.caption, *shown[1:]))
    assert methods == {"", "t", "clopper-pearson", "bootstrap"}


def check_verdict(verdict: Verdict) -> None:
    """Whatever it says, it says why; an open question has a number of speakers, or plainly none."""
    assert verdict.headline in verdict.sentence
    assert verdict.sentence.endswith(".")
    assert "nan" not in verdict.sentence
    assert all(len(line) <= 80 for line in lines([verdict], 80))
    if verdict.lacking:
        assert not verdict.winners
        assert not verdict.tied
        assert verdict.ahead is None
        return
    order = list(verdict.ranking.order)
    assert verdict.tied == (order[: len(verdict.tied)] if verdict.tied else [])
    assert bool(verdict.winners) != (verdict.headline == "Undecided")
    assert verdict.ahead is not None
    assert (verdict.ahead.first, verdict.ahead.difference >= -1e-9) == (order[0], True)
    if verdict.winners:
        assert verdict.ahead.second == order[len(verdict.winners)]
        assert verdict.ahead.p_value is not None
        assert verdict.ahead.p_value < ALPHA
    if verdict.question and verdict.tied:
        assert verdict.nearest is not None
        assert verdict.nearest.enough is not None
        if verdict.nearest.enough.pairs is None:
            said = "No difference was seen" if not verdict.nearest.difference else "No corpus of usual size would show"
            said = "More pairs alone would not tell" if verdict.nearest.enough.threshold else said
            assert said in verdict.sentence
        else:
            assert "About" in verdict.sentence
            assert all(count >= 1 for count in verdict.nearest.enough.more.values())
            assert verdict.nearest.enough.pairs > verdict.nearest.n


def check_answer(report: Report, page: str, said: Sequence[Verdict]) -> None:
    """Page, Markdown, JSON and LaTeX print the same sentences, and the strips are in order of merit."""
    stored = json.loads(json.dumps(as_json(said)))["verdicts"]
    macros, listed = latex.text_macros(report, said), markdown.verdicts(said)
    for one, entry in zip(said, stored, strict=True):
        assert (entry["sentence"], entry["winners"]) == (one.sentence, one.winners)
        assert str(escape(one.reason)) in page
        assert latex_escape(one.sentence) in macros
        assert markdown.escape(one.reason) in listed
    for panel in verdict_panels.panels(report):
        assert len(panel.rows) == (0 if panel.verdict.lacking else len(panel.verdict.ranking.order))
        for row in panel.rows:
            assert 0.0 <= row.place <= panel.zero + 0.01, "nobody is right of the first"
            assert all(0.0 <= end <= 100.0 for end in row.ends or ())


def test_every_format_shows_the_marks_of_the_rule(tmp_path: Path) -> None:
    seen = {"marked": 0, "unranked": 0, "left out": 0, "counted": 0, "undecided": 0}
    for seed in range(RUNS):
        report = made_run(tmp_path / str(seed), seed)
        page = report_page.page(report, [])
        filters, pages = in_filters(report), in_html(page)
        models = [*tables.main_tables(report), *tables.direction_tables(report)]
        for model in models:
            shown = in_table(model)
            assert in_markdown(model) == in_latex(model) == shown, seed
            if model.id in pages:
                assert pages[model.id] == shown, seed
            stored = json.loads(table_files._tables_json([model]))["tables"][0]["rows"]
            for row in stored:
                for place, figure in enumerate(row["figures"]):
                    column = model.columns[place]
                    mark = shown[row["title"], place]
                    assert ((figure and figure["mark"]) or "") == mark
                    key = (row["system"], column.measure.name, column.dataset, column.direction)
                    assert filters.get(key, "") == mark, seed
        assert set(pages) == {model.id for model in tables.main_tables(report)}
        said = verdicts(report)
        assert [one.question for one in said] == ["voice", "words", "quality"]
        for verdict in (*said, *(judged(report, measure) for measure in report.measures)):
            titles = {title for (title, place), mark in in_table(models[0]).items()
                      if mark == "best" and models[0].columns[place].measure == verdict.measure}  # fmt: skip
            assert {report.titles[name] for name in verdict.winners} == titles, seed
            check_verdict(verdict)
        check_answer(report, page, said)
        for (measure, *_), ranking in report.rankings.items():
            order = list(ranking.order)
            marks = [ranking.mark(name) for name in order]
            assert marks == sorted(marks, key=["best", "second", ""].index), "nothing below an unmarked row is marked"
            assert ranking.best | ranking.second <= set(order)
            assert not set(order) & set(ranking.unranked)
            assert ranking.reason or ranking.best
            assert measure != "errors" or not ranking.best
            best = next(m for m in report.measures if m.name == measure).best
            for one in ranking.comparisons:
                gap = ranking.values[one.first] - ranking.values[one.second]
                if best is not None:
                    gap = abs(ranking.values[one.first] - best) - abs(ranking.values[one.second] - best)
                assert one.difference == pytest.approx(gap, abs=1e-9)
            for name in ranking.best - {order[0]} if order else ():
                tested = ranking.between(order[0], name)
                assert tested is not None
                assert tested.p_value is None or tested.p_value >= ALPHA or not tested.difference
            for name, some in (
                ("marked", ranking.best),
                ("unranked", ranking.unranked),
                ("counted", ranking.counted),
                ("left out", ranking.left_out),
                ("undecided", len(order) > 1 and not ranking.best),
            ):
                seen[name] += bool(some)  # fmt: skip
    assert min(seen.values()) > RUNS / 4, seen
