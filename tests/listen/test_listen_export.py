"""Making a listening test from a run: what listeners are given, and what they must not learn from it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listeners import make_run
from report_runs import HOSTILE, demo

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.listen.export import Exported, Look, export
from vceval.listen.key import read_key
from vceval.listen.pages import page_facts
from vceval.listen.plan import Settings
from vceval.results.rundir import RunDirectory

ALL = ("mos", "smos", "abx", "ab")
SMALL = Settings(ALL, forms=4, pairs=4, each=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def made(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(run, tmp_path_factory.mktemp("test") / "out", SMALL, Look())


def test_page_and_key_tell_the_same_plan(made: Exported) -> None:
    facts, key = page_facts(made.folder / "page" / "index.html"), read_key(made.folder / "key.json")
    assert facts.plan == key.plan == made.plan.id
    assert len(facts.forms) == key.forms == 4
    assert {name: trial.test for name, trial in key.trials.items()} == dict(facts.trials)
    assert key.trials == made.plan.trials


def test_nothing_that_listeners_get_names_a_system_a_speaker_or_a_right_answer(made: Exported) -> None:
    given = [path.relative_to(made.folder / "page") for path in (made.folder / "page").rglob("*") if path.is_file()]
    assert {path.parent.as_posix() for path in given} == {".", "audio"}
    text = (made.folder / "page" / "index.html").read_text(encoding="utf-8")
    plan = json.loads(re.findall(r'id="plan">(.*?)</script>', text, re.DOTALL)[0])
    words = json.dumps({name: value for name, value in plan.items() if name not in ("texts", "questions")})
    for word in ("alpha", "beta", "source", "target", "ann", "tom", "says", "mnru", "natural", "check", "item"):
        assert word not in words, word
    assert list(plan["trials"]) == sorted(plan["trials"])
    expected = {name for name, trial in plan["trials"].items() if "expect" in trial}
    assert expected == {part["training"][-1] for form in plan["forms"] for part in form}
    used = {file for trial in plan["trials"].values() for file in trial["files"]} | {plan["volume"]["file"]}
    assert used == {path.name for path in given if path.parent.name == "audio"}
    assert all(re.fullmatch(r"[0-9a-f]{12}\.flac", name) for name in used)


def test_every_trial_plays_what_the_key_says(made: Exported, run: RunDirectory) -> None:
    key = json.loads((made.folder / "key.json").read_text(encoding="utf-8"))
    text = (made.folder / "page" / "index.html").read_text(encoding="utf-8")
    plan = json.loads(re.findall(r'id="plan">(.*?)</script>', text, re.DOTALL)[0])
    for name, trial in made.plan.trials.items():
        files = [key["files"][file] for file in plan["trials"][name]["files"]]
        source, target = trial.pair.split("-")
        stems = [Path(file["path"]).stem for file in files]
        if trial.kind == "item" and trial.test in ("mos", "smos", "abx"):
            [system] = trial.conditions
            judged = files[-1]
            if system in ("alpha", "beta"):
                assert Path(judged["path"]) == run.audio_path(system, trial.pair).resolve()
        if trial.kind == "check":
            assert files[-1]["beeps"] == {"a": 1, "b": 2, "tie": 3}.get(trial.answer) or int(trial.answer)
        if trial.test == "smos":
            assert stems[0] == f"{target}_prompt"
        if trial.test == "abx":
            who = [stem.split("_")[0] for stem in stems[:2]]
            assert who == ([target, source] if trial.swapped else [source, target])
            # The words of X must not give away whose voice it was
            assert stems[who.index(source)] != stems[-1] or trial.kind == "training"
        if trial.test == "ab" and trial.kind == "item":
            assert [Path(file["path"]).parent.name for file in files] == list(trial.conditions)
        audio = made.folder / "page" / "audio"
        seconds = sum(soundfile.info(audio / file).duration for file in plan["trials"][name]["files"])
        assert key["trials"][name]["seconds"] == pytest.approx(seconds, abs=0.01)


def test_the_same_command_makes_the_same_bytes(run: RunDirectory, made: Exported, tmp_path: Path) -> None:
    again = export(run, tmp_path / "again", SMALL, Look())
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again.folder / path.relative_to(made.folder)).read_bytes(), path


def test_the_highest_rate_is_kept_and_all_are_equally_loud(made: Exported) -> None:
    assert made.sample_rate == 24_000
    rates = {soundfile.info(path).samplerate for path in (made.folder / "page" / "audio").iterdir()}
    assert rates == {24_000}


def test_a_run_without_controls_gets_anchors_and_one_without_natural_speech_gets_what_it_can(tmp_path: Path) -> None:
    bare = export(make_run(tmp_path / "a", controls=False), tmp_path / "one", SMALL, Look())
    heard = {(t.test, name) for t in bare.plan.trials.values() if t.kind == "item" for name in t.conditions}
    assert {name for test, name in heard if test == "mos"} == {"alpha", "beta", "anchor:natural", "anchor:mnru"}
    assert {name for test, name in heard if test == "smos"} == {"alpha", "beta", "anchor:source", "anchor:target"}
    silent = make_run(tmp_path / "b", natural=False)
    only = export(silent, tmp_path / "two", Settings(("mos", "ab"), forms=2, pairs=4, each=2), Look())
    heard = {(t.test, name) for t in only.plan.trials.values() for name in t.conditions}
    assert heard == {("mos", "alpha"), ("mos", "beta"), ("ab", "alpha"), ("ab", "beta")}
    with pytest.raises(UsageError, match="no smos test"):
        export(silent, tmp_path / "three", Settings(("smos",)), Look())


def test_recordings_that_can_not_be_used_are_left_out_and_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    soundfile.write(run.audio_path("alpha", "ann-eva"), np.zeros(12_000), 24_000)
    made = export(run, tmp_path / "out", Settings(("mos",), forms=3, pairs=12, each=4), Look())
    assert [row[:2] for row in made.left_out] == [("alpha", "ann-eva")]
    assert "silent" in made.left_out[0][2]
    assert not any(t.pair == "ann-eva" and t.conditions == ("alpha",) for t in made.plan.trials.values())
    key = json.loads((made.folder / "key.json").read_text(encoding="utf-8"))
    assert key["left_out"][0]["pair"] == "ann-eva"


def test_hostile_names_and_texts_stay_inert(tmp_path: Path) -> None:
    look = Look(title="</script><script>alert(1)</script>", intro="<img src=x onerror=alert(2)> & </SCRIPT >")
    made = export(demo(tmp_path), tmp_path / "out", Settings(("mos", "ab"), forms=2, pairs=6, each=2), look)
    text = (made.folder / "page" / "index.html").read_text(encoding="utf-8")
    assert text.count("<script") == 2
    assert text.lower().count("</script") == 2
    assert "<img" not in text
    assert HOSTILE not in text
    rows = list(csv.DictReader((made.folder / "plan.csv").read_text(encoding="utf-8").splitlines()))
    assert any(HOSTILE in row["heard"] for row in rows)
    assert page_facts(made.folder / "page" / "index.html").plan == made.plan.id


def test_answers_and_foreign_folders_are_never_replaced(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "site" / "page").mkdir(parents=True)
    (tmp_path / "site" / "page" / "index.html").write_text("<p>mine</p>")
    with pytest.raises(UsageError, match="not the page of a listening test"):
        export(run, tmp_path / "site", SMALL, Look())
    assert (tmp_path / "site" / "page" / "index.html").read_text() == "<p>mine</p>"
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "answers-1.json").write_text("{}")
    with pytest.raises(UsageError, match="answers to an earlier test"):
        export(run, tmp_path / "old", SMALL, Look())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tests", "mos,mushra"], "mushra"),
        (["--systems", "alpha,gamma"], "gamma"),
        (["--each", "0"], "--each must be at least 1"),
        (["--level", "0"], "--level"),
        (["--rate", "96000"], "--rate"),
        (["--compare", "alpha"], "does not name two"),
        (["--compare", "alpha,beta"], "--compare goes with"),
        (["--intro", "/nowhere/intro.txt"], "intro.txt"),
    ],
)
def test_wrong_use_is_said(
    run: RunDirectory, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", "export", str(run.root), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
