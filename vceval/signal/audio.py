"""Reading, resampling and writing of audio: the one place for sample rates and file formats."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from vceval.errors import ItemError
from vceval.storage.files import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MAX_RATE", "MIN_RATE", "MIN_SECONDS", "Waveform", "duration", "load", "resample", "write_flac"]

#: Sample rates outside of this range are refused, not resampled silently.
MIN_RATE, MAX_RATE = 8_000, 96_000
#: Shorter recordings hold no speech that could be scored.
MIN_SECONDS = 0.1
#: Peak below which a recording counts as silent (-80 dB of full scale).
SILENCE_PEAK = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono audio: ``samples`` float32 of shape (n,), full scale 1.0, at ``sample_rate`` Hz."""

    samples: NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


def load(path: str | os.PathLike[str], sample_rate: int | None = None, *, allow_silence: bool = False) -> Waveform:
    """Read an audio file as mono, resampled to ``sample_rate`` where one is given.

    Channels are averaged. Integer formats are scaled to full scale 1.0, float formats taken as they are.

    Raises:
        ItemError: the file is missing, unreadable, cut short, empty, shorter than 0.1 s, silent, holds NaN or
            infinite samples, or its rate lies outside of 8 to 96 kHz.
    """
    import numpy as np
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise ItemError(f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as handle:
            rate, expected = handle.samplerate, handle.frames
            samples = handle.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise ItemError(f"{path}: can't be read as audio ({error})") from error
    if len(samples) < expected:
        raise ItemError(f"{path}: cut short: {len(samples)} of {expected} frames could be read")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ItemError(f"{path}: sample rate {rate} Hz lies outside of {MIN_RATE} to {MAX_RATE} Hz")
    if not len(samples):
        raise ItemError(f"{path}: holds no samples")
    if len(samples) < MIN_SECONDS * rate:
        raise ItemError(f"{path}: only {len(samples) / rate:.3f} s long; at least {MIN_SECONDS} s are needed")
    if not np.isfinite(samples).all():
        raise ItemError(f"{path}: holds NaN or infinite samples")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not allow_silence and float(np.max(np.abs(mono))) < SILENCE_PEAK:
        raise ItemError(f"{path}: silent (peak below {SILENCE_PEAK:g} of full scale)")
    wave = Waveform(np.ascontiguousarray(mono), rate)
    return wave if sample_rate is None else resample(wave, sample_rate)


def resample(wave: Waveform, sample_rate: int) -> Waveform:
    """Change the sample rate with soxr (HQ); the result has ceil(n * new / old) samples, as librosa gives.

    The length rule matters: one sample more or less at the end moves frame counts, and with them MCD.
    """
    import numpy as np
    import soxr

    if wave.sample_rate == sample_rate:
        return wave
    wanted = ceil(len(wave.samples) * sample_rate / wave.sample_rate)
    samples = soxr.resample(wave.samples, wave.sample_rate, sample_rate, quality="HQ")
    fixed = samples[:wanted] if len(samples) >= wanted else np.pad(samples, (0, wanted - len(samples)))
    return Waveform(np.ascontiguousarray(fixed, dtype=np.float32), sample_rate)


def duration(path: str | os.PathLike[str]) -> float:
    """Length of a file in seconds, read from its header.

    Raises:
        ItemError: the file is missing or not audio.
    """
    import soundfile

    if not Path(path).is_file():
        raise ItemError(f"{path}: no such file")
    try:
        return float(soundfile.info(str(path)).duration)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise ItemError(f"{path}: can't be read as audio ({error})") from error


def write_flac(path: str | os.PathLike[str], wave: Waveform) -> float:
    """Write 24-bit FLAC under a temporary name, then rename: a half-written file never bears the name.

    FLAC can't hold values over full scale: louder audio is scaled down as a whole, never clipped.

    Returns:
        The gain that was applied, 1.0 for audio within full scale.

    Raises:
        ItemError: the samples are empty, not finite, not mono or not at a rate that FLAC holds.
        OSError: there is no room, or the folder can't be written to.
    """
    import numpy as np
    import soundfile

    path = Path(path)
    samples = np.asarray(wave.samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise ItemError(f"converted audio must be mono and not empty, got shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ItemError("converted audio holds NaN or infinite samples")
    peak = float(np.max(np.abs(samples)))
    gain = 1.0 if peak <= 1.0 else 0.999 / peak
    encoded = io.BytesIO()  # libsndfile does not say why a file can't be written
    try:
        soundfile.write(encoded, samples * np.float32(gain), wave.sample_rate, format="FLAC", subtype="PCM_24")
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise ItemError(f"{path}: can't be written as FLAC at {wave.sample_rate} Hz ({error})") from error
    with replacing(path) as stream:
        stream.write(encoded.getbuffer())
    return gain
