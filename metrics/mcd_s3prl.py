"""MCD as s3prl-vc and VERSA compute it, and the analysis that their F0 figures share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.fastdtw import fastdtw
from vceval.metrics.mcd import path_distortion
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import spectral, world
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["S3prlFrames", "S3prlMCD", "S3prlMCD24k", "VersaMCD", "s3prl_frames"]

#: Constants of both tools; alpha is the same at every rate.
ORDER, ALPHA, FFT_SIZE, FRAME_MS, CUTOFF, TAPS = 39, 0.466, 1024, 5.0, 70.0, 255
#: Frames this far below the mean power are dropped before alignment.
POWER_DB = -20.0
#: Ends this many dB below the loudest frame do not count for the length.
TRIM_DB = 60.0
#: VERSA without alignment refuses recordings whose lengths differ more: |m - n| / (m + n) in frames.
MISMATCH = 0.1

_FACTS: Mapping[str, str] = {
    **COMMON_FACTS,
    "envelope": "cheaptrick:fft1024",
    "level": "times-32767",
    "filter": "low-cut-70Hz:fir255",
    "constant": "10*sqrt(2)/ln(10)",
    "reference": "target-speaker-same-text",
}


class S3prlFrames(NamedTuple):
    """Analysis of one recording: F0 in Hz (T,), cepstra (T, 40), normalised power in dB (T,), length in seconds.

    The length is that of the recording without what lies 60 dB below its loudest frame at both ends.
    """

    f0: NDArray[np.float64]
    cepstra: NDArray[np.float64]
    power_db: NDArray[np.float64]
    trimmed_s: float


@dataclass(frozen=True)
class S3prlMCD(ParallelMetric):
    """s3prl-vc's MCD, equal to VERSA's with ``dtw=True``: silent frames dropped, fastdtw, c0 counted.

    ``f0_min`` and ``f0_max`` bound Harvest; s3prl-vc sets them per target speaker, VERSA takes 40 to 800 Hz. Its
    evaluation reads files at their own rate; here both are brought to ``sample_rate``. The all-pass constant does
    not follow the rate. c0 makes the value depend on the recording level.
    """

    sample_rate: int = 16_000
    f0_min: float = 40.0
    f0_max: float = 800.0

    name: ClassVar[str] = "mcd:s3prl"
    title: ClassVar[str] = "Mel-cepstral distortion as s3prl-vc and VERSA (dtw) compute it"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:s3prl", "MCD (s3prl)", "dB", "lower"),)
    source: ClassVar[str] = (
        "Huang et al., S3PRL-VC: open-source voice conversion framework with self-supervised speech "
        "representations, ICASSP 2022"
    )
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "frames-below-minus-20dB-of-mean-power-dropped"}
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "pyworld", "soxr")

    def signature(self) -> str:
        """Name every choice that changes the value."""
        return (
            f"MCD|tool:s3prl-vc|sp:world-power|f0:harvest:{self.f0_min:g}-{self.f0_max:g}Hz|order:39|alpha:0.466"
            f"|sr:{self.sample_rate}|frame:5ms|c0:yes|silence:-20dB|dtw:fastdtw-r1|v:{self.version}"
        )

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD of the loud frames of two recordings."""
        expected, found = (
            frames.cepstra[frames.power_db > POWER_DB]
            for frames in (
                s3prl_frames(recording, self.sample_rate, self.f0_min, self.f0_max) for recording in (reference, test)
            )
        )
        _, path = fastdtw(expected, found)
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (path_distortion(expected, found, path), 1.0)}, details)


@dataclass(frozen=True)
class S3prlMCD24k(S3prlMCD):
    """The same at 24 kHz, the rate of VCC2020. Files that hold nothing above 8 kHz get very large values."""

    sample_rate: int = 24_000

    name: ClassVar[str] = "mcd:s3prl-24k"
    title: ClassVar[str] = "Mel-cepstral distortion as s3prl-vc and VERSA (dtw) compute it, 24 kHz"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:s3prl-24k", "MCD (s3prl 24k)", "dB", "lower"),)


@dataclass(frozen=True)
class VersaMCD(ParallelMetric):
    """VERSA's MCD as it ships (``dtw=False``): frame by frame, the longer recording cut; silence kept.

    Pairs whose lengths differ by 10 % or more fail, as they do in VERSA; they are counted.
    """

    sample_rate: int = 16_000
    f0_min: float = 40.0
    f0_max: float = 800.0

    name: ClassVar[str] = "mcd:versa"
    title: ClassVar[str] = "Mel-cepstral distortion as VERSA computes it by default (no alignment)"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:versa", "MCD (VERSA)", "dB", "lower"),)
    source: ClassVar[str] = "Shi et al., VERSA: a versatile evaluation toolkit for speech, audio, and music, NAACL 2025"
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "kept", "missing": "length-mismatch-over-10%-fails"}
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "pyworld", "soxr")

    def signature(self) -> str:
        """Name every choice that changes the value."""
        return (
            f"MCD|tool:versa|sp:world-power|f0:harvest:{self.f0_min:g}-{self.f0_max:g}Hz|order:39|alpha:0.466"
            f"|sr:{self.sample_rate}|frame:5ms|c0:yes|align:cut-to-shorter:max-mismatch-10%|v:{self.version}"
        )

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD frame by frame.

        Raises:
            ItemError: the lengths differ by 10 % or more of their sum.
        """
        expected, found = (
            s3prl_frames(recording, self.sample_rate, self.f0_min, self.f0_max).cepstra
            for recording in (reference, test)
        )
        mismatch = abs(len(expected) - len(found)) / (len(expected) + len(found))
        if mismatch >= MISMATCH:
            raise ItemError(
                f"{test.name}: {len(found)} frames against {len(expected)} of {reference.name}, a mismatch of "
                f"{mismatch:.3f}; VERSA refuses {MISMATCH} and more: use mcd:s3prl, which aligns the two"
            )
        common = min(len(expected), len(found))
        details = {"path": common, "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (path_distortion(expected[:common], found[:common]), 1.0)}, details)


def s3prl_frames(recording: Recording, sample_rate: int, f0_min: float, f0_max: float) -> S3prlFrames:
    """Analyse a recording as both tools do: low-cut filter, Harvest, CheapTrick, mel-cepstra c0 to c39."""

    def analyse(wave: Waveform) -> Mapping[str, Any]:
        import numpy as np
        from scipy.signal import firwin, lfilter

        samples = resample_by_ratio(wave, sample_rate).samples
        scaled = (samples * np.float32(32767)).astype(np.float64)
        filtered = np.ascontiguousarray(
            lfilter(firwin(TAPS, CUTOFF / (sample_rate // 2), pass_zero=False), 1.0, scaled), dtype=np.float64
        )
        pyworld = world.pyworld_module()
        f0, times = pyworld.harvest(filtered, sample_rate, f0_floor=f0_min, f0_ceil=f0_max, frame_period=FRAME_MS)
        power = pyworld.cheaptrick(filtered, f0, times, sample_rate, fft_size=FFT_SIZE)
        total = (power[:, 0] + power[:, -1] + 2.0 * power[:, 1:-1].sum(axis=1)) / FFT_SIZE
        start, end = spectral.trim(samples, TRIM_DB, padding="zeros")
        return {
            "f0": f0,
            "cepstra": world.mel_cepstrum(power, ORDER, ALPHA),
            "power_db": 10.0 * np.log10(total / total.mean()),
            "trimmed": end - start,
        }

    key = {"version": 1, "rate": sample_rate, "f0": [f0_min, f0_max]}
    found = recording.analysis("s3prl", key, analyse)
    return S3prlFrames(found["f0"], found["cepstra"], found["power_db"], found["trimmed"] / sample_rate)
