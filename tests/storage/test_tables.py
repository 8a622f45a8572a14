"""Tables that people write: what is understood, what is refused, and in which words."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.corpora import csv_manifest
from vceval.errors import UsageError
from vceval.protocol import manifest
from vceval.storage.tables import LARGEST, LONGEST, Column, Sheet, Table

TABLE = Table(
    (
        Column("system", "a name", ("model",), required=True),
        Column("converted", "a file", ("wav",), required=True),
        Column("transcript", "words", ("text",)),
        Column("source_speaker", "who", ("src_spk",)),
        Column("seed", "a number"),
    ),
    {("ref",): ("source", "target")},
)
HEADER = "system,converted,transcript\n"


def parse(text: str) -> Sheet:
    sheet = TABLE.parse(text, "t.csv")
    sheet.check()
    return sheet


def cells(text: str) -> list[tuple[int, str, str, str]]:
    return [(row.line, row["system"], row["converted"], row["transcript"]) for row in parse(text).rows]


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    return str(caught.value)


# Quotes and rows


@pytest.mark.parametrize(
    ("row", "transcript"),
    [
        ('A,a.wav,"Well, she said ""yes""."', 'Well, she said "yes".'),
        ('A, a.wav , "Well, yes" ', "Well, yes"),
        ('A,a.wav,a 5" disc', 'a 5" disc'),
        ('A,a.wav,he said "yes"', 'he said "yes"'),
        ('"A","a.wav",""', ""),
        ("A,a.wav,it's,,,", "it's"),
        ("A,a.wav,\u201cWell\u201d", "\u201cWell\u201d"),
        ("A,a.wav,one\u2028two", "one\u2028two"),
    ],
)
def test_cells(row: str, transcript: str) -> None:
    assert cells(HEADER + row + "\n") == [(2, "A", "a.wav", transcript)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('A,a,"Ask her\nB,b,with\nC,c,store\n', "t.csv:2: the quote before 'Ask her' is not closed in this line"),
        ('A,a,x\nB,b,"Oh\nC,c,said he"\nD,d,x\n', "t.csv:3: the quote before 'Oh' is not closed in this line"),
        ('A,"a,x\nB,b,x\n', "t.csv:2: the quote before 'a,x'"),
        ('"A,a,x\n', "t.csv:2: the quote before 'A,a,x'"),
        ('A,a,"two\nlines"\nB,b,x\n', "t.csv:2: the quote before 'two' is not closed"),
        ('A,a,"abc""\n', "t.csv:2: the quote before 'abc"),
        ('A,a,"Well" yes\n', "t.csv:2: text after a closing quote: 'yes'"),
        ('A,a,"say \\"yes\\" now"\n', "t.csv:2: text after a closing quote"),
        ("A,a,Well, yes\n", "t.csv:2: 4 cells for 3 columns; put text that holds commas in quotes"),
        ("A,a\n", "t.csv:2: 2 cells for 3 columns"),
        ("A;a;x\n", "t.csv:2: 1 cells for 3 columns: the row is parted by semicolons, the header by commas"),
        (",a,x\n", "t.csv:2: system is empty"),
        ("None,a,x\n", "t.csv:2: system is empty ('None' counts as empty)"),
        ("A,a,x\nSystem,converted,Transcript\n", "t.csv:3: is the header once more; remove the line"),
        (f"A,a,{'x' * LONGEST}\n", "t.csv:2: 100,004 characters; a row has no more than 100,000"),
        ("A,a,x\nB,b\0,x\n", "t.csv:3: holds a NUL byte"),
        ("", "t.csv: holds no rows"),
        ("\n,,\n;;\n", "t.csv:4: 1 cells"),
    ],
)
def test_rows_that_are_refused(text: str, message: str) -> None:
    found = refusal(HEADER + text)
    assert found.startswith(message)
    assert "\n" not in found


def test_problems_are_named_together_up_to_ten() -> None:
    assert refusal(HEADER + 'A,a,"x\nB,b,x\nC,c\n').splitlines() == [
        "t.csv: 2 problems:",
        "  t.csv:2: the quote before 'x' is not closed in this line: close it, or write a quote that belongs to the "
        'text twice, in a cell in quotes (""); no cell may hold a line break',
        "  t.csv:4: 2 cells for 3 columns; write commas for the cells that are empty, too",
    ]
    found = refusal(HEADER + "A,a\n" * 12).splitlines()
    assert found[0] == "t.csv: 12 problems, the first 10:"
    assert len(found) == 11


def test_blank_rows_are_skipped_and_line_numbers_kept() -> None:
    text = HEADER + "\nA,a.wav,x\n,,,,,\n  \n" + '"",,\n' + "\t\nB,b.wav,y\n\n"
    assert cells(text) == [(3, "A", "a.wav", "x"), (8, "B", "b.wav", "y")]


def test_keys_that_repeat_name_both_lines() -> None:
    sheet = parse(HEADER + "A,a,x\nB,b,x\nA,a,y\n")
    assert [sheet.once(row, row["system"], "the same system") for row in sheet.rows] == [True, True, False]
    with pytest.raises(UsageError, match=r"^t\.csv:4: repeats line 2: the same system; remove one of the two"):
        sheet.check()


# The header


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", "])
def test_separators_are_told_by_the_header(separator: str) -> None:
    rows = [
        ["Transcript", " SYSTEM", "Source Speaker", "converted"],
        ["a,b;c" if separator == "\t" else "ab", "A", "p", "x"],
    ]
    text = "\r\n".join(separator.join(row) for row in rows)
    [row] = parse(text).rows
    assert (row["system"], row["converted"], row["source_speaker"]) == ("A", "x", "p")
    assert row["transcript"] == rows[1][0]


def test_the_line_that_excel_writes_above_the_header_is_passed_over() -> None:
    assert cells("sep=;\n" + HEADER.replace(",", ";") + "A;a,b;x\n") == [(3, "A", "a,b", "x")]


def test_other_names_are_understood_and_said() -> None:
    sheet = parse("Model,wav,text,mos\nA,a,x,1\n")
    assert sheet.rows[0].values == {
        "system": "A",
        "converted": "a",
        "transcript": "x",
        "source_speaker": "",
        "seed": "",
    }
    assert sheet.notes == [
        "columns read by another name: 'Model' as system, 'wav' as converted, 'text' as transcript",
        "columns ignored, as they are not known: 'mos' (not there: source_speaker, seed)",
    ]
    assert parse("SYSTEM,Converted\nA,a\n").notes == []


def test_of_many_columns_that_are_ignored_the_first_are_named() -> None:
    names = [f"embedding_{place}" for place in range(490)]
    sheet = parse(",".join(["system", "converted", *names]) + "\n" + ",".join("x" * 492) + "\n")
    assert "'embedding_19' and 470 more (not there" in sheet.notes[0]


def test_an_index_without_a_name_is_ignored_and_said() -> None:
    sheet = parse(",system,converted,\n0,A,a,\n1,B,b\n".replace("b\n", "b,\n"))
    assert [row["system"] for row in sheet.rows] == ["A", "B"]
    assert "ignored, as they are not known: number 1, which has no name" in sheet.notes[0]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("system,converted,transcrpt", "column 'transcrpt' is unknown; is it 'transcript'? Rename it, or remove it"),
        ("system,converted,source_speakr", "is it 'source_speaker'?"),
        ("system,converted,sede", "is it 'seed'?"),
        ("system,converted,system", "column 'system' stands twice; remove or rename all but one"),
        ("system,converted,Model", "columns 'system' and 'Model' both mean system"),
        ("system,converted,ref", "column 'ref' may be source or target: rename it to the one that it is"),
        ("system,file", "no column converted; found: 'system', 'file'. The first line names the columns: system"),
        ('"system,converted"', "The whole line stands in quotes"),
        ('[{"system": "A"}]', "This looks like JSON"),
        ("system  converted", "Blanks part no cells: write commas"),
        ("system,converted" + ",x" * 499, "501 columns; a table of recordings has no more than 500"),
        ("system,converted," + "x" * LONGEST, "100,017 characters are no header"),
        ('system,"converted', "the quote before 'converted' is not closed"),
    ],
)
def test_headers_that_are_refused(header: str, message: str) -> None:
    found = refusal(header + "\nA,a,x\n")
    assert found.startswith("t.csv:1: ")
    assert message in found


@pytest.mark.parametrize(
    "name", ["speed", "source_speaker_age", "texture", "age", "systemic_error", "mos", "id_system"]
)
def test_columns_that_are_far_from_all_are_ignored(name: str) -> None:
    assert f"'{name}'" in parse(f"system,converted,{name}\nA,a,x\n").notes[0]


def test_a_name_is_doubtful_only_while_a_column_that_it_may_mean_is_lacking() -> None:
    table = Table((Column("target", ""), Column("reference", "")), {("ref",): ("target", "reference")})
    assert "'ref'" in table.parse("target,reference,ref\na,b,c\n", "t").notes[0]
    with pytest.raises(UsageError, match="'ref' may be target or reference"):
        table.parse("target,ref\na,b\n", "t")


def test_names_that_are_nearly_the_same_are_said() -> None:
    names = ["VQVC", "VQVC+", "Vqvc", "V QVC", "caf\u00e9", "cafe\u0301", "VQVC", ""]
    sheet = TABLE.parse(HEADER + "".join(f"s,{n}.wav,{name}\n" for n, name in enumerate(names)), "t.csv")
    sheet.note_alike("texts", "transcript")
    first, second = sheet.notes
    assert first.startswith(
        "texts of nearly the same name count as 3: 'VQVC' (line 2), 'Vqvc' (line 4), 'V QVC' (line 5)"
    )
    assert second == (
        f"texts of nearly the same name count as 2: {names[4]!r} (line 6), {names[5]!r} (line 7); "
        "write one name if it is one"
    )


def test_a_cell_that_can_not_be_is_a_problem_of_its_row() -> None:
    def whole(text: str) -> None:
        if not text.isdecimal():
            raise UsageError(f"{text!r} is no whole number")

    table = Table((Column("system", "", required=True), Column("seed", "", check=whole)))
    sheet = table.parse("system,seed\nA,1\nB,\nC,x\n,y\n", "t.csv")
    with pytest.raises(UsageError) as caught:
        sheet.check()
    assert str(caught.value).splitlines()[1:] == [
        "  t.csv:4: seed: 'x' is no whole number",
        "  t.csv:5: system is empty",
        "  t.csv:5: seed: 'y' is no whole number",
    ]


def test_problems_of_a_header_are_named_together() -> None:
    found = refusal("systm,wav,converted\nA,a,b\n")
    assert found.count("\n") == 3
    assert all(words in found for words in ("is it 'system'?", "both mean converted", "no column system;"))


@pytest.mark.parametrize("table", [manifest.TABLE, csv_manifest.TABLE])
def test_no_name_means_two_columns(table: Table) -> None:
    names = [name for column in table.columns for name in (column.name, *column.aliases)]
    assert len({name.replace("_", "") for name in names}) == len(names)
    for name in names:
        required = [
            column.name for column in table.columns if column.required and name not in (column.name, *column.aliases)
        ]
        sheet = table.parse(",".join([*required, name]) + "\n" + ",".join(["x"] * (len(required) + 1)), "t.csv")
        assert all(note.startswith("columns read by another name") for note in sheet.notes)
        assert f"`{name}`" in table.described()


# Values


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "None", "none", "n/a", "N/A", "#N/A", "<NA>"])
def test_words_for_nothing_are_empty_and_said(word: str) -> None:
    sheet = parse(HEADER + f"A,a,{word}\nB,b,x\nC,c,{word}\n")
    assert [row["transcript"] for row in sheet.rows] == ["", "x", ""]
    assert sheet.notes == [
        "2 cells are taken as empty, as nan, null, none and n/a are no values; "
        f"the first is {word!r} in line 2, column transcript"
    ]


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes((HEADER + "Ä,a.wav,文字\n").replace("\n", newline).encode(encoding))
    assert [(row["system"], row["transcript"]) for row in TABLE.read(path).rows] == [("Ä", "文字")]


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("Das Mädchen heißt Zoë, à bientôt", "cp1252", "Windows-1252"),
        ("Я хочу говорить с вами", "cp1251", "Windows-1251"),
        ("今天天气很好，我们去公园散步吧。", "gb18030", "GB 18030"),
        ("今日はとても良い天気ですね", "shift_jis", "Shift JIS"),
        ("오늘은 날씨가 정말 좋습니다", "euc_kr", "EUC-KR"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, text: str, encoding: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes((HEADER + f'A,a.wav,"{text}"\n').encode(encoding))
    with pytest.raises(UsageError) as caught:
        TABLE.read(path)
    assert str(caught.value).startswith(f"{path}:2: not valid UTF-8; it seems to be {words}")
    assert str(caught.value).endswith("save the table as CSV in UTF-8")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEADER.encode("utf-16-le"), "it seems to be UTF-16 without the mark that says so"),
        (b"\xff\xfe\x00s\x00", "not valid UTF-16"),
        (b"PK\x03\x04rest", "is a workbook"),
        (b"RIFF....WAVE", "is a recording, not a CSV table"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        TABLE.read(path)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        TABLE.read(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="can't be read"):
        TABLE.read(tmp_path)
    with open(tmp_path / "large.csv", "wb") as stream:
        stream.truncate(LARGEST + 1)
    with pytest.raises(UsageError, match="more than 64 MiB"):
        TABLE.read(tmp_path / "large.csv")


# Properties

_CELL = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)
_FILLED = _CELL.filter(
    lambda text: text.strip().lower() not in {"", "nan", "null", "none", "n/a", "#n/a", "<na>", "system"}
)


@given(st.lists(st.tuples(_FILLED, _FILLED, _FILLED), min_size=1, max_size=6), st.sampled_from(",;\t|"), st.booleans())
def test_what_is_written_is_read(rows: list[tuple[str, str, str]], separator: str, quote_all: bool) -> None:
    buffer = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(buffer, delimiter=separator, quoting=quoting).writerows([("system", "converted", "transcript"), *rows])
    sheet = parse(buffer.getvalue())
    assert [tuple(row.values.values())[:3] for row in sheet.rows] == [tuple(c.strip() for c in row) for row in rows]
    assert [row.line for row in sheet.rows] == list(range(2, len(rows) + 2))


@given(st.data())
def test_damage_is_an_error_in_words_or_no_damage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray((HEADER + 'A,a.wav,"Well, ""yes"""\nB,b.wav,nän\n\n,,\nC,c.wav,"x"\n').encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b";", b"\t", b"None", b"\xef\xbb\xbf", b"\xff\xfe"]
            )
            | st.binary(max_size=3)
        )
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(bytes(text))
    for read in (manifest.read_table, csv_manifest.read_manifest, TABLE.read):
        try:
            told = read(path)  # type: ignore[operator]
        except UsageError as error:
            told = str(error)
        assert told
        assert not isinstance(told, str) or str(path) in told
