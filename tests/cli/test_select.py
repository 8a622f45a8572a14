"""``vceval select``: ranks checkpoints of runs, refuses what can't be compared, and watches a training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import MadeRun
from report_runs import change

from vceval.cli import select
from vceval.cli.main import main
from vceval.results.rundir import RunDirectory

ASKED = {"sv_accept": "voice", "wer": "words", "mcd": "quality"}


def make(folder: Path, accepted: float, seed: int = 0, **systems: bool) -> Path:
    """A finished run of 36 pairs with systems that are accepted on such a share of them, drawn."""
    run = MadeRun(6, 6, systems={"target": True, **(systems or {"mine": False})}).fill(3)
    random = np.random.default_rng(seed)
    for system in run.systems:
        lucky = random.permutation(list(run.pairs))[: round(36 * accepted)]
        for pair in run.pairs:
            run.sums[system, pair, "sv_accept"] = (float(pair in lucky), 1.0)
    run.write(folder)

    def ask(summary: dict[str, Any]) -> None:
        for entry in summary["measures"]:
            if (question := ASKED.get(entry["name"])) is not None:
                entry["question"] = question
        summary["measures"][0] |= {"rate": True, "worst": 0.0}

    change(RunDirectory(folder), ask)
    return folder


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def training(tmp_path: Path) -> Path:
    for number, accepted in enumerate((0.1, 0.9, 0.95), 1):
        make(tmp_path / "training" / f"step-{number}00", accepted, number)
    (tmp_path / "training" / "notes").mkdir()
    return tmp_path / "training"


def test_it_names_the_best_with_reasons_in_80_columns(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(folder) for folder in sorted(training.glob("step-*"))]
    assert main(["select", *runs]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "step-300" in told.splitlines()[0]
    assert "not told apart from it: step-200" in told.splitlines()[0]
    assert "more target speakers" in told
    [row] = [line for line in told.splitlines() if line.lstrip().startswith("step-100")]
    assert row.endswith("voice")
    assert main(["select", str(training)]) == 0  # the folder that holds them
    assert capsys.readouterr().out == told


def test_json_has_figures_in_the_units_of_the_table(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", str(training), "--json", "--floor", "50"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["named"], found["tied"], found["floor"]) == ("step-300", ["step-200"], 50.0)
    last = found["checkpoints"][-1]
    assert (last["name"], last["out"]["by"]) == ("step-100", "floor")
    assert last["out"]["reason"] == "SV acc. is worse than the floor of 50.0 %"
    assert 0.0 < found["figure"]["low"] < found["figure"]["value"] <= found["figure"]["high"] <= 100.0
    assert [one["question"] for one in found["verdicts"]] == ["voice", "words", "quality"]
    assert main(["select", str(training), "--floor", "99.9"]) == 0
    assert capsys.readouterr().out.startswith("step-300 is named")  # not significantly below


def test_one_run_of_several_systems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path / "run", 0.5, a=False, b=False, c=False)
    assert main(["select", str(run), "--systems", "a,c", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["checkpoints"]} == {"a", "c"}
    assert main(["select", str(run), "--systems", "a,d"]) == 2
    assert "no d; there are a, b, c" in capsys.readouterr().err
    assert main(["select", str(run), "--systems", "a"]) == 2
    assert "at least two checkpoints" in capsys.readouterr().err


def test_equal_checkpoints_both_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make(tmp_path / name, 0.5)) for name in ("one", "two")]
    assert main(["select", *runs, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted([found["named"], *found["tied"]]) == ["one", "two"]


def test_checkpoints_that_are_all_their_own_judge_are_compared_and_told(
    training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = sorted(training.glob("step-*"))
    why = "trained to please this encoder"

    def judge(summary: dict[str, Any], name: str) -> None:
        summary["kin"] = [{"system": name, "metric": "sv", "reason": why}]

    [name] = [entry["name"] for entry in summary_of(runs[0])["systems"] if not entry["control"]]
    for folder in runs:
        change(RunDirectory(folder), lambda summary: judge(summary, name))
    assert main(["select", str(training)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("step-300 is named")
    assert f"({why})" in " ".join(told.split())
    change(RunDirectory(runs[1]), lambda summary: summary.update(kin=[]))
    change(RunDirectory(runs[0]), lambda summary: summary.update(kin=[]))
    assert main(["select", str(training), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["named"], found["own_judge"]) == ("step-200", None)
    assert {"by": "voice", "reason": why} in [one["out"] for one in found["checkpoints"]]


def other_signature(summary: dict[str, Any]) -> None:
    summary["metrics"][0]["signature"] = "SV|enc:b|v:1"


def no_questions(summary: dict[str, Any]) -> None:
    for entry in summary["measures"]:
        entry.pop("question", None)


@pytest.mark.parametrize(
    ("how", "words"),
    [(other_signature, "sv: signatures differ: enc:a in step-100, enc:b in step-200"),
     (lambda summary: summary.update(schema=1), "has schema 1")],
)  # fmt: skip
def test_what_can_not_be_compared_is_refused(
    training: Path, how: Callable[[dict[str, Any]], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(RunDirectory(training / "step-200"), how)
    assert main(["select", str(training)]) == 2
    assert words in capsys.readouterr().err


def test_wrong_use_is_said(training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        ([], "give the folders of runs, or --watch DIR"),
        ([str(training), "--watch", str(training)], "give the folders of runs, or --watch DIR"),
        ([str(tmp_path / "none")], "none: no such folder"),
        ([str(training / "notes")], "notes: holds no finished run"),
        (["--watch", str(tmp_path / "none")], "none: no such folder"),
        (["--watch", str(training), "--every", "0"], "a number of seconds above 0"),
        ([str(training), "--floor", "101"], "lies in 0 to 100.0"),
        ([str(training), "--floor", "nan"], "lies in 0 to 100.0"),
    ):
        assert main(["select", *arguments]) == 2
        assert words in capsys.readouterr().err
    for folder in training.glob("step-*"):
        change(RunDirectory(folder), no_questions)
    assert main(["select", str(training)]) == 2
    assert "nothing to select by: voice: this run has no metric for it" in capsys.readouterr().err


def test_a_watch_takes_each_run_once_when_it_is_finished(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run is at work at first, one can't be compared, one is damaged; Ctrl-C ends it."""
    late = RunDirectory(training / "step-300")
    about = late.read_json("run.json")
    late.write_json("run.json", {**about, "state": "running"})
    change(RunDirectory(make(training / "wrong", 0.5)), other_signature)
    (training / "broken").mkdir()
    (training / "broken" / "run.json").write_text("{", encoding="utf-8")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            late.write_json("run.json", about)
        if len(waits) == 3:
            shutil.copytree(training / "step-200", training / "step-400")
        if len(waits) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(select.time, "sleep", sleep)
    assert main(["select", "--watch", str(training), "--every", "7"]) == 130
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["step-100", "step-200", "step-300", "step-400"]
    assert lines[0] == "step-100: step-100 is the only checkpoint"
    assert lines[1] == "step-200: step-200 is the best of 2"
    assert lines[2] == "step-300: step-300 is named of 3; not told apart from it: step-200"
    assert "named of 4" in lines[3]
    assert waits == [7.0] * 5
    assert said.err.count("wrong is not taken: these runs can't stand in one table") == 1
    assert said.err.count("broken is not taken") == 1
    assert "stopped" in said.err


def test_a_watch_for_machines_prints_one_object_a_line(
    training: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(select.time, "sleep", sleep)
    assert main(["select", "--watch", str(training), "--json"]) == 130
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["run"], len(one["checkpoints"])) for one in found] == [
        ("step-100", 1),
        ("step-200", 2),
        ("step-300", 3),
    ]


def test_long_names_are_wrapped_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        make(tmp_path / f"{'long' * 25}-step-{number}", 0.5, number)
    assert main(["select", str(tmp_path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert max(map(len, told)) <= 80
    assert all(any(f"-step-{number}" in line for line in told) for number in (1, 2))
