"""The run directory: one folder with everything that a result needs to be checked again.

run.json        what was asked for: suite, systems, metrics with signatures, versions, command line
pairs.csv       the conversion pairs (columns: PAIR_COLUMNS)
audio/<system>/<pair>.flac, and beside it <pair>+seed1.flac ... where a pair was converted with several seeds
journal/*.jsonl append-only records of finished work; what makes a killed run resume
scores.parquet  long form, one row per system, pair and measure (columns: SCORE_COLUMNS)
failures.csv    what should have worked and did not (columns: FAILURE_COLUMNS)
leakage.csv     what each system was trained on: exposure of the speakers of its pairs (LEAKAGE_COLUMNS)
efficiency.json what converting took: parameters, real-time factor, memory, machine (vceval.results.efficiency)
skipped.csv     values that can't exist because the pair lacks what the metric needs (SKIP_COLUMNS)
calibration.json  metric -> dataset -> what was learnt from natural speech
summary.json    per system, measure and direction: value, interval, counts (see vceval.results.summary)
hashes.json     sizes and SHA-256s of the files above (vceval.results.hashes): what does not match is not read
listening/      a listening test made from the run (vceval.listen.export), and listening.json and listening.csv, what
                its listeners answered (vceval.listen.import_answers)
report/         index.html, tables/, figures/

Where pairs were converted with several seeds, scores.parquet, failures.csv, skipped.csv and audio.csv have a column
``seed`` after the pair; without it, all rows are of seed 0.
"""

from __future__ import annotations

import io
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from vceval.errors import UsageError
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.results.hashes import Hashes
from vceval.signal.audio import CHANNELS, MAX_SECONDS, Reading
from vceval.storage.csv_files import CsvWriter, read_rows
from vceval.storage.files import replacing
from vceval.storage.paths import no_such_folder

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
    "failure_row",
    "over_seeds",
    "reading_of",
    "seed_suffix",
    "skip_row",
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
AUDIO_COLUMNS = ("system", "pair", "path", "sha256")
#: Where the number of the seed stands in rows, and in tables that have it.
_SEED = 2


def seed_suffix(number: int) -> str:
    """What the name of a recording bears for any seed but the first."""
    return f"+seed{number}" if number else ""


def failure_row(failure: Failure) -> tuple[str, ...]:
    """A row of ``failures.csv``, with its seed."""
    return failure.system, failure.pair, str(failure.seed), failure.stage, failure.metric, failure.reason


def skip_row(skip: Skip) -> tuple[str, ...]:
    """A row of ``skipped.csv``, with its seed."""
    return skip.system, skip.pair, str(skip.seed), skip.metric, skip.measure, skip.need, skip.reason


def over_seeds(takes: pandas.DataFrame) -> pandas.DataFrame:
    """Reduce a table of scores to one row per system, pair and measure: means over the seeds that have a score.

    Means are taken of numerators and of denominators; details are those of the first seed that has a score. The
    column ``seed`` goes.
    """
    if not takes["seed"].any():
        return takes.drop(columns="seed")
    keys = ["system", "pair", "metric", "measure"]
    taken = dict.fromkeys([column for column in SCORE_COLUMNS if column not in keys], "first")
    taken |= {"numerator": "mean", "denominator": "mean"}
    found = takes.sort_values("seed", kind="stable").groupby(keys, sort=True, as_index=False).agg(taken)
    return found.assign(value=found["numerator"] / found["denominator"])[list(SCORE_COLUMNS)]


def write_atomically(path: Path, text: str) -> None:
    """Write a text file under a temporary name in the same folder, flush it to disk, then rename it.

    Names of files that are no UTF-8 are written as JSON escapes them.
    """
    with replacing(path) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))


class Rows:
    """A CSV file that is being written, row by row; ``left_out`` is the place of a column that the file has not."""

    def __init__(self, stream: IO[str], left_out: int | None = None) -> None:
        self._writer = CsvWriter(stream)
        self._left_out = left_out

    def write(self, row: Sequence[str]) -> None:
        """Write one row."""
        self._writer.writerow([text for place, text in enumerate(row) if place != self._left_out])


class ScoreWriter:
    """A table of scores that is being written; holds a bounded number of rows in memory."""

    #: Rows of a group; part of the file's bytes.
    _GROUP = 20_000

    def __init__(
        self, stream: IO[bytes], pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str], seeds: bool = False
    ) -> None:
        self._stream, self._pairs, self._signatures = stream, pairs, signatures
        self._columns = _columns(SCORE_COLUMNS, seeds)
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
            (score.system, score.pair, *([score.seed] if "seed" in self._columns else []), score.metric, score.measure,
             score.value, score.numerator, score.denominator, pair.dataset, pair.direction, pair.source_speaker,
             pair.target_speaker, details, self._signatures[score.metric])
        )  # fmt: skip
        if len(self._rows) == self._GROUP:
            self._flush()

    def _flush(self) -> None:
        import pandas
        import pyarrow
        import pyarrow.parquet

        frame = pandas.DataFrame(self._rows, columns=list(self._columns))
        for column in self._columns:
            if column != "seed":
                numeric = column in ("value", "numerator", "denominator")
                frame[column] = frame[column].astype("float64" if numeric else "string")
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._stream, table.schema, write_page_checksum=True)
        self._writer.write_table(table)
        self._rows.clear()


def reading_of(facts: Mapping[str, Any]) -> Reading:
    """How a run reads recordings, from its ``run.json``."""
    channel = facts.get("channel")
    chosen = next((one for one in CHANNELS if one == channel), None)
    return Reading(chosen, float(facts.get("max_seconds", MAX_SECONDS)))


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
    def finished(self) -> bool:
        """Whether a run was carried out here to its end.

        Raises:
            UsageError: its ``run.json`` is damaged.
        """
        return self.exists and self.read_json("run.json", checked=False).get("state") == "finished"

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.root / "report"

    @property
    def reading(self) -> Reading:
        """How the run reads recordings; listening tests made from it do the same.

        Raises:
            UsageError: there is no run.
        """
        return reading_of(self.read_json("run.json"))

    def audio_path(self, system: str, pair: str, seed: int = 0) -> Path:
        """Where the converted audio of one pair lies; ``seed`` numbers the seeds, from 0."""
        return self.root / "audio" / system / f"{pair}{seed_suffix(seed)}.flac"

    # What the files must hold

    @property
    def hashes(self) -> Hashes:
        """What is known of the files, read now: others may have written some."""
        return Hashes(self.root)

    def has(self, name: str) -> bool:
        """Whether a file is there, or should be."""
        return name in self.hashes or (self.root / name).is_file()

    def checked(self, name: str) -> Path:
        """Where a file lies that is as it was written: whatever reads a run's results asks here.

        A run of a version that kept no hashes is taken as it is.

        Raises:
            UsageError: it is damaged, exchanged or gone; the message says what writes it again.
        """
        if (fault := self.hashes.fault(name)) is not None:
            raise UsageError(f"{self.root / name}: {fault}; {self.repair(name)}")
        return self.root / name

    def _absent(self, path: Path) -> UsageError:
        """The error for a file that is not there, or is in a folder that is not."""
        if self.root.is_file():
            return UsageError(
                f"{self.root}: is a file; name the folder of a run (a result file goes to 'vceval publish --check', "
                "report, table, compare or 'gate --baseline')"
            )
        if not self.root.is_dir():
            return UsageError(no_such_folder(self.root))
        if path.name != "run.json" and (self.root / "run.json").is_file():
            return UsageError(
                f"{path}: no such file; the run is not finished: give the command that began it again "
                f"('vceval status {shlex.quote(str(self.root))}' says how far it is)"
            )
        return UsageError(f"{path}: no such file; is {self.root} the folder of a finished run?")

    def repair(self, name: str = "") -> str:
        """Say which command writes a file of the run again."""
        if name.startswith("listening."):
            return f"give 'vceval listen import {shlex.quote(str(self.root))}' again"
        command: list[str] = []
        with suppress(UsageError, OSError, ValueError, TypeError):
            given = self.read_json("run.json", checked=False).get("command", ())
            command = [str(word) for word in given if word != "--fresh"]
        what = f": {shlex.join(command)}" if command else ""
        return f"give the command that made the run again, which keeps what is converted and scored{what}"

    # run.json, summary.json, calibration.json

    def read_json(self, name: str, *, checked: bool = True) -> dict[str, Any]:
        """Read one of the JSON files, such as ``run.json``.

        Args:
            name: of the file.
            checked: refuse one that is not as it was written. A run at work writes its files anew.

        Raises:
            UsageError: it is not there, is no JSON object, or is not as it was written.
        """
        path = self.checked(name) if checked else self.root / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise self._absent(path) from None
        except OSError as error:
            raise UsageError(f"{path}: can't be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
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
        return list(self._read_csv("pairs.csv", PAIR_COLUMNS))

    # audio.csv

    def audio_writer(self, seeds: bool = False) -> AbstractContextManager[Rows]:
        """Write ``audio.csv`` from rows of (system, pair, seed, path, SHA-256), which come sorted.

        ``seeds`` says, here and below, whether there are several, so that the file has a column for them.
        """
        return self._csv_writer("audio.csv", AUDIO_COLUMNS, seeds)

    def write_audio(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Write ``audio.csv`` from (system, pair, path) of seed 0, in any order, without hashes."""
        with self.audio_writer() as writer:
            for system, pair, path in sorted(rows):
                writer.write((system, pair, "0", path, ""))

    def read_audio(self) -> list[dict[str, str]]:
        """Rows of ``audio.csv``: one recording per system and pair, that of seed 0."""
        return [row for row in self._read_csv("audio.csv", AUDIO_COLUMNS[:3]) if row.get("seed", "0") == "0"]

    def read_recordings(self) -> Iterator[dict[str, str]]:
        """Rows of ``audio.csv``, one by one: the recordings of all seeds."""
        return self._read_csv("audio.csv", AUDIO_COLUMNS[:3])

    # scores.parquet

    @contextmanager
    def score_writer(
        self, pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str], seeds: bool = False
    ) -> Iterator[ScoreWriter]:
        """Write ``scores.parquet`` from scores, which come sorted by system, pair, seed, metric and measure.

        Equal results give equal bytes. ``signatures`` are by metric.
        """
        with (
            replacing(self.root / "scores.parquet") as stream,
            ScoreWriter(stream, pairs, signatures, seeds) as writer,
        ):
            yield writer

    def write_scores(
        self, scores: Iterable[Score], pairs: Mapping[str, ConversionPair], signatures: Mapping[str, str]
    ) -> None:
        """Write ``scores.parquet`` from scores in any order; ``signatures`` are by metric."""
        ordered = sorted(scores, key=lambda s: (s.system, s.pair, s.seed, s.metric, s.measure))
        with self.score_writer(pairs, signatures, any(score.seed for score in ordered)) as writer:
            for score in ordered:
                writer.write(score)

    def read_scores(self) -> pandas.DataFrame:
        """The table of scores, one row per system, pair and measure: of several seeds the mean (:func:`over_seeds`).

        Raises:
            UsageError: it is not there or unreadable.
        """
        found = self._score_table()
        return over_seeds(found) if "seed" in found else found

    def read_takes(self) -> pandas.DataFrame:
        """The table of scores, one row per system, pair, seed and measure.

        Raises:
            UsageError: it is not there or unreadable.
        """
        found = self._score_table()
        return found if "seed" in found else found.assign(seed=0)

    def _score_table(self) -> pandas.DataFrame:
        import pandas

        path = self.checked("scores.parquet")
        if not path.is_file():
            raise self._absent(path)
        try:
            with open(path, "rb") as stream:  # its name may be no UTF-8
                return pandas.read_parquet(stream, page_checksum_verification=True)
        except Exception as error:  # a damaged file raises all kinds of errors
            raise UsageError(f"{path}: can't be read ({error})") from error

    # failures.csv, skipped.csv

    def failure_writer(self, seeds: bool = False) -> AbstractContextManager[Rows]:
        """Write ``failures.csv`` from rows of :func:`failure_row`, which come sorted."""
        return self._csv_writer("failures.csv", FAILURE_COLUMNS, seeds)

    def write_failures(self, failures: Iterable[Failure]) -> None:
        """Write ``failures.csv`` from failures in any order."""
        given = list(failures)
        with self.failure_writer(any(failure.seed for failure in given)) as writer:
            for row in sorted(map(failure_row, given)):
                writer.write(row)

    def read_failures(self) -> list[dict[str, str]]:
        """Rows of ``failures.csv``, one per conversion that failed or score that could not be made, with its seed."""
        return [{"seed": "0", **row} for row in self._read_csv("failures.csv", FAILURE_COLUMNS)]

    def skip_writer(self, seeds: bool = False) -> AbstractContextManager[Rows]:
        """Write ``skipped.csv`` from rows of :func:`skip_row`, which come sorted."""
        return self._csv_writer("skipped.csv", SKIP_COLUMNS, seeds)

    def write_skips(self, skips: Iterable[Skip]) -> None:
        """Write ``skipped.csv`` from skips in any order."""
        given = list(skips)
        with self.skip_writer(any(skip.seed for skip in given)) as writer:
            for row in sorted(map(skip_row, given)):
                writer.write(row)

    def read_skips(self) -> list[dict[str, str]]:
        """Rows of ``skipped.csv``, one per value that can't exist, with its seed."""
        return [{"seed": "0", **row} for row in self._read_csv("skipped.csv", SKIP_COLUMNS)]

    # leakage.csv

    def write_leakage(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Write ``leakage.csv`` from (system, pair, exposure of the source speaker, of the target speaker), sorted."""
        with self._csv_writer("leakage.csv", LEAKAGE_COLUMNS) as writer:
            for row in sorted(rows):
                writer.write(row)

    def read_leakage(self) -> list[dict[str, str]]:
        """Rows of ``leakage.csv``."""
        return list(self._read_csv("leakage.csv", LEAKAGE_COLUMNS))

    @contextmanager
    def _csv_writer(self, name: str, columns: Sequence[str], seeds: bool | None = None) -> Iterator[Rows]:
        """Write a CSV file; ``seeds``: whether it has the column of seeds that its rows have; None: rows have none."""
        with replacing(self.root / name) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="", write_through=True)
            rows = Rows(text, _SEED if seeds is False else None)
            rows.write(_columns(columns, seeds is not None))
            yield rows
            text.detach()

    def _read_csv(self, name: str, columns: Sequence[str]) -> Iterator[dict[str, str]]:
        path = self.checked(name)
        if not path.exists():
            raise self._absent(path)
        return read_rows(path, columns)


def _columns(columns: Sequence[str], seeds: bool) -> tuple[str, ...]:
    return (*columns[:_SEED], "seed", *columns[_SEED:]) if seeds else tuple(columns)


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
