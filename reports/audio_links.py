"""Links from the report to recordings, so that the run directory can be moved as a whole."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from vceval.reports import spectrogram
from vceval.storage.cache import file_digest
from vceval.storage.files import replacing

__all__ = ["SUFFIXES", "AudioLinks", "url"]

#: Only files with these endings are ever linked into a report, whatever a run directory names.
SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".sph", ".wav", ".webm"}
)


def url(path: Path, base: Path) -> str:
    """Write the relative URL of a file as seen from the folder ``base``; every part is quoted."""
    parts = Path(os.path.relpath(path, base)).parts
    return "/".join(part if part == ".." else quote(os.fsencode(part), safe="") for part in parts)


class AudioLinks:
    """Finds recordings and makes them reachable from a report.

    A recording inside the run directory is linked where it lies; any other one is copied to
    ``report/audio/<first 16 hex digits of its SHA-256><suffix>``, so that who edits the one does not edit the other.

    Args:
        root: the run directory.
        report: the folder of the report, inside of it.
    """

    def __init__(self, root: Path, report: Path) -> None:
        self._root = root.resolve()
        self._report = report.resolve()
        self._used: set[str] = set()
        self._known: dict[str, str | None] = {}
        self._folders: dict[Path, Path] = {}

    def href(self, path: str) -> str | None:
        """Return the relative URL of a recording, or None where there is none that a browser could be given.

        ``path`` is absolute, or relative to the run directory or to the folder that vceval works in.
        """
        if not path:
            return None
        if path not in self._known:
            self._known[path] = self._link(path)
        return self._known[path]

    def picture(self, path: str) -> str | None:
        """Draw the spectrogram of a recording, unless it was before, and return its URL; None where it can't be."""
        if (found := self.file(path)) is None:
            return None
        name = f"{file_digest(found)[:16]}.png"
        target = self._report / "pictures" / name
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not spectrogram.draw(found, target):
                return None
        self._used.add(name)
        return f"pictures/{name}"

    def file(self, path: str) -> Path | None:
        """Find the recording itself, without symbolic links in its path; None where it is none that may be shown."""
        for place in (self._root / path, Path(path)):
            if place.suffix.lower() in SUFFIXES and place.is_file():
                return self._resolved(place)
        return None

    def _resolved(self, place: Path) -> Path:
        """Resolve a path; folders once only, since a run has thousands of files in each."""
        if place.is_symlink():
            return place.resolve()
        if place.parent not in self._folders:
            self._folders[place.parent] = place.parent.resolve()
        return self._folders[place.parent] / place.name

    def _link(self, path: str) -> str | None:
        if (found := self.file(path)) is None:
            return None
        inside = found.is_relative_to(self._root) and not found.is_relative_to(self._report)
        return url(found, self._report) if inside else self._adopt(found)

    def _adopt(self, found: Path) -> str | None:
        try:
            name = file_digest(found)[:16] + found.suffix.lower()
            target = self._report / "audio" / name
            if not (target.is_file() and target.stat().st_size == found.stat().st_size) or target.samefile(found):
                with replacing(target, durable=False) as stream, open(found, "rb") as original:
                    shutil.copyfileobj(original, stream)
        except PermissionError:
            return None
        self._used.add(name)
        return f"audio/{name}"

    def clean(self) -> None:
        """Remove what an earlier report copied or drew and this one does not use."""
        for folder in (self._report / "audio", self._report / "pictures"):
            if folder.is_dir():
                for entry in folder.iterdir():
                    if re.fullmatch(r"[0-9a-f]{16}\.[a-z0-9]+", entry.name) and entry.name not in self._used:
                        entry.unlink()
