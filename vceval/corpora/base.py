"""The contract of a corpus reader."""

from __future__ import annotations

import difflib
import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from vceval.declared import fault, is_text, is_texts, is_whole, unwritten
from vceval.errors import UsageError, reason_of
from vceval.records import Gender, Utterance
from vceval.storage.paths import no_such_folder

__all__ = ["Corpus", "CorpusInfo", "Layout", "Problem", "gender_of"]

_GENDERS: dict[str, Gender] = {"f": "F", "female": "F", "m": "M", "male": "M"}


def gender_of(word: str) -> Gender | None:
    """Read F, f, female, M, m or male in any case; None for anything else."""
    return _GENDERS.get(word.strip().lower())


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

    def declaration_faults(self) -> list[str]:
        """Say what is declared wrongly, each in words; nothing where all is well."""
        found = [
            *(text for key in ("name", "title") for text in fault(self, key, is_text, "a text")),
            *fault(self, "languages", is_texts, "a tuple of texts; ('en',) for one"),
            *fault(self, "sample_rate", is_whole, "a whole number of Hz, 0 where it varies"),
            *(text for key in ("licence", "url", "citation")
              for text in fault(self, key, lambda v: isinstance(v, str), "a text, which may be empty")),
        ]  # fmt: skip
        return [f"info: {text}" for text in found]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something missing or malformed, with the file and (1-based) line where it was found."""

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How to tell that a folder holds a corpus; a corpus's class carries its own.

    looked_for: what a message says was looked for.
    matches: a quick test of one folder; it opens no audio.
    usual: names that the folder has when it is unpacked, tried first one level down.
    """

    looked_for: str
    matches: Callable[[Path], bool]
    usual: tuple[str, ...] = ()

    def fits(self, folder: Path) -> bool:
        """Test a folder that nobody named: one that can't be read does not match."""
        try:
            return self.matches(folder)
        except (OSError, UsageError):
            return False


class Corpus(ABC):
    """A reader of one dataset's real layout: a subclass says what it is by ``info`` and writes :meth:`read`.

    Metadata is parsed from the corpus's own files and never guessed: what is not stated is None, and what is
    missing or malformed is listed in :attr:`problems` with its path and line.

    Args:
        root: the folder of the corpus as its authors distribute it.

    Raises:
        UsageError: the folder does not exist or does not have this corpus's layout (the message says what
            was looked for).
    """

    info: ClassVar[CorpusInfo]
    #: How to tell its folder from those of other corpora; None where nothing tells.
    layout: ClassVar[Layout | None] = None

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._noted: list[Problem] = []
        self._reading = False
        if not self.root.is_dir():
            raise UsageError(f"{no_such_folder(self.root)}; give the folder of {self.info.title} with --data")

    @staticmethod
    def declaration_faults(owner: object, name: str) -> list[str]:
        """Say what a corpus's class declares wrongly, each in words; nothing where all is well.

        ``name`` is the one that it is registered under.
        """
        wanted = f"a CorpusInfo({name!r}, title, languages, sample rate, licence, url, citation)"
        found = fault(owner, "info", lambda value: isinstance(value, CorpusInfo), wanted)
        info = getattr(owner, "info", None)
        return [*found, *(info.declaration_faults() if isinstance(info, CorpusInfo) else []), *unwritten(owner)]

    @abstractmethod
    def read(self) -> Iterator[Utterance]:
        """Walk the corpus in a fixed order, noting problems on the way.

        What can't be an utterance is noted and left out: no id, no file, or an id that was there before.
        """

    def note(self, path: Path, message: str, line: int | None = None) -> None:
        """Note something missing or malformed, at a 1-based line of a file where it has one."""
        self._noted.append(Problem(path, message, line))

    @property
    def problems(self) -> list[Problem]:
        """What is missing or malformed, in the order found; looking at it reads the corpus if that was not done."""
        if not self._reading:
            len(self)
        return self._noted

    def utterances(self) -> Iterator[Utterance]:
        """Every utterance with audio on disk, in an order that does not depend on the file system.

        Raises:
            UsageError: the reader gives up.
        """
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
            for found in self.read():
                utterance = self.fitting(found)
                if utterance is None:
                    continue
                first = index.setdefault(utterance.id, utterance)
                if first is not utterance:
                    message = f"second recording with the id {utterance.id}; the first one is used: {first.path}"
                    self.note(utterance.path, message)
        except UsageError:
            raise
        except Exception as error:  # a plug-in may throw anything; half a corpus would give other pairs
            kind = type(self)
            raise UsageError(
                f"{self.root}: corpus {self.info.name!r} ({kind.__module__}:{kind.__qualname__}) can't be read: "
                f"{reason_of(error)}; correct its read(), or the files"
            ) from error
        finally:
            self._reading = False
        return index

    def fitting(self, found: Any) -> Utterance | None:
        """Make what :meth:`read` yields an utterance as it should be: what is harmless is put right, the rest noted."""
        if not isinstance(found, Utterance):
            self.note(self.root, f"read() gave a {type(found).__name__}, not an Utterance; left out")
            return None
        values = {name: getattr(found, name) for name in Utterance.__slots__}
        path, made = values["path"], dict(values)
        if not isinstance(path, str | Path) or not str(path):
            self.note(self.root, f"utterance {found.id!r} has no path but {path!r}; left out")
            return None
        made["path"] = Path(path)
        for name in ("id", "dataset", "speaker", "language", "transcript"):
            made[name] = _text(values[name])
        for name in ("id", "dataset"):
            if not made[name]:
                self.note(made["path"], f"utterance with the {name} {values[name]!r}, not a text; left out")
                return None
        made["gender"] = gender_of(gender) if isinstance(gender := _text(values["gender"]), str) else None
        made["duration"] = _seconds(values["duration"])
        for name in ("speaker", "gender", "language", "transcript", "duration"):
            if made[name] is None and not _unknown(values[name]):
                self.note(made["path"], f"{found.id}: {name} {values[name]!r} can't be used; unknown")
        fits = all(type(made[name]) is type(value) and made[name] == value for name, value in values.items())
        return found if fits else Utterance(**made)


def _unknown(value: Any) -> bool:
    """Whether a value says that something is not known: None, an empty text, or a table's NaN for an empty cell."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str | None:
    """Read a text, or a whole number of any library, such as a speaker's; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return str(int(value)) if isinstance(value, numbers.Integral) else None


def _seconds(value: Any) -> float | None:
    """Read a length above 0; None for anything else."""
    seconds = float(value) if isinstance(value, numbers.Real) else 0.0
    return seconds if math.isfinite(seconds) and seconds > 0.0 else None
