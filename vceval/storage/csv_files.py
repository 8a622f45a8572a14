"""CSV files that vceval writes, which people open in spreadsheets, and reads again.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and formulas can start programs.
A cell that begins so and is no number gets an apostrophe before it, which spreadsheets take for "this is text"; reading
takes it off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from vceval.errors import UsageError

__all__ = ["CsvWriter", "as_text", "as_written", "csv_text", "read_rows"]

#: Apostrophes are counted, so that what began with one before it was written is read as it was.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n].", re.DOTALL)
_QUOTED = re.compile(r'[",\r\n]')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-](inf|nan)")


def as_text(cell: str) -> str:
    """Make a cell one that no spreadsheet calculates."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def as_written(cell: str) -> str:
    """Take back what :func:`as_text` did."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class CsvWriter:
    """Writes rows, with no cell that a spreadsheet calculates; None is an empty cell."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def writerow(self, row: Iterable[Any]) -> None:
        """Write one row."""
        self._stream.write(",".join(map(_cell, row)) + "\n")

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        for row in rows:
            self.writerow(row)


def _cell(value: Any) -> str:
    text = as_text("" if value is None else str(value))
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text  # csv.writer leaves \r bare


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Make the text of a CSV file."""
    buffer = io.StringIO()
    writer = CsvWriter(buffer)
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def read_rows(path: Path, columns: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """Read the rows of a file that vceval wrote.

    Args:
        path: of the file. Names of files in it may be no UTF-8.
        columns: that it must have.

    Raises:
        UsageError: it can't be read, lacks a column, or a row has more or fewer cells than there are columns.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if lacking := [name for name in columns if name not in (reader.fieldnames or ())]:
                raise UsageError(f"{path}: has no column {lacking[0]!r}; it is damaged")
            for row in reader:
                if None in row or None in row.values():
                    raise UsageError(
                        f"{path}:{reader.line_num}: has more or fewer cells than the header; it is damaged"
                    )
                yield {name: as_written(cell) for name, cell in row.items()}
    except (OSError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read ({error})") from error
