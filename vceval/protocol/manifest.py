"""Speech that somebody already converted: a CSV table, or a folder with a file-name pattern."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vceval.corpora.base import gender_of
from vceval.corpora.folders import ENDINGS
from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.protocol.patterns import Pattern
from vceval.records import DIRECTIONS, Conversion, ConversionPair, Failure, Gender, Utterance, direction_of
from vceval.storage.paths import composed, existing, hint, resolve_inside
from vceval.storage.tables import Column, Row, Sheet, Table

__all__ = ["TABLE", "UNNAMED", "Conversions", "read_folder", "read_table"]


def _gender(word: str) -> None:
    if gender_of(word) is None:
        raise UsageError(f"{word!r} must be F, M or empty")


def _direction(word: str) -> None:
    if word.upper() not in DIRECTIONS:
        raise UsageError(f"{word!r} must be {', '.join(DIRECTIONS)} or empty")


def _seed(word: str) -> None:
    if not (re.fullmatch("[0-9]{1,5}", word) and int(word) <= LARGEST_SEED):
        raise UsageError(f"{word!r} must be a whole number from 0 to {LARGEST_SEED}")


#: No seed is larger.
LARGEST_SEED = 9_999
TABLE = Table(
    (
        Column("system", "the row of the results", (
            "model", "method", "converter", "approach", "system_name", "model_name", "system_id",
        ), required=True),
        Column("converted", "the file to score", (
            "wav", "audio", "file", "path", "filename", "output", "generated", "synthesized", "converted_wav",
            "converted_audio", "converted_file", "converted_path", "wav_path", "audio_path", "file_path", "output_path",
        ), required=True),
        Column("source", "recording that was converted: the sample page, and what is held against it", (
            "src", "source_wav", "source_audio", "source_file", "source_path", "src_wav", "src_path",
        )),
        Column("target", "recording of the target speaker (the prompt): speaker similarity", (
            "tgt", "trg", "prompt", "target_wav", "target_audio", "target_file", "target_path", "tgt_wav", "tgt_path",
            "trg_wav", "trg_path", "prompt_wav", "prompt_audio", "prompt_path",
        )),
        Column("reference", "the target speaker reading the *same text*: MCD", (
            "ground_truth", "gt", "gt_wav", "gt_path", "parallel_reference",
        )),
        Column("transcript", "what is said: WER and CER", (
            "text", "sentence", "transcription", "source_text", "src_text", "source_transcript",
        )),
        Column("language", "its language: WER and CER (`--language en` fills in what is empty)", (
            "lang", "locale", "language_code", "lang_code", "lang_id", "language_id",
        ), check=language_code),
        Column("dataset", "tables and thresholds by corpus", ("corpus", "database")),
        Column("direction", "tables by direction: F2F, F2M, M2F or M2M; else from the genders", check=_direction),
        Column("source_speaker", "intervals by source speaker", (
            "src_speaker", "source_spk", "src_spk", "source_speaker_id", "src_speaker_id", "src_spk_id",
        )),
        Column("source_gender", "tables by direction: F or M", ("src_gender", "source_sex", "src_sex"), check=_gender),
        Column("target_speaker", "intervals by target speaker", (
            "tgt_speaker", "trg_speaker", "target_spk", "tgt_spk", "trg_spk", "target_speaker_id", "tgt_speaker_id",
            "trg_speaker_id", "tgt_spk_id", "trg_spk_id",
        )),
        Column("target_gender", "tables by direction: F or M", (
            "tgt_gender", "trg_gender", "target_sex", "tgt_sex",
        ), check=_gender),
        Column("encoders", "speaker encoders that the system was made with (`dvector`): they do not rank it"),
        Column("seed", "takes of a system that draws noise, from 0: a pair has the mean over them", check=_seed),
    ),
    {
        ("ref", "ref_wav", "ref_audio", "ref_path", "reference_wav", "reference_audio", "reference_file",
         "reference_path"): ("target", "reference"),
        ("speaker", "speaker_id", "spk", "spk_id"): ("source_speaker", "target_speaker"),
        ("gender", "sex"): ("source_gender", "target_gender"),
    },
)  # fmt: skip
#: Columns that are recordings; rows of one system that agree in all of them are one row written twice.
_RECORDINGS = ("converted", "source", "target", "reference")
#: Names that rows share, and their columns.
_NAMES = (("systems", "system"), ("speakers", "source_speaker", "target_speaker"), ("datasets", "dataset"))
#: What is known of a pair besides its recordings.
_FACTS = (
    "transcript", "language", "dataset", "direction",
    "source_speaker", "source_gender", "target_speaker", "target_gender",
)  # fmt: skip
#: What speech belongs to where nobody says, natural or converted.
UNNAMED = "unnamed"
#: Stems that mark the source and the target recording beside converted files.
SOURCE_STEMS, TARGET_STEMS = ("src", "source"), ("tgt", "target", "tar")


@dataclass(slots=True)
class Conversions:
    """Conversions to be scored, what was wrong with the others, and notes on how they were read."""

    conversions: list[Conversion] = field(default_factory=list)
    pairs: dict[str, ConversionPair] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: By system: the speaker encoders that its rows name.
    encoders: dict[str, tuple[str, ...]] = field(default_factory=dict)

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
    pair by pair. Rows of one system on one pair are takes, by their seeds; without seeds they are pairs of their own.
    A row whose converted file is absent becomes a failure; an absent source, target or reference is a failure too,
    since a value without it would not be the one that was asked for. So is a seed that other pairs of the system have.

    Raises:
        UsageError: the table can't be read, its header is unfit, it has no rows, or rows have problems: other numbers
            of cells than the header, a value that can't be (a gender that is neither F nor M), a path that leaves the
            root, the same recordings of the same system as in another row, a seed twice.
    """
    root = root or path.parent
    sheet = TABLE.read(path)
    rows = [_row(sheet, row, root) for row in sheet.rows]
    sheet.check()
    for what, *columns in _NAMES:
        sheet.note_alike(what, *columns)
    gathered = _gather(rows)
    gathered.notes = [f"{path}: {note}" for note in sheet.notes]
    return gathered


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
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
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
        values = {name: fields.get(name, "") for name in TABLE.names}
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
        for suffix in ENDINGS:
            candidate = existing(file.parent / f"{stem}{suffix}")
            if stem and candidate != file and candidate.is_file():
                return candidate
    return None


def _row(sheet: Sheet, row: Row, root: Path) -> _Row:
    """Resolve a row's paths; what is wrong with them is added to the sheet's problems."""
    values, paths = dict(row.values), {}
    for name in ("source_gender", "target_gender"):
        values[name] = gender_of(values[name]) or ""
    values["direction"] = values["direction"].upper()
    for name in _RECORDINGS:
        if values[name]:
            try:
                paths[name] = resolve_inside(root, values[name], name)
            except UsageError as error:
                sheet.problem(row.line, str(error))
    if all(name in paths for name in _RECORDINGS if values[name]):
        key = (values["system"], values["seed"], *map(paths.get, _RECORDINGS))
        sheet.once(row, key, f"the same recordings of {values['system']}")
    return _Row(sheet.where(row.line), values, paths)


def _gather(rows: Sequence[_Row]) -> Conversions:
    gathered = Conversions()
    identity: dict[tuple[object, ...], str] = {}
    seen: dict[tuple[str, str], int] = {}
    seeded = any(row.values.get("seed") for row in rows)
    takes: dict[tuple[str, str], dict[int, str]] = {}
    width = len(str(len(rows)))
    for row in rows:
        if named := tuple(sorted({*row.values.get("encoders", "").replace(",", " ").split()})):
            before = gathered.encoders.setdefault(row.values["system"], named)
            if before != named:
                raise UsageError(f"{row.where}: {row.values['system']} has the encoders {named}, and {before} before")
        recordings = tuple(map(row.paths.get, _RECORDINGS[1:]))
        facts = tuple(map(row.values.get, _FACTS))
        key: tuple[object, ...] = (recordings, facts) if any(recordings) else (row.paths["converted"],)
        system = row.values["system"]
        if seeded and not any(recordings):
            raise UsageError(f"{row.where}: a seed needs source, target or reference, which say what the pair is")
        # the same system twice on the same pair without seeds: two takes, kept apart as two pairs
        seen[system, repr(key)] = take = 1 if seeded else seen.get((system, repr(key)), 0) + 1
        key = (*key, take)
        if key not in identity:
            identity[key] = f"{len(identity) + 1:0{width}d}-{_name(row)}"
        pair = _pair(identity[key], row)
        gathered.pairs.setdefault(pair.id, pair)
        seed = int(row.values.get("seed") or 0)
        first = takes.setdefault((system, pair.id), {}).setdefault(seed, row.where)
        if first != row.where:
            raise UsageError(f"{row.where}: seed {seed} of {system} on this pair stands in {first} already")
        absent = [
            f"{name} {path}{hint(path)}"
            for name, path in row.paths.items()
            if not os.path.isfile(path)  # noqa: PTH113 - False, not an error, where a name is too long
        ]
        if absent:
            reason = f"{row.where}: no such file: {', '.join(absent)}"
            gathered.failures.append(Failure(system, pair.id, "input", "", reason, seed))
        else:
            gathered.conversions.append(
                Conversion(system, pair, row.paths["converted"], pair.transcript, pair.language, seed)
            )
    counts: dict[str, int] = {}
    for (system, _), mine in takes.items():
        counts[system] = max(counts.get(system, 0), max(mine) + 1)
    for (system, name), mine in takes.items():
        reason = f"{next(iter(mine.values()))}: the pair has no row of this seed, and {system} has {counts[system]}"
        lacking = (seed for seed in range(counts[system]) if seed not in mine)
        gathered.failures += [Failure(system, name, "input", "", reason, seed) for seed in lacking]
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
