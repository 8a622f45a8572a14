"""The front end of CAM++: Kaldi's filterbank of 80 bands, each less its mean over the recording."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BANDS", "LEAST", "SAMPLE_RATE", "filter_bank", "frames", "mel_filters", "povey"]

SAMPLE_RATE = 16_000
BANDS = 80
_WINDOW, _HOP, _FFT = 400, 160, 512
#: Fewer samples than three frames have give no number at all: deviations over time are taken of every second one.
LEAST = _WINDOW + 2 * _HOP
_LOWEST, _HIGHEST, _EMPHASIS = 20.0, 8000.0, 0.97
#: The least energy, that of float32's rounding.
_FLOOR = 1.1920928955078125e-07


def frames(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn samples into the network's input: :func:`filter_bank`, each band less its mean over time.

    Args:
        samples: (n,) at 16 kHz, full scale 1, n at least :data:`LEAST`.

    Returns:
        float32 (1 + (n - 400) // 160, 80).
    """
    import numpy as np

    bank = filter_bank(samples)
    centred: NDArray[np.float32] = bank - bank.mean(axis=0, dtype=np.float64).astype(np.float32)
    return centred


def filter_bank(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Natural logarithm of the energy in 80 mel bands, 25 ms every 10 ms, nothing beyond the ends, no dither.

    Every frame is freed from its mean and pre-emphasised by itself. The floor of the energy is that of samples of full
    scale 1: speech that is quiet sits on it more often, so level matters.

    Args:
        samples: (n,) at 16 kHz, full scale 1, n at least 400.

    Returns:
        float32 (1 + (n - 400) // 160, 80).

    Source: Povey et al., "The Kaldi speech recognition toolkit", ASRU 2011, and its ``compute-fbank-feats``.
    """
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    parts = np.lib.stride_tricks.sliding_window_view(values, _WINDOW)[::_HOP]
    parts = parts - parts.mean(axis=1, keepdims=True)
    emphasised = parts - _EMPHASIS * np.concatenate([parts[:, :1], parts[:, :-1]], axis=1)
    spectra = np.fft.rfft(emphasised * povey(), n=_FFT, axis=1)
    energies = (spectra.real**2 + spectra.imag**2) @ mel_filters().T
    bank: NDArray[np.float32] = np.log(np.maximum(energies, _FLOOR)).astype(np.float32)
    return bank


@lru_cache(maxsize=1)
def povey() -> NDArray[np.float64]:
    """Kaldi's default window of 400 samples: a symmetric Hann window to the power of 0.85."""
    import numpy as np

    window: NDArray[np.float64] = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_WINDOW) / (_WINDOW - 1))) ** 0.85
    window.setflags(write=False)
    return window


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """Triangles (80, 257) of height 1 from 20 Hz to 8 kHz, their sides straight on the mel scale and not in Hz."""
    import numpy as np

    ends = _mel(np.array([_LOWEST, _HIGHEST]))
    corners = np.linspace(ends[0], ends[1], BANDS + 2)
    places = _mel(np.linspace(0.0, SAMPLE_RATE / 2.0, _FFT // 2 + 1))
    lower, centre, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    sides = np.minimum((places - lower) / (centre - lower), (upper - places) / (upper - centre))
    filters: NDArray[np.float64] = np.maximum(0.0, sides)
    filters[:, -1] = 0.0  # half the sample rate has no weight
    filters.setflags(write=False)
    return filters


def _mel(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    mels: NDArray[np.float64] = 1127.0 * np.log(1.0 + frequencies / 700.0)
    return mels
