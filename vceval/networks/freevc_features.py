"""The front end of FreeVC's target speech: edges cut at 20 dB; for FreeVC-s then 80 log-mel bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vceval.signal.spectral import mel_filters, stft, trim

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MIN_SAMPLES", "SAMPLE_RATE", "log_mel", "trimmed"]

SAMPLE_RATE = 16_000
_FFT, _HOP, _BANDS, _FLOOR = 1280, 320, 80, 1e-5
#: Mirrored on each side, so that n // 320 frames come out.
_PAD = (_FFT - _HOP) // 2
#: Fewer can't be mirrored.
MIN_SAMPLES = _PAD + 1


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the ends that are more than 20 dB below the loudest frame (RMS of 2048 samples, every 512, ends mirrored).

    Args:
        samples: (n,) at 16 kHz.

    Returns:
        A slice of it; empty where there is nothing but zeros.

    Source: the behaviour of ``librosa.effects.trim`` 0.8.1, the release that FreeVC names.
    """
    start, end = trim(samples, 20.0)
    return samples[start:end]


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn target speech into what FreeVC-s's speaker encoder takes.

    Periodic Hann window of 80 ms every 20 ms, 480 samples mirrored on each side, no centring; magnitude
    sqrt(re^2 + im^2 + 1e-6); 80 Slaney mel bands of area 1 from 0 to 8 kHz; natural logarithm, not below ln(1e-5).

    Args:
        samples: (n,) at 16 kHz, full scale 1, n > 480.

    Returns:
        float32 (n // 320, 80).

    Raises:
        ValueError: too short.
    """
    import numpy as np

    spectrum = stft(samples, _FFT, _HOP, pad=_PAD)
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-6)
    bands = magnitude @ mel_filters(SAMPLE_RATE, _FFT, _BANDS).T
    logarithm: NDArray[np.float32] = np.log(np.maximum(bands, _FLOOR)).astype(np.float32)
    return logarithm
