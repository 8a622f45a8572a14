"""Tables and folders of speech that somebody already converted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vceval.corpora.csv_manifest import read_manifest
from vceval.errors import UsageError
from vceval.protocol.known import Known
from vceval.protocol.manifest import TABLE, read_table
from vceval.protocol.trees import read_trees, spread

#: All columns but that of encoders.
USUAL = ",".join(name for name in TABLE.names if name != "encoders")


def table(path: Path, *rows: str, header: str = USUAL) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(make_sound: Callable[..., Path], tmp_path: Path) -> Path:
    for name in ("s.wav", "t.wav", "r.wav", "x/A.wav", "x/B.wav"):
        make_sound(name)
    return tmp_path


def test_systems_on_the_same_recordings_share_a_pair(files: Path) -> None:
    rows = (
        "A,x/A.wav,s.wav,t.wav,r.wav,Hello there.,en,VCTK,,p1,F,p2,male,",
        "B,x/B.wav,s.wav,t.wav,r.wav,Hello there.,en,VCTK,,p1,F,p2,male,",
        "A,x/B.wav,s.wav,t.wav,r.wav,Hello there.,en,VCTK,,p1,F,p2,male,",
    )
    found = read_table(table(files / "c.csv", *rows))
    assert found.systems == ["A", "B"]
    assert len(found.pairs) == 2  # the second take of A is a pair of its own
    first, second = found.conversions[:2]
    assert first.pair is second.pair or first.pair == second.pair
    pair = first.pair
    assert (pair.direction, pair.source_speaker, pair.target_gender) == ("F2M", "p1", "M")
    assert pair.reference is not None
    assert pair.reference.path == files / "r.wav"
    assert [prompt.path for prompt in pair.prompts] == [files / "t.wav"]
    assert first.transcript == "Hello there."


def test_two_columns_are_enough(files: Path) -> None:
    found = read_table(table(files / "c.csv", "mine,x/A.wav", header="system,converted"))
    [conversion] = found.conversions
    pair = conversion.pair
    assert (pair.source, pair.prompts, pair.reference, pair.direction, pair.transcript) == (None, (), None, None, None)


def test_absent_audio_is_a_failure_of_its_row(files: Path) -> None:
    rows = ("A,x/none.wav,s.wav,,,,,,,,,,,", "A,x/A.wav,s.wav,none.wav,,,,,,,,,,", "B,x/B.wav,s.wav,,,,,,,,,,,")
    found = read_table(table(files / "c.csv", *rows))
    assert [c.system for c in found.conversions] == ["B"]
    assert [(f.system, f.stage) for f in found.failures] == [("A", "input"), ("A", "input")]
    assert "c.csv:2: no such file: converted" in found.failures[0].reason
    assert "target" in found.failures[1].reason


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["A,x/A.wav"], "modes,files", "no column system and converted; found: 'modes', 'files'"),
        ([], USUAL, "holds no rows"),
        ([",x/A.wav"], "system,converted", "c.csv:2: system is empty"),
        (["A,"], "system,converted", "c.csv:2: converted is empty"),
        (["A,../../etc/passwd"], "system,converted", "outside"),
        (["A,/etc/passwd"], "system,converted", "/etc/passwd"),
        (["A,x/A.wav,extra"], "system,converted", "c.csv:2: 3 cells for 2 columns"),
        (["A,x/A.wav", "A,./x/../x/A.wav"], "system,converted", "c.csv:3: repeats line 2: the same recordings of A"),
        (['A,x/A.wav,"Oh', "B,x/B.wav,no"], "system,converted,text", "c.csv:2: the quote before 'Oh'"),
        (["A,x/A.wav,,,,,,,,,girl,,,"], USUAL, "source_gender: 'girl' must be F, M"),
        (["A,x/A.wav,,,,,,,F2X,,,,,"], USUAL, "direction: 'F2X' must be F2F"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(files: Path, rows: list[str], header: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_table(table(files / "c.csv", *rows, header=header))


def test_the_same_converted_file_may_be_held_against_several_targets(files: Path) -> None:
    rows = ("source,s.wav,s.wav,t.wav", "source,s.wav,s.wav,r.wav", "A,x/A.wav,s.wav,t.wav")
    found = read_table(table(files / "c.csv", *rows, header="model,wav,src,tgt"))
    assert len(found.conversions) == 3
    [note] = found.notes
    assert note == (
        f"{files / 'c.csv'}: columns read by another name: "
        "'model' as system, 'wav' as converted, 'src' as source, 'tgt' as target"
    )


def test_problems_of_values_and_of_rows_are_named_together(files: Path) -> None:
    rows = ("A,x/A.wav,girl,f2m", "A,../x.wav,F", "A,x/A.wav,F,no", "A,x/B.wav,Male,m2m")
    with pytest.raises(UsageError) as caught:
        read_table(table(files / "c.csv", *rows, header="system,converted,source_gender,direction"))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines[1:]] == ["2", "3", "4", "4"]
    assert lines[0].endswith("c.csv: 4 problems:")


def test_a_name_that_is_too_long_is_no_file(files: Path) -> None:
    found = read_table(table(files / "c.csv", f"A,{'x' * 300}.wav", header="system,converted"))
    assert "no such file" in found.failures[0].reason


HEADER = "system,converted,source,seed"


def test_rows_with_seeds_are_takes_of_one_pair(files: Path) -> None:
    rows = ("A,x/A.wav,s.wav,0", "A,x/B.wav,s.wav,2", "B,x/B.wav,s.wav,", "A,x/A.wav,t.wav,0", "A,x/none.wav,t.wav,1")
    found = read_table(table(files / "c.csv", *rows, header=HEADER))
    assert len(found.pairs) == 2
    assert [(one.system, one.pair.id[-1], one.seed) for one in found.conversions] == [
        ("A", "s", 0), ("A", "s", 2), ("B", "s", 0), ("A", "t", 0),
    ]  # fmt: skip
    assert [(one.system, one.pair[-1], one.seed) for one in found.failures] == [
        ("A", "t", 1), ("A", "s", 1), ("A", "t", 2),
    ]  # fmt: skip
    assert "c.csv:2: the pair has no row of this seed, and A has 3" in found.failures[1].reason


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("A,x/B.wav,s.wav,-1", "c.csv:3: .*'-1' must be a whole number from 0 to 9999"),
        ("A,x/B.wav,s.wav,1.0", "c.csv:3: .*'1.0' must be"),
        ("A,x/B.wav,s.wav,100000", "c.csv:3: .*'100000' must be"),
        ("A,x/B.wav,s.wav,0", r"c.csv:3: seed 0 of A on this pair stands in .*c.csv:2 already"),
        ("A,x/B.wav,s.wav,", r"c.csv:3: seed 0 of A on this pair stands in .*c.csv:2 already"),
        ("A,x/B.wav,,1", "c.csv:3: a seed needs source, target or reference"),
    ],
)
def test_a_wrong_seed_is_refused_with_its_line(files: Path, row: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_table(table(files / "c.csv", "A,x/A.wav,s.wav,0", row, header=HEADER))


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00system")
    with pytest.raises(UsageError, match="UTF-16"):
        read_table(tmp_path / "bytes.csv")


def test_a_link_that_leaves_the_root_is_refused(files: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.wav"
    outside.touch()
    (files / "link.wav").symlink_to(outside)
    with pytest.raises(UsageError, match="outside"):
        read_table(table(files / "c.csv", "A,link.wav", header="system,converted"))


def test_a_folder_in_the_naming_of_mae_vc(make_sound: Callable[..., Path], tmp_path: Path) -> None:
    base = "pages/VCTK/F2M/1/"
    for name in ("p1_001.wav", "p2_002.wav", "A_ADAINVC_p1_001TOp2_002.wav", "E_MAEVC_p1_001TOp2_002.wav"):
        make_sound(base + name)
    natural = table(
        tmp_path / "natural.csv",
        f"{base}p1_001.wav,VCTK,p1,F,en,Hello.",
        header="file,dataset,speaker,gender,language,transcript",
    )
    found = read_trees([tmp_path / "pages"], "mae-vc", Known(read_manifest(natural)[0], "natural.csv"))
    assert sorted(found.systems) == ["ADAINVC", "MAEVC"]
    [pair] = found.pairs.values()
    assert (pair.dataset, pair.direction, pair.transcript, pair.source_speaker) == ("VCTK", "F2M", "Hello.", "p1")
    assert pair.source is not None
    assert (pair.source.id, pair.source.path.name) == ("p1_001", "p1_001.wav")
    assert pair.prompts[0].path.name == "p2_002.wav"
    assert pair.target_speaker is None


def test_a_folder_in_the_naming_of_skqvc(make_sound: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("src", "tgt", "Ours", "FreeVC"):
        make_sound(f"VCTK/src;p1_001&tgt;p2_002/{name}.wav")
    found = read_trees([tmp_path], "skqvc")
    assert sorted(found.systems) == ["FreeVC", "Ours"]
    [pair] = found.pairs.values()
    assert pair.source is not None
    assert pair.source.path.name == "src.wav"
    assert pair.prompts[0].path.name == "tgt.wav"
    assert (pair.dataset, pair.source.id, pair.prompts[0].id) == ("VCTK", "p1_001", "p2_002")


def test_a_folder_that_fits_no_pattern_is_refused(make_sound: Callable[..., Path], tmp_path: Path) -> None:
    make_sound("x.wav")
    with pytest.raises(UsageError, match="none of 1 audio files fits"):
        read_trees([tmp_path], "mae-vc")
    with pytest.raises(UsageError, match="where the system's name stands"):
        read_trees([tmp_path], "{source}.wav")
    with pytest.raises(UsageError, match="none: no such file or folder"):
        spread([tmp_path / "none"])


def test_recordings_decide_how_a_name_is_divided(make_sound: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("p1_001", "p2_002", "A_VQVC_plus_p1_001TOp2_002", "B_Ours_p1_001TOp2_002"):
        make_sound(f"out/{name}.wav")
    found = read_trees([tmp_path / "out"], "{system}_{source}TO{target}.wav")
    assert sorted(found.systems) == ["A_VQVC_plus", "B_Ours"]
    [pair] = found.pairs.values()
    assert pair.source is not None
    assert (pair.source.id, pair.prompts[0].id) == ("p1_001", "p2_002")
