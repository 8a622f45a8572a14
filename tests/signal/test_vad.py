"""The voice detector: starts that SoX 14.4.2 found, torchaudio's reference clip, and what must hold for any signal."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import hum

from vceval.signal.vad import Detector, peak_normalised, trim_ends, trim_front, voice_start

TORCHAUDIO = Detector(flavour="torchaudio")


def clip(before: float, speech: float, after: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    """A hum between two stretches of quiet noise; lengths in seconds."""
    rng = np.random.default_rng(seed)

    def quiet(seconds: float) -> np.ndarray:
        return (0.001 * rng.standard_normal(int(seconds * rate))).astype(np.float32)

    return np.concatenate([quiet(before), hum(speech, rate, seed=seed), quiet(after)])


# Clip and settings; first sample that SoX keeps (None: it keeps nothing), and how many are left of the clip after
# "norm vad norm reverse vad reverse" without settings
FROM_SOX = [
    ((0.5, 1.0, 0.5, 16_000, 1), {}, 6_400, 20_800),
    ((0.0, 1.2, 0.7, 16_000, 2), {}, 4_800, 16_000),
    ((1.6, 0.6, 0.0, 16_000, 3), {}, 24_000, 6_400),
    ((0.7, 0.8, 0.2, 22_050, 4), {}, 13_236, 17_630),
    ((0.3, 1.0, 0.3, 48_000, 5), {}, 14_400, 48_000),
    (
        (0.5, 1.0, 0.5, 16_000, 1),
        {"trigger_level": 10, "search_time": 0.4, "allowed_gap": 0.1, "pre_trigger_time": 0.2},
        7_200,
        20_800,
    ),
    ((0.05, 1.5, 0.2, 16_000, 6), {"pre_trigger_time": 0.9}, -9_600, 18_400),
    ((0.4, 0.15, 0.4, 16_000, 7), {}, None, 5_600),
]
OPTIONS = {"trigger_level": "-t", "search_time": "-s", "allowed_gap": "-g", "pre_trigger_time": "-p"}


@pytest.mark.parametrize(("place", "settings", "start", "left"), FROM_SOX)
def test_keeps_what_sox_kept(place: tuple, settings: dict, start: int | None, left: int) -> None:
    samples, rate = clip(*place), place[3]
    assert voice_start(samples, rate, Detector(**settings)) == start
    assert len(trim_ends(samples, rate, normalise=True)) == left


@pytest.mark.parametrize(("place", "settings", "start", "left"), FROM_SOX)
@pytest.mark.skipif(shutil.which("sox") is None, reason="SoX is not installed")
def test_equals_sox_sample_for_sample(
    tmp_path: Path, place: tuple, settings: dict, start: int | None, left: int
) -> None:
    samples, rate = clip(*place), place[3]
    soundfile.write(tmp_path / "in.wav", samples, rate, subtype="FLOAT")

    def sox(*effects: str) -> np.ndarray:
        command = ["sox", "-D", "in.wav", "-e", "float", "-b", "32", "out.wav", *effects]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
        return soundfile.read(tmp_path / "out.wav", dtype="float32")[0]

    options = [text for name, value in settings.items() for text in (OPTIONS[name], str(value))]
    front = trim_front(samples, rate, Detector(**settings))
    np.testing.assert_allclose(front, sox("vad", *options), atol=1e-6)
    both = trim_ends(samples, rate, normalise=True)
    np.testing.assert_allclose(both, sox("norm", "vad", "norm", "reverse", "vad", "reverse"), atol=1e-6)


def test_torchaudio_reference(shared: Path) -> None:
    stored = np.load(shared / "parity" / "knnvc_hifigan" / "features.npz")
    found = trim_ends(stored["in_wav_16000"], 16_000, TORCHAUDIO)
    assert np.array_equal(found, stored["out_wav_vad"][0])


def test_sox_reference(shared: Path) -> None:
    stored = np.load(shared / "parity" / "fragmentvc" / "features.npz")
    found = trim_ends(peak_normalised(stored["in_wav_16000"]), 16_000, normalise=True)
    np.testing.assert_allclose(found, stored["out_wav_after_sox_vad"], atol=1e-6)


def test_a_cut_is_a_slice_and_keeps_the_type() -> None:
    samples = clip(0.6, 1.0, 0.6)
    start = voice_start(samples, 16_000, TORCHAUDIO)
    assert start is not None
    assert 0 < start < 0.6 * 16_000
    cut = trim_front(samples, 16_000, TORCHAUDIO)
    assert cut.dtype == samples.dtype
    assert np.array_equal(cut, samples[start:])


def test_both_ends_backwards_are_both_ends() -> None:
    samples = clip(0.6, 1.0, 0.9, seed=8)
    front = trim_front(samples, 16_000, TORCHAUDIO)
    back = trim_front(front[::-1], 16_000, TORCHAUDIO)[::-1]
    assert np.array_equal(trim_ends(samples, 16_000, TORCHAUDIO), back)
    assert len(back) < len(front) < len(samples)


def test_before_the_recording_sox_puts_zeros_and_torchaudio_does_not() -> None:
    samples = clip(0.05, 1.5, 0.2, seed=6)
    early = {"pre_trigger_time": 0.9}
    padded = trim_front(samples, 16_000, Detector(**early))
    assert len(padded) == len(samples) + 9_600
    assert not padded[:9_600].any()
    assert np.array_equal(trim_front(samples, 16_000, Detector(**early, flavour="torchaudio")), samples)


def test_the_last_sample_counts_for_sox_alone() -> None:
    samples = clip(0.5, 1.0, 0.0, seed=1)
    starts = [voice_start(samples[: 1_600 + 800 * n], 16_000) for n in range(20)]
    first = next(n for n, start in enumerate(starts) if start is not None)
    heard = samples[: 1_600 + 800 * first]
    assert voice_start(heard[:-1], 16_000) is None
    assert voice_start(heard, 16_000, TORCHAUDIO) is None


@pytest.mark.parametrize("samples", [np.zeros(16_000), np.zeros(0), hum(0.05), np.full(20_000, 0.5)])
@pytest.mark.parametrize("detector", [Detector(), TORCHAUDIO])
def test_nothing_heard_leaves_nothing(samples: np.ndarray, detector: Detector) -> None:
    assert voice_start(samples, 16_000, detector) is None
    assert len(trim_ends(samples, 16_000, detector, normalise=True)) == 0


def test_a_rate_too_low_for_the_pitch_limits() -> None:
    with pytest.raises(ValueError, match="200 Hz"):
        voice_start(hum(1.0), 200)
