"""What seed-tts-eval brings recordings to 16 kHz by: a sinc of six crossings under a Hann window, as torchaudio's."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["resampled"]

_CROSSINGS, _ROLL_OFF = 6, 0.99


def resampled(samples: NDArray[np.float32], source_rate: int, target_rate: int = 16_000) -> NDArray[np.float32]:
    """Bring samples (n,) to another rate: ceil(n * target / source) of them, zeros beyond both ends.

    It cuts at 0.99 of half the lower rate. SoX and polyphase filters differ slightly from it.
    """
    import numpy as np

    if source_rate == target_rate:
        return samples
    common = gcd(source_rate, target_rate)
    old, new = source_rate // common, target_rate // common
    kernel, width = _kernel(old, new)
    padded = np.pad(np.asarray(samples, dtype=np.float32), (width, width + old))
    parts = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1])[::old]
    length = ceil(new * len(samples) / old)
    moved: NDArray[np.float32] = (parts @ kernel.T).reshape(-1)[:length]
    return moved


@lru_cache(maxsize=8)
def _kernel(old: int, new: int) -> tuple[NDArray[np.float32], int]:
    """A filter for each of ``new`` phases, (new, 2 * width + old), and how far it reaches to the left."""
    import numpy as np

    base = min(old, new) * _ROLL_OFF
    width = ceil(_CROSSINGS * old / base)
    places = np.arange(-width, width + old) / old
    times = np.clip((places[None] - np.arange(new)[:, None] / new) * base, -_CROSSINGS, _CROSSINGS)
    window = np.cos(np.pi * times / _CROSSINGS / 2.0) ** 2
    return (np.sinc(times) * window * base / old).astype(np.float32), width
