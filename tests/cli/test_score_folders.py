"""``vceval score`` and ``vceval manifest`` on folders as people have them, with a corpus beside."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vceval.benchmarks import demo
from vceval.cli.main import main
from vceval.results.rundir import RunDirectory
from vceval.runner.plan import Plan
from vceval.runner.plan_score import plan_score
from vceval.runner.request import ScoreRequest
from vceval.signal.audio import ffmpeg_line

SYSTEMS = ("AdaIN-VC", "AGAIN-VC", "AutoVC", "FragmentVC", "FreeVC", "kNN-VC", "MediumVC", "VQMIVC")
#: Voices of the demo that stand for speakers of VCTK, and how many of their recordings are taken.
VOICES = {"slt": "p225", "awb": "p226", "kal": "p227"}
RECORDINGS = 5
PAIRS = (("p225_001", "p226_003"), ("p227_002", "p225_004"))
LOOKED_UP = ("--corpus", "vctk", "--data", "VCTK")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with VCTK, made of the demo's recordings, and eight systems' conversions in ``out``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path / "cache"))
    with open(demo.root() / "utterances.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["speaker"] in VOICES and int(row["id"][-3:]) <= RECORDINGS]
    for row in rows:
        speaker, number = VOICES[row["speaker"]], row["id"][-3:]
        text = tmp_path / f"VCTK/txt/{speaker}/{speaker}_{number}.txt"
        for path in (text, recording(f"{speaker}_{number}")):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo.root() / row["file"], recording(f"{speaker}_{number}"))
        text.write_text(row["transcript"], encoding="utf-8")
    genders = {VOICES[row["speaker"]]: row["gender"] for row in rows}
    lines = ["ID AGE GENDER", *(f"{speaker} 23 {gender}" for speaker, gender in genders.items())]
    (tmp_path / "VCTK/speaker-info.txt").write_text("\n".join(lines), encoding="utf-8")
    for number, system in enumerate(SYSTEMS):
        for source, target in PAIRS:
            path = tmp_path / f"out/{system}/{source}_to_{target}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(recording(f"{target[:4]}_{number % RECORDINGS + 1:03}"), path)
    return tmp_path


def recording(utterance: str) -> Path:
    return Path(f"VCTK/wav48_silence_trimmed/{utterance[:4]}/{utterance}_mic1.flac").absolute()


def plan(*paths: str, **rest: object) -> Plan:
    looked_up = {"corpus": "vctk", "data": Path("VCTK"), **rest}
    return plan_score(ScoreRequest(conversions=[Path(path) for path in paths], metrics=["sanity"], **looked_up))  # type: ignore[arg-type]


def test_one_command_makes_a_table_of_eight_folders(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["score", *(f"out/{name}" for name in SYSTEMS), *LOOKED_UP, "--metrics", "mcd,sanity", "--workers", "2"]
    assert main([*asked, "--dry-run"]) == 0
    assert "convert   resynthesis             2 to do of 2" in capsys.readouterr().out
    assert not (place / "runs").exists()
    assert main(asked) == 0
    run = RunDirectory(place / "runs" / "out")
    rows = {row["name"]: row for row in run.read_json("summary.json")["systems"]}
    assert {name for name, row in rows.items() if row["control"]} == {"source", "target", "resynthesis"}
    assert {name for name, row in rows.items() if not row["control"]} == set(SYSTEMS)
    assert {row["expected"] for row in rows.values()} == {len(PAIRS)}
    assert rows["AutoVC"]["sample_rate"] == 16_000
    assert not run.read_failures()
    scores = run.read_scores()
    assert len(scores[(scores.measure == "mcd") & (scores.system == "resynthesis")]) == len(PAIRS)
    assert sorted(path.name for path in (run.root / "audio").iterdir()) == ["resynthesis"]
    assert main(["verify", "runs/out"]) == 0
    capsys.readouterr()
    assert main(asked) == 0  # nothing is left to do
    assert "22 conversions, all done and scored before" in capsys.readouterr().err
    made = next((run.root / "audio" / "resynthesis").iterdir())
    made.write_bytes(made.read_bytes()[:1000])
    assert main(asked) == 0
    assert "not what was converted: " in capsys.readouterr().err
    assert main(["verify", "runs/out"]) == 0


def test_a_plan_knows_what_the_corpus_knows(place: Path) -> None:
    made = plan("out")
    assert list(made.pairs) == ["p225_001-p226_003", "p227_002-p225_004"]
    pair = made.pairs["p225_001-p226_003"]
    assert (pair.direction, pair.dataset) == ("F2M", "VCTK 0.92")
    assert pair.reference is not None
    assert pair.reference.path.absolute() == recording("p226_001")
    assert len(made.natural) == len(VOICES) * RECORDINGS
    assert made.metric_options["trials"] == 30_000
    assert [one.name for one in plan("out", no_controls=True).systems if one.control] == []


def test_the_table_of_a_folder_reads_to_the_same_plan(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", "out", *LOOKED_UP]) == 0
    (place / "c.csv").write_text(capsys.readouterr().out, encoding="utf-8")
    folders, table = plan("out"), plan("c.csv")
    assert [one.path for one in table.given] == [place / one.path for one in folders.given]
    assert [(one.system, one.pair) for one in table.given] == [(one.system, one.pair) for one in folders.given]
    for name in ("pairs", "systems", "natural", "metric_options", "beside"):
        assert getattr(table, name) == getattr(folders, name), name


def test_what_is_missing_is_the_same_for_a_forecast_and_a_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move("out/FreeVC/p225_001_to_p226_003.flac", "out/FreeVC/p225_001_to_p226_03.flac")
    asked = ["score", "out", *LOOKED_UP, "--metrics", "sanity", "--workers", "1", "--out", "run"]
    told = []
    for extra in ([], ["--dry-run"]):
        assert main([*asked, *extra]) == 2
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert "1 of 16 conversions can't be scored" in told[0]
    assert "target p226_03 is nowhere in VCTK 0.92; the nearest: p226_003" in told[0]
    assert not (place / "run").exists()
    assert main([*asked, "--allow-missing"]) == 1
    assert "FreeVC has 1 of 2 pairs" in capsys.readouterr().err
    run = RunDirectory(place / "run")
    assert len(run.read_json("run.json")["missing"]) == 1
    assert [(row["system"], row["stage"]) for row in run.read_failures()] == [("FreeVC", "input")]


def test_rows_that_are_controls_are_taken_for_them(place: Path) -> None:
    for source, target in PAIRS:
        for name, utterance in (("source", source), ("Target", f"{target[:4]}_{source[-3:]}")):
            path = place / f"out/{name}/{source}_to_{target}.flac"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(recording(utterance), path)
        path = place / f"out/copy synthesis/{source}_to_{target}.flac"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(recording(f"{target[:4]}_{source[-3:]}"), path)
    made = plan("out")
    assert [(one.name, one.converter) for one in made.systems if one.control] == [
        ("copy synthesis", "given"), ("source", "source"), ("target", "target"),
    ]  # fmt: skip
    assert {one.system for one in made.given} == {*SYSTEMS, "copy synthesis"}
    assert any("system 'source' is the control source" in note for note in made.notes)


@pytest.mark.parametrize(
    ("name", "utterance", "words"),
    [
        ("source", "p226_001", "2 of its 2 files are not the source of their pairs"),
        ("target", "p225_003", "2 of its 2 files are not the target of their pairs"),
        ("copy-synthesis", "p227_005", "files are not the resynthesis of their pairs.*is not as long as"),
    ],
)
def test_rows_that_only_bear_the_name_of_a_control_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str], name: str, utterance: str, words: str
) -> None:
    (place / "out" / name).mkdir()
    for source, target in PAIRS:
        shutil.copy(recording(utterance), place / f"out/{name}/{source}_to_{target}.flac")
    assert main(["score", "out", *LOOKED_UP, "--metrics", "sanity"]) == 2
    error = capsys.readouterr().err
    assert f"system '{name}'" in error
    assert re.search(words, error)


def test_a_table_may_hold_ids(place: Path) -> None:
    rows = [f"{name},out/{name}/{s}_to_{t}.flac,{s},{t}" for name in SYSTEMS[:2] for s, t in PAIRS]
    rows.append("third,out/AutoVC/p225_001_to_p226_003.flac,p225_001,p226")
    (place / "c.csv").write_text("\n".join(["system,converted,source,target", *rows]), encoding="utf-8")
    made = plan("c.csv")
    assert list(made.pairs) == ["p225_001-p226_003", "p227_002-p225_004", "p225_001-p226"]
    assert len(made.pairs["p225_001-p226"].prompts) > 1


def test_absent_files_of_a_table_are_refused_with_the_root_that_has_them(
    place: Path, capsys: pytest.CaptureFixture[str], make_sound: Callable[..., Path]
) -> None:
    make_sound("audio/x.wav")
    (place / "tables").mkdir()
    table = place / "tables" / "c.csv"
    table.write_text("system,converted\nA,audio/x.wav\n", encoding="utf-8")
    for extra in ([], ["--dry-run"]):
        assert main(["score", "tables/c.csv", "--metrics", "sanity", *extra]) == 2
        assert f"they are there from --root {place}" in capsys.readouterr().err
    assert not (place / "runs").exists()
    table.write_text("system,converted\nA,../audio/x.wav\n", encoding="utf-8")
    assert main(["score", "tables/c.csv", "--metrics", "sanity", "--dry-run"]) == 2
    assert "give another root that holds it (--root)" in capsys.readouterr().err
    assert main(["score", "tables/c.csv", "--metrics", "sanity", "--dry-run", "--root", "."]) == 0
    table.write_text(f"system,converted\nA,{place}/audio/x.wav\n", encoding="utf-8")
    assert main(["score", "tables/c.csv", "--metrics", "sanity", "--dry-run", "--root", "audio"]) == 0


def test_two_columns_pair_by_the_names_of_files_where_these_agree(
    place: Path, capsys: pytest.CaptureFixture[str], make_sound: Callable[..., Path]
) -> None:
    for name in ("A/001", "A/002", "B/001", "B/002", "B/003"):
        make_sound(f"{name}.wav")
    rows = [f"{name[0]},{name}.wav" for name in ("A/001", "A/002", "B/001", "B/002")]
    (place / "c.csv").write_text("\n".join(["system,converted", *rows]), encoding="utf-8")
    assert len(plan("c.csv", corpus=None, data=None).pairs) == 2
    assert "rows of one file name are taken as one pair" in capsys.readouterr().err
    (place / "c.csv").write_text("\n".join(["system,converted", *rows, "B,B/003.wav"]), encoding="utf-8")
    assert len(plan("c.csv", corpus=None, data=None).pairs) == 5
    assert "columns source and target would say" in capsys.readouterr().err


def test_mixed_rates_are_said_and_shown(
    place: Path, capsys: pytest.CaptureFixture[str], make_sound: Callable[..., Path]
) -> None:
    make_sound("a.wav", rate=16_000)
    make_sound("b.wav", rate=48_000)
    (place / "c.csv").write_text("system,converted\nA,a.wav\nA,b.wav\n", encoding="utf-8")
    assert main(["score", "c.csv", "--metrics", "bandwidth", "--workers", "1"]) == 0
    assert "A: recordings of several sample rates: 16,000, 48,000 Hz" in capsys.readouterr().err
    assert "16000, 48000" in (place / "runs/c/report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("out", "--corpus", "vtck", "--data", "VCTK"), "did you mean vctk"),
        (("out", "--corpus", "vctk"), "say with --data where"),
        (("out", "--corpus", "vctk", "--data", "nowhere"), "nowhere: no such folder"),
        (("out", "--corpus", "vctk", "--data", "VCKT"), "VCKT: no such folder; the nearest name in its folder is VCTK"),
        (("out", *LOOKED_UP, "--pattern", "mae_vc"), "unknown pattern 'mae_vc'; did you mean mae-vc?"),
        (("VCTK/txt", *LOOKED_UP), "VCTK/txt: no recordings here; files that end in .aif"),
        (("out", "--data", "VCTK"), "say with --corpus what it holds"),
        (("uot", *LOOKED_UP), "uot: no such file or folder; the nearest name in its folder is out"),
        (("out/*.wav", *LOOKED_UP), "out/*.wav: no such file"),
        (("out", *LOOKED_UP, "--natural", "n.csv"), "--natural and --corpus"),
    ],
)
def test_wrong_names_are_refused_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert main(["score", *arguments, "--metrics", "sanity"]) == 2
    assert words in capsys.readouterr().err
    assert not (place / "runs").exists()


@pytest.mark.parametrize("names", [["-a 'b' $(touch x).m4a"], ["f/a b'.m4a", 'f/"c".MP4', "f/-d;e.mkv"]])
def test_the_line_for_ffmpeg_is_given_names_as_they_are(tmp_path: Path, names: list[str]) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor word; do printf \'%s\\n\' "$word"; done >> "$TOLD"\n', encoding="utf-8")
    program.chmod(0o755)
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    told = tmp_path / "told"
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "TOLD": str(told)}
    subprocess.run(["sh", "-c", ffmpeg_line(names)], cwd=tmp_path, env=environment, check=True)
    words = told.read_text(encoding="utf-8").splitlines()
    given = [words[place + 1] for place, word in enumerate(words) if word == "-i"]
    assert sorted(Path(word.removeprefix("file:")).as_posix() for word in given) == sorted(names)
    assert not (tmp_path / "x").exists()
    assert shlex.split(ffmpeg_line(names))
