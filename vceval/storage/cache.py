"""Expensive results, addressed by what determines them: audio bytes, parameters, versions of method and packages.

An entry is one ``.npz`` file (or converted audio), written under a temporary name and renamed, so several processes may
share a cache. It bears its address, and checksums. One that is damaged, or lies in the place of another, is computed
again. What was used longest ago makes room for the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vceval.errors import ItemError, UsageError
from vceval.storage.files import replacing, sha256

__all__ = ["INTAKE", "Cache", "default_limit", "default_root", "file_digest", "trim"]

#: What analyses are made with, by name of the distribution: those of another version are not used again.
PACKAGES = (
    "ctranslate2", "faster-whisper", "numba", "numpy", "onnxruntime", "openai-whisper", "pocketsphinx", "pyworld",
    "scipy", "soundfile", "soxr", "speechbrain", "torch", "torchaudio", "transformers", "webrtcvad",
)  # fmt: skip
#: How recordings are read: what was made of them when they were read in another way is not used again.
INTAKE = 2
_ENTRY = re.compile(r"[0-9a-f]{64}\.(npz|audio|flac)")  # audio of older versions is FLAC without an address
#: A full cache is trimmed to this part of its limit, so that the next entry does not start over.
_TRIMMED = 0.9
#: A process that wrote this part of the limit looks whether the cache is too large.
_UNSEEN = 0.02


def default_root() -> Path | None:
    """Where results are kept, as an absolute path: $VCEVAL_CACHE, else ~/.cache/vceval; None when it says ``off``."""
    place = os.environ.get("VCEVAL_CACHE", "")
    if place.lower() == "off":
        return None
    return Path(place).absolute() if place else Path.home() / ".cache" / "vceval"


def default_limit() -> int:
    """How many bytes the cache may hold: $VCEVAL_CACHE_SIZE, such as ``500MB`` or ``2TB``, else 20 GB.

    Raises:
        UsageError: the variable holds something else.
    """
    text = os.environ.get("VCEVAL_CACHE_SIZE", "").strip() or "20GB"
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text)
    if found is None:
        raise UsageError(f"VCEVAL_CACHE_SIZE is {text!r}; give a size such as 500MB or 20GB")
    return int(float(found[1]) * 1000 ** " kMGT".index(found[2] or " "))


def trim(root: Path, limit: int) -> int:
    """Remove what was used longest ago until the cache is below its limit; returns the bytes that are left.

    Other files in the folder are left alone. Where another process is at it already, or the folder can't be written to,
    nothing is done.
    """
    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(root / ".lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        entries = []
        for path in root.glob("*/[0-9a-f][0-9a-f]/*"):
            if _ENTRY.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    entries.append((stat.st_mtime_ns, stat.st_size, path))
        held = sum(size for _, size, _ in entries)
        if held > limit:
            for _, size, path in sorted(entries):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                    held -= size
                if held <= _TRIMMED * limit:
                    break
        return held


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes; remembered per (path, size, time of change)."""
    path = Path(path)
    stat = path.stat()
    return _digest(str(path.absolute()), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _digest(path: str, _size: int, _mtime: int) -> str:
    return sha256(path)


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class Cache:
    """A content-addressed store of arrays and JSON values.

    ``root`` None keeps results in memory only. Beside a folder, up to 256 MB of recent results stay in memory.
    ``limit`` is that of the folder in bytes, by default :func:`default_limit`. ``reading`` names the choices by which
    recordings are read, where they are not the usual ones; it is part of the address of every result. Where the folder
    has no room or can't be written to, results are computed and not kept.
    """

    _MEMORY_BYTES = 256 * 2**20

    def __init__(self, root: Path | None, limit: int | None = None, reading: str = "") -> None:
        self.root = None if root is None else root.absolute()  # workers have other working directories
        self.limit = default_limit() if limit is None else limit
        self.reading = reading
        self._written = 0
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
        changes the result besides the file's bytes and the versions of :data:`PACKAGES`: model, method, rates.

        Raises:
            ItemError: there is no such file.
        """
        try:
            digest = file_digest(path)
        except FileNotFoundError:
            raise ItemError(f"{path}: no such file") from None
        determined = json.dumps(
            [kind, digest, parameters, _versions(), INTAKE, self.reading], sort_keys=True, default=str
        )
        key = hashlib.sha256(determined.encode()).hexdigest()
        found = self._memory.get(key)  # other threads may forget it meanwhile
        if found is not None:
            return found
        entry = self._file(kind, key)
        found = _read(entry, key) if entry is not None else None
        if found is None:
            found = dict(compute())
            if entry is not None:
                self._store(entry, key, found)
        self._remember(key, found, forget=entry is not None)
        return found

    def _store(self, entry: Path, key: str, found: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # no room, or not to be written to: computed and not kept
            self._written += _write(entry, key, found)
        if self.root is not None and self._written > self.limit * _UNSEEN:
            self._written = 0
            trim(self.root, self.limit)

    def _remember(self, key: str, found: Mapping[str, Any], forget: bool) -> None:
        self._held += 1024 + sum(getattr(value, "nbytes", 0) for value in found.values())
        if forget and self._held > self._MEMORY_BYTES:
            self._memory.clear()
            self._held = 0
        self._memory[key] = found

    def _file(self, kind: str, key: str) -> Path | None:
        return None if self.root is None else self.root / kind / key[:2] / f"{key}.npz"


def _read(entry: Path, key: str) -> dict[str, Any] | None:
    """Read an entry; None for none, and for one that is damaged in whatever way or was written for another address."""
    import numpy as np

    try:
        with np.load(entry, allow_pickle=False) as stored:
            values: dict[str, Any] = json.loads(str(stored["__json__"]))
            arrays = {name: stored[name] for name in stored.files if name != "__json__"}
            if values.pop("__is__", _names(key, arrays)) != _names(key, arrays):
                return None
    except Exception:  # a flipped bit raises anything, such as NotImplementedError for a kind of compression
        return None
    values.update(arrays)
    with contextlib.suppress(OSError):
        os.utime(entry)  # what is used is kept longest
    return values


def _names(key: str, arrays: Iterable[str]) -> list[str]:
    """What an entry says of itself: its address and the names of its arrays, any of which damage may hide."""
    return [key, *sorted(arrays)]


def _write(entry: Path, key: str, values: Mapping[str, Any]) -> int:
    import numpy as np

    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in values.items() if name not in arrays} | {"__is__": _names(key, arrays)}
    with replacing(entry, durable=False) as stream:
        np.savez(stream, allow_pickle=False, __json__=np.array(json.dumps(plain)), **arrays)
        return stream.tell()
