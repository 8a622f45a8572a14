"""WORLD's DIO, StoneMask and CheapTrick for many recordings at once on a device of torch.

The algorithm is that of :mod:`vceval.signal.world_arrays` and the values are the same up to rounding (float64). What
differs is what a GPU does well: DIO filters with one Fourier transform per band of the whole batch, and the steps that
look at single samples run over all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vceval.signal import world_arrays
from vceval.signal.world_constants import DEFAULT_F0, HIGHEST_F0, LOWEST_F0, band_edges, fft_size_for

if TYPE_CHECKING:
    import torch

__all__ = ["WorldBatch", "batch_analysis", "batch_envelopes", "batch_f0", "pad"]

#: Numbers in one array at most: 256 MB in double precision. Frames are taken in blocks of that.
_LARGEST = 1 << 25
#: As in world_kernels: what lies this far below the loudest sample is rounding errors.
_NOTHING = 1e-13
_SAFEGUARD = 1e-12


class WorldBatch(NamedTuple):
    """Analysed recordings: ``f0`` in Hz (R, T), 0 where unvoiced; ``cepstra`` (R, T, order + 1); ``frames`` (R,).

    What lies behind a recording's number of frames is zero.
    """

    f0: torch.Tensor
    cepstra: torch.Tensor
    frames: tuple[int, ...]


def pad(recordings: Sequence[NDArray[np.floating]], device: str | torch.device) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Put recordings of one sample rate on a device: samples (R, n) in float64, zeros behind them, and lengths."""
    import torch

    lengths = tuple(len(samples) for samples in recordings)
    padded = torch.zeros((len(lengths), max(lengths)), dtype=torch.float64)
    for row, samples in zip(padded, recordings, strict=True):
        row[: len(samples)] = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float64))
    return padded.to(device), lengths


def batch_analysis(
    samples: torch.Tensor, lengths: Sequence[int], rate: int, matrix: NDArray[np.float64], frame_ms: float = 5.0
) -> WorldBatch:
    """Analyse recordings as :func:`vceval.signal.world.world_cepstra` does.

    Args:
        samples: (R, n) in float64, see :func:`pad`.
        lengths: of the recordings in samples.
        rate: sample rate in Hz.
        matrix: (B, order + 1) of :func:`vceval.signal.world.mel_cepstrum_matrix`, B that of CheapTrick at the rate.
        frame_ms: hop between frames in milliseconds.
    """
    import torch

    f0, frames = batch_f0(samples, lengths, rate, frame_ms)
    turned = torch.from_numpy(world_arrays.turned_to_cepstra(matrix)).to(samples.device)
    cepstra = torch.zeros((*f0.shape, matrix.shape[1]), dtype=torch.float64, device=samples.device)
    for rows, columns, lifted in _lifted_cepstra(samples, lengths, rate, f0, frames, frame_ms, fft_size_for(rate)):
        cepstra[rows, columns] = lifted @ turned
    return WorldBatch(f0, cepstra, frames)


def batch_envelopes(
    samples: torch.Tensor,
    lengths: Sequence[int],
    rate: int,
    f0: torch.Tensor,
    frames: Sequence[int],
    frame_ms: float = 5.0,
    fft_size: int | None = None,
) -> torch.Tensor:
    """CheapTrick's power envelopes (R, T, fft_size / 2 + 1) of recordings whose F0 (R, T) is known."""
    import torch

    size = fft_size or fft_size_for(rate)
    envelopes = torch.zeros((*f0.shape, size // 2 + 1), dtype=torch.float64, device=samples.device)
    for rows, columns, lifted in _lifted_cepstra(samples, lengths, rate, f0, frames, frame_ms, size):
        envelopes[rows, columns] = torch.exp(_cosine_transform(lifted))
    return envelopes


def batch_f0(
    samples: torch.Tensor, lengths: Sequence[int], rate: int, frame_ms: float = 5.0
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """F0 (R, T) by DIO and StoneMask, and the number of frames of each recording."""
    import torch

    frames = tuple(int(1000.0 * length / rate / frame_ms) + 1 for length in lengths)
    times = torch.from_numpy(np.arange(max(frames)) * frame_ms / 1000.0).to(samples.device)
    candidates, scores = (values.cpu().numpy() for values in _candidates(samples, lengths, rate, times))
    rough = np.zeros((len(lengths), max(frames)))
    for row, count in enumerate(frames):
        # Decisions follow one another along a recording: work for a processor, and little of it
        one, its_scores = (np.ascontiguousarray(values[:, row, :count]) for values in (candidates, scores))
        rough[row, :count] = world_arrays.smooth_contour(one, its_scores, frame_ms)
    f0 = torch.from_numpy(rough).to(samples.device)
    return _stonemask(samples, lengths, rate, f0, times), frames


def _candidates(
    samples: torch.Tensor, lengths: Sequence[int], rate: int, times: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """DIO's candidates and scores (bands, R, T)."""
    import torch

    device = samples.device
    edges, quarters, half = band_edges(rate)
    counts = torch.tensor(lengths, device=device)[:, None] + 1
    longest = samples.shape[1] + 1
    size = _fft_length(longest + 2 * half + 1 + 4 * int(quarters.max()))
    place = torch.arange(longest, device=device)
    level = torch.nn.functional.pad(samples, (0, 1))
    level = torch.where(place < counts, level - level.sum(1, keepdim=True) / counts, 0.0)
    spectrum = torch.fft.rfft(level, size)
    window = torch.from_numpy(0.5 - 0.5 * np.cos(np.arange(1, 2 * half + 2) * 2.0 * np.pi / (2 * half + 2))).to(device)
    low_cut = torch.zeros(size, dtype=torch.float64, device=device)
    low_cut[: half + 1] = -window[half:] / window.sum()
    low_cut[-half:] = -window[:half] / window.sum()
    low_cut[0] += 1.0
    spectrum *= torch.fft.rfft(low_cut)
    loudest = torch.fft.irfft(spectrum, size).abs().amax(1, keepdim=True)
    results = []
    for edge, quarter in zip(edges, quarters.tolist(), strict=True):
        taps = torch.arange(4 * quarter, device=device, dtype=torch.float64) * (2.0 * pi / (4 * quarter - 1))
        nuttall = 0.355768 - 0.487396 * torch.cos(taps) + 0.144232 * torch.cos(2.0 * taps)
        nuttall -= 0.012604 * torch.cos(3.0 * taps)
        filtered = torch.fft.irfft(spectrum * torch.fft.rfft(nuttall, size), size)[:, 2 * quarter :][:, :longest]
        # Digital silence crosses zero too fast for any voice, as noise does
        nothing = _NOTHING * 4 * quarter * loudest
        filtered = torch.where(filtered.abs() <= nothing, torch.where(place % 2 == 1, nothing, -nothing), filtered)
        results.append(_agreement(_four_measurements(filtered, counts, rate, times), float(edge)))
    candidates, scores = zip(*results, strict=True)
    return torch.stack(candidates), torch.stack(scores)


def _four_measurements(filtered: torch.Tensor, counts: torch.Tensor, rate: int, times: torch.Tensor) -> torch.Tensor:
    """F0 (4, R, T) by the intervals of falls, rises, peaks and dips; NaN for recordings with too few of one."""
    import torch

    slope = filtered[:, 1:] - filtered[:, :-1]
    return torch.stack(
        [
            _intervals(curve, counts - lost, rate, times)
            for curve, lost in ((filtered, 0), (-filtered, 0), (slope, 1), (-slope, 1))
        ]
    )


def _intervals(curve: torch.Tensor, counts: torch.Tensor, rate: int, times: torch.Tensor) -> torch.Tensor:
    import torch

    before, after = curve[:, :-1], curve[:, 1:]
    place = torch.arange(1, curve.shape[1], device=curve.device)
    row, column = torch.nonzero((before > 0.0) & (after <= 0.0) & (place < counts), as_tuple=True)
    here = before[row, column]
    fine = (column + 1) - here / (after[row, column] - here)
    found = torch.bincount(row, minlength=len(curve))
    first = torch.cumsum(found, 0) - found
    number = torch.arange(len(row), device=curve.device) - first[row]
    crossings = torch.full((len(curve), max(4, int(found.max()))), torch.inf, dtype=torch.float64, device=curve.device)
    crossings[row, number] = fine
    middles = (crossings[:, :-1] + crossings[:, 1:]) / 2.0 / rate
    values = rate / (crossings[:, 1:] - crossings[:, :-1])
    grid = times.expand(len(curve), -1).contiguous()
    right = torch.searchsorted(middles, grid, right=True)
    right = torch.minimum(right, (found - 2)[:, None]).clamp(min=1)
    at, value = middles.gather(1, right - 1), values.gather(1, right - 1)
    pitch = value + (grid - at) / (middles.gather(1, right) - at) * (values.gather(1, right) - value)
    return torch.where((found >= 4)[:, None], pitch, torch.nan)


def _agreement(pitch: torch.Tensor, edge: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (R, T) of four measurements, 0 where it lies outside of the band, and their spread relative to it."""
    import torch

    mean = (pitch[0] + pitch[1] + pitch[2] + pitch[3]) / 4.0
    spread = torch.sqrt(((pitch - mean) ** 2).sum(0) / 3.0)
    inside = (mean <= edge) & (mean >= edge / 2.0) & (mean <= HIGHEST_F0) & (mean >= LOWEST_F0)
    return torch.where(inside, mean, 0.0), torch.where(inside, spread / (mean + _SAFEGUARD), 1e5 / _SAFEGUARD)


def _fft_length(needed: int) -> int:
    """Smallest length of factors 2, 3 and 5 that is enough, and even."""
    lengths: list[int] = [2**a * 3**b * 5**c for a in range(1, 28) for b in range(6) for c in range(4)]
    return min(length for length in lengths if length >= needed)


def _round(values: torch.Tensor) -> torch.Tensor:
    """To the nearest integer, halves away from zero, as float64."""
    import torch

    return torch.where(values > 0.0, torch.floor(values + 0.5), torch.ceil(values - 0.5))


def _stonemask(
    samples: torch.Tensor, lengths: Sequence[int], rate: int, f0: torch.Tensor, times: torch.Tensor
) -> torch.Tensor:
    import torch

    refined = torch.zeros_like(f0)
    rows, columns = torch.nonzero((f0 > 40.0) & (f0 <= rate / 12.0), as_tuple=True)
    last = torch.tensor(lengths, device=samples.device) - 1
    widest = 2 * int(1.5 * rate / 40.0 + 1.0) + 1
    block = max(1, _LARGEST // 4 // widest)
    for start in range(0, len(rows), block):
        row, column = rows[start : start + block], columns[start : start + block]
        pitch = f0[row, column]
        refined[row, column] = _refined(samples, last[row], row, rate, pitch, times[column])
    return refined


def _refined(
    samples: torch.Tensor, last: torch.Tensor, row: torch.Tensor, rate: int, pitch: torch.Tensor, time: torch.Tensor
) -> torch.Tensor:
    import torch

    half = torch.floor(1.5 * rate / pitch + 1.0)
    count = 2.0 * half + 1.0
    # The second power of two above the window
    size = (1 << (torch.frexp(count).exponent.long() + 1)).double()
    number = torch.arange(int(count.max()), device=samples.device, dtype=torch.float64)
    inside = number < count[:, None]
    # A number on the device: by one of Python's, CUDA multiplies with the inverse, and what ends in .5 is rounded over
    hertz = torch.tensor(float(rate), device=samples.device, dtype=torch.float64)
    place = _round((time[:, None] + (number - half[:, None]) / hertz) * hertz)
    turn = 2.0 * pi * ((place - 1.0) / hertz - time[:, None]) / (count / hertz)[:, None]
    window = torch.where(inside, 0.42 + 0.5 * torch.cos(turn) + 0.08 * torch.cos(2.0 * turn), 0.0)
    around = torch.nn.functional.pad(window, (1, 1))
    slope = torch.where(inside, (around[:, :-2] - around[:, 2:]) / 2.0, 0.0)
    value = samples[row[:, None], torch.minimum(place.long() - 1, last[:, None]).clamp(min=0)]
    both = torch.stack([value * window, value * slope])

    def by_harmonics(near: torch.Tensor, harmonics: int) -> torch.Tensor:
        above, below = torch.zeros_like(near), torch.zeros_like(near)
        for harmonic in range(1, harmonics + 1):
            bin_ = torch.minimum(_round(near * size / rate * harmonic), size / 2.0)
            turn = torch.remainder(bin_[:, None] * number, size[:, None]) * (2.0 * pi / size)[:, None]
            (re, slope_re), (im, slope_im) = (both * torch.cos(turn)).sum(2), -(both * torch.sin(turn)).sum(2)
            power = re * re + im * im
            frequency = bin_ * rate / size + (re * slope_im - im * slope_re) / power * rate / 2.0 / pi
            above += torch.sqrt(power) * torch.where(power == 0.0, 0.0, frequency)
            below += torch.sqrt(power) * harmonic
        return above / (below + _SAFEGUARD)

    by_two = by_harmonics(pitch, 2)
    sound = (by_two > 0.0) & (by_two <= 2.0 * pitch)
    by_six = torch.where(sound, by_harmonics(torch.where(sound, by_two, pitch), 6), 0.0)
    return torch.where((by_six - pitch).abs() > 0.2 * pitch, pitch, by_six)


def _lifted_cepstra(
    samples: torch.Tensor,
    lengths: Sequence[int],
    rate: int,
    f0: torch.Tensor,
    frames: Sequence[int],
    frame_ms: float,
    size: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Recordings, frames and cepstra of the envelope (block, size / 2 + 1), block by block."""
    import torch

    device, bins = samples.device, size // 2 + 1
    pitches = torch.where(f0 <= 3.0 * rate / (size - 3.0), DEFAULT_F0, f0)
    half = _round(1.5 * rate / pitches).long()
    known = torch.arange(f0.shape[1], device=device) < torch.tensor(frames, device=device)[:, None]
    counts = torch.where(known, 2 * half + 1 + bins, 0)
    ends = torch.cumsum(counts, 1)
    drawn = world_arrays.draws(0, int(ends.max())).astype(np.float64)
    noise = torch.from_numpy(drawn).to(device) / 268435456.0 - 6.0
    last = torch.tensor(lengths, device=device) - 1
    rows, columns = torch.nonzero(known, as_tuple=True)
    block = max(1, _LARGEST // 4 // size)
    for start in range(0, len(rows), block):
        row, column = rows[start : start + block], columns[start : start + block]
        pitch, reach = pitches[row, column], half[row, column]
        first = ends[row, column] - counts[row, column]
        origin = _round(column.double() * frame_ms / 1000.0 * rate + 0.001).long()
        spectra = torch.fft.rfft(_windowed(samples, last[row], row, rate, pitch, reach, origin, noise, first), size)
        power = _smoothed(spectra.real**2 + spectra.imag**2, size, rate, pitch)
        number = torch.arange(bins, device=device)
        power += noise[(first + 2 * reach + 1)[:, None] + number].abs() * 2.220446049250313e-16
        cepstra = _cosine_transform(torch.log(power)) / size
        turn = (pi / rate) * pitch[:, None] * number[1:]
        sine = torch.sin(turn)
        cepstra[:, 1:] *= sine / turn * (1.0 + 0.6 * sine * sine)
        yield row, column, cepstra


def _windowed(
    samples: torch.Tensor,
    last: torch.Tensor,
    row: torch.Tensor,
    rate: int,
    pitch: torch.Tensor,
    half: torch.Tensor,
    origin: torch.Tensor,
    noise: torch.Tensor,
    first: torch.Tensor,
) -> torch.Tensor:
    """Frames of three periods under a Hann window of unit power, without their mean."""
    import torch

    number = torch.arange(2 * int(half.max()) + 1, device=samples.device)
    inside = number < 2 * half[:, None] + 1
    off = number - half[:, None]
    window = torch.where(inside, 0.5 * torch.cos(pi * (off.double() / 1.5 / rate) * pitch[:, None]) + 0.5, 0.0)
    window /= torch.sqrt((window * window).sum(1, keepdim=True))
    value = samples[row[:, None], torch.minimum(origin[:, None] + off, last[:, None]).clamp(min=0)]
    drawn = noise[(first[:, None] + number).clamp(max=len(noise) - 1)]
    frame = torch.where(inside, value * window + drawn * 1e-12, 0.0)
    return frame - window * (frame.sum(1, keepdim=True) / window.sum(1, keepdim=True))


def _smoothed(power: torch.Tensor, size: int, rate: int, pitch: torch.Tensor) -> torch.Tensor:
    """Mirror power spectra below F0, and smooth them over two thirds of it."""
    import torch

    bins = size // 2 + 1
    number = torch.arange(bins, device=power.device)
    lower = 1 + torch.floor(pitch * size / rate)
    low = number[: int(lower.max())]
    place = (low.double() * rate / size - pitch[:, None]) / (-rate / size)
    place = torch.where(low < lower[:, None], place, 0.0)
    below = place.trunc().long()
    here = power.gather(1, below)
    replica = here + (power.gather(1, below + 1) - here) * (place - below)
    power = power.clone()
    power[:, : len(low)] += torch.where(low < lower[:, None], replica, 0.0)
    width = pitch * 2.0 / 3.0
    edge = torch.floor(width * size / rate).long() + 1
    long = torch.arange(bins + 2 * int(edge.max()), device=power.device)
    mirrored = (long - edge[:, None]).abs()
    mirrored = torch.where(mirrored > bins - 1, 2 * (bins - 1) - mirrored, mirrored).clamp(min=0)
    sums = torch.cumsum(power.gather(1, mirrored) * rate / size, 1)

    def sum_until(shift: torch.Tensor) -> torch.Tensor:
        whole = shift.floor()
        index = whole.long()[:, None] + number
        until = sums.gather(1, index)
        return until + (sums.gather(1, index + 1) - until) * (shift - whole)[:, None]

    middle, reach = edge.double() - 0.5, width / 2.0 / (rate / size)
    return (sum_until(middle + reach) - sum_until(middle - reach)) / width[:, None]


def _cosine_transform(values: torch.Tensor) -> torch.Tensor:
    """Transform of the even sequence of which ``values`` (block, n) is one half with both ends."""
    import torch

    spectrum: torch.Tensor = torch.fft.rfft(torch.cat([values, values[:, 1:-1].flip(1)], 1))
    return spectrum.real
