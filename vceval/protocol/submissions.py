"""The submissions of the Voice Conversion Challenge 2020, as its organisers publish them with the listening test.

``T01.zip`` to ``T33.zip`` hold ``T01/task1/team01_intra-TEM1_SEF1_E30001.wav`` and so on: the team, the task (task 1
within English, task 2 across languages), the target, the source, the sentence. ``SOU.zip`` holds the unconverted
sources in the same way, as ``team34``, and ``TAR.zip`` natural speech of the targets, ``ref-TEM1_E30021.wav``.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vceval.checkpoints.containers import is_zip
from vceval.corpora.base import gender_of
from vceval.errors import UsageError
from vceval.protocol.known import Known
from vceval.protocol.manifest import TABLE
from vceval.protocol.pairing import Conversions, Line, gather
from vceval.storage.files import replacing

__all__ = ["are_submissions", "read_submissions"]

_PART = re.compile(r"(T\d\d|SOU|TAR)(\.zip)?", re.IGNORECASE)
_TEAM = re.compile(r"T\d\d(\.zip)?", re.IGNORECASE)
_CONVERTED = re.compile(r"(team\d\d_(?:intra|cross))-(T[EFGM][FM]\d)_(SE[FM]\d)_(E\d{5})\.wav")
_NATURAL = re.compile(r"ref-(T[EFGM][FM]\d)_([EFGM]\d{5})\.wav")
#: The system that is the unconverted sources.
_SOURCE = re.compile("team34_")
#: Files that a message names.
_NAMED = 3


def are_submissions(folder: Path) -> bool:
    """Whether a folder holds the submissions: archives or folders of teams, one of them with files named so."""
    if not folder.is_dir():
        return False
    teams = (path for path in sorted(folder.iterdir()) if _TEAM.fullmatch(path.name))
    return any(_CONVERTED.fullmatch(name) for path in teams for name in _names(path))


def read_submissions(folder: Path, known: Known | None) -> Conversions:
    """Read all submissions; an archive is unpacked beside itself, once.

    The source of a conversion is the utterance that a known corpus has, or else what ``SOU`` holds; the target the
    speaker that the corpus knows, or else a recording that ``TAR`` holds, English where there is one.

    Raises:
        UsageError: an archive is damaged.
    """
    unpacked, files = 0, []
    for path in sorted(folder.iterdir()):
        if (part := _PART.fullmatch(path.name)) and path.is_file():
            unpacked += _unpack(path, folder / part[1].upper())
    for path in sorted(folder.iterdir()):
        if path.is_dir() and _PART.fullmatch(path.name):
            files += sorted(path.rglob("*.wav"))
    sources: dict[str, Path] = {}
    targets: dict[str, list[Path]] = defaultdict(list)
    strange = []
    conversions: list[tuple[Path, re.Match[str]]] = []
    for path in files:
        if (found := _CONVERTED.fullmatch(path.name)) and _SOURCE.match(path.name):
            sources[_said(found)] = path
        elif found:
            conversions.append((path, found))
        elif natural := _NATURAL.fullmatch(path.name):
            targets[natural[1]].append(path)
        else:
            strange.append(path)
    voices = {name: min(some, key=lambda path: ("_E" not in path.name, path.name)) for name, some in targets.items()}
    gathered = gather([_line(path, found, sources, voices, known) for path, found in conversions], known)
    gathered.notes.insert(
        0,
        f"submissions of the Voice Conversion Challenge 2020: {len(conversions):,} conversions, {len(sources):,} "
        f"sources (SOU), {sum(map(len, targets.values())):,} natural recordings of {len(targets)} targets (TAR)"
        + (f"; {unpacked} archives were unpacked beside themselves" if unpacked else ""),
    )
    if strange:
        named = ", ".join(path.name for path in strange[:_NAMED])
        gathered.notes.append(f"{len(strange)} files are named in another way and left out, such as {named}")
    return gathered


def _names(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield from (file.name for file in path.rglob("*.wav"))
    elif is_zip(path):
        with zipfile.ZipFile(path) as archive:
            yield from (PurePosixPath(name).name for name in archive.namelist())


def _unpack(archive: Path, folder: Path) -> int:
    """Unpack the recordings of both tasks; whether there was anything to do."""
    if folder.exists():
        return 0
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                parts = PurePosixPath(member.filename).parts
                if len(parts) < 2 or parts[-2] not in ("task1", "task2") or not parts[-1].endswith(".wav"):
                    continue
                if parts[0] == "__MACOSX":
                    continue
                place = folder / parts[-2] / parts[-1]
                place.parent.mkdir(parents=True, exist_ok=True)
                with replacing(place) as stream:
                    stream.write(packed.read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{archive}: is damaged ({error}); remove {folder}, where it was unpacked in part, and download it again"
        ) from error
    return 1


def _said(found: re.Match[str]) -> str:
    """Task, target, source and sentence, whoever converted."""
    return found[0].partition("_")[2]


def _line(
    path: Path, found: re.Match[str], sources: dict[str, Path], voices: dict[str, Path], known: Known | None
) -> Line:
    system, target, source, sentence = found.groups()
    line = Line(str(path), dict.fromkeys(TABLE.names, ""))
    line.paths["converted"] = path
    line.values |= {
        "system": system, "language": "en", "dataset": "vcc2020", "source_speaker": source,
        "source_gender": gender_of(source[2]) or "", "target_speaker": target,
        "target_gender": gender_of(target[2]) or "",
    }  # fmt: skip
    sides = (("source", f"{source}_{sentence}", sources.get(_said(found))), ("target", target, voices.get(target)))
    for side, name, recording in sides:
        if not (known is not None and line.name(side, name, known)) and recording is not None:
            line.paths[side] = recording
    return line
