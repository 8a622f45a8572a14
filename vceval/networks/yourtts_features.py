"""YourTTS's front end: the linear spectrogram of a source, and how its library trims and levels recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vceval.networks.hasp_features import to_level
from vceval.signal.spectral import stft, trim

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HOP", "MINIMUM", "SAMPLE_RATE", "Preparation", "spectrogram", "trimmed"]

SAMPLE_RATE = 16_000
FFT, HOP = 1024, 256
_EDGE, _EPSILON = (FFT - HOP) // 2, 1e-6
#: Fewest samples that can be mirrored at the ends.
MINIMUM = _EDGE + 1
#: Seconds that the library cuts off both ends before it looks for silence.
_MARGIN = 0.01
#: The library's own decibels where a switch is on and its figure is not given, and the peak.
_TRIM, _LEVEL, _PEAK = 45.0, -27.0, 0.95


def spectrogram(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the linear spectrogram that the posterior encoder takes.

    The ends mirrored by 384 samples; a periodic Hann window of 1024 samples every 256, not centred beyond that;
    magnitude sqrt(re^2 + im^2 + 1e-6), no logarithm, no scaling.

    Args:
        samples: (n,) at 16 kHz, at least 385. Take each item's own: appended zeros would change its last frames.

    Returns:
        (513, n // 256).

    Raises:
        ValueError: there are too few samples.
    """
    import numpy as np

    bins = stft(samples, FFT, HOP, pad=_EDGE).T
    magnitudes: NDArray[np.float32] = np.sqrt(bins.real**2 + bins.imag**2 + _EPSILON).astype(np.float32)
    return magnitudes


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the library does to a recording before anything else, as the table ``audio`` of a configuration says.

    trim: decibels below the loudest frame at which silence begins, cut off both ends; None for no trimming.
    span, hop: samples of a frame, and between frames, of that search.
    peak: whether the peak is brought to 0.95.
    level: RMS in decibels of full scale that audio is brought to; None to leave it.
    """

    trim: float | None = None
    span: int = FFT
    hop: int = HOP
    peak: bool = False
    level: float | None = None

    @classmethod
    def read(cls, audio: Mapping[str, Any]) -> Preparation:
        """Read a table ``audio``; a switch that is not in it is taken as off.

        Raises:
            ValueError: a value in it is not a number.
        """
        return cls(
            trim=_number(audio, "trim_db", _TRIM) if audio.get("do_trim_silence") else None,
            span=int(_number(audio, "win_length", FFT)),
            hop=int(_number(audio, "hop_length", HOP)),
            peak=bool(audio.get("do_sound_norm")),
            level=_number(audio, "db_level", _LEVEL) if audio.get("do_rms_norm") else None,
        )

    def __call__(self, samples: NDArray[np.floating]) -> NDArray[np.floating]:
        """Prepare samples (n,) at 16 kHz: trim, then peak, then level.

        Raises:
            ValueError: there is nothing but digital silence to be levelled.
        """
        ready = samples if self.trim is None else trimmed(samples, self.trim, self.span, self.hop)
        if self.peak:
            top = float(abs(ready).max(initial=0.0))
            if top <= 0.0:
                raise ValueError("digital silence has no level")
            ready = ready / top * _PEAK
        return ready if self.level is None else to_level(ready, self.level)


def _number(audio: Mapping[str, Any], name: str, usual: float) -> float:
    found = audio.get(name)
    return float(usual if found is None else found)


def trimmed(samples: NDArray[np.floating], decibels: float, span: int = FFT, hop: int = HOP) -> NDArray[np.floating]:
    """Cut silence off both ends as the library does: 10 ms regardless, then what is ``decibels`` below the peak.

    Args:
        samples: (n,) at 16 kHz.
        decibels: how far below the loudest frame's RMS silence begins.
        span: samples of a frame.
        hop: samples between frames.

    Returns:
        What is left; perhaps nothing.
    """
    margin = int(SAMPLE_RATE * _MARGIN)
    inner = samples[margin:-margin]
    start, end = trim(inner, decibels, span, hop, padding="zeros") if len(inner) else (0, 0)
    return inner[start:end]
