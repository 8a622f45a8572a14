"""The front end of HiFi-GAN UNIVERSAL_V1 and of converters built upon it: ln mel at 22050 Hz, and a 0 to 1 scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from vceval.signal import spectral

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FLOOR", "HOP", "SAMPLE_RATE", "SHORTEST", "SPAN", "from_unit", "levelled", "log_mel", "to_unit"]

#: An array or a tensor.
Values = TypeVar("Values", bound=Any)

SAMPLE_RATE = 22_050
FFT_SIZE, HOP, BANDS, TOP = 1_024, 256, 80, 8_000.0
#: Smallest mel value; what is below is taken for it.
FLOOR = 1e-5
#: Distance from the floor to an ln mel of 0.
SPAN = -math.log(FLOOR)
#: Samples mirrored at each end, and the fewest that can be.
MARGIN = (FFT_SIZE - HOP) // 2
SHORTEST = MARGIN + 1


def log_mel(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the ln mel that HiFi-GAN UNIVERSAL_V1 was trained on.

    384 samples mirrored at each end, frames of 1024 under a periodic Hann window every 256, not centred;
    magnitude sqrt(re^2 + im^2 + 1e-9); 80 triangles of area 1 from 0 to 8000 Hz on Slaney's mel scale; natural
    logarithm of the sum, 1e-5 at least. Not scaled.

    Args:
        samples: (n,) at 22050 Hz, full scale 1.

    Returns:
        (frames, 80), frames = n // 256.

    Raises:
        ValueError: fewer than 385 samples.

    Source: Kong et al., "HiFi-GAN", NeurIPS 2020, settings of the released UNIVERSAL_V1.
    """
    import numpy as np

    spectrum = spectral.stft(samples, FFT_SIZE, HOP, pad=MARGIN)
    magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
    filters = spectral.mel_filters(SAMPLE_RATE, FFT_SIZE, BANDS, 0.0, TOP)
    result: NDArray[np.float32] = np.log(np.maximum(magnitude @ filters.T, FLOOR)).astype(np.float32)
    return result


def levelled(samples: NDArray[np.floating], peak: float = 0.95) -> NDArray[np.float64]:
    """Scale samples (n,) so that their largest magnitude is ``peak``; silence stays as it is."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    top = float(np.abs(values).max(initial=0.0))
    return values / top * peak if top > np.finfo(np.float32).tiny else values


def to_unit(log_values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Map ln mel so that the floor is 0 and an ln mel of 0 is 1; louder values lie above 1."""
    import numpy as np

    scaled: NDArray[np.float32] = ((np.asarray(log_values, dtype=np.float64) + SPAN) / SPAN).astype(np.float32)
    return scaled


def from_unit(values: Values) -> Values:
    """Undo :func:`to_unit`, values cut to between 0 and 1 before; of an array, or of a tensor on any device."""
    restored: Values = values.clip(0.0, 1.0) * SPAN - SPAN
    return restored
