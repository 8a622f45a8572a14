"""Mel-cepstral distortion against a parallel recording of the target speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vceval.metrics.base import Measure, Recipe, Statistics
from vceval.metrics.dtw import dtw
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, compare_arrays
from vceval.signal import audio, world
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL, Speech, SpeechFinder

__all__ = [
    "DECIBEL",
    "MelCepstralDistortion",
    "WorldFrames",
    "WorldMetric",
    "mel_cepstral_distortion",
    "path_distortion",
]

#: From a Euclidean distance of log-amplitude cepstra to decibels.
DECIBEL = 10.0 * sqrt(2.0) / log(10.0)
_FACTS: Mapping[str, str] = {
    **COMMON_FACTS,
    "f0": "dio+stonemask:71-800Hz",
    "envelope": "cheaptrick:fft-by-rate",
    "level": "peak-normalised",
    "constant": "10*sqrt(2)/ln(10)",
    "reference": "target-speaker-same-text",
}


class WorldFrames(NamedTuple):
    """Analysed frames: F0 in Hz (T,), 0 where unvoiced, and mel-cepstra without c0 (T, order)."""

    f0: NDArray[np.float64]
    cepstra: NDArray[np.float64]


@dataclass(frozen=True)
class WorldMetric(ParallelMetric):
    """A metric of WORLD's analysis (DIO, StoneMask, CheapTrick) of the speech of both recordings.

    ``speech`` says how speech is found (:class:`vceval.signal.speech.SpeechFinder`). A recording is cut to what lies
    between its first and its last speech before it is analysed, so that frames lie at the same places of the speech
    whatever comes before it, and frames of pauses are then left out, in both recordings by one rule. None analyses
    and keeps the whole recording.
    """

    sample_rate: int = 16_000
    order: int = 24
    alpha: float = 0.42
    frame_ms: float = 5.0
    speech: SpeechFinder | None = BY_LEVEL

    version: ClassVar[str] = "2.0"

    @property
    def signed_speech(self) -> str:
        """What the signature says of how speech is found: nothing where all is kept."""
        return "" if self.speech is None else f"|speech:{self.speech}"

    def frames(self, recording: Recording, floor_db: float | None = None) -> WorldFrames:
        """Analyse a recording: F0 in Hz (T,), 0 where unvoiced, and mel-cepstra c1 to c<order> (T, order).

        Raises:
            ItemError: no speech is found in it.
        """

        def analyse(wave: Waveform) -> Mapping[str, Any]:
            speech = None if self.speech is None else self.speech.require(wave, recording.name)
            return self._analyse(wave, speech, floor_db)

        parameters = (self.sample_rate, self.order, self.alpha, self.frame_ms, floor_db)
        names = ("sample_rate", "order", "alpha", "frame_ms", "floor_db")
        key: dict[str, Any] = {"version": 1, **dict(zip(names, parameters, strict=True))}
        if self.speech is not None:
            key = {**key, "version": 2, "speech": asdict(self.speech)}
        found = recording.analysis("world-cepstra", key, analyse)
        return WorldFrames(found["f0"], found["cepstra"])

    def _analyse(self, wave: Waveform, speech: Speech | None, floor_db: float | None) -> Mapping[str, Any]:
        whole = wave if speech is None else speech.cut(audio.resample(wave, self.sample_rate))
        peak = float(np.max(np.abs(whole.samples)))
        # Full scale first: WORLD adds noise of a fixed, tiny level, which must not depend on the recording's gain.
        level = Waveform(whole.samples / np.float32(peak), whole.sample_rate)
        level = audio.resample(level, self.sample_rate)
        if floor_db is None:
            f0, cepstra = world.world_cepstra(level, self.order, self.alpha, self.frame_ms)
        else:
            f0, _, envelope = world.world_analysis(level, self.frame_ms)
            cepstra = world.mel_cepstrum(envelope, self.order, self.alpha, floor_db)
        kept = np.ones(len(f0), dtype=bool) if speech is None else speech.at(self.frame_ms, len(f0))
        return {"f0": f0[kept], "cepstra": np.ascontiguousarray(cepstra[kept, 1:])}


@dataclass(frozen=True)
class MelCepstralDistortion(WorldMetric):
    """MCD in dB: the mean distance of aligned mel-cepstra, without the loudness coefficient c0.

    Both recordings are brought to ``sample_rate`` and cut to their speech, found relative to each one's own level;
    WORLD gives their power envelopes (DIO, StoneMask, CheapTrick), which become mel-cepstra c1 to c<order>. Exact
    dynamic time warping aligns the frames of speech; the value is the mean distance along the path. c0 is used
    neither for the path nor for the distance, so gain does not matter; silence around the speech and pauses in it have
    no frames, so their length does not matter either.
    ``floor_db``, off by default, raises bins that far below a recording's own mean to that level: then what lies
    below hearing (rounding noise of quiet 16-bit files, an empty upper band) does not matter either, at the
    price of a value that depends on where the floor is put.

    The recipes are what other tools call MCD; their values may be compared with that tool's, and with nothing else.

    Source: Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", IEEE Pacific Rim
    Conference on Communications, Computers and Signal Processing 1993.
    """

    floor_db: float | None = None

    name: ClassVar[str] = "mcd"
    title: ClassVar[str] = "Mel-cepstral distortion"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd", "MCD", "dB", "lower"),)
    source: ClassVar[str] = (
        "Kubichek, Mel-cepstral distance measure for objective speech quality assessment, PACRIM 1993"
    )
    recipes: ClassVar[Mapping[str, Recipe | str]] = {
        "dsm": "vceval.metrics.mcd_dsm:DiscreteSpeechMetricsMCD",
        "mel-cepstral-distance": "vceval.metrics.mcd_mel:MelCepstralDistance",
        "pymcd": "vceval.metrics.mcd_pymcd:PymcdMCD",
        "pymcd-plain": Recipe(
            """``MCD_mode="plain"``: no alignment; zeros are put after the shorter recording.""",
            "pymcd plain",
            of="vceval.metrics.mcd_pymcd:PymcdMCD",
            changes={"title": "Mel-cepstral distortion as pymcd computes it (plain)", "mode": "plain"},
        ),
        "pymcd-sl": Recipe(
            """``MCD_mode="dtw_sl"``: that of "dtw" times the longer over the shorter length in frames.""",
            "pymcd sl",
            of="vceval.metrics.mcd_pymcd:PymcdMCD",
            changes={"title": "Mel-cepstral distortion as pymcd computes it (dtw_sl)", "mode": "dtw_sl"},
        ),
        "s3prl": "vceval.metrics.s3prl:S3prlMCD",
        "s3prl-24k": Recipe(
            "``mcd:s3prl`` at 24 kHz, the rate of VCC2020. Files without anything above 8 kHz get very large values.",
            "s3prl 24k",
            of="vceval.metrics.s3prl:S3prlMCD",
            changes={
                "title": "Mel-cepstral distortion as s3prl-vc and VERSA (dtw) compute it, 24 kHz",
                "sample_rate": 24_000,
            },
        ),
        "v1": Recipe(
            "The default up to version 1.0 of ``mcd``: silence and pauses are kept, so padding lowers the value.",
            "v1",
            changes={"speech": None, "version": "1.0", "facts": {**_FACTS, "silence": "kept"}},
        ),
        "versa": "vceval.metrics.s3prl:VersaMCD",
    }
    choices: ClassVar[str] = (
        "MCD|sp:world-power|order:{0.order}|alpha:{0.alpha:g}|sr:{0.sample_rate}|frame:{0.frame_ms:g}ms{0.signed_floor}"
        "{0.signed_speech}|c0:no|dtw:exact"
    )
    facts: ClassVar[Mapping[str, str]] = {**_FACTS, "silence": "frames-without-speech-dropped"}

    @property
    def signed_floor(self) -> str:
        """What the signature says of the floor: nothing where there is none."""
        return "" if self.floor_db is None else f"|floor:{self.floor_db:g}dB"

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """MCD of two recordings of the same words.

        Raises:
            ItemError: no speech is found in one of them.
        """
        (_, expected), (_, found) = (self.frames(recording, self.floor_db) for recording in (reference, test))
        total, length = dtw(expected, found)
        details = {"path": length, "frames": len(found), "reference_frames": len(expected)}
        return Statistics({self.name: (DECIBEL * total / length, 1.0)}, details)


def path_distortion(
    first: NDArray[np.float64], second: NDArray[np.float64], path: NDArray[np.int64] | None = None
) -> float:
    """Mean distance in dB of cepstra along a path (frame by frame where it is None), all coefficients counted."""
    gaps = first - second if path is None else first[path[:, 0]] - second[path[:, 1]]
    return float(DECIBEL * np.sqrt((gaps * gaps).sum(axis=1)).mean())


def mel_cepstral_distortion(
    reference: ArrayLike,
    test: ArrayLike,
    sample_rate: int,
    test_sample_rate: int | None = None,
    recipe: str = "default",
) -> float:
    """Mel-cepstral distortion of a test recording against a parallel reference, as the ``mcd`` metric measures it.

    Args:
        reference: mono samples (n,) of the target speaker.
        test: mono samples (m,) of the converted speech, same text.
        sample_rate: of the reference in Hz, 8 to 96 kHz; both are resampled to the rate of the recipe (16 kHz).
        test_sample_rate: of the test recording; the same rate where it is None.
        recipe: ``default``, or whose definition to follow: one of :attr:`MelCepstralDistortion.recipes`, such as
            ``pymcd`` or ``s3prl``. Samples count as full scale 1.0, as these tools read files.

    Returns:
        MCD in dB (in the unit of the tool for a recipe). The default is symmetric, zero for equal recordings, and
        does not depend on the gain of either or on the silence around; most recipes are none of that.

    Raises:
        UsageError: unknown recipe.
        ItemError: a recording is not mono, shorter than 0.1 s, silent or not finite, its rate is out of range, or
            holds no speech, or the recipe refuses it (``versa``: lengths differ too much).

    Source: see :class:`MelCepstralDistortion`.
    """
    made = compare_arrays(MelCepstralDistortion, recipe, reference, test, sample_rate, test_sample_rate)
    return next(iter(made.sums.values()))[0]
