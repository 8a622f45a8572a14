"""Loudness of a recording, and the level at which all recordings of a test can be equally loud."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["common_level", "loudness"]

#: Rate at which the standard gives its filters, Hz.
RATE = 48_000
#: The K-weighting: a shelf for the head, then a high-pass; numerator and denominator of each.
_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
#: Blocks of 400 ms that overlap by three quarters.
_BLOCK, _STEP = RATE * 2 // 5, RATE // 10
#: Blocks below this loudness, and then those this far below the mean of the others, do not count.
_ABSOLUTE, _RELATIVE = -70.0, -10.0


def loudness(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Integrated loudness of a mono recording in LUFS; a sine of 997 Hz at full scale has -3.01.

    Pauses do not count (gating). A recording shorter than one block of 0.4 s is taken as one block, padded
    with silence. Digital silence gives minus infinity.

    Source: ITU-R BS.1770-4, annex 1.
    """
    import numpy as np
    from scipy.signal import lfilter

    from vceval.signal.audio import Waveform, resample

    heard = resample(Waveform(samples, sample_rate), RATE).samples.astype(np.float64)
    for numerator, denominator in _WEIGHTING:
        heard = lfilter(numerator, denominator, heard)
    if len(heard) < _BLOCK:
        heard = np.pad(heard, (0, _BLOCK - len(heard)))
    sums = np.concatenate([[0.0], np.cumsum(heard**2)])
    starts = np.arange(0, len(heard) - _BLOCK + 1, _STEP)
    power = (sums[starts + _BLOCK] - sums[starts]) / _BLOCK
    power = power[power > 10 ** ((_ABSOLUTE + 0.691) / 10)]
    if not len(power):
        return -np.inf
    power = power[power > power.mean() * 10 ** (_RELATIVE / 10)]
    return float(10 * np.log10(power.mean()) - 0.691)


def common_level(wanted: float, recordings: Iterable[tuple[float, float]], ceiling: float = -1.0) -> float:
    """Find the loudness at which no recording's peak passes ``ceiling`` (dB of full scale), at most ``wanted``.

    Args:
        wanted: loudness in LUFS.
        recordings: loudness in LUFS and peak (1.0 is full scale) of each.
        ceiling: in dB of full scale.
    """
    from math import log10

    return min([wanted, *(ceiling - 20 * log10(peak) + level for level, peak in recordings if peak > 0)])
