"""The run directory: one folder with everything that a result needs to be checked again.

run.json        what was asked for: suite, systems, metrics with signatures, versions, command line
pairs.csv       the conversion pairs (columns: PAIR_COLUMNS)
audio/<system>/<pair>.flac
journal/*.jsonl append-only records of finished work; what makes a killed run resume
scores.parquet  long form, one row per system, pair and measure (columns: SCORE_COLUMNS)
failures.csv    what should have worked and did not (columns: FAILURE_COLUMNS)
leakage.csv     what each system was trained on: exposure of the speakers of its pairs (LEAKAGE_COLUMNS)
skipped.csv     values that can't exist because the pair lacks what the metric needs (SKIP_COLUMNS)
calibration.json  metric -> dataset -> what was learnt from natural speech
summary.json    per system, measure and direction: value, interval, counts (see vceval.results.summary)
listening/      a listening test made from the run (vceval.listen.export), and listening.json and listening.csv, what
                its listeners answered (vceval.listen.import_answers)
report/         index.html, tables/, figures/
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.storage.files import replacing

if TYPE_CHECKING:
    import pandas
    import pyarrow.parquet

__all__ = [
    "AUDIO_COLUMNS",
    "FAILURE_COLUMNS",
    "LEAKAGE_COLUMNS",
    "PAIR_COLUMNS",
    "SCORE_COLUMNS",
    "SKIP_COLUMNS",
    "Rows",
    "RunDirectory",
    "ScoreWriter",
    "write_atomically",
]

PAIR_COLUMNS = (
    "pair", "dataset", "direction", "source_speaker", "source_gender", "target_speaker", "target_gender",
    "language", "transcript", "source", "source_path", "prompts", "prompt_paths", "reference", "reference_path",
    "natural", "natural_path", "natural_transcript",
)  # fmt: skip
SCORE_COLUMNS = (
    "system", "pair", "metric", "measure", "value", "numerator", "denominator",
    "dataset", "direction", "source_speaker", "target_speaker", "details", "signature",
)  # fmt: skip
FAILURE_COLUMNS = ("system", "pair", "stage", "metric", "reason")
SKIP_COLUMNS = ("system", "pair", "metric", "measure", "need", "reason")
LEAKAGE_COLUMNS = ("system", "pair", "source_exposure", "target_exposure")
AUDIO_COLUMNS = ("system", "pair", "path")


def write_atomically(path: Path, text: str) -> None:
    """Write a text file under a temporary name in the same folder, flush it to disk, then rename it."""
    with replacing(path) as stream:
        stream.write(text.encode("utf-8"))


class Rows:
    """A CSV file that is being written, row by row."""

    def __init__(self, stream: IO[str]) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")

    def write(self, row: Sequence[str]) -> None:
        """Write one row."""
        self._writer.writerow(row)


class ScoreWriter:
    """A table of scores that is being written; holds a bounded number of rows in memory."""

    #: Rows of a group; part of the file's bytes.
    _GROUP = 20_000

    def __init__(self, stream: IO[bytes], pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str]) -> None:
        self._stream, self._pairs, self._signatures = stream, pairs, signatures
        self._rows: list[tuple[Any, ...]] = []
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def __enter__(self) -> ScoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self._rows or self._writer is None):
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def write(self, score: Score) -> None:
        """Write one row."""
        pair = self._pairs[score.pair]
        details = json.dumps(score.details, sort_keys=True, ensure_ascii=False)
        self._rows.append(
            (score.system, score.pair, score.metric, score.measure, score.value, score.numerator,
             score.denominator, pair.dataset, pair.direction, pair.source_speaker, pair.target_speaker, details,
             self._signatures[score.metric])
        )  # fmt: skip
        if len(self._rows) == self._GROUP:
            self._flush()

    def _flush(self) -> None:
        import pandas
        import pyarrow
        import pyarrow.parquet

        frame = pandas.DataFrame(self._rows, columns=list(SCORE_COLUMNS))
        for column in SCORE_COLUMNS:
            numeric = column in ("value", "numerator", "denominator")
            frame[column] = frame[column].astype("float64" if numeric else "string")
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)
        self._rows.clear()


class RunDirectory:
    """Reads and writes the files of one run.

    Args:
        root: the folder; it need not exist yet.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.root / "run.json").is_file()

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.root / "report"

    def audio_path(self, system: str, pair: str) -> Path:
        """Where the converted audio of one pair lies."""
        return self.root / "audio" / system / f"{pair}.flac"

    # run.json, summary.json, calibration.json

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the JSON files, such as ``run.json``.

        Raises:
            UsageError: it is not there or is no JSON object.
        """
        path = self.root / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{path}: no such file; is {self.root} the folder of a finished run?") from None
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}: not valid JSON ({error})") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}: expected a JSON object")
        return value

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write one of the JSON files; NaN is refused, since JSON has none."""
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        write_atomically(self.root / name, text + "\n")

    # pairs.csv

    def write_pairs(self, pairs: Iterable[ConversionPair]) -> None:
        """Write ``pairs.csv``."""
        with self._csv_writer("pairs.csv", PAIR_COLUMNS) as writer:
            for pair in pairs:
                writer.write(_pair_row(pair))

    def read_pairs(self) -> list[dict[str, str]]:
        """Rows of ``pairs.csv``; prompts are separated by blanks, prompt paths by ``|``."""
        return list(self._read_csv("pairs.csv"))

    # audio.csv

    def audio_writer(self) -> AbstractContextManager[Rows]:
        """Write ``audio.csv`` from rows of (system, pair, path), which come sorted."""
        return self._csv_writer("audio.csv", AUDIO_COLUMNS)

    def write_audio(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Write ``audio.csv`` from (system, pair, path) in any order."""
        with self.audio_writer() as writer:
            for row in sorted(rows):
                writer.write(row)

    def read_audio(self) -> list[dict[str, str]]:
        """Rows of ``audio.csv``."""
        return list(self._read_csv("audio.csv"))

    # scores.parquet

    @contextmanager
    def score_writer(self, pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str]) -> Iterator[ScoreWriter]:
        """Write ``scores.parquet`` from scores, which come sorted by system, pair, metric and measure.

        Equal results give equal bytes. ``signatures`` are by metric.
        """
        with replacing(self.root / "scores.parquet") as stream, ScoreWriter(stream, pairs, signatures) as writer:
            yield writer

    def write_scores(
        self, scores: Iterable[Score], pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str]
    ) -> None:
        """Write ``scores.parquet`` from scores in any order; ``signatures`` are by metric."""
        with self.score_writer(pairs, signatures) as writer:
            for score in sorted(scores, key=lambda s: (s.system, s.pair, s.metric, s.measure)):
                writer.write(score)

    def read_scores(self) -> pandas.DataFrame:
        """The table of scores.

        Raises:
            UsageError: it is not there or unreadable.
        """
        import pandas

        path = self.root / "scores.parquet"
        if not path.is_file():
            raise UsageError(f"{path}: no such file; is {self.root} the folder of a finished run?")
        try:
            return pandas.read_parquet(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: can't be read ({error})") from error

    # failures.csv, skipped.csv

    def failure_writer(self) -> AbstractContextManager[Rows]:
        """Write ``failures.csv`` from rows of (system, pair, stage, metric, reason), which come sorted."""
        return self._csv_writer("failures.csv", FAILURE_COLUMNS)

    def write_failures(self, failures: Iterable[Failure]) -> None:
        """Write ``failures.csv`` from failures in any order."""
        with self.failure_writer() as writer:
            for row in sorted((f.system, f.pair, f.stage, f.metric, f.reason) for f in failures):
                writer.write(row)

    def read_failures(self) -> list[dict[str, str]]:
        """Rows of ``failures.csv``."""
        return list(self._read_csv("failures.csv"))

    def skip_writer(self) -> AbstractContextManager[Rows]:
        """Write ``skipped.csv`` from rows of (system, pair, metric, measure, need, reason), which come sorted."""
        return self._csv_writer("skipped.csv", SKIP_COLUMNS)

    def write_skips(self, skips: Iterable[Skip]) -> None:
        """Write ``skipped.csv`` from skips in any order."""
        with self.skip_writer() as writer:
            for row in sorted((s.system, s.pair, s.metric, s.measure, s.need, s.reason) for s in skips):
                writer.write(row)

    def read_skips(self) -> list[dict[str, str]]:
        """Rows of ``skipped.csv``."""
        return list(self._read_csv("skipped.csv"))

    # leakage.csv

    def write_leakage(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Write ``leakage.csv`` from (system, pair, exposure of the source speaker, of the target speaker), sorted."""
        with self._csv_writer("leakage.csv", LEAKAGE_COLUMNS) as writer:
            for row in sorted(rows):
                writer.write(row)

    def read_leakage(self) -> list[dict[str, str]]:
        """Rows of ``leakage.csv``."""
        return list(self._read_csv("leakage.csv"))

    @contextmanager
    def _csv_writer(self, name: str, columns: Sequence[str]) -> Iterator[Rows]:
        with replacing(self.root / name) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
            rows = Rows(text)
            rows.write(columns)
            yield rows
            text.detach()

    def _read_csv(self, name: str) -> Iterator[dict[str, str]]:
        path = self.root / name
        if not path.is_file():
            raise UsageError(f"{path}: no such file; is {self.root} the folder of a finished run?")
        with open(path, encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)


def _pair_row(pair: ConversionPair) -> tuple[str, ...]:
    def known(value: str | None) -> str:
        return value or ""

    def path(utterance: Utterance | None) -> str:
        return str(utterance.path) if utterance else ""

    return (
        pair.id, pair.dataset, known(pair.direction), known(pair.source_speaker), known(pair.source_gender),
        known(pair.target_speaker), known(pair.target_gender), known(pair.language), known(pair.transcript),
        pair.source.id if pair.source else "", path(pair.source),
        " ".join(prompt.id for prompt in pair.prompts), "|".join(str(prompt.path) for prompt in pair.prompts),
        pair.reference.id if pair.reference else "", path(pair.reference),
        pair.natural.id if pair.natural else "", path(pair.natural),
        known(pair.natural.transcript) if pair.natural else "",
    )  # fmt: skip
