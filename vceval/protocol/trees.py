"""Folders of speech that somebody already converted, read by the names of files."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vceval.corpora.folders import ENDINGS
from vceval.errors import UsageError
from vceval.protocol.known import Known
from vceval.protocol.manifest import TABLE
from vceval.protocol.pairing import SOURCE_STEMS, TARGET_STEMS, UNNAMED, Conversions, Line, gather
from vceval.protocol.patterns import USUAL_FORMS, Pattern
from vceval.records import Utterance
from vceval.signal.audio import MEDIA, ffmpeg_line
from vceval.storage.paths import composed, hint

__all__ = ["is_table", "read_trees", "spread"]

#: Files by which the way of naming is found out.
_LOOKED_AT = 200
#: Ways of naming that a message lists.
_CANDIDATES = 6
#: Recordings by folder and name.
Neighbours = dict[Path, dict[str, Path]]


@dataclass(frozen=True, slots=True)
class _File:
    """A recording: its path, the folder that was named, the path in it, and that with the folder's name before it."""

    path: Path
    folder: Path
    inner: str
    outer: str


@dataclass(slots=True)
class _Reading:
    """One way to read a name, and what of it is there: recordings beside the file, and names that are known."""

    fields: Mapping[str, str]
    beside: dict[str, Path] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    recorded: bool = False

    @property
    def sides(self) -> list[str]:
        """The sides that it names."""
        return [side for side in ("source", "target") if side in self.fields]

    @property
    def lacking(self) -> list[str]:
        """The sides that are nowhere."""
        return [side for side in self.sides if side not in self.beside and side not in self.known]

    @property
    def worth(self) -> tuple[int, bool]:
        """How much of it is there; a target that is a recording is more than one that is a speaker."""
        return len(self.sides) - len(self.lacking), self.recorded


def is_table(path: Path) -> bool:
    """Whether a path is taken for a table: a file that is no recording."""
    return not path.is_dir() and path.suffix.lower() not in (*ENDINGS, *MEDIA)


def spread(paths: Iterable[Path]) -> list[Path]:
    """Paths that are there, those with wildcards spread out.

    Raises:
        UsageError: one leads to nothing.
    """
    found: list[Path] = []
    for path in paths:
        if path.exists() or not glob.has_magic(str(path)):
            some = [path]
        else:
            some = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - of any form, with its root
        if not some or not some[0].exists():
            what = "no such file" if path.suffix else "no such file or folder"
            raise UsageError(f"{path}: {what}{hint(path)}")
        found += some
    return list(dict.fromkeys(found))


def read_trees(paths: Sequence[Path], pattern: str | None = None, known: Known | None = None) -> Conversions:
    """Read folders, and single files, by a pattern (:mod:`vceval.protocol.patterns`) or by the usual one that fits.

    The pattern speaks of the end of the path within a folder that is named, or else of that with the folder's own
    name: ``{system}/{source}_to_{target}.{ext}`` reads ``out/A`` as it reads ``out``.

    The recordings of source and target are looked for beside each converted file: named like the utterance, or
    ``src``/``source`` and ``tgt``/``target``; then in what is known, by the name of an utterance, and for targets of a
    speaker. Speaker, gender and transcript come from there; they are not guessed from a name. Names that are nowhere
    are missing, unless nothing is known and no recording lies beside any file: then names tell pairs only.

    Raises:
        UsageError: a bad pattern, or none fits, or several do; recordings in a form that is not read; one system in two
            folders on the same pair.
    """
    files, cut = _listed(paths)
    if not files:
        raise UsageError(
            f"{_named(paths)}: no recordings here; files that end in {', '.join(sorted(ENDINGS))} are read"
        )
    neighbours = _neighbours(files)
    chosen = Pattern(pattern) if pattern is not None else _usual(files, known, neighbours, paths)
    if "system" not in chosen.fields:
        raise UsageError(f"pattern {chosen.text!r} does not say where the system's name stands: it needs {{system}}")
    readings = _read(files, chosen, known, neighbours)
    if not readings:
        raise UsageError(
            f"{_named(paths)}: none of {len(files)} audio files fits the pattern {chosen.text!r}"
            + f"; the first is {files[0].inner}"
        )
    used = {path for reading in readings.values() for path in reading.beside.values()}
    lenient = known is None and not used
    strays = [file for file in files if file.path not in readings and file.path not in used and not _marked(file)]
    spare = Known((Utterance(f.path.stem, f.path, UNNAMED) for f in files if f.path not in readings), "the folders")
    about = known if known is not None else spare
    search = _Searched(chosen, about, {one.fields["system"] for one in readings.values() if not one.lacking})
    read = [file for file in files if file.path in readings]
    lines = [_line(file, readings[file.path], known) for file in read]
    for file, line in zip(read, lines, strict=True):
        line.missing += filter(None, [_lost(file.path)])
        if not lenient:
            line.missing += search.lacks(file, readings[file.path])
    _check_once(lines, chosen)
    gathered = gather(lines, known)
    natural = [file for file in strays if known is not None and known.find(file.path.stem) is not None]
    lost = {file: f"{file.path}: {search.unfit(file)}" for file in strays if file not in natural}
    gathered.missing += [told for file, told in lost.items() if file.path.stem not in search.meant]
    gathered.missing += [f"{path}: {_lost(path)}" for path in cut]
    if pattern is None:
        gathered.notes.insert(0, f"files are read as {chosen.text}, such as {_example(lines[0], chosen)}")
    if lenient and chosen.fields & {"source", "target"}:
        gathered.notes.append(
            "sources and targets are names only: no recording lies beside the files; --corpus NAME --data DIR finds "
            "those of a corpus, --natural CSV those of a table"
        )
    if natural:
        gathered.notes.append(f"{len(natural)} files bear the names of natural recordings and are not scored")
    return gathered


def _listed(paths: Sequence[Path]) -> tuple[list[_File], list[Path]]:
    """All recordings in folders, sorted, and single ones; a film is passed over where its sound lies beside.

    Besides, links that lead to nothing and don't bear the name of a recording, such as those to a system's folder.

    Raises:
        UsageError: some are in a form that is not read, and were not converted.
        OSError: a folder can't be read.
    """
    found: dict[Path, _File] = {}
    singles = [path for path in paths if not path.is_dir()]
    common = Path(os.path.commonpath([path.parent.absolute() for path in singles])) if singles else Path()
    for path in paths:
        folder = path if path.is_dir() else common
        # A folder bears the name by which it is given, also where that is a link
        name = Path(os.path.abspath(folder)).name  # noqa: PTH100 - resolve() would follow it
        for one in _within(path) if path.is_dir() else [path]:
            inner = composed((one if path.is_dir() else one.absolute()).relative_to(folder).as_posix())
            if not any(part.startswith(".") for part in inner.split("/")):
                found.setdefault(one, _File(one, folder, inner, composed(f"{name}/{inner}")))
    read = [file for file in found.values() if file.path.suffix.lower() in ENDINGS]
    converted = {file.path.with_suffix("") for file in read}
    unread = [path for path in found if path.suffix.lower() in MEDIA and path.with_suffix("") not in converted]
    if unread:
        those = f"{len(unread)} such files are" if len(unread) > 1 else "1 such file is"
        raise UsageError(
            f"{unread[0]}: {unread[0].suffix} is not read, and {those} here; this makes a FLAC beside each, which is "
            f"read instead:\n  {ffmpeg_line(unread)}"
        )
    return read, [path for path in found if path.suffix.lower() not in ENDINGS and _lost(path)]


def _lost(path: Path) -> str:
    """What a link says that leads to nothing; empty for all that is there."""
    return "" if path.exists() else f"a link to {os.readlink(path)}, which is not there"  # noqa: PTH115 - as written


def _within(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """All files in a folder, sorted, also behind links; a link to a folder that holds it is passed over."""
    real = os.path.realpath(folder)
    for one in sorted(folder.iterdir()) if real not in above else ():
        if one.is_dir():
            yield from _within(one, (*above, real))
        else:
            yield one


def _marked(file: _File) -> bool:
    return file.path.stem.lower() in SOURCE_STEMS + TARGET_STEMS


def _read(
    files: Sequence[_File], pattern: Pattern, known: Known | None, neighbours: Neighbours
) -> dict[Path, _Reading]:
    """Read the names of files that a pattern fits, each in the way of which most is there.

    Names are read within the folder that was named; with its name before them where none in it fits so.
    """
    found: dict[Path, _Reading] = {}
    for folder in dict.fromkeys(file.folder for file in files):
        mine = [file for file in files if file.folder == folder and not _marked(file)]
        for name in ("inner", "outer"):
            ways = {file: pattern.readings(getattr(file, name)) for file in mine}
            if any(ways.values()):
                break
        for file, some in ways.items():
            if some:
                looked_up = (_looked_up(file, way, known, neighbours) for way in some)
                found[file.path] = max(looked_up, key=lambda one: one.worth)
    return found


def _looked_up(file: _File, fields: Mapping[str, str], known: Known | None, neighbours: Neighbours) -> _Reading:
    reading = _Reading(fields)
    for side, stems in (("source", SOURCE_STEMS), ("target", TARGET_STEMS)):
        name = fields.get(side, "")
        if (recording := _beside(file.path, [name, *stems], neighbours)) is not None:
            reading.beside[side] = recording
        if name and known is not None:
            utterance = known.find(name)
            if utterance is not None or (side == "target" and known.speaks(name)):
                reading.known.add(side)
            reading.recorded |= side == "target" and utterance is not None
    reading.recorded |= "target" in reading.beside
    return reading


def _beside(file: Path, stems: Iterable[str], neighbours: Neighbours) -> Path | None:
    there = neighbours[file.parent]
    return next((path for stem in stems if (path := there.get(stem)) is not None and path != file), None)


def _neighbours(files: Sequence[_File]) -> Neighbours:
    """The recordings in the folders of files, by name without ending; of one name, that which loses nothing."""
    found: Neighbours = {}
    for folder in {file.path.parent for file in files}:
        recordings = [path for path in folder.iterdir() if path.suffix.lower() in ENDINGS]
        recordings.sort(key=lambda path: (-ENDINGS.index(path.suffix.lower()), path.name))
        found[folder] = {composed(path.stem): path for path in recordings}
    return found


def _line(file: _File, reading: _Reading, known: Known | None) -> Line:
    fields = reading.fields
    line = Line(str(file.path), {name: fields.get(name, "") for name in TABLE.names})
    line.paths = {"converted": file.path, **reading.beside}
    for side in reading.sides:
        # Of a corpus, the same recording for all systems, whatever lies beside their files
        wanted = known is not None and (known.settles or side not in reading.beside)
        if known is not None and wanted and line.name(side, fields[side], known):
            line.paths.pop(side, None)
    if reading.sides:
        line.names["pair"] = " ".join(fields[side] for side in reading.sides)
    return line


# Which way of naming


def _usual(files: Sequence[_File], known: Known | None, neighbours: Neighbours, paths: Sequence[Path]) -> Pattern:
    """The usual way of naming that most of the files confirm: what they name is there.

    Raises:
        UsageError: none does, or several that read the names differently.
    """
    step = max(1, len(files) // _LOOKED_AT)
    some = files[::step]
    counts: dict[str, tuple[int, ...]] = {}
    read: dict[str, tuple[tuple[str, ...], ...]] = {}
    for form in USUAL_FORMS:
        pattern = Pattern(form)
        sure = {path: one for path, one in _read(some, pattern, known, neighbours).items() if _sure(one, known)}
        if sure:
            directed = sum("direction" in one.fields for one in sure.values())
            counts[form] = sum(len(one.sides) + one.recorded for one in sure.values()), directed
            read[form] = tuple(
                (str(path), *(one.fields.get(name, "") for name in ("system", "source", "target")))
                for path, one in sure.items()
            )
    if not counts:
        raise UsageError(
            f"{_named(paths)}: none of the usual ways to name files fits, such as {some[0].inner}: "
            + (
                f"{known.what} has no such source and target{_nearly(some[0], known, neighbours)}"
                if known is not None
                else "nothing says what is a source"
            )
            + "; say with --pattern how the files are named, such as '{system}/{source}_to_{target}.{ext}'"
            + ("" if known is not None else ", or whose utterances they are: --corpus NAME --data DIR")
        )
    most = max(counts.values())
    best = [form for form, count in counts.items() if count == most]
    ways: dict[tuple[tuple[str, ...], ...], str] = {}
    for form in best:
        ways.setdefault(read[form], form)
    if len(ways) > 1:
        shown = [f"--pattern '{form}': {_shown(rows[0])}" for rows, form in list(ways.items())[:_CANDIDATES]]
        raise UsageError(
            "\n  ".join([f"{_named(paths)}: the names can be read in {len(ways)} ways; say which:", *shown])
        )
    return Pattern(best[0])


def _nearly(file: _File, known: Known, neighbours: Neighbours) -> str:
    """What a name may mean, by the first way to read it of which all that is nowhere is near to something."""
    for form in USUAL_FORMS:
        pattern = Pattern(form)
        ways = pattern.readings(file.inner) or pattern.readings(file.outer)
        if len(ways) != 1 or not {"source", "target"} <= ways[0].keys():
            continue
        reading = _looked_up(file, ways[0], known, neighbours)
        near = {side: known.nearest(reading.fields[side], side == "target") for side in reading.lacking}
        if near and all(near.values()):
            told = (f"{side} {reading.fields[side]}, the nearest: {', '.join(names)}" for side, names in near.items())
            return f" (as {form}: {'; '.join(told)})"
    return ""


def _sure(reading: _Reading, known: Known | None) -> bool:
    """Whether all is there that a reading names, and its system is no recording or speaker."""
    system = reading.fields.get("system", "")
    taken = known is not None and known.is_name(system)
    return bool(reading.sides) and "source" in reading.fields and not reading.lacking and not taken


def _shown(row: Sequence[str]) -> str:
    path, system, source, target = row
    return f"{Path(path).name} is of system {system}, source {source}" + (f", target {target}" if target else "")


def _example(line: Line, pattern: Pattern) -> str:
    values = {"system": line.values["system"], "source": line.values["source"], "target": line.values["target"]}
    told = ", ".join(f"{name} {value}" for name, value in values.items() if value)
    return f"{line.paths['converted'].name}: {told}"


# What is missing


@dataclass(frozen=True, slots=True)
class _Searched:
    """Finds what may be meant by names that name nothing: in what is known, among the systems of the other files."""

    pattern: Pattern
    about: Known
    systems: Collection[str]
    #: Recordings that are meant by some of them.
    meant: set[str] = field(default_factory=set)

    def lacks(self, file: _File, reading: _Reading) -> Iterator[str]:
        """Say which sides of a name are nowhere, and what may be meant."""
        if reading.lacking and (name := self.name(file)):
            named = ", ".join(f"{side} {reading.fields[side]}" for side in reading.lacking)
            yield f"reads as system {reading.fields['system']}, {named}, which is nowhere; is it {name}?"
            return
        for side in reading.lacking:
            near = self.about.nearest(reading.fields[side], speakers=side == "target")
            self.meant.update(near)
            nearest = f"; the nearest: {', '.join(near)}" if near else ""
            yield f"{side} {reading.fields[side]} is nowhere in {self.about.what}{nearest}"

    def unfit(self, file: _File) -> str:
        """Say that a name does not fit, and what may be meant."""
        name = self.name(file)
        return f"does not fit {self.pattern.text}" + (f"; is it {name}?" if name else "")

    def name(self, file: _File) -> str:
        """The name that a file would have by the pattern, where another way of naming finds all that is named.

        It names recordings, and a system that other files have.
        """
        for form in USUAL_FORMS:
            other = Pattern(form)
            if not other.fields >= self.pattern.fields & {"source", "target"}:
                continue
            for fields in (*other.readings(file.inner), *other.readings(file.outer)):
                sides = [fields[side] for side in ("source", "target") if side in fields]
                if fields.get("system") in self.systems and all(map(self.about.find, sides)):
                    self.meant.update(sides)
                    return Path(self.pattern.filled({**fields, "ext": file.path.suffix[1:]})).name
        return ""


def _check_once(lines: Sequence[Line], pattern: Pattern) -> None:
    """Refuse two files of one system about the same, as two systems may bear one name.

    Raises:
        UsageError: names both files.
    """
    met: dict[tuple[object, ...], Line] = {}
    twice: dict[str, list[tuple[Line, Line]]] = defaultdict(list)
    for line in lines:
        sides = tuple(line.names.get(side) or line.paths.get(side) for side in ("source", "target"))
        key = (line.values["system"], line.values["seed"], *(sides if any(sides) else (line.names.get("pair"),)))
        first = met.setdefault(key, line)
        if first is not line and key[2:] != (None,):
            twice[line.values["system"]].append((first, line))
    for system, pairs in twice.items():
        one, other = pairs[0]
        raise UsageError(
            f"two systems are called {system}, or one has {len(pairs)} files twice: {one.where} and {other.where}; "
            f"every row of a table needs a name of its own: {_apart(one, other, pattern)}rename a folder, or name only "
            "one of the two"
        )


def _apart(one: Line, other: Line, pattern: Pattern) -> str:
    """The pattern that takes the folder above for the system, as of A/wavs and B/wavs, where that tells two apart."""
    folder, above, form = one.values["system"], "{system}/", pattern.text
    parents = [line.paths["converted"].parents for line in (one, other)]
    if not form.startswith(above) or "/" in form[len(above) :] or set(folder) & set("{}[]*'"):
        return ""
    if any(len(some) < 2 or some[0].name != folder for some in parents) or parents[0][1].name == parents[1][1].name:
        return ""
    return f"give --pattern '{above}{folder}/{form[len(above) :]}', "


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
