"""What both forms of WORLD's analysis, for a processor and for a GPU, have in common."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALLOWED_JUMP", "DEFAULT_F0", "HIGHEST_F0", "LOWEST_F0", "band_edges", "fft_size_for"]

LOWEST_F0, HIGHEST_F0 = 71.0, 800.0
#: F0 that CheapTrick assumes where there is none.
DEFAULT_F0 = 500.0
#: Relative change of F0 between frames that DIO lets pass.
ALLOWED_JUMP = 0.1
_BANDS_PER_OCTAVE, _CUTOFF = 2.0, 50.0


def band_edges(rate: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """DIO's bands: upper edges in Hz, a quarter of each low-pass filter in samples; and half of its low-cut filter."""
    count = 1 + int(log(HIGHEST_F0 / LOWEST_F0) / log(2.0) * _BANDS_PER_OCTAVE)
    edges = LOWEST_F0 * 2.0 ** (np.arange(1, count + 1) / _BANDS_PER_OCTAVE)
    return edges, np.floor(rate / edges / 2.0 + 0.5).astype(np.int64), int(rate / _CUTOFF + 0.5)


def fft_size_for(rate: int) -> int:
    """CheapTrick's FFT size at which the lowest F0 is 71 Hz: 1024 at 16 kHz."""
    return int(2 ** (1 + int(log(3.0 * rate / LOWEST_F0 + 1.0) / log(2.0))))
