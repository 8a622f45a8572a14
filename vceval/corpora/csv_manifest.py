"""A CSV manifest: any folder of recordings, described by a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from vceval.corpora.base import Corpus, CorpusInfo, Layout, Problem, gender_of
from vceval.errors import UsageError
from vceval.records import Utterance
from vceval.storage.paths import hint, resolve_inside

__all__ = ["COLUMNS", "CsvManifest", "read_manifest"]

#: Only the first is required.
COLUMNS = ("file", "id", "dataset", "speaker", "gender", "language", "transcript", "duration")
MANIFEST = "utterances.csv"


def read_manifest(
    path: Path, root: Path | None = None, *, dataset: str = "unnamed"
) -> tuple[list[Utterance], list[Problem]]:
    """Read a table of recordings: comma-separated, UTF-8 (with or without BOM), a header line, any order of columns.

    Columns: ``file`` (required: a path relative to ``root``), ``id`` (default: the path without its suffix),
    ``dataset`` (default: the argument), ``speaker``, ``gender`` (F, female, M or male in any case), ``language``,
    ``transcript``, ``duration`` (seconds). Other columns are ignored, empty cells mean unknown.

    Args:
        path: the table.
        root: the folder that paths start from and must stay in; None is the table's own folder.
        dataset: what utterances belong to where the table does not say.

    Returns:
        The utterances whose file is there, in the table's order, and what is missing or malformed.

    Raises:
        UsageError: the table can't be read or lacks the column ``file``, or a path leads out of the root.
    """
    folder = path.parent if root is None else root
    utterances: dict[str, Utterance] = {}
    problems: list[Problem] = []
    for line, row in _rows(path, problems):
        if not row["file"]:
            problems.append(Problem(path, "no file named; row left out", line))
            continue
        audio = resolve_inside(folder, row["file"], f"{path}:{line}")
        if not audio.is_file():
            problems.append(Problem(path, f"no such file: {audio}{hint(audio)}; row left out", line))
            continue
        gender = gender_of(row["gender"])
        if row["gender"] and gender is None:
            problems.append(Problem(path, f"gender {row['gender']!r} is none of F, female, M, male; unknown", line))
        utterance = Utterance(
            id=row["id"] or Path(row["file"]).with_suffix("").as_posix(),
            path=audio,
            dataset=row["dataset"] or dataset,
            speaker=row["speaker"] or None,
            gender=gender,
            language=row["language"] or None,
            transcript=row["transcript"] or None,
            duration=_seconds(row["duration"]),
        )
        if row["duration"] and utterance.duration is None:
            problems.append(Problem(path, f"duration {row['duration']!r} is no length in seconds; unknown", line))
        if utterances.setdefault(utterance.id, utterance) is not utterance:
            problems.append(Problem(path, f"second row with the id {utterance.id}; the first one is used", line))
    return list(utterances.values()), problems


def _rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """First line and cells of every row, with an empty cell for every column that is missing."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: not valid UTF-8; save the table as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give the path of a CSV file") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if "file" not in header:
            raise UsageError(
                f"{path}: no column 'file'; columns found: {', '.join(filter(None, header)) or 'none'}. "
                f"The first line names the columns, parted by commas: {', '.join(COLUMNS)} (only file is required)"
            )
        twice = [name for name in COLUMNS if header.count(name) > 1]
        if twice:
            raise UsageError(f"{path}: column {twice[0]!r} is there twice; rename one")
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                message = f"{len(cells)} cells for {len(header)} columns; row left out (quote text that holds commas)"
                problems.append(Problem(path, message, line))
                continue
            row = dict.fromkeys(COLUMNS, "")
            row.update((name, cell.strip()) for name, cell in zip(header, cells, strict=False))
            yield line, row
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not valid CSV ({error}); correct the line") from error


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
            raise UsageError(f"{self.manifest}: no such file; give a CSV file, or a folder that holds {MANIFEST}")
        if audio_root is not None and not Path(audio_root).is_dir():
            raise UsageError(
                f"{audio_root}: no such folder; give the folder that the paths in {self.manifest} start from"
            )
        super().__init__(self.manifest.parent if audio_root is None else Path(audio_root))

    def read(self) -> Iterator[Utterance]:
        """Read the table."""
        utterances, problems = read_manifest(self.manifest, self.root, dataset=self.info.name)
        for problem in problems:
            self.note(problem.path, problem.message, problem.line)
        yield from utterances
