"""How many seconds fit on a device: found out, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vceval.runner import batches
from vceval.runner.batches import Fitting


def sizes(found: Fitting, items: int, seconds: float = 10.0) -> list[int]:
    return [len(part) for part in found.parts("x", list(range(items)), [seconds] * items)]


def test_on_a_processor_all_goes_together_until_there_is_no_room(tmp_path: Path) -> None:
    found = Fitting("cpu", tmp_path)
    assert sizes(found, 7) == [7]
    found.too_much("x", 70.0)
    assert sizes(found, 7) == [3, 3, 1]
    found.too_much("x", 30.0)
    assert sizes(found, 3) == [1, 1, 1]
    assert [list(part) for part in Fitting("cpu", tmp_path).parts("other", [1, 2], [9.0, 9.0])] == [[1, 2]]
    assert sizes(Fitting("cpu", tmp_path), 3) == [1, 1, 1], "it is remembered"


def test_on_a_gpu_it_grows_while_that_is_easy_and_never_back_to_what_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy = True
    monkeypatch.setattr(batches, "_easily", lambda device: easy)
    found = Fitting("cuda:0", tmp_path)
    assert sizes(found, 24) == [6, 6, 6, 6]
    found.went_well("x", 60.0)
    assert sizes(found, 24) == [12, 12]
    found.went_well("x", 20.0)
    assert sizes(found, 24) == [12, 12], "a small batch proves nothing"
    found.went_well("x", 120.0)
    found.too_much("x", 240.0)
    assert sizes(found, 24) == [12, 12]
    found.went_well("x", 120.0)
    assert sizes(found, 24) == [12, 12]
    easy = False
    other = Fitting("cuda:0", None)
    other.went_well("x", 60.0)
    assert sizes(other, 12) == [6, 6]


def test_an_item_that_is_too_long_stands_alone() -> None:
    found = Fitting("cuda:0", None)
    assert [list(part) for part in found.parts("x", ["a", "b", "c"], [100.0, 30.0, 30.0])] == [["a"], ["b", "c"]]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"x on cpu": -1}', '{"x on cpu": "much"}', '{"x on cpu": NaN}'])
def test_damaged_notes_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "batches.json").write_text(text)
    found = Fitting("cpu", tmp_path)
    assert sizes(found, 5) == [5]
    found.too_much("x", 20.0)
    assert json.loads((tmp_path / "batches.json").read_text()) == {"x on cpu": 10.0}
