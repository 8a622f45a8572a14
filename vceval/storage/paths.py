"""Paths that come from other people's files: a manifest may only name what lies in its own folder."""

from __future__ import annotations

import contextlib
import difflib
import os
import unicodedata
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath

from vceval.errors import UsageError

__all__ = ["composed", "existing", "hint", "no_such_file", "no_such_folder", "resolve_inside"]

#: Encodings that names of files had before UTF-8, or have in archives of other systems.
_ENCODINGS = ("latin-1", "cp1252", "cp437", "cp850", "cp932", "gbk", "euc-jp", "euc-kr", "big5", "cp1251", "koi8-r")
#: Names of a folder among which a similar one is looked for: of more, those that begin like it.
_SEARCHED = 200


def existing(path: Path) -> Path:
    """Find a file whose name may be written in another way: the path itself where it is there, or where nothing fits.

    Folders and files are looked for under their names in the other Unicode form (composed or decomposed, as macOS
    writes é), and under names in bytes of an older encoding. One is taken only where it is the only one that fits.
    """
    if os.path.lexists(path) or "\0" in str(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        here = found / part
        if not os.path.lexists(here):
            fitting = _fitting(found, part)
            if len(fitting) != 1:
                return path
            here = found / fitting[0]
        found = here
    return found


def no_such_file(path: Path) -> str:
    """Say that a file is not there, and what may have been meant."""
    return f"{path}: no such file{hint(path)}"


def no_such_folder(path: Path) -> str:
    """Say that a folder is not there, and what may have been meant."""
    return f"{path}: no such folder{hint(path)}"


def hint(path: Path) -> str:
    """What may have been meant by a path that is not there: the end of a sentence, empty where nothing is near."""
    if os.path.isdir(path):  # noqa: PTH112 - False, not an error, where a name is too long
        return "; it is a folder"
    slashed = str(path).replace("\\", "/")
    if slashed != str(path) and os.path.exists(slashed):  # noqa: PTH110 - the same
        return f"; {slashed} is there: write / in place of \\"
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - False, not an error, where a name is too long
        above = next((place for place in folder.parents if os.path.isdir(place)), folder)  # noqa: PTH112
        return f"; its folder is not there either, {above} is"
    several = _fitting(folder, path.name)
    if len(several) > 1:
        return f"; {len(several)} names in its folder could be meant: {', '.join(several[:3])}"
    near = _nearest(_listed(folder), path.name)
    return f"; the nearest name in its folder is {near}" if near else ""


def composed(name: str) -> str:
    """A name in the Unicode form in which texts are usually written: é as one character."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


@dataclass(frozen=True, slots=True)
class _Names:
    """Names in a folder, sorted; what they are alike by (case, suffix); and what those that are not ASCII may say."""

    names: list[str]
    alike: Mapping[str, str]
    said: Mapping[str, list[str]]


def _fitting(folder: Path, name: str) -> list[str]:
    """Names in a folder that are another way to write a name."""
    if name.isascii():
        return []
    said = _listed(folder).said
    return sorted({one for reading in _readings(name) for one in said.get(reading, ())})


def _nearest(listed: _Names, name: str) -> str | None:
    for key in (name.casefold(), Path(name).stem.casefold()):
        if key in listed.alike:
            return listed.alike[key]
    names = listed.names
    if len(names) > _SEARCHED:
        place = bisect(names, name)
        names = names[max(0, place - _SEARCHED // 2) : place + _SEARCHED // 2]
    return next(iter(difflib.get_close_matches(name, names, 1)), None)


def _readings(name: str) -> set[str]:
    """What a name may say: itself, composed, and what older encodings make of bytes in it that are no UTF-8."""
    raw = os.fsencode(name)
    found = {name}
    if any("\udc80" <= letter <= "\udcff" for letter in name):
        for encoding in _ENCODINGS:
            with contextlib.suppress(UnicodeDecodeError):
                found.add(raw.decode(encoding))
    return {composed(one) for one in found}


def _listed(folder: Path) -> _Names:
    try:
        return _listing(folder, folder.stat().st_mtime_ns)
    except OSError:
        return _Names([], {}, {})


@lru_cache(maxsize=64)
def _listing(folder: Path, _changed: int) -> _Names:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    alike = {Path(name).stem.casefold(): name for name in names} | {name.casefold(): name for name in names}
    said: dict[str, list[str]] = {}
    for name in names:
        if not name.isascii():
            for reading in _readings(name):
                said.setdefault(reading, []).append(name)
    return _Names(names, alike, said)


def resolve_inside(root: Path | None, value: str, where: str, beside: Path | None = None, option: str = "") -> Path:
    """Resolve a path written in a manifest and make sure that it stays in its root.

    Links are followed, so one that leads out of the root is refused too. The file need not exist; one whose name is
    written in another way (:func:`existing`) is found.

    Args:
        root: the folder that relative paths start from and must stay in. None is for paths that are nobody else's: they
            start from the working directory and may lead anywhere.
        value: the path as written: relative to ``root``, or an absolute one inside of it.
        where: file and line of the value, for the message (``scores.csv:3``).
        beside: the folder of the manifest, where the root is another one: a relative path that leads to no file from
            the root, or out of it, starts from there.
        option: what gives another root, such as ``--root``.

    Returns:
        The absolute path, all links resolved.

    Raises:
        UsageError: the path is empty, names a drive or leads out of the root.
    """
    if not value.strip() or "\0" in value:
        raise UsageError(f"{where}: {value!r} is no path of a file")
    if PureWindowsPath(value).drive:
        raise UsageError(
            f"{where}: {value!r} is a path of another system; write it relative to {root or Path.cwd()}, or give "
            "another root"
        )
    base = os.path.realpath(root or "")
    inside = base.rstrip(os.sep) + os.sep
    found = _real(base, value)
    if beside is not None and not (os.path.lexists(found) and found.startswith(inside)):
        other = _real(os.path.realpath(beside), value)
        if other.startswith(inside) and (os.path.lexists(other) or not found.startswith(inside)):
            found = other
    if root is not None and found != base and not found.startswith(inside):
        root_option = f" ({option})" if option else ""
        raise UsageError(
            f"{where}: {value!r} leads to {found}, outside of {base}; "
            f"move the file into that folder, or give another root that holds it{root_option}"
        )
    return Path(found)


def _real(base: str, value: str) -> str:
    found = os.path.realpath(os.path.join(base, value))  # noqa: PTH118 - twice as fast, and called once per recording
    return found if os.path.lexists(found) else os.path.realpath(existing(Path(found)))
