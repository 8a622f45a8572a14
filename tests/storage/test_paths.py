"""What a manifest may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval.errors import UsageError
from vceval.storage.paths import resolve_inside


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
