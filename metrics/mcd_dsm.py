"""MCD as DiscreteSpeechMetrics computes it, the rule of ESPnet's text-to-speech recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.dtw import fastdtw
from vceval.metrics.mcd import path_distortion
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import world
from vceval.signal.audio import Waveform

__all__ = ["DiscreteSpeechMetricsMCD"]

#: The tool's constants at 16 kHz.
RATE, FFT_SIZE, HOP, ORDER, ALPHA, FLOOR = 16_000, 1024, 256, 23, 0.42, 1e-6


@dataclass(frozen=True)
class DiscreteSpeechMetricsMCD(ParallelMetric):
    """Mel-cepstra fitted to Hamming windows by SPTK's Newton iteration, aligned by fastdtw; c0 counted.

    The recording level matters, through c0 and through the 1e-6 that is added to the periodogram.
    """

    name: ClassVar[str] = "mcd:dsm"
    title: ClassVar[str] = "Mel-cepstral distortion as DiscreteSpeechMetrics computes it"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:dsm", "MCD (DSM)", "dB", "lower"),)
    source: ClassVar[str] = (
        "Saeki et al., SpeechBERTScore: reference-aware automatic evaluation of speech generation leveraging NLP "
        "evaluation metrics, Interspeech 2024"
    )
    choices: ClassVar[str] = (
        "MCD|tool:discrete-speech-metrics|sp:stft-mcep+1e-6|order:23|alpha:0.42|sr:16000|fft:1024|hop:256|c0:yes"
        "|dtw:fastdtw-r1"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "window": "hamming:unit-power",
        "level": "as-recorded",
        "constant": "10*sqrt(2)/ln(10)",
        "silence": "kept",
        "newton": "2-30-iterations:0.001",
        "reference": "target-speaker-same-text",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "soxr")

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD of all frames; fastdtw is given the test recording first, as the tool does."""
        expected, found = _cepstra(reference), _cepstra(test)
        _, path = fastdtw(found, expected)
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (path_distortion(found, expected, path), 1.0)}, details)


def _cepstra(recording: Recording) -> NDArray[np.float64]:
    def analyse(wave: Waveform) -> Mapping[str, Any]:
        samples = resample_by_ratio(wave, RATE).samples.astype(np.float64)
        if len(samples) < FFT_SIZE:
            raise ItemError(f"{recording.name}: {len(samples)} samples at {RATE} Hz; one frame takes {FFT_SIZE}")
        window = np.hamming(FFT_SIZE)
        window /= np.sqrt(np.sum(window * window))
        frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SIZE)[::HOP] * window
        spectrum = np.fft.rfft(frames, axis=1)
        power = spectrum.real**2 + spectrum.imag**2 + FLOOR
        return {"cepstra": world.mel_cepstrum_newton(power, ORDER, ALPHA)}

    result: NDArray[np.float64] = recording.analysis("dsm", {"version": 1}, analyse)["cepstra"]
    return result
