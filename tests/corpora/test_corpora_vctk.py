"""The readers of VCTK 0.92 and 0.80 on small trees with the quirks of the real ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vceval.corpora.base import Corpus
from vceval.corpora.vctk import Vctk, Vctk080
from vceval.errors import UsageError

INFO = (
    "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \r\n"
    "p225  23  F    English    Southern  England\r\n"
    "p226  22  M    English    Surrey\r\n"
    "p248  23  F    Indian  \r\n"
    "p280  25  F    Unknown    France (mic2 files unavailable)\r\n"
    "p315  18  M    American  New  England (Text and mic2 files unavailable)\r\n"
    "p335  25  F    NewZealand  English    \r\n"
)


def write(path: Path, content: str | bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def speak(root: Path, name: str, microphones: str = "12", text: str | None = "Please call Stella.\n") -> None:
    speaker = name.split("_")[0]
    for microphone in microphones:
        write(root / "wav48_silence_trimmed" / speaker / f"{name}_mic{microphone}.flac")
    if text is not None:
        write(root / "txt" / speaker / f"{name}.txt", text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VCTK-Corpus-0.92"
    write(root / "speaker-info.txt", INFO)
    write(root / "wav48_silence_trimmed" / "log.txt", "trimmed")
    speak(root, "p226_002")
    speak(root, "p225_002", text="Ask her to bring these things.")
    speak(root, "p225_001")
    speak(root, "p248_001")
    speak(root, "p280_001", "1")
    speak(root, "p280_002", "1")
    speak(root, "p315_001", "1", text=None)
    speak(root, "p315_002", "1", text=None)
    speak(root, "s5_001")
    return root


def notes(corpus: Corpus, *words: str) -> list[str]:
    return [str(problem) for problem in corpus.problems if all(word in str(problem) for word in words)]


def test_the_whole_tree(root: Path) -> None:
    corpus = Vctk(root)
    assert [u.id for u in corpus.utterances()] == [
        "p225_001", "p225_002", "p226_002", "p248_001", "p280_001", "p280_002", "p315_001", "p315_002", "s5_001",
    ]  # fmt: skip
    first = corpus.find("p225_002")
    assert first.path == root / "wav48_silence_trimmed" / "p225" / "p225_002_mic1.flac"
    assert (first.dataset, first.speaker, first.gender, first.language) == ("vctk", "p225", "F", "en")
    assert first.transcript == "Ask her to bring these things."
    assert first.duration is None
    assert {u.speaker: u.gender for u in corpus.utterances()} == {
        "p225": "F", "p226": "M", "p248": "F", "p280": "F", "p315": "M", "s5": None,
    }  # fmt: skip
    assert [str(problem).removeprefix(f"{root}/") for problem in corpus.problems] == [
        "txt/p315: no texts of p315: 2 recordings have no transcript",
        "speaker-info.txt: speaker s5 is not listed: gender unknown",
        "speaker-info.txt: 1 speakers listed have no recordings here: p335",
    ]


def test_problems_are_there_before_the_first_utterance_is_asked_for(root: Path) -> None:
    assert len(Vctk(root).problems) == 3


def test_the_other_microphone_is_used_and_noted_once_for_a_speaker(root: Path) -> None:
    corpus = Vctk(root, microphone="mic2")
    assert corpus.find("p225_001").path.name == "p225_001_mic2.flac"
    assert corpus.find("p280_002").path.name == "p280_002_mic1.flac"
    assert len(notes(corpus, "no mic2")) == 2
    assert notes(corpus, "p280", "no mic2 recording of 2 of 2", "mic1 is used")
    assert not notes(Vctk(root), "recording of")


def test_an_unknown_microphone_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match=r"mic3.*mic1 or mic2"):
        Vctk(root, microphone="mic3")


def test_a_missing_text_is_noted_with_its_path(root: Path) -> None:
    speak(root, "p226_003", text=None)
    corpus = Vctk(root)
    assert corpus.find("p226_003").transcript is None
    assert notes(corpus, f"{root}/txt/p226/p226_003.txt", "no text file")


def test_many_missing_texts_are_one_note(root: Path) -> None:
    for number in range(10, 20):
        speak(root, f"p226_{number:03}", text=None)
    assert len(notes(Vctk(root), "no text file")) == 1
    assert notes(Vctk(root), "10 times", "p226_010", "2 more")


def test_texts_without_recording_empty_and_undecodable_texts(root: Path) -> None:
    write(root / "txt" / "p225" / "p225_009.txt", "Nobody said this.")
    speak(root, "p225_003", text=" \n\n")
    speak(root, "p225_004", text=None)
    write(root / "txt" / "p225" / "p225_004.txt", b"caf\xe9")
    corpus = Vctk(root)
    assert "p225_009" not in corpus
    assert notes(corpus, "p225_009", "a text without a recording")
    assert corpus.find("p225_003").transcript is None
    assert notes(corpus, "p225_003.txt", "holds no text")
    assert corpus.find("p225_004").transcript is None
    assert notes(corpus, "p225_004.txt:1:", "not valid UTF-8")


def test_text_is_one_line_without_bom_and_blanks_around(root: Path) -> None:
    speak(root, "p225_003", text="\ufeff  Six spoons\r\n of fresh  snow peas. \r\n")
    assert Vctk(root).find("p225_003").transcript == "Six spoons of fresh  snow peas."


def test_recordings_that_are_none(root: Path) -> None:
    folder = root / "wav48_silence_trimmed" / "p226"
    write(folder / "p226_005_mic1.flac", b"")
    write(folder / "p225_006_mic1.flac")
    write(folder / "p226_007_mic1.wav")
    write(folder / "._p226_002_mic1.flac")
    (folder / "p226_008_mic1.flac").symlink_to(folder / "nowhere.flac")
    write(root / "wav48_silence_trimmed" / "backup" / "p226_002_mic1.flac")
    (root / "wav48_silence_trimmed" / "p335").mkdir()
    corpus = Vctk(root)
    assert [u.id for u in corpus.utterances() if u.speaker == "p226"] == ["p226_002", "p226_007"]
    assert notes(corpus, "p226_005_mic1.flac", "is empty")
    assert notes(corpus, "p225_006_mic1.flac", "not named p226_<number>")
    assert notes(corpus, "recordings end with .wav here, those of VCTK 0.92 with .flac")
    assert notes(corpus, "p226_008_mic1.flac", "link to nothing")
    assert notes(corpus, "backup", "not the name of a speaker")
    assert notes(corpus, "p335", "holds no recording of p335")
    assert not notes(corpus, "._p226")


def test_capitals_in_names_change_nothing(root: Path) -> None:
    write(root / "wav48_silence_trimmed" / "P335" / "P335_001_MIC1.FLAC")
    write(root / "txt" / "P335" / "P335_001.TXT", "Please call Stella.")
    found = Vctk(root).find("p335_001")
    assert (found.speaker, found.gender, found.transcript) == ("p335", "F", "Please call Stella.")


def test_malformed_lines_of_the_speaker_table(root: Path) -> None:
    write(
        root / "speaker-info.txt", INFO + "somebody 30 F\np226  22  F  English\np360  19  X  American\np361 F English\n"
    )
    speak(root, "p360_001")
    speak(root, "p361_001")
    corpus = Vctk(root)
    assert notes(corpus, "speaker-info.txt:8:", "'somebody'")
    assert notes(corpus, "speaker-info.txt:9:", "p226 is listed twice")
    assert notes(corpus, "speaker-info.txt:10:", "'X' is neither F nor M")
    assert corpus.find("p226_002").gender == "M"
    assert corpus.find("p360_001").gender is None
    assert corpus.find("p361_001").gender == "F"


def test_no_speaker_table_and_no_texts_at_all(tmp_path: Path) -> None:
    speak(tmp_path, "p225_001", text=None)
    speak(tmp_path, "p226_001", text=None)
    corpus = Vctk(tmp_path)
    assert [(u.gender, u.transcript) for u in corpus.utterances()] == [(None, None)] * 2
    assert len(corpus.problems) == 2
    assert notes(corpus, "every transcript is unknown")
    assert notes(corpus, "every gender is unknown")


def test_the_folder_around_it_is_accepted(root: Path) -> None:
    assert Vctk(root.parent).root == root


def test_release_080(tmp_path: Path) -> None:
    root = tmp_path / "VCTK-Corpus"
    write(root / "speaker-info.txt", "ID  AGE  GENDER  ACCENTS  REGION \n225  23  F    English    Southern  England\n"
                                     "376  22  M    Indian\n315  18  M    American  New  England\n")  # fmt: skip
    for name in ("p376_001", "p225_001", "p225_366", "p280_001", "p315_001"):
        write(root / "wav48" / name[:4] / f"{name}.wav")
        if name != "p315_001":
            write(root / "txt" / name[:4] / f"{name}.txt", "Please call Stella.\n")
    # The real release has one recording without a header
    write(root / "wav48" / "p376" / "p376_295.raw")
    corpus = Vctk080(tmp_path)
    assert [(u.id, u.speaker, u.gender, u.transcript) for u in corpus.utterances()] == [
        ("p225_001", "p225", "F", "Please call Stella."),
        ("p225_366", "p225", "F", "Please call Stella."),
        ("p280_001", "p280", None, "Please call Stella."),
        ("p315_001", "p315", "M", None),
        ("p376_001", "p376", "M", "Please call Stella."),
    ]
    assert {u.dataset for u in corpus.utterances()} == {"vctk080"}
    assert notes(corpus, "p376_295.raw", "no .wav file")
    assert notes(corpus, "p280 is not listed")
    assert notes(corpus, "no texts of p315")
    assert len(corpus.problems) == 3


def test_each_release_names_the_other(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no VCTK 0\.80 here.*looks like VCTK 0\.92: use corpus vctk"):
        Vctk080(root)
    write(tmp_path / "old" / "wav48" / "p225" / "p225_001.wav")
    with pytest.raises(UsageError, match=r"no VCTK 0\.92 here.*looks like VCTK 0\.80: use corpus vctk080"):
        Vctk(tmp_path / "old")


def lay(root: Path, pattern: str, *, texts: bool = True) -> Path:
    for speaker in ("p225", "p226"):
        for number in ("001", "002"):
            write(root / pattern.format(s=speaker, n=number))
            if texts:
                write(root / "txt" / speaker / f"{speaker}_{number}.txt", "Please call Stella.")
    write(root / "speaker-info.txt", "ID AGE GENDER\np225 23 F\np226 22 M\n")
    return root


TRIMMED = "wav48_silence_trimmed"


@pytest.mark.parametrize(
    ("kind", "pattern", "noted"),
    [
        (Vctk, TRIMMED + "/{s}/{s}_{n}_mic1.wav", ["recordings end with .wav"]),
        (Vctk, TRIMMED + "/{s}/{s}_{n}.flac", ["do not say the microphone"]),
        (Vctk, TRIMMED + "/{s}/{s}_{n}.WAV", ["do not say the microphone", "recordings end with .wav"]),
        (Vctk, "wav48/{s}/{s}_{n}_mic1.wav", ["recordings end with .wav"]),
        (Vctk, "wav48/{s}/{s}_{n}_mic1.flac", []),
        (Vctk, "wav16/{s}/{s}_{n}_mic1.flac", []),
        (Vctk, "wav16/{s}/{s}_{n}.wav", ["do not say the microphone", "recordings end with .wav"]),
        (Vctk, "vctk-16k/{s}/{s}_{n}_mic1.ogg", ["recordings end with .ogg"]),
        (Vctk080, "wav48/{s}/{s}_{n}.flac", ["recordings end with .flac"]),
        (Vctk080, "wav16/{s}/{s}_{n}.wav", []),
        (Vctk080, "downsampled/{s}/{s}_{n}.wav", []),
    ],
)
def test_the_files_say_what_the_layout_is(tmp_path: Path, kind: type[Corpus], pattern: str, noted: list[str]) -> None:
    root = lay(tmp_path / "VCTK", pattern)
    for given in (root, tmp_path, root / pattern.split("/")[0]):
        corpus = kind(given)
        assert [(u.id, u.speaker, u.gender, u.transcript) for u in corpus.utterances()] == [
            (f"{speaker}_{number}", speaker, gender, "Please call Stella.")
            for speaker, gender in (("p225", "F"), ("p226", "M"))
            for number in ("001", "002")
        ]
        assert len(corpus.problems) == len(noted)
        assert all(notes(corpus, words) for words in noted)


def test_recordings_without_anything_around_them(tmp_path: Path) -> None:
    lay(tmp_path / "x", "{s}/{s}_{n}_mic2.wav", texts=False)
    (tmp_path / "x" / "speaker-info.txt").unlink()
    assert [u.id for u in Vctk(tmp_path / "x").utterances()] == ["p225_001", "p225_002", "p226_001", "p226_002"]


def test_both_releases_in_one_folder(tmp_path: Path) -> None:
    lay(tmp_path, "wav48/{s}/{s}_{n}.wav")
    lay(tmp_path, TRIMMED + "/{s}/{s}_{n}_mic1.flac")
    lay(tmp_path, "wav16/{s}/{s}_{n}_mic1.wav")
    assert {u.path.parts[-3] for u in Vctk(tmp_path).utterances()} == {TRIMMED}
    assert {u.path.parts[-3] for u in Vctk080(tmp_path).utterances()} == {"wav48"}


def test_a_hint_is_given_only_where_it_leads_somewhere(tmp_path: Path) -> None:
    lay(tmp_path / "mic", "wav48/{s}/{s}_{n}_mic1.wav")
    with pytest.raises(UsageError, match=r"this looks like VCTK 0\.92: use corpus vctk$"):
        Vctk080(tmp_path / "mic")
    assert len(Vctk(tmp_path / "mic")) == 4
    for recording in (tmp_path / "mic").rglob("*.wav"):
        recording.write_bytes(b"")
    with pytest.raises(UsageError, match=r"it holds speaker-info\.txt, txt/, wav48/$"):
        Vctk080(tmp_path / "mic")


def test_a_folder_beside_that_can_not_be_read_is_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = root.parent / "lost+found"
    closed.mkdir()
    scandir = os.scandir

    def barred(path: Path) -> Any:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", barred)
    assert Vctk(root.parent).root == root
