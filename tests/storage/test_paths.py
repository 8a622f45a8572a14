"""What a manifest may name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vceval.errors import UsageError
from vceval.storage.paths import existing, no_such_file, resolve_inside


def test_an_absolute_path_inside_of_the_root_is_fine(tmp_path: Path) -> None:
    assert resolve_inside(tmp_path, str(tmp_path / "a" / "b.wav"), "x.csv:2") == tmp_path / "a" / "b.wav"
    assert resolve_inside(tmp_path, "a/../b.wav", "x.csv:2") == tmp_path / "b.wav"


@pytest.mark.parametrize("value", ["", " ", "../b.wav", "/etc/passwd", "a/../../b.wav", "C:\\x.wav", "a\0b"])
def test_what_leads_elsewhere_is_refused_with_its_place(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=r"x\.csv:2"):
        resolve_inside(tmp_path / "root", value, "x.csv:2")


def test_a_neighbour_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root2").mkdir()
    with pytest.raises(UsageError, match="outside of"):
        resolve_inside(tmp_path / "root", "../root2/x.wav", "x.csv:2")


COMPOSED, DECOMPOSED = "\u00e9t\u00e9.wav", "e\u0301te\u0301.wav"


@pytest.mark.parametrize(("written", "there"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_in_the_other_unicode_form_is_found(tmp_path: Path, written: str, there: str) -> None:
    folder = tmp_path / there.removesuffix(".wav")
    folder.mkdir()
    (folder / there).touch()
    wanted = f"{written.removesuffix('.wav')}/{written}"
    assert existing(tmp_path / wanted) == folder / there
    assert resolve_inside(tmp_path, wanted, "x.csv:2") == folder / there
    assert existing(folder / there) == folder / there


@pytest.mark.parametrize(("name", "encoding"), [("\u00e9t\u00e9.wav", "latin-1"), ("\u00f6.wav", "cp437"),
                                                ("\u8a9e.wav", "cp932"), ("\u0436.wav", "koi8-r")])  # fmt: skip
def test_a_name_in_bytes_of_another_encoding_is_found(tmp_path: Path, name: str, encoding: str) -> None:
    raw = os.fsencode(tmp_path) + b"/" + name.encode(encoding)
    with open(raw, "wb"):
        pass
    assert os.fsencode(existing(tmp_path / name)) == raw
    assert os.fsencode(resolve_inside(tmp_path, name, "x.csv:2")) == raw


def test_of_several_names_that_fit_none_is_taken(tmp_path: Path) -> None:
    for encoding in ("latin-1", "cp437"):
        with open(os.fsencode(tmp_path) + b"/" + "\u00e9.wav".encode(encoding), "wb"):
            pass
    wanted = tmp_path / "\u00e9.wav"
    assert existing(wanted) == wanted
    assert "2 names in its folder could be meant" in no_such_file(wanted)


def test_a_name_that_fits_may_not_lead_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.wav").touch()
    (root / DECOMPOSED).symlink_to(tmp_path / "secret.wav")
    with pytest.raises(UsageError, match="outside of"):
        resolve_inside(root, COMPOSED, "x.csv:2")


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("plian.wav", "plain.wav"), ("Plain.WAV", "plain.wav"), ("plain.mp3", "plain.wav"), ("p225_002.wav", ""),
        ("p225_0O1.flac", "p225_001.flac"),
    ],
)  # fmt: skip
def test_the_nearest_name_is_said(tmp_path: Path, wanted: str, near: str) -> None:
    names = ["plain.wav", "p225_001.flac"] if near else ["other.txt"]
    for name in names:
        (tmp_path / name).touch()
    said = no_such_file(tmp_path / wanted)
    assert said.startswith(f"{tmp_path / wanted}: no such file")
    assert said.endswith(f"; the nearest name in its folder is {near}" if near else "no such file")


def test_among_many_names_the_nearest_is_said_too(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"p{number:03d}_a.wav").touch()
    assert no_such_file(tmp_path / "p225_b.wav").endswith("the nearest name in its folder is p225_a.wav")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert no_such_file(tmp_path / "a" / "b" / "c.wav").endswith(f"its folder is not there either, {tmp_path} is")


def test_a_path_in_the_manner_of_windows_and_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").touch()
    said = no_such_file(tmp_path / "out\\a.wav")
    assert said.endswith(f"; {tmp_path}/out/a.wav is there: write / in place of \\")
    assert no_such_file(tmp_path / "out").endswith("no such file; it is a folder")
    assert "is there" not in no_such_file(tmp_path / "out\\b.wav")
