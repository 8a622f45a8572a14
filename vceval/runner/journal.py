"""Append-only records of finished work: what makes a killed run resume.

A journal is a text file of JSON lines: the records of a batch, one a line, and then a line ``{"batch": n}`` that ends
it. A batch without that line was cut short by a kill or a full disk: it does not count, and is done again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

__all__ = ["Journal", "read_records"]

#: The line that ends a batch begins like this, and no record does.
_END = b'{"batch": '
#: Seconds between two waits for the disk. What a power failure takes from a journal's end is work done again.
_SYNC = 0.2


class Journal:
    """A journal open for writing; whatever follows its last whole batch is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: IO[bytes] = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        self._synced = 0.0
        self._end = 0
        for _, _, end in _batches(path):
            self._end = end
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
        for places, lines, _ in _batches(self.path):
            yield from zip(places, map(json.loads, lines), strict=True)

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
        lines = [json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n" for record in records]
        places, place = [], self._end
        for line in lines:
            places.append(place)
            place += len(line)
        text = memoryview(b"".join([*lines, _END + b"%d}\n" % len(lines)]))
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
    """Read a journal that another process may be writing: a batch that is not finished is left out."""
    for _, lines, _ in _batches(path):
        yield from map(json.loads, lines)


def _batches(path: Path) -> Iterator[tuple[list[int], list[bytes], int]]:
    """Places and lines of every whole batch, with the place where it ends; nothing for a file that is not there."""
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
                yield places, lines, end
                places, lines = [], []
            else:
                places.append(begin)
                lines.append(line)
