"""Features against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from vceval.signal import spectral, world
from vceval.signal.audio import Waveform


def warped(frequencies: np.ndarray, alpha: float) -> np.ndarray:
    """Phase of the all-pass filter: the warped frequency axis."""
    return frequencies + 2.0 * np.arctan(alpha * np.sin(frequencies) / (1.0 - alpha * np.cos(frequencies)))


@pytest.mark.parametrize("alpha", [0.0, 0.42, 0.55])
def test_mel_cepstrum_gives_the_log_amplitude_back_on_the_warped_axis(alpha):
    generator = np.random.default_rng(0)
    order, bins = 12, 513
    expected = generator.normal(size=(3, order + 1)) / np.arange(1, order + 2)
    frequencies = np.linspace(0.0, np.pi, bins)
    log_amplitude = expected @ np.cos(np.outer(np.arange(order + 1), warped(frequencies, alpha)))
    found = world.mel_cepstrum(np.exp(2.0 * log_amplitude), order, alpha)
    assert found == pytest.approx(expected, abs=1e-9)


def test_gain_moves_c0_alone():
    power = np.exp(np.random.default_rng(1).normal(size=(4, 513)))
    plain = world.mel_cepstrum(power, 24, 0.42, floor_db=-60)
    louder = world.mel_cepstrum(power * 7.0, 24, 0.42, floor_db=-60)
    assert louder[:, 1:] == pytest.approx(plain[:, 1:], abs=1e-12)
    assert louder[:, 0] - plain[:, 0] == pytest.approx(np.full(4, 0.5 * np.log(7.0)), abs=1e-9)


def test_floor_makes_silence_flat():
    power = np.exp(np.random.default_rng(2).normal(size=(4, 65)))
    power[2] = 0.0
    cepstra = world.mel_cepstrum(power, 10, 0.42, floor_db=-60)
    assert np.isfinite(cepstra).all()
    assert cepstra[2, 1:] == pytest.approx(np.zeros(10), abs=1e-9)


def test_order_zero_is_mean_log_amplitude():
    power = np.full((2, 33), np.e**2)
    assert world.mel_cepstrum(power, 0, 0.42) == pytest.approx(np.ones((2, 1)))


def test_mel_filters_have_unit_area_and_rising_centres():
    filters = spectral.mel_filters(16_000, 2048, 40)
    areas = filters.sum(axis=1) * 16_000 / 2048
    assert areas == pytest.approx(np.ones(40), rel=0.05)
    centres = filters.argmax(axis=1)
    assert (np.diff(centres) > 0).all()


def test_mel_spectrum_of_a_tone_peaks_where_the_tone_is():
    time = np.arange(16_000) / 16_000
    wave = Waveform(np.sin(2 * np.pi * 1000.0 * time).astype(np.float32), 16_000)
    spectrum = spectral.mel_power(wave.samples, 16_000, 400, 160, 40, "zeros")
    assert spectrum.shape == (101, 40)
    filters = spectral.mel_filters(16_000, 400, 40)
    assert (spectrum[10:-10].argmax(axis=1) == filters[:, 25].argmax()).all()  # bin 25 is 1000 Hz


def test_mel_spectrum_by_definition():
    samples = np.random.default_rng(3).normal(size=1000).astype(np.float32)
    found = spectral.mel_power(samples, 16_000, 400, 160, 40, "zeros")
    assert len(found) == 1000 // 160 + 1
    padded = np.concatenate([np.zeros(200), samples, np.zeros(200)])
    window = np.sin(np.pi * np.arange(400) / 400) ** 2
    power = np.abs(np.fft.rfft(padded[320:720] * window)) ** 2
    assert found[2] == pytest.approx(spectral.mel_filters(16_000, 400, 40) @ power, rel=1e-4)


@pytest.mark.parametrize(("rate", "bins"), [(16_000, 513), (24_000, 513), (48_000, 1025)])
def test_world_analysis_shapes_and_pitch(rate, bins):
    time = np.arange(rate) / rate
    samples = sum(np.sin(2 * np.pi * 150.0 * k * time) / k for k in range(1, 15))
    frames = world.world_analysis(Waveform((0.1 * samples).astype(np.float32), rate))
    assert frames.envelope.shape == (201, bins)
    assert frames.f0.shape == frames.times.shape == (201,)
    assert np.median(frames.f0) == pytest.approx(150.0, abs=1.0)
    assert frames.times[1] == pytest.approx(0.005)


def test_newton_keeps_a_spectrum_that_its_order_can_hold():
    generator = np.random.default_rng(4)
    order, alpha, bins = 12, 0.42, 257
    expected = generator.normal(size=(3, order + 1)) / np.arange(1, order + 2)
    frequencies = np.linspace(0.0, np.pi, bins)
    power = np.exp(2.0 * expected @ np.cos(np.outer(np.arange(order + 1), warped(frequencies, alpha))))
    assert world.mel_cepstrum_newton(power, order, alpha) == pytest.approx(expected, abs=1e-6)


def test_newton_minimises_the_unbiased_estimator_of_log_spectrum():
    power = np.random.default_rng(5).chisquare(2, size=(4, 257))
    order, alpha = 8, 0.42
    found = world.mel_cepstrum_newton(power, order, alpha, tolerance=1e-12)
    basis = np.cos(np.outer(np.arange(order + 1), warped(np.linspace(0.0, np.pi, 257), alpha)))
    weights = np.r_[0.5, np.ones(255), 0.5]

    def loss(cepstra):
        ratio = np.log(power) - 2.0 * cepstra @ basis
        return ((np.exp(ratio) - ratio - 1.0) * weights).sum(axis=1)

    least = loss(found)
    generator = np.random.default_rng(6)
    for _ in range(50):
        assert (loss(found + 0.01 * generator.normal(size=found.shape)) > least).all()


def test_newton_is_that_of_sptk():
    pysptk = pytest.importorskip("pysptk")
    frames = np.random.default_rng(7).normal(size=(5, 512)) * np.hanning(512) * 0.1
    expected = [pysptk.mcep(frame, 23, 0.42, eps=1e-6, etype=1) for frame in frames]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-6
    assert world.mel_cepstrum_newton(power, 23, 0.42) == pytest.approx(np.array(expected), abs=1e-9)


def trimmed_length(samples: np.ndarray, below_db: float = 60.0) -> int:
    start, end = spectral.trim(samples, below_db, padding="zeros")
    return end - start


def test_trimming_takes_quiet_ends_off():
    tone = 0.5 * np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    quiet = np.full(8_192, 1e-6, dtype=np.float32)
    whole = np.concatenate([quiet, tone, quiet, tone, quiet])
    assert trimmed_length(tone) == 16_000
    # a frame of 2048 samples reaches 1024 beyond its centre, and centres lie 512 apart
    assert len(whole) - 2 * 8_192 <= trimmed_length(whole) <= len(whole) - 2 * (8_192 - 1_024 - 512)
    assert trimmed_length(whole, below_db=140.0) == len(whole)


def test_trimming_is_that_of_librosa():
    effects = pytest.importorskip("librosa").effects
    generator = np.random.default_rng(8)
    for seconds in (0.2, 0.7, 1.3):
        time = np.linspace(-1.0, 1.0, int(seconds * 16_000))
        samples = (generator.normal(size=len(time)) * np.exp(-((6.0 * time) ** 2))).astype(np.float32)
        assert trimmed_length(samples) == len(effects.trim(y=samples)[0])


def test_smaller_fft_raises_the_lowest_pitch():
    time = np.arange(22_050) / 22_050
    samples = sum(np.sin(2 * np.pi * 100.0 * k * time) / k for k in range(1, 20))
    wave = Waveform((0.1 * samples).astype(np.float32), 22_050)
    assert world.world_analysis(wave, fft_size=512).envelope.shape == (201, 257)
    assert np.array_equal(world.world_analysis(wave, fft_size=512).f0, world.world_analysis(wave).f0)
