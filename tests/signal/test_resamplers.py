"""Resamplers of other libraries, against what those gave, stored in resamplers.npz and where they import."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from vceval.signal.audio import Resampler, Waveform, resample
from vceval.signal.resamplers import _EDITIONS, kaiser_best, torchaudio_sinc

#: resampy 0.2.2 and 0.4.3 (which keeps its filter in a table), torchaudio 2.11: 700 samples at six pairs of rates.
STORED = dict(np.load(Path(__file__).with_name("resamplers.npz")))
SAMPLES = STORED.pop("samples")


@pytest.mark.parametrize("case", sorted(STORED))
def test_they_give_what_the_libraries_gave(case: str) -> None:
    by, old, new = case.split("_")
    wave = resample(Waveform(SAMPLES, int(old)), int(new), by)  # type: ignore[arg-type]
    there = STORED[case]
    assert wave.sample_rate == int(new)
    assert len(wave.samples) == -(-len(SAMPLES) * int(new) // int(old))
    assert np.abs(wave.samples[: len(there)] - there).max() <= (3e-8 if by == "resampy-0.4" else 1e-7)
    assert not wave.samples[len(there) :].any()  # librosa's zero
    if by == "resampy-0.2":
        assert np.array_equal(wave.samples[: len(there)], there)


@pytest.mark.parametrize(
    ("by", "low", "high"), [("resampy-0.2", 49, 20), ("resampy-0.4", 70, 8), ("torchaudio", 60, 12)]
)
def test_they_part_from_soxr_at_the_edge_of_the_band(by: Resampler, low: float, high: float) -> None:
    """From 48 kHz to 16: decibels of what soxr gives over the difference, below 4 kHz and from 7 to 7.5 kHz."""
    rng = np.random.default_rng(1)
    noise = Waveform((0.1 * rng.standard_normal(48_000)).astype(np.float32), 48_000)
    window = np.hanning(15_000)

    usual, other = (np.fft.rfft(resample(noise, 16_000, one).samples[500:15_500] * window) for one in ("soxr", by))
    frequencies = np.fft.rfftfreq(15_000, 1 / 16_000)

    def distance(least: float, most: float) -> float:
        inside = (frequencies >= least) & (frequencies < most)
        apart = np.abs(usual[inside] - other[inside]) ** 2
        return float(10 * np.log10((np.abs(usual[inside]) ** 2).sum() / apart.sum()))

    assert distance(0, 4_000) > low
    assert distance(7_000, 7_500) < high


@pytest.mark.parametrize("by", get_args(Resampler))
def test_an_equal_rate_is_left_alone(by: Resampler) -> None:
    wave = Waveform(SAMPLES, 16_000)
    assert resample(wave, 16_000, by) is wave


def test_resampy_itself() -> None:
    resampy = pytest.importorskip("resampy")
    edition = "0.2" if resampy.__version__.startswith("0.2") else "0.4"
    for old, new in ((48_000, 16_000), (44_100, 22_050), (16_000, 24_000)):
        there = resampy.resample(SAMPLES, old, new, filter="kaiser_best")
        assert np.abs(kaiser_best(SAMPLES, old, new, edition) - there).max() <= 3e-8


def test_torchaudio_itself() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchaudio.functional")
    for old, new in ((48_000, 16_000), (44_100, 16_000), (8_000, 16_000)):
        there = functional.resample(torch.from_numpy(SAMPLES), old, new).numpy()
        assert np.abs(torchaudio_sinc(SAMPLES, old, new) - there).max() <= 1e-7


def test_precision_of_networks_does_not_reach_resampling() -> None:
    torch = pytest.importorskip("torch")
    samples = np.random.default_rng(0).normal(0.0, 0.1, 4_800).astype(np.float32)
    usual = torchaudio_sinc(samples, 24_000, 16_000)
    with torch.autocast("cpu", torch.bfloat16):
        assert (torchaudio_sinc(samples, 24_000, 16_000) == usual).all()


@pytest.mark.parametrize("by", ["resampy-0.2", "resampy-0.4", "torchaudio"])
def test_how_samples_lie_in_memory_does_not_matter(by: Resampler) -> None:
    usual = resample(Waveform(SAMPLES, 48_000), 16_000, by).samples
    turned = SAMPLES[::-1].copy()[::-1]
    held = SAMPLES.copy()
    held.setflags(write=False)
    for samples in (
        turned,
        np.stack([SAMPLES, SAMPLES], axis=1)[:, 0],
        held,
        SAMPLES.astype(">f4"),
        SAMPLES.astype(np.float64),
    ):
        assert (resample(Waveform(samples, 48_000), 16_000, by).samples == usual).all()
    for count in (0, 1):
        for old, new in ((8_000, 192_000), (16_000, 16_001), (192_000, 8_000)):
            assert len(resample(Waveform(SAMPLES[:count], old), new, by).samples) == -(-count * new // old)


def one_by_one(samples: np.ndarray, old: int, new: int, edition: str) -> np.ndarray:
    """A sum for each sample, term by term, as resampy writes it."""
    zeros, between, share, beta = _EDITIONS[edition]
    ratio = new / old
    scale = min(1.0, ratio)
    many = zeros * between
    sinc = share * np.sinc(share * np.linspace(0.0, zeros, many + 1))
    table = sinc * np.kaiser(2 * many + 1, beta)[many:] * scale
    slopes, step = np.append(np.diff(table), 0.0), int(scale * between)
    made = np.zeros(len(samples) * new // old, np.float32)
    time = 0.0
    for place in range(len(made)):
        time = time if edition == "0.2" else place * (1.0 / ratio)
        left = int(time)
        after, total = scale * (time - left), np.float32(0.0)
        for start, heard in ((after, samples[left::-1]), (scale - after, samples[left + 1 :])):
            first = int(start * between)
            beyond = start * between - first
            for at, value in zip(range(first, len(table) - step + 1, step), heard, strict=False):
                total = np.float32(total + (table[at] + beyond * slopes[at]) * value)
        made[place] = total
        time += 1.0 / ratio
    return made


@pytest.mark.parametrize("edition", ["0.2", "0.4"])
@pytest.mark.parametrize(
    ("old", "new"), [(16_000, 16_001), (16_001, 16_000), (8_000, 192_000), (192_000, 8_000), (16_000, 22_050)]
)
def test_eight_sums_at_once_are_each_of_them_to_the_bit(edition: str, old: int, new: int) -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 9, 40):
        noise = rng.standard_normal(count).astype(np.float32)
        least = (1e-45 * rng.choice([-1, 0, 1], count)).astype(np.float32)  # some of its sums are -0
        for samples in (noise, 0 * noise, least):
            there = one_by_one(samples, old, new, edition)
            assert kaiser_best(samples, old, new, edition).tobytes() == there.tobytes()
