"""CSV manifests, the demo corpus, and paths that must stay in their root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.corpora.csv_manifest import CsvManifest, read_manifest
from vceval.corpora.demo import Demo
from vceval.errors import UsageError
from vceval.records import Utterance
from vceval.storage.paths import resolve_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "a").mkdir(parents=True)
    for name in ("a/one.wav", "a/two.flac", "three.wav"):
        (folder / name).write_bytes(b"sound")
    (tmp_path / "outside.wav").write_bytes(b"sound")
    return folder


def manifest(folder: Path, text: str | bytes, name: str = "utterances.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_column_with_bom_and_crlf(folder: Path) -> None:
    text = (
        "\ufefffile,id,dataset,speaker,gender,language,transcript,duration,extra\r\n"
        'a/one.wav,u1,mine,s1,female,en,"Well, ""yes"".",1.5,x\r\n\r\n'
        "a/two.flac,,,,,,,,\r\n"
    )
    utterances, problems = read_manifest(manifest(folder, text))
    assert [str(problem) for problem in problems] == [
        f"{folder}/utterances.csv: columns ignored, as they are not known: 'extra' (not there: )"
    ]
    assert utterances == [
        Utterance("u1", folder / "a/one.wav", "mine", "s1", "F", "en", 'Well, "yes".', 1.5),
        Utterance("a/two", folder / "a/two.flac", "unnamed"),
    ]


@pytest.mark.parametrize(
    ("word", "gender"), [("F", "F"), ("f", "F"), ("Female", "F"), ("M", "M"), ("m", "M"), ("male", "M"), ("", None)]
)
def test_spellings_of_gender(folder: Path, word: str, gender: str | None) -> None:
    (found,), problems = read_manifest(manifest(folder, f"gender,file\n{word},three.wav\n"))
    assert found.gender == gender
    assert not problems


def test_notes_name_table_and_line(folder: Path) -> None:
    text = "file,id,gender,duration,transcript\nthree.wav,x,woman,long,nan\na/absent.wav,,,,\na/one.wav,z,,-1,\n"
    path = manifest(folder, text)
    utterances, problems = read_manifest(path)
    assert [u.id for u in utterances] == ["x", "z"]
    assert (utterances[0].gender, utterances[0].transcript) == (None, None)
    assert [(p.line, p.message.split(";")[0]) for p in problems] == [
        (None, "1 cell is taken as empty, as nan, null, none and n/a are no values"),
        (2, "gender 'woman' is none of F, female, M, male"),
        (2, "duration 'long' is no length in seconds"),
        (3, f"no such file: {folder}/a/absent.wav"),
        (4, "duration '-1' is no length in seconds"),
    ]
    assert {p.path for p in problems} == {path}


def test_rows_that_can_not_be_recordings_are_refused_together(folder: Path) -> None:
    text = (
        "file,id,transcript\n"
        'three.wav,x,"two\nlines"\n'
        ",y,\n"
        "a/one.wav,x,\n"
        "a/two.flac,x,one\n"
        "a/one.wav,w,\n"
        "a/two.flac,v,one, two\n"
        "a/two.flac\n"
    )
    path = manifest(folder, text)
    with pytest.raises(UsageError) as caught:
        read_manifest(path)
    lines = str(caught.value).removeprefix(f"{path}: 6 problems:\n  ").split("\n  ")
    assert [line.removeprefix(f"{path}:")[:32] for line in lines] == [
        "2: the quote before 'two' is not",
        "4: file is empty",
        "6: repeats line 5: the same id, ",
        "7: repeats line 5: the same file",
        "8: 4 cells for 3 columns; put te",
        "9: 1 cells for 3 columns; write ",
    ]


@pytest.mark.parametrize("value", ["../outside.wav", "a/../../outside.wav", "/etc/hostname", "link.wav", "C:\\x.wav"])
def test_paths_that_leave_the_root(folder: Path, value: str) -> None:
    (folder / "link.wav").symlink_to(folder.parent / "outside.wav")
    path = manifest(folder, f"file\nthree.wav\n{value}\n")
    with pytest.raises(UsageError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: file: {value!r}")
    assert "give another root" in message


def test_another_root_allows_what_lies_in_it(folder: Path) -> None:
    path = manifest(folder.parent, "file\na/one.wav\n", "table.csv")
    (found,), problems = read_manifest(path, folder)
    assert found.path == folder / "a/one.wav"
    assert not problems
    assert [u.path for u in CsvManifest(path, audio_root=folder).utterances()] == [folder / "a/one.wav"]
    with pytest.raises(UsageError, match="no such folder"):
        CsvManifest(path, audio_root=folder / "absent")


def test_a_missing_column_lists_those_found(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"no column file; found: 'recording', 'id'\."):
        read_manifest(manifest(folder, "recording,id\nx,y\n"))
    with pytest.raises(UsageError, match="found: none"):
        read_manifest(manifest(folder, ""))
    with pytest.raises(UsageError, match="column 'id' stands twice"):
        read_manifest(manifest(folder, "file,id,id\n"))


def test_tables_that_can_not_be_read(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"utterances\.csv:2: not valid UTF-8"):
        read_manifest(manifest(folder, b"file,speaker\nthree.wav,Ren\xe9\n"))
    with pytest.raises(UsageError, match=r"utterances\.csv:2: text after a closing quote"):
        read_manifest(manifest(folder, 'file,transcript\nthree.wav,"Well" yes\n'))
    with pytest.raises(UsageError, match="no such file"):
        read_manifest(folder / "absent.csv")


def test_as_a_corpus(folder: Path) -> None:
    path = manifest(folder, "file,speaker\nthree.wav,s\nabsent.wav,s\n")
    for root in (folder, path):
        corpus = CsvManifest(root)
        assert [u.id for u in corpus.utterances()] == ["three"]
        assert corpus.find("three").dataset == "csv"
        assert len(corpus.problems) == 1
    path.rename(folder / "other.csv")
    with pytest.raises(UsageError, match=r"utterances\.csv: no such file"):
        CsvManifest(folder)


def test_a_copy_of_the_demo_corpus(folder: Path) -> None:
    manifest(folder, "file,id\nthree.wav,t\n")
    assert [(u.id, u.dataset) for u in Demo(folder).utterances()] == [("t", "demo")]


def test_natural_speech_of_published_demos(shared: Path) -> None:
    path = shared / "published_demos" / "natural_speech.csv"
    utterances, problems = read_manifest(path)
    assert problems == []
    assert len(utterances) == len(path.read_text(encoding="utf-8").splitlines()) - 1
    assert {u.gender for u in utterances} == {"F", "M"}
    assert all(u.path.is_file() and u.speaker for u in utterances)


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "ü ß"]), min_size=1, max_size=6))
def test_a_resolved_path_is_inside_or_refused(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    root = tmp_path_factory.getbasetemp() / "root"
    root.mkdir(exist_ok=True)
    value = "/".join(parts)
    lexical = os.path.normpath(f"{root}/{value}")
    inside = bool(value.strip()) and not value.startswith("/") and (lexical + "/").startswith(f"{root}/")
    if inside:
        assert resolve_inside(root, value, "t:1") == Path(lexical)
    else:
        with pytest.raises(UsageError, match=r"^t:1: "):
            resolve_inside(root, value, "t:1")


def test_a_name_that_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(UsageError, match="outside of"):
        resolve_inside(tmp_path / "root", "../rootless/a.wav", "t:1")
    with pytest.raises(UsageError, match="no path"):
        resolve_inside(tmp_path, "a\0b", "t:1")


def test_a_root_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert resolve_inside(tmp_path / "link", "a.wav", "t:1") == tmp_path / "real" / "a.wav"
