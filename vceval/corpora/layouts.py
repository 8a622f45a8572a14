"""What the folder of a corpus looks like, so that a wrong folder gets a helpful message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vceval import registry
from vceval.corpora.base import Corpus
from vceval.errors import UsageError

__all__ = ["Layout", "has_folder", "locate", "named", "recognise", "subfolders"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How to tell that a folder holds a corpus; a corpus's class carries its own.

    looked_for: what a message says was looked for.
    matches: a quick test of one folder; it opens no audio.
    usual: names that the folder has when it is unpacked, tried first one level down.
    """

    looked_for: str
    matches: Callable[[Path], bool]
    usual: tuple[str, ...] = ()

    def fits(self, folder: Path) -> bool:
        """Test a folder that nobody named: one that can't be read does not match."""
        try:
            return self.matches(folder)
        except (OSError, UsageError):
            return False


def has_folder(name: str) -> Callable[[Path], bool]:
    """Make the test of a folder that has a folder of this name in it."""
    return lambda folder: (folder / name).is_dir()


def subfolders(folder: Path) -> dict[str, Path]:
    """Name and path of every visible folder in a folder, sorted by name; links to folders count."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if not entry.name.startswith((".", "__")) and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{folder}: can't be read ({error.strerror}); check its permissions") from error
    return {name: folder / name for name in sorted(found)}


def named(names: list[str], limit: int = 8) -> str:
    """List a few names and say how many there are besides."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def locate(root: Path, kind: type[Corpus], layout: Layout) -> Path:
    """Find the folder of a corpus: the given one, or one directly in it.

    Raises:
        UsageError: neither has the corpus's layout (the message says what it looks like instead), or several
            folders in it do.
    """
    if layout.matches(root):
        return root
    inside = subfolders(root)
    for name in layout.usual:
        if name in inside and layout.fits(inside[name]):
            return inside[name]
    found = [folder for folder in inside.values() if layout.fits(folder)]
    if len(found) == 1:
        return found[0]
    title = kind.info.title
    if found:
        several = named([str(folder) for folder in found])
        raise UsageError(f"{root}: holds several folders that look like {title}; give one of them: {several}")
    raise UsageError(
        f"{root}: no {title} here; looked for {layout.looked_for} in it and in the folders in it; "
        + _instead(root, layout)
    )


def recognise(folder: Path) -> tuple[str, type[Corpus]] | None:
    """Name the registered corpus whose layout a folder has, with its class; None when it has none that is known."""
    return next(((name, kind) for name, kind, layout in _laid_out() if layout.fits(folder)), None)


def _laid_out() -> Iterator[tuple[str, type[Corpus], Layout]]:
    """Every registered corpus that can be told by its folder; manifests last, as one may lie in any folder."""
    kinds: dict[str, type[Corpus]] = {}
    for name in registry.names("corpus"):
        try:
            kinds[name] = registry.load("corpus", name)
        except UsageError:
            continue  # a broken plug-in is told by `vceval list corpora` and by `vceval doctor`
    for name, kind in sorted(kinds.items(), key=lambda item: item[0] == "csv"):
        if kind.layout is not None:
            yield name, kind, kind.layout


def _instead(root: Path, layout: Layout) -> str:
    """Say what a folder looks like that is not the corpus asked for."""
    seen = [(root, "this looks like")]
    seen += [(folder, f"its folder {name} looks like") for name, folder in subfolders(root).items()]
    for folder, words in seen:
        other = recognise(folder)
        if other is not None:
            return f"{words} {other[1].info.title}: use corpus {other[0]}"
    for parent in root.absolute().parents[:3]:
        if layout.fits(parent):
            return f"{parent} looks like it: give that folder"
    with os.scandir(root) as entries:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    return f"it holds {named(names)}" if names else "it is empty"
