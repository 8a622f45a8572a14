"""Front end of VQMIVC: normalised log mel spectrum and normalised log F0 at 16 kHz, 100 frames a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vceval.signal import spectral, world
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HOP", "SAMPLE_RATE", "Pitch", "levelled", "log_mel", "normalised", "pitch"]

SAMPLE_RATE = 16_000
FFT_SIZE, HOP, BANDS = 400, 160, 80
_LOWEST, _HIGHEST, _FLOOR, _EPSILON = 80.0, 7_600.0, 1e-10, 1e-8


class Pitch(NamedTuple):
    """Pitch of a recording: ``f0`` in Hz, and ``log_f0``, normalised; both (frames,), 0 where unvoiced."""

    f0: NDArray[np.float32]
    log_f0: NDArray[np.float32]


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide by the peak where it is above full scale; else leave the samples as they are."""
    import numpy as np

    peak = np.max(np.abs(samples), initial=np.float32(0.0))
    return samples / peak if peak > 1.0 else samples


def log_mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Log mel spectrum: frames of 400 samples (periodic Hann) every 160, the audio mirrored at both ends.

    Magnitudes, not powers, are summed by 80 Slaney filters from 80 to 7600 Hz; not below 1e-10.

    Args:
        samples: (n,) at 16 kHz, n > 200.

    Returns:
        (1 + n // 160, 80), log10.

    Raises:
        ValueError: the audio is too short to be mirrored.
    """
    import numpy as np

    filters = spectral.mel_filters(SAMPLE_RATE, FFT_SIZE, BANDS, _LOWEST, _HIGHEST)
    bands = spectral.magnitude(samples, FFT_SIZE, HOP) @ filters.T
    logarithm: NDArray[np.float32] = np.log10(np.maximum(_FLOOR, bands)).astype(np.float32)
    return logarithm


def normalised(
    mel: NDArray[np.float32], mean: NDArray[np.floating], deviation: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Subtract each band's mean and divide by its deviation, as published with the vocoder.

    Args:
        mel: (frames, 80), log10.
        mean: (80,).
        deviation: (80,).
    """
    import numpy as np

    scaled: NDArray[np.float32] = ((mel - mean) / (deviation + _EPSILON)).astype(np.float32)
    return scaled


def pitch(samples: NDArray[np.floating], frames: int) -> Pitch:
    """Estimate F0 by DIO and StoneMask every 10 ms, 71 to 800 Hz, and normalise its logarithm.

    The natural logarithm of the voiced frames gets mean 0 and deviation 1 over this recording; unvoiced frames are 0,
    which is also the mean. A recording without voiced frames gives zeros only.

    Args:
        samples: (n,) at 16 kHz.
        frames: of the mel spectrum; the pitch is cut to it, or gets unvoiced frames at the end.
    """
    import numpy as np

    wave = Waveform(np.asarray(samples, dtype=np.float32), SAMPLE_RATE)
    f0 = world.world_f0(wave, 1000.0 * HOP / SAMPLE_RATE)[0][:frames].astype(np.float32)
    f0 = np.pad(f0, (0, frames - len(f0)))
    voiced = f0 > 0
    log_f0 = np.zeros_like(f0)
    if voiced.any():
        values = np.log(f0[voiced])
        log_f0[voiced] = (values - values.mean()) / (values.std() + np.float32(_EPSILON))
    return Pitch(f0, log_f0)
