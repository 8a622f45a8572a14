"""What ``--dry-run`` says, what it is made from, and that a full disk is seen before the start."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.records import ConversionPair, System, Utterance
from vceval.runner import forecast
from vceval.runner.batches import Lengths
from vceval.runner.timings import Rates

ASKED = ["run", "--limit", "8", "--converters", "source,world", "--metrics", "sanity,mcd", "--workers", "2"]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path / "cache"))


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines that a forecast printed, by what they begin with."""
    printed = capsys.readouterr().out.splitlines()
    return {" ".join(line.split()[:2]) if line[:4] in ("conv", "scor") else line.split()[0]: line for line in printed}


def test_a_forecast_before_and_after(tmp_path, capsys):
    assert main([*ASKED, "--dry-run"]) == 0
    before = lines(capsys)
    assert not (tmp_path / "runs").exists()
    assert "8 to do of 8, time unknown until measured" in before["convert world"]
    assert "16 to do of 16" in before["score mcd"]
    assert "unknown until measured: nothing of this" in before["time"]
    assert before["disk"].split("about ")[1] > "0.3 MB"

    assert main(ASKED) == 0
    rates = json.loads((tmp_path / "cache" / "rates.json").read_text(encoding="utf-8"))
    assert set(rates) == {"convert source cpu", "convert world cpu", "score mcd", "score sanity"}
    assert all(0 <= value < 60 for value in rates.values())

    capsys.readouterr()
    assert main([*ASKED, "--dry-run"]) == 0
    after = lines(capsys)
    assert "0 to do of 8" in after["convert world"]
    assert "0 to do of 16" in after["score mcd"]
    assert "about 0.0 MB" in after["disk"]

    assert main([*ASKED, "--dry-run", "--fresh"]) == 0
    again = lines(capsys)
    assert "of work" in again["convert world"]
    assert "8 to do of 8" in again["convert world"]
    assert "with 2 workers; calibration" in again["time"]


def test_what_is_left_of_a_run_that_was_cut_off(tmp_path, capsys):
    assert main(ASKED) == 0
    folder = tmp_path / "runs" / "demo"
    gone = sorted((folder / "audio" / "world").iterdir())[0]
    gone.unlink()
    journal = folder / "journal" / "score.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-4]))
    capsys.readouterr()
    assert main([*ASKED, "--dry-run"]) == 0
    found = lines(capsys)
    assert "1 to do of 8" in found["convert world"]
    assert "0 to do of 8" in found["convert source"]
    assert found["score mcd"].split()[2] in "345"  # two or three that were cut off, and the new one


def test_another_run_in_the_folder_is_told(capsys):
    assert main(ASKED) == 0
    assert main([*ASKED, "--seed", "5", "--dry-run"]) == 2
    assert "seed" in capsys.readouterr().err


def test_given_audio_is_only_scored(tmp_path, make_sound, capsys):
    make_sound("a.wav")
    (tmp_path / "c.csv").write_text("system,converted\nmine,a.wav\n", encoding="utf-8")
    assert main(["score", "c.csv", "--metrics", "sanity", "--dry-run"]) == 0
    found = lines(capsys)
    assert "1 to do of 1" in found["score sanity"]
    assert not any(line.startswith("convert") for line in found)


def test_a_full_disk_is_seen_before_the_start(tmp_path, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10, 10, 1000))
    assert main(ASKED) == 2
    told = capsys.readouterr().err
    assert "1.0 GB" not in told
    assert "are needed for the conversions that are to be made, 0.0 MB are free" in told
    assert not (tmp_path / "runs" / "demo" / "audio").exists()


def test_room_is_that_of_what_is_written(make_sound):
    long = Utterance("s", make_sound("s.wav", seconds=10.0), "toy", "a")
    pair = ConversionPair("p", "toy", source=long, prompts=(long,))
    work = [(System("w", "world"), pair), (System("c", "source", control=True), pair)]
    usual = forecast.room_needed(work[:1], Lengths())
    assert 10 * 16_000 * 2 < usual < 10 * 48_000 * 3
    assert forecast.room_needed(work, Lengths()) == usual
    made = forecast.room_needed([(System("r", "resynthesis", control=True), pair)], Lengths())
    assert 10 * 16_000 * 2 < made < 10 * 48_000 * 3
    with pytest.raises(UsageError, match="nothing"):
        forecast.room_needed([(System("x", "nothing"), pair)], Lengths())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "x"}', '{"a": NaN}', '{"a": -1}'])
def test_damaged_rates_are_none(tmp_path, text):
    (tmp_path / "rates.json").write_text(text, encoding="utf-8")
    rates = Rates(tmp_path)
    assert rates.get("a") is None
    rates.learn({"b": 2.0})
    assert Rates(tmp_path).get("b") == 2.0
    assert Rates(None).get("b") is None
