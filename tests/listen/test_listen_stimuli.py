"""Recordings of listening tests: loudness, the bad anchor, beeps, one rate and form, names that say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import hum

from vceval.listen.recordings import Recording
from vceval.listen.stimuli import measure, render, write
from vceval.signal.loudness_bs1770 import common_level, loudness


def sine(frequency: float, seconds: float, level_db: float, rate: int = 48_000) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize(("level", "rate"), [(0.0, 48_000), (-20.0, 48_000), (-20.0, 16_000), (-33.0, 44_100)])
def test_loudness_of_a_sine_is_the_standards(level: float, rate: int) -> None:
    # BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LKFS
    assert loudness(sine(997, 3, level, rate), rate) == pytest.approx(level - 3.01, abs=0.05)


def test_low_tones_count_less_and_high_tones_more() -> None:
    low, middle, high = (loudness(sine(f, 2, -20), 48_000) for f in (40, 997, 4000))
    assert low < middle - 4  # the high-pass
    assert 2.5 < high - middle < 4  # the shelf


def test_pauses_do_not_count() -> None:
    tone = sine(997, 2, -20)
    with_pause = np.concatenate([tone, np.zeros(5 * 48_000, np.float32)])
    assert loudness(with_pause, 48_000) == pytest.approx(loudness(tone, 48_000), abs=0.4)


def test_short_and_silent_recordings_have_a_loudness_too() -> None:
    assert loudness(np.zeros(48_000, np.float32), 48_000) == -np.inf
    short = loudness(sine(997, 0.2, -20), 48_000)
    assert short == pytest.approx(-23.01 - 3.01, abs=0.1)  # half of the one block is silent


@given(
    st.floats(-40, -14),
    st.lists(st.tuples(st.floats(-60, -10), st.floats(0.001, 1.0)), min_size=1, max_size=9),
)
def test_at_the_common_level_nothing_clips(wanted: float, recordings: list[tuple[float, float]]) -> None:
    level = common_level(wanted, recordings)
    assert level <= wanted
    peaks = [20 * np.log10(peak) + level - loud for loud, peak in recordings]
    assert max(peaks) <= -1 + 1e-9
    assert level == wanted or max(peaks) == pytest.approx(-1)


def speech(folder: Path, name: str, rate: int = 16_000, level: float = 1.0, seconds: float = 2.0) -> str:
    soundfile.write(folder / name, level * hum(seconds, rate, seed=len(name)), rate)
    return str(folder / name)


def test_mnru_has_the_ratio_that_it_is_called_by(tmp_path: Path) -> None:
    path = speech(tmp_path, "a.wav")
    clean, noisy = render(Recording(path)).samples, render(Recording(path, mnru=10.0)).samples
    noise = noisy - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.3)
    assert np.array_equal(noisy, render(Recording(path, mnru=10.0)).samples)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_beeps_can_be_counted_and_replace_the_speech(tmp_path: Path, count: int) -> None:
    wave = render(Recording(speech(tmp_path, "a.wav"), beeps=count))
    after = wave.samples[int(1.3 * 16_000) :]
    loud = np.abs(after) > 0.3 * np.abs(after).max()
    # A beep swings through zero all the time: what lies between beeps is longer than a period by far
    places = np.flatnonzero(loud)
    assert 1 + np.count_nonzero(np.diff(places) > 0.1 * 16_000) == count
    assert np.abs(wave.samples).max() <= 1


def test_recordings_come_out_equally_loud_at_one_rate_under_names_without_meaning(tmp_path: Path) -> None:
    given_ = [
        Recording(speech(tmp_path, "loud.wav", 24_000, 1.0)),
        Recording(speech(tmp_path, "quiet system.flac", 16_000, 0.05)),
        Recording(speech(tmp_path, "tone.wav", 44_100, 0.4), beeps=2),
    ]
    found, bad = measure(given_)
    assert not bad
    names, level = write(tmp_path / "out", found, 24_000, -26.0, seed=3)
    assert level == -26.0
    for recording in given_:
        path = tmp_path / "out" / names[recording]
        samples, rate = soundfile.read(path, dtype="float32")
        info = soundfile.SoundFile(path)
        assert (rate, info.format, info.subtype, info.channels) == (24_000, "FLAC", "PCM_16", 1)
        assert not info.copy_metadata()
        assert loudness(samples, rate) == pytest.approx(-26, abs=0.15)
        assert path.stat().st_mtime == 0
    assert all(len(name) == 17 and name.endswith(".flac") for name in names.values())
    again, _ = write(tmp_path / "again", found, 24_000, -26.0, seed=3)
    assert again == names
    for name in names.values():
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    other, _ = write(tmp_path / "other", found, 24_000, -26.0, seed=4)
    assert not set(other.values()) & set(names.values())


def test_a_recording_that_would_clip_lowers_all(tmp_path: Path) -> None:
    click = np.zeros(32_000, np.float32)
    click[:16_000] = 0.02 * hum(1.0)
    click[20_000] = 0.9
    soundfile.write(tmp_path / "click.wav", click, 16_000)
    given_ = [Recording(speech(tmp_path, "a.wav")), Recording(str(tmp_path / "click.wav"))]
    found, _ = measure(given_)
    names, level = write(tmp_path / "out", found, 16_000, -26.0, seed=0)
    assert level < -26.5
    for name in names.values():
        samples, rate = soundfile.read(tmp_path / "out" / name, dtype="float32")
        assert loudness(samples, rate) == pytest.approx(level, abs=0.2)
        assert np.abs(samples).max() < 1


def test_what_can_not_be_used_is_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    (tmp_path / "text.wav").write_text("no audio")
    given_ = [Recording(str(tmp_path / name)) for name in ("silent.wav", "text.wav", "none.wav")]
    found, bad = measure([*given_, Recording(speech(tmp_path, "a.wav"))])
    assert len(found) == 1
    for one, word in zip(given_, ("silent", "audio", "no such file"), strict=True):
        assert word in bad[one]
