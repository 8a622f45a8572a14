"""The front end of yistLin's d-vector network: levelled speech without pauses, as log-mel frames.

The published front end is a TorchScript file that calls an operation torchaudio no longer has; this does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vceval.signal import spectral
from vceval.signal.audio import Waveform
from vceval.signal.sox_rate import sox_rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PEAK", "SAMPLE_RATE", "cut_silence", "dvector_frames", "levelled", "log_mel", "mel_filters", "resampled"]

SAMPLE_RATE = 16_000
#: Peak to which audio is brought: -3 dB of full scale.
PEAK = 10.0 ** (-3.0 / 20.0)
#: Level below which audio is silent: RMS over 20 ms, 1 % of full scale.
_LEVEL, _SPAN = 0.01, 320
#: What must last 0.1 s: speech before it is kept, silence before it is cut.
_HOLD = 1_600
_FFT, _HOP, _BANDS, _LOWEST, _FLOOR = 400, 160, 40, 50.0, 1e-9


def dvector_frames(wave: Waveform) -> NDArray[np.float32]:
    """Turn a recording into the network's input: 16 kHz, peak at -3 dB, silence cut, log-mel.

    Args:
        wave: mono, any rate.

    Returns:
        (t, 40), natural logarithm; no frames (0, 40) where nothing, or less than 13 ms, is loud enough.
    """
    import numpy as np

    speech = cut_silence(levelled(resampled(wave.samples, wave.sample_rate)))
    if len(speech) <= _FFT // 2:
        return np.empty((0, _BANDS), dtype=np.float32)  # too short to be mirrored at its ends
    return log_mel(speech)


def resampled(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Bring samples (n,) to 16 kHz as SoX does, clipped to full scale; its filter shows in the highest mel bands."""
    import numpy as np

    return sox_rate(samples, sample_rate, SAMPLE_RATE).astype(np.float32)


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale samples (n,) so that their peak is at -3 dB of full scale; silence stays as it is."""
    import numpy as np

    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples * np.float32(PEAK / peak) if peak else samples


def cut_silence(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut silence at the start, within and at the end, as SoX does with ``silence 1 0.1 1% -1 0.1 1%``.

    Audio is dropped until 0.1 s without a break are louder than 1 % of full scale, RMS over the last 20 ms; it is
    then kept until 0.1 s without a break are not, which are dropped, and the search starts again with an empty RMS
    window. Silence shorter than that stays, at the end too. Bursts shorter than 0.1 s between silences are dropped.

    Args:
        samples: (n,) at 16 kHz, full scale 1.

    Returns:
        What is left of it; perhaps nothing.

    Source: the behaviour of SoX 14.4.2, as its manual describes it and as it was measured.
    """
    import numpy as np

    squares = np.asarray(samples, dtype=np.float64) ** 2
    total = np.concatenate([[0.0], np.cumsum(squares)])
    start = np.maximum(np.arange(len(squares)) + 1 - _SPAN, 0)
    limit = _LEVEL**2 * _SPAN
    loud = total[1:] - total[start] > limit
    kept = []
    place = 0
    while True:
        # The window holds nothing of what was before ``place``
        head = slice(place, place + _SPAN)
        loud[head] = total[1:][head] - total[place] > limit
        onset = _first_run(loud, place, True)
        if onset is None:
            break
        end = _first_run(loud, onset + _HOLD, False)
        kept.append(samples[onset:end])
        if end is None:
            break
        place = end + _HOLD
    return np.concatenate(kept) if kept else samples[:0]


def _first_run(flags: NDArray[np.bool_], start: int, kind: bool) -> int | None:
    """First place from ``start`` on at which 0.1 s of flags in a row are of a kind."""
    import numpy as np

    part = flags[start:] if kind else ~flags[start:]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], part, [False]])))
    begins, ends = edges[::2], edges[1::2]
    long = np.flatnonzero(ends - begins >= _HOLD)
    return start + int(begins[long[0]]) if len(long) else None


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-mel frames over a periodic Hann window of 25 ms every 10 ms, the ends mirrored, no normalisation.

    Args:
        samples: (n,) at 16 kHz, n > 200.

    Returns:
        float32 of shape (n // 160 + 1, 40): natural logarithm of the mel power spectrum, not below ln(1e-9).
    """
    import numpy as np

    power = spectral.magnitude(samples, _FFT, _HOP) ** 2
    logarithm: NDArray[np.float32] = np.log(np.maximum(power @ mel_filters(), _FLOOR)).astype(np.float32)
    return logarithm


def mel_filters() -> NDArray[np.float32]:
    """Triangular filters (201, 40) of height 1, evenly spaced from 50 Hz to 8 kHz on the mel scale of O'Shaughnessy.

    Source: O'Shaughnessy, "Speech Communication: Human and Machine", 1987 (the scale that HTK uses).
    """
    return spectral.mel_filters(SAMPLE_RATE, _FFT, _BANDS, _LOWEST, SAMPLE_RATE / 2.0, "htk", area=False).T
