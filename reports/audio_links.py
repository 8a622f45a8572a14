"""Links from the report to recordings, so that the run directory can be moved as a whole."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from vceval.cache import file_digest

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

    A recording inside the run directory is linked where it lies; any other one is hard-linked (or copied, on
    another file system) to ``report/audio/<first 16 hex digits of its SHA-256><suffix>``.

    Args:
        root: the run directory.
        report: the folder of the report, inside of it.
    """

    def __init__(self, root: Path, report: Path) -> None:
        self._root = root.resolve()
        self._report = report.resolve()
        self._used: set[str] = set()
        self._known: dict[str, str | None] = {}

    def href(self, path: str) -> str | None:
        """Return the relative URL of a recording, or None where there is none that a browser could be given.

        ``path`` is absolute, or relative to the run directory or to the folder that vceval works in.
        """
        if not path:
            return None
        if path not in self._known:
            self._known[path] = self._link(path)
        return self._known[path]

    def _link(self, path: str) -> str | None:
        for place in (self._root / path, Path(path)):
            if place.suffix.lower() in SUFFIXES and place.is_file():
                found = place.resolve()
                inside = found.is_relative_to(self._root) and not found.is_relative_to(self._report)
                return url(found, self._report) if inside else self._adopt(found)
        return None

    def _adopt(self, found: Path) -> str | None:
        try:
            name = file_digest(found)[:16] + found.suffix.lower()
            target = self._report / "audio" / name
            if not (target.is_file() and target.stat().st_size == found.stat().st_size):
                target.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(found, target)
        except PermissionError:
            return None
        self._used.add(name)
        return f"audio/{name}"

    def clean(self) -> None:
        """Remove what an earlier report linked and this one does not use."""
        folder = self._report / "audio"
        if folder.is_dir():
            for entry in folder.iterdir():
                if re.fullmatch(r"[0-9a-f]{16}\.[a-z0-9]+", entry.name) and entry.name not in self._used:
                    entry.unlink()


def _link_or_copy(found: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(found, target)
    except OSError:  # another file system, or one without hard links, or another user's file
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        os.close(handle)
        try:
            shutil.copyfile(found, temporary)
            Path(temporary).chmod(0o644)
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
