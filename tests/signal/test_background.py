"""Noise floors of known level, and tones that stand through speech and pauses."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import hum

from vceval.signal.audio import Waveform
from vceval.signal.background import noise_floor, steady_tones
from vceval.signal.speech import BY_LEVEL

RATE = 16_000
WORDS = np.concatenate([part for seed in range(5) for part in (hum(0.5, seed=seed), np.zeros(RATE // 4))])
LEVEL = BY_LEVEL.find(Waveform(WORDS.astype(np.float32), RATE)).level
TIME = np.arange(len(WORDS)) / RATE


def wave(samples: np.ndarray) -> Waveform:
    return Waveform(samples.astype(np.float32), RATE)


@pytest.mark.parametrize("decibel", [-50.0, -35.0, -20.0])
def test_noise_under_and_between_words_is_measured(decibel):
    noise = LEVEL * 10 ** (decibel / 20) * np.random.default_rng(0).standard_normal(len(WORDS))
    found, seconds = noise_floor(wave(WORDS + noise), LEVEL)
    inside = 10 * np.log10(6.5 / 8)  # what of white noise lies between 1 and 7.5 kHz
    assert found == pytest.approx(decibel + inside, abs=5.0)
    assert found < decibel + inside  # the quietest frames count
    assert seconds > 1.0  # what lies between the words, and more


def test_words_without_a_pause_show_no_noise_for_long():
    weak = 0.02 * LEVEL * np.random.default_rng(0).standard_normal(RATE // 2)
    loud = weak * np.geomspace(1.0, 300.0, len(weak))
    dying = np.concatenate([loud, loud[::-1]])
    assert noise_floor(wave(dying), float(np.sqrt(np.mean(dying**2)))).seconds < 0.2
    assert noise_floor(wave(np.concatenate([dying, weak])), LEVEL).seconds > 0.3


@pytest.mark.parametrize("frequency", [800.0, 3_010.0, 6_500.0])
def test_a_whine_is_found(frequency):
    noise = LEVEL * 10 ** (-55 / 20) * np.random.default_rng(0).standard_normal(len(WORDS))
    tone = LEVEL * 10 ** (-35 / 20) * np.sqrt(2) * np.sin(2 * np.pi * frequency * TIME)
    best = steady_tones(wave(WORDS + noise + tone), LEVEL)[0]
    assert best.frequency == pytest.approx(frequency, abs=16)
    assert best.level == pytest.approx(-35, abs=2)
    assert best.prominence > 20
    assert best.quiet < -40
    others = steady_tones(wave(WORDS + noise), LEVEL)
    assert all(other.prominence < 15 for other in others)


def test_a_tone_that_comes_and_goes_is_not_steady():
    tone = LEVEL * 0.1 * np.sin(2 * np.pi * 3_010 * TIME) * (TIME % 1.0 < 0.5)
    noise = LEVEL * 10 ** (-50 / 20) * np.random.default_rng(0).standard_normal(len(WORDS))
    assert all(other.prominence < 15 for other in steady_tones(wave(WORDS + noise + tone), LEVEL))
