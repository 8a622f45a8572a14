"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval.storage.files import replacing


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "a.json"
    with replacing(file) as stream:
        stream.write(b"first")
    with pytest.raises(TypeError), replacing(file) as stream:
        stream.writelines([b"sec", None])  # type: ignore[list-item]
    assert [path.read_bytes() for path in file.parent.iterdir()] == [b"first"]


def test_the_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match=r"a\.json'$") as told, replacing(tmp_path / "a.json") as stream:
        stream.write(b"x")
    assert ".part-" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    other = tmp_path / "other.txt"
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "b.json"):
        other.read_bytes()
