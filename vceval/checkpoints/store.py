"""The weight files of converters and metrics: which there are, where they lie here, filing and checking them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vceval import registry
from vceval.checkpoints.containers import NotNeeded
from vceval.checkpoints.known_files import UNNEEDED
from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import UsageError
from vceval.storage.cache import file_digest

__all__ = [
    "FOREIGN",
    "MADE_UP",
    "OTHER",
    "PUBLISHED",
    "UNKNOWN",
    "Filed",
    "add",
    "catalogue",
    "check",
    "edition",
    "editions",
    "file_named",
    "files_named",
    "files_of",
    "find",
    "locate",
    "mark_made_up",
    "missing",
    "store",
    "users",
]


@dataclass(frozen=True)
class Filed:
    """A file in the store: what it is, where, which edition, and its SHA-256."""

    file: WeightFile
    path: Path
    edition: str
    sha256: str


def store() -> Path:
    """Folder of filed weights: ``$VCEVAL_CHECKPOINTS``, else ``vceval/checkpoints`` among the user's data."""
    named = os.environ.get("VCEVAL_CHECKPOINTS")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(named or f"{data}/vceval/checkpoints").expanduser()


@cache
def _by_user() -> dict[str, tuple[WeightFile, ...]]:
    """The files of every converter, and of every metric and recipe that has some."""
    found: dict[str, tuple[WeightFile, ...]] = {}
    named = [("converter", name) for name in registry.names("converter")]
    for metric in registry.names("metric"):
        with contextlib.suppress(UsageError):
            recipes = registry.load("metric", metric).recipes
            named += [("metric", name) for name in (metric, *(f"{metric}:{recipe}" for recipe in recipes))]
    for kind, name in named:
        with contextlib.suppress(UsageError):  # a broken plug-in is told by `vceval list` and by `vceval doctor`
            files = tuple(getattr(registry.load(kind, name), "files", ()))
            if files or kind == "converter":
                found[name] = files
    return found


def catalogue() -> dict[str, WeightFile]:
    """Give every known file by name: those of plug-ins, and those known to be told from them."""
    return {file.name: file for files in (*_by_user().values(), UNNEEDED) for file in files}


def users(file: WeightFile) -> list[str]:
    """Name the converters and metrics that use a file."""
    return [name for name, files in _by_user().items() if any(other.name == file.name for other in files)]


def files_of(user: str) -> tuple[WeightFile, ...]:
    """Give the files of one converter or metric; none for a name that is neither."""
    return _by_user().get(user, ())


def file_named(name: str) -> WeightFile:
    """Find a known file by its name.

    Raises:
        UsageError: no file is called so.
    """
    known = catalogue()
    if name not in known:
        raise registry.unknown_name("weight file", name, sorted(known))
    return known[name]


def files_named(name: str) -> tuple[WeightFile, ...]:
    """Give the files of a converter or metric, or the one file of that name.

    Raises:
        UsageError: neither is called so, or the converter needs no files.
    """
    found = files_of(name)
    if found:
        return found
    known = catalogue()
    if name in known:
        return (known[name],)
    if name in registry.names("converter"):
        raise UsageError(f"converter {name} needs no weight files of this kind")
    having = [user for user, files in _by_user().items() if files]
    raise registry.unknown_name("converter, metric or weight file", name, [*having, *sorted(known)])


def locate(file: WeightFile, folder: Path | None = None) -> Path | None:
    """Find a file by the authors' names, in ``folder`` if one is given, else in the store; None where it is not."""
    place = folder or store()
    names = [file.name, *file.also_called]
    for name in [*names, *(Path(name).name for name in names if folder is not None)]:
        if (place / name).is_file():
            return place / name
    return None


def find(file: WeightFile, folder: Path | None = None) -> Path:
    """Find a file.

    Raises:
        UsageError: it is not there; the error says where to get it and how to file it.
    """
    found = locate(file, folder)
    if found is None:
        raise UsageError(
            f"{file.name} is not in {folder or store()}: {file.holds}. Get it from {file.url or file.page} and "
            f"file it with: vceval checkpoints add PATH"
        )
    return found


def missing(files: Iterable[WeightFile], folder: Path | None = None) -> list[str]:
    """Say of each file that is not there where to get it and how to file it."""
    messages = []
    for file in files:
        try:
            find(file, folder)
        except UsageError as error:
            messages.append(str(error))
    return messages


def add(path: Path, name: str | None = None) -> Filed:
    """Recognise a file by its content, check every name and shape in it, and copy it into the store.

    Args:
        path: the downloaded file.
        name: what it is meant to be; needed only where the layouts of several known files are equal.

    Raises:
        UsageError: it can't be read, is something else (what, is said), or can be several files.
    """
    from vceval.checkpoints.recognise import recognise, refusal

    known = catalogue()
    if name is not None:
        file = _needed(path, file_named(name))
        wrong = refusal(path, file, known)
        if wrong:
            raise UsageError(wrong)
    else:
        result = recognise(path, known)
        if not result.files:
            raise UsageError(f"{path}: not filed, {result.reason}")
        if len(result.files) > 1:
            names = " or ".join(file.name for file in result.files)
            raise UsageError(f"{path}: it can be {names}, their layouts are the same; say which: --as NAME")
        file = _needed(path, result.files[0])
    return Filed(file, _copy(path, file), edition(file, path), file_digest(path))


#: What is said of files: known by hash or, where no hash is, by size; of another one; where nothing is known; and of
#: one that says itself that it is made up.
PUBLISHED, OTHER, UNKNOWN, MADE_UP = (
    "the published file", "unknown edition: not the published file", "unknown edition: no hash of it was published",
    "unknown edition: made-up values, so the sound says nothing",
)  # fmt: skip
#: What has none of the training speakers of the published file.
FOREIGN = (OTHER, MADE_UP)


def edition(file: WeightFile, path: Path) -> str:
    """Say whether a file on the disk is the published one: ``PUBLISHED``, ``OTHER``, ``UNKNOWN`` or ``MADE_UP``."""
    if _made_up(path).exists():
        return MADE_UP
    if file.sha256 is not None:
        same = file_digest(path) == file.sha256
    elif file.git_sha1 is not None:
        same = _git_sha1(path) == file.git_sha1
    elif file.size is not None:
        same = path.stat().st_size == file.size
    else:
        return UNKNOWN
    return PUBLISHED if same else OTHER


def editions(files: Iterable[WeightFile], there: Mapping[str, Path]) -> dict[str, str]:
    """Say of files that are there, by name, which editions they are."""
    known = {file.name: file for file in files}
    return {name: edition(known[name], path) for name, path in sorted(there.items()) if name in known}


def mark_made_up(path: Path) -> None:
    """Write beside a file of weights that its values are made up."""
    _made_up(path).write_text(f"The values of {path.name} are made up: what it converts says nothing of any system.\n")


def _made_up(path: Path) -> Path:
    return path.with_name(path.name + ".made-up")


def _needed(path: Path, file: WeightFile) -> WeightFile:
    if file.unneeded:
        raise NotNeeded(f"{path}: it is {file.name} ({file.holds}), which is not needed: {file.unneeded}")
    return file


def _copy(path: Path, file: WeightFile) -> Path:
    place = store() / file.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if not (place.exists() and place.samefile(path)):
        partial = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            shutil.copyfile(path, partial)
            partial.replace(place)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise UsageError(f"{path}: can't be copied to {place} ({error.strerror})") from error
    record = {"sha256": file_digest(place), "bytes": place.stat().st_size, "from": path.name}
    _record(place).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return place


def _record(place: Path) -> Path:
    return place.with_name(place.name + ".filed.json")


def _git_sha1(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check(file: WeightFile) -> str:
    """Check a filed file again: its bytes against the record made when it was filed, its layout against the network.

    Returns:
        What is wrong; empty where nothing is.

    Raises:
        UsageError: it is not in the store.
    """
    from vceval.checkpoints.recognise import refusal

    place = find(file)
    try:
        record = dict(json.loads(_record(place).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        record = {}
    if record.get("sha256") not in (None, file_digest(place)):
        return f"{place} has changed since it was filed; file it again with: vceval checkpoints add PATH"
    try:
        return refusal(place, file, catalogue())
    except UsageError as error:
        return str(error)
