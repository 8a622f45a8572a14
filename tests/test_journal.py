"""The journal survives being cut off anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval.runner.journal import Journal

RECORDS = [{"pair": "a", "n": 1.1}, {"pair": "b\u00e9", "n": 2}, {"pair": "c", "n": 0.1 + 0.2}]


def test_records_come_back_exactly(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal" / "x.jsonl") as journal:
        journal.append(RECORDS[:2])
        journal.append(RECORDS[2:])
        assert journal.records() == RECORDS
    with Journal(tmp_path / "journal" / "x.jsonl") as journal:
        assert journal.records() == RECORDS


def test_a_cut_at_any_byte_loses_whole_records_from_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Journal(path) as journal:
        journal.append(RECORDS)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        with Journal(path) as journal:
            kept = journal.records()
            assert kept == RECORDS[: content[:length].count(b"\n")]
            journal.append([{"pair": "new"}])
            assert journal.records() == [*kept, {"pair": "new"}]


def test_nan_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "x.jsonl") as journal, pytest.raises(ValueError, match="JSON compliant"):
        journal.append([{"n": float("nan")}])
