"""Sanity of converted recordings: copies of the input, silence, clipping, cut ends, odd lengths, whines and hiss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.band import FULL_BAND, NARROW_BAND
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.background import (
    BAND,
    FLOOR_SHARE,
    HIGHEST,
    LOWEST,
    LOWEST_TONE,
    NEAR_FLOOR_DB,
    Noise,
    Tone,
    noise_floor,
    steady_tones,
)
from vceval.signal.speech import BY_LEVEL, Speech
from vceval.storage.cache import file_digest

__all__ = ["FLAGS", "Sanity", "similarity"]

#: Every flag that a recording may get, as reports print it.
FLAGS = (
    "same as source", "same as prompt", "mostly silent", "clipped", "cut off", "odd length", "over full scale",
    "DC offset", NARROW_BAND, "added silence", "steady tone", "raised noise",
)  # fmt: skip

#: A sample at the limit of clipping may have lost three steps of 16 bits on its way.
AT_LIMIT = 1.0 - 4.0 / 32768.0
_TINY = 1e-20
#: Recordings whose loudest frame lies below this level hold nothing audible.
INAUDIBLE_DB = -80.0
#: Clipping holds the limit for this many samples at least, at this many places.
CLIPPED_RUN, CLIPPED_PLACES = 3, 4
#: What follows the last speech of a cut recording lies this far below it: nothing dies away so fast.
CUT_DROP_DB = 30.0
#: Weaker tones are not heard; where the quietest frames are louder, none can be told from a voice. In dB of the speech.
AUDIBLE_TONE_DB, PAUSE_DB = -60.0, -15.0
#: A line of the source that stands out this far, so near in Hz, explains one of the conversion.
KNOWN_PROMINENCE_DB, KNOWN_HZ = 6.0, 35.0
#: Noise of a source below this level, in dB of its speech, counts as this much: nobody hears it.
QUIET_NOISE_DB = -50.0


@dataclass(frozen=True)
class Sanity(Metric):
    """Flags what no working system should put out, and measures how far the duration is off.

    Nearly all is measured on what lies between the first and the last speech of a recording, found relative to its
    own level (:class:`vceval.signal.speech.SpeechFinder`), so that neither gain nor padding raises a flag or hides
    one. A recording is flagged when

    - it is a copy of the source or of a prompt: its speech lasts as long (within ``copy_duration``) and the waveforms
      correlate above ``copy_correlation`` at some lag within ``copy_lag_ms``, whatever gain, polarity, rate or format;
    - it is mostly silent: more than ``silent_share`` of its 20 ms frames lie ``silent_db`` below the loudest one;
    - it is clipped: more than ``clipped_share`` of its samples stand in runs of three or more at one limit, the
      recording's own highest or lowest value, and there are four such runs;
    - it is cut off: its last 20 ms lie within ``end_db`` of the loudest 20 ms, what follows is 30 dB weaker
      at once, and that is not so in the source;
    - it is shorter or longer than the source by more than a factor of ``duration_factor``;
    - it goes over full scale (float formats can; the whole file counts), or its mean is further from zero than
      ``offset`` times the RMS of the speech;
    - its sample rate is below ``full_band``, the rate that measures work at;
    - silence is added: more than ``silence_s`` before or after the speech than in the source;
    - a steady tone that the source lacks stands throughout, under the speech and in its pauses: a line above 500 Hz,
      ``tone_db`` above its neighbours (:func:`vceval.signal.background.steady_tones`);
    - the noise is raised: its floor (:func:`vceval.signal.background.noise_floor`) lies more than ``noise_db`` above
      those of the source and of all prompts, or above -50 dB where these are lower, and is heard for more than
      ``noise_s``.

    What compares with the source is left out where there is none (a cut end is then judged alone), and durations and
    silences also where the text is another one (the ``target`` control of a pair without parallel recording). The
    ``source`` control *is* the source: it is flagged as what it is, like anybody who hands back the input. A silent
    recording is flagged here, not a failure.

    ``duration_deviation`` is max(r, 1/r) - 1 with r = time from the first to the last speech / that of the source:
    0 for equal lengths, 1 for half or double. Files that can't be read, or hold NaN, are failures of every metric.
    """

    copy_correlation: float = 0.99
    copy_lag_ms: float = 50.0
    copy_duration: float = 0.25
    silent_db: float = -50.0
    silent_share: float = 0.6
    clipped_share: float = 1e-4
    end_db: float = -15.0
    duration_factor: float = 2.0
    offset: float = 0.15
    full_band: int = FULL_BAND
    silence_s: float = 0.5
    tone_db: float = 15.0
    noise_db: float = 10.0
    noise_s: float = 0.2

    name: ClassVar[str] = "sanity"
    title: ClassVar[str] = "Sanity checks"
    version: ClassVar[str] = "2.0"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sanity_flags", "Flagged", "%", "lower", scale=100.0, decimals=1, worst=1.0, rate=True),
        Measure("duration_deviation", "Dur. dev.", "%", "lower", scale=100.0, decimals=1, secondary=True),
    )
    source: ClassVar[str] = "vceval"
    choices: ClassVar[str] = (
        "SANITY|copy:{0.copy_correlation:g},{0.copy_lag_ms:g}ms,{0.copy_duration:g}"
        "|silent:{0.silent_db:g}dB,{0.silent_share:g}|clip:{0.clipped_share:g}|end:{0.end_db:g}dB"
        "|dur:{0.duration_factor:g}|dc:{0.offset:g}|band:{0.full_band}Hz|pad:{0.silence_s:g}s|tone:{0.tone_db:g}dB"
        f"|noise:{{0.noise_db:g}}dB,{{0.noise_s:g}}s|speech:{BY_LEVEL}"
    )
    facts: ClassVar[Mapping[str, str]] = {
        "frames": "20ms, end to end",
        "channels": "equal or chosen",
        "copy": "16000 Hz or the lower of both rates, soxr HQ",
        "clipping": f"{AT_LIMIT:.6f} of the recording's limits, {CLIPPED_RUN} samples, {CLIPPED_PLACES} places",
        "cut": f"{CUT_DROP_DB:g} dB within 20 ms",
        "inaudible": f"{INAUDIBLE_DB:g} dB of full scale",
        "duration": "from the first to the last speech",
        "tone": f">{LOWEST_TONE:g}Hz,64ms,>{AUDIBLE_TONE_DB:g}dB,pauses<{PAUSE_DB:g}dB",
        "noise": f"{LOWEST:g}-{HIGHEST:g}Hz,{BAND:g}Hz,p{FLOOR_SHARE:g}+{NEAR_FLOOR_DB:g}dB,>{QUIET_NOISE_DB:g}dB"
        ",source and prompts",
    }
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "soundfile", "soxr")

    def statistics(self, conversion: Conversion) -> Statistics:
        """Check one conversion.

        Raises:
            ItemError: it, its source or a prompt can't be read.
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
            for name in ("duration_ratio", "silence_before", "silence_after"):
                del facts[name]
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
        pair, own = conversion.pair, self._recording(conversion.path)
        facts = {name: value for name, value in own.items() if name not in ("tones", "speech_s", "before_s", "after_s")}
        if pair.source is not None:
            given = self._recording(pair.source.path)
            facts["source_cut"] = given["cut"]
            facts["duration_ratio"] = own["speech_s"] / given["speech_s"]
            facts["silence_before"], facts["silence_after"] = (
                own[name] - given[name] for name in ("before_s", "after_s")
            )
            known = [self._recording(path)["noise_db"] for path in (pair.source.path, *(p.path for p in pair.prompts))]
            facts["noise_raised_db"] = own["noise_db"] - max(*known, QUIET_NOISE_DB)
            facts["tone_hz"] = self._new_tone(own["tones"], given["tones"])
            facts["source_similarity"] = self._similarity(conversion.path, pair.source.path)
        if pair.prompts:
            facts["prompt_similarity"] = max(self._similarity(conversion.path, prompt.path) for prompt in pair.prompts)
        return facts

    def _similarity(self, first: Path, second: Path) -> float:
        """Compare the speech of two recordings of about the same length; 0 for any other."""
        if abs(self._recording(second)["speech_s"] / self._recording(first)["speech_s"] - 1.0) > self.copy_duration:
            return 0.0
        waves = [audio.shared(path, allow_silence=True) for path in (first, second)]
        # To one rate before they are cut: places between the samples of a low rate are none
        rate = min(16_000, *(wave.sample_rate for wave in waves))
        one, other = (_speech(audio.resample(wave, rate)) for wave in waves)
        return similarity(one, other, self.copy_lag_ms / 1000.0)

    def _new_tone(self, own: NDArray[np.float64], given: NDArray[np.float64]) -> float:
        """Frequency in Hz of the most prominent tone that the source lacks; 0 where there is none."""
        known = [tone.frequency for tone in map(Tone._make, given) if tone.prominence > KNOWN_PROMINENCE_DB]
        for tone in map(Tone._make, own):
            heard = tone.level > AUDIBLE_TONE_DB and tone.prominence > self.tone_db and tone.quiet < PAUSE_DB
            if heard and all(abs(tone.frequency - other) > KNOWN_HZ for other in known):
                return tone.frequency
        return 0.0

    def _flags(self, facts: Mapping[str, float]) -> list[str]:
        ratio = facts.get("duration_ratio", 1.0)
        raised = (
            facts.get("source_similarity", 0.0) > self.copy_correlation,
            facts.get("prompt_similarity", 0.0) > self.copy_correlation,
            facts["silent_share"] > self.silent_share,
            facts["clipped_share"] > self.clipped_share,
            facts["cut"] > facts.get("source_cut", 0.0),
            not 1.0 / self.duration_factor <= ratio <= self.duration_factor,
            facts["peak"] > 1.0,
            abs(facts["offset"]) > self.offset,
            facts["sample_rate"] < self.full_band,
            max(facts.get("silence_before", 0.0), facts.get("silence_after", 0.0)) > self.silence_s,
            facts.get("tone_hz", 0.0) > 0.0,
            facts.get("noise_raised_db", 0.0) > self.noise_db and facts["noise_s"] > self.noise_s,
        )
        return [flag for flag, is_up in zip(FLAGS, raised, strict=True) if is_up]

    def _recording(self, path: Path) -> Mapping[str, Any]:
        """Measure what a recording shows by itself; kept, as many conversions share a source and prompts."""
        key = {"end": self.end_db, "silent": self.silent_db, "speech": str(BY_LEVEL), "version": 3}
        return self.workspace.cache.get(
            "sanity-recording", path, key, lambda: self._measured(audio.shared(path, allow_silence=True))
        )

    def _measured(self, wave: Waveform) -> dict[str, Any]:
        found = BY_LEVEL.find(wave)
        silent = not len(found.marks)
        speech = wave if silent else found.cut(wave)
        samples = speech.samples.astype(np.float64)
        mean = float(samples.mean())
        size = int(0.02 * wave.sample_rate)
        frames = np.square(samples[: len(samples) // size * size] - mean).reshape(-1, size).mean(axis=1)
        loudest = max(float(frames.max()), _TINY)
        inaudible = silent or loudest < 10.0 ** (INAUDIBLE_DB / 10.0)
        noise = Noise(QUIET_NOISE_DB, 0.0) if inaudible else noise_floor(speech, found.level)
        return {
            "seconds": wave.seconds,
            "sample_rate": wave.sample_rate,
            "peak": float(np.max(np.abs(wave.samples))),
            "offset": 0.0 if inaudible else mean / found.level,
            "silent_share": 1.0 if inaudible else float(np.mean(frames < loudest * 10.0 ** (self.silent_db / 10.0))),
            "clipped_share": 0.0 if inaudible else _clipped(samples),
            "cut": 0.0 if inaudible else float(self._is_cut(wave, found, loudest)),
            "speech_s": wave.seconds if silent else found.seconds,
            "before_s": 0.0 if silent else found.begin,
            "after_s": 0.0 if silent else wave.seconds - found.begin - found.seconds,
            "noise_db": noise.level,
            "noise_s": noise.seconds,
            "tones": np.array([] if inaudible else steady_tones(speech, found.level)).reshape(-1, len(Tone._fields)),
        }

    def _is_cut(self, wave: Waveform, found: Speech, loudest: float) -> bool:
        """Whether the speech ends loud, and in one fall."""
        size = int(0.02 * wave.sample_rate)
        # Speech is said to end when half of a window of 20 ms lies behind it
        end = round((found.begin + found.seconds) * wave.sample_rate) - size // 2
        power = np.square(np.pad(wave.samples.astype(np.float64), (size, 2 * size)))
        last, after = (max(float(power[at : at + size].mean()), _TINY) for at in (end, end + size + size // 2))
        return bool(last > loudest * 10.0 ** (self.end_db / 10.0) and last > after * 10.0 ** (CUT_DROP_DB / 10.0))


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
    """Share of samples that stand in runs of three or more at the same limit, where there are several such runs."""
    found: list[NDArray[np.intp]] = []
    for side in (samples, -samples):
        held = side >= AT_LIMIT * max(float(side.max()), _TINY)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], held, [0]])))
        runs = edges[1::2] - edges[::2]
        found.append(runs[runs >= CLIPPED_RUN])
    runs = np.concatenate(found)
    return float(runs.sum()) / len(samples) if len(runs) >= CLIPPED_PLACES else 0.0


def _speech(wave: Waveform) -> Waveform:
    found = BY_LEVEL.find(wave)
    return found.cut(wave) if len(found.marks) else wave


def _centred(wave: Waveform, rate: int) -> NDArray[np.float64]:
    samples = audio.resample(wave, rate).samples.astype(np.float64)
    centred: NDArray[np.float64] = samples - samples.mean()
    peak = float(np.max(np.abs(centred)))
    return np.zeros_like(centred) if peak < audio.SILENCE_PEAK else centred / peak
