"""Zip archives of downloads: which they are, and unpacking them so that nothing lands elsewhere or fills the disk."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vceval.checkpoints.containers import check_zip, is_zip
from vceval.errors import UsageError

__all__ = ["is_packed", "unpacked"]

#: Files in the largest archive that is unpacked, and bytes of all; published ones have a dozen, and below 4 GB.
_FILES, _BYTES = 10_000, 1 << 35
_BLOCK = 1 << 20


def is_packed(path: Path) -> bool:
    """Whether a file is a zip archive of files: not a weight file or arrays, which are zip archives too."""
    if not is_zip(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    weights = any(name.count("/") <= 1 and PurePosixPath(name).name in ("data.pkl", "constants.pkl") for name in names)
    return bool(names) and not weights and not all(name.endswith(".npy") for name in names)


@contextlib.contextmanager
def unpacked(path: Path, beside: Path) -> Iterator[Path]:
    """Unpack a zip archive into a folder of its own that is removed afterwards.

    Args:
        path: the archive.
        beside: folder in which that folder is made; it has to have the room.

    Raises:
        UsageError: a name leads out of the folder or is a link, files are encrypted or damaged, or they are too many,
            too large, or larger than they say.
    """
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".unpacked-", dir=beside))
    try:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, path.stat().st_size, folder)
        except UsageError as error:
            raise UsageError(f"{path}: {error}; nothing of it was kept") from error
        except Exception as error:  # damaged archives raise all kinds of errors
            raise UsageError(f"{path}: can't be unpacked ({error}); download it again") from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            beside.rmdir()  # where nothing was filed


def _unpack(archive: zipfile.ZipFile, size: int, folder: Path) -> None:
    check_zip(archive, size)
    items = [item for item in archive.infolist() if not item.is_dir()]
    total = sum(item.file_size for item in items)
    if len(items) > _FILES or total > _BYTES:
        raise UsageError(f"the archive holds {len(items):,} files of {total:,} bytes; no archive of weights does")
    for item in items:
        parts = PurePosixPath(item.filename.replace("\\", "/")).parts
        if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0]:
            raise UsageError(f"the archive's file {item.filename!r} leads out of its folder")
        if stat.S_ISLNK(item.external_attr >> 16):
            raise UsageError(f"the archive's file {item.filename!r} is a link")
        place = folder.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(item) as packed, place.open("wb") as handle:
            left = item.file_size
            while block := packed.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    raise UsageError(f"the archive's file {item.filename!r} is larger than it says")
                handle.write(block)
