"""MCD and F0 as s3prl-vc and VERSA compute them, from one analysis of each recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.dtw import fastdtw
from vceval.metrics.f0 import correlation
from vceval.metrics.mcd import path_distortion
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import spectral, world
from vceval.signal.audio import Waveform

__all__ = ["S3prlF0", "S3prlFrames", "S3prlMCD", "S3prlMetric", "VersaMCD"]

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
class S3prlMetric(ParallelMetric):
    """A metric of WORLD's analysis as both tools make it.

    ``f0_min`` and ``f0_max`` bound Harvest; s3prl-vc sets them per target speaker, VERSA takes 40 to 800 Hz.
    """

    sample_rate: int = 16_000
    f0_min: float = 40.0
    f0_max: float = 800.0

    source: ClassVar[str] = (
        "Huang et al., S3PRL-VC: open-source voice conversion framework with self-supervised speech "
        "representations, ICASSP 2022"
    )
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "pyworld", "soxr")

    def frames(self, recording: Recording) -> S3prlFrames:
        """Analyse a recording as both tools do: low-cut filter, Harvest, CheapTrick, mel-cepstra c0 to c39."""

        def analyse(wave: Waveform) -> Mapping[str, Any]:
            from scipy.signal import firwin, lfilter

            samples = resample_by_ratio(wave, self.sample_rate).samples
            scaled = (samples * np.float32(32767)).astype(np.float64)
            filtered = np.ascontiguousarray(
                lfilter(firwin(TAPS, CUTOFF / (self.sample_rate // 2), pass_zero=False), 1.0, scaled), dtype=np.float64
            )
            pyworld = world.pyworld_module()
            f0, times = pyworld.harvest(
                filtered, self.sample_rate, f0_floor=self.f0_min, f0_ceil=self.f0_max, frame_period=FRAME_MS
            )
            power = world.world_envelope(filtered, f0, times, self.sample_rate, FFT_SIZE)
            start, end = spectral.trim(samples, TRIM_DB, padding="zeros")
            total = (power[:, 0] + power[:, -1] + 2.0 * power[:, 1:-1].sum(axis=1)) / FFT_SIZE
            return {
                "f0": f0,
                "cepstra": world.mel_cepstrum(power, ORDER, ALPHA),
                "power_db": 10.0 * np.log10(total / total.mean()),
                "trimmed": end - start,
            }

        key = {"version": 1, "rate": self.sample_rate, "f0": [self.f0_min, self.f0_max]}
        found = recording.analysis("s3prl", key, analyse)
        return S3prlFrames(found["f0"], found["cepstra"], found["power_db"], found["trimmed"] / self.sample_rate)


@dataclass(frozen=True)
class S3prlMCD(S3prlMetric):
    """s3prl-vc's MCD, equal to VERSA's with ``dtw=True``: silent frames dropped, fastdtw, c0 counted.

    The tool reads files at their own rate; here both are brought to ``sample_rate``. The all-pass constant does not
    follow the rate. c0 makes the value depend on the recording level.
    """

    name: ClassVar[str] = "mcd:s3prl"
    title: ClassVar[str] = "Mel-cepstral distortion as s3prl-vc and VERSA (dtw) compute it"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:s3prl", "MCD (s3prl)", "dB", "lower"),)
    choices: ClassVar[str] = (
        "MCD|tool:s3prl-vc|sp:world-power|f0:harvest:{0.f0_min:g}-{0.f0_max:g}Hz|order:39|alpha:0.466|sr:{0.sample_rate}"
        "|frame:5ms|c0:yes|silence:-20dB|dtw:fastdtw-r1"
    )
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "frames-below-minus-20dB-of-mean-power-dropped"}

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD of the loud frames of two recordings."""
        expected, found = (
            frames.cepstra[frames.power_db > POWER_DB] for frames in (self.frames(reference), self.frames(test))
        )
        _, path = fastdtw(expected, found)
        details = {"path": len(path), "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (path_distortion(expected, found, path), 1.0)}, details)


@dataclass(frozen=True)
class VersaMCD(S3prlMCD):
    """VERSA's MCD as it ships (``dtw=False``): frame by frame, the longer recording cut; silence kept.

    Pairs whose lengths differ by 10 % or more fail, as they do in VERSA; they are counted.
    """

    name: ClassVar[str] = "mcd:versa"
    title: ClassVar[str] = "Mel-cepstral distortion as VERSA computes it by default (no alignment)"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd:versa", "MCD (VERSA)", "dB", "lower"),)
    source: ClassVar[str] = "Shi et al., VERSA: a versatile evaluation toolkit for speech, audio, and music, NAACL 2025"
    choices: ClassVar[str] = (
        "MCD|tool:versa|sp:world-power|f0:harvest:{0.f0_min:g}-{0.f0_max:g}Hz|order:39|alpha:0.466|sr:{0.sample_rate}"
        "|frame:5ms|c0:yes|align:cut-to-shorter:max-mismatch-10%"
    )
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "kept", "missing": "length-mismatch-over-10%-fails"}

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD frame by frame.

        Raises:
            ItemError: the lengths differ by 10 % or more of their sum.
        """
        expected, found = self.frames(reference).cepstra, self.frames(test).cepstra
        mismatch = abs(len(expected) - len(found)) / (len(expected) + len(found))
        if mismatch >= MISMATCH:
            raise ItemError(
                f"{test.name}: {len(found)} frames against {len(expected)} of {reference.name}, a mismatch of "
                f"{mismatch:.3f}; VERSA refuses {MISMATCH} and more: use mcd:s3prl, which aligns the two"
            )
        common = min(len(expected), len(found))
        details = {"path": common, "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (path_distortion(expected[:common], found[:common]), 1.0)}, details)


@dataclass(frozen=True)
class S3prlF0(S3prlMetric):
    """Voiced frames of both recordings aligned by fastdtw on mel-cepstra; RMSE in Hz and Pearson correlation.

    Equal to VERSA's with ``dtw=True``, which has no duration difference. Unvoiced frames are dropped before the
    alignment, so the voicing decisions of one recording are never compared with the other's. The duration
    difference is that of the recordings without what lies 60 dB below the loudest frame at both ends. Corpus
    figures are means over pairs. RMSE in Hz weighs high voices more than low ones.
    """

    name: ClassVar[str] = "f0:s3prl"
    title: ClassVar[str] = "Fundamental frequency as s3prl-vc computes it"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("f0_rmse:s3prl", "F0 RMSE (s3prl)", "Hz", "lower"),
        Measure("f0_corr:s3prl", "F0 corr. (s3prl)", "", "higher", decimals=3),
        Measure("ddur:s3prl", "DDUR (s3prl)", "s", "lower", decimals=3),
    )
    choices: ClassVar[str] = (
        "F0|tool:s3prl-vc|f0:harvest:{0.f0_min:g}-{0.f0_max:g}Hz|unit:Hz|frames:voiced|corr:linear|sr:{0.sample_rate}"
        "|frame:5ms|align:world-mcep-of-voiced:fastdtw-r1"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "level": "times-32767",
        "filter": "low-cut-70Hz:fir255",
        "alignment": "fastdtw-r1:mel-cepstra-order-39-alpha-0.466-with-c0",
        "ddur": "trim-60dB:frame2048:hop512",
        "reference": "target-speaker-same-text",
    }

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """F0 of the voiced frames of two recordings, and the difference of their lengths."""
        expected, found = self.frames(reference), self.frames(test)
        rmse, corr, ddur = (measure.name for measure in self.measures)
        sums = {ddur: (abs(expected.trimmed_s - found.trimmed_s), 1.0)}
        voices = [frames.f0 > 0 for frames in (expected, found)]
        for recording, voiced in zip((reference, test), voices, strict=True):
            if not voiced.any():
                why = ("voiced", f"{recording.name}: Harvest finds no voiced frame")
                return Statistics(sums, {}, {rmse: why, corr: why})
        _, path = fastdtw(expected.cepstra[voices[0]], found.cepstra[voices[1]])
        first, second = expected.f0[voices[0]][path[:, 0]], found.f0[voices[1]][path[:, 1]]
        details = {"path": len(path)}
        sums = {rmse: (float(np.sqrt(np.mean((first - second) ** 2))), 1.0), **sums}
        value = correlation(first, second)
        if value is None:
            why = ("voiced", f"too few voiced frames, or a constant pitch, in {test.name} or {reference.name}")
            return Statistics(sums, details, {corr: why})
        return Statistics({rmse: sums[rmse], corr: (value, 1.0), ddur: sums[ddur]}, details)
