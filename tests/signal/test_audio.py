"""Audio that users really have: every rate, depth and channel count, and every way of being broken."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from vceval.errors import ItemError
from vceval.signal import audio
from vceval.signal.audio import Reading, Waveform
from vceval.storage.files import sha256


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


@settings(max_examples=30)
@given(st.integers(2_000, 30_000), st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]))
def test_resampling_follows_the_length_rule(length: int, rate: int) -> None:
    samples = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    there = audio.resample(Waveform(samples, rate), 16_000)
    assert len(there.samples) == -(-length * 16_000 // rate)
    assert audio.resample(Waveform(samples, rate), rate).samples is samples


def test_written_flac_is_whole_and_never_clipped(tmp_path: Path) -> None:
    loud = np.sin(np.arange(16_000) / 20).astype(np.float32) * 1.7
    path = tmp_path / "deep" / "out.flac"
    gain, digest = audio.write_flac(path, Waveform(loud, 16_000))
    assert digest == sha256(path)
    back = audio.load(path).samples
    assert gain == pytest.approx(0.999 / 1.7, rel=1e-4)
    assert np.abs(back - loud * gain).max() < 1e-6
    assert [p.name for p in path.parent.iterdir()] == ["out.flac"]
    with pytest.raises(ItemError, match="NaN"):
        audio.write_flac(path, Waveform(loud * np.nan, 16_000))
    with pytest.raises(ItemError, match="mono"):
        audio.write_flac(path, Waveform(loud.reshape(2, -1), 16_000))
    assert audio.load(path).samples.shape == back.shape


def _stereo(path: Path, left: np.ndarray, right: np.ndarray, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype=subtype)
    return path


SPEECH = (0.3 * np.sin(np.arange(16_000) / 9) * np.sin(np.arange(16_000) / 2000)).astype(np.float32)
#: Two channels of speech that do not hold the same.
DIFFERENT = {
    "two speakers": (SPEECH, SPEECH[::-1]),
    "half a millisecond between them": (SPEECH, np.roll(SPEECH, 8)),
    "counterphase": (SPEECH, -SPEECH),
    "one empty": (SPEECH, SPEECH * 0),
    "one quieter": (SPEECH, SPEECH * 0.9),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_channels_that_differ_are_chosen_or_refused_never_averaged(tmp_path: Path, name: str) -> None:
    left, right = DIFFERENT[name]
    path = _stereo(tmp_path / "stereo.wav", left, right, "FLOAT")
    with pytest.raises(ItemError, match=r"its 2 channels differ .* --channel left, right or mix") as caught:
        audio.load(path)
    assert str(path) in str(caught.value)
    expected = {"left": left, "right": right, "mix": (left + right) / 2}
    for channel in audio.CHANNELS:
        with audio.read_as(Reading(channel)):
            wave = audio.load(path, allow_silence=True)
        assert np.abs(wave.samples - expected[channel]).max() < 1e-7
        assert wave.facts is not None
        assert (wave.facts.channels, wave.facts.difference) == (2, pytest.approx(np.abs(left - right).max()))
    assert audio.reading() == Reading()


@pytest.mark.parametrize("channel", [None, *audio.CHANNELS])
def test_channels_that_are_equal_or_rounded_are_one(tmp_path: Path, channel: audio.Channel | None) -> None:
    mono = audio.load(_write(tmp_path / "mono.wav", SPEECH)).samples
    dither = np.random.default_rng(0).uniform(-1, 1, (2, len(SPEECH))) / 32768
    with audio.read_as(Reading(channel)):
        assert np.array_equal(audio.load(_stereo(tmp_path / "a.wav", SPEECH, SPEECH, "FLOAT")).samples, mono)
        for right in (SPEECH + 1 / 32768, SPEECH - 1 / 32768):
            assert np.array_equal(audio.load(_stereo(tmp_path / "b.wav", SPEECH, right, "FLOAT")).samples, mono)
        found = audio.load(_stereo(tmp_path / "c.wav", *(SPEECH + dither)))
        assert np.abs(found.samples - mono).max() < 2 / 32768


def test_many_channels_are_read_while_they_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, np.stack([SPEECH] * 6, axis=1), 16_000)
    assert audio.load(path).facts == audio.Facts("WAV", "PCM_16", 16_000, 6, 0.0, pytest.approx(0.3, abs=0.01))
    soundfile.write(path, np.stack([SPEECH] * 9, axis=1), 16_000)
    with pytest.raises(ItemError, match="has 9 channels; at most 8 are read"):
        audio.load(path)


@pytest.mark.parametrize(("scale", "bits"), [(32_767.0, 16), (120.0, 16), (2.0**23, 24), (2.0**31, 32)])
def test_whole_numbers_stored_as_floats_are_refused(tmp_path: Path, scale: float, bits: int) -> None:
    path = _write(tmp_path / "scaled.wav", np.round(SPEECH / 0.3 * scale).astype(np.float32))
    with pytest.raises(ItemError, match=f"looks like {bits}-bit values stored as floats; divide them by"):
        audio.load(path)
    with pytest.raises(ItemError, match=f"converted audio: .* looks like {bits}-bit values"):
        audio.write_flac(tmp_path / "made.flac", Waveform(SPEECH / 0.3 * np.float32(scale), 16_000))


def test_loud_floats_are_taken_as_they_are(tmp_path: Path) -> None:
    for times in (60, 200):
        facts = audio.load(_write(tmp_path / "loud.wav", SPEECH * times)).facts
        assert facts is not None
        assert facts.peak == pytest.approx(0.3 * times, rel=0.02)


def test_the_longest_recording_is_a_choice(make_sound: Callable[..., Path]) -> None:
    path = make_sound(seconds=2.0)
    with audio.read_as(Reading(max_seconds=1.5)):
        with pytest.raises(ItemError, match=r"2\.0 s long; at most 1\.5 s are read \(--max-seconds\)"):
            audio.load(path)
        assert audio.duration(path) == 2.0
    assert audio.load(path).seconds == 2.0


def test_a_file_is_read_whatever_the_bytes_of_its_name(tmp_path: Path) -> None:
    for name in (b"\xe9t\xe9.wav", "語.raw".encode(), b"no suffix"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        with open(path, "wb") as stream:
            soundfile.write(stream, SPEECH, 16_000, format="WAV")
        assert len(audio.load(path).samples) == len(SPEECH)
        assert (audio.sample_rate(path), audio.duration(path)) == (16_000, 1.0)


def test_published_faults_stereo(shared: Path) -> None:
    for name in ("antiphase.wav", "delay05ms.wav"):
        path = shared / "review" / "cases" / "b11-stereo" / name
        with pytest.raises(ItemError, match="channels differ"):
            audio.load(path)
        with audio.read_as(Reading("right")):
            assert audio.load(path).seconds > 2.4
