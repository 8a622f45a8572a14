"""What the newest records of a journal say, item by item, in little memory: a few bytes an item.

The records themselves stay in the file; a ledger knows where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vceval.runner.journal import Journal

__all__ = ["Ledger"]

_STATES = ("", "ok", "failed", "skipped")
_CODES = {state: code for code, state in enumerate(_STATES)}


class Ledger:
    """A journal, opened for writing, with the state of every item of a plan.

    Args:
        path: of the journal.
        axes: what names an item, in order: field of the records to all values of the plan, such as ``system`` to the
            names of all systems. Records of other items are ignored.
    """

    def __init__(self, path: Path, axes: Mapping[str, Sequence[str]]) -> None:
        self._fields = tuple(axes)
        self._numbers = [{name: number for number, name in enumerate(names)} for names in axes.values()]
        shape = tuple(len(names) for names in axes.values())
        self._places = np.zeros(shape, np.int64)
        self._states = np.zeros(shape, np.uint8)
        self._stamps = np.zeros((*shape, 2), np.int64)
        self._journal = Journal(path)
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

    def state(self, *names: str) -> str:
        """What became of an item: ``ok``, ``failed``, ``skipped``, or nothing yet (empty)."""
        return _STATES[self._states[self._index(names)]]

    def stamp(self, *names: str) -> list[int]:
        """The stamp of the file that an item's record is about; zeros where it has none."""
        return [int(part) for part in self._stamps[self._index(names)]]

    def record(self, *names: str) -> dict[str, Any]:
        """The newest record of an item that has one."""
        return self._journal.at(int(self._places[self._index(names)]))

    def forget(self, *names: str) -> None:
        """Take an item for not done, as its file is gone."""
        self._states[self._index(names)] = 0

    def count(self, *states: str) -> int:
        """Number of items in one of some states."""
        return int(np.isin(self._states, [_CODES[state] for state in states]).sum())

    def _index(self, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(numbers[name] for numbers, name in zip(self._numbers, names, strict=True))

    def _take(self, place: int, record: Mapping[str, Any]) -> None:
        try:
            index = self._index([record[field] for field in self._fields])
        except KeyError:
            return
        self._places[index] = place
        self._states[index] = _CODES[record["status"]]
        if "stamp" in record:
            self._stamps[index] = record["stamp"]
