"""``vceval stream`` from its words to its files: what streams, what fails, and what goes on."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from vceval.cli.main import main
from vceval.results import views
from vceval.results.rundir import RunDirectory
from vceval.streaming import figures

#: Speaks both protocols; falls silent in the middle of one pair, and turns the second half of what it streams round.
WORKER = """
import base64, json, sys

import numpy as np

for line in sys.stdin:
    task = json.loads(line)
    name, heard = task["id"], 0
    print(json.dumps({"id": name, "protocol": 2, "rate": task["rate"]}), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if told.get("end"):
            print(json.dumps({"id": name, "end": True}), flush=True)
            break
        samples = np.frombuffer(base64.b64decode(told["samples"]), "<f4")
        if name == LOST and not task["whole"] and told["chunk"] == 3:
            sys.exit("out of cheese")
        made = samples * np.cos(0.05 * np.arange(heard, heard + len(samples)))
        answer = {"id": name, "start": heard, "samples": base64.b64encode(made.astype("<f4").tobytes()).decode()}
        heard += len(samples)
        print(json.dumps({**answer, "heard": told["chunk"]}), flush=True)
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.replace("LOST", repr("awbf_007-kal_019")))
    return [
        "stream", "demo", "--limit", "2", "--metrics", "f0", "--workers", "1", "--pace", "fast", "--chunk", "100",
        "--system", f"mine=command:{sys.executable} {worker}", "--out", str(tmp_path / "out"), "--timeout", "30",
    ]  # fmt: skip


def test_a_system_streams_and_its_faults_cost_their_pairs(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--system", "broken=command:false"]) == 1
    said = capsys.readouterr()
    assert "mine: 1 of 2 pairs failed; the first: the worker ended with exit code 1; its last words: out of" in said.err
    assert "broken: 2 of 2 pairs failed" in said.err
    out = tmp_path / "out"
    mine, broken = figures.read(out).systems
    assert (mine.streamed, mine.expected, broken.streamed) == (1, 2, 0)
    assert mine.look_ahead is not None
    assert mine.look_ahead.samples == 0.0
    assert mine.look_ahead.latency == mine.latency == pytest.approx(100.0)
    assert mine.delay is not None
    assert mine.delay.median == 0.0
    assert mine.seams_counted == 0
    assert (mine.misses, mine.first_audio) == (None, None)
    measures = {one.measure: one for one in mine.quality}
    # It computes sample by sample: there is no gap, on the one pair that both have
    assert measures["f0_rmse"].difference == pytest.approx(0.0, abs=1e-6)
    assert (measures["f0_rmse"].pairs, measures["f0_rmse"].wanted) == (1, 2)
    report = views.load(RunDirectory(out / "streamed"))
    assert {row["system"]: row["stage"] for row in report.failures} == {"mine": "convert", "broken": "convert"}
    [took] = report.efficiency
    assert (took.system, took.counted, took.of, took.first_audio) == ("mine", 1, 2, None)
    assert "<svg" in (out / "index.html").read_text(encoding="utf-8")
    with open(out / "pairs.csv", newline="") as handle:
        assert [row["system"] for row in csv.DictReader(handle)] == ["mine"]


def test_the_same_command_goes_on_and_another_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words[:3], "1", *words[4:]]  # the pair that works
    assert main(asked) == 0
    before = (tmp_path / "out" / "journal" / "stream.jsonl").read_bytes()
    assert main(asked) == 0
    assert (tmp_path / "out" / "journal" / "stream.jsonl").read_bytes() == before
    assert json.loads(before.splitlines()[0])["status"] == "ok"
    assert main([*asked, "--probes", "1"]) == 2
    assert "was asked for differently: probes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "no system to stream"),
        (["--system", "world"], "world does not stream; try --system 'world=chunked:world hop=160 lookahead=80'"),
        (["--system", "a=chunked:world", "--chunk", "0"], "--chunk 0"),
        (["--system", "a=chunked:world", "--probes", "9"], "--probes 9"),
        (["--systems", "old.yaml"], "its options say protocol 1"),
    ],
)
def test_what_can_not_stream_is_told_before_any_work(
    more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(f"systems: {{old: {{converter: command, command: [{sys.executable}]}}}}")
    assert main(["stream", "--limit", "1", "--metrics", "f0", *more]) == 2
    assert said in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_folder_with_other_things_is_left_alone(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(words) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
