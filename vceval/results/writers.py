"""Tables of a run, written row by row: however long they are, a bounded part is in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from vceval.records import ConversionPair, Score

if TYPE_CHECKING:
    import pyarrow.parquet

__all__ = ["SCORE_COLUMNS", "Rows", "ScoreWriter"]

SCORE_COLUMNS = (
    "system", "pair", "metric", "measure", "value", "numerator", "denominator",
    "dataset", "direction", "source_speaker", "target_speaker", "details", "signature",
)  # fmt: skip


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
