"""Whole runs through the command line, with a third-party converter and metric on the demo corpus."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from plugin import write_plugin

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    plugin = write_plugin(tmp_path / "site")
    return {**os.environ, "PYTHONPATH": str(plugin), "VCEVAL_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def cli(tmp_path: Path, environment: dict[str, str]) -> Cli:
    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return warm.run([*map(str, arguments)], tmp_path, {**environment, **variables})

    return run


def scores(run: Path) -> Any:
    import pandas

    return pandas.read_parquet(run / "scores.parquet")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def summary(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def whole(run: Path, system: str) -> dict[str, Any]:
    """The cell of one system over all pairs."""
    key = (system, "loudness", "all", "all")
    [cell] = [c for c in summary(run)["cells"] if (c["system"], c["measure"], c["direction"], c["dataset"]) == key]
    return cell


QUICK = ("run", "--metrics", "loudness", "--converters", "source,quiet")


def test_a_run_leaves_a_complete_directory(cli: Cli, tmp_path: Path) -> None:
    done = cli(*QUICK, "--limit", 6, "--out", "out")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "out"
    for name in ("run.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv", "skipped.csv",
                 "calibration.json", "summary.json", "report/index.html", "report/tables/main.tex"):  # fmt: skip
        assert (run / name).is_file(), name
    table = scores(run)
    assert len(table) == 12
    level = table.pivot_table(index="pair", columns="system", values="value")
    assert ((level["source"] - level["quiet"]) - 6.02).abs().max() < 0.01
    assert len(rows(run / "skipped.csv")) == 12
    assert {row["measure"] for row in rows(run / "skipped.csv")} == {"gated"}
    found = summary(run)
    assert (found["partial"], found["suite"], found["counts"]["failures"]) == (True, "demo@1", 0)
    cell = whole(run, "quiet")
    assert cell["n"] == cell["expected"] == 6
    assert cell["low"] <= cell["value"] <= cell["high"]
    assert cell["value"] == pytest.approx(level["quiet"].mean())
    assert json.loads((run / "run.json").read_text())["metrics"] == {"loudness": "LOUD|v:1.0"}
    assert "Loudness" in done.stdout
    again = cli(*QUICK, "--limit", 6, "--out", "out")
    assert again.returncode == 0
    assert "12 conversions, all done and scored before" in again.stderr
    (run / "report" / "index.html").unlink()
    [gone, *_] = sorted((run / "audio" / "quiet").iterdir())
    gone.unlink()
    before = (run / "scores.parquet").read_bytes()
    assert cli(*QUICK, "--limit", 6, "--out", "out").returncode == 0
    assert (run / "report" / "index.html").is_file()
    assert gone.is_file()
    assert (run / "scores.parquet").read_bytes() == before


def test_a_run_of_an_earlier_version_is_ranked_without_scoring_it_again(cli: Cli, tmp_path: Path) -> None:
    assert cli(*QUICK, "--limit", 3, "--out", "out").returncode == 0
    run = tmp_path / "out"
    whole, journal = summary(run), (run / "journal" / "score.jsonl").read_bytes()
    older = {name: value for name, value in whole.items() if name != "rankings"}
    (run / "summary.json").write_text(json.dumps({**older, "schema": 1}))
    refused = cli("report", "out")
    assert refused.returncode == 2
    assert "give the command that made the run again" in refused.stderr
    assert cli(*QUICK, "--limit", 3, "--out", "out").returncode == 0
    assert summary(run) == whole
    assert (run / "journal" / "score.jsonl").read_bytes() == journal


def test_every_fault_of_a_converter_costs_its_pair_only(cli: Cli, tmp_path: Path) -> None:
    assert cli(*QUICK, "--limit", 8, "--out", "plain").returncode == 0
    pairs = [row["pair"] for row in rows(tmp_path / "plain" / "pairs.csv")]
    faults = dict(zip(pairs, ("raise", "die", "refuse", "nan"), strict=False))
    systems = tmp_path / "systems.yaml"
    systems.write_text(yaml.safe_dump({"systems": {"bad": {"converter": "quiet", "faults": faults}}}))
    done = cli(
        "run", "--metrics", "loudness", "--converters", "quiet", "--systems", systems, "--limit", 8, "--out", "x"
    )
    assert done.returncode == 1, done.stderr
    failed = {row["pair"]: row["reason"] for row in rows(tmp_path / "x" / "failures.csv")}
    assert set(failed) == set(faults)
    wanted = ("ZeroDivisionError: by design", "killed by SIGKILL", "refused by design", "NaN")
    for pair, words in zip(pairs, wanted, strict=False):
        assert words in failed[pair]
    table = scores(tmp_path / "x")
    assert table.groupby("system").size().to_dict() == {"bad": 4, "quiet": 8}
    cell = whole(tmp_path / "x", "bad")
    assert (cell["n"], cell["expected"], cell["failed"]) == (4, 8, 4)
    assert "4 failures" in done.stderr


@pytest.mark.parametrize("moment", ["convert", "score"])
def test_a_killed_run_goes_on_and_ends_the_same(
    cli: Cli, tmp_path: Path, environment: dict[str, str], moment: str
) -> None:
    systems = tmp_path / "systems.yaml"
    systems.write_text(yaml.safe_dump({"systems": {"slow": {"converter": "quiet", "pause": 0.3}}}))
    arguments = ["run", "--metrics", "loudness", "--converters", "source", "--systems", str(systems), "--limit", "24"]
    slow = {"LOUDNESS_PAUSE": "0.05"}
    assert cli(*arguments, "--out", "whole", **slow).returncode == 0
    journal = tmp_path / "cut" / "journal" / f"{moment}.jsonl"
    killed = 0
    for chance in (1, 2, 3):
        process = warm.Command([*arguments, "--out", "cut"], tmp_path, {**environment, **slow})
        before = journal.stat().st_size if journal.exists() else 0
        while process.poll() is None and not (journal.exists() and journal.stat().st_size > before):
            time.sleep(0.005)
        time.sleep(random.Random(chance).random() * 0.2)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 2
    done = cli(*arguments, "--out", "cut", **slow)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cut" / "scores.parquet").read_bytes() == (tmp_path / "whole" / "scores.parquet").read_bytes()
    assert not list((tmp_path / "cut").rglob(".part-*"))


def test_other_options_in_the_same_folder_are_refused_and_fresh_starts_over(cli: Cli, tmp_path: Path) -> None:
    assert cli(*QUICK, "--limit", 2, "--out", "out").returncode == 0
    for extra, words in (
        (("--limit", 3), "pairs"),
        (("--limit", 2, "--seed", 5), "seed (0 before, 5 now)"),
        (("--limit", 2, "--metrics", "mcd"), "metrics (mcd)"),
    ):
        done = cli(*QUICK, *extra, "--out", "out")
        assert done.returncode == 2
        assert words in done.stderr
        assert "--fresh" in done.stderr
    assert cli(*QUICK, "--limit", 3, "--out", "out", "--fresh").returncode == 0
    assert len(rows(tmp_path / "out" / "pairs.csv")) == 3
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all of it")
    done = cli(*QUICK, "--out", "precious", "--fresh")
    assert done.returncode == 2
    assert (tmp_path / "precious" / "thesis.txt").is_file()


def test_a_second_process_in_the_same_folder_is_refused(cli: Cli, tmp_path: Path, environment: dict[str, str]) -> None:
    arguments = [*QUICK, "--limit", "8", "--out", "out"]
    slow = {"LOUDNESS_PAUSE": "1"}
    first = warm.Command(arguments, tmp_path, {**environment, **slow})
    while first.poll() is None and not (tmp_path / "out" / "journal" / "convert.jsonl").exists():
        time.sleep(0.02)
    second = cli(*arguments, **slow)
    first.kill()
    first.wait()
    assert second.returncode == 2
    assert "another vceval is at work" in second.stderr


@pytest.mark.parametrize(("moment", "number"), [("score", signal.SIGINT), ("convert", signal.SIGTERM)])
def test_ctrl_c_ends_soon_and_says_how_to_go_on(
    tmp_path: Path, environment: dict[str, str], moment: str, number: int
) -> None:
    systems = {"stuck": {"converter": "quiet", "pause": 0.0 if moment == "score" else 300.0}}
    (tmp_path / "systems.yaml").write_text(yaml.safe_dump({"systems": systems}))
    arguments = [*QUICK, "--systems", "systems.yaml", "--limit", "24", "--out", "out"]
    process = warm.Command(arguments, tmp_path, {**environment, "LOUDNESS_PAUSE": "2"})
    journal = tmp_path / "out" / "journal" / f"{moment}.jsonl"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.02)
    time.sleep(1.0)
    began = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--suite", "vctk_unsen"), "did you mean vctk_unseen"),
        (("run", "--suite", "demo@9"), "demo@1"),
        (("run", "--converters", "wrold"), "did you mean world"),
        (("run", "--metrics", "mdc"), "did you mean mcd"),
        (("run", "--suite", "vctk_unseen"), "--data"),
        (("run", "--suite", "vctk_unseen", "--data", "nowhere"), "nowhere"),
        (("run", "--converters", "world,world"), "two systems are called world"),
        (("run", "--system", "a/b=world"), "can't be the name of a system"),
        (("run", "--system", "mine=command:no-such-program-here"), "no program 'no-such-program-here'"),
        (("run", "--limit", "0"), "--limit 0"),
        (("run", "--workers", "0"), "--workers 0"),
        (("run", "--device", "tpu"), "must be cpu, cuda"),
        (("score", "none.csv"), "no such file"),
        (("score", "."), "no recordings here"),
        (("report", "nowhere"), "no such folder"),
        (("frobnicate",), "unknown command 'frobnicate'"),
    ],
)
def test_wrong_use_is_explained(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_scoring_a_table_with_every_kind_of_bad_audio(
    cli: Cli, tmp_path: Path, make_sound: Callable[..., Path]
) -> None:
    make_sound("good.wav", rate=44_100, channels=2)
    make_sound("eight.wav", rate=8_000, subtype="PCM_U8")
    make_sound("tiny.wav", seconds=0.05)
    (tmp_path / "text.wav").write_text("no audio")
    whole = make_sound("whole.flac", seconds=3.0)
    (tmp_path / "cut.flac").write_bytes(whole.read_bytes()[:9_000])
    names = ("good.wav", "eight.wav", "tiny.wav", "text.wav", "cut.flac", "absent.wav")
    table = tmp_path / "c.csv"
    table.write_text("system,converted,transcript\n" + "".join(f"A,{n},Hello.\n" for n in names) + "B,good.wav,\n")
    asked = ("score", table, "--metrics", "loudness", "--out", "out")
    assert cli(*asked).returncode == 2
    assert not (tmp_path / "out").exists()
    done = cli(*asked, "--allow-missing")
    assert done.returncode == 1, done.stderr
    failures = rows(tmp_path / "out" / "failures.csv")
    assert len(failures) == 4
    for name in ("tiny.wav", "text.wav", "cut.flac", "absent.wav"):
        assert any(name in row["reason"] for row in failures), name
    assert len(scores(tmp_path / "out")) == 2
    skips = rows(tmp_path / "out" / "skipped.csv")
    assert [(r["system"], r["need"]) for r in skips if r["measure"] == "loudness"] == [("B", "transcript")]
    assert (tmp_path / "out" / "report" / "index.html").is_file()


def test_a_replaced_file_is_scored_again(cli: Cli, tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    make_sound("a.wav")
    table = tmp_path / "c.csv"
    table.write_text("system,converted,transcript\nA,a.wav,Hello.\n")
    assert cli("score", table, "--metrics", "loudness", "--out", "out").returncode == 0
    before = scores(tmp_path / "out")["value"][0]
    make_sound("a.wav", seconds=2.0, seed=9)
    assert cli("score", table, "--metrics", "loudness", "--out", "out").returncode == 0
    assert scores(tmp_path / "out")["value"][0] != before
