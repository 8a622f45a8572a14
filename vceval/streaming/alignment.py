"""How far streamed audio lies behind the same conversion made offline, and whether that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Lag", "drift", "lag"]

#: Seconds by which the two may differ.
_FARTHEST = 2.0
#: Correlation from which on waveforms are the same, and seconds of a part whose lag is looked for.
_ALIKE, _PART = 0.5, 0.5


class Lag(NamedTuple):
    """Samples by which audio lies behind other audio.

    ``by`` says what was compared, as waveforms may have nothing in common but their loudness, which tells milliseconds.
    """

    samples: int
    by: Literal["waveform", "loudness"]


def lag(streamed: NDArray[np.float32], offline: NDArray[np.float32], rate: int) -> Lag | None:
    """Find the lag of streamed audio against offline audio of the same rate; None where they have nothing in common."""
    found, likeness = _best(streamed, offline, round(_FARTHEST * rate))
    if likeness >= _ALIKE:
        return Lag(found, "waveform")
    step = max(1, rate // 1000)
    loudness = [_loudness(samples, step) for samples in (streamed, offline)]
    if not all(map(len, loudness)):
        return None
    one, other = (part - part.mean() for part in loudness)
    found, likeness = _best(one, other, round(_FARTHEST * rate / step))
    return Lag(found * step, "loudness") if likeness >= _ALIKE else None


def drift(streamed: NDArray[np.float32], offline: NDArray[np.float32], rate: int) -> float | None:
    """Say by how many milliseconds a second the lag grows from the first to the last third, by their waveforms.

    None where the waveforms have nothing in common, or too little is there.
    """
    length = min(len(streamed), len(offline))
    part = length // 3
    if part < _PART * rate:
        return None
    reach = part // 2
    lags = []
    for start in (0, length - part):
        # A part of the offline audio, looked for in what surrounds its place
        low, high = max(0, start - reach), min(len(streamed), start + part + reach)
        found, likeness = _best(streamed[low:high], offline[start : start + part], reach + part)
        if likeness < _ALIKE:
            return None
        lags.append(found + low - start)
    return 1000.0 * (lags[1] - lags[0]) / (length - part)


def _best(one: NDArray[np.floating], other: NDArray[np.floating], farthest: int) -> tuple[int, float]:
    """The lag of one behind the other at which they correlate most, and the correlation there."""
    import numpy as np
    from scipy.signal import correlate, correlation_lags

    if not len(one) or not len(other):
        return 0, 0.0
    found = correlate(one.astype(np.float64), other.astype(np.float64), mode="full", method="fft")
    lags = correlation_lags(len(one), len(other))
    near = np.abs(lags) <= farthest
    found, lags = found[near], lags[near]
    # By the energy of what overlaps at each lag
    sums = [np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))]) for part in (one, other)]
    begins, ends = np.maximum(lags, 0), np.minimum(len(one), len(other) + lags)
    energies = (sums[0][ends] - sums[0][begins]) * (sums[1][ends - lags] - sums[1][begins - lags])
    enough = energies > 0.25 * sums[0][-1] * sums[1][-1] if len(one) and len(other) else energies > 0
    likeness = np.where(enough, found / np.sqrt(np.maximum(energies, 1e-30)), -1.0)
    place = int(np.argmax(likeness))
    return int(lags[place]), float(likeness[place])


def _loudness(samples: NDArray[np.float32], step: int) -> NDArray[np.float64]:
    """RMS of 10 ms every millisecond."""
    import numpy as np

    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    begins = np.arange(0, max(0, len(samples) - 10 * step), step)
    found: NDArray[np.float64] = np.sqrt(np.maximum(total[begins + 10 * step] - total[begins], 0.0) / (10 * step))
    return found
