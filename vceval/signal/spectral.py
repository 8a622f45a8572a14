"""Short-time spectra, mel filters, pre-emphasis, trimming: what metrics and the front ends of networks are made of.

A front end (``vceval/networks/*_features.py``) names its choices and calls these. Arrays are NumPy, time first, and
every function states its padding rule and its scale. librosa is not used, though Resemblyzer installs it: its releases
disagree (0.10 pads with zeros where 0.9 mirrored), and each published network holds to one of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Padding",
    "deemphasis",
    "hann",
    "istft",
    "magnitude",
    "mel_filters",
    "mel_power",
    "preemphasis",
    "stft",
    "trim",
]

#: Samples that are filtered at a time.
_BLOCK = 32

Padding = Literal["reflect", "zeros", "none"]


@lru_cache(maxsize=32)
def hann(length: int, fft_size: int | None = None) -> NDArray[np.float64]:
    """Make a periodic Hann window of ``length`` samples, zeros equally on both sides up to ``fft_size``."""
    import numpy as np

    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    missing = (fft_size or length) - length
    padded: NDArray[np.float64] = np.pad(window, (missing // 2, missing - missing // 2))
    padded.setflags(write=False)
    return padded


def stft(
    samples: NDArray[np.floating],
    fft_size: int,
    hop: int,
    window: NDArray[np.float64] | None = None,
    padding: Padding = "reflect",
    pad: int | None = None,
) -> NDArray[np.complex128]:
    """Short-time Fourier transform, one-sided, not scaled, computed in double precision.

    Args:
        samples: (n,).
        fft_size: samples of a frame.
        hop: samples between frames.
        window: ``fft_size`` values; a periodic Hann window of that length by default.
        padding: what stands before and after the audio.
        pad: how much of it on each side; ``fft_size // 2`` by default, so that frame k is centred at k * hop.

    Returns:
        (1 + (n + 2 * pad - fft_size) // hop, fft_size // 2 + 1).

    Raises:
        ValueError: the audio is too short to be mirrored, or shorter than a frame.
    """
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    width = 0 if padding == "none" else fft_size // 2 if pad is None else pad
    if padding == "reflect" and len(values) <= width:
        raise ValueError(f"{len(values)} samples are too few to mirror {width} of them")
    if width:
        values = np.pad(values, width, mode="reflect" if padding == "reflect" else "constant")
    if len(values) < fft_size:
        raise ValueError(f"{len(values)} samples are less than a frame of {fft_size}")
    frames = np.lib.stride_tricks.sliding_window_view(values, fft_size)[::hop]
    spectrum: NDArray[np.complex128] = np.fft.rfft(frames * (hann(fft_size) if window is None else window), axis=1)
    return spectrum


def magnitude(
    samples: NDArray[np.floating],
    fft_size: int,
    hop: int,
    window: NDArray[np.float64] | None = None,
    padding: Padding = "reflect",
    pad: int | None = None,
) -> NDArray[np.float64]:
    """Magnitude of :func:`stft`, same arguments."""
    import numpy as np

    absolute: NDArray[np.float64] = np.abs(stft(samples, fft_size, hop, window, padding, pad))
    return absolute


def istft(spectrum: NDArray[np.complexfloating], hop: int, window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert :func:`stft` of centred frames: windowed overlap-add over the summed squared window.

    Args:
        spectrum: (frames, fft_size // 2 + 1).
        hop: samples between frames.
        window: the analysis window, ``fft_size`` values.

    Returns:
        ((frames - 1) * hop,) samples; half a frame is cut at both ends.
    """
    import numpy as np

    fft_size = len(window)
    frames = np.fft.irfft(spectrum, n=fft_size, axis=1) * window
    count = len(frames)
    length = (count - 1) * hop + fft_size
    signal, weight = np.zeros(length), np.zeros(length)
    squared = window**2
    # Frames that do not overlap are added at once; there are ceil(fft_size / hop) such families
    stride = -(-fft_size // hop)
    for first in range(min(stride, count)):
        family = frames[first::stride]
        span = stride * hop
        block = np.zeros((len(family), span))
        block[:, :fft_size] = family
        squares = np.zeros((len(family), span))
        squares[:, :fft_size] = squared
        start = first * hop
        flat, flat_squares = block.reshape(-1), squares.reshape(-1)
        used = min(len(flat), length - start)
        signal[start : start + used] += flat[:used]
        weight[start : start + used] += flat_squares[:used]
    tiny = np.finfo(np.float32).tiny
    signal = np.where(weight > tiny, signal / np.maximum(weight, tiny), signal)
    return signal[fft_size // 2 : length - fft_size // 2]


@lru_cache(maxsize=32)
def mel_filters(
    sample_rate: int,
    fft_size: int,
    bands: int,
    low: float = 0.0,
    high: float | None = None,
    scale: Literal["slaney", "htk"] = "slaney",
    area: bool = True,
) -> NDArray[np.float32]:
    """Triangular mel filters, their corners evenly spaced on a mel scale.

    Args:
        sample_rate: in Hz.
        fft_size: the filters stand over ``fft_size // 2 + 1`` bins.
        bands: number of filters.
        low: lower edge of the first filter in Hz.
        high: upper edge of the last one; half the sample rate by default.
        scale: ``slaney`` (linear up to 1 kHz, logarithmic above) or ``htk`` (2595 log10(1 + f / 700)).
        area: every triangle has area 1 (in Hz); else height 1.

    Returns:
        float32 (bands, bins), read-only.

    Source: Slaney, "Auditory Toolbox", Interval Research TR 1998-010; O'Shaughnessy, "Speech Communication", 1987.
    """
    import numpy as np

    nyquist = sample_rate / 2.0
    ends = np.array([low, nyquist if high is None else high], dtype=np.float64)
    step, knee, ratio = 200.0 / 3.0, 15.0, np.log(6.4) / 27.0
    if scale == "slaney":
        bounds = np.where(ends < 1000.0, ends / step, knee + np.log(np.maximum(ends, 1.0) / 1000.0) / ratio)
        mels = np.linspace(bounds[0], bounds[1], bands + 2)
        corners = np.where(mels < knee, mels * step, 1000.0 * np.exp(ratio * (mels - knee)))
    else:
        bounds = 2595.0 * np.log10(1.0 + ends / 700.0)
        corners = 700.0 * (10.0 ** (np.linspace(bounds[0], bounds[1], bands + 2) / 2595.0) - 1.0)
    frequencies = np.linspace(0.0, nyquist, fft_size // 2 + 1)
    lower, centre, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    filters = np.maximum(
        0.0, np.minimum((frequencies - lower) / (centre - lower), (upper - frequencies) / (upper - centre))
    )
    result: NDArray[np.float32] = filters.astype(np.float32)
    if area:
        # Rounded twice, so that it equals librosa's table bit by bit
        result *= 2.0 / (upper - lower)
    result.setflags(write=False)
    return result


def mel_power(
    samples: NDArray[np.floating], sample_rate: int, fft_size: int, hop: int, bands: int, padding: Padding = "reflect"
) -> NDArray[np.float32]:
    """Mel power spectrum, no logarithm: a periodic Hann window as long as the FFT, :func:`mel_filters` up to Nyquist.

    Args:
        samples: (n,).
        sample_rate: in Hz.
        fft_size: samples of a frame.
        hop: samples between frames, frame k centred at k * hop.
        bands: number of mel bands.
        padding: what stands before and after the audio.

    Returns:
        float32 (1 + n // hop, bands).

    Raises:
        ValueError: the audio is too short to be mirrored.
    """
    import numpy as np

    spectrum = stft(samples, fft_size, hop, padding=padding)
    power = spectrum.real**2 + spectrum.imag**2
    result: NDArray[np.float32] = (power @ mel_filters(sample_rate, fft_size, bands).T).astype(np.float32)
    return result


def preemphasis(samples: NDArray[np.floating], coefficient: float = 0.97) -> NDArray[np.float64]:
    """Filter y[0] = x[0], y[n] = x[n] - coefficient * x[n-1]; double precision."""
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    return np.concatenate([values[:1], values[1:] - coefficient * values[:-1]])


def deemphasis(samples: NDArray[np.floating], coefficient: float = 0.97) -> NDArray[np.float64]:
    """Undo :func:`preemphasis`: y[n] = x[n] + coefficient * y[n-1]; double precision.

    Blocks by a product of matrices, what goes on from one to the next by the same filter on their ends: loading SciPy's
    filters takes longer than filtering minutes of it.
    """
    import numpy as np

    given = np.asarray(samples, dtype=np.float64)
    lags = np.arange(_BLOCK)
    powers = float(coefficient) ** (lags + 1.0)
    echoes = np.where(lags >= lags[:, None], float(coefficient) ** np.abs(lags - lags[:, None]), 0.0)
    padded = np.zeros(-(-len(given) // _BLOCK) * _BLOCK)
    padded[: len(given)] = given
    blocks: NDArray[np.float64] = padded.reshape(-1, _BLOCK) @ echoes
    if len(blocks) > 1:
        blocks[1:] += deemphasis(blocks[:, -1], float(powers[-1]))[:-1, None] * powers
    return blocks.reshape(-1)[: len(given)]


def trim(
    samples: NDArray[np.floating],
    top_db: float,
    frame: int = 2048,
    hop: int = 512,
    padding: Literal["reflect", "zeros"] = "reflect",
) -> tuple[int, int]:
    """Find where a recording starts and ends being louder than its loudest frame less ``top_db``.

    Args:
        samples: (n,).
        top_db: frames whose RMS is above the maximum less this many dB count.
        frame: samples of a frame, centred.
        hop: samples between frames.
        padding: what stands before and after the audio.

    Returns:
        First sample and one past the last; (0, 0) where there is nothing but silence.

    Source: the behaviour of ``librosa.effects.trim`` (0.8: mirrored ends, 0.10 on: zeros).
    """
    import numpy as np

    values = np.asarray(samples, dtype=np.float64)
    # A recording too short to be mirrored is taken with zeros around
    mode = "reflect" if padding == "reflect" and len(values) > frame // 2 else "constant"
    padded = np.pad(values, frame // 2, mode=mode)  # type: ignore[call-overload]
    energy = (np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] ** 2).mean(axis=1)
    peak = float(energy.max(initial=0.0))
    if peak <= 0.0:
        return 0, 0
    floor = 1e-10  # as librosa: RMS below 1e-5 is taken as 1e-5
    level = 10.0 * np.log10(np.maximum(floor, energy)) - 10.0 * np.log10(max(floor, peak))
    loud = np.flatnonzero(level > -top_db)
    return int(loud[0]) * hop, min(len(values), (int(loud[-1]) + 1) * hop)
