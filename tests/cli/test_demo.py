"""The front door as a user finds it: the demo suite with its own converters and all real metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def vceval(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vceval.cli.main", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = vceval("run", "--limit", "8", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "demo"


def test_every_measure_has_a_value_for_every_pair(run: Path) -> None:
    import pandas

    scores = pandas.read_parquet(run / "scores.parquet")
    counts = scores.groupby(["system", "measure"]).size().unstack()
    assert set(counts.index) == {"source", "target", "resynthesis", "world", "adainvc-demo"}
    # nothing leaks where nothing was converted: the source control has no leakage, and no trial with itself
    leaks = ["sv_source", "sv_source_cosine"]
    assert counts[leaks].drop("source").eq(8).all().all()
    assert not set(leaks) & set(scores[scores.system == "source"].measure)
    assert (counts.drop(columns=["mcd", *leaks]) == 8).all().all()
    assert counts["mcd"].drop("target").eq(8).all()
    assert "mcd" not in set(scores[scores.system == "target"].measure)


def test_the_controls_bound_the_converter(run: Path) -> None:
    """What must hold on any sane machine: natural target speech is most like the target, the source least."""
    summary = json.loads((run / "summary.json").read_text())
    value = {
        (cell["system"], cell["measure"]): cell["value"]
        for cell in summary["cells"]
        if cell["direction"] == cell["dataset"] == "all"
    }
    assert value["source", "sv_cosine"] < value["world", "sv_cosine"] < value["target", "sv_cosine"]
    assert value["source", "sv_cosine"] < value["adainvc-demo", "sv_cosine"] < value["target", "sv_cosine"]
    assert value["adainvc-demo", "sv_accept"] > 0.5
    assert value["resynthesis", "mcd"] < value["world", "mcd"] < value["source", "mcd"]
    assert value["source", "sv_accept"] < 0.2 < 0.9 < value["target", "sv_accept"]
    assert value["target", "wer"] < 0.3


def test_the_calibration_is_written_down(run: Path) -> None:
    [found] = json.loads((run / "calibration.json").read_text())["sv"].values()
    assert found["eer"] < 0.08
    assert found["eer_low"] <= found["eer"] <= found["eer_high"]
    assert found["speakers"] == 6
    assert found["target_trials"] > 100
    assert len(found["trials_sha256"]) == 64


def test_the_report_can_be_made_again(run: Path) -> None:
    page = run / "report" / "index.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    done = vceval("report", "demo", cwd=run.parent)
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            "suites",
            ["demo@1", "gate@1", "vctk_unseen@1", "vctk_seen@1", "vcc2020@1", "libritts_unseen@1", "aishell3@1"],
        ),
        ("converters", ["world", "command", "precomputed", "source", "target", "resynthesis"]),
        (
            "metrics",
            ["MCD|sp:world-power|order:24|alpha:0.42|sr:16000|frame:5ms|c0:no|dtw:exact|v:1.0", "SV|", "FAKE|"],
        ),
        ("corpora", ["VCTK 0.92", "VCTK 0.80", "LibriTTS", "LibriSpeech", "VCC2020", "AISHELL-3"]),
    ],
)
def test_list(tmp_path: Path, what: str, words: list[str]) -> None:
    done = vceval("list", what, *(["--signatures"] if what == "metrics" else []), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in words:
        assert word in done.stdout


def test_doctor_says_that_the_demo_can_run_and_what_is_missing(tmp_path: Path) -> None:
    done = vceval("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "The demo suite can run" in done.stdout
    for line in done.stdout.splitlines():
        if "speechbrain" in line and "not installed" not in line and " ok " not in line:
            assert "can't be imported" in line


def test_three_recordings_and_one_converted_file_are_enough(tmp_path: Path, run: Path) -> None:
    """No corpus, no transcripts, no genders: what can be measured is, what can't is counted."""
    import pandas

    from vceval.benchmarks import demo

    audio = demo.root() / "audio"
    (tmp_path / "own").mkdir()
    for name in ("slt_009", "slt_010", "rms_009"):
        (tmp_path / "own" / f"{name}.flac").write_bytes((audio / name[:3] / f"{name}.flac").read_bytes())
    converted = next((run / "audio" / "world").glob("rms_*-slt_*.flac"), None) or next(
        (run / "audio" / "world").iterdir()
    )
    (tmp_path / "own" / "converted.flac").write_bytes(converted.read_bytes())
    table = tmp_path / "own" / "c.csv"
    table.write_text(
        "system,converted,source,target,target_speaker\nmine,converted.flac,rms_009.flac,slt_009.flac,me\n"
    )
    natural = tmp_path / "own" / "n.csv"
    natural.write_text("file,speaker\nslt_009.flac,me\nslt_010.flac,me\nrms_009.flac,friend\n")
    done = vceval("score", str(table), "--natural", str(natural), "--recogniser", "pocketsphinx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = tmp_path / "runs" / "c"
    table = pandas.read_parquet(found / "scores.parquet")
    assert set(table.system) == {"mine", "source", "target", "resynthesis"}  # slt_010 is natural speech of the target
    scores = table[table.system == "mine"].set_index("measure").value
    assert set(scores.index) == {
        "sv_cosine",
        "sv_source_cosine",
        "fake_score",
        "fake_accept",
        "sanity_flags",
        "duration_deviation",
        "bandwidth",
    }
    assert 0.3 < scores["sv_cosine"] <= 1
    page = (found / "report" / "index.html").read_text(encoding="utf-8")
    assert "a transcript" in page
    assert "mine" in page
