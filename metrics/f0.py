"""Fundamental frequency of a conversion against a parallel recording of the target speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vceval.metrics.base import Measure, Recipe, Statistics
from vceval.metrics.dtw import dtw_path
from vceval.metrics.mcd import WorldMetric
from vceval.metrics.parallel import COMMON_FACTS, Recording, compare_arrays

__all__ = ["FundamentalFrequency", "correlation", "f0_statistics"]

_FACTS: Mapping[str, str] = {
    **COMMON_FACTS,
    "aggregate": "rmse-and-corr:mean-over-pairs,vuv:all-frames",
    "envelope": "cheaptrick:fft-by-rate",
    "level": "peak-normalised",
    "alignment": "exact-dtw:mel-cepstra-without-c0",
    "reference": "target-speaker-same-text",
}


@dataclass(frozen=True)
class FundamentalFrequency(WorldMetric):
    """Pitch error in cents, correlation and voicing errors on frames that were aligned by their spectra.

    Both recordings are cut to their speech, analysed and aligned exactly as the ``mcd`` metric does it (DIO with
    StoneMask, 71 to 800 Hz; exact dynamic time warping of mel-cepstra without c0): pitch takes no part in the
    alignment, so the path can't be bent to make pitch errors small, and silence, unvoiced in any recording, does not
    dilute the voicing errors. On frame pairs that are voiced in both:

    * ``f0_rmse``: root of the mean squared difference in cents (1200 * log2 of the ratio).
    * ``f0_corr``: Pearson correlation of log-F0. A shift of register leaves it alone.

    On all frame pairs of the path: ``f0_vuv``, the share with voicing in one recording only.

    The corpus figures of ``f0_rmse`` and ``f0_corr`` are means over pairs, as papers report them; ``f0_vuv`` is the
    frame pairs at fault over all frame pairs of all recordings. Where nothing is voiced in both (for the
    correlation: fewer than three frame pairs, or a constant pitch) a pair has no value of the first two.

    Source: the parts are in Morise et al., "Fast and reliable F0 estimation method based on the period extraction
    of vocal fold vibration of singing voice and speech", AES 35th Conference 2009, and Sakoe and Chiba, IEEE Trans.
    ASSP 26, 1978.
    """

    name: ClassVar[str] = "f0"
    title: ClassVar[str] = "Fundamental frequency"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("f0_rmse", "F0 RMSE", "cent", "lower", decimals=0),
        Measure("f0_corr", "F0 corr.", "", "higher", decimals=3),
        Measure("f0_vuv", "V/UV errors", "%", "lower", scale=100.0, decimals=1, worst=1.0, rate=True),
    )
    source: ClassVar[str] = (
        "Morise et al., Fast and reliable F0 estimation method based on the period extraction of vocal fold "
        "vibration of singing voice and speech, AES 35th Conference 2009"
    )
    recipes: ClassVar[Mapping[str, Recipe | str]] = {
        "freevc": "vceval.metrics.f0_freevc:FreevcF0",
        "s3prl": "vceval.metrics.s3prl:S3prlF0",
        "s3prl-24k": Recipe(
            "``f0:s3prl`` at 24 kHz, the rate of VCC2020.",
            "s3prl 24k",
            of="vceval.metrics.s3prl:S3prlF0",
            changes={"title": "Fundamental frequency as s3prl-vc computes it, 24 kHz", "sample_rate": 24_000},
        ),
        "v1": Recipe(
            "The default up to version 1.0 of ``f0``: silence and pauses are kept; padding lowers the voicing errors.",
            "v1",
            changes={"speech": None, "version": "1.0", "facts": _FACTS},
        ),
    }
    choices: ClassVar[str] = (
        "F0|f0:dio+stonemask:71-800Hz|unit:cent|frames:voiced-in-both|corr:log|sr:{0.sample_rate}|frame:{0.frame_ms:g}ms"
        "|align:world-mcep:order{0.order}:alpha{0.alpha:g}:exact{0.signed_speech}"
    )
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "frames-without-speech-dropped"}

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """Pitch error, correlation and voicing errors of two recordings of the same words.

        Raises:
            ItemError: no speech is found in one of them.
        """
        (f0_expected, expected), (f0_found, found) = self.frames(reference), self.frames(test)
        _, path = dtw_path(expected, found)
        first, second = f0_expected[path[:, 0]], f0_found[path[:, 1]]
        voiced = (first > 0) & (second > 0)
        wrong = int(((first > 0) != (second > 0)).sum())
        details: dict[str, float] = {"path": len(path), "voiced": int(voiced.sum())}
        rmse, corr, vuv = (measure.name for measure in self.measures)
        sums = {vuv: (float(wrong), float(len(path)))}
        if not voiced.any():
            why = ("voiced", f"no aligned frames of {test.name} and {reference.name} are voiced in both")
            return Statistics(sums, details, {rmse: why, corr: why})
        cents = 1200.0 * np.log2(np.stack([first[voiced], second[voiced]]))
        sums = {rmse: (float(np.sqrt(np.mean((cents[1] - cents[0]) ** 2))), 1.0), **sums}
        details["mean_shift_cents"] = float(np.mean(cents[1] - cents[0]))
        value = correlation(cents[0], cents[1])
        if value is None:
            why = ("voiced", f"too few voiced frames, or a constant pitch, in {test.name} or {reference.name}")
            return Statistics(sums, details, {corr: why})
        return Statistics({**sums, corr: (value, 1.0)}, details)


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Pearson correlation; None for fewer than three values or where one side is constant."""
    if len(first) < 3 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def f0_statistics(
    reference: ArrayLike,
    test: ArrayLike,
    sample_rate: int,
    test_sample_rate: int | None = None,
    recipe: str = "default",
) -> Mapping[str, float]:
    """Compare the fundamental frequency of two recordings of the same words, as the ``f0`` metric does it.

    Args:
        reference: mono samples (n,) of the target speaker; for ``freevc``, of the source.
        test: mono samples (m,) of the converted speech.
        sample_rate: of the reference in Hz, 8 to 96 kHz; both are resampled to the rate of the recipe (16 kHz).
        test_sample_rate: of the test recording; the same rate where it is None.
        recipe: ``default``, or one of :attr:`FundamentalFrequency.recipes`.

    Returns:
        Default and ``v1``: ``f0_rmse`` in cents, ``f0_corr`` from -1 to 1, ``f0_vuv`` as a fraction. ``s3prl``:
        ``f0_rmse`` in Hz, ``f0_corr``, ``ddur`` in seconds. ``freevc``: ``f0_pcc``. What the recordings do not define
        (nothing voiced in both, a constant pitch) is missing from the mapping, never a made-up number.

    Raises:
        UsageError: unknown recipe.
        ItemError: a recording is not mono, shorter than 0.1 s, silent or not finite, its rate is out of range, or
            ``freevc`` has no value for the two.
    """
    made: Statistics = compare_arrays(FundamentalFrequency, recipe, reference, test, sample_rate, test_sample_rate)
    values: dict[str, Any] = {name.partition(":")[0]: above / below for name, (above, below) in made.sums.items()}
    return values
