"""Loudness as ITU-R BS.1770 measures it, in torchaudio's rendering, and bringing audio to a loudness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BLOCK_SECONDS", "levelled", "loudness"]

#: Length of a block; three quarters of it are in the next one too.
BLOCK_SECONDS = 0.4
_OFFSET, _GATE, _BELOW = -0.691, -70.0, -10.0


def loudness(samples: NDArray[np.floating], sample_rate: int) -> float:
    """Measure the loudness of a mono recording.

    K-weighting (a shelf of 4 dB above 1.5 kHz, a high-pass at 38 Hz), mean power of blocks of 0.4 s, and the mean
    over blocks above -70 and then above that mean less 10. torchaudio clips what either filter gives at full scale,
    and its filters are designed at the sample rate in place of the standard's at 48 kHz; both are done here.

    Args:
        samples: (n,), full scale 1.
        sample_rate: in Hz.

    Returns:
        LKFS; minus infinity where no block is above -70.

    Raises:
        ValueError: shorter than a block.

    Source: ITU-R BS.1770-4, annex 1; the behaviour of ``torchaudio.functional.loudness`` 2.11.
    """
    import numpy as np

    block = round(BLOCK_SECONDS * sample_rate)
    if len(samples) < block:
        raise ValueError(f"{len(samples)} samples are less than the block of {block} that loudness is measured on")
    weighted = np.asarray(samples, dtype=np.float64)
    for numerator, denominator in (_shelf(sample_rate), _high_pass(sample_rate)):
        weighted = _filtered(weighted, numerator, denominator)
    power = np.lib.stride_tricks.sliding_window_view(weighted**2, block)[:: round(block / 4)].mean(axis=1)
    levels = _OFFSET + 10.0 * np.log10(np.maximum(power, np.finfo(np.float64).tiny))
    kept = levels > _GATE
    if not kept.any():
        return -math.inf
    kept &= levels > _OFFSET + 10.0 * math.log10(float(power[kept].mean())) + _BELOW
    return _OFFSET + 10.0 * math.log10(float(power[kept].mean()))


def levelled(samples: NDArray[np.float32], sample_rate: int, target: float) -> NDArray[np.float32]:
    """Bring a recording to a loudness by a gain; nothing is limited, so the peak may pass full scale.

    Args:
        samples: (n,), at least 0.4 s.
        sample_rate: in Hz.
        target: in LKFS.

    Returns:
        (n,), as it was where it is too quiet to be measured.

    Raises:
        ValueError: shorter than 0.4 s.
    """
    import numpy as np

    found = loudness(samples, sample_rate)
    if math.isinf(found):
        return samples
    scaled: NDArray[np.float32] = (samples * 10.0 ** ((target - found) / 20.0)).astype(np.float32)
    return scaled


def _filtered(samples: NDArray[np.float64], numerator: list[float], denominator: list[float]) -> NDArray[np.float64]:
    import numpy as np
    from scipy.signal import lfilter

    clipped: NDArray[np.float64] = np.clip(lfilter(numerator, denominator, samples), -1.0, 1.0)
    return clipped


def _shelf(sample_rate: int) -> tuple[list[float], list[float]]:
    """Design a high shelf of 4 dB at 1500 Hz with Q of 1 / sqrt(2) (Bristow-Johnson's cookbook)."""
    turn = 2.0 * math.pi * 1500.0 / sample_rate
    height = 10.0 ** (4.0 / 40.0)
    more, less, cosine = height + 1.0, height - 1.0, math.cos(turn)
    slope = 2.0 * math.sqrt(height) * math.sin(turn) / math.sqrt(2.0)
    return (
        [
            height * (more + less * cosine + slope),
            -2.0 * height * (less + more * cosine),
            height * (more + less * cosine - slope),
        ],
        [more - less * cosine + slope, 2.0 * (less - more * cosine), more - less * cosine - slope],
    )


def _high_pass(sample_rate: int) -> tuple[list[float], list[float]]:
    """Design a high-pass at 38 Hz with Q of 0.5 (Bristow-Johnson's cookbook)."""
    turn = 2.0 * math.pi * 38.0 / sample_rate
    alpha, cosine = math.sin(turn), math.cos(turn)
    return [(1.0 + cosine) / 2.0, -1.0 - cosine, (1.0 + cosine) / 2.0], [1.0 + alpha, -2.0 * cosine, 1.0 - alpha]
