"""The readers of VCC2020 and AISHELL-3 on small trees with the quirks of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval.corpora.aishell3 import Aishell3
from vceval.corpora.base import Corpus
from vceval.corpora.vcc2020 import Vcc2020
from vceval.errors import UsageError

TRAINING = "vcc2020_database_transcriptions/transcriptions_training/vcc2020_database_training_{}_transcriptions.txt"
EVALUATION = "vcc2020_database_transcriptions/transcriptions_evaluation/vcc2020_database_evaluation_transcriptions.txt"
TEXTS = {
    "Eng": "10001 The problems.\n10051 A pair.\n20001 Alone.\n",
    "Fin": "10001 Uusiutuva energia.\n",
    "Ger": "10001 Die Berichte.\n",
    "Man": "\ufeff10001 不幸的是，\n",
}


def write(path: Path, content: str | bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def notes(corpus: Corpus, *words: str) -> list[str]:
    return [str(problem) for problem in corpus.problems if all(word in str(problem) for word in words)]


@pytest.fixture
def vcc(tmp_path: Path) -> Path:
    root = tmp_path / "VCC2020-database"
    for name in ("source/SEF1/E10001", "source/SEM2/E10051", "target_task1/TEM1/E20001", "target_task2/TFF1/F10001",
                 "target_task2/TGM1/G10001", "target_task2/TMF1/M10001", "vcc2020_database_evaluation/SEF1/E30001",
                 "vcc2020_database_groundtruth/TMF1/E30001", "__MACOSX/source/SEF1/._E10001"):  # fmt: skip
        write(root / f"{name}.wav")
    for language, text in TEXTS.items():
        write(root / TRAINING.format(language), text)
    write(root / EVALUATION, "30001 In reality.\n")
    write(root / "vcc2020_task_explanation.txt", "10001 not a transcript")
    return root


EXPECTED = [
    ("SEF1_E10001", "SEF1", "F", "en", "The problems."),
    ("SEF1_E30001", "SEF1", "F", "en", "In reality."),
    ("SEM2_E10051", "SEM2", "M", "en", "A pair."),
    ("TEM1_E20001", "TEM1", "M", "en", "Alone."),
    ("TFF1_F10001", "TFF1", "F", "fi", "Uusiutuva energia."),
    ("TGM1_G10001", "TGM1", "M", "de", "Die Berichte."),
    ("TMF1_E30001", "TMF1", "F", "en", "In reality."),
    ("TMF1_M10001", "TMF1", "F", "zh", "不幸的是，"),
]


def facts(corpus: Corpus) -> list[tuple[str | None, ...]]:
    return sorted((u.id, u.speaker, u.gender, u.language, u.transcript) for u in corpus.utterances())


def test_archives_unpacked_side_by_side(vcc: Path) -> None:
    corpus = Vcc2020(vcc)
    assert facts(corpus) == EXPECTED
    assert corpus.problems == []
    assert Vcc2020(vcc.parent).root == vcc


def test_archives_each_in_a_folder_of_its_name(vcc: Path) -> None:
    for archive, folder in (
        ("vcc2020_database_training_source", "source"),
        ("vcc2020_database_training_target_task1", "target_task1"),
        ("vcc2020_database_training_target_task2", "target_task2"),
        ("vcc2020_database_evaluation_", "vcc2020_database_evaluation"),
        ("vcc2020_database_transcriptions_", "vcc2020_database_transcriptions"),
    ):
        (vcc / archive).mkdir()
        (vcc / folder).rename(vcc / archive / folder)
        (vcc / archive).rename(vcc / archive.rstrip("_"))
    corpus = Vcc2020(vcc)
    assert facts(corpus) == EXPECTED
    assert corpus.problems == []


def test_all_speakers_in_one_folder_with_prompts(tmp_path: Path) -> None:
    for name in ("SEF1/E10001", "SEF1/E30001", "TMF1/M10001", "TMF1/E30001"):
        write(tmp_path / f"{name}.wav")
    write(tmp_path / "prompts/Eng_transcriptions.txt", "10001 The problems.\n30001 In reality.\n")
    write(tmp_path / "prompts/Man_transcriptions.txt", TEXTS["Man"])
    corpus = Vcc2020(tmp_path)
    assert facts(corpus) == [EXPECTED[0], EXPECTED[1], EXPECTED[6], EXPECTED[7]]
    assert corpus.problems == []


def test_what_vcc2020_notes(vcc: Path) -> None:
    write(vcc / "source/SEF1/E10070.wav")
    write(vcc / "source/SEF1/E1.wav")
    write(vcc / "vcc2020_training/SEF1/E10001.wav")
    write(vcc / "prompts/Eng_transcriptions.txt", "10001 The problems.\n10051 Another pair.\nnonsense\n")
    write(vcc / "prompts/transcriptions.txt", "10001 Which language?\n")
    write(vcc / "converted/TEF1/E30001.wav")
    (vcc / "target_task1/TEF1").mkdir()
    corpus = Vcc2020(vcc)
    assert "TEF1_E30001" not in corpus
    assert corpus.find("SEF1_E10070").transcript is None
    assert notes(corpus, "E10070", "no transcript")
    assert notes(corpus, "E1.wav", "not named E, F, G or M")
    assert notes(corpus, "SEF1/E10001.wav", "second recording with the id SEF1_E10001")
    assert notes(corpus, "prompts/transcriptions.txt", "which language")
    assert notes(corpus, "prompts/Eng_transcriptions.txt:3:", "nonsense")
    assert notes(corpus, "_Eng_transcriptions.txt:2:", "E10051 has another text")
    assert notes(corpus, "TEF1", "holds no recording")
    assert len(corpus.problems) == 7


def test_vcc2020_without_transcripts(tmp_path: Path) -> None:
    write(tmp_path / "source/SEF1/E10001.wav")
    corpus = Vcc2020(tmp_path)
    assert corpus.find("SEF1_E10001").transcript is None
    assert [problem.message for problem in corpus.problems] == [
        "no transcription files (*transcriptions*.txt): every transcript is unknown"
    ]


CONTENT = (
    "SSB00050001.wav\t广 guang3 州 zhou1 女 nv3 大 da4 学 xue2 生 sheng1\n"
    "SSB00050002.wav\t一 yi4 点 dianr3 儿\r\n"
    "SSB00050003.wav\tA ei1 股 gu3\n"
)
SPEAKERS = (
    "# voice-file name; age group; gender; accent\n# In years, A:< 14\n\n"
    "SSB0005\tB\tfemale \tnorth\nSSB0073\tB\tmale\tsouth\nSSB0009\tB\tfemale\tnorth\n"
)


@pytest.fixture
def aishell(tmp_path: Path) -> Path:
    root = tmp_path / "data_aishell3"
    write(root / "spk-info.txt", SPEAKERS)
    for number in (3, 1, 2):
        write(root / f"train/wav/SSB0005/SSB0005000{number}.wav")
    write(root / "train/content.txt", CONTENT)
    write(root / "train/label_train-set.txt", "# labels\nSSB00050001|guang3|广州%女%大学生$\n")
    write(root / "test/wav/SSB0073/SSB00730001.wav")
    write(root / "test/content.txt", "SSB00730001.wav\t你 ni3 好 hao3\n")
    return root


def test_aishell3(aishell: Path) -> None:
    corpus = Aishell3(aishell.parent)
    assert facts(corpus) == [
        ("SSB00050001", "SSB0005", "F", "zh", "广州女大学生"),
        ("SSB00050002", "SSB0005", "F", "zh", "一点儿"),
        ("SSB00050003", "SSB0005", "F", "zh", "A股"),
        ("SSB00730001", "SSB0073", "M", "zh", "你好"),
    ]
    assert [str(problem) for problem in corpus.problems] == [
        f"{aishell}/spk-info.txt: 1 speakers listed have no recordings in what is read: SSB0009"
    ]


def test_one_split_of_aishell3(aishell: Path) -> None:
    assert [u.id for u in Aishell3(aishell, splits=("test",)).utterances()] == ["SSB00730001"]
    with pytest.raises(UsageError, match="no split 'dev' here; present: test, train"):
        Aishell3(aishell, splits=("dev",))
    for splits in (None, ("test",)):
        one = Aishell3(aishell / "test", splits=splits)
        assert facts(one) == [("SSB00730001", "SSB0073", "M", "zh", "你好")]
    with pytest.raises(UsageError, match="no split 'train' here; present: test"):
        Aishell3(aishell / "test", splits=("train",))
    (aishell / "train").rename(aishell.parent / "mine")
    assert {u.gender for u in Aishell3(aishell.parent / "mine").utterances()} == {None}


def test_what_aishell3_notes(aishell: Path) -> None:
    write(aishell / "spk-info.txt", SPEAKERS + "SSB0100\tB\tnone\tnorth\nnobody\n")
    write(
        aishell / "train/content.txt",
        CONTENT + "SSB99990001.wav\t你 ni3\nSSB00050004.wav\tni3 hao3\nwhat\nSSB00050006.wav\thello\n",
    )
    for name in ("SSB0005/SSB00050004", "SSB0005/SSB00050005", "SSB0100/SSB01000001", "SSB0200/SSB02000001"):
        write(aishell / f"train/wav/{name}.wav")
    (aishell / "test/content.txt").unlink()
    corpus = Aishell3(aishell)
    assert corpus.find("SSB00050004").transcript is None
    assert corpus.find("SSB02000001").gender is None
    assert notes(corpus, "spk-info.txt:7:", "'none'")
    assert notes(corpus, "spk-info.txt:8:", "'nobody'")
    assert notes(corpus, "train/content.txt:4:", "SSB99990001", "without a recording")
    assert notes(corpus, "train/content.txt:5:", "SSB00050004", "pinyin")
    assert notes(corpus, "train/content.txt:6:", "'what'")
    assert notes(corpus, "train/content.txt:7:", "SSB00050006", "pinyin")
    assert notes(corpus, "train/content.txt", "SSB00050005", "no line with its transcript")
    assert notes(corpus, "SSB0200 is not listed")
    assert notes(corpus, "test/content.txt", "1 recordings have no transcript")
