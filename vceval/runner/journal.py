"""Append-only records of finished work: what makes a killed run resume.

A journal is a text file of JSON lines: the records of a batch, one a line, and then a line ``{"batch": n, "crc32": c}``
that ends it, with their number and their checksum. A batch without that line was cut short by a kill or a full disk,
and one with another checksum was damaged: it does not count, and is done again.

A ledger says what the newest records of a journal say, item by item, in little memory: a few bytes an item. The records
themselves stay in the file; the ledger knows where.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np

from vceval.storage.files import replacing

__all__ = ["Journal", "Ledger", "Take", "read_records", "state_of"]

#: The line that ends a batch begins like this, and no record does.
_END = b'{"batch": '
#: Seconds between two waits for the disk. What a power failure takes from a journal's end is work done again.
_SYNC = 0.2


class Take(NamedTuple):
    """A system and the number of a seed: what converts every pair once."""

    system: str
    seed: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Take:
        """Whose record it is; of the first seed it bears no number."""
        return cls(record["system"], record.get("seed", 0))

    def named(self) -> dict[str, Any]:
        """What a record bears for it."""
        return {"system": self.system, **({"seed": self.seed} if self.seed else {})}


class Journal:
    """A journal open for writing.

    Whatever follows its last whole batch is cut off when it is opened, and batches that are ``damaged``, so many, go.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.damaged, self._end = state_of(path)
        if self.damaged:
            with replacing(path) as copy:
                for batch in _batches(path):
                    if batch.sound:
                        copy.writelines([*batch.lines, batch.last])
                self._end = copy.tell()
        self._stream: IO[bytes] = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        self._synced = 0.0
        self._stream.truncate(self._end)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def records(self) -> Iterator[dict[str, Any]]:
        """All records, oldest first."""
        return (record for _, record in self.placed())

    def placed(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """All records, oldest first, each with its place: what :meth:`at` takes."""
        for batch in _batches(self.path):
            yield from zip(batch.places, map(json.loads, batch.lines), strict=True)

    def at(self, place: int) -> dict[str, Any]:
        """Read the record at a place."""
        record: dict[str, Any] = json.loads(self._line(place))
        return record

    def _line(self, place: int) -> bytes:
        size = 1024
        while True:
            piece = os.pread(self._stream.fileno(), size, place)
            end = piece.find(b"\n")
            if end >= 0:
                return piece[:end]
            if len(piece) < size:
                raise ValueError(f"{self.path}: no record at byte {place}; the file was changed by another program")
            size *= 8

    def append(self, records: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add a batch of records and return their places; a kill from now on does not lose them.

        Raises:
            OSError: there is no room; the journal is then as before.
        """
        texts = (json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records)
        lines = [text.encode(errors="backslashreplace") + b"\n" for text in texts]  # names of files may be no UTF-8
        places, place = [], self._end
        for line in lines:
            places.append(place)
            place += len(line)
        text = memoryview(b"".join([*lines, _last(lines)]))
        try:
            left = text
            while left:
                left = left[self._stream.write(left) :]
        except OSError:
            self._stream.truncate(self._end)
            raise
        self._end += len(text)
        if time.monotonic() - self._synced > _SYNC:
            self.sync()
        return places

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        os.fsync(self._stream.fileno())
        self._synced = time.monotonic()


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read a journal that another process may be writing: a batch that is not finished, or damaged, is left out."""
    for batch in _batches(path):
        if batch.sound:
            yield from map(json.loads, batch.lines)


def state_of(path: Path) -> tuple[int, int]:
    """Count the batches of a journal that are not as they were written, and find where the last one ends, in bytes."""
    damaged = end = 0
    for batch in _batches(path):
        damaged, end = damaged + (not batch.sound), batch.end
    return damaged, end


class _Batch(NamedTuple):
    """Records with their places, the line that ends them, and the place where that ends."""

    places: list[int]
    lines: list[bytes]
    last: bytes
    end: int

    @property
    def sound(self) -> bool:
        """Whether it is as it was written."""
        if self.last == _last(self.lines):
            return True
        if self.last != _END + b"%d}\n" % len(self.lines):
            return False
        try:  # of a version that wrote no checksums
            return all(isinstance(json.loads(line), dict) for line in self.lines)
        except (ValueError, RecursionError):
            return False


def _last(lines: Sequence[bytes]) -> bytes:
    """The line that ends a batch."""
    checksum = 0
    for line in lines:
        checksum = zlib.crc32(line, checksum)
    return _END + b'%d, "crc32": "%08x"}\n' % (len(lines), checksum)


def _batches(path: Path) -> Iterator[_Batch]:
    """Every whole batch; nothing for a file that is not there."""
    if not path.is_file():
        return
    places: list[int] = []
    lines: list[bytes] = []
    end = 0
    with open(path, "rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                return
            begin, end = end, end + len(line)
            if line.startswith(_END):
                yield _Batch(places, lines, line, end)
                places, lines = [], []
            else:
                places.append(begin)
                lines.append(line)


_STATES = ("", "ok", "failed", "skipped")
_CODES = {state: code for code, state in enumerate(_STATES)}


class Ledger:
    """A journal, opened for writing, with the state of every item of a plan.

    Args:
        path: of the journal.
        axes: what names an item, in order: field of the records to all values of the plan, such as ``pair`` to the
            ids of all pairs, or ``take`` to all :class:`Take`. Records of other items are ignored.
    """

    def __init__(self, path: Path, axes: Mapping[str, Sequence[Hashable]]) -> None:
        self._fields = tuple(axes)
        self._numbers = [{name: number for number, name in enumerate(names)} for names in axes.values()]
        shape = tuple(len(names) for names in axes.values())
        self._places = np.zeros(shape, np.int64)
        self._states = np.zeros(shape, np.uint8)
        self._stamps = np.zeros((*shape, 2), np.int64)
        self._journal = Journal(path)
        self.path, self.damaged = path, self._journal.damaged
        for place, record in self._journal.placed():
            self._take(place, record)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write a batch of records down.

        Raises:
            OSError: there is no room; nothing was written.
        """
        for place, record in zip(self._journal.append(records), records, strict=True):
            self._take(place, record)

    def state(self, *names: Hashable) -> str:
        """What became of an item: ``ok``, ``failed``, ``skipped``, or nothing yet (empty)."""
        return _STATES[self._states[self._index(names)]]

    def stamp(self, *names: Hashable) -> list[int]:
        """The stamp of the file that an item's record is about; zeros where it has none."""
        return [int(part) for part in self._stamps[self._index(names)]]

    def record(self, *names: Hashable) -> dict[str, Any]:
        """The newest record of an item that has one."""
        return self._journal.at(int(self._places[self._index(names)]))

    def forget(self, *names: Hashable) -> None:
        """Take an item for not done, as its file is gone."""
        self._states[self._index(names)] = 0

    def count(self, *states: str) -> int:
        """Number of items in one of some states."""
        return int(np.isin(self._states, [_CODES[state] for state in states]).sum())

    def _index(self, names: Sequence[Hashable]) -> tuple[int, ...]:
        return tuple(numbers[name] for numbers, name in zip(self._numbers, names, strict=True))

    def _take(self, place: int, record: Mapping[str, Any]) -> None:
        try:
            index = self._index([Take.of(record) if field == "take" else record[field] for field in self._fields])
        except KeyError:
            return
        self._places[index] = place
        self._states[index] = _CODES[record["status"]]
        if "stamp" in record:
            self._stamps[index] = record["stamp"]
