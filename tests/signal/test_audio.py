"""Audio that users really have: every rate, depth and channel count, and every way of being broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.errors import ItemError
from vceval.signal import audio
from vceval.signal.audio import Waveform


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_and_channel_count_gives_mono_at_the_wanted_rate(
    make_sound: Callable[..., Path], rate: int, channels: int
) -> None:
    wave = audio.load(make_sound(rate=rate, channels=channels), 16_000)
    assert wave.sample_rate == 16_000
    assert wave.samples.ndim == 1
    assert abs(wave.seconds - 1.0) < 1e-3
    assert 0.2 < np.abs(wave.samples).max() < 0.4


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_format_has_the_same_full_scale(make_sound: Callable[..., Path], subtype: str) -> None:
    wave = audio.load(make_sound(subtype=subtype))
    assert np.abs(wave.samples).max() == pytest.approx(0.3, abs=0.02)


def _write(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_broken_audio_is_named_with_its_fault(tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    loud = np.full(16_000, 0.1, dtype=np.float32)
    bad = loud.copy()
    bad[500] = np.nan
    cases = {
        "no such file": tmp_path / "absent.wav",
        "holds no samples": _write(tmp_path / "empty.wav", loud[:0]),
        "only 0.050 s long": _write(tmp_path / "short.wav", loud[:800]),
        "silent": _write(tmp_path / "silent.wav", loud * 0),
        "NaN": _write(tmp_path / "nan.wav", bad),
        "sample rate 4000": _write(tmp_path / "slow.wav", loud, 4_000),
        "can't be read": tmp_path / "text.wav",
    }
    (tmp_path / "text.wav").write_text("this is no audio")
    for fault, path in cases.items():
        with pytest.raises(ItemError, match=fault) as caught:
            audio.load(path)
        assert str(path) in str(caught.value)


def test_a_truncated_flac_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ItemError, match=r"cut\.flac"):
        audio.load(cut)


def test_a_tenth_of_a_second_is_long_enough(make_sound: Callable[..., Path]) -> None:
    assert len(audio.load(make_sound(seconds=0.1)).samples) == 1_600


@settings(max_examples=30, deadline=None)
@given(st.integers(2_000, 30_000), st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]))
def test_resampling_follows_the_length_rule(length: int, rate: int) -> None:
    samples = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    there = audio.resample(Waveform(samples, rate), 16_000)
    assert len(there.samples) == -(-length * 16_000 // rate)
    assert audio.resample(Waveform(samples, rate), rate).samples is samples


def test_written_flac_is_whole_and_never_clipped(tmp_path: Path) -> None:
    loud = np.sin(np.arange(16_000) / 20).astype(np.float32) * 1.7
    path = tmp_path / "deep" / "out.flac"
    gain = audio.write_flac(path, Waveform(loud, 16_000))
    back = audio.load(path).samples
    assert gain == pytest.approx(0.999 / 1.7, rel=1e-4)
    assert np.abs(back - loud * gain).max() < 1e-6
    assert [p.name for p in path.parent.iterdir()] == ["out.flac"]
    with pytest.raises(ItemError, match="NaN"):
        audio.write_flac(path, Waveform(loud * np.nan, 16_000))
    with pytest.raises(ItemError, match="mono"):
        audio.write_flac(path, Waveform(loud.reshape(2, -1), 16_000))
    assert audio.load(path).samples.shape == back.shape
