"""AutoVC's front end: high-passed speech as a mel spectrogram in 0..1, and a way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vceval.signal.spectral import hann, magnitude, mel_filters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FFT", "HOP", "LEVEL", "MINIMUM", "SAMPLE_RATE", "mel_spectrogram", "pad_frames", "waveform"]

SAMPLE_RATE = 16_000
FFT, HOP = 1024, 256
#: Fewest samples that can be mirrored at the ends.
MINIMUM = FFT // 2 + 1
#: Factor on the waveform after the high-pass.
LEVEL = 0.96
_BANDS, _LOWEST, _HIGHEST = 80, 90.0, 7_600.0
#: Order and corner in Hz of the high-pass; floor of the magnitude; decibels taken off, and those that stand for 0..1.
_ORDER, _CORNER, _FLOOR, _REFERENCE, _RANGE = 5, 30.0, 1e-5, 16.0, 100.0
#: Updates on the way from mel bands to bins; what they start from at least, of the loudest band; no divisor below.
_UPDATES, _LEAST, _TINY = 30, 1e-8, 1e-12


def mel_spectrogram(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute AutoVC's mel spectrogram.

    A Butterworth high-pass of order 5 at 30 Hz, run forwards and backwards; times 0.96; magnitude over a periodic
    Hann window of 1024 samples every 256, centred, the ends mirrored by 512; 80 mel bands (Slaney, area 1) from 90 Hz
    to 7.6 kHz; 20 log10 with a floor of 1e-5, less 16 dB, plus 100, over 100, clipped to 0..1. The authors also add
    noise of 1e-6 peak to peak; it stays 35 dB below that floor, so it is left out.

    Args:
        samples: (n,) at 16 kHz, at least 513.

    Returns:
        (1 + n // 256, 80).

    Raises:
        ValueError: there are too few samples.
    """
    import numpy as np
    from scipy.signal import butter, filtfilt

    if len(samples) < MINIMUM:
        raise ValueError(f"{len(samples)} samples are too few; at least {MINIMUM} are needed")
    numerator, denominator = butter(_ORDER, _CORNER / (SAMPLE_RATE / 2.0), btype="high")
    filtered = LEVEL * filtfilt(numerator, denominator, np.asarray(samples, dtype=np.float64))
    filters = mel_filters(SAMPLE_RATE, FFT, _BANDS, _LOWEST, _HIGHEST)
    mel = magnitude(filtered, FFT, HOP) @ filters.T
    decibels = 20.0 * np.log10(np.maximum(_FLOOR, mel)) - _REFERENCE
    scaled: NDArray[np.float32] = np.clip((decibels + _RANGE) / _RANGE, 0.0, 1.0).astype(np.float32)
    return scaled


def pad_frames(mel: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Append frames of zeros until their number is a multiple; none where it is one already."""
    import numpy as np

    return np.pad(mel, ((0, -len(mel) % multiple), (0, 0)))


def waveform(mel: NDArray[np.floating], rounds: int) -> NDArray[np.float32]:
    """Make a waveform from a mel spectrogram (frames, 80) without a trained vocoder: Griffin-Lim, so it sounds poor.

    Scaling is undone; magnitudes that are not negative and give the mel bands are found from the filters'
    pseudo-inverse by 30 multiplicative updates; phases by Griffin-Lim.

    Args:
        mel: (frames, 80) in 0..1, at least 4 frames.
        rounds: of Griffin-Lim.

    Returns:
        ((frames - 1) * 256,) at 16 kHz.

    Source: Lee, Seung, "Algorithms for non-negative matrix factorization", NIPS 2000, theorem 1.
    """
    import numpy as np

    from vceval.signal.griffin_lim import griffin_lim

    decibels = np.asarray(mel, dtype=np.float64) * _RANGE - _RANGE + _REFERENCE
    filters = mel_filters(SAMPLE_RATE, FFT, _BANDS, _LOWEST, _HIGHEST).astype(np.float64)
    bands = 10.0 ** (decibels / 20.0)
    linear = np.maximum(_LEAST * bands.max(), bands @ np.linalg.pinv(filters).T)
    wanted, overlap = bands @ filters, filters.T @ filters
    for _ in range(_UPDATES):
        linear *= wanted / np.maximum(linear @ overlap, _TINY)
    samples: NDArray[np.float32] = griffin_lim(linear, HOP, hann(FFT), rounds) / np.float32(LEVEL)
    return samples
