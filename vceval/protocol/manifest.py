"""Tables of speech that somebody already converted."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from vceval.corpora.base import gender_of
from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.protocol.known import Known
from vceval.protocol.pairing import RECORDINGS, Conversions, Line, gather
from vceval.records import DIRECTIONS
from vceval.storage.csv_files import as_written, csv_text
from vceval.storage.paths import hint, resolve_inside
from vceval.storage.tables import Column, FrameTable, Row, Sheet, Table

__all__ = ["TABLE", "read_table", "rendered"]


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
#: Names that rows share, and their columns.
_NAMES = (("systems", "system"), ("speakers", "source_speaker", "target_speaker"), ("datasets", "dataset"))


def read_table(table: Path | FrameTable, root: Path | None = None, known: Known | None = None) -> Conversions:
    """Read a table of conversions.

    Paths in it are relative to ``root``, by default the table's folder, or else to the table's folder, and stay inside
    of the root. Where natural speech is known, ``source``, ``target`` and ``reference`` may hold ids of utterances,
    and ``target`` a speaker; cells that are empty are filled with what is known of them. Paths of a table in memory
    start from the working directory by default, and may lead anywhere.

    Rows about the same source, target and reference are one conversion pair, so that systems are compared
    pair by pair. Rows of one system on one pair are takes, by their seeds; without seeds they are pairs of their own.
    Where no row names a recording but the converted one, and every system has files of the same names, those of one
    name are a pair.
    A row whose converted file is absent becomes a failure; an absent source, target or reference is a failure too,
    since a value without it would not be the one that was asked for. So is a seed that other pairs of the system have.

    Raises:
        UsageError: the table can't be read, its header is unfit, it has no rows, or rows have problems: other numbers
            of cells than the header, a value that can't be (a gender that is neither F nor M), a path that leaves the
            root, the same recordings of the same system as in another row, a seed twice.
    """
    home = table.parent if isinstance(table, Path) else None
    sheet = TABLE.read(table)
    lines = [_line(sheet, row, home, root, known) for row in sheet.rows]
    sheet.check()
    for what, *columns in _NAMES:
        sheet.note_alike(what, *columns)
    notes = [*sheet.notes, *_pair_by_names(lines)]
    gathered = gather(lines, known)
    gathered.notes[:0] = [f"{table}: {note}" for note in notes]
    _help(gathered, lines, table, root)
    return gathered


def rendered(found: Conversions, folder: Path) -> str:
    """Write conversions as a table that :func:`read_table` reads to the same pairs.

    Sides that a corpus knows are ids; other files are relative to a folder where they lie in it.
    """
    rows = []
    for one in found.conversions:
        pair, line = one.pair, found.lines[one.system, one.pair.id, one.seed]
        cells = {name: line.names.get(name) or _path_cell(line.paths.get(name), folder) for name in RECORDINGS}
        cells |= {
            "system": one.system,
            "transcript": pair.transcript or "",
            "language": pair.language or "",
            "dataset": line.values["dataset"],
            "direction": pair.direction or "",
            "source_speaker": pair.source_speaker or "",
            "source_gender": pair.source_gender or "",
            "target_speaker": pair.target_speaker or "",
            "target_gender": pair.target_gender or "",
            "encoders": " ".join(found.encoders.get(one.system, ())),
            "seed": str(one.seed) if found.seeded else "",
        }
        rows.append([cells[name] for name in TABLE.names])
    return csv_text(TABLE.names, rows)


def _path_cell(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    full = Path(os.path.realpath(path))
    inside = Path(os.path.realpath(folder))
    return full.relative_to(inside).as_posix() if full.is_relative_to(inside) else str(full)


def _line(sheet: Sheet, row: Row, home: Path | None, root: Path | None, known: Known | None) -> Line:
    """Resolve a row's paths and ids; what is wrong with them is added to the sheet's problems."""
    line = Line(sheet.where(row.line), {name: as_written(cell) for name, cell in row.values.items()})
    values = line.values
    for name in ("source_gender", "target_gender"):
        values[name] = gender_of(values[name]) or ""
    values["direction"] = values["direction"].upper()
    for name in RECORDINGS:
        if not (cell := values[name]):
            continue
        if name != "converted" and known is not None and line.name(name, cell, known):
            continue
        try:
            line.paths[name] = resolve_inside(root or home, cell, name, home, "--root")
        except UsageError as error:
            sheet.problem(row.line, str(error))
            continue
        if not os.path.isfile(line.paths[name]):  # noqa: PTH113 - False, not an error, where a name is too long
            line.missing.append(f"no such file: {name} {line.paths[name]}{hint(line.paths[name])}")
            if name != "converted" and not os.path.splitext(cell)[1]:  # noqa: PTH122 - the same
                line.missing[-1] += _nowhere(cell, name, known)
    if known is not None and not values["target"] and values["target_speaker"]:
        line.name("target", values["target_speaker"], known)
    if all(name in line.paths or name in line.names for name in RECORDINGS if values[name]):
        key = (values["system"], values["seed"], *(line.names.get(name) or line.paths.get(name) for name in RECORDINGS))
        sheet.once(row, key, f"the same recordings of {values['system']}")
    return line


def _nowhere(cell: str, name: str, known: Known | None) -> str:
    if known is None:
        return "; if it is the id of an utterance, name its corpus: --corpus NAME --data DIR"
    near = known.nearest(cell, speakers=name == "target")
    return f"; {known.what} has no such utterance" + (f", the nearest: {', '.join(near)}" if near else "")


def _pair_by_names(lines: Sequence[Line]) -> list[str]:
    """Pair rows by the names of their files, where that is without doubt; returns what there is to say."""
    systems = {line.values["system"] for line in lines}
    if len(systems) < 2 or any(line.values[name] for line in lines for name in (*RECORDINGS[1:], "target_speaker")):
        return []
    stems: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        stems[line.values["system"]].append(Path(line.values["converted"]).stem)
    texts = {(Path(line.values["converted"]).stem, line.values["transcript"]) for line in lines}
    first, *others = (Counter(some) for some in stems.values())
    if any(other != first for other in others) or max(first.values()) > 1 or len(texts) > len(first):
        return [
            "its systems can't be compared pair by pair: columns source and target would say which rows belong "
            "together, and the names of the files differ"
        ]
    for line in lines:
        line.names["pair"] = Path(line.values["converted"]).stem
    return ["rows of one file name are taken as one pair, as no column source, target or reference says which are"]


def _help(gathered: Conversions, lines: Sequence[Line], table: Path | FrameTable, root: Path | None) -> None:
    """Say which ``--root`` would find the files of a table in which none is found."""
    if any(os.path.isfile(line.paths["converted"]) for line in lines):  # noqa: PTH113 - False where a name is too long
        return
    cell = lines[0].values["converted"]
    here = root or (table.parent if isinstance(table, Path) else Path.cwd())
    places = [Path.cwd(), *Path.cwd().parents, *(table.resolve().parents if isinstance(table, Path) else ())]
    there = (place for place in dict.fromkeys(places) if os.path.isfile(place / cell))  # noqa: PTH113
    holding = next(there, None)
    gathered.advice = f"Paths in {table} start from {here}" + (
        f"; they are there from --root {holding}" if holding else "; --root DIR names another folder"
    )
