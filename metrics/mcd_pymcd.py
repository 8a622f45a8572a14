"""MCD as the package pymcd 0.2.1 computes it (Amphion and others build on it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.metrics.base import Measure, Statistics
from vceval.metrics.dtw import fastdtw
from vceval.metrics.mcd import path_distortion
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import world
from vceval.signal.audio import Waveform

__all__ = ["PymcdMCD"]

#: pymcd's constants; it offers no way to change them.
RATE, FFT_SIZE, ORDER, ALPHA, FLOOR, FRAME_MS = 22_050, 512, 13, 0.65, 1e-8, 5.0


#: Modes of the tool, as signatures put them.
_MODES: Mapping[str, str] = {
    "dtw": "dtw:fastdtw-r1", "dtw_sl": "dtw_sl:fastdtw-r1:times-length-ratio", "plain": "plain:zero-padded",
}  # fmt: skip


@dataclass(frozen=True)
class PymcdMCD(ParallelMetric):
    """``MCD_mode="dtw"``: approximate dynamic time warping (fastdtw, radius 1).

    The WORLD envelope, which is power, is squared once more and raised by 1e-8 before the logarithm; c0, the
    loudness, is left out of the alignment but counted in the distance; FFT size 512 treats voices below 130 Hz
    as unvoiced. All of that is kept here, so that values can be set beside published ones. The value depends on
    the recording level.
    """

    #: The tool's ``MCD_mode``: ``dtw``, ``dtw_sl`` or ``plain``.
    mode: ClassVar[str] = "dtw"
    name: ClassVar[str] = "mcd:pymcd"
    title: ClassVar[str] = "Mel-cepstral distortion as pymcd computes it (dtw)"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:pymcd", "MCD (pymcd)", "dB", "lower"),)
    source: ClassVar[str] = "pymcd 0.2.1, https://github.com/chenqi008/pymcd"
    choices: ClassVar[str] = (
        "MCD|tool:pymcd-0.2.1|mode:{0.signed_mode}|sp:world-power-squared+1e-8|order:13|alpha:0.65|sr:22050|fft:512"
        "|frame:5ms|c0:distance-only"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "f0": "dio+stonemask:71-800Hz",
        "envelope": "cheaptrick:fft512:squared+1e-8",
        "level": "as-recorded",
        "constant": "10*sqrt(2)/ln(10)",
        "silence": "kept",
        "reference": "target-speaker-same-text",
    }

    @property
    def signed_mode(self) -> str:
        """The mode as signatures put it, with what it means."""
        return _MODES[self.mode]

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD of two recordings, aligned or not as the mode says."""
        if self.mode == "plain":
            return self._frame_by_frame(reference, test)
        expected, found = cepstra(reference), cepstra(test)
        _, path = fastdtw(expected[:, 1:], found[:, 1:])
        value = path_distortion(expected, found, path)
        if self.mode == "dtw_sl":
            value *= max(len(expected), len(found)) / min(len(expected), len(found))
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (value, 1.0)}, details)

    def _frame_by_frame(self, reference: Recording, test: Recording) -> Statistics:
        lengths = [len(resample_by_ratio(recording.wave, RATE).samples) for recording in (reference, test)]
        expected, found = (
            cepstra(recording, None if length == max(lengths) else max(lengths))
            for recording, length in zip((reference, test), lengths, strict=True)
        )
        value = path_distortion(expected, found)
        return Statistics({self.name: (value, 1.0)}, {"frames": len(found), "samples": lengths})


def cepstra(recording: Recording, samples: int | None = None) -> NDArray[np.float64]:
    """Mel-cepstra c0 to c13 (T, 14) by the rules of pymcd, zeros making the recording ``samples`` long if given."""

    def analyse(wave: Waveform) -> Mapping[str, Any]:
        wave = resample_by_ratio(wave, RATE)
        if samples is not None:
            wave = Waveform(np.pad(wave.samples, (0, samples - len(wave.samples))), RATE)
        power = world.world_analysis(wave, FRAME_MS, FFT_SIZE).envelope
        return {"cepstra": world.mel_cepstrum(power * power + FLOOR, ORDER, ALPHA)}

    result: NDArray[np.float64] = recording.analysis("pymcd", {"version": 1, "samples": samples}, analyse)["cepstra"]
    return result
