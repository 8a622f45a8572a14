"""Tables of users on the command line: what is said of them, and the exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vceval.cli.main import main
from vceval.corpora import csv_manifest
from vceval.protocol import manifest

READ = (
    "vceval: {table}: columns read by another name: "
    "'src' as source, 'tgt' as target, 'text' as transcript, 'lang' as language\n"
)
EMPTY = (
    "vceval: {table}: 1 cell is taken as empty, as nan, null, none and n/a are no values; "
    "the first is 'nan' in line 2, column transcript\n"
)


@pytest.fixture
def recordings(make_sound: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recordings that the review's tables name."""
    for name in ("plain.wav", "source.flac", "target.flac"):
        make_sound(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ("b01-csv-quote/lastquote", 2, "vceval: {table}:2: the quote before 'Ask her to bring' is not closed"),
        ("b01-csv-quote/midquote", 2, "vceval: {table}:3: the quote before 'Oh' is not closed in this line"),
        ("b10-two-csv-readers/commatext", 2, "vceval: {table}:2: 7 cells for 6 columns; put text that holds commas"),
        ("b10-two-csv-readers/dup", 2, "vceval: {table}:3: repeats line 2: the same recordings of sysA"),
        ("b10-two-csv-readers/dupcol", 2, "vceval: {table}:1: column 'source' stands twice; remove or rename"),
        ("b10-two-csv-readers/unknowncol", 0, READ),
        ("b10-two-csv-readers/nantext", 0, EMPTY),
        *((f"b10-two-csv-readers/{name}", 0, "") for name in ("blankrows", "caps", "semicolon", "spaces", "tab")),
    ],
)
def test_tables_of_the_review(
    shared: Path, recordings: Path, capsys: pytest.CaptureFixture[str], table: str, code: int, words: str
) -> None:
    place = Path(shutil.copy(shared / "review" / "cases" / f"{table}.csv", recordings)).name
    assert main(["score", place, "--metrics", "sanity", "--dry-run", "--out", "out"]) == code
    said = capsys.readouterr()
    assert said.err.startswith(words.format(table=place))
    assert bool(said.err) == bool(words)
    assert ("1 to do of 1" in said.out) == (code == 0)
    assert not (recordings / "out").exists()


def test_help_and_page_describe_the_columns_that_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["score", "--columns"])
    assert left.value.code == 0
    page = Path(__file__).parents[2] / "docs" / "pages" / "how-to" / "score-folders.md"
    for shown in (capsys.readouterr().out, page.read_text(encoding="utf-8")):
        assert manifest.TABLE.described() in shown
        assert csv_manifest.TABLE.described() in shown


def test_what_is_understood_is_said_of_both_tables(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recordings / "c.csv").write_text("Model;wav;age\nA;plain.wav;3\n", encoding="utf-16")
    (recordings / "n.csv").write_text("path\tspk\nsource.flac\tp1\n", encoding="utf-8")
    assert main(["score", "c.csv", "--natural", "n.csv", "--metrics", "sanity", "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "n.csv: columns read by another name: 'path' as file, 'spk' as speaker\n" in said
    assert "c.csv: columns read by another name: 'Model' as system, 'wav' as converted\n" in said
    assert "c.csv: columns ignored, as they are not known: 'age' (not there: source" in said


def test_a_wrong_natural_table_is_refused_like_the_other(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recordings / "c.csv").write_text("system,converted\nA,plain.wav\n", encoding="utf-8")
    (recordings / "n.csv").write_text("file,transcrpt\nsource.flac,x\n", encoding="utf-8")
    assert main(["score", "c.csv", "--natural", "n.csv", "--metrics", "sanity", "--dry-run"]) == 2
    assert capsys.readouterr().err == (
        "vceval: n.csv:1: column 'transcrpt' is unknown; is it 'transcript'? Rename it, or remove it\n"
    )
