"""YourTTS: the authors' reference cases, files and configurations, speaker vectors, conversion from made-up weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import hum

from vceval.conformance.kits import made_up_weights
from vceval.converters.yourtts import YourTts
from vceval.errors import ItemError, UsageError
from vceval.networks import hasp_features, yourtts_features
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")

MODEL, ENCODER = YourTts.files[0], YourTts.files[2]
SETTINGS = {
    "audio": {"sample_rate": 16_000, "fft_size": 1024, "win_length": 1024, "hop_length": 256},
    "model_args": {"out_channels": 513, "resblock_type_decoder": "2", "upsample_rates_decoder": [8, 8, 2, 2]},
}
ENCODER_SETTINGS = {
    "audio": {"sample_rate": 16_000, "fft_size": 512, "num_mels": 64, "do_rms_norm": True, "db_level": -27.0},
    "model_params": {"model_name": "resnet", "input_dim": 64, "proj_dim": 512, "use_torch_spec": True},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four files as the library saves them, with all that voice conversion has no use for."""
    folder = tmp_path_factory.mktemp("yourtts")
    made = made_up_weights(MODEL.build())
    made["posterior_encoder.proj.weight"] *= 0.3  # else exp(log deviation) explodes
    renamed = "flow.flows.2.enc.cond_layer"
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        made[f"{renamed}.parametrizations.weight.{new}"] = made.pop(f"{renamed}.{old}")
    for name in ("text_encoder.emb.weight", "emb_l.weight", "duration_predictor.pre.bias", "disc.nets.0.bias"):
        made[name] = torch.zeros(2)
    made["speaker_encoder.conv1.bias"] = torch.zeros(32)
    torch.save({"model": made, "step": 5, "optimizer": [{"state": {}}]}, folder / "model_file.pth")
    voice = {**made_up_weights(ENCODER.build()), "torch_spec.0.filter": torch.zeros(1, 1, 2)}
    torch.save({"model": voice, "criterion": {"w": torch.ones(1)}}, folder / "model_se.pth")
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    (folder / "config_se.json").write_text(json.dumps(ENCODER_SETTINGS))
    return folder


@pytest.fixture(scope="module")
def converter(weights: Path) -> YourTts:
    opened = YourTts(weights=str(weights))
    opened.open("cpu")
    return opened


@pytest.fixture
def changed(weights: Path, tmp_path: Path) -> Callable[..., Path]:
    """The folder with another configuration or another file."""

    def change(name: str, content: Any) -> Path:
        for file in weights.iterdir():
            if file.name != name and not (tmp_path / file.name).exists():
                (tmp_path / file.name).symlink_to(file)
        if name.endswith(".json"):
            (tmp_path / name).write_text(json.dumps(content))
        else:
            torch.save(content, tmp_path / name)
        return tmp_path

    return change


def wave(seconds: float, pitch: float = 140.0, seed: int = 0) -> Waveform:
    return Waveform(hum(seconds, 16_000, pitch, seed), 16_000)


def test_noise_and_voices_matter(converter: YourTts) -> None:
    contents = converter.encode_content([wave(0.4)])
    low, high = converter.encode_speaker([[wave(0.5, 110.0, 1)], [wave(0.5, 260.0, 2)]])
    louder = low * 3.0  # brought to length 1 within
    items = [(contents[0], voice) for voice in (low, high, low, low, louder)]
    first, other_voice, other_seed, again, scaled = (w.samples for w in converter.decode(items, [1, 1, 2, 1, 1]))
    assert np.abs(first - other_seed).max() > 1e-2
    assert np.abs(first - other_voice).max() > 1e-4
    assert np.abs(first - again).max() < 1e-5
    assert np.abs(first - scaled).max() < 1e-5


def test_the_source_speaker_is_taken_out_by_the_flow(converter: YourTts) -> None:
    """There and back for the same speaker is no change; the target's speaker steers the way back."""
    network = converter._network
    posterior = (torch.randn(2, 192, 9), torch.randn(2, 192, 9) / 4)
    voices, lengths = torch.randn(2, 2, 512), torch.tensor([9, 6])
    with torch.inference_mode():
        same = network.exchange(posterior, torch.randn(2, 192, 9), lengths, voices[0], voices[0])
        other = network.exchange(posterior, torch.randn(2, 192, 9), lengths, voices[0], voices[1])
    assert torch.allclose(same.towards, same.sampled, atol=1e-4)
    assert (other.towards - other.sampled).abs().max() > 1e-2
    assert not same.towards[1, :, 6:].any()


def test_speaker_vectors(converter: YourTts) -> None:
    """Ten windows from start to end, each of length 1; their mean; and the mean over prompts."""
    prompts = [wave(3.2, 200.0, 1), wave(1.0, 220.0, 2)]
    found = converter.encode_speaker([prompts, prompts[:1], prompts[1:]])
    assert torch.allclose(found[0], (found[1] + found[2]) / 2, atol=1e-6)
    assert abs(float(found[2].norm()) - 1) < 1e-5
    assert float(found[1].norm()) < 1 - 1e-7
    samples = hasp_features.to_level(prompts[0].samples)
    starts = [int(place) for place in np.linspace(0, len(samples) - 40_000, 10)]
    frames = [hasp_features.features(samples[start : start + 40_000]) for start in starts]
    with torch.inference_mode():
        vectors = converter._encoder(torch.from_numpy(np.stack(frames)))
    assert torch.allclose(found[1], vectors.mean(dim=0), atol=1e-6)


def test_level_of_prompts_does_not_matter_that_of_sources_does(converter: YourTts) -> None:
    loud, soft = wave(0.5), Waveform(wave(0.5).samples / 4, 16_000)
    voices = converter.encode_speaker([[loud], [soft]])
    assert torch.allclose(voices[0], voices[1], atol=1e-5)
    contents = converter.encode_content([loud, soft])
    assert (contents[0].mean - contents[1].mean).abs().max() > 1e-2


def test_features() -> None:
    samples = hum(0.5) * 0.5
    spectrum = yourtts_features.spectrogram(samples)
    assert spectrum.shape == (513, len(samples) // 256)
    assert np.allclose(yourtts_features.spectrogram(np.zeros(1_000)), 1e-3)
    tone = yourtts_features.spectrogram(np.sin(2 * np.pi * 1_000 * np.arange(4_096) / 16_000))
    assert tone[:, 8].argmax() == 64
    assert abs(tone[64, 8] - 256) < 0.5  # amplitude 1 times half the sum of the window
    frames = hasp_features.features(samples)
    assert frames.shape == (64, 1 + len(samples) // 160)
    assert np.abs(frames.mean(axis=1)).max() < 1e-5
    emphasised = hasp_features.preemphasis(samples)
    assert np.allclose(emphasised[:2], [samples[0] - 0.97 * samples[1], samples[1] - 0.97 * samples[0]], atol=1e-7)
    assert abs(20 * np.log10(np.sqrt(np.mean(hasp_features.to_level(samples) ** 2))) + 27) < 1e-6
    assert hasp_features.cut(np.zeros(40_001)).shape == (10, 40_000)
    assert hasp_features.cut(np.zeros(39_999)).shape == (1, 39_999)


def test_recordings_are_readied_as_the_configuration_says() -> None:
    samples = np.concatenate([np.zeros(4_000), hum(0.5), np.zeros(4_000)])
    read = yourtts_features.Preparation.read
    assert read({})(samples) is samples
    assert read({"do_trim_silence": False, "trim_db": 60, "db_level": None})(samples) is samples
    trimmed = read({"do_trim_silence": True, "trim_db": None})(samples)
    assert 8_000 <= len(trimmed) <= 8_000 + 2 * 1_024
    assert abs(np.abs(read({"do_sound_norm": True})(samples)).max() - 0.95) < 1e-6
    levelled = read({"do_rms_norm": True, "db_level": -20.0, "do_sound_norm": True})(samples)
    assert abs(np.sqrt(np.mean(levelled**2)) - 0.1) < 1e-6
    for silent in ({"do_rms_norm": True}, {"do_sound_norm": True}):
        with pytest.raises(ValueError, match="silence"):
            read(silent)(np.zeros(100))


def test_trimming_of_sources_is_an_option(weights: Path, changed: Callable[..., Path]) -> None:
    padded = Waveform(
        np.concatenate([np.zeros(8_000, dtype=np.float32), hum(0.4), np.zeros(8_000, dtype=np.float32)]), 16_000
    )
    folder = changed(
        "config.json", {**SETTINGS, "audio": {**SETTINGS["audio"], "do_trim_silence": True, "trim_db": 45}}
    )
    frames = []
    for options in (
        {"weights": str(weights)},
        {"weights": str(folder)},
        {"weights": str(folder), "trim_source": False},
    ):
        opened = YourTts(**options)
        opened.open("cpu")
        frames.append(opened.encode_content([padded])[0].frames)
    assert frames[0] == frames[2] == 22_400 // 256
    assert 25 <= frames[1] <= 34


@pytest.mark.parametrize(
    ("name", "table", "key", "value"),
    [
        ("config.json", "model_args", "resblock_type_decoder", 1),
        ("config.json", "model_args", "upsample_rates_decoder", [8, 8, 4]),
        ("config.json", "audio", "sample_rate", 22_050),
        ("config_se.json", "audio", "preemphasis", 0.98),
        ("config_se.json", "model_params", "model_name", "lstm"),
        ("config_se.json", "model_params", "log_input", False),
    ],
)
def test_another_configuration_is_refused(
    changed: Callable[..., Path], name: str, table: str, key: str, value: object
) -> None:
    usual: dict[str, Any] = SETTINGS if name == "config.json" else ENCODER_SETTINGS
    folder = changed(name, {**usual, table: {**usual[table], key: value}})
    with pytest.raises(UsageError, match=rf"{name}.*{table}\.{key} is {re.escape(repr(value))}"):
        YourTts(weights=str(folder)).open("cpu")


def test_the_configuration_of_something_else_is_refused(changed: Callable[..., Path]) -> None:
    folder = changed("config.json", {"data": {"sampling_rate": 16_000}})
    with pytest.raises(UsageError, match="no table 'audio'"):
        YourTts(weights=str(folder)).open("cpu")


def test_a_file_with_a_pickled_object_says_how_to_keep_its_weights(weights: Path, changed: Callable[..., Path]) -> None:
    """The command in the error is run, and makes a file that loads."""
    content = torch.load(weights / "model_se.pth", weights_only=True)
    folder = changed("model_se.pth", {**content, "config": Fraction(1, 2)})
    with pytest.raises(UsageError, match="refused") as caught:
        YourTts(weights=str(folder)).open("cpu")
    code = re.search(r'^  python -c "(.*)"$', str(caught.value), re.MULTILINE)
    move = re.search(r"^  mv (\S+) (\S+)$", str(caught.value), re.MULTILINE)
    assert code is not None
    assert move is not None
    subprocess.run([sys.executable, "-c", code[1]], cwd=folder, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    shutil.move(folder / move[1], folder / move[2])
    YourTts(weights=str(folder)).open("cpu")


def test_what_can_not_be_converted(weights: Path, converter: YourTts) -> None:
    fine, short = wave(0.4), Waveform(hum(0.09), 16_000)
    long = Waveform(np.zeros(61 * 8_000, dtype=np.float32), 8_000)
    silent = Waveform(np.zeros(16_000, dtype=np.float32), 16_000)
    contents = converter.encode_content([short, fine, long, silent])
    assert [isinstance(content, ItemError) for content in contents] == [True, False, True, True]
    for content, words in zip(
        (contents[0], contents[2], contents[3]), ("0.09 s is too", "longer than", "no level"), strict=True
    ):
        assert words in str(content)
    voices = converter.encode_speaker([[fine, short], [fine]])
    assert isinstance(voices[0], ItemError)
    assert not isinstance(voices[1], ItemError)
    trimming = YourTts(weights=str(weights), trim_source=True)
    trimming.open("cpu")
    click = np.full(8_000, 1e-9, dtype=np.float32)
    click[4_000] = 0.5
    assert "left once silence is trimmed" in str(trimming.encode_content([Waveform(click, 16_000)])[0])
