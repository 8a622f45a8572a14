"""Append-only records of finished work: what makes a killed run resume."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

__all__ = ["Journal", "read_records"]


class Journal:
    """One JSON record a line, flushed to disk once per batch.

    A line that was cut short by a kill is dropped when the journal is opened again: its work is done again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: IO[bytes] = open(path, "a+b")  # noqa: SIM115 - closed by __exit__
        self._drop_torn_end()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def records(self) -> list[dict[str, Any]]:
        """All records, oldest first."""
        self._stream.seek(0)
        return [json.loads(line) for line in self._stream]

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch of records and wait until they are on disk."""
        text = "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
        self._stream.write(text.encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _drop_torn_end(self) -> None:
        self._stream.seek(0)
        content = self._stream.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._stream.truncate(whole)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read a journal that another process may be writing: its last line, where that is not finished, is left out."""
    if path.is_file():
        with open(path, "rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield json.loads(line)
