"""The demo model of AdaIN-VC: it is there, small, trained on other sentences, and converts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import hum

from vceval.benchmarks import demo
from vceval.benchmarks.training import make_demo_corpus
from vceval.benchmarks.training.training_sentences import training_sentences
from vceval.converters import adainvc_demo
from vceval.converters.adainvc_demo import AdaInVcDemo
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.signal.audio import Waveform, write_flac
from vceval.storage.cache import Cache
from vceval.testing import check_converter

pytest.importorskip("torch")

#: A source and a prompt in each direction: F to F, F to M, M to F, M to M.
PAIRS = [("slt_001", "awbf_009"), ("rmsf_004", "awb_010"), ("rms_002", "slt_012"), ("kal_003", "rms_011")]


def recording(name: str) -> Path:
    return demo.root() / "audio" / name.split("_")[0] / f"{name}.flac"


@pytest.fixture(scope="module")
def converter() -> AdaInVcDemo:
    opened = AdaInVcDemo()
    opened.open("cpu")
    return opened


def test_files_are_small_and_explained() -> None:
    folder = demo.root() / "adainvc"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 * 2**20
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for speaker in sorted(AdaInVcDemo.info.trained_on["demo"]):  # type: ignore[index]
        assert f"`{speaker}`" in card
    with open(demo.root() / "utterances.csv", encoding="utf-8", newline="") as handle:
        assert {row["speaker"] for row in csv.DictReader(handle)} == AdaInVcDemo.info.trained_on["demo"]  # type: ignore[index]


def test_sentences_are_others() -> None:
    with open(make_demo_corpus.SENTENCES, encoding="utf-8", newline="") as handle:
        held_out = {row["text"] for row in csv.DictReader(handle)}
    sentences = training_sentences(300)
    assert len(set(sentences)) == 300
    assert not held_out & set(sentences)
    assert sentences[7] == "Of course the usher measured those ancient maps on a narrow ledge, though it was forbidden."
    assert sentences == training_sentences(300)


def test_moves_towards_the_target(converter: AdaInVcDemo, tmp_path: Path) -> None:
    """In every direction the speaker verifier hears the target rather than the source, by far."""
    pytest.importorskip("resemblyzer")
    from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder

    contents = converter.encode_content([audio.load(recording(source)) for source, _ in PAIRS])
    voices = converter.encode_speaker([[audio.load(recording(prompt))] for _, prompt in PAIRS])
    waves = converter.decode(list(zip(contents, voices, strict=True)), [0] * len(PAIRS))
    encoder = ResemblyzerEncoder(Cache(None), "cpu")
    for (source, prompt), wave in zip(PAIRS, waves, strict=True):
        assert isinstance(wave, Waveform)
        assert wave.sample_rate == 24_000
        write_flac(tmp_path / "converted.flac", wave)
        converted, wanted, given = (
            encoder.embed(path) for path in (tmp_path / "converted.flac", recording(prompt), recording(source))
        )
        assert converted @ wanted > converted @ given + 0.1, (source, prompt)
        assert converted @ wanted > wanted @ given + 0.1, (source, prompt)


def test_any_batch_any_length(make_sound: Any) -> None:
    """Unequal sources at several rates; what lies over 8 kHz is not heard."""
    pairs = [
        (make_sound(f"{place}.wav", seconds, rate=rate, seed=place), [recording("slt_003")])
        for place, (seconds, rate) in enumerate([(0.5, 16_000), (0.35, 44_100), (0.5, 24_000), (0.7, 48_000)])
    ]
    report = check_converter(AdaInVcDemo(), pairs)
    assert not report.problems
    assert report.batch_difference == 0.0


def test_hears_nothing_over_8_khz(converter: AdaInVcDemo) -> None:
    plain = hum(0.5, 48_000)
    whistle = 0.05 * np.hanning(len(plain)) * np.sin(2 * np.pi * 11_000 * np.arange(len(plain)) / 48_000)
    codes = converter.encode_content([Waveform(plain, 48_000), Waveform((plain + whistle).astype("f4"), 48_000)])
    assert (codes[0] - codes[1]).abs().max() < 0.02 * codes[0].abs().max()


def test_bad_input(converter: AdaInVcDemo) -> None:
    short = converter.encode_content([Waveform(hum(0.15, 16_000), 16_000)])[0]
    assert isinstance(short, ItemError)
    assert "17 frames are needed" in str(short)


def test_missing_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(adainvc_demo, "_folder", lambda: tmp_path)
    with pytest.raises(UsageError, match=r"config\.json"):
        AdaInVcDemo().open("cpu")
