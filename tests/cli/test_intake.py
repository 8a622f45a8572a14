"""What is read and what is refused, on the command line: reasons, exit codes, and the choice of a channel."""

from __future__ import annotations

import csv
import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import warm

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
VOICE = (0.3 * np.sin(2 * np.pi * 150 * TIME + 3 * np.sin(7 * TIME)) * np.sin(4 * TIME)).astype(np.float32)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return warm.run([*map(str, arguments)], tmp_path, {**os.environ, "VCEVAL_CACHE": str(tmp_path / "cache")})

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def table(path: Path, files: dict[str, str], **others: str) -> Path:
    """A table with one system a file."""
    heads = ["system", "converted", *others]
    lines = [",".join(heads), *(",".join([name, file, *others.values()]) for name, file in files.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_odd_file_is_read_or_refused_in_words(cli: Cli, tmp_path: Path) -> None:
    def put(name: str, samples: np.ndarray = VOICE, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
        soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
        return (tmp_path / name).read_bytes()

    whole = put("plain.wav")
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "stream.wav").write_bytes(whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:])
    put("stereo.wav", np.stack([VOICE, -VOICE], axis=1))
    put("same.wav", np.stack([VOICE, VOICE], axis=1))
    put("scaled.wav", np.round(VOICE * 32_767), subtype="FLOAT")
    put("phone.wav", VOICE[::2], 8_000)
    put("gsm.wav", VOICE[::2], 8_000, "GSM610")
    put("hour.wav", np.tile(VOICE[::2], 350), 8_000, "PCM_U8")
    put(unicodedata.normalize("NFD", "é.wav"))
    files = ("plain.wav", "cut.wav", "stream.wav", "stereo.wav", "same.wav", "scaled.wav", "phone.wav", "gsm.wav",
             "hour.wav", "plian.wav")  # fmt: skip
    made = table(tmp_path / "t.csv", {"accent": "é.wav", **{Path(file).stem: file for file in files}})
    done = cli("score", made, "--metrics", "sanity", "--out", "out", "--allow-missing")
    assert done.returncode == 1, done.stderr
    reasons = {row["system"]: row["reason"] for row in rows(tmp_path / "out" / "failures.csv")}
    assert set(reasons) == {"cut", "stereo", "scaled", "hour", "plian"}
    for name, words in (
        ("cut", "cut short: 1.001 of 2.000 s are missing"),
        ("stereo", "--channel left, right or mix"),
        ("scaled", "16-bit values stored as floats"),
        ("hour", "700.0 s long; at most 600 s are read (--max-seconds)"),
        ("plian", "no such file"),
        ("plian", "the nearest name in its folder is plain.wav"),
    ):
        assert words in reasons[name]
        assert f"{name}.wav" in reasons[name]
    flags = {row["System"]: row.get("Narrow band") for row in rows(tmp_path / "out" / "report/tables/flags.csv")}
    assert {name for name, count in flags.items() if count == "1"} == {"phone", "gsm"}
    page = (tmp_path / "out/report/tables/main.md").read_text()
    assert "which moves measures: phone (1 of 1 recordings), gsm (1 of 1 recordings)." in page
    assert "| phone (narrow band) |" in page
    assert "| plain |" in page


def test_the_choice_of_a_channel_belongs_to_the_run(cli: Cli, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "both.wav", np.stack([VOICE, VOICE[::-1]], axis=1), RATE)
    soundfile.write(tmp_path / "target.wav", np.stack([VOICE[::-1], VOICE], axis=1), RATE)
    made = table(tmp_path / "t.csv", {"A": "both.wav"}, reference="target.wav")
    score = ("score", made, "--metrics", "mcd", "--no-controls")
    assert cli(*score, "--out", "none").returncode == 1
    reasons = {row["reason"] for row in rows(tmp_path / "none" / "failures.csv")}
    assert len(reasons) == 1
    assert "target.wav: its 2 channels differ" in reasons.pop()
    assert cli(*score, "--out", "left", "--channel", "left").returncode == 0
    assert cli(*score, "--out", "right", "--channel", "right").returncode == 0
    other = cli(*score, "--out", "left", "--channel", "right")
    assert other.returncode == 2
    assert "--channel (left before, right now)" in other.stderr
    assert "channel:left" in (tmp_path / "left/report/tables/main.md").read_text()
    for command in (("compare", "left", "right"), ("gate", "left", "--baseline", "right")):
        refused = cli(*command)
        assert refused.returncode == 2, command
        assert "channel:left" in refused.stdout + refused.stderr


def test_narrow_bands_stand_in_the_details_of_measures(cli: Cli, tmp_path: Path) -> None:
    import pandas

    soundfile.write(tmp_path / "phone.wav", VOICE[::2], 8_000)
    soundfile.write(tmp_path / "target.wav", VOICE[::-1], RATE)
    made = table(tmp_path / "t.csv", {"A": "phone.wav"}, reference="target.wav", target="target.wav")
    asked = ("score", made, "--metrics", "mcd,f0,sv", "--no-controls", "--out", "out")
    assert cli(*asked, "--max-seconds", "1").returncode == 1
    assert cli(*asked, "--max-seconds", "30").returncode == 0
    found = pandas.read_parquet(tmp_path / "out" / "scores.parquet")
    assert set(found["metric"]) == {"mcd", "f0", "sv"}
    assert found["details"].str.contains('"narrow_band": "8000 Hz, compared with 16000 Hz"').all()
    # No check of sanity is needed for it to be seen
    assert "| A (narrow band) |" in (tmp_path / "out/report/tables/main.md").read_text()
    assert rows(tmp_path / "out/report/tables/flags.csv")[0] == {
        "System": "A",
        "n": "1",
        "Any (%)": "100.0",
        "Narrow band": "1",
    }


def test_the_length_limit_must_be_positive(cli: Cli, tmp_path: Path) -> None:
    done = cli("score", table(tmp_path / "t.csv", {"A": "a.wav"}), "--max-seconds", "0")
    assert done.returncode == 2
    assert "--max-seconds 0.0: must be positive" in done.stderr
