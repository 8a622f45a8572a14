"""AutoVC: the authors' reference cases, the layout of their files, embeddings, and conversion from made-up weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.converters.autovc import AutoVc, crops
from vceval.errors import ItemError, UsageError
from vceval.networks import autovc_features
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("autovc")


@pytest.fixture(scope="module")
def converter(weights: Path) -> AutoVc:
    opened = AutoVc(weights=str(weights), vocoder="griffin-lim")
    opened.open("cpu")
    return opened


def wave(seconds: float, pitch: float = 140.0, seed: int = 0) -> Waveform:
    return Waveform(hum(seconds, 16_000, pitch, seed), 16_000)


def mel(seconds: float, **rest: Any) -> np.ndarray:
    return autovc_features.mel_spectrogram(wave(seconds, **rest).samples)


def test_a_code_knows_its_chunk_from_both_ends(converter: AutoVc) -> None:
    network = converter._generator
    hidden = {}
    handle = network.encoder.lstm.register_forward_hook(lambda _module, _inputs, out: hidden.update(out=out[0]))
    try:
        codes = network.encode(torch.rand(2, 96, 80), torch.rand(2, 256))
    finally:
        handle.remove()
    assert codes.shape == (2, 3, 64)
    for chunk in range(3):
        assert torch.equal(codes[:, chunk, :32], hidden["out"][:, 32 * chunk + 31, :32])
        assert torch.equal(codes[:, chunk, 32:], hidden["out"][:, 32 * chunk, 32:])
    with pytest.raises(ValueError, match="95 frames"):
        network.encode(torch.rand(1, 95, 80), torch.rand(1, 256))


def test_frames_are_padded_with_zeros_and_cut_again(converter: AutoVc) -> None:
    source, voice = wave(0.6), converter.encode_speaker([[wave(0.9, 200.0)]])[0]
    content = converter.encode_content([source])[0]
    assert content.frames == 38
    padded = np.zeros((1, 64, 80), dtype=np.float32)
    padded[0, :38] = mel(0.6)
    with torch.inference_mode():
        own = converter.encode_speaker([[source]])[0]
        codes = converter._generator.encode(torch.from_numpy(padded), own[None])
    assert torch.allclose(content.codes, codes[0], atol=1e-6)
    assert converter._decode([(content, voice)])[0].shape == (38, 80)
    full = converter.encode_content([wave(8_191 / 16_000)])[0]
    assert (full.frames, len(full.codes)) == (32, 1)


def test_both_speakers_matter(converter: AutoVc) -> None:
    waves = [wave(2.2, pitch, seed) for seed, pitch in enumerate((120.0, 220.0))]
    content, (low, high) = converter.encode_content([wave(0.5)])[0], converter.encode_speaker([[one] for one in waves])
    to_low, to_high = converter._decode([(content, low), (content, high)])
    assert (to_low - to_high).abs().max() > 1e-4
    codes = [converter._encode([(mel(0.5), voice)])[0].codes for voice in (low, high)]
    assert (codes[0] - codes[1]).abs().max() > 1e-5


def test_embeddings_are_means_and_stay_so(converter: AutoVc) -> None:
    waves = [wave(3.0, pitch, seed) for seed, pitch in enumerate((110.0, 180.0, 250.0))]
    together = converter.encode_speaker([waves])[0]
    with torch.inference_mode():
        means = [
            converter._encoder(torch.from_numpy(np.stack(part))).mean(dim=0)
            for part in crops([mel(3.0, pitch=pitch, seed=seed) for seed, pitch in enumerate((110.0, 180.0, 250.0))])
        ]
    assert torch.allclose(together, torch.stack(means).mean(dim=0), atol=1e-6)
    assert float(together.norm()) < 1 - 1e-6


def test_crops() -> None:
    def made(frames: int) -> np.ndarray:
        return np.repeat(np.arange(frames, dtype=np.float32)[:, None], 80, axis=1)

    def starts(*lengths: int) -> list[list[int]]:
        return [[int(crop[0, 0]) for crop in part] for part in crops([made(length) for length in lengths])]

    assert starts(128) == [[0]]
    assert starts(218) == [[0, 10, 20, 30, 40, 50, 60, 70, 80, 90]]
    assert starts(60, 158, 90, 137) == [[0, 7, 15, 22, 30], [0, 2, 4, 6, 9]]
    assert starts(*[148] * 12) == [[10]] * 12
    (filled,), (other,) = crops([made(50), made(100)])
    assert filled[:, 3].tolist() == [*range(50), *range(50), *range(28)]
    assert other.shape == (128, 80)


def test_mel_spectrogram() -> None:
    samples = hum(0.5) / 10
    values = autovc_features.mel_spectrogram(samples)
    assert values.shape == (1 + 8_000 // 256, 80)
    assert (values.min(), values.max()) >= (0.0, 0.0)
    louder = autovc_features.mel_spectrogram(10 * samples)
    inner = (values > 0) & (louder < 1)
    assert inner.sum() > 500
    assert np.allclose(louder[inner] - values[inner], 0.2, atol=1e-5)  # 20 dB of 100
    assert not autovc_features.mel_spectrogram(np.zeros(2_000)).any()
    assert np.allclose(autovc_features.mel_spectrogram(samples + 0.5)[8:-8], values[8:-8], atol=0.02)  # no DC passes
    with pytest.raises(ValueError, match="512 samples"):
        autovc_features.mel_spectrogram(np.zeros(512))


def test_griffin_lim_gives_back_the_mel_spectrogram() -> None:
    values = mel(1.0)
    samples = autovc_features.waveform(values, 60)
    assert len(samples) == 256 * (len(values) - 1)
    again = autovc_features.mel_spectrogram(samples)
    assert np.abs(again - values)[4:-4].mean() < 0.02  # 2 dB


def test_what_can_not_be_converted(converter: AutoVc) -> None:
    fine, short = wave(0.4), Waveform(hum(0.09), 16_000)
    long = Waveform(np.zeros(61 * 8_000, dtype=np.float32), 8_000)
    contents = converter.encode_content([short, fine, long])
    assert [isinstance(content, ItemError) for content in contents] == [True, False, True]
    assert "source of 0.09 s is too short" in str(contents[0])
    assert "61.0 s is longer than 60 s" in str(contents[2])
    voices = converter.encode_speaker([[fine, short], [fine]])
    assert isinstance(voices[0], ItemError)
    assert not isinstance(voices[1], ItemError)


def test_a_vocoder_must_be_there_and_known(weights: Path, tmp_path: Path) -> None:
    for name in ("autovc.ckpt", "3000000-BL.ckpt"):
        (tmp_path / name).symlink_to(weights / name)
    with pytest.raises(UsageError, match="griffin-lim"):
        AutoVc(weights=str(tmp_path)).open("cpu")
    AutoVc(weights=str(tmp_path), vocoder="griffin-lim").open("cpu")
    with pytest.raises(UsageError, match="'wavenet'"):
        AutoVc(vocoder="wavenet")  # type: ignore[arg-type]


def test_other_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "autovc.ckpt").symlink_to(weights / "autovc.ckpt")
    torch.save({"model": {"lstm.weight_ih_l0": torch.zeros(3072, 80)}}, tmp_path / "3000000-BL.ckpt")
    with pytest.raises(UsageError, match="no entry 'model_b'"):
        AutoVc(weights=str(tmp_path)).open("cpu")
