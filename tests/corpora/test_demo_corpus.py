"""The demo corpus: what is promised about its files, and the script that made them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.benchmarks import demo
from vceval.benchmarks.training import make_demo_corpus as maker

ROOT = demo.root()
COMMON = [f"{number:03d}" for number in range(1, 9)]
OWN = [f"{number:03d}" for number in range(9, 25)]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with open(ROOT / "utterances.csv", encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        assert reader.fieldnames == list(maker.COLUMNS)
        return list(reader)


@pytest.fixture(scope="module")
def texts(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Transcripts by speaker and number."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        speaker, number = row["id"].rsplit("_", 1)
        assert speaker == row["speaker"]
        found[speaker][number] = row["transcript"]
    return found


def test_every_file_is_there_and_no_other(rows: list[dict[str, str]]) -> None:
    named = [row["file"] for row in rows]
    assert len(set(named)) == len(named)
    assert sorted(named) == sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "audio").rglob("*.*"))
    for row in rows:
        assert row["file"] == f"audio/{row['speaker']}/{row['id']}.flac"


def test_files_are_what_the_table_says(rows: list[dict[str, str]]) -> None:
    for row in rows:
        samples, rate = soundfile.read(ROOT / row["file"], dtype="float64", always_2d=True)
        info = soundfile.info(ROOT / row["file"])
        assert (info.format, info.subtype, rate, samples.shape[1]) == ("FLAC", "PCM_16", 16_000, 1), row["id"]
        assert float(row["duration"]) == pytest.approx(len(samples) / rate, abs=0.0006), row["id"]
        assert np.abs(samples).max() < 0.98, row["id"]
        assert 10 * np.log10(np.square(samples).mean()) == pytest.approx(maker.LEVEL_DB, abs=0.05), row["id"]
        # No click where silence was cut off.
        assert max(np.abs(samples[:32]).max(), np.abs(samples[-32:]).max()) < 0.002, row["id"]


def test_speakers_and_numbers(rows: list[dict[str, str]], texts: dict[str, dict[str, str]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    genders = {row["speaker"]: row["gender"] for row in rows}
    assert {(row["speaker"], row["gender"]) for row in rows} == set(genders.items())
    assert list(genders.values()).count("F") >= 3
    assert list(genders.values()).count("M") >= 3
    assert set(genders.values()) == {"F", "M"}
    assert {row["language"] for row in rows} == {"en"}
    assert all(list(numbers) == COMMON + OWN for numbers in texts.values())


def test_common_texts_agree_and_own_ones_differ(texts: dict[str, dict[str, str]]) -> None:
    first = next(iter(texts.values()))
    for numbers in texts.values():
        assert [numbers[number] for number in COMMON] == [first[number] for number in COMMON]
    own = [numbers[number] for numbers in texts.values() for number in OWN]
    everything = own + [first[number] for number in COMMON]
    assert len({text.lower() for text in everything}) == len(everything)


def test_sentences_are_those_of_the_script(texts: dict[str, dict[str, str]]) -> None:
    written = {speaker: dict(pairs) for speaker, pairs in maker.read_sentences(maker.SENTENCES).items()}
    assert written == texts


def test_size_and_lengths(rows: list[dict[str, str]]) -> None:
    corpus = [path for path in ROOT.rglob("*.*") if path.suffix != ".pyc" and path.parent.name != "adainvc"]
    assert sum(path.stat().st_size for path in corpus) < 6_000_000
    for row in rows:
        low, high = (3.0, 8.0) if row["id"][-3:] in OWN else (1.8, 3.8)
        assert low <= float(row["duration"]) <= high, row["id"]


def test_every_voice_has_its_licence(texts: dict[str, dict[str, str]]) -> None:
    licences = (ROOT / "LICENCES.md").read_text(encoding="utf-8")
    table = [line for line in licences.splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in table) == sorted(texts)
    for voice in maker.VOICES:
        line = next(line for line in table if line.startswith(f"| `{voice.id}` | {voice.gender} |"))
        if voice.pitch and voice.formants:
            assert f"pitch × {voice.pitch:.2f}, formants × {voice.formants:.2f}" in line
    assert "Carnegie Mellon University" in licences


def test_speakers_are_told_apart(rows: list[dict[str, str]]) -> None:
    """Equal error rate of Resemblyzer below 8 %: all pairs of eight recordings a speaker."""
    resemblyzer = pytest.importorskip("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    chosen = [row for row in rows if int(row["id"][-3:]) % 3 == 0]
    speakers = np.array([row["speaker"] for row in chosen])
    assert all((speakers == speaker).sum() == 8 for speaker in set(speakers))
    embeddings = np.stack(
        [
            encoder.embed_utterance(
                resemblyzer.preprocess_wav(soundfile.read(ROOT / row["file"], dtype="float32")[0], source_sr=16_000)
            )
            for row in chosen
        ]
    )
    first, second = np.triu_indices(len(chosen), k=1)
    scores = np.sum(embeddings[first] * embeddings[second], axis=1)
    same = speakers[first] == speakers[second]
    assert (same.sum(), (~same).sum()) == (6 * 28, 15 * 64)
    misses = [(scores[same] < threshold).mean() for threshold in np.sort(scores)]
    alarms = [(scores[~same] >= threshold).mean() for threshold in np.sort(scores)]
    assert min(np.maximum(misses, alarms)) < 0.08


@settings(max_examples=50)
@given(
    before=st.integers(0, 8_000),
    after=st.integers(0, 8_000),
    length=st.integers(1_600, 16_000),
    gain=st.floats(1e-3, 0.9),
    seed=st.integers(0, 99),
)
def test_trim_leaves_the_sound_and_a_tenth_of_a_second(
    before: int, after: int, length: int, gain: float, seed: int
) -> None:
    sound = gain * np.sign(np.random.default_rng(seed).standard_normal(length))
    kept = maker.trim(np.concatenate([np.zeros(before), sound, np.zeros(after)]))
    margin, frame = 1_600, 160
    assert length + 2 * margin <= len(kept) < length + 2 * margin + 2 * frame
    # All of the sound is there; only where the recording itself begins or ends with it, its edges are faded.
    assert np.count_nonzero(kept) == length
    assert np.count_nonzero(np.isclose(np.abs(kept), gain)) >= length - 2 * 320
    if before >= 480 and after >= 480:
        assert np.array_equal(kept[np.flatnonzero(kept)], sound)


@settings(max_examples=25)
@given(gain=st.floats(1e-4, 0.9), seed=st.integers(0, 99))
def test_finish_gives_one_level_in_thirteen_bits(gain: float, seed: int) -> None:
    samples = gain * np.random.default_rng(seed).uniform(-1, 1, 16_000)
    made = maker.finish(samples)
    assert made.dtype == np.int16
    assert not np.any(made % 8)
    assert 10 * np.log10(np.square(made / 32_768).mean()) == pytest.approx(-26.0, abs=0.05)


def test_silence_and_clipping_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing but silence"):
        maker.trim(np.zeros(16_000))
    with pytest.raises(ValueError, match="nothing but silence"):
        maker.trim(np.zeros(0))
    spike = np.full(16_000, 0.01)
    spike[8_000] = 1.0
    spike[8_001:] *= 0.01
    with pytest.raises(ValueError, match="peak"):
        maker.finish(spike)


@pytest.mark.parametrize("line", ["001,nobody,Some words.", "009,slt,Some words.\n009,slt,Other words."])
def test_malformed_sentences_are_refused(tmp_path: Path, line: str) -> None:
    table = tmp_path / "sentences.csv"
    table.write_text(f"number,speaker,text\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"sentences\.csv:[23]: "):
        maker.read_sentences(table)


def test_missing_flite_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert maker.main([str(tmp_path / "out")]) == 1
    assert "apt-get install flite" in capsys.readouterr().err


def _has_flite() -> bool:
    if shutil.which("flite") is None:
        return False
    said = subprocess.run(["flite", "--version"], capture_output=True, text=True, check=False)
    return "flite-2.2" in said.stdout + said.stderr


@pytest.mark.skipif(not _has_flite(), reason="needs flite 2.2")
@pytest.mark.parametrize("voice", maker.VOICES, ids=lambda voice: voice.id)
def test_the_script_makes_the_shipped_audio(tmp_path: Path, voice: maker.Voice) -> None:
    number, text = maker.read_sentences(maker.SENTENCES)[voice.id][0]
    made = maker.finish(maker.speak(text, voice, tmp_path / "speech.wav")) / 32_768
    shipped, _ = soundfile.read(ROOT / "audio" / voice.id / f"{voice.id}_{number}.flac")
    assert len(made) == len(shipped)
    assert np.corrcoef(made, shipped)[0, 1] > 0.99
