"""The journal survives being cut off anywhere."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vceval.runner.journal import Journal, read_records, state_of

RECORDS = [{"pair": "a", "n": 1.1}, {"pair": "b\u00e9", "n": 2}, {"pair": "c", "n": 0.1 + 0.2, "long": "x" * 5000}]


def test_records_come_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "x.jsonl"
    with Journal(path) as journal:
        places = journal.append(RECORDS[:2]) + journal.append(RECORDS[2:])
        assert list(journal.records()) == RECORDS
        assert [journal.at(place) for place in places] == RECORDS
    with Journal(path) as journal:
        assert list(journal.placed()) == list(zip(places, RECORDS, strict=True))
        places += journal.append(RECORDS[:1])
        assert journal.at(places[-1]) == RECORDS[0]
    assert list(read_records(path)) == [*RECORDS, RECORDS[0]]
    assert list(read_records(tmp_path / "none.jsonl")) == []


def test_a_cut_at_any_byte_loses_whole_batches_from_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    batches = [RECORDS[:2], [{"n": 3}], RECORDS[:1] * 3]
    ends = [0]
    with Journal(path) as journal:
        for batch in batches:
            journal.append(batch)
            ends.append(path.stat().st_size)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = [record for batch, end in zip(batches, ends[1:], strict=True) if end <= length for record in batch]
        assert list(read_records(path)) == whole
        with Journal(path) as journal:
            assert list(journal.records()) == whole
            journal.append([{"pair": "new"}])
            assert list(journal.records()) == [*whole, {"pair": "new"}]


def test_a_flip_anywhere_costs_its_batch_only(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    batches = [[{"n": 1.5}, {"n": 2}], [{"n": 3, "pair": "é"}], [{"n": 4}]]
    with Journal(path) as journal:
        for batch in batches:
            journal.append(batch)
    whole = path.read_bytes()
    for place in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        left = list(read_records(path))
        assert left in [[r for batch in batches if batch not in gone for r in batch] for gone in lost(batches)]
        with Journal(path) as journal:
            assert list(journal.records()) == left
            journal.append([{"n": 5}])
        assert list(read_records(path)) == [*left, {"n": 5}]
        assert state_of(path) == (0, path.stat().st_size)


def lost(batches: list[list[dict[str, object]]]) -> list[list[list[dict[str, object]]]]:
    """A flip may join a batch with the next one, and then both are lost."""
    return [*([batch] for batch in batches), batches[:2], batches[1:]]


def test_a_journal_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"n": 1}\n{"batch": 1}\n{"n": 2\n{"batch": 1}\n{"n": 3}\n{"batch": 2}\n{"n": 4}\n{"batch": 1}\n')
    assert list(read_records(path)) == [{"n": 1}, {"n": 4}]
    assert state_of(path)[0] == 2


def test_nan_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "x.jsonl") as journal, pytest.raises(ValueError, match="JSON compliant"):
        journal.append([{"n": float("nan")}])


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    with Journal(path) as journal:
        journal.append(RECORDS)
        real = journal._stream

        class Full:
            """Takes a few bytes, and then no more."""

            taken = 0

            def write(self, data: memoryview) -> int:
                if self.taken:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.taken = 7
                return real.write(data[:7])

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

        monkeypatch.setattr(journal, "_stream", Full())
        with pytest.raises(OSError, match="No space left"):
            journal.append([{"n": 1}])
        monkeypatch.setattr(journal, "_stream", real)
        assert list(read_records(path)) == RECORDS
        journal.append([{"n": 2}])
    assert list(read_records(path)) == [*RECORDS, {"n": 2}]
