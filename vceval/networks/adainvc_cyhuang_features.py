"""The front end of cyhuang-tw's AdaIN-VC: levelled speech without pauses, brightened, as the power of 80 mel bands.

Frames are (time, 80) at 16 kHz, 80 a second. Pauses are cut within the recording too, so timing is not kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from vceval.networks.dvector_features import cut_silence, levelled, resampled
from vceval.signal import spectral

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.signal.audio import Waveform

__all__ = ["BANDS", "FFT", "HOP", "SAMPLE_RATE", "WINDOW", "filters", "mel", "speech", "waveform"]

SAMPLE_RATE, BANDS = 16_000, 80
FFT, HOP, WINDOW = 2_048, 200, 800
_LOWEST, _FLOOR, _PREEMPHASIS = 50.0, 1e-9, 0.97
#: dB that become 1, and dB below it that become 0.
_REFERENCE_DB, _RANGE_DB = 20.0, 100.0
#: Griffin-Lim rounds, in place of a neural vocoder.
ROUNDS = 60


def speech(wave: Waveform) -> NDArray[np.float32]:
    """Bring a recording to 16 kHz and its peak to -3 dB of full scale, and cut silence everywhere, as SoX 14.4.2 does.

    Returns:
        (n,); nothing where it is silent, or nowhere loud for 0.1 s.
    """
    return cut_silence(levelled(resampled(wave.samples, wave.sample_rate)))


def mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn speech at 16 kHz into frames.

    Pre-emphasis 0.97; power of a Fourier transform of 2048 every 200 samples over a periodic Hann window of 800, the
    ends mirrored; 80 triangles of height 1 from 50 Hz to 8 kHz on HTK's scale; 20 log10, not below 1e-9;
    100 dB up to 20 dB become 0 to 1. As it is power that is taken for amplitude, values reach from -1 to about 1.5,
    and nothing is clipped.

    Args:
        samples: (n,), n > 1024.

    Returns:
        float32 (1 + n // 200, 80).
    """
    import numpy as np

    bright = spectral.preemphasis(samples, _PREEMPHASIS)
    power = spectral.magnitude(bright, FFT, HOP, spectral.hann(WINDOW, FFT), "reflect") ** 2
    level = 20.0 * np.log10(np.maximum(_FLOOR, power @ filters().T))
    frames: NDArray[np.float32] = ((level - _REFERENCE_DB + _RANGE_DB) / _RANGE_DB).astype(np.float32)
    return frames


def waveform(frames: NDArray[np.floating], rounds: int = ROUNDS) -> NDArray[np.float32]:
    """Make audio at 16 kHz from frames (time, 80) without the vocoder that the authors used.

    The scale of :func:`mel` is undone (values over 2 clipped), the filters are inverted in the least-squares sense
    (nothing below 0), then come the square root, as it is power, Griffin-Lim, and de-emphasis.
    """
    import numpy as np

    from vceval.signal.griffin_lim import griffin_lim

    level = np.minimum(np.asarray(frames, dtype=np.float64), 2.0) * _RANGE_DB - _RANGE_DB + _REFERENCE_DB
    power = np.maximum(10.0 ** (0.05 * level) @ _inverse(), 0.0)
    raw = griffin_lim(np.sqrt(power), HOP, spectral.hann(WINDOW, FFT), rounds)
    samples: NDArray[np.float32] = spectral.deemphasis(raw, _PREEMPHASIS).astype(np.float32)
    return samples


@lru_cache(maxsize=1)
def filters() -> NDArray[np.float32]:
    """Mel filters (80, 1025)."""
    return spectral.mel_filters(SAMPLE_RATE, FFT, BANDS, _LOWEST, SAMPLE_RATE / 2, "htk", area=False)


@lru_cache(maxsize=1)
def _inverse() -> NDArray[np.float64]:
    import numpy as np

    inverse: NDArray[np.float64] = np.linalg.pinv(filters().astype(np.float64)).T
    return inverse
