"""The readers of LibriSpeech and LibriTTS on small trees with the quirks of the real ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from vceval.corpora.base import Corpus
from vceval.corpora.libri import LibriSpeech, LibriTTS
from vceval.errors import UsageError

SPEAKERS = (
    "; Some metadata\n;ID  |SEX| SUBSET           |MINUTES| NAME\n"
    "60   | M | train-clean-100  | 20.18 | |CBW|Simon\n"
    "367  | F | test-other       | 10.02 | Megan Stemm-Wade\n"
    "1998 | f | test-other       | 10.03 | Jen\n"
    "2414 | M | test-other       | 10.01 | Bill\n"
    "908  | M | test-clean       | 8.05  | Sam Stinson\n"
)


def write(path: Path, content: str | bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def notes(corpus: Corpus, *words: str) -> list[str]:
    return [str(problem) for problem in corpus.problems if all(word in str(problem) for word in words)]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    write(root / "SPEAKERS.TXT", SPEAKERS)
    for name in ("test-other/367/130732/367-130732-0000", "test-other/367/130732/367-130732-0001",
                 "test-other/1998/15444/1998-15444-0000", "test-clean/908/31957/908-31957-0000"):  # fmt: skip
        write(root / f"{name}.flac")
    write(
        root / "test-other/367/130732/367-130732.trans.txt", "367-130732-0000 LOBSTERS\n367-130732-0001 AND  CRABS\r\n"
    )
    write(root / "test-other/1998/15444/1998-15444.trans.txt", "1998-15444-0000 DON'T\n")
    write(root / "test-clean/908/31957/908-31957.trans.txt", "908-31957-0000 ALL IS SAID\n")
    write(root / "mp3/60/121082/121082.mp3")
    return root


def test_librispeech(speech: Path) -> None:
    corpus = LibriSpeech(speech)
    assert [(u.id, u.speaker, u.gender, u.language, u.transcript) for u in corpus.utterances()] == [
        ("908-31957-0000", "908", "M", "en", "ALL IS SAID"),
        ("1998-15444-0000", "1998", "F", "en", "DON'T"),
        ("367-130732-0000", "367", "F", "en", "LOBSTERS"),
        ("367-130732-0001", "367", "F", "en", "AND  CRABS"),
    ]
    assert corpus.splits == ("test-clean", "test-other")
    assert corpus.find("1998-15444-0000").path == speech / "test-other/1998/15444/1998-15444-0000.flac"
    assert [str(problem) for problem in corpus.problems] == [
        f"{speech}/SPEAKERS.TXT: 1 speakers listed for test-other have no folder there: 2414"
    ]


@pytest.mark.parametrize("splits", [("test-clean",), ["test-clean"], "test-clean"])
def test_only_the_splits_asked_for_are_read(speech: Path, splits: str | list[str]) -> None:
    corpus = LibriSpeech(speech, splits=splits)
    assert [u.id for u in corpus.utterances()] == ["908-31957-0000"]
    assert not corpus.problems


def test_a_split_that_is_not_there(speech: Path) -> None:
    with pytest.raises(UsageError, match=r"no split 'dev-clean' here; present: test-clean, test-other"):
        LibriSpeech(speech, splits=("dev-clean", "test-other"))
    with pytest.raises(UsageError, match="no split none"):
        LibriSpeech(speech, splits=())


def test_a_split_of_ones_own_must_be_named(speech: Path) -> None:
    (speech / "test-other").rename(speech / "mine")
    assert {u.speaker for u in LibriSpeech(speech).utterances()} == {"908"}
    assert {u.speaker for u in LibriSpeech(speech, splits=("mine",)).utterances()} == {"1998", "367"}
    (speech / "test-clean").rename(speech / "other")
    with pytest.raises(UsageError, match=r"none of its folders \(mine, mp3, other\) is a split"):
        LibriSpeech(speech)


def test_the_root_may_be_a_split_or_the_folder_around(speech: Path) -> None:
    one = LibriSpeech(speech / "test-other")
    assert {u.speaker for u in one.utterances()} == {"1998", "367"}
    assert {u.gender for u in one.utterances()} == {"F"}
    assert one.splits == ("test-other",)
    assert len(LibriSpeech(speech.parent)) == 4
    with pytest.raises(UsageError, match="present: test-other"):
        LibriSpeech(speech / "test-other", splits=("test-clean",))


def test_what_librispeech_notes(speech: Path) -> None:
    chapter = speech / "test-other/367/130732"
    write(
        chapter / "367-130732.trans.txt", "367-130732-0000 A\n367-130732-0000 B\n367-130732-0007 C\n367-130732-0002\n"
    )
    write(chapter / "367-130732-0002.flac")
    write(chapter / "367-999999-0003.flac")
    (speech / "test-other/1998/15444/1998-15444.trans.txt").unlink()
    write(speech / "test-other/77/1/77-1-0000.flac")
    write(speech / "test-other/77/1/77-1.trans.txt", "77-1-0000 X\n")
    corpus = LibriSpeech(speech)
    listing = str(chapter / "367-130732.trans.txt")
    assert corpus.find("367-130732-0000").transcript == "A"
    assert notes(corpus, f"{listing}:2:", "second line")
    assert notes(corpus, f"{listing}:3:", "367-130732-0007", "without a recording")
    assert notes(corpus, f"{listing}:4:", "no text")
    assert notes(corpus, listing, "367-130732-0001", "no line with its transcript")
    assert notes(corpus, "367-999999-0003.flac", "not named 367-130732-<number>")
    assert notes(corpus, "1998-15444.trans.txt", "1 recordings have no transcript")
    assert notes(corpus, "SPEAKERS.TXT", "speaker 77 is not listed")
    assert corpus.find("77-1-0000").gender is None
    assert corpus.find("1998-15444-0000").transcript is None


def test_malformed_lines_of_the_speaker_table(speech: Path) -> None:
    write(speech / "SPEAKERS.TXT", SPEAKERS + "9 | F\n77 | X | test-other | 1 | A\n908 | F | test-clean | 8.05 | Sam\n")
    corpus = LibriSpeech(speech)
    assert notes(corpus, "SPEAKERS.TXT:8:", "'9 | F'")
    assert notes(corpus, "SPEAKERS.TXT:9:", "'X'")
    assert notes(corpus, "SPEAKERS.TXT:10:", "sex F here, M before")
    (speech / "SPEAKERS.TXT").unlink()
    assert notes(LibriSpeech(speech), "every gender is unknown")


@pytest.fixture
def tts(tmp_path: Path) -> Path:
    root = tmp_path / "LibriTTS"
    chapter = root / "test-clean/908/31957"
    write(root / "speakers.tsv", "READER\tGENDER\tSUBSET NAME\n908\tM\ttest-clean\tSam Stinson\n61\tM\ttest-clean\n")
    for sentence in range(4):
        write(chapter / f"908_31957_000018_00000{sentence}.wav")
    write(chapter / "908_31957_000018_000000.normalized.txt", "Chapter two.")
    write(chapter / "908_31957_000018_000000.original.txt", "CHAPTER II.")
    write(chapter / "908_31957_000018_000001.original.txt", "Mr. Smith")
    write(chapter / "908_31957_000018_000003.normalized.txt", "")
    write(chapter / "908_31957.trans.tsv", "908_31957_000018_000000\tCHAPTER II.\tChapter two.\n")
    return root


def test_libritts(tts: Path) -> None:
    corpus = LibriTTS(tts, splits=("test-clean",))
    assert [(u.id, u.speaker, u.gender, u.transcript) for u in corpus.utterances()] == [
        ("908_31957_000018_000000", "908", "M", "Chapter two."),
        ("908_31957_000018_000001", "908", "M", "Mr. Smith"),
        ("908_31957_000018_000002", "908", "M", None),
        ("908_31957_000018_000003", "908", "M", None),
    ]
    assert notes(corpus, "000001.normalized.txt", "the original text is used")
    assert notes(corpus, "000002.normalized.txt", "neither")
    assert notes(corpus, "000003.normalized.txt", "holds no text")
    assert notes(corpus, "speakers.tsv", "1 speakers listed for test-clean", "61")
    assert len(corpus.problems) == 4


def test_libritts_with_the_table_of_librispeech_too(tts: Path) -> None:
    write(tts / "SPEAKERS.txt", SPEAKERS)
    corpus = LibriTTS(tts)
    assert corpus.find("908_31957_000018_000000").gender == "M"
    assert len(notes(corpus, "listed for test-clean")) == 1


def test_each_names_the_other(speech: Path, tts: Path) -> None:
    with pytest.raises(UsageError, match=r"no LibriTTS here.*looks like LibriSpeech: use corpus librispeech"):
        LibriTTS(speech)
    with pytest.raises(UsageError, match=r"no LibriSpeech here.*looks like LibriTTS: use corpus libritts"):
        LibriSpeech(tts)
    assert len(LibriTTS(tts.parent)) == 4
    with pytest.raises(UsageError, match=r"/test-clean looks like it: give that folder"):
        LibriTTS(tts / "test-clean/908")


def test_copies_without_folders_of_chapters(speech: Path, tts: Path) -> None:
    for kind, root in ((LibriSpeech, speech), (LibriTTS, tts)):
        before = [replace(u, path=root) for u in kind(root).utterances()]
        moved = {path for path in root.rglob("*") if path.is_file() and path.parent.name.isdecimal()}
        for path in moved:
            path.rename(path.parent.parent / path.name)
        for folder in {path.parent for path in moved}:
            folder.rmdir()
        corpus = kind(root)
        assert [replace(u, path=root) for u in corpus.utterances()] == before
        assert len(notes(corpus, "not in folders of chapters: they are read by their names")) == 1


def test_a_recording_in_its_chapter_and_beside_it_is_read_once(tts: Path) -> None:
    name = "908_31957_000018_000000"
    chapter = tts / "test-clean/908/31957"
    for ending in (".wav", ".normalized.txt"):
        shutil.copy(chapter / f"{name}{ending}", chapter.parent)
    corpus = LibriTTS(tts)
    assert len(corpus) == 4
    assert corpus.find(name).path == chapter / f"{name}.wav"
    assert notes(corpus, f"second recording with the id {name}")


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3"])
def test_names_tell_the_corpora_apart_not_formats(speech: Path, tts: Path, ending: str) -> None:
    recordings = [*speech.rglob("*.flac"), *tts.rglob("*.wav")]
    before = [[u.id for u in kind(root).utterances()] for kind, root in ((LibriSpeech, speech), (LibriTTS, tts))]
    for path in recordings:
        path.rename(path.with_suffix(ending))
    for kind, root, ids, own in ((LibriSpeech, speech, before[0], ".flac"), (LibriTTS, tts, before[1], ".wav")):
        corpus = kind(root)
        assert [u.id for u in corpus.utterances()] == ids
        assert {u.path.suffix for u in corpus.utterances()} == {ending}
        noted = notes(corpus, f"recordings end with {ending} here, those of {kind.info.title} with {own}")
        assert len(noted) == (ending != own)
    with pytest.raises(UsageError, match=r"looks like LibriSpeech: use corpus librispeech"):
        LibriTTS(speech)
    with pytest.raises(UsageError, match=r"looks like LibriTTS: use corpus libritts"):
        LibriSpeech(tts)
