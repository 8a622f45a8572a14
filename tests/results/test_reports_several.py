"""Several runs in one report: together where suite, pairs, signatures and calibrations agree, refused otherwise."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_runs import change, make, set_signature

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.results.merge_runs import material, run_names
from vceval.results.rundir import RunDirectory

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def both(tmp_path: Path) -> list[RunDirectory]:
    return [make(tmp_path / "one", {"A": 1.0, "B": 2.0}), make(tmp_path / "two", {"B": 1.5, "shaky": 0.7}, seed=5)]


def test_systems_stand_side_by_side(both: list[RunDirectory]) -> None:
    found = material(both)
    report = found.report
    assert [system.name for system in report.systems] == ["source", "A", "B", "B (two)", "shaky"]
    assert report.name == "one + two"
    for run, names in zip(both, ({"A": "A", "B": "B"}, {"B": "B (two)", "shaky": "shaky"}), strict=True):
        cells = run.read_json("summary.json")["cells"]
        for cell in cells:
            if cell["system"] in names:
                mine = report.cell(names[cell["system"]], cell["measure"], cell["dataset"], cell["direction"])
                assert mine is not None
                assert (mine.value, mine.n) == (cell["value"], cell["n"])
    assert {row["system"] for row in report.failures} == {"shaky"}
    known = {pair["pair"] for pair in report.pairs}
    assert {pair for _, pair in report.audio} <= known
    assert {row["pair"] for row in report.failures} <= known
    assert all(Path(path).is_file() for path in report.audio.values())


def test_systems_of_different_runs_are_tested_on_the_same_pairs(both: list[RunDirectory]) -> None:
    report = material(both).report
    # "shaky" has no MCD on more than 5 % of the pairs that have a parallel recording
    assert list(report.ranking("mcd").unranked) == ["shaky"]
    assert [len(report.ranking(m.name).comparisons) for m in report.measures] == [3, 6, 6, 6, 6, 6]
    own = both[1].read_scores()
    first = both[0].read_scores()
    means = [
        frame[(frame["system"] == name) & (frame["measure"] == "wer") & (frame["pair"] != lost)]["value"].mean()
        for frame, name, lost in ((first, "A", "one-2"), (own, "B", "two-2"))  # "shaky" failed on this pair
    ]
    ranking = report.ranking("wer")
    test = ranking.between("A", "B (two)")
    assert test is not None
    assert test.difference == pytest.approx(means[0] - means[1])
    assert (set(ranking.order), ranking.left_out) == ({"A", "B", "B (two)", "shaky"}, 1)


def set_threshold(summary: dict[str, Any]) -> None:
    summary["calibration"]["sv"]["demo"]["threshold"] = 0.9


def drop_metric(summary: dict[str, Any]) -> None:
    summary["metrics"] = summary["metrics"][:-1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda summary: summary.update(suite="vctk_unseen@1"), "suites differ: demo@1 in one, vctk_unseen@1 in two"),
        (set_signature, "mcd: signatures differ: order:24 in one, order:13 in two"),
        (set_threshold, "sv: calibrated differently on demo: threshold 0.7132 in one, 0.9 in two"),
        (drop_metric, "metric fake: only in one"),
    ],
)
def test_what_differs_is_refused_by_name(both: list[RunDirectory], how: Change, message: str) -> None:
    change(both[1], how)
    with pytest.raises(UsageError) as caught:
        material(both)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") == 2


def test_a_threshold_of_another_machine_is_the_same(both: list[RunDirectory]) -> None:
    change(both[1], lambda summary: summary["calibration"]["sv"]["demo"].update(threshold=0.71321))
    assert len(material(both).report.systems) > 2


def test_other_pairs_are_refused(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", {"A": 1.0}), make(tmp_path / "two", {"B": 1.0}, pairs=20)
    with pytest.raises(UsageError, match="conversion pairs differ: 24 in one, 20 in two, 20 in both"):
        material([one, two])
    with pytest.raises(UsageError, match="the same run is given twice"):
        material([one, one])


def test_runs_are_called_by_what_tells_them_apart() -> None:
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/a/run"), Path("/x/b/run")]) == ["a/run", "b/run"]


def test_the_command_writes_one_report(
    both: list[RunDirectory], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "together"
    folders = [str(run.root) for run in both]
    assert main(["report", *folders]) == 2
    assert "--out DIR" in capsys.readouterr().err
    assert main(["report", *folders, "--out", str(out), "--style", "ieee", "--published", "mediumvc"]) == 0
    assert f"page     {out / 'index.html'}" in capsys.readouterr().out
    with open(out / "tables" / "main.csv", encoding="utf-8", newline="") as stream:
        assert {row["system"] for row in csv.DictReader(stream)} == {"source", "A", "B", "B (two)", "shaky"}
    assert "MediumVC" in (out / "tables" / "published.csv").read_text(encoding="utf-8")
    assert r"\vcevalnotes{" in (out / "tables" / "main.tex").read_text(encoding="utf-8")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "B (two)" in page
    for run in both:
        shutil.rmtree(run.root / "audio")  # the report brings its recordings
    assert len(list((out / "audio").iterdir())) > 24
    change(both[1], set_signature)
    assert main(["report", *folders, "--out", str(out)]) == 2
    assert "order:13" in capsys.readouterr().err


def test_audits_are_put_together(both: list[RunDirectory]) -> None:
    def audit(names: dict[str, int]) -> Change:
        def how(summary: dict[str, Any]) -> None:
            cells = [c for c in summary["cells"] if (c["dataset"], c["direction"]) == ("all", "all")]
            kinds = {"trained": 0, "unseen": 24, "unknown": 0}
            summary["training"] = {
                "systems": [
                    {"system": name, "pairs": 24, "left": left, "targets": kinds, "sources": kinds}
                    for name, left in names.items()
                ],
                "same_pairs": True,
                "cells": [c for c in cells if names.get(c["system"], 24) < 24],
            }

        return how

    change(both[0], audit({"A": 24, "B": 24}))
    change(both[1], audit({"B": 12, "shaky": 12}))
    training = material(both).report.training
    assert training is not None
    assert [(e["system"], e["left"]) for e in training["systems"]] == [
        ("A", 24), ("B", 24), ("B (two)", 12), ("shaky", 12)
    ]  # fmt: skip
    assert training["same_pairs"] is False
    assert {cell["system"] for cell in training["cells"]} >= {"A", "B", "B (two)", "shaky"}
    assert json.dumps(training)
