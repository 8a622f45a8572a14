"""Recognising weight files by what is in them: names and shapes of tensors, not the file's name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.converters.weightfile import WeightFile
from vceval.errors import UsageError

__all__ = ["Recognised", "recognise", "refusal"]

#: Share of a layout's names that a file must have for a guess at what it was meant to be.
_ALIKE = 0.3


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

    Where layouts are equal (FreeVC at 16 and at 24 kHz, say), the file's own name decides if it is one of theirs.

    Raises:
        UsageError: the file can't be read, or was refused because reading it could run code.
    """
    found = [file for file in known.values() if file.form == "json" and _named(path, file) and _is_json(path)]
    if not found:
        found, reason = _by_content(path, known)
        if not found:
            return Recognised((), reason)
    named = [file for file in found if _named(path, file)]
    return Recognised(tuple(named if len(named) == 1 else found))


def _named(path: Path, file: WeightFile) -> bool:
    return path.name in {Path(name).name for name in (file.name, *file.also_called)}


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def _by_content(path: Path, known: Mapping[str, WeightFile]) -> tuple[list[WeightFile], str]:
    from vceval.networks import arrays, weights

    found: list[WeightFile] = []
    refused: UsageError | None = None
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
    for file in known.values():
        if file.form == "weights" and not _wrong(content, file):
            found.append(file)
    return found, "" if found else _nearest(content, known)


def _wrong(content: Any, file: WeightFile) -> str:
    """Say how content differs from a file's layout; empty where it does not."""
    from vceval.networks import weights

    try:
        tensors = weights.select(content, file.entry, file.groups, file.prefix, file.ignored)
    except UsageError as error:
        return str(error)
    differing = weights.differences(weights.shapes_of(tensors), file.layout())
    if differing:
        return str(differing)
    stated = content.get("", {}) if isinstance(content, Mapping) else {}
    for name, value in file.attributes:
        if isinstance(stated, Mapping) and name in stated and stated[name] != value:
            return f"its {name} is {stated[name]}, not {value}"
    return ""


def _tables(content: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Find every table of tensors in a file, and where it stands."""
    import torch

    if not isinstance(content, Mapping) or len(at) > 3:
        return
    names = {str(key) for key, value in content.items() if isinstance(value, torch.Tensor)}
    if names:
        yield at, names
    for key, value in content.items():
        if key != "":
            yield from _tables(value, (*at, str(key)))


def _nearest(content: Any, known: Mapping[str, WeightFile]) -> str:
    """Say what the file was perhaps meant to be, and what is wrong with it then."""
    best: tuple[float, WeightFile, tuple[str, ...]] | None = None
    tables = list(_tables(content))
    if not tables:
        return "it holds no tensors by name"
    for file in known.values():
        if file.form != "weights":
            continue
        layout = file.layout()
        for at, names in tables:
            start = ".".join(at[len(file.entry) :]) + "." if file.groups and len(at) > len(file.entry) else ""
            whole = {start + name.removeprefix(file.prefix) for name in names}
            share = len(whole & set(layout)) / max(len(layout), 1)
            if best is None or share > best[0]:
                best = (share, file, at)
    total = sum(len(names) for _, names in tables)
    if best is None or best[0] < _ALIKE:
        return f"its {total} tensors are those of no network that vceval knows (vceval checkpoints list)"
    share, file, at = best
    place = f" under {'/'.join(at)}" if at else ""
    return (
        f"it is most like {file.name} ({file.holds}): {share:.0%} of its names are there{place}, "
        f"but it does not fit: {_wrong(content, file)}"
    )


def refusal(path: Path, wanted: WeightFile, known: Mapping[str, WeightFile]) -> str:
    """Say in plain words why a file can't be used as ``wanted``; empty where it can.

    Raises:
        UsageError: the file can't be read.
    """
    from vceval.networks import weights

    if wanted.form != "weights":
        wanted.plain(path)
        return ""
    content = weights.read(path)
    wrong = _wrong(content, wanted)
    if not wrong:
        return ""
    others = [file for name, file in known.items() if name != wanted.name and file.form == "weights"]
    actual = [file for file in others if not _wrong(content, file)]
    if actual:
        return (
            f"{path} is {' or '.join(f'{file.name} ({file.holds})' for file in actual)}, "
            f"not {wanted.name} ({wanted.holds}); get that from {wanted.url or wanted.page}"
        )
    return f"{path} is not {wanted.name} ({wanted.holds}): {wrong}"
