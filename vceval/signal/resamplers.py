"""Resampling as the libraries do it that the authors of converters used: resampy 0.2 and 0.4, torchaudio.

They part from soxr in the last kilohertz below half of the lower rate: their filters begin to fall elsewhere. resampy
0.2 has, besides, a step through its table of the filter that is cut to a whole number, so what it makes of 48 kHz at
16 kHz lies 50 dB from soxr's below 6 kHz, too.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vceval.signal.compiled import compiled

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["kaiser_best", "torchaudio_sinc"]


class _Edition(NamedTuple):
    """Zero crossings on a side, places between two of them, share of the band that is kept, and Kaiser's parameter."""

    zeros: int
    between: int
    share: float
    beta: float


#: The filter called ``kaiser_best`` in resampy before June 2022, and since.
_EDITIONS = {
    "0.2": _Edition(64, 512, 0.9475937167399596, 14.769656459379492),
    "0.4": _Edition(50, 8192, 0.9173473712608761, 12.9845853),
}
#: torchaudio's defaults: zero crossings on a side, and the share of the band that is kept.
_WIDTH, _ROLL_OFF = 6, 0.99


def kaiser_best(
    samples: NDArray[np.floating], source_rate: int, target_rate: int, edition: str = "0.2"
) -> NDArray[np.float32]:
    """Resample as resampy does with its filter ``kaiser_best``, and librosa before 0.10 by default.

    A windowed sinc is looked up in a table, with straight lines between its places; what lies beyond the ends is 0.

    Args:
        samples: (n,).
        source_rate: in Hz.
        target_rate: in Hz.
        edition: of resampy: ``0.2`` (2017 to June 2022) or ``0.4``.

    Returns:
        (n * target_rate // source_rate,). librosa adds a zero where that is not exact.

    Source: J. O. Smith, P. Gossett, "A flexible sampling-rate conversion method", ICASSP 1984; the behaviour of resampy
    0.2.2 and 0.4.3.
    """
    ratio = target_rate / source_rate
    scale = min(1.0, ratio)
    given = np.ascontiguousarray(samples, dtype=np.float32)
    made = np.zeros(len(given) * target_rate // source_rate, np.float32)
    if edition == "0.2":  # each place is the one before and a step, rounding errors and all
        times = np.cumsum(np.concatenate([[0.0], np.full(max(0, len(made) - 1), 1.0 / ratio)]))
    else:
        times = np.arange(len(made)) * (1.0 / ratio)
    _interpolate(given, times, *_rows(edition, scale), scale, _EDITIONS[edition].between, made)
    return made


@lru_cache(maxsize=8)
def _rows(edition: str, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The windowed sinc and its slopes in the order of looking them up: a row for the place of the first tap.

    Returns:
        Values and slopes, both (places, taps), zeros behind the end; and how many taps each row has.
    """
    zeros, between, share, beta = _EDITIONS[edition]
    many = zeros * between
    sinc = share * np.sinc(share * np.linspace(0.0, zeros, many + 1))
    table = sinc * np.kaiser(2 * many + 1, beta)[many:] * scale
    step = int(scale * between)
    firsts = np.arange(int(scale * between) + 1)
    counts = (len(table) - firsts) // step
    at = firsts[:, None] + np.arange(counts.max()) * step
    there = np.arange(counts.max()) < counts[:, None]
    at = np.where(there, at, 0)
    slopes = np.append(np.diff(table), 0.0)
    return np.where(there, table[at], 0.0), np.where(there, slopes[at], 0.0), counts


@compiled
def _interpolate(
    given: NDArray[np.float32],
    times: NDArray[np.float64],
    table: NDArray[np.float64],
    slopes: NDArray[np.float64],
    counts: NDArray[np.int64],
    scale: float,
    between: int,
    made: NDArray[np.float32],
) -> None:
    """Fill ``made`` with what the samples are at times, in samples; sums are of single precision, as resampy's are.

    Rounding to single precision after each term makes a sum a chain of waiting, so eight run side by side.
    """
    terms = np.zeros((8, table.shape[1]))
    back = given[::-1].copy()
    for begin in range(0, len(made), 8):
        together = min(8, len(made) - begin)
        a = b = c = d = e = f = g = h = np.float32(0.0)
        for side in range(2):
            longest = 0
            for lane in range(together):
                left = int(times[begin + lane])
                after = scale * (times[begin + lane] - left)
                start = (after if side == 0 else scale - after) * between
                first = int(start)
                beyond = start - first
                skipped = len(given) - 1 - left if side == 0 else left + 1
                values = (back if side == 0 else given)[skipped:]
                count = min(len(values), counts[first])
                row, slope, product = table[first], slopes[first], terms[lane]
                for tap in range(count):
                    product[tap] = (row[tap] + beyond * slope[tap]) * values[tap]
                product[count:] = -0.0  # changes no sum, not even one of -0
                longest = max(longest, count)
            for tap in range(longest):
                a = np.float32(a + terms[0, tap])
                b = np.float32(b + terms[1, tap])
                c = np.float32(c + terms[2, tap])
                d = np.float32(d + terms[3, tap])
                e = np.float32(e + terms[4, tap])
                f = np.float32(f + terms[5, tap])
                g = np.float32(g + terms[6, tap])
                h = np.float32(h + terms[7, tap])
        sums = (a, b, c, d, e, f, g, h)
        for lane in range(together):
            made[begin + lane] = sums[lane]


def torchaudio_sinc(samples: NDArray[np.floating], source_rate: int, target_rate: int) -> NDArray[np.float32]:
    """Resample as ``torchaudio.functional.resample`` does by default: a sinc of six zeros on a side under a cosine.

    Args:
        samples: (n,).
        source_rate: in Hz.
        target_rate: in Hz.

    Returns:
        (ceil(n * target_rate / source_rate),); beyond the ends all is 0.

    Source: the behaviour of torchaudio 2.11.
    """
    import torch

    common = gcd(source_rate, target_rate)
    old, new = source_rate // common, target_rate // common
    filters, reach = _sincs(old, new)
    # Networks around it may work at half precision
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        given = torch.tensor(np.ascontiguousarray(samples, dtype=np.float32))
        padded = torch.nn.functional.pad(given, (reach, reach + old))
        made = torch.nn.functional.conv1d(padded[None, None], filters, stride=old)[0].T.reshape(-1)
    found: NDArray[np.float32] = made[: ceil(new * len(samples) / old)].numpy()
    return found


@lru_cache(maxsize=8)
def _sincs(old: int, new: int) -> tuple[torch.Tensor, int]:
    """One filter for each place between two samples, (new, 1, taps); they are designed in single precision."""
    import torch

    cut = min(old, new) * _ROLL_OFF
    reach = ceil(_WIDTH * old / cut)
    places = torch.arange(-reach, reach + old, dtype=torch.float32)[None, None] / old
    shifts = torch.arange(0, -new, -1, dtype=torch.float32)[:, None, None] / new
    crossings = ((shifts + places) * cut).clamp(-_WIDTH, _WIDTH)
    window = torch.cos(crossings * torch.pi / _WIDTH / 2) ** 2
    angles = crossings * torch.pi
    sinc = torch.where(angles == 0, torch.tensor(1.0), angles.sin() / angles)
    return sinc * (window * (cut / old)), reach
