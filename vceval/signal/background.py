"""What stands behind the speech of a recording: its noise floor, and tones that never stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vceval.signal import audio
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Noise", "Tone", "noise_floor", "steady_tones"]

#: Noise is measured between these frequencies in bands of this width; below, rooms and traffic rumble.
LOWEST, HIGHEST, BAND = 1_000.0, 7_500.0, 250.0
#: Share of the frames of 32 ms that are quieter in a band: what the others hold there, in percent.
FLOOR_SHARE = 2.0
#: What lies within so many dB of the floor is noise, if it lasts.
NEAR_FLOOR_DB = 6.0
#: Below this frequency a line may be mains hum or a voice; in Hz.
LOWEST_TONE = 500.0
#: Share of the frames of 64 ms in which a steady tone may be weaker than said, in percent.
TONE_SHARE = 10.0
#: A tone has no more than these many bins on either side; its neighbours are those beyond, up to the last.
_NEAR, _FAR = 3, 12
#: Tones that are looked at closely.
_CANDIDATES = 12
_TINY = 1e-12


class Noise(NamedTuple):
    """A noise floor.

    level: in dB of the speech. seconds: how long nothing but noise is heard in a band, on average over the bands by
    their noise. Words that leave no pause show a floor of their own for some frames; noise is there for longer.
    """

    level: float
    seconds: float


class Tone(NamedTuple):
    """A line of the spectrum that stands throughout.

    frequency: in Hz. level: its power in 90 % of the frames or more, in dB of the speech. prominence: how far it stands
    above its neighbours, in all frames and in the quietest tenth, whichever is less, in dB. quiet: power of all else in
    that tenth, in dB of the speech.
    """

    frequency: float
    level: float
    prominence: float
    quiet: float


def noise_floor(wave: Waveform, level: float) -> Noise:
    """Estimate the noise between 1 and 7.5 kHz that is never absent.

    In each band the quietest frames count, whichever these are: speech leaves other bands free at other times, so
    that noise is seen between words, and under them. White noise comes out some 4 dB below its RMS.

    Args:
        wave: a recording from its first to its last speech.
        level: RMS of the speech.

    Source: Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE
    Trans. Speech and Audio Processing 9, 2001: the minimum per band, here a low percentile of the whole recording.
    """
    import numpy as np

    power, frequencies = _spectra(audio.resample(wave, 16_000), 0.032, 2)
    inside = (frequencies > LOWEST) & (frequencies < HIGHEST)
    edges = np.flatnonzero(np.diff(frequencies[inside] // BAND, prepend=-1.0))
    bands = np.add.reduceat(power[:, inside], edges, axis=1)
    # A tone in one band, or between two, is no noise
    held = np.pad(np.percentile(bands, FLOOR_SHARE, axis=0), 2, mode="edge")
    floor = np.median(np.lib.stride_tricks.sliding_window_view(held, 5), axis=1)
    total = float(floor.sum())
    near = np.sum(bands <= floor * 10.0 ** (NEAR_FLOOR_DB / 10.0), axis=0) * (0.032 / 2)
    return Noise(float(10.0 * np.log10(total / level**2 + _TINY)), float(near @ floor / max(total, _TINY**2)))


def steady_tones(wave: Waveform, level: float) -> list[Tone]:
    """Find lines above 500 Hz that stand through a recording, its pauses too; the most prominent first.

    Args:
        wave: a recording from its first to its last speech, at its own rate.
        level: RMS of the speech.
    """
    import numpy as np

    power, frequencies = _spectra(wave, 0.064, 4)
    offsets = np.concatenate([np.arange(-_FAR, -_NEAR), np.arange(_NEAR + 1, _FAR + 1)])
    around = np.clip(np.arange(len(frequencies))[:, None] + offsets, 0, len(frequencies) - 1)

    def held(frames: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        decibel: NDArray[np.float64] = 10.0 * np.log10(np.percentile(frames, share, axis=0) / level**2 + _TINY)
        return decibel

    throughout = held(power, TONE_SHARE)
    above = throughout - np.median(throughout[around], axis=1)
    peaks = np.flatnonzero((above[1:-1] > above[:-2]) & (above[1:-1] >= above[2:]) & (frequencies[1:-1] > LOWEST_TONE))
    total, tones = power.sum(axis=1), []
    for place in sorted(peaks + 1, key=lambda at: -above[at])[:_CANDIDATES]:
        line = power[:, max(place - _NEAR, 0) : place + _NEAR + 1].sum(axis=1)
        rest = np.maximum(total - line, 0.0)
        quiet = np.argsort(rest, kind="stable")[: max(len(rest) // 10, 1)]
        decibel = [
            float(10.0 * np.log10(value / level**2 + _TINY))
            for value in (np.percentile(line, TONE_SHARE), rest[quiet].mean())
        ]
        bins = np.append(around[place], place)
        *others, own = held(power[np.ix_(quiet, bins)], 2 * TONE_SHARE)
        prominence = min(float(above[place]), float(own - np.median(others)))
        tones.append(Tone(float(frequencies[place]), decibel[0], prominence, decibel[1]))
    return tones


def _spectra(wave: Waveform, seconds: float, overlap: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power spectra of Hann frames (frames, bins) whose sum over bins is the mean square, and the bins in Hz."""
    import numpy as np

    size = int(seconds * wave.sample_rate) // overlap * overlap
    samples = np.pad(wave.samples.astype(np.float64), (0, max(0, size - len(wave.samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // overlap]
    window = np.hanning(size + 1)[:-1]
    power: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(frames * window, axis=1)))
    power *= 2.0 / (size * np.sum(window**2))
    return power, np.arange(power.shape[1], dtype=np.float64) * (wave.sample_rate / size)
