"""MCD as the package pymcd 0.2.1 computes it (Amphion and others build on it)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.metrics.base import Measure, Statistics
from vceval.metrics.fastdtw import fastdtw
from vceval.metrics.mcd import path_distortion
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import world
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PymcdAligned", "PymcdPlain", "PymcdScaled"]

#: pymcd's constants; it offers no way to change them.
RATE, FFT_SIZE, ORDER, ALPHA, FLOOR, FRAME_MS = 22_050, 512, 13, 0.65, 1e-8, 5.0


class _Pymcd(ParallelMetric):
    """What its three modes share.

    The WORLD envelope, which is power, is squared once more and raised by 1e-8 before the logarithm; c0, the
    loudness, is left out of the alignment but counted in the distance; FFT size 512 treats voices below 130 Hz
    as unvoiced. All of that is kept here, so that values can be set beside published ones. The value depends on
    the recording level.
    """

    mode: ClassVar[str]
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    source: ClassVar[str] = "pymcd 0.2.1, https://github.com/chenqi008/pymcd"
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "f0": "dio+stonemask:71-800Hz",
        "envelope": "cheaptrick:fft512:squared+1e-8",
        "level": "as-recorded",
        "constant": "10*sqrt(2)/ln(10)",
        "silence": "kept",
        "reference": "target-speaker-same-text",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "pyworld", "soxr")

    def signature(self) -> str:
        """Name every choice that changes the value."""
        return (
            f"MCD|tool:pymcd-0.2.1|mode:{self.mode}|sp:world-power-squared+1e-8|order:13|alpha:0.65|sr:22050"
            f"|fft:512|frame:5ms|c0:distance-only|v:{self.version}"
        )

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """Compute the value of one mode."""
        value, details = self._value(reference, test)
        return Statistics({self.name: (value, 1.0)}, details)

    @abstractmethod
    def _value(self, reference: Recording, test: Recording) -> tuple[float, Mapping[str, Any]]: ...


@dataclass(frozen=True)
class PymcdAligned(_Pymcd):
    """``MCD_mode="dtw"``: approximate dynamic time warping (fastdtw, radius 1)."""

    mode: ClassVar[str] = "dtw:fastdtw-r1"
    name: ClassVar[str] = "mcd:pymcd"
    title: ClassVar[str] = "Mel-cepstral distortion as pymcd computes it (dtw)"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:pymcd", "MCD (pymcd)", "dB", "lower"),)

    def _value(self, reference: Recording, test: Recording) -> tuple[float, Mapping[str, Any]]:
        expected, found = cepstra(reference), cepstra(test)
        _, path = fastdtw(expected[:, 1:], found[:, 1:])
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected)}
        return path_distortion(expected, found, path), details


@dataclass(frozen=True)
class PymcdScaled(PymcdAligned):
    """``MCD_mode="dtw_sl"``: the same, times the longer over the shorter length in frames."""

    mode: ClassVar[str] = "dtw_sl:fastdtw-r1:times-length-ratio"
    name: ClassVar[str] = "mcd:pymcd-sl"
    title: ClassVar[str] = "Mel-cepstral distortion as pymcd computes it (dtw_sl)"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:pymcd-sl", "MCD (pymcd sl)", "dB", "lower"),)

    def _value(self, reference: Recording, test: Recording) -> tuple[float, Mapping[str, Any]]:
        value, details = super()._value(reference, test)
        lengths = details["frames"], details["reference_frames"]
        return value * (max(lengths) / min(lengths)), details


@dataclass(frozen=True)
class PymcdPlain(_Pymcd):
    """``MCD_mode="plain"``: no alignment; zeros are put after the shorter recording."""

    mode: ClassVar[str] = "plain:zero-padded"
    name: ClassVar[str] = "mcd:pymcd-plain"
    title: ClassVar[str] = "Mel-cepstral distortion as pymcd computes it (plain)"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:pymcd-plain", "MCD (pymcd plain)", "dB", "lower"),)

    def _value(self, reference: Recording, test: Recording) -> tuple[float, Mapping[str, Any]]:
        lengths = [len(resample_by_ratio(recording.wave, RATE).samples) for recording in (reference, test)]
        expected, found = (
            cepstra(recording, None if length == max(lengths) else max(lengths))
            for recording, length in zip((reference, test), lengths, strict=True)
        )
        return path_distortion(expected, found), {"frames": len(found), "samples": lengths}


def cepstra(recording: Recording, samples: int | None = None) -> NDArray[np.float64]:
    """Mel-cepstra c0 to c13 (T, 14) by the rules of pymcd, zeros making the recording ``samples`` long if given."""
    import numpy as np

    def analyse(wave: Waveform) -> Mapping[str, Any]:
        wave = resample_by_ratio(wave, RATE)
        if samples is not None:
            wave = Waveform(np.pad(wave.samples, (0, samples - len(wave.samples))), RATE)
        power = world.world_analysis(wave, FRAME_MS, FFT_SIZE).envelope
        return {"cepstra": world.mel_cepstrum(power * power + FLOOR, ORDER, ALPHA)}

    result: NDArray[np.float64] = recording.analysis("pymcd", {"version": 1, "samples": samples}, analyse)["cepstra"]
    return result
