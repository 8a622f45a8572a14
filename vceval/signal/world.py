"""Fundamental frequency and spectral envelope by WORLD, and mel-cepstra of power spectra.

WORLD's algorithms are computed by :mod:`vceval.signal.world_arrays`, whose values are pyworld's up to rounding;
``VCEVAL_WORLD=pyworld`` has pyworld compute them.
"""

from __future__ import annotations

import itertools
import os
import warnings
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from vceval.errors import UsageError
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "WorldFrames",
    "mel_cepstrum",
    "mel_cepstrum_matrix",
    "mel_cepstrum_newton",
    "pyworld_module",
    "world_analysis",
    "world_cepstra",
    "world_envelope",
    "world_f0",
]


class WorldFrames(NamedTuple):
    """WORLD analysis: ``f0`` in Hz (T,), 0 where unvoiced; ``times`` in seconds (T,); ``envelope`` as power (T, B)."""

    f0: NDArray[np.float64]
    times: NDArray[np.float64]
    envelope: NDArray[np.float64]


def pyworld_module() -> ModuleType:
    """Import pyworld without the warning that its use of ``pkg_resources`` prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyworld
    module: ModuleType = pyworld
    return module


def world_f0(wave: Waveform, frame_ms: float = 5.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate fundamental frequency with DIO, refined by StoneMask.

    Args:
        wave: mono audio of n samples at any rate.
        frame_ms: hop between frames in milliseconds.

    Returns:
        F0 in Hz (0 where unvoiced) and frame times in seconds, both of shape (T,) with
        T = floor(n / rate * 1000 / frame_ms) + 1. Search range 71 to 800 Hz.

    Source: Morise, Kawahara, Katayose, "Fast and reliable F0 estimation method based on the period extraction
    of vocal fold vibration of singing voice and speech", AES 35th Conference 2009.
    """
    samples = _samples(wave)
    if _by_pyworld():
        pyworld = pyworld_module()
        f0, times = pyworld.dio(samples, wave.sample_rate, frame_period=frame_ms)
        return pyworld.stonemask(samples, f0, times, wave.sample_rate), times
    from vceval.signal import world_arrays

    f0, times = world_arrays.dio(samples, wave.sample_rate, frame_ms)
    return world_arrays.stonemask(samples, f0, times, wave.sample_rate), times


def world_analysis(wave: Waveform, frame_ms: float = 5.0, fft_size: int | None = None) -> WorldFrames:
    """Analyse a recording with WORLD: F0 as in :func:`world_f0` and the CheapTrick power envelope.

    The FFT size follows from the sample rate (1024 at 16 kHz, 2048 at 44.1 and 48 kHz), so that the lowest F0
    that can be analysed stays at 71 Hz at every rate. Aperiodicity is left out: it is the slowest part and
    a spectral distance has no use for it.

    Args:
        wave: mono audio at any rate.
        frame_ms: hop between frames in milliseconds.
        fft_size: another FFT size; frames whose F0 lies below 3 * rate / (fft_size - 3) Hz are then analysed as
            unvoiced.

    Returns:
        F0, times and the envelope of shape (T, fft_size / 2 + 1), as power.

    Source: Morise, "CheapTrick, a spectral envelope estimator for high-quality speech synthesis", Speech
    Communication 67, 2015.
    """
    f0, times = world_f0(wave, frame_ms)
    return WorldFrames(f0, times, world_envelope(_samples(wave), f0, times, wave.sample_rate, fft_size))


def world_envelope(
    samples: NDArray[np.float64],
    f0: NDArray[np.float64],
    times: NDArray[np.float64],
    sample_rate: int,
    fft_size: int | None = None,
) -> NDArray[np.float64]:
    """CheapTrick's power envelope (T, fft_size / 2 + 1) of samples (n,) whose F0 (T,) at times (T,) is known."""
    if _by_pyworld():
        envelope: NDArray[np.float64] = pyworld_module().cheaptrick(samples, f0, times, sample_rate, fft_size=fft_size)
        return envelope
    from vceval.signal import world_arrays

    return world_arrays.cheaptrick(samples, f0, times, sample_rate, fft_size)


def world_cepstra(
    wave: Waveform, order: int, alpha: float, frame_ms: float = 5.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """F0 as in :func:`world_f0` and mel-cepstra of the envelope, (T,) and (T, order + 1).

    They are those of :func:`world_analysis` and :func:`mel_cepstrum`, in less time, as the envelope itself is not
    computed.
    """
    f0, times = world_f0(wave, frame_ms)
    samples = _samples(wave)
    if _by_pyworld():
        return f0, mel_cepstrum(world_envelope(samples, f0, times, wave.sample_rate), order, alpha)
    from vceval.signal import world_arrays, world_constants

    matrix = mel_cepstrum_matrix(world_constants.fft_size_for(wave.sample_rate) // 2 + 1, order, alpha)
    return f0, world_arrays.smoothed_cepstra(samples, f0, times, wave.sample_rate, matrix)


def _samples(wave: Waveform) -> NDArray[np.float64]:
    import numpy as np

    return np.ascontiguousarray(wave.samples, dtype=np.float64)


def _by_pyworld() -> bool:
    """Whether pyworld computes, not our own form of the same: where ``VCEVAL_WORLD`` is ``pyworld``."""
    chosen = os.environ.get("VCEVAL_WORLD", "")
    if chosen not in ("", "pyworld"):
        raise UsageError(f"VCEVAL_WORLD is {chosen!r}; set it to pyworld, or not at all")
    return chosen == "pyworld"


def mel_cepstrum(
    power: NDArray[np.float64], order: int, alpha: float, floor_db: float | None = None
) -> NDArray[np.float64]:
    """Turn a power spectrum into mel-cepstral coefficients c0 to c<order> of the log *amplitude*.

    Args:
        power: (T, B) power spectra with B = fft_size / 2 + 1 bins from 0 Hz to the Nyquist frequency.
        order: highest coefficient.
        alpha: all-pass constant of the frequency warping (0.42 approximates the mel scale at 16 kHz).
        floor_db: bins weaker than this, relative to the mean of all bins of ``power``, are raised to it; None
            leaves them (zeros then give infinities).

    Returns:
        (T, order + 1), in natural-log units.

    Source: Tokuda, Kobayashi, Masuko, Imai, "Mel-generalized cepstral analysis", ICSLP 1994; warping by the
    recursion of Oppenheim and Johnson, "Discrete representation of signals", Proc. IEEE 60, 1972.
    """
    import numpy as np

    if floor_db is not None:
        power = np.maximum(power, power.mean() * 10.0 ** (floor_db / 10.0))
    cepstra: NDArray[np.float64] = np.log(power) @ mel_cepstrum_matrix(power.shape[1], order, alpha)
    return cepstra


@lru_cache(maxsize=16)
def mel_cepstrum_matrix(bins: int, order: int, alpha: float) -> NDArray[np.float64]:
    """Build the matrix (bins, order + 1) that takes a log power spectrum to its mel-cepstrum.

    Inverse cosine transform and frequency warping are both linear, so their product is one matrix.
    """
    import numpy as np

    # Log power to the one-sided cepstrum of log amplitude: ln|X(w)| = sum over m >= 0 of c(m) cos(m w).
    cepstrum = np.fft.irfft(np.eye(bins), axis=1)[:, :bins]
    cepstrum[:, [0, -1]] *= 0.5
    warp = np.zeros((order + 1, bins))
    state = np.zeros(order + 1)
    state[0] = 1.0
    for column in range(bins):
        warp[:, column] = state
        after = np.empty_like(state)
        after[0] = alpha * state[0]
        if order:
            after[1] = (1.0 - alpha * alpha) * state[0] + alpha * state[1]
        for row in range(2, order + 1):
            after[row] = state[row - 1] + alpha * (state[row] - after[row - 1])
        state = after
    matrix: NDArray[np.float64] = np.ascontiguousarray((warp @ cepstrum.T).T)
    matrix.setflags(write=False)
    return matrix


def mel_cepstrum_newton(
    power: NDArray[np.float64],
    order: int,
    alpha: float,
    min_steps: int = 2,
    max_steps: int = 30,
    tolerance: float = 0.001,
) -> NDArray[np.float64]:
    """Fit mel-cepstra to periodograms by Newton's method, as SPTK's ``mcep`` does.

    The fit minimises the unbiased estimator of log spectrum, which weighs peaks over valleys: it suits raw
    periodograms, while envelopes are well served by :func:`mel_cepstrum`, the starting point of the iteration.

    Args:
        power: (T, B) periodograms, all positive, B = fft_size / 2 + 1.
        order: highest coefficient.
        alpha: all-pass constant of the frequency warping.
        min_steps: first step after which a frame may stop.
        max_steps: last step.
        tolerance: relative change of the mean residual power at which a frame stops.

    Returns:
        (T, order + 1), in natural-log units.

    Source: Tokuda, Kobayashi, Masuko, Imai, "Mel-generalized cepstral analysis", ICSLP 1994.
    """
    import numpy as np

    bins = power.shape[1]
    cepstra = mel_cepstrum(power, order, alpha)
    to_log, to_residual = _newton_matrices(bins, order, alpha)
    rows = np.arange(order + 1)
    toeplitz, hankel = np.abs(rows[:, None] - rows), rows[:, None] + rows
    target = (-alpha) ** rows
    even = np.arange(2 * order + 1) % 2 == 0
    active = np.arange(len(power))
    # The first comparison is with c0 of the unwarped start, an oddity of SPTK that decides when frames stop.
    before = np.log(power) @ mel_cepstrum_matrix(bins, 0, 0.0)[:, 0]
    for step in range(1, max_steps + 1):
        residual = (power[active] / np.exp(2.0 * (cepstra[active] @ to_log))) @ to_residual
        mean = residual[:, 0]
        if step >= min_steps:
            going = np.abs((mean - before[active]) / mean) >= tolerance
            active, residual, mean = active[going], residual[going], mean[going]
            before[active] = mean
            if not len(active):
                break
        first, second = residual[:, : order + 1].copy(), residual.copy()
        first[:, even[: order + 1]] += mean[:, None]
        second[:, even] -= mean[:, None]
        slope = residual[:, : order + 1] - target
        cepstra[active] += np.linalg.solve(first[:, toeplitz] + second[:, hankel], slope[:, :, None])[:, :, 0]
    return cepstra


@lru_cache(maxsize=4)
def _newton_matrices(bins: int, order: int, alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From mel-cepstrum to log amplitude (order + 1, bins), and from a power ratio (bins) to its warped correlation."""
    import numpy as np

    lags, frequencies = np.arange(bins), np.linspace(0.0, np.pi, bins)
    # Unwarping: row m holds the impulse response of the m-th power of the all-pass filter.
    unwarped = np.zeros((order + 1, bins))
    unwarped[0, 0] = 1.0
    for before, after in itertools.pairwise(unwarped):
        after[0] = -alpha * before[0]
        for lag in range(1, bins):
            after[lag] = before[lag - 1] + alpha * (after[lag - 1] - before[lag])
    to_log = unwarped @ np.cos(np.outer(lags, frequencies))
    correlation = np.fft.irfft(np.eye(bins), axis=1)[:, :bins]
    warped = np.zeros((2 * order + 1, bins))
    state = np.zeros(2 * order + 1)
    state[0] = 1.0
    for row in range(1, 2 * order + 1):
        state[row] = -alpha * state[row - 1]
    for lag in range(bins):
        warped[:, lag] = state
        after = np.zeros_like(state)
        for row in range(1, 2 * order + 1):
            after[row] = state[row - 1] + alpha * (state[row] - after[row - 1])
        state = after
    return to_log, correlation @ warped.T
