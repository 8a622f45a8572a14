"""A real Whisper, tiny.en, by both paths: OpenAI's checkpoint and CTranslate2's form of the same weights."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from real_whisper import openai_checkpoint

from vceval.cli.main import main
from vceval.corpora.demo import Demo
from vceval.metrics import word_error_rate
from vceval.metrics.recogniser_choice import recogniser
from vceval.metrics.recognisers import Recogniser
from vceval.records import Utterance
from vceval.signal import audio
from vceval.signal.audio import Waveform

REAL = Path(os.environ.get("VCEVAL_WHISPER", "none")).resolve()
pytestmark = [
    pytest.mark.skipif(
        not (REAL / "model.bin").is_file(),
        reason="VCEVAL_WHISPER names no folder with Whisper tiny.en in CTranslate2's form",
    ),
    pytest.mark.skipif(find_spec("faster_whisper") is None, reason="the extra vceval[faster-whisper] is not installed"),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in OpenAI's form."""
    return openai_checkpoint(REAL / "model.bin", tmp_path_factory.mktemp("openai") / "tiny.en.pt")


@pytest.fixture(params=["whisper", "faster-whisper"])
def real(request: pytest.FixtureRequest, checkpoint: Path) -> Recogniser:
    """Either path."""
    return recogniser(f"whisper:{checkpoint}" if request.param == "whisper" else f"faster-whisper:{REAL}")


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No other Whisper is at hand, and whatever would go to the network fails."""
    monkeypatch.delenv("VCEVAL_WHISPER")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def recordings(count: int) -> tuple[list[Utterance], list[Waveform]]:
    """Utterances of the demo corpus, and their audio."""
    utterances = list(Demo().utterances())[:count]
    return utterances, [audio.load(utterance.path, 16_000) for utterance in utterances]


def test_the_checkpoint_is_one_of_openais_form(checkpoint: Path):
    found = torch.load(checkpoint, weights_only=True)
    assert len(found["model_state_dict"]) == 167
    assert (found["dims"]["n_vocab"], found["dims"]["n_audio_state"], found["dims"]["n_text_layer"]) == (51_864, 384, 4)


def test_both_paths_hear_the_same_words(checkpoint: Path):
    utterances, waves = recordings(12)
    said = [str(utterance.transcript) for utterance in utterances]
    one, other = (
        recogniser(name).hear_all(waves, "en", "cpu") for name in (f"whisper:{checkpoint}", f"faster-whisper:{REAL}")
    )
    assert word_error_rate(one, other) < 0.02
    assert word_error_rate(said, one) < 0.1
    assert word_error_rate(said, other) < 0.1


def test_a_batch_hears_what_each_hears_alone(real: Recogniser):
    _, waves = recordings(10)
    waves = [Waveform(wave.samples * np.float32(10.0 ** (-place / 10)), 16_000) for place, wave in enumerate(waves)]
    alone = [real.hear(wave, "en", "cpu") for wave in waves]
    assert real.hear_all(waves, "en", "cpu") == alone
    assert real.hear_all(waves[::-1], "en", "cpu") == alone[::-1]


def test_what_nobody_hears_changes_no_text(real: Recogniser):
    """Gain, silence and polarity, on recordings and on what a listener would call damaged."""
    _, waves = recordings(3)
    waves.append(Waveform(waves[0].samples[::-1].copy(), 16_000))
    changes = (lambda x: x * np.float32(0.0316), lambda x: np.pad(x, (11_730, 0)), lambda x: -np.pad(x, 48_000))
    usual = real.hear_all(waves, "en", "cpu")
    for change in changes:
        assert real.hear_all([Waveform(change(wave.samples), 16_000) for wave in waves], "en", "cpu") == usual


def test_a_recording_longer_than_a_window_is_heard_to_its_end(real: Recogniser):
    utterances, waves = recordings(15)
    gap = np.zeros(8_000, dtype=np.float32)
    whole = Waveform(np.concatenate([part for wave in waves for part in (wave.samples, gap)]), 16_000)
    assert len(whole.samples) > 40 * 16_000
    said = " ".join(str(utterance.transcript) for utterance in utterances)
    assert word_error_rate([said], [real.hear(whole, "en", "cpu")]) < 0.15


def test_it_knows_english_only(real: Recogniser):
    assert [real.knows(code) for code in ("en", "de", "zh")] == [True, False, False]


def test_tables_name_it_by_its_file_or_by_what_it_was_made_of(checkpoint: Path):
    assert recogniser(f"whisper:{checkpoint}").title == "Whisper tiny.en.pt"
    assert recogniser(f"whisper:{checkpoint}").identity.startswith("whisper-file-tiny.en-")
    assert recogniser(f"faster-whisper:{REAL}").title == f"faster-whisper {REAL.name}, made of tiny.en"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Conversions whose words are right and wrong, and one whose language the model does not know."""
    monkeypatch.chdir(tmp_path)
    utterances, waves = recordings(3)
    lines = ["system,converted,source,transcript,language"]
    for place, (utterance, wave) in enumerate(zip(utterances, waves, strict=True)):
        soundfile.write(tmp_path / f"right{place}.wav", wave.samples, 16_000)
        soundfile.write(tmp_path / f"wrong{place}.wav", wave.samples[::-1], 16_000)
        lines += [
            f'{name},{name}{place}.wav,right{place}.wav,"{utterance.transcript}",en' for name in ("right", "wrong")
        ]
    lines += ["right,right0.wav,,Guten Tag,de"]
    path = tmp_path / "c.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("named", ["option", "variable"])
def test_it_scores_from_end_to_end(
    table: Path, checkpoint: Path, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked = ["score", str(table), "--out", "run", "--metrics", "wer,cer,sanity", "--workers", "1"]
    if named == "option":
        Path("mine").symlink_to(checkpoint.parent)
        asked += ["--recogniser", "whisper:mine/tiny.en.pt"]  # a path from here
    else:
        monkeypatch.setenv("VCEVAL_WHISPER", str(checkpoint))
    assert main(asked) == 0
    assert "Whisper tiny.en.pt" in capsys.readouterr().out
    assert "| WER (Whisper tiny.en.pt), % ↓ |" in Path("run/report/tables/main.md").read_text(encoding="utf-8")
    summary = json.loads(Path("run/summary.json").read_text(encoding="utf-8"))
    cells = [cell for cell in summary["cells"] if cell["measure"] == "wer"]
    rates = {cell["system"]: cell["value"] for cell in cells if cell["direction"] == cell["dataset"] == "all"}
    assert rates["right"] == rates["source"] < 0.1 < 0.5 < rates["wrong"]
    wer = next(entry for entry in summary["metrics"] if entry["metric"] == "wer")
    assert "|asr:whisper-file-tiny.en-" in wer["signature"]
    assert "Whisper tiny.en.pt does not know language 'de'" in Path("run/skipped.csv").read_text(encoding="utf-8")
