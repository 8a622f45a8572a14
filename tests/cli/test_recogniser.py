"""Whose ears a run has: what is said without a Whisper, with one that is named, and at a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vceval.cli.main import main
from vceval.cli.offer import offer
from vceval.errors import UsageError
from vceval.metrics import recogniser_choice
from vceval.metrics.recogniser_choice import settle
from vceval.protocol import suite


@pytest.fixture(autouse=True)
def _no_whisper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VCEVAL_WHISPER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def table(tmp_path: Path, make_sound: Callable[..., Path]) -> Path:
    make_sound("a.wav")
    make_sound("b.wav", seed=2)
    make_sound("source.wav", seed=3)
    path = tmp_path / "c.csv"
    path.write_text(
        "system,converted,source,transcript,language\n"
        "A,a.wav,source.wav,A red fox.,en\nB,b.wav,source.wav,A red fox.,en\nB,a.wav,,Hello.,en\n"
    )
    return path


def summary(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "summary.json").read_text(encoding="utf-8"))
    return found


def test_without_one_words_are_left_out_and_it_is_said(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(table), "--out", "run", "--workers", "1"]) == 0
    said = capsys.readouterr().err
    assert "no recogniser, so without wer and cer: get one with 'vceval checkpoints add whisper/base'" in said
    metrics = {entry["metric"] for entry in summary("run")["metrics"]}
    assert "sv" in metrics
    assert not metrics & {"wer", "cer"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metrics", "wer"], "no recogniser for words: no Whisper is on this machine"),
        (["--recogniser", "whisper:base"], "Whisper base is not on this machine"),
        (["--recogniser", "wisper"], "unknown recogniser 'wisper'"),
        (["--metrics", "sanity", "--recogniser", "pocketsphinx"], "no metric of this run hears words"),
    ],
)
def test_what_is_named_must_be_there(
    table: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["score", str(table), "--out", "run", *options]) == 2
    assert words in capsys.readouterr().err
    assert not Path("run").exists()


def test_natural_speech_of_the_sources_stands_beside(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["score", str(table), "--out", "run", "--metrics", "wer,sanity", "--recogniser", "pocketsphinx"]
    asked.append("--no-controls")
    assert main([*asked, "--workers", "1"]) == 0
    assert "PocketSphinx" in capsys.readouterr().out
    found = summary("run")
    assert [(row["name"], row["control"], row["expected"]) for row in found["systems"]] == [
        ("A", False, 1), ("B", False, 2), ("source", True, 1)
    ]  # fmt: skip
    assert {cell["measure"] for cell in found["cells"] if cell["system"] == "source"} == {"wer", "wer_capped"}
    wer = next(entry for entry in found["metrics"] if entry["metric"] == "wer")
    assert wer["source"].startswith("Radford et al.")
    assert "Huggins-Daines" in wer["source"]
    assert main(["status", "run"]) == 0
    assert "score     4/4 conversions" in capsys.readouterr().out
    assert main([*asked, "--workers", "1"]) == 0
    assert "all done and scored before" in capsys.readouterr().err


def test_without_a_text_or_a_source_no_row_is_added(tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    for name in ("a.wav", "source.wav"):
        make_sound(name)
    path = tmp_path / "c.csv"
    path.write_text("system,converted,source,transcript,language\nA,a.wav,source.wav,,en\nA,a.wav,,Hello.,en\n")
    asked = ["score", str(path), "--out", "run", "--metrics", "wer", "--recogniser", "pocketsphinx", "--workers", "1"]
    assert main([*asked, "--no-controls"]) == 0
    assert [row["name"] for row in summary("run")["systems"]] == ["A"]


def test_suites_of_the_package_name_theirs() -> None:
    named = {name: suite.load(name).recogniser for name in suite.names()}
    assert {name for name, found in named.items() if found} == {"demo", "gate"}
    assert named["demo"] == "pocketsphinx"
    assert settle(None, "pocketsphinx", ["wer"], False, False, offer) == "pocketsphinx"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_which_to_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched: list[str] = []

    def fetch(model: str) -> None:
        fetched.append(model)
        place = tmp_path / "home" / "whisper" / f"{model}.pt"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"x")

    monkeypatch.setattr(recogniser_choice, "fetch", fetch)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    assert settle(None, None, ["wer"], False, False, offer) == ""
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    with pytest.raises(UsageError, match="no recogniser for words"):
        settle(None, None, ["wer"], True, False, offer)
    monkeypatch.setattr(sys, "stdin", Terminal("huge\nsmall\n"))
    assert settle(None, None, ["wer"], False, False, offer) == "whisper:small"
    assert fetched == ["small"]
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "Fetch one (licence: MIT)? base (145 MB)" in said
    assert "'huge' is none of them." in said
