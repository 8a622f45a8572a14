"""The contract of a corpus reader."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from vceval.errors import UsageError
from vceval.records import Utterance

__all__ = ["Corpus", "CorpusInfo", "Problem"]


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """What a table or a paper must say about a corpus."""

    name: str
    title: str
    languages: tuple[str, ...]
    sample_rate: int
    licence: str
    url: str
    citation: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something missing or malformed, with the file and (1-based) line where it was found."""

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {self.message}"


class Corpus(ABC):
    """A reader of one dataset's real layout.

    Metadata is parsed from the corpus's own files and never guessed: what is not stated is None, and what is
    missing or malformed is listed in :attr:`problems` with its path and line.

    Args:
        root: the folder of the corpus as its authors distribute it.

    Raises:
        UsageError: the folder does not exist or does not have this corpus's layout (the message says what
            was looked for).
    """

    info: ClassVar[CorpusInfo]

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._problems: list[Problem] = []
        self._reading = False
        if not self.root.is_dir():
            raise UsageError(f"{self.root}: no such folder; give the folder of {self.info.title} with --data")

    @property
    def problems(self) -> list[Problem]:
        """What is missing or malformed, in the order found; looking at it reads the corpus if that was not done."""
        if not self._reading:
            len(self)
        return self._problems

    @abstractmethod
    def _read(self) -> Iterator[Utterance]:
        """Walk the corpus in a fixed order, noting problems on the way."""

    def utterances(self) -> Iterator[Utterance]:
        """Every utterance with audio on disk, in an order that does not depend on the file system."""
        return iter(self._index.values())

    def find(self, utterance: str) -> Utterance:
        """Return the utterance with this id.

        Raises:
            KeyError: it is not on disk; the message names the nearest ids.
        """
        try:
            return self._index[utterance]
        except KeyError:
            near = difflib.get_close_matches(utterance, self._index, n=3)
            raise KeyError(
                f"{self.info.name} in {self.root} has no utterance {utterance!r}"
                + (f"; nearest: {', '.join(near)}" if near else "")
            ) from None

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._index

    def __len__(self) -> int:
        return len(self._index)

    @cached_property
    def _index(self) -> Mapping[str, Utterance]:
        index: dict[str, Utterance] = {}
        self._reading = True
        try:
            for utterance in self._read():
                first = index.setdefault(utterance.id, utterance)
                if first is not utterance:
                    message = f"second recording with the id {utterance.id}; the first one is used: {first.path}"
                    self._problems.append(Problem(utterance.path, message))
        finally:
            self._reading = False
        return index
