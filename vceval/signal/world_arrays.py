"""WORLD's DIO, StoneMask and CheapTrick for a processor, equal to pyworld's up to rounding, in a third of its time.

The loops are in :mod:`vceval.signal.world_kernels`. What makes them faster than WORLD's own: DIO's filters are sums of
cosines and so slide over the signal, without a Fourier transform of the whole recording; StoneMask computes the eight
bins that it looks at; CheapTrick transforms frames in blocks, and draws WORLD's random numbers once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from vceval.signal.world_constants import ALLOWED_JUMP, DEFAULT_F0, HIGHEST_F0, LOWEST_F0, band_edges, fft_size_for

__all__ = ["cheaptrick", "dio", "draws", "smooth_contour", "smoothed_cepstra", "stonemask", "turned_to_cepstra"]

#: Frames that are transformed together: enough to hide the cost of a call, few enough for the processor's cache.
_BLOCK = 64
#: WORLD's random numbers are drawn in chunks of as many streams as a processor takes at once.
_STREAMS, _EACH = 64, 4096
_CHUNK = _STREAMS * _EACH
_SEED = 123456789 | 362436069 << 32 | 521288629 << 64 | 88675123 << 96


def _kernels() -> ModuleType:
    from vceval.signal import world_kernels

    return world_kernels


def dio(samples: NDArray[np.float64], rate: int, frame_ms: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate F0 (T,) in Hz, 0 where unvoiced, at times (T,) in seconds; see :func:`vceval.signal.world.world_f0`."""
    kernels = _kernels()
    times = np.arange(int(1000.0 * len(samples) / rate / frame_ms) + 1, dtype=np.float64) * frame_ms / 1000.0
    boundaries, quarters, half = band_edges(rate)
    padding = int(2 * quarters.max())
    signal = kernels.low_cut(samples, half, padding)
    bands = (quarters, boundaries, float(rate), times, LOWEST_F0, HIGHEST_F0)
    candidates, scores = kernels.band_pitch(signal, padding, *bands)
    return smooth_contour(candidates, scores, frame_ms), times


def smooth_contour(
    candidates: NDArray[np.float64], scores: NDArray[np.float64], frame_ms: float
) -> NDArray[np.float64]:
    """Choose DIO's F0 (T,) from the candidates of its bands (bands, T)."""
    shortest = int(0.5 + 1000.0 / frame_ms / LOWEST_F0) * 2 + 1
    f0: NDArray[np.float64] = _kernels().smooth_contour(candidates, scores, shortest, ALLOWED_JUMP)
    return f0


def stonemask(
    samples: NDArray[np.float64], f0: NDArray[np.float64], times: NDArray[np.float64], rate: int
) -> NDArray[np.float64]:
    """Refine F0 (T,) by the instantaneous frequency of its first harmonics."""
    refined: NDArray[np.float64] = _kernels().stonemask(samples, float(rate), f0, times)
    return refined


def cheaptrick(
    samples: NDArray[np.float64],
    f0: NDArray[np.float64],
    times: NDArray[np.float64],
    rate: int,
    fft_size: int | None = None,
) -> NDArray[np.float64]:
    """Power envelope (T, fft_size / 2 + 1); see :func:`vceval.signal.world.world_analysis`."""
    import scipy.fft

    size = fft_size or fft_size_for(rate)
    envelope = np.empty((len(f0), size // 2 + 1))
    done = 0
    for cepstra in _lifted_cepstra(samples, f0, times, rate, size):
        rows = envelope[done : done + len(cepstra)]
        rows[:] = scipy.fft.dct(cepstra, type=1, axis=1, overwrite_x=True)
        _kernels().exponential(rows)
        done += len(cepstra)
    return envelope


def smoothed_cepstra(
    samples: NDArray[np.float64],
    f0: NDArray[np.float64],
    times: NDArray[np.float64],
    rate: int,
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Product (T, d) of the logarithm of CheapTrick's envelope and a matrix (B, d), without computing the envelope."""
    size = fft_size_for(rate)
    turned = turned_to_cepstra(matrix)
    return np.concatenate([cepstra @ turned for cepstra in _lifted_cepstra(samples, f0, times, rate, size)])


def turned_to_cepstra(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix (B, d) that does to the cepstrum of an envelope what the given one does to its logarithm."""
    import scipy.fft

    # The logarithm is the cosine transform of the cepstrum, so the transform may be applied to the matrix
    ends = np.full((len(matrix), 1), 2.0)
    ends[[0, -1]] = 1.0
    return np.ascontiguousarray(scipy.fft.dct(matrix / ends, type=1, axis=0) * ends)


def _lifted_cepstra(
    samples: NDArray[np.float64], f0: NDArray[np.float64], times: NDArray[np.float64], rate: int, size: int
) -> Iterator[NDArray[np.float64]]:
    """Cepstra of the envelope (frames, size / 2 + 1), block by block."""
    import scipy.fft

    kernels = _kernels()
    f0 = np.where(f0 <= 3.0 * rate / (size - 3.0), DEFAULT_F0, f0)
    bins = size // 2 + 1
    counts = 2 * np.floor(1.5 * rate / f0 + 0.5).astype(np.int64) + 1 + bins
    ends = np.cumsum(counts)
    frames = np.empty((_BLOCK, size))
    power = np.empty((_BLOCK, bins))
    for start in range(0, len(f0), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(f0)))
        count, first = block.stop - start, int(ends[start] - counts[start])
        noise, offsets = draws(first, int(ends[block.stop - 1])), ends[block] - counts[block] - first
        kernels.windowed(samples, float(rate), f0[block], times[block], noise, offsets, frames)
        spectra = scipy.fft.rfft(frames[:count], axis=1, overwrite_x=True)
        kernels.smooth_power(spectra, size, float(rate), f0[block], noise, offsets, power)
        kernels.logarithm(power[:count])
        cepstra = scipy.fft.dct(power[:count], type=1, axis=1)
        kernels.lift(cepstra, float(rate), f0[block])
        yield cepstra


def draws(first: int, end: int) -> NDArray[np.uint32]:
    """WORLD's random numbers from ``first`` to ``end``, as unsigned integers; n / 2**28 - 6 is the number meant.

    WORLD adds them to silence, at -240 dB, and begins anew with each recording.
    """
    chunks = range(first // _CHUNK, (end - 1) // _CHUNK + 1)
    parts = [_chunk(number)[max(0, first - number * _CHUNK) : end - number * _CHUNK] for number in chunks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@lru_cache(maxsize=16)  # 16 MB: what 20 s at 16 kHz take
def _chunk(number: int) -> NDArray[np.uint32]:
    states, state = [], _chunk_state(number)
    for _ in range(_STREAMS):
        states.append(state)
        state = _moved(state, _turns(_EACH))
    words = np.array([[state >> 32 * k & 0xFFFFFFFF for state in states] for k in range(4)], dtype=np.uint32)
    result = np.empty((_EACH, _STREAMS), dtype=np.uint32)
    _kernels().noise(words, result)
    return np.ascontiguousarray(result.T).ravel()


@cache
def _chunk_state(number: int) -> int:
    """State of the generator, four words of 32 bits, where a chunk begins."""
    return _moved(_chunk_state(number - 1), _turns(_CHUNK)) if number else _SEED


def _moved(state: int, turns: tuple[int, ...]) -> int:
    moved = 0
    for bit, turn in enumerate(turns):
        if state >> bit & 1:
            moved ^= turn
    return moved


@cache
def _turns(count: int) -> tuple[int, ...]:
    """What each bit of the state becomes after ``count`` numbers, a power of two: xorshift is linear over bits.

    Source: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8, 2003.
    """
    if count > 1:
        half = _turns(count // 2)
        return tuple(_moved(turn, half) for turn in half)
    after = []
    for bit in range(128):
        state = 1 << bit
        for _ in range(12):
            x, w = state & 0xFFFFFFFF, state >> 96
            x = (x ^ x << 11) & 0xFFFFFFFF
            state = state >> 32 | (w ^ w >> 19 ^ x ^ x >> 8) << 96
        after.append(state)
    return tuple(after)
