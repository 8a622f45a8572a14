"""The front end of MAE-VC's target: quiet ends cut off before the mel of :mod:`vceval.networks.hifigan_features`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vceval.signal import spectral

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["target_range"]


def target_range(samples: NDArray[np.floating]) -> tuple[int, int]:
    """Find the part of a target recording that is used: its ends are cut where quieter than the loudest by 20 dB.

    RMS of 2048 samples every 512, centred, the ends mirrored. Samples (n,) at 22050 Hz, before levelling.

    Returns:
        First sample and one past the last; (0, 0) for silence.
    """
    return spectral.trim(samples, 20.0, frame=2_048, hop=512, padding="reflect")
