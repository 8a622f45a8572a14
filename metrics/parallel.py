"""What metrics that compare a conversion with another recording of the same words have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from vceval import registry
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.band import FULL_BAND, narrow_band
from vceval.metrics.base import Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache, file_digest

__all__ = ["ParallelMetric", "Recording", "compare_arrays", "resample_by_ratio"]

#: Unvarying facts of every metric here, for long signatures.
COMMON_FACTS: Mapping[str, str] = {
    "channels": "equal or chosen",
    "resampler": "soxr-hq",
    "aggregate": "mean-over-pairs",
}


class Recording:
    """One recording and the analyses made of it, read when first needed.

    Analyses of a file are kept in the cache under (kind, the file's bytes, parameters): every metric, recipe,
    system and run that asks for the same one shares it. Analyses of arrays in memory are not kept.
    """

    def __init__(self, source: Path | Waveform, cache: Cache | None = None) -> None:
        self._source = source
        self._cache = cache
        self._wave = source if isinstance(source, Waveform) else None

    @property
    def name(self) -> str:
        """How messages call it: the path of a file."""
        return "recording" if isinstance(self._source, Waveform) else str(self._source)

    @property
    def wave(self) -> Waveform:
        """The audio at its own sample rate.

        Raises:
            ItemError: the file can't be used, see :func:`vceval.signal.audio.shared`.
        """
        if self._wave is None:
            assert not isinstance(self._source, Waveform)
            self._wave = audio.shared(self._source)
        return self._wave

    def analysis(
        self, kind: str, parameters: Mapping[str, Any], compute: Callable[[Waveform], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """Return what ``compute`` makes of the audio; ``parameters`` must hold all else that changes it."""
        if isinstance(self._source, Waveform) or self._cache is None:
            return compute(self.wave)
        return self._cache.get(kind, self._source, parameters, lambda: compute(self.wave))


class ParallelMetric(Metric):
    """A metric of two recordings; a subclass says with which, and implements :meth:`compare`."""

    #: The recording of the pair that the conversion is compared with.
    against: ClassVar[Literal["reference", "source"]] = "reference"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    packages: ClassVar[tuple[str, ...]] = ("numpy", "pyworld", "soxr")

    @abstractmethod
    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """Measure one recording against the other; needs no open workspace.

        Raises:
            UnmetNeed: the two have no value.
            ItemError: one of the two can't be measured.
        """

    def statistics(self, conversion: Conversion) -> Statistics:
        """Score one conversion against the recording of its pair that :attr:`against` names.

        Raises:
            UnmetNeed: the pair has no such recording, or it is the very file to be scored.
            ItemError: one of the two can't be read or measured, or is silent.
        """
        pair = conversion.pair
        other = pair.reference if self.against == "reference" else pair.source
        if other is None:
            wanted = "parallel recording of the target speaker" if self.against == "reference" else "source recording"
            raise UnmetNeed(self.against, f"pair {pair.id} has no {wanted}")
        if not conversion.path.is_file():
            raise ItemError(f"{conversion.path}: no such file")
        if not other.path.is_file():
            kind = "parallel reference" if self.against == "reference" else "source"
            raise ItemError(f"{other.path}: no such file ({kind} of pair {pair.id})")
        digest = file_digest(other.path)
        if file_digest(conversion.path) == digest:
            raise UnmetNeed("other", f"{conversion.path} is the {self.against} itself: nothing was converted")
        cache = self.workspace.cache

        def compute() -> Mapping[str, Any]:
            made = self.compare(Recording(other.path, cache), Recording(conversion.path, cache))
            return {"sums": dict(made.sums), "details": dict(made.details), "unmet": dict(made.unmet)}

        key = {"metric": self.name, "signature": self.signature(), "against": digest}
        found = cache.get("parallel", conversion.path, key, compute)
        return Statistics(
            {name: (numerator, denominator) for name, (numerator, denominator) in found["sums"].items()},
            {**found["details"], **narrow_band(conversion, other, getattr(self, "sample_rate", FULL_BAND))},
            {name: (need, reason) for name, (need, reason) in found["unmet"].items()},
        )


def compare_arrays(
    kind: type[ParallelMetric],
    recipe: str,
    reference: ArrayLike,
    test: ArrayLike,
    sample_rate: int,
    test_sample_rate: int | None,
) -> Statistics:
    """Compare two recordings in memory with the default of a metric or with one of its recipes.

    Raises:
        UsageError: unknown recipe.
        ItemError: a recording is not mono, shorter than 0.1 s, silent or not finite, its rate is out of range, or
            the recipe can't measure it.
    """
    if recipe != "default":
        if recipe not in kind.recipes:
            raise registry.unknown_name(f"recipe of metric {kind.name}:", recipe, ["default", *sorted(kind.recipes)])
        try:
            kind = cast("type[ParallelMetric]", kind.of_recipe(recipe))
        except ImportError as error:
            raise UsageError(f"recipe {recipe!r} of metric {kind.name} can't be imported: {error}") from error
    other_rate = sample_rate if test_sample_rate is None else test_sample_rate
    first = _checked(reference, sample_rate, "reference")
    return kind().compare(Recording(first), Recording(_checked(test, other_rate, "test recording")))


def resample_by_ratio(wave: Waveform, sample_rate: int) -> Waveform:
    """Resample as :func:`vceval.signal.audio.resample` does, to exactly the length that librosa gives.

    librosa multiplies by the rounded ratio of the rates before it rounds up, which now and then adds one zero
    sample (22.05 to 24 kHz, 1,176 samples); recipes that reproduce tools built on it follow.
    """
    if wave.sample_rate == sample_rate:
        return wave
    wanted = ceil(len(wave.samples) * (sample_rate / wave.sample_rate))
    samples = audio.resample(wave, sample_rate).samples
    return Waveform(np.pad(samples, (0, max(0, wanted - len(samples))))[:wanted], sample_rate)


def _checked(samples: ArrayLike, sample_rate: int, what: str) -> Waveform:
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
