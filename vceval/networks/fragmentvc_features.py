"""Front end of FragmentVC: level, trimming, and the log-mel spectrogram that its vocoder reads as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vceval.signal import vad
from vceval.signal.spectral import hann, magnitude, mel_filters, preemphasis, trim

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HOP", "SAMPLE_RATE", "log_mel", "scaled", "trimmed", "trimmed_by_level"]

SAMPLE_RATE = 16_000
HOP = 326


def scaled(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bring the peak of (n,) samples to 1: divided by the largest absolute value plus 1e-6, float32."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float32)
    result: NDArray[np.float32] = values / np.float32(np.abs(values).max(initial=0.0) + 1e-6)
    return result


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut both ends at the first voice that SoX's detector hears, (m,) float32; empty where it hears none.

    The effects, as in the authors' ``convert.py``: norm, vad, norm, reverse, vad, reverse; trigger level 7, time
    0.25 s, search 1 s, gap 0.25 s, nothing kept ahead. 16 kHz.
    """
    import numpy as np

    result: NDArray[np.float32] = np.ascontiguousarray(
        vad.trim_ends(samples, SAMPLE_RATE, normalise=True), dtype=np.float32
    )
    return result


def trimmed_by_level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut both ends where they are 25 dB below the loudest frame, as the authors' ``convert_batch.py`` does to sources.

    Frames of 512 samples every 128, mirrored ends; 0.1 s is kept at either end; what would leave 1000 samples or less
    is not cut. (n,) at 16 kHz to (m,).
    """
    start, end = trim(samples, 25.0, 512, 128, "reflect")
    start, end = max(start - SAMPLE_RATE // 10, 0), min(end + SAMPLE_RATE // 10, len(samples))
    return samples[start:end] if end - start > 1000 else samples


def log_mel(
    samples: NDArray[np.floating],
    fft_size: int = 1304,
    hop: int = HOP,
    window: int = 1304,
    low: float = 80.0,
) -> NDArray[np.float32]:
    """Compute the log-mel spectrogram of 16 kHz audio.

    Pre-emphasis 0.97, frames centred with mirrored ends, periodic Hann window, magnitude, 80 Slaney mel filters of area
    1 from ``low`` to 8000 Hz, natural logarithm of the value plus 1e-9.

    Args:
        samples: (n,) with a peak of 1; n greater than half of ``fft_size``.
        fft_size: samples of a frame.
        hop: samples between frames.
        window: samples of the window.
        low: lower edge of the filters in Hz.

    Returns:
        (1 + n // hop, 80) float32.

    Raises:
        ValueError: the audio is too short to be mirrored.
    """
    import numpy as np

    spectrum = magnitude(preemphasis(samples), fft_size, hop, hann(window, fft_size))
    filters = mel_filters(SAMPLE_RATE, fft_size, 80, low, 8000.0)
    result: NDArray[np.float32] = np.log(spectrum @ filters.T.astype(np.float64) + 1e-9).astype(np.float32)
    return result
