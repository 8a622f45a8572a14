"""The standing attack in its short form: ``python -m tests.faults`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import damage, serving, surroundings
from faults.table import BAD, Row, markdown

from vceval.errors import UsageError


def test_damaged_files_are_refused_in_words_or_known(tmp_path: Path) -> None:
    rows = [damage.attack(kind, tmp_path, cuts=12, flips=24) for kind in damage.kinds(tmp_path)]
    assert len(rows) > 20
    assert [line for row in rows for line in row.bad] == []
    assert all(row.found["refused in words"] for row in rows)


def test_the_attack_sees_what_it_looks_for(tmp_path: Path) -> None:
    """Readers that fail in each way are found out."""
    (tmp_path / "a.txt").write_text("abc")

    def careless(path: Path) -> object:
        return path.read_bytes()

    def rude(path: Path) -> object:
        if path.name != "a.txt":
            raise KeyError("x")
        return careless(path)

    def vague(path: Path) -> object:
        if path.name != "a.txt":
            raise UsageError("something is wrong")
        return careless(path)

    found = [
        damage.attack(damage.Kind("kind", tmp_path / "a.txt", read, sealed=True, whole=True), tmp_path, 3, 3)
        for read in (careless, rude, vague)
    ]
    assert [dict(row.found) for row in found[1:]] == [{"trace": 6}, {"trace": 6}]
    assert found[0].found["other value"] >= 5
    assert len(found[1].bad) == 6
    assert "| kind | 6 | 6 trace |" in markdown(found)
    assert set(found[1].found) < set(BAD)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> surroundings.Surroundings:
    return surroundings.Surroundings(tmp_path_factory.mktemp("around"))


@pytest.mark.parametrize("case", list(surroundings.short_cases()), ids=lambda case: case.command[-60:])
def test_what_the_system_refuses_is_said_in_words(around: surroundings.Surroundings, case: surroundings.Case) -> None:
    what, words = around.attack(case)
    assert what in ("done", "said in words"), words


def test_acknowledged_answers_survive_a_kill(tmp_path: Path) -> None:
    row: Row = serving.kills(serving.Served(tmp_path), tmp_path, times=1, count=3)
    assert row.bad == []
    assert row.found["acknowledged and there"] > 0
