"""F0 RMSE, F0 correlation and duration difference as s3prl-vc computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure, Statistics
from vceval.metrics.f0 import correlation
from vceval.metrics.fastdtw import fastdtw
from vceval.metrics.mcd_s3prl import s3prl_frames
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording

__all__ = ["S3prlF0", "S3prlF024k"]


@dataclass(frozen=True)
class S3prlF0(ParallelMetric):
    """Voiced frames of both recordings aligned by fastdtw on mel-cepstra; RMSE in Hz and Pearson correlation.

    Equal to VERSA's with ``dtw=True``, which has no duration difference. Unvoiced frames are dropped before the
    alignment, so the voicing decisions of one recording are never compared with the other's. The duration
    difference is that of the recordings without what lies 60 dB below the loudest frame at both ends. Corpus
    figures are means over pairs. RMSE in Hz weighs high voices more than low ones.

    ``f0_min`` and ``f0_max`` bound Harvest; s3prl-vc sets them per target speaker, VERSA takes 40 to 800 Hz.
    """

    sample_rate: int = 16_000
    f0_min: float = 40.0
    f0_max: float = 800.0

    name: ClassVar[str] = "f0:s3prl"
    title: ClassVar[str] = "Fundamental frequency as s3prl-vc computes it"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("f0_rmse:s3prl", "F0 RMSE (s3prl)", "Hz", "lower"),
        Measure("f0_corr:s3prl", "F0 corr. (s3prl)", "", "higher", decimals=3),
        Measure("ddur:s3prl", "DDUR (s3prl)", "s", "lower", decimals=3),
    )
    source: ClassVar[str] = (
        "Huang et al., S3PRL-VC: open-source voice conversion framework with self-supervised speech "
        "representations, ICASSP 2022"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "level": "times-32767",
        "filter": "low-cut-70Hz:fir255",
        "alignment": "fastdtw-r1:mel-cepstra-order-39-alpha-0.466-with-c0",
        "ddur": "trim-60dB:frame2048:hop512",
        "reference": "target-speaker-same-text",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "pyworld", "soxr")

    def signature(self) -> str:
        """Name every choice that changes the value."""
        return (
            f"F0|tool:s3prl-vc|f0:harvest:{self.f0_min:g}-{self.f0_max:g}Hz|unit:Hz|frames:voiced|corr:linear"
            f"|sr:{self.sample_rate}|frame:5ms|align:world-mcep-of-voiced:fastdtw-r1|v:{self.version}"
        )

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """F0 of the voiced frames of two recordings, and the difference of their lengths."""
        import numpy as np

        expected, found = (
            s3prl_frames(recording, self.sample_rate, self.f0_min, self.f0_max) for recording in (reference, test)
        )
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


@dataclass(frozen=True)
class S3prlF024k(S3prlF0):
    """The same at 24 kHz, the rate of VCC2020."""

    sample_rate: int = 24_000

    name: ClassVar[str] = "f0:s3prl-24k"
    title: ClassVar[str] = "Fundamental frequency as s3prl-vc computes it, 24 kHz"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("f0_rmse:s3prl-24k", "F0 RMSE (s3prl 24k)", "Hz", "lower"),
        Measure("f0_corr:s3prl-24k", "F0 corr. (s3prl 24k)", "", "higher", decimals=3),
        Measure("ddur:s3prl-24k", "DDUR (s3prl 24k)", "s", "lower", decimals=3),
    )
