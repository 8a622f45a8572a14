"""Mel-cepstral distortion against a parallel recording of the target speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from vceval import audio, features
from vceval.audio import Waveform
from vceval.cache import file_digest
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.metrics.dtw import dtw
from vceval.records import Conversion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MelCepstralDistortion", "mel_cepstral_distortion"]

#: From a Euclidean distance of log-amplitude cepstra to decibels.
DECIBEL = 10.0 * sqrt(2.0) / log(10.0)


@dataclass(frozen=True)
class MelCepstralDistortion(Metric):
    """MCD in dB: the mean distance of aligned mel-cepstra, without the loudness coefficient c0.

    Both recordings are brought to ``sample_rate``; WORLD gives their power envelopes (DIO, StoneMask, CheapTrick),
    which become mel-cepstra c1 to c<order>. Exact dynamic time warping aligns them; the value is the mean
    distance along the path. c0 is used neither for the path nor for the distance, so gain does not matter.
    ``floor_db``, off by default, raises bins that far below a recording's own mean to that level: then what lies
    below hearing (rounding noise of quiet 16-bit files, an empty upper band) does not matter either, at the
    price of a value that depends on where the floor is put.

    Source: Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", IEEE Pacific Rim
    Conference on Communications, Computers and Signal Processing 1993.
    """

    sample_rate: int = 16_000
    order: int = 24
    alpha: float = 0.42
    frame_ms: float = 5.0
    floor_db: float | None = None

    name: ClassVar[str] = "mcd"
    title: ClassVar[str] = "Mel-cepstral distortion"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    measures: ClassVar[tuple[Measure, ...]] = (Measure("mcd", "MCD", "dB", "lower"),)
    source: ClassVar[str] = (
        "Kubichek, Mel-cepstral distance measure for objective speech quality assessment, PACRIM 1993"
    )

    def signature(self) -> str:
        """Name every choice that changes the value."""
        floor = "" if self.floor_db is None else f"|floor:{self.floor_db:g}dB"
        return (
            f"MCD|sp:world-power|order:{self.order}|alpha:{self.alpha:g}|sr:{self.sample_rate}"
            f"|frame:{self.frame_ms:g}ms{floor}|c0:no|dtw:exact|v:{self.version}"
        )

    def statistics(self, conversion: Conversion) -> Statistics:
        """Score one conversion against the pair's parallel reference.

        Raises:
            UnmetNeed: the pair has no reference, or the recording is the reference itself.
            ItemError: one of the two can't be read or is silent.
        """
        reference = conversion.pair.reference
        if reference is None:
            raise UnmetNeed("reference", f"pair {conversion.pair.id} has no parallel recording of the target speaker")
        if not conversion.path.is_file():
            raise ItemError(f"{conversion.path}: no such file")
        if not reference.path.is_file():
            raise ItemError(f"{reference.path}: no such file (parallel reference of pair {conversion.pair.id})")
        digest = file_digest(reference.path)
        if file_digest(conversion.path) == digest:
            raise UnmetNeed("other", f"{conversion.path} is the reference itself, and a distance to itself is none")

        def compute() -> Mapping[str, Any]:
            # Cached for the reference only: it serves every system, while a conversion is analysed once.
            expected = self.workspace.cache.get("mel-cepstrum", reference.path, self._analysis(), analyse_reference)
            found = self._cepstra(audio.load(conversion.path))
            value, length = _distortion(expected["cepstra"], found)
            return {"mcd": value, "path": length, "frames": len(found), "reference_frames": len(expected["cepstra"])}

        def analyse_reference() -> Mapping[str, Any]:
            return {"cepstra": self._cepstra(audio.load(reference.path))}

        key = {"signature": self.signature(), "reference": digest}
        result = dict(self.workspace.cache.get("mcd", conversion.path, key, compute))
        return Statistics({"mcd": (result.pop("mcd"), 1.0)}, result)

    def distance(self, reference: Waveform, test: Waveform) -> float:
        """MCD in dB between two recordings in memory; see :func:`mel_cepstral_distortion`."""
        return _distortion(self._cepstra(reference), self._cepstra(test))[0]

    def _analysis(self) -> Mapping[str, Any]:
        return {"metric": "mcd", "signature": self.signature()}

    def _cepstra(self, wave: Waveform) -> NDArray[np.float64]:
        """c1 to c<order> of shape (frames, order)."""
        import numpy as np

        peak = float(np.max(np.abs(wave.samples)))
        # Full scale first: WORLD adds noise of a fixed, tiny level, which must not depend on the recording's gain.
        level = Waveform(wave.samples / np.float32(peak), wave.sample_rate)
        frames = features.world_analysis(audio.resample(level, self.sample_rate), self.frame_ms)
        cepstra = features.mel_cepstrum(frames.envelope, self.order, self.alpha, self.floor_db)
        return np.ascontiguousarray(cepstra[:, 1:])


def mel_cepstral_distortion(
    reference: ArrayLike, test: ArrayLike, sample_rate: int, test_sample_rate: int | None = None
) -> float:
    """Mel-cepstral distortion of a test recording against a parallel reference, as the ``mcd`` metric measures it.

    Args:
        reference: mono samples (n,) of the target speaker.
        test: mono samples (m,) of the converted speech, same text.
        sample_rate: of the reference in Hz, 8 to 96 kHz; both are resampled to 16 kHz.
        test_sample_rate: of the test recording; the same rate where it is None.

    Returns:
        MCD in dB. It is symmetric, zero for equal recordings, and does not depend on the gain of either.

    Raises:
        ItemError: a recording is not mono, shorter than 0.1 s, silent or not finite, or its rate is out of range.

    Source: see :class:`MelCepstralDistortion`.
    """
    first = _checked(reference, sample_rate, "reference")
    second = _checked(test, sample_rate if test_sample_rate is None else test_sample_rate, "test recording")
    return MelCepstralDistortion().distance(first, second)


def _checked(samples: ArrayLike, sample_rate: int, what: str) -> Waveform:
    import numpy as np

    array = np.asarray(samples, dtype=np.float32)
    if array.ndim != 1:
        raise ItemError(f"{what}: expected mono samples of shape (n,), got shape {array.shape}")
    if not audio.MIN_RATE <= sample_rate <= audio.MAX_RATE:
        raise ItemError(f"{what}: sample rate {sample_rate} Hz lies outside of {audio.MIN_RATE} to {audio.MAX_RATE} Hz")
    if len(array) < audio.MIN_SECONDS * sample_rate:
        raise ItemError(f"{what}: {len(array)} samples at {sample_rate} Hz; at least {audio.MIN_SECONDS} s are needed")
    if not np.isfinite(array).all():
        raise ItemError(f"{what}: holds NaN or infinite samples")
    if not np.abs(array).max() > 0.0:
        raise ItemError(f"{what}: silent, all samples are zero")
    return Waveform(array, sample_rate)


def _distortion(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, int]:
    total, length = dtw(first, second)
    return DECIBEL * total / length, length
