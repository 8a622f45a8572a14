"""What the newest records of a journal say."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval.runner.journal import Journal, Ledger

AXES = {"system": ["a", "b"], "pair": ["p", "q"]}


def record(system: str, pair: str, status: str = "ok", **rest: object) -> dict[str, object]:
    return {"system": system, "pair": pair, "status": status, **rest}


def test_the_newest_record_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Ledger(path, AXES) as ledger:
        ledger.append([record("a", "p", "failed", reason="r"), record("a", "q", stamp=[5, 2**60])])
        ledger.append([record("a", "p", path="x"), record("b", "p", "skipped")])
        assert ledger.record("a", "p") == record("a", "p", path="x")
    with Ledger(path, AXES) as ledger:
        assert [ledger.state(s, p) for s in "ab" for p in "pq"] == ["ok", "ok", "skipped", ""]
        assert ledger.record("a", "p") == record("a", "p", path="x")
        assert (ledger.stamp("a", "q"), ledger.stamp("b", "p")) == ([5, 2**60], [0, 0])
        assert (ledger.count("ok"), ledger.count("", "failed"), ledger.count("skipped")) == (2, 1, 1)
        ledger.forget("a", "q")
        assert (ledger.state("a", "q"), ledger.count("")) == ("", 2)
        with pytest.raises(KeyError):
            ledger.state("c", "p")


def test_items_that_the_plan_does_not_have_are_passed_over(tmp_path: Path) -> None:
    with Journal(tmp_path / "x.jsonl") as journal:
        journal.append([record("gone", "p"), record("b", "q")])
    with Ledger(tmp_path / "x.jsonl", AXES) as ledger:
        assert ledger.count("ok") == 1
