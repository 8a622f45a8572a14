"""``vceval status``: what it says of a run that is at work, was cut off, or is done."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.runner.journal import Journal, read_records
from vceval.runner.status import status


def begin(root: Path, given: str | None = None, state: str = "running", conversions: int = 6) -> Path:
    """Write what a run of two metrics has written when its first stage begins."""
    root.mkdir(exist_ok=True)
    facts = {
        "suite": "demo@1", "created": "2026-01-01T00:00:00+00:00", "state": state, "metrics": {"mcd": "M", "sv": "S"},
        "expected": {
            "conversions": 0 if given else conversions, "given": conversions if given else 0,
            "natural": 12 if state == "finished" else 0,
        },
        "plan": {"given": given},
    }  # fmt: skip
    (root / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return root


def append(root: Path, name: str, *records: dict[str, Any]) -> None:
    with Journal(root / "journal" / f"{name}.jsonl") as journal:
        journal.append(records)


def converted(pair: int, state: str = "ok", **rest: Any) -> dict[str, Any]:
    return {"system": "world", "pair": f"p{pair}", "status": state, **rest}


def test_a_run_at_work(tmp_path, capsys):
    root = begin(tmp_path / "run")
    append(root, "convert", *(converted(k, at=100.0 + k, seconds=1.0 + k) for k in range(3)))
    append(root, "convert", converted(3, "failed", at=103.0, seconds=0.5))
    with open(root / "journal" / "convert.jsonl", "ab") as stream:
        stream.write(b'{"system": "world", "pair": "p4", "sta')  # being written
    with open(root / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = status(root)
        assert main(["status", str(root)]) == 0
    assert found.state == "running"
    convert, score, report = found.stages
    assert (convert.done, convert.failed, convert.expected) == (4, 1, 6)
    assert convert.rate == pytest.approx(1.0)
    assert convert.remaining == pytest.approx(2.0)
    assert convert.slowest[0] == (3.0, "world p2")
    assert (score.done, score.expected, score.rate) == (0, None, None)
    assert (report.done, report.expected, report.unit) == (0, 1, "page")
    printed = capsys.readouterr().out
    assert "running" in printed
    assert "4/6 conversions, 1 failed, 1 a second, 2 s left" in printed


def test_a_run_that_was_cut_off(tmp_path, capsys):
    root = begin(tmp_path / "run", conversions=2)
    append(root, "convert", converted(0, "failed"), converted(1), converted(0))  # done at a second attempt
    append(root, "score", *({**converted(0), "metric": name} for name in ("mcd", "sv")))
    found = status(root)
    assert found.state == "stopped"
    counts = [(stage.done, stage.failed, stage.expected) for stage in found.stages]
    assert counts == [(2, 0, 2), (1, 0, 2), (0, 0, 1)]
    append(root, "score", {**converted(1, "failed"), "metric": "mcd"})  # the other metric is still to come
    assert status(root).stages[1].done == 1
    append(root, "score", {**converted(1), "metric": "sv"})
    assert (status(root).stages[1].done, status(root).stages[1].failed) == (2, 1)
    assert main(["status", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"][1]["expected"] == 2
    (root / ".lock").touch()
    assert status(root).state == "stopped"


def test_audio_that_was_given_is_not_converted(tmp_path):
    root = begin(tmp_path / "run", given="hash", state="finished")
    append(root, "score", *({**converted(0), "metric": name} for name in ("mcd", "sv")))
    (root / "calibration.json").write_text("{}")
    found = status(root)
    assert [(stage.name, stage.done, stage.expected) for stage in found.stages] == [
        ("calibrate", 12, 12), ("score", 1, 6), ("report", 0, 1)
    ]  # fmt: skip


def test_a_run_is_finished_once_its_report_is_there(tmp_path):
    root = begin(tmp_path / "run", state="finished")
    assert status(root).state == "stopped"
    (root / "report").mkdir()
    (root / "report" / "index.html").write_text("")
    with open(root / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the page of an earlier attempt is being replaced
        assert status(root).state == "running"
    assert status(root).state == "finished"
    assert status(root).stages[-1].done == 1


def test_old_rates_are_forgotten(tmp_path):
    root = begin(tmp_path / "run", conversions=100)
    append(root, "convert", *(converted(k, at=float(k)) for k in range(10)))
    append(root, "convert", *(converted(10 + k, at=1e6 + 10 * k) for k in range(5)))
    assert status(root).stages[0].rate == pytest.approx(0.1)


def test_no_run_is_told(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        status(tmp_path)
    assert main(["status", str(tmp_path / "nothing")]) == 2


def test_a_real_run_can_be_looked_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCEVAL_CACHE", "off")  # audio of an earlier run takes no time
    options = ["--limit", "4", "--converters", "source,world", "--metrics", "sanity,mcd", "--workers", "1"]
    assert main(["run", *options]) == 0
    found = status(Path("runs/demo"))
    assert found.state == "finished"
    assert [(stage.done, stage.failed, stage.expected) for stage in found.stages] == [(8, 0, 8), (8, 0, 8), (1, 0, 1)]
    for name in ("convert", "score"):
        records = list(read_records(Path(f"runs/demo/journal/{name}.jsonl")))
        assert all(record["at"] > 1e9 and record["seconds"] >= 0 for record in records)
    assert all(stage.slowest for stage in found.stages[:2])
    told = capsys.readouterr().err
    assert main(["status", "runs/demo"]) == 0
    for printed in (told, capsys.readouterr().out):  # both count the same
        for line in ("convert   8/8 conversions", "score     8/8 conversions", "report    1/1 page"):
            assert line in printed


def test_a_profile_says_where_the_time_went(tmp_path, capsys):
    root = begin(tmp_path / "run")
    append(root, "convert", converted(0, seconds=9.0), converted(0, seconds=2.0), converted(1, reused=True))
    scored = [("mcd", 0, 3.0), ("sv", 0, 0.5), ("mcd", 1, 5.0), ("sv", 1, 1.5)]
    append(root, "score", *(converted(pair, metric=name, seconds=spent) for name, pair, spent in scored))
    assert main(["status", str(root), "--profile", "--json"]) == 0
    found = [(one["stage"], one["name"], one["items"], one["seconds"], one["share"], one["each"])
             for one in json.loads(capsys.readouterr().out)]  # fmt: skip
    assert found == [("convert", "world", 1, 2.0, 1.0, 2.0), ("score", "mcd", 2, 8.0, 0.8, 4.0),
                     ("score", "sv", 2, 2.0, 0.2, 1.0)]  # fmt: skip
    assert main(["status", str(root), "--profile"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["score", "mcd", "2", "8.0", "80.0", "%", "4,000.0", "ms"]
    assert {len(line) for line in lines} == {80}


def test_a_run_without_times_has_no_profile(tmp_path, capsys):
    assert main(["status", str(begin(tmp_path / "run")), "--profile"]) == 0
    assert capsys.readouterr().out == "nothing was timed yet\n"
    assert main(["status", str(tmp_path), "--profile"]) == 2
