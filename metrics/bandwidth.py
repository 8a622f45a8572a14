"""Bandwidth of converted speech: up to which frequency there is sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL

__all__ = ["Bandwidth", "bandwidth"]

#: Width of the bands whose levels are compared, in Hz.
BAND_HZ = 250.0
#: Frames this many dB below the loudest one hold no speech.
SPEECH_DB = 40.0


@dataclass(frozen=True)
class Bandwidth(Metric):
    """Measures how far up the spectrum of a recording reaches, at the recording's own sample rate.

    The other metrics analyse what lies below 8 kHz. A model that lost its treble, or audio that once went through a
    low-pass filter, scores as before with them; here it shows.

    The recording is cut to what lies between its first and its last speech, so that padding moves no frame. The power
    spectra of the frames with speech (32 ms, half overlapping, at most 40 dB below the loudest frame) are averaged
    and added up in bands of 250 Hz. The bandwidth is the upper edge of the highest band that lies within
    ``floor_db`` of the strongest one. It says how much treble there is, not how good it is: noise counts, too.
    """

    floor_db: float = 60.0

    name: ClassVar[str] = "bandwidth"
    title: ClassVar[str] = "Bandwidth"
    version: ClassVar[str] = "1.1"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("bandwidth", "Bandw.", "kHz", "higher", decimals=1, secondary=True, resolution=BAND_HZ / 1000),
    )
    source: ClassVar[str] = "vceval"
    choices: ClassVar[str] = f"BANDWIDTH|bands:{BAND_HZ:g}Hz|floor:{{0.floor_db:g}}dB|speech:{BY_LEVEL}"
    facts: ClassVar[Mapping[str, str]] = {
        "frames": "32ms Hann, hop 16ms",
        "loud": f"{SPEECH_DB:g} dB below the loudest frame",
        "channels": "equal or chosen",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "soundfile", "soxr")

    def statistics(self, conversion: Conversion) -> Statistics:
        """Measure one conversion.

        Raises:
            ItemError: it can't be read, or is silent.
        """
        found = self.workspace.cache.get(
            "bandwidth",
            conversion.path,
            {"signature": self.signature()},
            lambda: {"khz": bandwidth(audio.shared(conversion.path), self.floor_db) / 1000.0},
        )
        return Statistics({"bandwidth": (float(found["khz"]), 1.0)})


def bandwidth(wave: Waveform, floor_db: float = 60.0) -> float:
    """Find the upper edge, in Hz, of the highest band of 250 Hz within ``floor_db`` of the strongest one.

    Args:
        wave: of any sample rate.
        floor_db: how far below the strongest band there still is something.

    Raises:
        ItemError: it is silent.
    """
    speech = BY_LEVEL.find(wave)
    powers = _spectra(speech.cut(wave) if len(speech.marks) else wave)
    levels = powers.sum(axis=1)
    if not levels.max() > 0.0:
        raise ItemError("a silent recording has no bandwidth")
    spectrum = powers[levels > levels.max() * 10.0 ** (-SPEECH_DB / 10.0)].mean(axis=0)
    frequencies = np.arange(len(spectrum)) * (wave.sample_rate / 2.0 / (len(spectrum) - 1))
    count = round(wave.sample_rate / 2.0 / BAND_HZ)
    bands = np.bincount(np.minimum(frequencies // BAND_HZ, count - 1).astype(int), spectrum, count)
    reached = np.flatnonzero(bands > bands.max() * 10.0 ** (-floor_db / 10.0))
    return float((reached[-1] + 1) * BAND_HZ)


def _spectra(wave: Waveform) -> NDArray[np.float64]:
    """Power spectra of all frames: (frames, bins)."""
    size = max(2, round(0.032 * wave.sample_rate) // 2 * 2)
    samples = np.pad(wave.samples.astype(np.float64), (0, max(0, size - len(wave.samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    window = np.hanning(size + 1)[:-1]
    powers: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
    return powers
