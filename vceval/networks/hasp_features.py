"""The front end of YourTTS's speaker encoder: level, windows of 2.5 s, pre-emphasis, log-mel, norm per band."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from vceval.signal.spectral import mel_filters, stft

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "MINIMUM",
    "SAMPLE_RATE",
    "WINDOW",
    "WINDOWS",
    "cut",
    "features",
    "filters",
    "log_mel",
    "mel",
    "normalise",
    "preemphasis",
    "to_level",
]

SAMPLE_RATE = 16_000
#: Samples of a window, and windows of an utterance.
WINDOW, WINDOWS = 40_000, 10
FFT, SPAN, HOP, BANDS, COEFFICIENT = 512, 400, 160, 64, 0.97
#: Fewest samples that can be mirrored at the ends.
MINIMUM = FFT // 2 + 1
_OFFSET, _EPSILON = 1e-6, 1e-5


def to_level(samples: NDArray[np.floating], decibels: float = -27.0) -> NDArray[np.float64]:
    """Scale audio to an RMS level in decibels of full scale; nothing is clipped.

    Raises:
        ValueError: it is digital silence.
    """
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    level = float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
    if level <= 0.0:
        raise ValueError("digital silence has no level")
    scaled: NDArray[np.float64] = values * (10.0 ** (decibels / 20.0) / level)
    return scaled


def cut(samples: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cut an utterance into 10 windows of 40,000 samples, their starts evenly spaced from first to last.

    Up to 40,000 samples are one window of their own length (the authors take it ten times, which gives the same).

    Returns:
        (windows, samples of a window).
    """
    import numpy as np

    if len(samples) <= WINDOW:
        return samples[None]
    starts = np.linspace(0, len(samples) - WINDOW, WINDOWS).astype(int)
    return np.stack([samples[start : start + WINDOW] for start in starts])


def preemphasis(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Filter y[n] = x[n] - 0.97 x[n-1], the start mirrored: x[1] stands before x[0]."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    return values - COEFFICIENT * np.concatenate([values[1:2], values[:-1]])


@lru_cache(maxsize=1)
def window() -> NDArray[np.float64]:
    """Make a periodic Hamming window of 400 samples, zeros on both sides up to 512."""
    import numpy as np

    hamming = 0.54 - 0.46 * np.cos(2.0 * np.pi * np.arange(SPAN) / SPAN)
    padded: NDArray[np.float64] = np.pad(hamming, (FFT - SPAN) // 2)
    padded.setflags(write=False)
    return padded


def filters() -> NDArray[np.float32]:
    """Give the mel filters (64, 257): HTK's scale, 0 to 8 kHz, height 1."""
    return mel_filters(SAMPLE_RATE, FFT, BANDS, scale="htk", area=False)


def mel(emphasised: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the mel power spectrum: frames of 512 samples every 10 ms under :func:`window`, centred, ends mirrored.

    Args:
        emphasised: (n,) at 16 kHz, at least 257, after :func:`preemphasis`.

    Returns:
        (64, 1 + n // 160).

    Raises:
        ValueError: there are too few samples.
    """
    import numpy as np

    power: NDArray[np.float64] = filters().astype(np.float64) @ np.abs(stft(emphasised, FFT, HOP, window())).T ** 2
    return power


def log_mel(power: NDArray[np.floating]) -> NDArray[np.float64]:
    """Take the natural logarithm of a mel power spectrum plus 1e-6."""
    import numpy as np

    logarithm: NDArray[np.float64] = np.log(power + _OFFSET)
    return logarithm


def normalise(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bring every band of (64, frames) to mean 0 and variance 1 over time (biased variance plus 1e-5)."""
    import numpy as np

    centred = frames - frames.mean(axis=1, keepdims=True)
    normal: NDArray[np.float64] = centred / np.sqrt(frames.var(axis=1, keepdims=True) + _EPSILON)
    return normal


def features(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn one window into what the network takes: pre-emphasis, mel power, logarithm, norm per band.

    Args:
        samples: (n,) at 16 kHz, at least 257, already at its level (:func:`to_level`).

    Returns:
        (64, 1 + n // 160).

    Raises:
        ValueError: there are too few samples.
    """
    import numpy as np

    normal: NDArray[np.float32] = normalise(log_mel(mel(preemphasis(samples)))).astype(np.float32)
    return normal
