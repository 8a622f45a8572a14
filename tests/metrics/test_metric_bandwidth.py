"""Bandwidth: what a low-pass filter takes away is seen, at any rate and level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.errors import ItemError
from vceval.metrics.bandwidth import Bandwidth, bandwidth
from vceval.metrics.base import Workspace
from vceval.records import Conversion, ConversionPair
from vceval.signal import audio
from vceval.signal.audio import Waveform


def noise(rate: int, cut: float | None = None, seconds: float = 1.0, seed: int = 0) -> Waveform:
    from scipy import signal

    samples = np.random.default_rng(seed).normal(0.0, 0.1, int(rate * seconds))
    if cut is not None:
        samples = signal.sosfilt(signal.ellip(10, 0.1, 90.0, cut, fs=rate, output="sos"), samples)
    return Waveform(samples.astype(np.float32), rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
def test_the_whole_spectrum(rate: int) -> None:
    assert bandwidth(noise(rate)) == pytest.approx(rate / 2, abs=125.0)


@settings(max_examples=20)
@given(st.floats(1_000.0, 10_000.0), st.sampled_from([24_000, 44_100]), st.floats(0.01, 3.0))
def test_a_low_pass_is_found_whatever_the_level(cut: float, rate: int, gain: float) -> None:
    wave = noise(rate, cut)
    found = bandwidth(Waveform(wave.samples * np.float32(gain), rate))
    assert cut - 250.0 <= found <= 1.15 * cut + 500.0


def test_pauses_do_not_count() -> None:
    """Hiss between words is not speech: a dark voice is dark whatever the noise of its pauses."""
    rate = 24_000
    dark = noise(rate, 4_000.0).samples * np.hanning(rate).astype(np.float32)  # a sudden end would be a click
    hiss = noise(rate, seed=1).samples * np.float32(1e-3)
    assert bandwidth(Waveform(np.concatenate([dark, hiss]), rate)) < 5_000.0


def test_a_silent_recording_has_none() -> None:
    with pytest.raises(ItemError, match="silent"):
        bandwidth(Waveform(np.zeros(16_000, dtype=np.float32), 16_000))


def test_one_conversion(tmp_path: Path) -> None:
    metric = Bandwidth()
    metric.open(Workspace())
    path = tmp_path / "a.flac"
    audio.write_flac(path, noise(24_000, 8_000.0))
    found = metric.statistics(Conversion("s", ConversionPair("p", "toy"), path))
    value, weight = found.sums["bandwidth"]
    assert (8.0 <= value <= 9.5, weight) == (True, 1.0)


def test_on_real_speech_a_low_pass_shows(shared: Path) -> None:
    from scipy import signal

    files = sorted((shared / "published_demos" / "FreeVC-demo").rglob("*.flac"))[:20]
    falls = []
    for path in files:
        wave = audio.load(path)
        if wave.sample_rate <= 16_000:
            continue
        low = signal.sosfiltfilt(signal.butter(8, 8_000.0, fs=wave.sample_rate, output="sos"), wave.samples)
        falls.append(bandwidth(wave) - bandwidth(Waveform(low.astype(np.float32), wave.sample_rate)))
    if falls:
        assert np.mean(falls) > 500.0
