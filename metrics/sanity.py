"""Sanity of converted recordings: copies of the input, silence, clipping, cut ends, odd lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.band import FULL_BAND, NARROW_BAND
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["FLAGS", "Sanity", "similarity"]

#: Every flag that a recording may get, as reports print it.
FLAGS = (
    "same as source", "same as prompt", "mostly silent", "clipped", "cut off", "odd length", "over full scale",
    "DC offset", NARROW_BAND,
)  # fmt: skip

#: A 16-bit sample at either limit is at full scale, and so is one that lost three steps on its way.
FULL_SCALE = 1.0 - 4.0 / 32768.0
#: Frames below this level hold nothing audible, however quiet the recording is.
INAUDIBLE_DB = -80.0


@dataclass(frozen=True)
class Sanity(Metric):
    """Flags what no working system should put out, and measures how far the duration is off.

    A recording is flagged when

    - it is a copy of the source or of a prompt: it lasts as long (within ``copy_duration``) and the waveforms
      correlate above ``copy_correlation`` at some lag within ``copy_lag_ms``, whatever gain, polarity, rate or format;
    - it is mostly silent: more than ``silent_share`` of its 20 ms frames lie ``silent_db`` below the loudest one;
    - it is clipped: more than ``clipped_share`` of its samples stand in runs of three or more at full scale;
    - it is cut off: its last 20 ms lie within ``end_db`` of the loudest 20 ms, and those of the source do not;
    - it is shorter or longer than the source by more than a factor of ``duration_factor``;
    - it goes over full scale (float formats can) or its mean is further from zero than ``offset``;
    - its sample rate is below ``full_band``, the rate that measures work at.

    What compares with the source is left out where there is none, and duration also where the text is another one
    (the ``target`` control of a pair without parallel recording). The ``source`` control *is* the source: it is
    flagged as what it is, like anybody who hands back the input. A silent recording is flagged here, not a failure.

    ``duration_deviation`` is max(r, 1/r) - 1 with r = duration / duration of the source: 0 for equal
    lengths, 1 for half or double. Files that can't be read, or hold NaN, are failures of every metric.
    """

    copy_correlation: float = 0.99
    copy_lag_ms: float = 50.0
    copy_duration: float = 0.25
    silent_db: float = -50.0
    silent_share: float = 0.6
    clipped_share: float = 1e-4
    end_db: float = -15.0
    duration_factor: float = 2.0
    offset: float = 0.01
    full_band: int = FULL_BAND

    name: ClassVar[str] = "sanity"
    title: ClassVar[str] = "Sanity checks"
    version: ClassVar[str] = "1.1"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sanity_flags", "Flagged", "%", "lower", scale=100.0, decimals=1, worst=1.0, rate=True),
        Measure("duration_deviation", "Dur. dev.", "%", "lower", scale=100.0, decimals=1, secondary=True),
    )
    source: ClassVar[str] = "vceval"
    choices: ClassVar[str] = (
        "SANITY|copy:{0.copy_correlation:g},{0.copy_lag_ms:g}ms,{0.copy_duration:g}"
        "|silent:{0.silent_db:g}dB,{0.silent_share:g}|clip:{0.clipped_share:g}|end:{0.end_db:g}dB"
        "|dur:{0.duration_factor:g}|dc:{0.offset:g}|band:{0.full_band}Hz"
    )
    facts: ClassVar[Mapping[str, str]] = {
        "frames": "20ms, end to end",
        "channels": "equal or chosen",
        "copy": "16000 Hz or the lower of both rates, soxr HQ",
        "full scale": f"{FULL_SCALE:.6f}, 3 samples",
        "inaudible": f"{INAUDIBLE_DB:g} dB of full scale",
        "duration": "of the whole files",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "soundfile", "soxr")

    def statistics(self, conversion: Conversion) -> Statistics:
        """Check one conversion.

        Raises:
            ItemError: it, its source or a prompt of the same length can't be read.
        """
        pair = conversion.pair
        inputs = [u.path for u in ([pair.source] if pair.source else []) + list(pair.prompts)]
        for path in [conversion.path, *inputs]:
            if not path.is_file():
                raise ItemError(f"{path}: no such file (needed for pair {pair.id})")
        key = {
            "signature": self.signature(),
            "source": pair.source and file_digest(pair.source.path),
            "prompts": [file_digest(prompt.path) for prompt in pair.prompts],
        }
        facts = dict(self.workspace.cache.get("sanity", conversion.path, key, lambda: self._facts(conversion)))
        timed = "duration_ratio" in facts
        if timed and conversion.transcript != pair.transcript:
            del facts["duration_ratio"]
        flags = self._flags(facts)
        sums = {"sanity_flags": (float(bool(flags)), 1.0)}
        details = {"flags": flags, **facts}
        if "duration_ratio" in facts:
            ratio = float(facts["duration_ratio"])
            sums["duration_deviation"] = (max(ratio, 1.0 / ratio) - 1.0, 1.0)
            return Statistics(sums, details)
        why = ("reference", "another text than the source's is said") if timed else ("source", "the pair has no source")
        return Statistics(sums, details, {"duration_deviation": why})

    def _facts(self, conversion: Conversion) -> dict[str, float]:
        """Measure everything that flags are made of; plain numbers."""
        wave = audio.load(conversion.path, allow_silence=True)
        pair, facts = conversion.pair, self._levels(wave)
        if pair.source is not None:
            given = audio.load(pair.source.path, allow_silence=True)
            facts["source_end_db"] = self._levels(given)["end_db"]
            facts["duration_ratio"] = wave.seconds / given.seconds
            facts["source_similarity"] = self._similarity(wave, pair.source.path)
        if pair.prompts:
            facts["prompt_similarity"] = max(self._similarity(wave, prompt.path) for prompt in pair.prompts)
        return facts

    def _similarity(self, wave: Waveform, path: Path) -> float:
        """Compare with a recording of about the same length; 0 for any other, which is not even read."""
        if abs(audio.duration(path) / wave.seconds - 1.0) > self.copy_duration:
            return 0.0
        return similarity(wave, audio.load(path, allow_silence=True), self.copy_lag_ms / 1000.0)

    def _flags(self, facts: Mapping[str, float]) -> list[str]:
        ratio = facts.get("duration_ratio", 1.0)
        raised = (
            facts.get("source_similarity", 0.0) > self.copy_correlation,
            facts.get("prompt_similarity", 0.0) > self.copy_correlation,
            facts["silent_share"] > self.silent_share,
            facts["clipped_share"] > self.clipped_share,
            # What is silent throughout ends as loud as it ever was
            facts["end_db"] > self.end_db >= facts.get("source_end_db", self.end_db) and facts["silent_share"] < 1.0,
            not 1.0 / self.duration_factor <= ratio <= self.duration_factor,
            facts["peak"] > 1.0,
            abs(facts["offset"]) > self.offset,
            facts["sample_rate"] < self.full_band,
        )
        return [flag for flag, is_up in zip(FLAGS, raised, strict=True) if is_up]

    def _levels(self, wave: Waveform) -> dict[str, float]:
        """Measure what a recording shows by itself."""
        samples = wave.samples.astype(np.float64)
        size = int(0.02 * wave.sample_rate)
        power = np.square(samples - samples.mean())
        frames = power[: len(power) // size * size].reshape(-1, size).mean(axis=1)
        tiny = 1e-20
        loudest = max(float(frames.max()), tiny)
        floor = max(loudest * 10.0 ** (self.silent_db / 10.0), 10.0 ** (INAUDIBLE_DB / 10.0))
        return {
            "seconds": wave.seconds,
            "sample_rate": wave.sample_rate,
            "peak": float(np.max(np.abs(samples))),
            "offset": float(samples.mean()),
            "silent_share": float(np.mean(frames < floor)),
            "clipped_share": _clipped(samples),
            "end_db": float(10.0 * np.log10(max(float(power[-size:].mean()), tiny) / loudest)),
        }


def similarity(first: Waveform, second: Waveform, lag_seconds: float = 0.05) -> float:
    """Largest absolute correlation of two waveforms over all lags within ``lag_seconds``, 0 to 1.

    Both are brought to 16 kHz, or to the lower of their rates, and freed of their means; every lag is normalised
    by what overlaps at it. Gain and polarity do not matter; silence resembles nothing.
    """
    from scipy import fft

    rate = min(16_000, first.sample_rate, second.sample_rate)
    a, b = (_centred(wave, rate) for wave in (first, second))
    lags = np.arange(-int(lag_seconds * rate), int(lag_seconds * rate) + 1)
    lags = lags[(lags > -len(b)) & (lags < len(a))]
    size = fft.next_fast_len(len(a) + len(b), real=True)
    product = fft.irfft(fft.rfft(a, size) * np.conj(fft.rfft(b, size)), size)[lags]  # sum of a[n + lag] b[n]
    energy_a, energy_b = (np.concatenate([[0.0], np.cumsum(x * x)]) for x in (a, b))
    start = np.maximum(lags, 0)
    stop = np.minimum(len(a), len(b) + lags)
    both = (energy_a[stop] - energy_a[start]) * (energy_b[stop - lags] - energy_b[start - lags])
    audible = both > (1e-4 * energy_a[-1]) * (1e-4 * energy_b[-1])
    if not audible.any():
        return 0.0
    return float(min(1.0, np.max(np.abs(product[audible]) / np.sqrt(both[audible]))))


def _clipped(samples: NDArray[np.float64]) -> float:
    """Share of samples that stand in runs of three or more at the same end of full scale."""
    count = 0
    for side in (samples, -samples):
        held = (side >= FULL_SCALE) & (side <= 1.0)  # what goes over full scale was not clipped
        edges = np.flatnonzero(np.diff(np.concatenate([[0], held, [0]])))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= 3].sum())
    return count / len(samples)


def _centred(wave: Waveform, rate: int) -> NDArray[np.float64]:
    samples = audio.resample(wave, rate).samples.astype(np.float64)
    centred: NDArray[np.float64] = samples - samples.mean()
    peak = float(np.max(np.abs(centred)))
    return np.zeros_like(centred) if peak < audio.SILENCE_PEAK else centred / peak
