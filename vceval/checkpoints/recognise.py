"""Recognising weight files by what is in them: names and shapes of tensors, not the file's name."""

from __future__ import annotations

import json
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.checkpoints.containers import NotNeeded
from vceval.checkpoints.known_files import COMPANIONS
from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import UsageError
from vceval.storage.cache import file_digest

__all__ = ["Recognised", "recognise", "refusal"]

#: Share of a layout's names that a file must have for a guess at what it was meant to be.
_ALIKE = 0.3
#: A table of tensors: the keys that lead to it, and the shape of each tensor.
_Table = tuple[tuple[str, ...], dict[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Recognised:
    """What a file turned out to be.

    files: the known files whose layout it has, name for name and shape for shape; several where layouts are equal.
    reason: in words, why there is none.
    """

    files: tuple[WeightFile, ...]
    reason: str = ""


def recognise(path: Path, known: Mapping[str, WeightFile]) -> Recognised:
    """Find the known files that a file can be.

    Where layouts are equal (FreeVC at 16 and at 24 kHz, say), the published file's hash decides, then what else the
    file states (the samples per frame of a vocoder), then its own name if it is that of one of them.

    Raises:
        UsageError: the file can't be read, or was refused because reading it could run code. ``NotNeeded``, a kind of
            it, for a file that holds no weights of anything.
    """
    if path.name in COMPANIONS:
        raise NotNeeded(f"{path}: it is not needed: {COMPANIONS[path.name]}")
    found, reason = _by_content(path, known)
    if not found:
        return Recognised((), reason)
    named = [file for file in found if _named(path, file)]
    return Recognised(tuple(named if len(named) == 1 else found))


def _named(path: Path, file: WeightFile) -> bool:
    return path.name in {Path(name).name for name in (file.name, *file.also_called)}


def _placed(path: Path, file: WeightFile) -> bool:
    """Whether a path ends in one of a file's names, folders included: every project has a ``config.json``."""
    return any(path.resolve().as_posix().endswith(f"/{name}") for name in (file.name, *file.also_called))


def _by_content(path: Path, known: Mapping[str, WeightFile]) -> tuple[list[WeightFile], str]:
    """Try every form that a file can have, and say why where none fits."""
    from vceval.checkpoints import arrays, weights

    settings = _json(path)
    if settings is not None:
        return _by_settings(path, settings, known)
    found, refused = [], None
    for file in known.values():
        if file.form == "arrays":
            try:
                arrays.read_arrays(path, dict(file.arrays))
                found.append(file)
            except UsageError as error:
                refused = error if _named(path, file) else refused
    if found:
        return found, ""
    if refused is not None:
        raise refused  # named as a file of arrays: what is wrong with it as such is the answer
    content = weights.read(path)
    found = [file for file in known.values() if file.form == "weights" and not _wrong(content, file, path)]
    published = [file for file in found if file.sha256 == file_digest(path)]
    found = published or found
    stated = [file for file in found if file.metadata]
    # A file that needs no attributes to be stated fits as well; the one whose attributes are stated is meant
    if stated and all(name in _stated(content) for file in stated for name, _ in file.metadata):
        found = stated
    return found, "" if found else _nearest(content, known)


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as handle:
            if not handle.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return None
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def _by_settings(path: Path, settings: Any, known: Mapping[str, WeightFile]) -> tuple[list[WeightFile], str]:
    """Find the configuration that this is; one without a check of its own is known by its name and folder."""
    found, wrong = [], ""
    for file in known.values():
        if file.form != "json":
            continue
        try:
            if file.settings:
                pkgutil.resolve_name(file.settings)(str(path), file.name, settings)
                found.append(file)
            elif _placed(path, file):
                found.append(file)
        except UsageError as error:
            wrong = f"; as {file.name}: {error}" if _named(path, file) else wrong
    if not found:
        raise NotNeeded(f"{path}: it is JSON with settings that no converter of vceval reads{wrong}")
    return found, ""


def _stated(content: Any) -> Mapping[Any, Any]:
    """Plain values that a file states beside its tensors."""
    if not isinstance(content, Mapping):
        return {}
    attributes = content.get("", content)
    return attributes if isinstance(attributes, Mapping) else {}


def _wrong(content: Any, file: WeightFile, path: Path | None = None) -> str:
    """Say how content, read from a path, differs from a file's layout; empty where it does not."""
    from vceval.checkpoints import weights

    try:
        tensors = file.tensors(content)
    except UsageError as error:
        return str(error)
    differing = weights.differences(weights.shapes_of(tensors), file.layout())
    if differing:
        return str(differing)
    for name in file.real():
        if not tensors[name].is_floating_point():
            return f"its {name} holds {tensors[name].dtype}, not real numbers"
    if name := weights.endless(tensors):
        return f"its {name} holds values that are not finite"
    stated = _stated(content)
    for name, value in file.metadata:
        if name in stated and stated[name] != value:
            return f"its {name} is {str(stated[name])[:40]}, not {value}"
        if name not in stated and file.unneeded:
            return f"it does not state {name}"
    if path and file.unneeded and file.sha256 and file.sha256 != file_digest(path):
        return "its bytes are not those that were published"
    return ""


def _tables(content: Any, at: tuple[str, ...] = ()) -> Iterator[_Table]:
    """Find every table of tensors in a file, and where it stands."""
    import torch

    if not isinstance(content, Mapping) or len(at) > 3:
        return
    shapes = {str(key): tuple(value.shape) for key, value in content.items() if isinstance(value, torch.Tensor)}
    if shapes:
        yield at, shapes
    for key, value in content.items():
        if key != "":
            yield from _tables(value, (*at, str(key)))


def _nearest(content: Any, known: Mapping[str, WeightFile]) -> str:
    """Say what the file was perhaps meant to be, and what is wrong with it then."""
    tables = list(_tables(content))
    if not tables:
        return "it holds no tensors by name"
    other = _lookalike(tables, known)
    if other:
        return other
    best: tuple[float, float, WeightFile, tuple[str, ...], str] | None = None
    for file in known.values():
        if file.form != "weights":
            continue
        layout = file.layout()
        for at, shapes in _grouped(tables, file.groups) if file.groups else tables:
            for start in _starts(shapes):
                found = _cut(shapes, file, start)
                both = len(found.keys() & layout.keys())
                share = both / max(len(layout), 1)
                likeness = both / len(found.keys() | layout.keys())
                likeness += len(found.items() & layout.items()) / len(found.items() | layout.items())
                likeness -= 0.01 * any(_stated(content).get(name, value) != value for name, value in file.metadata)
                if best is None or likeness > best[0]:
                    best = (likeness, share, file, at, start)
    total = sum(len(shapes) for _, shapes in tables)
    if best is None or best[1] < _ALIKE:
        return f"its {total} tensors are those of no network that vceval knows (vceval checkpoints list)"
    _, share, file, at, start = best
    wrong = (
        f"its names begin with {start!r}, the name of a part of a larger program; those of the published file do not. "
        "Somebody saved it anew"
        if start
        else _wrong(content, file)
    )
    place = f" under {'/'.join(at)}" if at else ""
    return (
        f"it is most like {file.name} ({file.holds}): {share:.0%} of its names are there{place}, "
        f"but it does not fit: {wrong}. Get the authors' file from {file.url or file.page}"
    )


def _grouped(tables: list[_Table], groups: tuple[str, ...]) -> list[_Table]:
    """Put tables together that stand side by side under the names of a file's groups."""
    found: dict[tuple[str, ...], dict[str, tuple[int, ...]]] = {}
    for at, shapes in tables:
        if at and at[-1] in groups:
            found.setdefault(at[:-1], {}).update({f"{at[-1]}.{name}": shape for name, shape in shapes.items()})
    return list(found.items())


def _starts(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Nothing, and what half of the names or more begin with: their first word, or their first two."""
    words = (name.split(".") for name in shapes)
    counts = Counter(f"{'.'.join(parts[:many])}." for parts in words for many in (1, 2) if len(parts) > many)
    return ["", *(start for start, count in counts.items() if 2 * count >= len(shapes))]


def _cut(shapes: Mapping[str, tuple[int, ...]], file: WeightFile, start: str) -> dict[str, tuple[int, ...]]:
    """Take what a file puts before its names off them, and leave out what is not read of it."""
    cut = {name.removeprefix(file.prefix).removeprefix(start): shape for name, shape in shapes.items()}
    return {name: shape for name, shape in cut.items() if not name.startswith(file.ignored)}


def _lookalike(tables: list[_Table], known: Mapping[str, WeightFile]) -> str:
    """Say of a file that people take for a known one what it is."""
    for file in known.values():
        for mark, name in file.lookalikes:
            if any(mark in "/".join((*at, name)) for at, shapes in tables for name in shapes):
                return f"it is {name}; get {file.name} ({file.holds}) from {file.url or file.page}"
    return ""


def refusal(path: Path, wanted: WeightFile, known: Mapping[str, WeightFile]) -> str:
    """Say in plain words why a file can't be used as ``wanted``; empty where it can.

    Raises:
        UsageError: the file can't be read.
    """
    from vceval.checkpoints import weights

    if wanted.form == "json":
        settings = wanted.plain(path)
        if wanted.settings:
            pkgutil.resolve_name(wanted.settings)(str(path), wanted.name, settings)
        return ""
    if wanted.form != "weights":
        wanted.plain(path)
        return ""
    content = weights.read(path)
    others = [file for name, file in known.items() if name != wanted.name and file.form == "weights"]
    wrong = _wrong(content, wanted, path)
    if not wrong:
        # Of the same layout, but it says itself that it is another one
        others = [file for file in others if file.unneeded]
    actual = [file for file in others if not _wrong(content, file, path)]
    if actual:
        return (
            f"{path} is {' or '.join(f'{file.name} ({file.holds})' for file in actual)}, "
            f"not {wanted.name} ({wanted.holds}); get that from {wanted.url or wanted.page}"
        )
    if not wrong:
        return ""
    other = _lookalike(list(_tables(content)), {wanted.name: wanted})
    return f"{path} is not {wanted.name} ({wanted.holds}): {other or wrong}"
