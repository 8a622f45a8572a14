"""kNN-VC: reference cases, matching, loudness, and conversion from made-up weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.checkpoints.known_files import WAVLM_LARGE
from vceval.converters.knnvc import PREMATCHED, REGULAR, KnnVc
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform
from vceval.signal.loudness_torchaudio import levelled, loudness

torch = pytest.importorskip("torch")


def spoken(seconds: float, pitch: float = 140.0, seed: int = 0) -> np.ndarray:
    """A hum between stretches of faint noise, which the detector needs to know what silence is."""
    noise = np.random.default_rng(seed).standard_normal((2, 8_000)).astype(np.float32) * 1e-3
    return np.concatenate([noise[0], hum(seconds, 16_000, pitch, seed), noise[1]])


def wave(samples: np.ndarray) -> Waveform:
    return Waveform(samples.astype(np.float32), 16_000)


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("knnvc")


@pytest.fixture(scope="module")
def knnvc(weights: Path) -> KnnVc:
    opened = KnnVc(weights=str(weights))
    opened.open("cpu")
    return opened


def test_the_nearest_are_those_by_angle() -> None:
    """A long frame in the right direction is nearer than a short one that lies closer by."""
    from vceval.networks.knnvc import match

    pool = torch.tensor([[10.0, 0.0], [9.0, 1.0], [1.0, 0.9], [0.0, 3.0], [-1.0, 0.0]])
    found = match(torch.tensor([[1.0, 0.05], [0.0, 2.0]]), pool, 2)
    assert found.indices.tolist() == [[0, 1], [3, 2]]
    assert torch.equal(found.features, torch.tensor([[9.5, 0.5], [0.5, 1.95]]))
    assert found.distances[1].tolist() == pytest.approx(
        [1.0, 1.0 - 1 / math.sqrt(82), 1.0 - 0.9 / math.sqrt(1.81), 0.0, 1.0]
    )
    assert torch.equal(match(pool * 3.0, pool, 1).features, pool)
    with pytest.raises(ValueError, match="3 frames"):
        match(pool, pool[:3], 4)


@pytest.mark.parametrize(
    ("frames", "seconds", "expected"), [(30, 0.9, 45), (50, 0.5, 25), (40, 0.8, 40), (7, 0.319, 15)]
)
def test_source_features_are_brought_to_a_duration(frames: int, seconds: float, expected: int) -> None:
    from vceval.networks.knnvc import stretched

    ramp = torch.arange(frames, dtype=torch.float32)[:, None].repeat(1, 3)
    found = stretched(ramp, seconds)
    assert found.shape == (expected, 3)
    assert (found[1:] >= found[:-1]).all()
    step = frames / (int(seconds * 16_000) / 320)
    assert found[expected // 2, 0] == pytest.approx((expected // 2 + 0.5) * step - 0.5, abs=1e-3)


def test_loudness_of_the_standard() -> None:
    """BS.1770: a sine of 997 Hz at full scale in one channel reads -3.01; each dB less reads a dB less.

    torchaudio puts the shelf at 1500 Hz, for the standard's 1682 Hz, which makes 0.04 dB here.
    """
    t = np.arange(3 * 48_000) / 48_000
    sine = np.sin(2 * np.pi * 997.0 * t)
    assert loudness(sine * 0.1, 48_000) == pytest.approx(-23.05, abs=0.01)
    assert loudness(sine * 0.01, 48_000) == pytest.approx(-43.05, abs=0.01)
    # The high-pass takes low frequencies away, the shelf lifts high ones
    low, high = (np.sin(2 * np.pi * f * t) * 0.1 for f in (20.0, 8_000.0))
    assert loudness(low, 48_000) < -33.0
    assert loudness(high, 48_000) == pytest.approx(-23.01 + 3.3, abs=0.3)


def test_loudness_leaves_pauses_out_and_clips_its_filters() -> None:
    tone = np.sin(2 * np.pi * 500.0 * np.arange(32_000) / 16_000) * 0.1
    with_pauses = np.concatenate([tone, np.zeros(32_000), tone * 1e-2])
    assert loudness(with_pauses, 16_000) == pytest.approx(loudness(tone, 16_000), abs=0.5)
    assert loudness(tone * 100.0, 16_000) < loudness(tone, 16_000) + 30.0  # 40 without the clip
    assert loudness(np.zeros(8_000), 16_000) == -math.inf
    with pytest.raises(ValueError, match="6399 samples"):
        loudness(tone[:6_399], 16_000)
    moved = levelled(tone.astype(np.float32), 16_000, -30.0)
    assert loudness(moved, 16_000) == pytest.approx(-30.0, abs=0.001)
    assert np.corrcoef(moved, tone)[0, 1] == pytest.approx(1.0)
    silence = np.zeros(8_000, np.float32)
    assert np.array_equal(levelled(silence, 16_000, -16.0), silence)


def test_output_is_levelled(knnvc: KnnVc) -> None:
    contents, [voice] = (
        knnvc.encode_content([wave(hum(0.5)), wave(hum(0.7))]),
        knnvc.encode_speaker([[wave(spoken(0.8))]]),
    )
    for outcome in knnvc.decode([(content, voice) for content in contents], [0, 0]):
        assert loudness(outcome.samples, 16_000) == pytest.approx(-16.0, abs=0.01)


def test_prompts_are_trimmed_joined_and_told_apart(knnvc: KnnVc, weights: Path) -> None:
    speech, silence = wave(spoken(0.8)), wave(np.random.default_rng(5).standard_normal(16_000) * 1e-3)
    alone, both, with_silence, nothing = knnvc.encode_speaker(
        [[speech], [speech, wave(spoken(0.5, 200.0, 3))], [silence, speech], [silence]]
    )
    assert alone.shape[1] == 1024
    assert 40 <= len(alone) < 90  # of 1.8 s, that is 89 frames
    assert torch.equal(both[: len(alone)], alone)
    assert len(both) > len(alone) + 25
    assert torch.equal(with_silence, alone)
    assert isinstance(nothing, ItemError)
    assert "0 frames; 4 are needed" in str(nothing)
    whole = KnnVc(weights=str(weights), vad=0.0)
    whole.open("cpu")
    kept = whole.encode_speaker([[silence], [speech]])
    assert [len(item) for item in kept] == [49, 89]


def test_features_are_those_of_layer_six_without_the_rest(knnvc: KnnVc, weights: Path) -> None:
    from vceval.networks import wavlm

    samples = hum(0.5)
    whole = wavlm.load(weights / WAVLM_LARGE.name)
    with torch.inference_mode():
        wanted = whole(torch.from_numpy(samples)[None], layer=6)[0]
        last = whole(torch.from_numpy(samples)[None])[0]
    (found,) = knnvc.encode_content([wave(samples)])
    assert torch.equal(found, wanted)
    assert (found - last).abs().max() > 0.01
    assert len(knnvc._wavlm.encoder.layers) == 6


def test_long_prompts_go_in_pieces_and_only_as_much_as_is_asked_for(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vceval.converters.knnvc.MAX_SECONDS", 1.0)
    converter = KnnVc(weights=str(weights), vad=0.0, max_prompt_seconds=2.5)
    converter.open("cpu")
    samples = hum(2.0)
    (found,) = converter.encode_speaker([[wave(samples), wave(samples)]])
    first, second, third = (
        converter.encode_content([wave(part)])[0] for part in (*np.split(samples, 2), samples[:8_000])
    )
    assert torch.equal(found, torch.cat([first, second, third]))


def test_what_cannot_be_taken_is_told(knnvc: KnnVc, weights: Path) -> None:
    short = wave(hum(0.404))
    found, fine = knnvc.encode_content([short, wave(hum(0.405))])
    assert isinstance(found, ItemError)
    assert "0.405 s are needed" in str(found)
    assert len(fine) == 20
    plain = KnnVc(weights=str(weights), loudness=None, vad=0.0, neighbours=2)
    plain.open("cpu")
    items = list(zip(plain.encode_content([short]), plain.encode_speaker([[wave(hum(0.1))]]), strict=True))
    (converted,) = plain.decode(items, [0])
    assert isinstance(converted, Waveform)
    assert len(converted.samples) == 19 * 320
    with pytest.raises(UsageError, match="neighbours is 0"):
        KnnVc(neighbours=0)
    with pytest.raises(UsageError, match="max_prompt_seconds is 0"):
        KnnVc(max_prompt_seconds=0)


def test_either_vocoder_and_the_files_that_it_needs(weights: Path, tmp_path: Path, knnvc: KnnVc) -> None:
    for file in (REGULAR, WAVLM_LARGE):
        (tmp_path / file.name).symlink_to(weights / file.name)
    regular = KnnVc(weights=str(tmp_path), prematched=False)
    assert not regular.missing_files()
    assert set(regular.assets()) == {REGULAR.name, WAVLM_LARGE.name}
    assert set(KnnVc(weights=str(weights)).assets()) == {PREMATCHED.name, WAVLM_LARGE.name}
    missing = KnnVc(weights=str(tmp_path))
    assert len(missing.missing_files()) == 1
    assert PREMATCHED.name in missing.missing_files()[0]
    with pytest.raises(UsageError, match="prematch_g_02500000"):
        missing.open("cpu")
    regular.open("cpu")
    query, pool = knnvc.encode_content([wave(hum(0.5))])[0], knnvc.encode_speaker([[wave(spoken(0.8))]])[0]
    one, other = (converter.decode([(query, pool)], [0])[0].samples for converter in (knnvc, regular))
    assert np.abs(one - other).max() > 1e-3
