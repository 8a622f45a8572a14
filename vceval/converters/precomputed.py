"""The converter ``precomputed``: audio that was converted elsewhere, found by a file-name pattern."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.errors import ItemError, UsageError
from vceval.protocol.patterns import Pattern
from vceval.storage.paths import composed

__all__ = ["Precomputed"]


class Precomputed(Converter):
    """Finds each pair's file in a folder.

    The pattern may use the fields pair, system, source, target (utterance ids; the target is the first
    prompt), source_speaker, target_speaker, dataset and direction; any other field matches anything. Where it names
    ``{seed}``, which counts from 0, there is audio of several seeds.

    Args:
        folder: where the files lie, at any depth.
        pattern: as in :mod:`vceval.protocol.patterns`, or a name known there.
        system: what ``{system}`` stands for in the file names; by default the name of the row.

    Raises:
        UsageError: no such folder, or a bad pattern.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="precomputed",
        title="Precomputed audio",
        sample_rate=None,
        licence="that of its authors",
        paper="",
        kind="precomputed",
        trained_on=None,
    )

    def __init__(self, *, folder: str, pattern: str = "{pair}.{ext}", system: str | None = None) -> None:
        self.folder = Path(folder)
        self.pattern = Pattern(pattern)
        self.system = system
        self.declare_noise("seed" in self.pattern.fields)
        if not self.folder.is_dir():
            raise UsageError(f"precomputed audio: {self.folder}: no such folder")
        if not self.pattern.fields & {"pair", "source"}:
            raise UsageError(
                f"pattern {pattern!r} names neither {{pair}} nor {{source}}: every pair would get one file"
            )
        self._files: list[str] = []
        self._outside = 0

    def open(self, device: str) -> None:
        """List the files of the folder once; links to folders or out of it do not count."""
        root = self.folder.resolve()
        there = [path for path in self.folder.rglob("*") if path.is_file() or path.is_symlink()]
        inside = [path for path in there if path.is_file() and path.resolve().is_relative_to(root)]
        self._files = sorted(path.relative_to(self.folder).as_posix() for path in inside)
        self._outside = len(there) - len(inside)

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Name each pair's file; none or several are an error of that pair."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Outcome:
        pair = request.pair
        values = {
            "pair": pair.id,
            "system": self.system or request.system,
            "source": pair.source.id if pair.source else "",
            "target": pair.prompts[0].id if pair.prompts else "",
            "source_speaker": pair.source_speaker or "",
            "target_speaker": pair.target_speaker or "",
            "direction": pair.direction or "",
            "seed": str(request.number),
        }
        wanted = self.pattern.candidates({name: composed(value) for name, value in values.items()})
        found = [name for name in self._files if wanted.match(composed(name))]
        if len(found) == 1:
            return self.folder / found[0]
        if not found:
            which = f" and seed {request.number}" if self.info.draws_noise else ""
            links = f"; links to folders or out of it do not count ({self._outside} here)" if self._outside else ""
            return ItemError(
                f"{self.folder}: no file fits {self.pattern.text} for source {values['source']!r}{which}{links}"
            )
        return ItemError(f"{self.folder}: {len(found)} files fit {self.pattern.text}: {', '.join(found[:3])}")
