"""Speech that somebody already converted: a CSV table, or a folder with a file-name pattern."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vceval.errors import UsageError
from vceval.protocol.patterns import Pattern
from vceval.records import Conversion, ConversionPair, Failure, Gender, Utterance, direction_of
from vceval.storage.paths import composed, existing, hint, resolve_inside

__all__ = ["COLUMNS", "UNNAMED", "Conversions", "read_folder", "read_table"]

#: Only the first two must be there and filled; each of the others may be empty, which disables what needs it.
COLUMNS = (
    "system", "converted", "source", "target", "reference", "transcript", "language", "dataset", "direction",
    "source_speaker", "source_gender", "target_speaker", "target_gender",
)  # fmt: skip
#: What speech belongs to where nobody says, natural or converted.
UNNAMED = "unnamed"
#: Stems that mark the source and the target recording beside converted files.
SOURCE_STEMS, TARGET_STEMS = ("src", "source"), ("tgt", "target", "tar")
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}


@dataclass(slots=True)
class Conversions:
    """Conversions to be scored, and what was wrong with the others."""

    conversions: list[Conversion] = field(default_factory=list)
    pairs: dict[str, ConversionPair] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def systems(self) -> list[str]:
        """Names of all systems in the order of their first file."""
        names = [c.system for c in self.conversions] + [f.system for f in self.failures]
        return list(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class _Row:
    """One line, paths resolved."""

    where: str
    values: dict[str, str]
    paths: dict[str, Path]


def read_table(path: Path, root: Path | None = None) -> Conversions:
    """Read a table of conversions; paths in it are relative to ``root``, by default the table's folder.

    Rows about the same source, target and reference are one conversion pair, so that systems are compared
    pair by pair. A row whose converted file is absent becomes a failure; an absent source, target or reference
    is a failure too, since a value without it would not be the one that was asked for.

    Raises:
        UsageError: the table can't be read, lacks ``system`` or ``converted``, has no rows, a value that can't
            be (a gender that is neither F nor M), or a path that leaves the root.
    """
    root = root or path.parent
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            missing = [name for name in COLUMNS[:2] if name not in columns]
            if missing:
                raise UsageError(
                    f"{path}: no column {' and '.join(missing)}; found: {', '.join(columns) or 'none'}; "
                    f"the columns are {', '.join(COLUMNS)}"
                )
            rows = [_row(f"{path}:{reader.line_num}", values, root) for values in reader]
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read as a CSV table in UTF-8 ({error})") from error
    if not rows:
        raise UsageError(f"{path}: holds no rows")
    return _gather(rows)


def read_folder(folder: Path, pattern: str, natural: Sequence[Utterance] = ()) -> Conversions:
    """Read a folder by a file-name pattern (:mod:`vceval.protocol.patterns`; fields ``system`` and ``source`` needed).

    The recordings of source and target are looked for beside each converted file: named like the utterance, or
    ``src``/``source`` and ``tgt``/``target``. Speaker, gender and transcript come from ``natural`` where it
    has a recording with the utterance's name; they are not guessed from the name.

    Raises:
        UsageError: no such folder, a bad pattern, or no file fits it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    compiled = Pattern(pattern)
    if not {"system"} <= compiled.fields:
        raise UsageError(f"pattern {pattern!r} does not say where the system's name stands: it needs {{system}}")
    known = {composed(utterance.path.stem): utterance for utterance in natural}
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    rows = []
    for file in files:
        if file.stem.lower() in SOURCE_STEMS + TARGET_STEMS:
            continue
        readings = [
            (fields, _recordings(file, fields, known))
            for fields in compiled.readings(composed(file.relative_to(folder).as_posix()))
        ]
        if not readings:
            continue
        # Where a name can be divided in several ways, the recordings that are there decide.
        fields, recordings = max(readings, key=lambda reading: len(reading[1]))
        values = {name: fields.get(name, "") for name in COLUMNS}
        paths = {"converted": file, **recordings}
        for side in ("source", "target"):
            if (utterance := known.get(fields.get(side, ""))) is not None:
                values[f"{side}_speaker"], values[f"{side}_gender"] = utterance.speaker or "", utterance.gender or ""
        if (source := known.get(fields.get("source", ""))) is not None:
            values["transcript"], values["language"] = source.transcript or "", source.language or ""
            values["dataset"] = values["dataset"] or source.dataset
        rows.append(_Row(str(file), values, {**paths}))
    if not rows:
        raise UsageError(f"{folder}: none of {len(files)} audio files fits the pattern {compiled.text!r}")
    return _gather(rows)


def _recordings(file: Path, fields: Mapping[str, str], known: Mapping[str, Utterance]) -> dict[str, Path]:
    """Find the recordings of source and target that a reading of a file name speaks of."""
    found = {}
    for side, stems in (("source", SOURCE_STEMS), ("target", TARGET_STEMS)):
        name = fields.get(side, "")
        recording = _beside(file, [name, *stems])
        if recording is None and name in known:
            recording = known[name].path
        if recording is not None:
            found[side] = recording
    return found


def _beside(file: Path, stems: Iterable[str]) -> Path | None:
    for stem in stems:
        for suffix in sorted(AUDIO_SUFFIXES):
            candidate = existing(file.parent / f"{stem}{suffix}")
            if stem and candidate != file and candidate.is_file():
                return candidate
    return None


def _row(where: str, raw: dict[str | None, str | list[str] | None], root: Path) -> _Row:
    if None in raw or None in raw.values():
        raise UsageError(f"{where}: has more or fewer fields than the header")
    values = {name: str(raw.get(name, "")).strip() for name in COLUMNS}
    for name in COLUMNS[:2]:
        if not values[name]:
            raise UsageError(f"{where}: {name} is empty")
    for name in ("source_gender", "target_gender"):
        short = values[name][:1].upper()
        if values[name] and (short not in "FM" or values[name].upper() not in ("F", "M", "FEMALE", "MALE")):
            raise UsageError(f"{where}: {name} is {values[name]!r}; it must be F, M or empty")
        values[name] = short
    if values["direction"] and not re.fullmatch("[FM]2[FM]", values["direction"]):
        raise UsageError(f"{where}: direction is {values['direction']!r}; it must be F2F, F2M, M2F, M2M or empty")
    paths = {
        name: resolve_inside(root, values[name], f"{where}: {name}")
        for name in ("converted", "source", "target", "reference")
        if values[name]
    }
    return _Row(where, values, paths)


def _gather(rows: Sequence[_Row]) -> Conversions:
    gathered = Conversions()
    identity: dict[tuple[object, ...], str] = {}
    seen: dict[tuple[str, str], int] = {}
    width = len(str(len(rows)))
    for row in rows:
        recordings = tuple(row.paths.get(name) for name in ("source", "target", "reference"))
        facts = tuple(row.values[name] for name in COLUMNS[5:])
        key: tuple[object, ...] = (recordings, facts) if any(recordings) else (row.paths["converted"],)
        system = row.values["system"]
        # the same system twice on the same pair: two takes, kept apart as two pairs
        take = seen[system, repr(key)] = seen.get((system, repr(key)), 0) + 1
        key = (*key, take)
        if key not in identity:
            identity[key] = f"{len(identity) + 1:0{width}d}-{_name(row)}"
        pair = _pair(identity[key], row)
        gathered.pairs.setdefault(pair.id, pair)
        absent = [f"{name} {path}{hint(path)}" for name, path in row.paths.items() if not path.is_file()]
        if absent:
            reason = f"{row.where}: no such file: {', '.join(absent)}"
            gathered.failures.append(Failure(system, pair.id, "input", "", reason))
        else:
            gathered.conversions.append(
                Conversion(system, pair, row.paths["converted"], pair.transcript, pair.language)
            )
    return gathered


def _name(row: _Row) -> str:
    """A readable part of a pair's id, safe as a file name."""
    path = row.paths.get("source", row.paths["converted"])
    generic = path.stem.lower() in SOURCE_STEMS or "source" not in row.paths
    text = path.parent.name if generic and path.parent.name else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:60] or "pair"


def _pair(identifier: str, row: _Row) -> ConversionPair:
    values, paths = row.values, row.paths
    dataset = values["dataset"] or UNNAMED
    language = values["language"] or None

    def gender(name: str) -> Gender | None:
        return {"F": "F", "M": "M"}.get(values[name])  # type: ignore[return-value]

    def utterance(name: str, side: str, transcript: str | None) -> Utterance | None:
        if name not in paths:
            return None
        identity = values[name] if values[name] else paths[name].stem
        speaker = values[f"{side}_speaker"] or None
        return Utterance(identity, paths[name], dataset, speaker, gender(f"{side}_gender"), language, transcript)

    transcript = values["transcript"] or None
    source = utterance("source", "source", transcript)
    target = utterance("target", "target", None)
    reference = utterance("reference", "target", transcript)
    return ConversionPair(
        id=identifier,
        dataset=dataset,
        source=source,
        prompts=(target,) if target else (),
        reference=reference,
        natural=reference,
        source_speaker=values["source_speaker"] or None,
        source_gender=gender("source_gender"),
        target_speaker=values["target_speaker"] or None,
        target_gender=gender("target_gender"),
        direction=values["direction"] or direction_of(gender("source_gender"), gender("target_gender")),
        transcript=transcript,
        language=language,
    )
