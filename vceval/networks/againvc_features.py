"""Front ends of AGAIN-VC and of MelGAN, its vocoder: log mel spectra at 22.05 kHz that are nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vceval.signal import spectral

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BANDS", "FFT_SIZE", "HOP", "SAMPLE_RATE", "TRIM_DB", "againvc_mel", "melgan_mel", "trimmed"]

SAMPLE_RATE = 22_050
FFT_SIZE, HOP, BANDS = 1024, 256, 80
#: Ends of a recording that are this much quieter than its loudest part are cut.
TRIM_DB = 20.0
#: AGAIN-VC itself has no floor and yields NaN on digital silence; MelGAN was trained with one.
_FLOOR, _MELGAN_FLOOR = 1e-10, 1e-5


def trimmed(
    samples: NDArray[np.floating], padding: Literal["reflect", "zeros"] = "reflect"
) -> tuple[NDArray[np.floating], tuple[int, int]]:
    """Cut quiet ends: frames of 2048 samples every 512 whose RMS is more than 20 dB below the loudest one's.

    Args:
        samples: (n,) at 22.05 kHz.
        padding: what the outer frames see beyond the ends: mirrored audio, as librosa up to 0.9, or zeros, as later.

    Returns:
        What is left, and where it starts and ends; nothing is left of silence.
    """
    start, end = spectral.trim(samples, TRIM_DB, padding=padding)
    return samples[start:end], (start, end)


def againvc_mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log mel spectrum that AGAIN-VC takes and makes.

    Samples are clipped to full scale; frames of 1024 samples (periodic Hann) stand at multiples of 256, the audio
    mirrored at both ends; magnitudes, not powers, are summed by 80 Slaney filters from 0 to 11 025 Hz. The
    authors' code takes the logarithm of zero where there is digital silence; here the floor is 1e-10.

    Args:
        samples: (n,) at 22.05 kHz, n > 512.

    Returns:
        (80, 1 + n // 256), log10, not normalised.

    Raises:
        ValueError: the audio is too short to be mirrored.
    """
    import numpy as np

    clipped = np.clip(np.asarray(samples, dtype=np.float64), -1.0, 1.0)
    return _log_mel(spectral.magnitude(clipped, FFT_SIZE, HOP), _FLOOR)


def melgan_mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log mel spectrum that MelGAN was trained on.

    As :func:`againvc_mel`, but 384 samples are mirrored at each end, so that frames are centred between the hops of
    256 samples, nothing is clipped, and the floor is 1e-5.

    Args:
        samples: (n,) at 22.05 kHz, n > 384.

    Returns:
        (80, n // 256), log10.

    Raises:
        ValueError: the audio is too short to be mirrored.
    """
    pad = (FFT_SIZE - HOP) // 2
    return _log_mel(spectral.magnitude(samples, FFT_SIZE, HOP, pad=pad), _MELGAN_FLOOR)


def _log_mel(magnitudes: NDArray[np.float64], floor: float) -> NDArray[np.float32]:
    import numpy as np

    bands = spectral.mel_filters(SAMPLE_RATE, FFT_SIZE, BANDS) @ magnitudes.T
    logarithm: NDArray[np.float32] = np.log10(np.maximum(floor, bands)).astype(np.float32)
    return logarithm
