"""The front end of AdaIN-VC as published: speech without quiet ends, brightened, as 512 mel bands on a scale of 0 to 1.

Frames are (time, 512) at 24 kHz, 80 a second. The way back is in :mod:`vceval.signal.griffin_lim`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from vceval.signal import spectral
from vceval.signal.audio import Waveform, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BANDS",
    "FFT",
    "HOP",
    "SAMPLE_RATE",
    "WINDOW",
    "amplitude",
    "linear_magnitude",
    "mel",
    "speech",
    "waveform",
]

SAMPLE_RATE, BANDS = 24_000, 512
FFT, HOP, WINDOW = 2_048, 300, 1_200
#: Ends this many dB below the loudest frame are cut: of the input, of the output.
TRIM_DB, OUTPUT_TRIM_DB = 15.0, 60.0
PREEMPHASIS = 0.97
#: dB that become 1, dB below it that become 0, least value of the scale, least amplitude.
REFERENCE_DB, RANGE_DB, _LOWEST, _FLOOR = 20.0, 100.0, 1e-8, 1e-5
#: Griffin-Lim rounds of the authors.
ROUNDS = 100


def speech(wave: Waveform) -> NDArray[np.float64]:
    """Bring a recording to 24 kHz and cut its ends where they are 15 dB below the loudest frame.

    Returns:
        (n,) full scale 1; nothing where the recording is silent. No levelling.
    """
    samples = resample(wave, SAMPLE_RATE).samples
    first, last = spectral.trim(samples, TRIM_DB)
    kept: NDArray[np.float64] = samples[first:last].astype("float64")
    return kept


def mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn trimmed speech at 24 kHz into frames.

    Pre-emphasis 0.97; magnitude of a Fourier transform of 2048 every 300 samples over a periodic Hann window of 1200,
    the ends mirrored; 512 triangles of area 1 up to 12 kHz on Slaney's scale; 20 log10, not below 1e-5;
    100 dB up to 20 dB become 0 to 1, and what lies outside is clipped.

    Args:
        samples: (n,), n > 1024.

    Returns:
        float32 (1 + n // 300, 512) from 1e-8 to 1, before the mean and deviation that come with a model.
    """
    import numpy as np

    bright = spectral.preemphasis(samples, PREEMPHASIS)
    magnitude = spectral.magnitude(bright, FFT, HOP, spectral.hann(WINDOW, FFT), "reflect")
    level = 20.0 * np.log10(np.maximum(_FLOOR, magnitude @ _filters().T))
    frames: NDArray[np.float32] = np.clip((level - REFERENCE_DB + RANGE_DB) / RANGE_DB, _LOWEST, 1.0).astype(np.float32)
    return frames


def amplitude(frames: NDArray[np.floating]) -> NDArray[np.float32]:
    """Undo the scale of :func:`mel`, values outside of 0 to 1 clipped: mel amplitude, same shape."""
    import numpy as np

    level = np.clip(np.asarray(frames, dtype=np.float32), 0.0, 1.0) * RANGE_DB - RANGE_DB + REFERENCE_DB
    mel_amplitude: NDArray[np.float32] = np.power(np.float32(10.0), level * np.float32(0.05))
    return mel_amplitude


def linear_magnitude(frames: NDArray[np.floating]) -> NDArray[np.float32]:
    """Spread frames of :func:`mel` over the bins of the Fourier transform: (time, 512) to (time, 1025).

    The filters' transpose takes the place of their inverse, each band divided by what it has in common with all bands.
    Single precision, as upstream: Griffin-Lim makes much of small differences.
    """
    spread: NDArray[np.float32] = amplitude(frames) @ _spreading()
    return spread


def waveform(frames: NDArray[np.floating], rounds: int = ROUNDS) -> NDArray[np.float32]:
    """Make audio at 24 kHz from frames (time, 512) on the scale of 0 to 1.

    Griffin-Lim, de-emphasis, ends cut that are 60 dB below the loudest frame. Peaks may be over full scale.
    """
    from vceval.signal.griffin_lim import griffin_lim

    return finished(griffin_lim(linear_magnitude(frames), HOP, spectral.hann(WINDOW, FFT), rounds))


def finished(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Undo the pre-emphasis and cut the ends where they are 60 dB below the loudest frame."""
    dark = spectral.deemphasis(samples, PREEMPHASIS)
    first, last = spectral.trim(dark, OUTPUT_TRIM_DB)
    kept: NDArray[np.float32] = dark[first:last].astype("float32")
    return kept


def _filters() -> NDArray[np.float32]:
    return spectral.mel_filters(SAMPLE_RATE, FFT, BANDS)


@lru_cache(maxsize=1)
def _spreading() -> NDArray[np.float32]:
    import numpy as np

    filters = _filters()
    shared = (filters @ filters.T).sum(axis=0)
    # As upstream: sums that are next to nothing are multiplied by, where the others are divided by
    fair = np.abs(shared) > 1e-8
    scale = np.where(fair, 1.0 / np.where(fair, shared, 1.0), shared)
    spreading: NDArray[np.float32] = scale[:, None] * filters
    return spreading
