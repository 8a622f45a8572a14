"""The submissions of VCC2020, from a made-up copy of the organisers' archives to agreement with their listeners."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import soundfile
from sounds import hum

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.protocol.submissions import are_submissions, read_submissions

TARGETS, SOURCES, SENTENCES = ("TEF1", "TEM1"), ("SEF1", "SEM1"), ("E30001", "E30002")
TEAMS = ("01", "02", "03", "11")


def names(team: str) -> list[str]:
    return [f"team{team}_intra-{t}_{s}_{e}.wav" for t in TARGETS for s in SOURCES for e in SENTENCES]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``T01.zip`` ... ``SOU.zip``, ``TAR.zip``; T02 without its own folder in the archive, T03 with other files too."""
    made = tmp_path / "VCC2020-listeningtest"
    made.mkdir()
    for part, inside in [
        *((f"T{team}", names(team)) for team in TEAMS), ("SOU", names("34")),
        ("TAR", [f"ref-{target}_{sentence}.wav" for target in TARGETS for sentence in ("E30021", "E30022")]),
    ]:  # fmt: skip
        with zipfile.ZipFile(made / f"{part}.zip", "w") as archive:
            for at, name in enumerate(inside):
                sound = tmp_path / "one.wav"
                soundfile.write(sound, hum(0.6, 16_000, 100.0 + 10 * at, hash(part) % 7), 16_000)
                archive.write(sound, name if part == "T02" and not at else f"{part}/task1/{name}")
            if part == "T02":
                archive.write(sound, f"task1/{inside[0]}")
            if part == "T03":
                archive.writestr("__MACOSX/T03/task1/._x.wav", b"x")
                archive.writestr("T03/task1/notes.wav", b"x")
                archive.writestr("../task1/outside.wav", b"x")
    return made


def test_the_archives_are_read_and_unpacked_once(folder: Path) -> None:
    assert are_submissions(folder)
    found = read_submissions(folder, None)
    assert found.systems == [f"team{team}_intra" for team in TEAMS]
    assert len(found.conversions) == 32
    assert len(found.pairs) == 8
    assert not found.missing
    assert "32 conversions, 8 sources (SOU), 4 natural recordings of 2 targets (TAR); 6 archives" in found.notes[0]
    assert any("named in another way and left out, such as" in note for note in found.notes)
    one = next(c for c in found.conversions if c.path.name == "team11_intra-TEM1_SEF1_E30002.wav")
    assert one.pair.source is not None
    assert one.pair.source.path.name == "team34_intra-TEM1_SEF1_E30002.wav"
    assert [prompt.path.name for prompt in one.pair.prompts] == ["ref-TEM1_E30021.wav"]
    assert (one.pair.direction, one.pair.source_speaker, one.pair.target_speaker) == ("F2M", "SEF1", "TEM1")
    assert not (folder.parent / "task1").exists()
    assert "unpacked" not in read_submissions(folder, None).notes[0]


def test_a_damaged_archive_is_named(folder: Path) -> None:
    whole = (folder / "T02.zip").read_bytes()
    (folder / "T02.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"T02\.zip: is damaged"):
        read_submissions(folder, None)


def test_other_folders_are_none(tmp_path: Path) -> None:
    (tmp_path / "T01").mkdir()
    (tmp_path / "T01" / "a.wav").write_bytes(b"")
    assert not are_submissions(tmp_path)
    assert not are_submissions(tmp_path / "T01" / "a.wav")


def test_submissions_are_scored_and_held_against_the_listeners(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["score", str(folder), "--metrics", "bandwidth,f0", "--out", str(run)]) == 0
    capsys.readouterr()
    main(["agree", str(run), "--ratings", "vcc2020", "--listeners", "English", "--json"])
    found = json.loads(capsys.readouterr().out)
    quality, similarity = found["questions"]
    assert (quality["question"], similarity["question"]) == ("quality", "similarity")
    assert quality["controls"] == ["source"]  # the sources were rated too, as team34
    assert quality["systems"] == 5
    assert quality["files"] == 40
    assert {one["systems"] for one in quality["measures"]} == {4}
