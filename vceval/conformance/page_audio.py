"""What a demo page did to a conversion, found by holding the published file against the conversion itself.

A page offers what it likes: another rate, MP3, a louder copy, one without its silent ends. Each is named, and undone so
that the audio can be compared; whether it may have happened is not decided here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from vceval.converters.demo_words import Done
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.signal.audio import Resampler, Waveform, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "COPY", "Held", "Published", "coded", "distance", "hold", "log_mel", "read", "signal_to_noise", "undeclared",
]  # fmt: skip

#: Codecs that do not give back the samples that they were given, as libsndfile names them.
_LOSSY = ("MPEG", "VORBIS", "OPUS", "ULAW", "ALAW", "ADPCM", "GSM", "PCM_U8", "PCM_S8", "G721", "G723", "VOX", "NMS")
#: Those of them that come with more bits or fewer, and those that code each sample by itself.
_GRADED, _BY_SAMPLE = ("MPEG", "VORBIS", "OPUS"), ("ULAW", "ALAW", "PCM_U8", "PCM_S8")
#: Samples that a lossy codec puts before and after the audio: its own delay, and the rest of a last frame.
_CODEC_SAMPLES = 4_000
#: Correlation from which on the one recording is a copy of the other, however it was treated.
COPY = 0.5
#: Correlation from which on a copy is near enough to tell its level and parts of a sample; of a lossy one.
_NEAR, _NEAR_LOSSY = 0.99, 0.9
#: Part of the band in which resamplers agree; above, each has a filter of its own.
_BAND = 0.75
#: Decibels of gain from which on a level is another one; a smaller one leaves 45 dB of signal over difference.
_LEVEL_DB = 0.05
_FLOOR_DB = 60.0


@dataclass(frozen=True, slots=True)
class Published:
    """A published file: its audio, how it is coded, and whether every sample lies on the grid of 16 bits."""

    path: Path
    wave: Waveform
    codec: str
    lossy: bool
    sixteen: bool

    @property
    def text(self) -> str:
        """Say what it is, for people."""
        grid = ", samples on the 16-bit grid" if self.sixteen and not self.lossy else ""
        return f"{self.codec}, {self.wave.sample_rate:,} Hz, {len(self.wave.samples):,} samples{grid}"


@dataclass(slots=True)
class Held:
    """A published file held against one conversion.

    found: what the page did, each with its size in words.
    published, made: both at the same rate, of the same length, without what was found.
    rate: of both. at: samples by which the published one comes later. band: highest frequency that is compared, in
    Hz; None for all. correlation: of both, between -1 and 1. gain: of the published one against the conversion.
    """

    found: dict[Done, str]
    published: Array
    made: Array
    rate: int
    at: int
    band: float | None
    correlation: float
    gain: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Published:
    """Read a published file.

    Raises:
        UsageError: it can't be read as audio.
    """
    import numpy as np

    try:
        wave = audio.load(path)
    except ItemError as error:
        raise UsageError(f"the published file can't be used: {error}") from error
    facts = wave.facts
    codec = f"{facts.container} {facts.codec}" if facts else "unknown"
    steps = wave.samples.astype(np.float64) * 32_768
    return Published(path, wave, codec, any(name in codec for name in _LOSSY), bool((steps == np.round(steps)).all()))


def coded(wave: Waveform, like: Published) -> Waveform:
    """Take a recording through the codec of a published file, with about as many bits a second; nothing for others.

    Raises:
        UsageError: the codec can't be written here.
    """
    import soundfile

    if not like.lossy:
        return wave
    wanted = like.path.stat().st_size / like.wave.seconds
    container, _, subtype = like.codec.partition(" ")

    def written(level: float | None) -> io.BytesIO:
        stream = io.BytesIO()
        more = {"bitrate_mode": "CONSTANT"} if container == "MP3" else {}
        soundfile.write(
            stream, wave.samples, wave.sample_rate, format=container, subtype=subtype, compression_level=level, **more
        )
        return stream

    try:
        low, high = 0.0, 1.0  # more compression gives fewer bytes
        graded = any(name in subtype for name in _GRADED)
        for _ in range(6 if graded else 0):
            middle = (low + high) / 2
            smaller = len(written(middle).getbuffer()) / wave.seconds <= wanted
            low, high = (low, middle) if smaller else (middle, high)
        stream = written(high if graded else None)
        stream.seek(0)
        samples, rate = soundfile.read(stream, dtype="float32")
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise UsageError(f"{like.path}: its codec, {like.codec}, can't be written here ({error})") from error
    return Waveform(samples, rate)


def hold(published: Published, made: Waveform, copy: bool) -> Held:
    """Find what was done to a conversion before it was published, and undo it.

    Args:
        published: the file.
        made: the conversion.
        copy: the system draws nothing, so that samples can be held against samples; else spectra are.
    """
    found: dict[Done, str] = {}
    facts: dict[str, Any] = {}
    rate = min(published.wave.sample_rate, made.sample_rate)
    if published.lossy:
        found["lossy"] = published.codec
    theirs = resample(published.wave, rate)
    if published.wave.sample_rate == made.sample_rate:
        ours, at, band = made, _lag(theirs, made, copy), None
    else:
        found["resampled"] = f"{made.sample_rate:,} to {published.wave.sample_rate:,} Hz"
        band = _BAND * rate / 2
        ours = resample(made, rate)
        at = _lag(theirs, ours, copy)
        if copy and published.wave.sample_rate == rate:
            ours, by = _resampled_like(theirs, made, at)
            facts["nearest resampler"] = by
    _ends(found, published, theirs, ours, at, "resampled" in found)
    a, b = _overlap(theirs.samples, ours.samples, at)
    correlation = _correlation(*(_below(samples, rate, band) for samples in (a, b)))
    held = Held(found, a, b, rate, at, band, correlation, facts=facts)
    if copy and correlation >= (_NEAR_LOSSY if published.lossy else _NEAR):
        _undo_fraction(held)
        _undo_level(held)
    return held


def signal_to_noise(held: Held) -> float:
    """Decibels of the published audio over what is left when the conversion is taken from it, within the band."""
    import numpy as np

    a, b = (_below(x, held.rate, held.band) for x in (held.published, held.gain * held.made))
    noise = float(np.sum((a - b) ** 2))
    return float(10 * np.log10(max(float(np.sum(a**2)), 1e-30) / max(noise, 1e-30)))


def log_mel(samples: Array, rate: int, top: float | None = None, hop_ms: float = 10.0) -> Array:
    """Mel spectrum in dB, 0 being its mean power, so that no level counts; cut at -60 dB: (frames, 40)."""
    import numpy as np

    from vceval.signal.spectral import mel_filters, stft

    size = 2 ** round(np.log2(0.064 * rate))
    spectrum = stft(samples, size, round(rate * hop_ms / 1000), padding="zeros")
    power = (spectrum.real**2 + spectrum.imag**2) @ mel_filters(rate, size, 40, 60.0, top or 0.95 * rate / 2).T
    decibels: Array = 10 * np.log10(np.maximum(power, 1e-30))
    above: Array = np.maximum(decibels - 10 * np.log10(max(float(power.mean()), 1e-30)), -_FLOOR_DB)
    return above


def distance(a: Array, b: Array) -> float:
    """Root mean square difference of two mel spectra in dB, over the frames that both have."""
    import numpy as np

    frames = min(len(a), len(b))
    return float(np.sqrt(np.mean((a[:frames] - b[:frames]) ** 2)))


def _lag(theirs: Waveform, ours: Waveform, copy: bool) -> int:
    """Samples by which the published audio comes later than the conversion, from the best correlation."""
    import numpy as np
    from scipy import fft

    if copy:
        a, b, step = theirs.samples.astype(np.float64)[:, None], ours.samples.astype(np.float64)[:, None], 1
    else:
        step = round(0.005 * ours.sample_rate)
        a, b = (log_mel(w.samples.astype(np.float64), ours.sample_rate, hop_ms=5.0) for w in (theirs, ours))
        a, b = a - a.mean(), b - b.mean()
    size = fft.next_fast_len(len(a) + len(b), real=True)
    products = fft.rfft(a, size, axis=0) * np.conj(fft.rfft(b, size, axis=0))
    found = fft.irfft(products.sum(axis=1), size)
    # Of lags at which a quarter of the shorter one overlaps; the negative ones stand at the end
    least = max(1, min(len(a), len(b)) // 4)
    first, last = least - len(b), len(a) - least
    lag = (int(np.argmax(np.concatenate([found[size + first :], found[: last + 1]]))) + first) * step
    return lag if copy or abs(lag) > 2 * step else 0


def _resampled_like(theirs: Waveform, made: Waveform, at: int) -> tuple[Waveform, str]:
    """Bring the conversion to the published rate by the resampler that comes nearest."""
    best: tuple[float, Waveform, str] | None = None
    for by in get_args(Resampler):
        ours = resample(made, theirs.sample_rate, by)
        a, b = _overlap(theirs.samples, ours.samples, at)
        correlation = _correlation(a, b)
        if best is None or correlation > best[0]:
            best = correlation, ours, by
    assert best is not None
    return best[1], best[2]


def _ends(
    found: dict[Done, str], published: Published, theirs: Waveform, ours: Waveform, at: int, resampled: bool
) -> None:
    """Name what stands before and after the conversion, or is missing there."""
    rate = ours.sample_rate
    after = len(theirs.samples) - at - len(ours.samples)
    framed = published.lossy and not any(name in published.codec for name in _BY_SAMPLE)
    least, codec = int(resampled), _CODEC_SAMPLES if framed else 0

    def words(samples: int) -> str:
        return f"{samples:,} samples ({samples / rate:.3f} s)"

    if at > codec:
        found["delay"] = f"{words(at)} before it"
    if after > max(least, codec):
        found["padded"] = f"{words(after)} after it"
    missing = [f"{words(n)} at its {end}" for n, end in ((-at, "beginning"), (-after, "end")) if n > least]
    if missing:
        found["trimmed"] = f"without {' and '.join(missing)}"


def _overlap(theirs: Any, ours: Any, at: int) -> tuple[Array, Array]:
    import numpy as np

    a, b = theirs[max(at, 0) :], ours[max(-at, 0) :]
    n = min(len(a), len(b))
    return a[:n].astype(np.float64), b[:n].astype(np.float64)


def _correlation(a: Array, b: Array) -> float:
    import numpy as np

    return float(np.dot(a, b) / max(float(np.sqrt(np.dot(a, a) * np.dot(b, b))), 1e-30))


def _undo_fraction(held: Held) -> None:
    """Shift the conversion by the part of a sample that is left, from the slope of the phase between both."""
    import numpy as np

    spectrum = np.fft.rfft(held.published) * np.conj(np.fft.rfft(held.made))
    omega = np.linspace(0.0, np.pi, len(spectrum))
    weight = np.abs(spectrum) * (omega < 0.5 * np.pi)
    late = -float(np.sum(weight * omega * np.angle(spectrum)) / max(float(np.sum(weight * omega**2)), 1e-30))
    if abs(late) >= 0.05:
        held.found["delay"] = "; ".join(filter(None, (held.found.get("delay"), f"{late:+.2f} samples")))
        shifted = np.fft.rfft(held.made) * np.exp(-1j * omega * late)
        held.made = np.fft.irfft(shifted, len(held.made))


def _undo_level(held: Held) -> None:
    import numpy as np

    a, b = (_below(x, held.rate, held.band) for x in (held.published, held.made))
    gain = float(np.dot(a, b) / max(float(np.dot(b, b)), 1e-30))
    decibels = 20 * np.log10(max(gain, 1e-9))
    if abs(decibels) > _LEVEL_DB:
        held.found["level"] = f"{decibels:+.3f} dB"
        held.gain = gain


def _below(samples: Array, rate: int, top: float | None) -> Array:
    """Take away what lies above a frequency."""
    import numpy as np

    if top is None:
        return samples
    spectrum = np.fft.rfft(samples)
    spectrum[int(top / rate * len(samples)) :] = 0
    kept: Array = np.fft.irfft(spectrum, len(samples))
    return kept


def undeclared(found: Mapping[Done, str], declared: tuple[Done, ...]) -> list[str]:
    """Say of what was found and nobody declared that the page did it."""
    return [
        f"the published file is {_WHAT[word]} ({text}), which is not declared; if the page says so: --page-did {word}"
        for word, text in found.items()
        if word not in declared
    ]


_WHAT: Mapping[Done, str] = {
    "resampled": "resampled", "lossy": "lossy", "level": "of another level", "delay": "delayed", "trimmed": "cut",
    "padded": "longer",
}  # fmt: skip
