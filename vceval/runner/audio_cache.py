"""Audio that an earlier run made of the same recordings with the same system, taken instead of made again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from vceval.converters.base import Converter
from vceval.records import ConversionPair, System
from vceval.signal.audio import USUAL, Reading
from vceval.storage.cache import INTAKE, file_digest
from vceval.storage.files import replacing

__all__ = ["Reuse"]


class Reuse:
    """Converted audio in the cache, addressed by all that determines it.

    That is the system's converter and options, its code, the packages this uses, its weight files, the kind of device,
    the precision, the bytes of source and prompts, how they are read, and the pair's seed. Converters that can't name
    all of it (:meth:`Converter.identity`) are left out.

    An entry is a line, its address and the SHA-256 of the audio, and then the audio: what is damaged, or lies in the
    place of another, is not taken.

    Args:
        folder: of the cache; None switches it off.
        reading: how recordings are read.
    """

    def __init__(self, folder: Path | None, reading: Reading = USUAL) -> None:
        self._reading = reading.key
        self._folder = None if folder is None else folder / "converted"

    def system(self, system: System, converter: Converter, device: str) -> str | None:
        """What a system's audio is addressed by, besides pair and seed; None for one that is not kept."""
        identity = None if self._folder is None else converter.identity(device)
        if identity is None:
            return None
        options = {key: value for key, value in system.options.items() if key != "weights"}
        return _digest([system.converter, options, identity, INTAKE, self._reading])

    def has(self, system: str | None, pair: ConversionPair, seed: int) -> bool:
        """Whether a pair's audio is there already."""
        place = self._place(system, pair, seed)
        return place is not None and place.is_file()

    def take(self, system: str | None, pair: ConversionPair, seed: int, path: Path) -> str:
        """Copy a pair's audio to its place in a run, where it is there already; its SHA-256, empty where it is not.

        Raises:
            OSError: there is no room in the run's folder.
        """
        found = self._place(system, pair, seed)
        if found is None:
            return ""
        try:
            head, _, made = found.read_bytes().partition(b"\n")
            os.utime(found)  # what is used is kept longest
        except OSError:  # not there, or not to be read: made anew
            return ""
        digest = hashlib.sha256(made).hexdigest()
        if head != _head(found, digest):
            return ""
        with replacing(path) as copy:
            copy.write(made)
        return digest

    def keep(self, system: str | None, pair: ConversionPair, seed: int, path: Path, digest: str) -> None:
        """Keep a copy of audio that was just made, of a SHA-256; where there is no room, it is not kept."""
        place = self._place(system, pair, seed)
        if place is None:
            return
        with (
            contextlib.suppress(OSError),  # no room, or not to be written to: it is not kept
            open(path, "rb") as stream,
            replacing(place, durable=False) as copy,
        ):
            copy.write(_head(place, digest) + b"\n")
            shutil.copyfileobj(stream, copy)

    def _place(self, system: str | None, pair: ConversionPair, seed: int) -> Path | None:
        if system is None or self._folder is None or pair.source is None:
            return None
        with contextlib.suppress(OSError):  # a recording that is not there is found out elsewhere
            recordings = [file_digest(pair.source.path), *(file_digest(prompt.path) for prompt in pair.prompts)]
            key = _digest([system, recordings, seed])
            return self._folder / key[:2] / f"{key}.audio"
        return None


def _head(place: Path, digest: str) -> bytes:
    """What the first line of an entry says."""
    return f"{place.stem} {digest}".encode()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
