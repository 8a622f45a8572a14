"""What the folder of each known corpus looks like, so that a wrong folder gets a helpful message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vceval.corpora.base import CorpusInfo
from vceval.errors import UsageError

__all__ = ["LAYOUTS", "STANDARD_SPLITS", "Layout", "locate", "named", "recognise", "subfolders", "vcc2020_speakers"]

#: Subsets as LibriSpeech and LibriTTS distribute them.
STANDARD_SPLITS = (
    "dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500",
)  # fmt: skip

_VCC2020_SPEAKER = re.compile(r"SE[FM]\d|T[EFGM][FM]\d")
#: Folders between the root of VCC2020 and its speakers: as the archives unpack, alone or each in its own folder.
_VCC2020_FOLDER = re.compile(
    r"source|target_task[12]|vcc2020_(database_)?(training|evaluation|groundtruth)(_source|_target_task[12])?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How to tell that a folder holds a corpus.

    looked_for: what a message says was looked for.
    matches: a quick test of one folder; it opens no audio.
    usual: names that the folder has when it is unpacked, tried first one level down.
    """

    title: str
    looked_for: str
    matches: Callable[[Path], bool]
    usual: tuple[str, ...]

    def fits(self, folder: Path) -> bool:
        """Test a folder that nobody named: one that can't be read does not match."""
        try:
            return self.matches(folder)
        except (OSError, UsageError):
            return False


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


def locate(root: Path, info: CorpusInfo) -> Path:
    """Find the folder of a corpus: the given one, or one directly in it.

    Raises:
        UsageError: neither has the corpus's layout (the message says what it looks like instead), or several
            folders in it do.
    """
    layout = LAYOUTS[info.name]
    if layout.matches(root):
        return root
    inside = subfolders(root)
    for name in layout.usual:
        if name in inside and layout.fits(inside[name]):
            return inside[name]
    found = [folder for folder in inside.values() if layout.fits(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        several = named([str(folder) for folder in found])
        raise UsageError(f"{root}: holds several folders that look like {info.title}; give one of them: {several}")
    raise UsageError(
        f"{root}: no {info.title} here; looked for {layout.looked_for} in it and in the folders in it; "
        + _instead(root, info)
    )


def recognise(folder: Path) -> str | None:
    """Name the corpus whose layout a folder has; None when it has none that is known."""
    return next((name for name, layout in LAYOUTS.items() if layout.fits(folder)), None)


def _instead(root: Path, info: CorpusInfo) -> str:
    """Say what a folder looks like that is not the corpus asked for."""
    seen = [(root, "this looks like")]
    seen += [(folder, f"its folder {name} looks like") for name, folder in subfolders(root).items()]
    for folder, words in seen:
        other = recognise(folder)
        if other is not None:
            return f"{words} {LAYOUTS[other].title}: use corpus {other}"
    for parent in root.absolute().parents[:3]:
        if LAYOUTS[info.name].fits(parent):
            return f"{parent} looks like it: give that folder"
    with os.scandir(root) as entries:
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    return f"it holds {named(names)}" if names else "it is empty"


def _has(name: str) -> Callable[[Path], bool]:
    return lambda folder: (folder / name).is_dir()


def _chapters(folder: Path) -> Iterator[Path]:
    for split in subfolders(folder).values():
        yield from _chapters_of_split(split)


def _chapters_of_split(split: Path) -> Iterator[Path]:
    for speaker, path in subfolders(split).items():
        if speaker.isdecimal():
            yield from (chapter for name, chapter in subfolders(path).items() if name.isdecimal())


def _libri(suffix: str) -> Callable[[Path], bool]:
    """Test for <split>/<speaker>/<chapter>/*<suffix>, from the folder of all splits or of one."""

    def matches(folder: Path) -> bool:
        # The first chapters tell: both corpora have the same folders, but FLAC or WAV in them
        for walk in (_chapters, _chapters_of_split):
            for _, chapter in zip(range(20), walk(folder), strict=False):
                with os.scandir(chapter) as entries:
                    suffixes = {os.path.splitext(entry.name)[1].lower() for entry in entries}  # noqa: PTH122
                if suffixes & {".flac", ".wav"}:
                    return suffix in suffixes
        return False

    return matches


def _aishell3(folder: Path) -> bool:
    return any(
        re.fullmatch(r"SSB\d+", name, re.IGNORECASE)
        for split in ("train", "test")
        for name in subfolders(folder / split / "wav")
    )


def vcc2020_speakers(folder: Path, depth: int = 3) -> Iterator[Path]:
    """Every speaker folder of VCC2020 in the folders that its archives unpack to, sorted by path."""
    for name, path in subfolders(folder).items():
        if _VCC2020_SPEAKER.fullmatch(name.upper()):
            yield path
        elif depth and _VCC2020_FOLDER.fullmatch(name):
            yield from vcc2020_speakers(path, depth - 1)


LAYOUTS: Mapping[str, Layout] = {
    "vctk": Layout(
        "VCTK 0.92",
        "wav48_silence_trimmed/<speaker>/<speaker>_<number>_mic1.flac",
        _has("wav48_silence_trimmed"),
        ("VCTK-Corpus-0.92", "VCTK-Corpus", "VCTK"),
    ),
    "vctk080": Layout(
        "VCTK 0.80",
        "wav48/<speaker>/<speaker>_<number>.wav",
        _has("wav48"),
        ("VCTK-Corpus", "VCTK-Corpus-0.80", "VCTK"),
    ),
    "libritts": Layout(
        "LibriTTS",
        "<split>/<speaker>/<chapter>/*.wav (split: test-clean and so on)",
        _libri(".wav"),
        ("LibriTTS", "LibriTTS_R"),
    ),
    "librispeech": Layout(
        "LibriSpeech",
        "<split>/<speaker>/<chapter>/*.flac (split: test-clean and so on)",
        _libri(".flac"),
        ("LibriSpeech",),
    ),
    "vcc2020": Layout(
        "VCC2020",
        "source/SEF1, target_task1/TEF1, target_task2/TFF1 or vcc2020_database_evaluation/SEF1",
        lambda folder: next(vcc2020_speakers(folder), None) is not None,
        ("VCC2020-database", "VCC2020", "vcc2020"),
    ),
    "aishell3": Layout(
        "AISHELL-3",
        "train/wav/SSB0005 or test/wav/SSB0005",
        _aishell3,
        ("AISHELL-3", "data_aishell3"),
    ),
    "csv": Layout(
        "a CSV manifest",
        "utterances.csv",
        lambda folder: (folder / "utterances.csv").is_file(),
        (),
    ),
}
