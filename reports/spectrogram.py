"""Small pictures of spectrograms, for pages opened from disk: a browser lets those play recordings but not read them.

Mel bands up to 8 kHz, 10 ms a column, the colours of the figures; ``templates/spectrogram.js`` draws them alike where
it may read the recording.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from vceval.errors import ItemError
from vceval.signal import audio, spectral

__all__ = ["draw"]

SAMPLE_RATE, FFT, HOP, BANDS = 16_000, 512, 160, 80
#: Quieter than the loudest band by this much is black.
FLOOR_DB = -70.0
#: Columns of the widest picture (one minute).
WIDEST = 6000


def draw(recording: Path, picture: Path) -> bool:
    """Write the spectrogram of a recording as a PNG of 256 colours, one pixel per band and 10 ms.

    Returns:
        Whether it could be drawn: an unreadable recording has no picture.
    """
    import numpy as np
    from PIL import Image

    try:
        wave = audio.load(recording, SAMPLE_RATE)
        power = spectral.mel_power(wave.samples, SAMPLE_RATE, FFT, HOP, BANDS, "zeros")[:WIDEST]
    except (ItemError, ValueError):
        return False
    levels = 10.0 * np.log10(np.maximum(power, 1e-10))
    shades = np.clip(1.0 - (levels - levels.max()) / FLOOR_DB, 0.0, 1.0)
    image = Image.fromarray(np.round(255 * shades.T[::-1]).astype(np.uint8), mode="P")
    image.putpalette(_colours())
    temporary = picture.with_name(f".part-{picture.name}")
    image.save(temporary, format="PNG", optimize=False)
    os.replace(temporary, picture)
    return True


@functools.cache
def _colours() -> bytes:
    from matplotlib import colormaps

    return bytes(round(255 * part) for level in range(256) for part in colormaps["magma"](level)[:3])
