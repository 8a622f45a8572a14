"""What a file is that can't be read as weights, told by its first bytes: a web page, a zip archive, audio."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from vceval.errors import UsageError

__all__ = ["NotNeeded", "Refused", "check_zip", "is_safetensors", "is_zip", "what_it_is"]

#: An archive may unpack to so many times its own size, and so much more: weights are stored as they are.
_RATIO, _SLACK = 10, 1 << 26
#: First bytes of archives that have to be unpacked.
_PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "RAR"),
)
#: First bytes of what holds no weights.
_OTHER = (
    (b"RIFF", "audio or video"),
    (b"fLaC", "audio"),
    (b"OggS", "audio"),
    (b"ID3", "audio"),
    (b"\xff\xfb", "audio"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
)
#: How web pages begin.
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")
#: How pickles begin that consist of text: a table, a list, or a name that is called.
_TEXT_PICKLE = re.compile(rb"\([dli](p\d*)?\r?\n|\(dp|\(lp|c[\w.]+\r?\n[\w.]+\r?\n")


class NotNeeded(UsageError):
    """A file that lies beside weights and that no converter needs, such as a text or audio; a folder may have them."""


class Refused(UsageError):
    """A file that asks for something which could run code on loading."""


def what_it_is(path: Path) -> UsageError | None:
    """Say what a file is that could not be read, and what to do; None where its first bytes tell nothing.

    Returns:
        The error to raise: :class:`NotNeeded` for a file that was never meant to hold weights.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(4096)
    if not start:
        return UsageError(f"{path}: it is empty, nothing of it was downloaded; fetch it again")
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return UsageError(
            f"{path}: it is a pointer of Git LFS that stands for the file, not the file itself; run 'git lfs pull' in "
            "the repository, or download the file from its page"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE):
        return UsageError(
            f"{path}: it is a web page, not the file: the server showed a page instead of it, as Google Drive does for "
            "large files and when too many people fetched one; open the link in a browser and download from there"
        )
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path, size)
    for magic, name in _PACKED:
        if start.startswith(magic):
            return UsageError(f"{path}: it is packed ({name}); unpack it, and give what comes out")
    if start[257:262] == b"ustar":
        return UsageError(f"{path}: it is a tar archive; unpack it, and give the folder")
    for magic, name in _OTHER:
        if start.startswith(magic):
            return NotNeeded(f"{path}: it is {name}; it holds no weights")
    if _is_text(start) and not _TEXT_PICKLE.match(start):
        first = start.decode("utf-8", "replace").strip().splitlines() or [""]
        return NotNeeded(f"{path}: it is text ({first[0][:40]!r}); it holds no weights")
    return None


def _zip(path: Path, size: int) -> UsageError | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (ValueError, NotImplementedError):  # names that are no text, versions that are none
        return UsageError(f"{path}: its table of contents is damaged; download it again")
    except (OSError, zipfile.BadZipFile):
        return UsageError(f"{path}: its end is missing: only {size:,} bytes of it are here; download it again")
    if any(Path(name).name in ("data.pkl", "constants.pkl") for name in names):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return UsageError(f"{path}: it holds NumPy arrays, none of those that vceval knows: {_shown(names)}")
    return UsageError(
        f"{path}: it is a zip archive of {len(names)} files ({_shown(names)}); file what is in it "
        "with: vceval checkpoints add PATH"
    )


def _shown(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _is_text(start: bytes) -> bool:
    if len(start) == 4096:
        start = start[:-4]  # it may break off within a character
    for cut in range(4):
        try:
            text = start[: len(start) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return all(character.isprintable() or character.isspace() for character in text)
    return False


def is_zip(path: Path) -> bool:
    """Whether a file ends as a zip archive does that can be read; one of several parts can't."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return False


def check_zip(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive that would unpack to far more than it is.

    Args:
        archive: the archive, open.
        size: its bytes on the disk.

    Raises:
        UsageError: it would.
    """
    total = sum(item.file_size for item in archive.infolist())
    if total > _RATIO * size + _SLACK:
        raise UsageError(f"the archive of {size:,} bytes claims to unpack to {total:,}")


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as those of the library safetensors do: the length of a JSON table, and the table."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(9)
    return len(start) == 9 and 2 <= int.from_bytes(start[:8], "little") <= size - 8 and start[8:] == b"{"
