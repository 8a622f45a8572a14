"""CSV files that vceval writes: no spreadsheet calculates anything in them, and what is read is what was written."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

import vceval
from vceval.errors import UsageError
from vceval.storage.csv_files import csv_text, read_rows

FORMULAS = [
    '=HYPERLINK("http://x","y")',
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "=",
    "-",
    "'=1",
]
PLAIN = ["-1.5", "+3", "-1e-05", "-inf", "word", "it's", "'quoted'", "", "1-2", "−3", "a=b", "-0.5e3"]


def written(path: Path, cells: list[str]) -> Path:
    path.write_text(csv_text(("a", "b"), ((cell, "x") for cell in cells)), encoding="utf-8", newline="")
    return path


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", [*FORMULAS, *PLAIN])
    assert [row["a"] for row in read_rows(path)] == [*FORMULAS, *PLAIN]
    with open(path, encoding="utf-8", newline="") as stream:
        seen = [row["a"] for row in csv.DictReader(stream)]
    assert seen[len(FORMULAS) :] == PLAIN
    assert not [cell for cell in seen[: len(FORMULAS)] if cell[:1] in "=+-@\t\r\n" and len(cell) > 1]


def test_any_text_comes_back(tmp_path: Path) -> None:
    drawn = random.Random(15)
    cells = ["".join(drawn.choices("'=+-@\t\r\n1.e\",;x ü", k=drawn.randint(0, 6))) for _ in range(3000)]
    assert [row["a"] for row in read_rows(written(tmp_path / "t.csv", cells))] == cells


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1\n", "more or fewer cells"), (b"a,b\n1,2,3\n", "more or fewer cells"), (b"a\n1\n", "no column 'b'"),
        (b"", "no column 'a'"), (b'a,b\n"1,2\n', "can't be read"), (b"a,b\n" + b"x" * 200_000 + b",2", "field larger"),
        (b'a,b\n"1"x,2\n', "can't be read"), (b"\0" * 50, "no column 'a'"),
    ],
)  # fmt: skip
def test_what_vceval_did_not_write_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        list(read_rows(tmp_path / "t.csv", ("a", "b")))
    assert str(tmp_path / "t.csv") in str(caught.value)


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        list(read_rows(tmp_path))


def test_names_that_are_no_utf8_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n/data/\xe4.wav\n")
    assert [row["a"] for row in read_rows(tmp_path / "t.csv")] == ["/data/\udce4.wav"]


def test_every_csv_file_is_written_here() -> None:
    root = Path(vceval.__file__).parent
    files = [path for room in root.iterdir() for path in room.resolve().glob("*.py")]
    assert len(files) > 150
    others = [path.name for path in files if "csv.writer(" in (text := path.read_text()) or "csv.DictWriter(" in text]
    assert others == []
