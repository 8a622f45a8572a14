"""Mel-cepstral distance and alignment penalty as the package mel-cepstral-distance 0.0.4 computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.dtw import fastdtw
from vceval.metrics.parallel import ParallelMetric, Recording
from vceval.signal.audio import Waveform

__all__ = ["MelCepstralDistance"]

#: The tool's defaults.
WINDOW_MS, HOP_MS, BANDS, RADIUS = 32, 8, 20, 10
#: Cosine terms 2 to 16 are compared: the tool drops its first term, which is already not the loudness.
FIRST, LAST = 2, 16


@dataclass(frozen=True)
class MelCepstralDistance(ParallelMetric):
    """Distance of cosine terms 2 to 16 of log10 mel energies, without the factor to decibels.

    The two recordings are brought to the lower of their rates by an FFT resampler, peak-normalised, cut into
    32 ms Hann windows every 8 ms, and aligned on the mel spectra by fastdtw with radius 10. The second measure
    is 2 - (m + n) / l for m and n frames aligned along l pairs: 0 where frames match one to one.
    """

    name: ClassVar[str] = "mcd:mel-cepstral-distance"
    title: ClassVar[str] = "Mel-cepstral distance as the package of that name computes it"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("mcd:mel-cepstral-distance", "MCD (mel-cepstral-distance)", "", "lower"),
        Measure("penalty:mel-cepstral-distance", "Penalty (mel-cepstral-distance)", "", "lower", decimals=3),
    )
    source: ClassVar[str] = "mel-cepstral-distance 0.0.4, https://github.com/jasminsternkopf/mel_cepstral_distance"
    choices: ClassVar[str] = (
        "MCD|tool:mel-cepstral-distance-0.0.4|sp:stft-mel20-log10|coefficients:2-16|sr:lower-of-both|frame:32ms|hop:8ms"
        "|dtw:fastdtw-r10-on-mel"
    )
    facts: ClassVar[Mapping[str, str]] = {
        "channels": "equal or chosen",
        "resampler": "fft",
        "aggregate": "mean-over-pairs",
        "window": "hann-symmetric:32ms",
        "level": "peak-normalised",
        "constant": "none",
        "silence": "kept",
        "reference": "target-speaker-same-text",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """Distance and penalty of two recordings."""
        rate = min(reference.wave.sample_rate, test.wave.sample_rate)
        expected, found = _mel(reference, rate), _mel(test, rate)
        _, path = fastdtw(expected, found, RADIUS)
        terms = np.cos(np.outer(np.arange(FIRST, LAST + 1), np.arange(BANDS) + 0.5) * np.pi / BANDS)
        gaps = (expected[path[:, 0]] - found[path[:, 1]]) @ terms.T
        value = float(np.sqrt((gaps * gaps).sum(axis=1)).mean())
        penalty = 2.0 - (len(expected) + len(found)) / len(path)
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected), "rate": rate}
        return Statistics({self.measures[0].name: (value, 1.0), self.measures[1].name: (penalty, 1.0)}, details)


def _mel(recording: Recording, rate: int) -> NDArray[np.float64]:
    """log10 mel energies (T, 20) of the recording at ``rate``."""

    def analyse(wave: Waveform) -> Mapping[str, Any]:
        from scipy.signal import resample

        samples: NDArray[Any] = wave.samples
        whole = samples * np.float32(32768)
        if np.array_equal(whole, np.rint(whole)):
            # The tool reads 16-bit files as integers and goes on in double precision. In them the lowest value
            # has no absolute value, so it does not count for the peak.
            samples = np.where(whole == -32768, 0, whole)
            peak = np.abs(samples).max()
            samples = whole.astype(np.float64)
        else:
            peak = None
        if wave.sample_rate != rate:
            samples, peak = resample(samples, int(len(samples) * rate / wave.sample_rate)), None
        samples = samples / (np.abs(samples).max() if peak is None else peak)
        size, hop = int(WINDOW_MS / 1000 * rate), int(HOP_MS / 1000 * rate)
        if len(samples) <= size:
            raise ItemError(f"{recording.name}: {len(samples)} samples at {rate} Hz; more than {size} are needed")
        frames = np.lib.stride_tricks.sliding_window_view(samples, size)[: len(samples) - size : hop]
        energy = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2 @ _filters(rate, size).T
        return {"mel": np.log10(energy + np.finfo(np.float64).eps)}

    result: NDArray[np.float64] = recording.analysis("mel-cepstral-distance", {"version": 1, "rate": rate}, analyse)[
        "mel"
    ]
    return result


def _filters(rate: int, size: int) -> NDArray[np.float64]:
    """Triangles of height 1 (20, size // 2 + 1) between whole FFT bins, evenly spaced on the O'Shaughnessy scale."""
    top = 2595 * np.log10(1 + (rate // 2) / 700.0)
    edges = [700 * (10 ** (mel / 2595) - 1) for mel in np.linspace(0.0, top, BANDS + 2)]
    bins = np.floor((size + 1) * np.array(edges) / rate).astype(int)
    filters = np.zeros((BANDS, size // 2 + 1))
    for band, (left, centre, right) in enumerate(zip(bins[:-2], bins[1:-1], bins[2:], strict=True)):
        filters[band, left:centre] = (np.arange(left, centre) - left) / (centre - left)
        filters[band, centre:right] = (right - np.arange(centre, right)) / (right - centre)
    return filters
