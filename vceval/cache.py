"""Expensive results, addressed by what determines them: audio bytes, parameters, version of the method.

An entry is one ``.npz`` file, written under a temporary name and renamed, so several processes may share a
cache. A damaged entry is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["Cache", "default_root", "file_digest"]


def default_root() -> Path | None:
    """Where results are kept: $VCEVAL_CACHE, else ~/.cache/vceval; None when the variable says ``off``."""
    place = os.environ.get("VCEVAL_CACHE", "")
    if place.lower() == "off":
        return None
    return Path(place) if place else Path.home() / ".cache" / "vceval"


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes; remembered per (path, size, time of change)."""
    path = Path(path)
    stat = path.stat()
    return _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _digest(path: str, _size: int, _mtime: int) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Cache:
    """A content-addressed store of arrays and JSON values.

    ``root`` None keeps results in memory only. Beside a folder, up to 256 MB of recent results stay in memory.
    """

    _MEMORY_BYTES = 256 * 2**20

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._memory: dict[str, Mapping[str, Any]] = {}
        self._held = 0

    def get(
        self,
        kind: str,
        path: str | os.PathLike[str],
        parameters: Mapping[str, Any],
        compute: Callable[[], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Return the result for one audio file, computing it when it is not there.

        ``compute`` returns a mapping of names to arrays or JSON values. ``parameters`` must hold all that
        changes the result besides the file's bytes: model, version, rates.
        """
        key = hashlib.sha256(
            json.dumps([kind, file_digest(path), parameters], sort_keys=True, default=str).encode()
        ).hexdigest()
        if key in self._memory:
            return self._memory[key]
        entry = self._file(kind, key)
        found = _read(entry) if entry is not None else None
        if found is None:
            found = dict(compute())
            if entry is not None:
                _write(entry, found)
        self._remember(key, found, forget=entry is not None)
        return found

    def _remember(self, key: str, found: Mapping[str, Any], forget: bool) -> None:
        self._held += 1024 + sum(getattr(value, "nbytes", 0) for value in found.values())
        if forget and self._held > self._MEMORY_BYTES:
            self._memory.clear()
            self._held = 0
        self._memory[key] = found

    def _file(self, kind: str, key: str) -> Path | None:
        return None if self.root is None else self.root / kind / key[:2] / f"{key}.npz"


def _read(entry: Path) -> dict[str, Any] | None:
    import numpy as np

    try:
        with np.load(entry, allow_pickle=False) as stored:
            values: dict[str, Any] = json.loads(str(stored["__json__"]))
            values.update({name: stored[name] for name in stored.files if name != "__json__"})
            return values
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # damaged: computed again and overwritten


def _write(entry: Path, values: Mapping[str, Any]) -> None:
    import numpy as np

    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in values.items() if name not in arrays}
    entry.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=entry.parent, prefix=".part-", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, allow_pickle=False, __json__=np.array(json.dumps(plain)), **arrays)
        os.replace(temporary, entry)
    finally:
        Path(temporary).unlink(missing_ok=True)
