"""Resampling as SoX does it: lengths, what passes and what does not, and SoX itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from math import floor

import numpy as np
import pytest
import soxr

from vceval.signal.sox_rate import sox_rate

RATES = (8_000, 11_025, 12_000, 22_050, 24_000, 25_000, 28_000, 32_000, 44_100, 48_000, 64_000, 96_000)


def _tone(frequency: float, rate: int, seconds: float = 0.25) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", RATES)
def test_tones_within_the_band_pass_and_others_do_not(rate: int) -> None:
    samples = _tone(1_000, rate)
    found = sox_rate(samples, rate, 16_000)
    assert len(found) == floor(len(samples) * 16_000 / rate + 0.5)
    middle = slice(800, -800)
    # The band droops by 0.01 dB at most, and nothing is shifted
    assert np.abs(found - _tone(1_000, 16_000)[: len(found)])[middle].max() < 0.5 * 1.2e-3
    if rate > 20_000:
        assert np.abs(sox_rate(_tone(9_500, rate), rate, 16_000)[middle]).max() < 1e-6


@pytest.mark.parametrize("rate", [22_050, 24_000, 44_100, 48_000])
def test_it_is_near_to_soxr(rate: int) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate // 4)
    ours, theirs = sox_rate(noise, rate, 16_000), soxr.resample(noise, rate, 16_000, quality="HQ")
    shared = min(len(ours), len(theirs))
    assert 1e-7 < np.abs(ours[:shared] - theirs[:shared]).max() < 1e-3


@pytest.mark.skipif(shutil.which("sox") is None, reason="SoX is not installed")
@pytest.mark.parametrize("rate", RATES)
def test_it_equals_sox(rate: int) -> None:
    noise = (0.2 * np.random.default_rng(1).standard_normal(5_001)).astype(np.float32)
    form = ["-t", "raw", "-e", "floating-point", "-b", "32", "-c", "1"]
    command = ["sox", "-D", *form, "-r", str(rate), "-", *form, "-", "rate", "16000"]
    done = subprocess.run(command, input=noise.tobytes(), capture_output=True, check=True)
    theirs = np.frombuffer(done.stdout, dtype=np.float32)
    ours = sox_rate(noise, rate, 16_000)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < (1e-7 if rate < 64_000 else 3e-4)


def test_equal_rates_and_clipping() -> None:
    loud = np.array([0.5, 1.5, -2.0])
    assert sox_rate(loud, 16_000, 16_000).tolist() == [0.5, 1.0, -1.0]
    assert np.abs(sox_rate(3.0 * _tone(1_000, 22_050), 22_050, 16_000)).max() == 1.0


def test_rates_that_are_raised_too_far_are_refused() -> None:
    with pytest.raises(ValueError, match="raised more than four times"):
        sox_rate(np.zeros(10), 3_000, 16_000)


def test_nothing_stays_nothing() -> None:
    assert len(sox_rate(np.zeros(0), 22_050, 16_000)) == 0
