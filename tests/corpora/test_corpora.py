"""What all readers have in common, and the pieces of real corpora."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from vceval import registry
from vceval.corpora.base import Corpus
from vceval.errors import UsageError

FOLDERS = {
    "vctk": "VCTK-Corpus-0.92",
    "libritts": "LibriTTS",
    "librispeech": "LibriSpeech",
    "vcc2020": "VCC2020",
    "aishell3": "AISHELL-3",
}
LAID_OUT = [*FOLDERS, "vctk080"]


def open_corpus(name: str, root: Path, **options: object) -> Corpus:
    corpus = registry.load("corpus", name)(root, **options)
    assert isinstance(corpus, Corpus)
    return corpus


def genders(corpus: Corpus) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {"F": set(), "M": set(), "": set()}
    for utterance in corpus.utterances():
        found[utterance.gender or ""].add(utterance.speaker)
    return found


@pytest.mark.parametrize("name", [*LAID_OUT, "csv", "demo"])
def test_a_reader_says_what_it_reads(name: str) -> None:
    info = registry.load("corpus", name).info
    assert info.name == name
    assert info.title


@pytest.mark.parametrize("name", LAID_OUT)
def test_the_wrong_folder(name: str, tmp_path: Path) -> None:
    corpus = registry.load("corpus", name)
    with pytest.raises(UsageError, match="no such folder"):
        corpus(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"looked for .*it is empty"):
        corpus(tmp_path)
    (tmp_path / "music").mkdir()
    (tmp_path / "list.txt").touch()
    with pytest.raises(UsageError, match=r"it holds list\.txt, music/"):
        corpus(tmp_path)
    (tmp_path / "utterances.csv").touch()
    with pytest.raises(UsageError, match=r"it holds list\.txt, music/, utterances\.csv$"):  # the hint was tried: no
        corpus(tmp_path)
    (tmp_path / "utterances.csv").write_text("file\nlist.txt\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"looks like a CSV manifest: use corpus csv$"):
        corpus(tmp_path)


def test_several_copies_side_by_side(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "wav48").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"several folders.*first, .*second"):
        open_corpus("vctk080", tmp_path)
    (tmp_path / "VCTK-Corpus" / "wav48").mkdir(parents=True)
    assert open_corpus("vctk080", tmp_path).root == tmp_path / "VCTK-Corpus"


def test_finding_an_id_that_is_not_there(tmp_path: Path) -> None:
    recording = tmp_path / "wav48" / "p225" / "p225_001.wav"
    recording.parent.mkdir(parents=True)
    recording.write_bytes(b"sound")
    corpus = open_corpus("vctk080", tmp_path)
    assert "p225_001" in corpus
    assert len(corpus) == 1
    with pytest.raises(KeyError, match="nearest: p225_001"):
        corpus.find("p225_002")


@pytest.mark.parametrize(("name", "folder"), FOLDERS.items())
def test_each_real_tree_is_found_and_no_other_taken_for_it(shared: Path, name: str, folder: str) -> None:
    trees = shared / "mini_corpora"
    corpus = open_corpus(name, trees / folder)
    assert open_corpus(name, trees).root == corpus.root == trees / folder
    for other, wrong in FOLDERS.items():
        if other != name:
            with pytest.raises(UsageError, match=f"this looks like .*: use corpus {other}$"):
                open_corpus(name, trees / wrong)
    identities = [utterance.id for utterance in corpus.utterances()]
    assert len(set(identities)) == len(identities)
    assert all(utterance.path.is_file() for utterance in corpus.utterances())
    audio = [p for p in (trees / folder).rglob("*") if p.suffix in (".wav", ".flac")]
    assert {utterance.path for utterance in corpus.utterances()} == set(audio)


def test_real_vctk(shared: Path) -> None:
    corpus = open_corpus("vctk", shared / "mini_corpora" / "VCTK-Corpus-0.92")
    assert Counter(u.speaker for u in corpus.utterances()) == {
        "p225": 9, "p226": 10, "p227": 9, "p228": 10, "p237": 1, "p253": 1, "p259": 1, "p335": 1,
    }  # fmt: skip
    assert genders(corpus) == {"F": {"p225", "p228", "p253", "p335"}, "M": {"p226", "p227", "p237", "p259"}, "": set()}
    assert corpus.find("p225_001").transcript == "Please call Stella."
    assert all(u.transcript for u in corpus.utterances())
    assert len([p for p in corpus.problems if "mic2 is used" in p.message]) == 4
    assert len(corpus.problems) == 5


def test_real_libritts(shared: Path) -> None:
    corpus = open_corpus("libritts", shared / "mini_corpora" / "LibriTTS")
    assert genders(corpus) == {
        "F": {"3575", "5142", "8463", "1054", "1060", "1079", "1093", "114"},
        "M": {"908", "5105", "1025", "1313", "1365"},
        "": set(),
    }
    assert sum(u.transcript is not None for u in corpus.utterances()) == 6
    assert corpus.find("1093_132891_000015_000000").transcript == "A voice on the beach under the cliff began to sing:"
    assert len([p for p in corpus.problems if "original text is used" in p.message]) == 6
    assert len([p for p in corpus.problems if "neither" in p.message]) == 10
    assert len(open_corpus("libritts", corpus.root, splits=("test-clean",))) == 5


def test_real_librispeech(shared: Path) -> None:
    corpus = open_corpus("librispeech", shared / "mini_corpora" / "LibriSpeech", splits=("test-other",))
    assert Counter(u.speaker for u in corpus.utterances()) == dict.fromkeys(("367", "1998", "3331", "2033", "2609"), 10)
    assert genders(corpus) == {"F": {"367", "1998", "3331"}, "M": {"2033", "2609"}, "": set()}
    assert all(u.transcript == u.transcript.upper() for u in corpus.utterances() if u.transcript)
    assert corpus.find("2609-156975-0000").transcript == ("THEN MOSES WAS AFRAID AND SAID SURELY THE THING IS KNOWN")
    assert len(corpus.problems) == 1


def test_real_vcc2020(shared: Path) -> None:
    corpus = open_corpus("vcc2020", shared / "mini_corpora" / "VCC2020")
    assert Counter(u.language for u in corpus.utterances()) == {"en": 22, "fi": 2, "de": 2, "zh": 2}
    assert all(u.speaker and u.gender == u.speaker[2] for u in corpus.utterances())
    assert corpus.find("SEM1_E30001").transcript == "In reality, the European Parliament is practising delay tactics."
    assert corpus.find("TGF1_G10001").transcript == "Die verschiedenen Berichte spiegeln diesen mainstream wider."
    assert corpus.problems == []


def test_real_aishell3(shared: Path) -> None:
    corpus = open_corpus("aishell3", shared / "mini_corpora" / "AISHELL-3")
    assert genders(corpus) == {
        "F": {"SSB0080", "SSB0112", "SSB0614", "SSB1828"},
        "M": {"SSB0073", "SSB0241", "SSB0629", "SSB1863"},
        "": set(),
    }
    assert {(u.language, u.transcript) for u in corpus.utterances()} == {("zh", None)}
    assert [p.line for p in corpus.problems if "without a recording" in p.message] == [1, 2, 3]
    assert len(corpus.problems) == 12
