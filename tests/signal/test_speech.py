"""Where speech is: the same place of the same sound, whatever stands around it and however loud it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import hum

from vceval.errors import ItemError
from vceval.signal.audio import Waveform, resample
from vceval.signal.speech import BY_LEVEL, Speech

RATE = 16_000
#: Two words with a pause of 0.5 s between them, and a faint noise throughout.
WORDS = np.concatenate([hum(0.6, seed=1), np.zeros(RATE // 2), hum(0.4, seed=2)])
WORDS += 1e-4 * np.random.default_rng(0).standard_normal(len(WORDS))


def found(samples: np.ndarray, rate: int = RATE) -> Speech:
    return BY_LEVEL.find(Waveform(np.asarray(samples, dtype=np.float32), rate))


def test_words_are_speech_and_the_pause_is_not():
    speech = found(WORDS)
    assert speech.begin == pytest.approx(0.0, abs=0.02)
    assert speech.seconds == pytest.approx(1.5, abs=0.04)
    runs = np.flatnonzero(np.diff(speech.marks.astype(int)))
    assert (runs + speech.start) / RATE == pytest.approx([0.6, 1.1], abs=0.02)
    assert speech.level == pytest.approx(np.sqrt(np.mean(np.square(WORDS[: int(0.6 * RATE)]))), rel=0.3)


@settings(max_examples=25)
@given(
    st.floats(-30.0, 6.0), st.integers(0, 3 * RATE), st.integers(0, 3 * RATE), st.booleans(), st.sampled_from([0, 1e-4])
)
def test_gain_polarity_and_what_stands_around_do_not_matter(gain, before, after, turned, noise):
    usual = found(WORDS)
    rng = np.random.default_rng(before)
    around = [noise * rng.standard_normal(count) for count in (before, after)]
    changed = np.concatenate([around[0], WORDS, around[1]]) * 10 ** (gain / 20) * (-1 if turned else 1)
    speech = found(changed)
    assert speech.start - before == pytest.approx(usual.start, abs=2)
    assert len(speech.marks) == pytest.approx(len(usual.marks), abs=2)
    assert speech.level / 10 ** (gain / 20) == pytest.approx(usual.level, rel=0.01)


def test_a_faint_end_belongs_to_its_word_and_a_click_to_nothing():
    tail = 0.06 * WORDS[: RATE // 10]  # 24 dB below
    faint = np.concatenate([WORDS, tail, np.zeros(RATE)])
    assert found(faint).seconds == pytest.approx(found(WORDS).seconds + 0.1, abs=0.02)
    faint[-RATE // 2] = 0.9
    assert found(faint).seconds == pytest.approx(found(WORDS).seconds + 0.1, abs=0.02)


def test_a_short_gap_is_filled():
    gap = np.concatenate([hum(0.4, seed=1), np.zeros(int(0.15 * RATE)), hum(0.4, seed=2)])
    assert found(gap).marks.all()


def test_an_offset_is_no_speech():
    assert found(np.concatenate([np.zeros(RATE), WORDS]) + 0.2).begin == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_a_cut_fits_the_speech_at_any_rate(rate):
    wave = resample(Waveform(np.pad(WORDS, RATE).astype(np.float32), RATE), rate)
    speech = BY_LEVEL.find(wave)
    cut = speech.cut(wave)
    assert cut.sample_rate == rate
    assert len(cut.samples) == pytest.approx(speech.seconds * rate, abs=1)
    start = round(speech.begin * rate)
    assert np.array_equal(cut.samples, wave.samples[start : start + len(cut.samples)])


def test_a_cut_of_what_starts_and_ends_with_speech_has_zeros_there():
    samples = hum(0.5, seed=1)
    speech = found(samples)
    assert -320 <= speech.start < 0
    cut = speech.cut(Waveform(samples, RATE)).samples
    assert len(cut) == len(speech.marks)
    assert np.array_equal(cut[-speech.start : -speech.start + len(samples)], samples)
    assert not cut[: -speech.start].any()


def test_frames_are_judged_by_their_centre():
    speech = found(WORDS)
    frames = speech.at(5.0, 1 + len(speech.marks) // 80)
    assert frames[0]
    assert frames.mean() == pytest.approx(speech.marks.mean(), abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.eye(1, RATE, RATE // 2)[0]], ids=["silence", "click"])
def test_no_speech_is_said_in_words(samples):
    assert not len(found(samples).marks)
    with pytest.raises(ItemError, match=r"a\.wav: no speech is found: no 40 ms stand out of it; listen to the file"):
        BY_LEVEL.require(Waveform(samples.astype(np.float32), RATE), "a.wav")
