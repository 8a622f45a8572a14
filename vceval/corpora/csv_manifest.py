"""A CSV manifest: any folder of recordings, described by a table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from vceval.corpora.base import Corpus, CorpusInfo, Layout, Problem, gender_of
from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.records import Utterance
from vceval.storage.paths import hint, no_such_file, no_such_folder, resolve_inside
from vceval.storage.tables import Column, FrameTable, Table

__all__ = ["TABLE", "CsvManifest", "read_manifest"]

TABLE = Table((
    Column("file", "the recording", (
        "path", "wav", "audio", "filename", "file_path", "wav_path", "audio_path", "audio_file", "wav_file",
        "audio_filepath",
    ), required=True),
    Column("id", "the utterance's name; else the path without its suffix", (
        "utterance", "utterance_id", "utt", "utt_id", "key",
    )),
    Column("dataset", "the corpus that it belongs to: thresholds are calibrated by corpus", ("corpus", "database")),
    Column("speaker", "who speaks; without it a recording calibrates nothing", (
        "speaker_id", "spk", "spk_id", "client_id", "speaker_name",
    )),
    Column("gender", "F, female, M or male", ("sex",)),
    Column("language", "what language is spoken", (
        "lang", "locale", "language_code", "lang_code", "lang_id", "language_id",
    ), check=language_code),
    Column("transcript", "what is said", ("text", "sentence", "transcription")),
    Column("duration", "seconds", ("dur", "seconds", "duration_seconds")),
))  # fmt: skip
MANIFEST = "utterances.csv"


def read_manifest(
    table: Path | FrameTable, root: Path | None = None, *, dataset: str = "unnamed", option: str = ""
) -> tuple[list[Utterance], list[Problem]]:
    """Read a table of recordings; :data:`TABLE` declares its columns. Empty cells mean unknown.

    Args:
        table: a file, or a table in memory.
        root: the folder that paths start from and must stay in; None is the file's own folder, or for a
            table in memory the working directory, from which paths may lead anywhere.
        dataset: what utterances belong to where the table does not say.
        option: what gives another root, for messages.

    Returns:
        The utterances whose file is there, in the table's order; and what there is to say: how the table was read,
        which files are not there, which values are taken as unknown.

    Raises:
        UsageError: the table can't be read, its header is unfit, it has no rows, or rows have problems: other numbers
            of cells than the header, no file, a path that leads out of the root, the file or id of another row.
    """
    folder = table.parent if root is None and isinstance(table, Path) else root
    path = table if isinstance(table, Path) else Path(table.name)
    beside = table.parent if isinstance(table, Path) else None
    sheet = TABLE.read(table)
    utterances: list[Utterance] = []
    for column in ("speaker", "dataset"):
        sheet.note_alike(f"{column}s", column)
    problems = [Problem(path, note) for note in sheet.notes]
    for row in sheet.rows:
        try:
            audio = resolve_inside(folder, row["file"], "file", beside, option)
        except UsageError as error:
            sheet.problem(row.line, str(error))
            continue
        gender = gender_of(row["gender"])
        utterance = Utterance(
            id=row["id"] or os.path.splitext(row["file"])[0],  # noqa: PTH122 - no error for a file named "."
            path=audio,
            dataset=row["dataset"] or dataset,
            speaker=row["speaker"] or None,
            gender=gender,
            language=row["language"] or None,
            transcript=row["transcript"] or None,
            duration=_seconds(row["duration"]),
        )
        if sheet.once(row, ("file", audio), f"the same file, {row['file']}"):
            sheet.once(row, ("id", utterance.id), f"the same id, {utterance.id}")
        if row["gender"] and gender is None:
            message = f"gender {row['gender']!r} is none of F, female, M, male; unknown"
            problems.append(Problem(path, message, row.line))
        if row["duration"] and utterance.duration is None:
            message = f"duration {row['duration']!r} is no length in seconds; unknown"
            problems.append(Problem(path, message, row.line))
        if os.path.isfile(audio):  # noqa: PTH113 - False, not an error, where a name is too long for the file system
            utterances.append(utterance)
        else:
            problems.append(Problem(path, f"no such file: {audio}{hint(audio)}; row left out", row.line))
    sheet.check()
    return utterances, problems


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


class CsvManifest(Corpus):
    """The reader of a CSV manifest (see :func:`read_manifest` for the columns).

    Args:
        root: the CSV file, or a folder that holds ``utterances.csv``.
        audio_root: the folder that the paths in the table start from and must stay in; None is the table's folder.

    Raises:
        UsageError: there is no such table, or ``audio_root`` is no folder. The table itself is read when the first
            utterance is asked for, and raises as :func:`read_manifest` does.
    """

    info = CorpusInfo(
        name="csv",
        title="a CSV manifest",
        languages=(),
        sample_rate=0,
        licence="that of the recordings",
        url="",
        citation="",
    )
    layout: ClassVar[Layout | None] = Layout(MANIFEST, lambda folder: (folder / MANIFEST).is_file())

    def __init__(self, root: Path, audio_root: Path | None = None) -> None:
        root = Path(root)
        self.manifest = root / MANIFEST if root.is_dir() else root
        if not self.manifest.is_file():
            raise UsageError(f"{no_such_file(self.manifest)}; give a CSV file, or a folder that holds {MANIFEST}")
        if audio_root is not None and not Path(audio_root).is_dir():
            raise UsageError(
                f"{no_such_folder(Path(audio_root))}; give the folder that the paths in {self.manifest} start from"
            )
        super().__init__(self.manifest.parent if audio_root is None else Path(audio_root))

    def read(self) -> Iterator[Utterance]:
        """Read the table."""
        utterances, problems = read_manifest(self.manifest, self.root, dataset=self.info.name)
        for problem in problems:
            self.note(problem.path, problem.message, problem.line)
        yield from utterances
