"""What the files of a run's results must hold: ``hashes.json``, their sizes and SHA-256s as they were written.

Journals grow while a run is at work, and have checksums of their own: they can't be shorter than they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vceval.storage.files import replacing, sha256

__all__ = ["FILE", "Hashes"]

FILE = "hashes.json"
_GROWING = ".jsonl"


class Hashes:
    """What is known of the files in a folder; nothing for one of a version that kept no hashes.

    Args:
        root: of the run.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, dict[str, Any]] = {}
        #: Hash of what the run was asked for; empty where it is not known.
        self.plan = ""
        #: Whether the file of hashes is itself damaged.
        self.broken = False
        try:
            found = json.loads((root / FILE).read_bytes())
            if found["sha256"] != _of(found["plan"], found["files"]):
                raise ValueError
            self.plan, self._files = found["plan"], found["files"]
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            self.broken = True

    def __contains__(self, name: str) -> bool:
        return name in self._files

    @property
    def names(self) -> list[str]:
        """The files of which something is known."""
        return sorted(self._files)

    def fault(self, name: str) -> str | None:
        """Say what is wrong with a file, in words; None for what is as it was written, and for what nobody knows.

        The file is read for it.
        """
        if self.broken:
            return f"can't be checked, as {FILE} is damaged"
        if name not in self._files:
            return None
        path, known = self._root / name, self._files[name]
        try:
            size = path.stat().st_size
            if name.endswith(_GROWING):
                return None if size >= known["size"] else f"cut: {size:,} bytes where {known['size']:,} were written"
            if size != known["size"]:
                return f"not as it was written: {size:,} bytes, not {known['size']:,}"
            return None if sha256(path) == known["sha256"] else "not as it was written: other bytes"
        except FileNotFoundError:
            return "gone"
        except OSError as error:
            return f"can't be read ({error.strerror})"

    def write(self, *names: str, plan: str | None = None) -> None:
        """Note what files hold now, beside what is known of others, and the hash of what the run was asked for.

        Raises:
            OSError: a file is not there, or there is no room.
        """
        for name in names:
            path = self._root / name
            digest = {} if name.endswith(_GROWING) else {"sha256": sha256(path)}
            self._files[name] = {"size": path.stat().st_size, **digest}
        self._save(self.plan if plan is None else plan)

    def keep(self, *names: str) -> None:
        """Forget all but some files, and what the run was asked for."""
        self._files = {name: known for name, known in self._files.items() if name in names}
        self._save("")

    def _save(self, plan: str) -> None:
        files = dict(sorted(self._files.items()))
        found = {"plan": plan, "files": files, "sha256": _of(plan, files)}
        with replacing(self._root / FILE) as stream:
            stream.write((json.dumps(found, indent=1) + "\n").encode())
        self.plan, self.broken = plan, False


def _of(plan: str, files: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([plan, files], sort_keys=True).encode()).hexdigest()
