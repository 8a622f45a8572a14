"""The loops of :mod:`vceval.signal.world_arrays`, compiled by numba: import it where they are used."""

# mypy: disable-error-code="no-untyped-call, no-untyped-def"

from __future__ import annotations

from math import cos, floor, log, pi, sin, sqrt

import numpy as np

from vceval.signal.compiled import compiled, compiled_loosely

__all__ = [
    "band_pitch", "exponential", "lift", "logarithm", "low_cut", "noise", "smooth_contour", "smooth_power", "stonemask",
    "windowed",
]  # fmt: skip

#: Sliding sums are begun anew after so many samples, so that rounding errors don't add up.
_RESTART = 4096
_STRETCH, _LANES = 1024, 16
#: What lies this far below the loudest sample is rounding errors.
_NOTHING = 1e-13
_SAFEGUARD = 1e-12


@compiled_loosely
def low_cut(samples, half, padding):
    """Subtract from each sample the mean of its neighbourhood, weighed by a Hann window of 2 * half + 1 samples.

    The overall mean is subtracted first, and one sample of nothing is put after the last. Returned are the samples
    from ``padding`` before the first to ``padding`` after that one.
    """
    count = len(samples) + 1
    mean = samples.sum() / count
    around = padding + half + 1
    level = np.zeros(count + 2 * around)
    for i in range(count - 1):
        level[around + i] = samples[i] - mean
    level[around + count - 1] = -mean
    result = np.empty(count + 2 * padding)
    step_re, step_im = cos(pi / (half + 1)), sin(pi / (half + 1))
    last_re, last_im = cos(pi * half / (half + 1)), sin(pi * half / (half + 1))
    scale = 0.5 / (half + 1)
    for start in range(0, len(result), _RESTART):
        centre = start + half + 1
        plain, re, im = 0.0, 0.0, 0.0
        for j in range(-half, half + 1):
            value = level[centre - j]
            plain += value
            re += value * cos(pi * j / (half + 1))
            im += value * sin(pi * j / (half + 1))
        for i in range(start, min(start + _RESTART, len(result))):
            centre = i + half + 1
            result[i] = level[centre] - scale * (plain + re)
            if i + 1 == len(result):
                break
            comes, goes = level[centre + half + 1], level[centre - half]
            plain += comes - goes
            sum_re, sum_im = re - comes - goes * last_re, im - goes * last_im
            re, im = sum_re * step_re - sum_im * step_im, sum_re * step_im + sum_im * step_re
    return result


@compiled_loosely
def _low_pass(signal, padding, quarter):
    """Filter with a Nuttall window of 4 * quarter samples, without delay.

    The window is a sum of four cosines, so its output is one of four sliding sums: a real one and three complex ones.
    Several stretches of the signal are taken at once, side by side in memory, for processors that compute several
    numbers in one instruction.
    """
    taps = 4 * quarter
    count = len(signal) - 2 * padding
    result = np.empty(count)
    stretch = min(_STRETCH, (count + _LANES - 1) // _LANES)
    side = np.zeros((stretch + taps) * _LANES)
    out = np.empty(stretch * _LANES)
    state = np.empty(7 * _LANES)
    turn = 2.0 * pi / (taps - 1)
    c1, s1 = cos(turn), sin(turn)
    c2, s2 = cos(2.0 * turn), sin(2.0 * turn)
    c3, s3 = cos(3.0 * turn), sin(3.0 * turn)
    ahead = padding + 2 * quarter - taps
    for begin in range(0, count, _LANES * stretch):
        for lane in range(_LANES):
            first = begin + lane * stretch + ahead
            known = max(0, min(stretch + taps, len(signal) - first))
            for i in range(known):
                side[i * _LANES + lane] = signal[first + i]
            for i in range(known, stretch + taps):
                side[i * _LANES + lane] = 0.0
        state[:] = 0.0
        for i in range(taps):
            d1, e1 = cos(turn * (taps - 1 - i)), sin(turn * (taps - 1 - i))
            d2, e2 = d1 * d1 - e1 * e1, 2.0 * d1 * e1
            d3, e3 = d2 * d1 - e2 * e1, d2 * e1 + e2 * d1
            row = side[i * _LANES : (i + 1) * _LANES]
            for lane in range(_LANES):
                value = row[lane]
                state[lane] += value
                state[lane + _LANES] += value * d1
                state[lane + 2 * _LANES] += value * d2
                state[lane + 3 * _LANES] += value * d3
                state[lane + 4 * _LANES] += value * e1
                state[lane + 5 * _LANES] += value * e2
                state[lane + 6 * _LANES] += value * e3
        for i in range(stretch):
            new, old = side[(taps + i) * _LANES : (taps + i + 1) * _LANES], side[i * _LANES : (i + 1) * _LANES]
            put = out[i * _LANES : (i + 1) * _LANES]
            for lane in range(_LANES):
                comes, goes = new[lane], old[lane]
                zero = state[lane] + (comes - goes)
                re1, im1 = state[lane + _LANES] - goes, state[lane + 4 * _LANES]
                re2, im2 = state[lane + 2 * _LANES] - goes, state[lane + 5 * _LANES]
                re3, im3 = state[lane + 3 * _LANES] - goes, state[lane + 6 * _LANES]
                one = c1 * re1 - s1 * im1 + comes
                two = c2 * re2 - s2 * im2 + comes
                three = c3 * re3 - s3 * im3 + comes
                state[lane] = zero
                state[lane + _LANES] = one
                state[lane + 2 * _LANES] = two
                state[lane + 3 * _LANES] = three
                state[lane + 4 * _LANES] = s1 * re1 + c1 * im1
                state[lane + 5 * _LANES] = s2 * re2 + c2 * im2
                state[lane + 6 * _LANES] = s3 * re3 + c3 * im3
                put[lane] = 0.355768 * zero - 0.487396 * one + 0.144232 * two - 0.012604 * three
        for lane in range(_LANES):
            first = begin + lane * stretch
            for i in range(min(stretch, count - first)):
                result[first + i] = out[i * _LANES + lane]
    return result


@compiled
def _crossings(signal, edges):
    """Places where the signal and its slope fall to zero or rise through it: (4, n) of ``edges``, and their counts."""
    counts = np.zeros(4, dtype=np.int64)
    falls, rises, peaks, dips = 0, 0, 0, 0
    slope = 0.0
    for i in range(1, len(signal)):
        before, here = signal[i - 1], signal[i]
        if before * here <= 0.0:
            if before > 0.0 and here <= 0.0:
                edges[0, falls] = i - before / (here - before)
                falls += 1
            if before < 0.0 and here >= 0.0:
                edges[1, rises] = i - before / (here - before)
                rises += 1
        slope_before, slope = slope, here - before
        if i > 1 and slope_before * slope <= 0.0:
            if slope_before > 0.0 and slope <= 0.0:
                edges[2, peaks] = (i - 1) - slope_before / (slope - slope_before)
                peaks += 1
            if slope_before < 0.0 and slope >= 0.0:
                edges[3, dips] = (i - 1) - slope_before / (slope - slope_before)
                dips += 1
    counts[0], counts[1], counts[2], counts[3] = falls, rises, peaks, dips
    return counts


@compiled
def band_pitch(signal, padding, quarters, boundaries, rate, times, low, high):
    """Candidates (bands, T) in Hz, 0 where there is none, and how well four measurements of each agree (0: best)."""
    bands, frames = len(boundaries), len(times)
    candidates, scores = np.zeros((bands, frames)), np.empty((bands, frames))
    loudest = np.abs(signal).max()
    edges = np.empty((4, (len(signal) - 2 * padding) // 2 + 2))
    values = np.empty((4, frames))
    for band in range(bands):
        scores[band] = 1e5 / _SAFEGUARD
        filtered = _low_pass(signal, padding, quarters[band])
        nothing = _NOTHING * loudest * 4 * quarters[band]
        for i in range(len(filtered)):
            if abs(filtered[i]) <= nothing:  # in digital silence: crosses zero too fast for any voice, as noise does
                filtered[i] = nothing if i % 2 else -nothing
        counts = _crossings(filtered, edges)
        if counts.min() < 4:
            continue
        for kind in range(4):
            edge, last = edges[kind], counts[kind] - 2  # the number of the last interval
            k = 0  # of the interval left of the time, or the first
            at, after = (edge[0] + edge[1]) / 2.0 / rate, (edge[1] + edge[2]) / 2.0 / rate
            value, next_value = rate / (edge[1] - edge[0]), rate / (edge[2] - edge[1])
            for t in range(frames):
                while k + 1 < last and times[t] >= after:
                    k += 1
                    at, value = after, next_value
                    after = (edge[k + 1] + edge[k + 2]) / 2.0 / rate
                    next_value = rate / (edge[k + 2] - edge[k + 1])
                values[kind, t] = value + (times[t] - at) / (after - at) * (next_value - value)
        boundary = boundaries[band]
        for t in range(frames):
            a, b, c, d = values[0, t], values[1, t], values[2, t], values[3, t]
            mean = (a + b + c + d) / 4.0
            if not (mean > boundary or mean < boundary / 2.0 or mean > high or mean < low):
                spread = sqrt(((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2 + (d - mean) ** 2) / 3.0)
                candidates[band, t] = mean
                scores[band, t] = spread / (mean + _SAFEGUARD)
    return candidates, scores


@compiled
def _follow(candidates, t, near, further, allowed):
    """The candidate of frame t that continues a line best; 0 if none is within the allowed range."""
    expected = (near * 3.0 - further) / 2.0
    best, error = candidates[0, t], abs(expected - candidates[0, t])
    for band in range(1, len(candidates)):
        other = abs(expected - candidates[band, t])
        if other < error:
            best, error = candidates[band, t], other
    return 0.0 if abs(1.0 - best / expected) > allowed else best


@compiled
def smooth_contour(candidates, scores, shortest, allowed):
    """Choose a candidate for each frame: the best ones, without jumps and short pieces, continued at both ends."""
    bands, frames = candidates.shape
    result = np.zeros(frames)
    if frames <= shortest:
        return result
    base = np.zeros(frames)
    for t in range(shortest, frames - shortest):
        best = scores[0, t]
        base[t] = candidates[0, t]
        for band in range(1, bands):
            if best > scores[band, t]:
                best, base[t] = scores[band, t], candidates[band, t]
    steady = np.zeros(frames)
    for t in range(shortest, frames):
        if abs((base[t] - base[t - 1]) / (_SAFEGUARD + base[t])) < allowed:
            steady[t] = base[t]
    result[:] = steady
    half = (shortest - 1) // 2
    for t in range(half, frames - half):
        for j in range(-half, half + 1):
            if steady[t + j] == 0.0:
                result[t] = 0.0
                break
    starts, ends = np.empty(frames, dtype=np.int64), np.empty(frames, dtype=np.int64)
    started, ended = 0, 0
    for t in range(1, frames):
        if result[t] == 0.0 and result[t - 1] != 0.0:
            ends[ended] = t - 1
            ended += 1
        elif result[t - 1] == 0.0 and result[t] != 0.0:
            starts[started] = t
            started += 1
    for section in range(ended):
        limit = frames - 1 if section == ended - 1 else ends[section + 1]
        for t in range(ends[section], limit):
            result[t + 1] = _follow(candidates, t + 1, result[t], result[t - 1], allowed)
            if result[t + 1] == 0.0:
                break
    for section in range(started - 1, -1, -1):
        limit = 1 if section == 0 else starts[section - 1]
        for t in range(starts[section], limit, -1):
            result[t - 1] = _follow(candidates, t - 1, result[t], result[t + 1], allowed)
            if result[t - 1] == 0.0:
                break
    return result


@compiled
def _round(value):
    """To the nearest integer, halves away from zero."""
    return int(value + 0.5) if value > 0.0 else int(value - 0.5)


@compiled_loosely
def _harmonics(cosines, windowed, slope, rows, sums, size, rate, pitch, count):
    """Mean of the instantaneous frequencies of the first harmonics over their numbers, weighed by amplitude.

    Only the bins that are needed are computed: rows of 16 samples are summed under the turn of each row, and the turn
    within a row comes last.
    """
    above, below = 0.0, 0.0
    mask, back = size - 1, 3 * size // 4
    a, b, c, d = sums[0], sums[1], sums[2], sums[3]
    for harmonic in range(1, count + 1):
        place = min(_round(pitch * size / rate * harmonic), size // 2)
        sums[:] = 0.0
        for row in range(rows):
            turn = (place * 16 * row) & mask
            re, im = cosines[turn], cosines[(turn + back) & mask]
            for k in range(16):
                a[k] += windowed[16 * row + k] * re
                b[k] += windowed[16 * row + k] * im
                c[k] += slope[16 * row + k] * re
                d[k] += slope[16 * row + k] * im
        main_re, main_im, slope_re, slope_im = 0.0, 0.0, 0.0, 0.0
        for k in range(16):
            turn = (place * k) & mask
            re, im = cosines[turn], cosines[(turn + back) & mask]
            main_re += a[k] * re - b[k] * im
            main_im -= a[k] * im + b[k] * re
            slope_re += c[k] * re - d[k] * im
            slope_im -= c[k] * im + d[k] * re
        power = main_re * main_re + main_im * main_im
        if power != 0.0:
            frequency = place * rate / size + (main_re * slope_im - main_im * slope_re) / power * rate / 2.0 / pi
            above += sqrt(power) * frequency
        below += sqrt(power) * harmonic
    return above / (below + _SAFEGUARD)


@compiled_loosely
def _squared_cosine(half_angle):
    """(1 + cos x) / 2 of half of x, between -pi / 2 and pi / 2."""
    q = half_angle * half_angle
    low = 1.0 / 40320.0 + q * (-1.0 / 3628800.0 + q * (1.0 / 479001600.0 + q * (-1.0 / 87178291200.0)))
    high = 1.0 / 20922789888000.0 + q * (-1.0 / 6402373705728000.0 + q / 2432902008176640000.0)
    series = 1.0 + q * (-0.5 + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (low + (q * q) * (q * q) * high))))
    return series * series


@compiled
def stonemask(samples, rate, f0, times):
    """Refine F0 by the instantaneous frequency of its harmonics."""
    result = np.zeros(len(f0))
    largest = 2 * int(1.5 * rate / 40.0 + 1.0) + 20
    windowed, slope, window, places = np.empty(largest), np.empty(largest), np.empty(largest), np.empty(largest)
    sums = np.empty((4, 16))
    cosines, size_before = np.empty(1), 0
    last = len(samples) - 1
    for t in range(len(f0)):
        pitch, time = f0[t], times[t]
        if pitch <= 40.0 or pitch > rate / 12.0:
            continue
        half = int(1.5 * rate / pitch + 1.0)
        count = 2 * half + 1
        size = 4
        while size // 2 <= count:
            size *= 2
        if size != size_before:
            cosines, size_before = np.cos(np.arange(size) * (2.0 * pi / size)), size
        seconds = (2.0 * half + 1.0) / rate
        for i in range(count):
            place = (time + (i - half) / rate) * rate
            places[i] = floor(place + 0.5) if place > 0.0 else -floor(0.5 - place)
        for i in range(count):
            c = 2.0 * _squared_cosine(pi * ((places[i] - 1.0) / rate - time) / seconds) - 1.0
            window[i] = 0.34 + c * (0.5 + 0.16 * c)
        inside = places[0] >= 1.0 and places[count - 1] <= last + 1.0
        for i in range(count):
            place = int(places[i]) - 1
            windowed[i] = samples[place if inside else max(0, min(last, place))]
        slope[0] = windowed[0] * (-window[1] / 2.0)
        for i in range(1, count - 1):
            slope[i] = windowed[i] * ((window[i - 1] - window[i + 1]) / 2.0)
        slope[count - 1] = windowed[count - 1] * (window[count - 2] / 2.0)
        for i in range(count):
            windowed[i] *= window[i]
        rows = (count + 15) // 16
        windowed[count : 16 * rows] = 0.0
        slope[count : 16 * rows] = 0.0
        refined = _harmonics(cosines, windowed, slope, rows, sums, size, rate, pitch, 2)
        if refined <= 0.0 or refined > 2.0 * pitch:
            refined = 0.0
        else:
            refined = _harmonics(cosines, windowed, slope, rows, sums, size, rate, refined, 6)
        result[t] = pitch if abs(refined - pitch) > 0.2 * pitch else refined
    return result


@compiled
def noise(state, result):
    """Continue several streams of WORLD's random numbers at once: ``state`` (4, lanes), ``result`` (n, lanes).

    Each number is the sum of twelve draws of 28 bits by xorshift, as an unsigned integer.
    """
    x, y, z, w = state[0], state[1], state[2], state[3]
    eleven, nineteen, eight, four = np.uint32(11), np.uint32(19), np.uint32(8), np.uint32(4)
    for i in range(len(result)):
        for lane in range(len(x)):
            a, b, c, d = x[lane], y[lane], z[lane], w[lane]
            total = np.uint32(0)
            for _ in range(3):
                a ^= np.uint32(a << eleven)
                a ^= (a >> eight) ^ d ^ (d >> nineteen)
                b ^= np.uint32(b << eleven)
                b ^= (b >> eight) ^ a ^ (a >> nineteen)
                c ^= np.uint32(c << eleven)
                c ^= (c >> eight) ^ b ^ (b >> nineteen)
                d ^= np.uint32(d << eleven)
                d ^= (d >> eight) ^ c ^ (c >> nineteen)
                total = np.uint32(total + (a >> four) + (b >> four) + (c >> four) + (d >> four))
            x[lane], y[lane], z[lane], w[lane] = a, b, c, d
            result[i, lane] = total


@compiled
def windowed(samples, rate, f0, times, draws, offsets, result):
    """Frames of three periods under a Hann window of unit power, without their mean, zeros after them."""
    window = np.empty(result.shape[1] + 1)
    last = len(samples) - 1
    for t in range(len(f0)):
        half = _round(1.5 * rate / f0[t])
        origin = _round(times[t] * rate + 0.001)
        if t == 0 or f0[t] != f0[t - 1]:
            for i in range(half + 1):
                window[half + i] = _squared_cosine(pi * (i / 1.5 / rate) * f0[t] / 2.0)
            power = window[half] * window[half]
            weight = window[half]
            for i in range(1, half + 1):
                value = window[half + i]
                window[half - i] = value
                power += 2.0 * value * value
                weight += 2.0 * value
            power = sqrt(power)
            for i in range(2 * half + 1):
                window[i] /= power
            weight /= power
        row, total = result[t], 0.0
        first = origin - half
        if first >= 0 and origin + half <= last:
            for i in range(2 * half + 1):
                row[i] = samples[first + i] * window[i]
        else:
            for i in range(2 * half + 1):
                row[i] = samples[max(0, min(last, first + i))] * window[i]
        for i in range(2 * half + 1):
            row[i] += (draws[offsets[t] + i] / 268435456.0 - 6.0) * 1e-12
        for i in range(2 * half + 1):
            total += row[i]
        total /= weight
        for i in range(2 * half + 1):
            row[i] -= window[i] * total
        row[2 * half + 1 :] = 0.0


@compiled
def smooth_power(spectra, size, rate, f0, draws, offsets, result):
    """Power of spectra, mirrored below F0 and smoothed over two thirds of it."""
    bins = size // 2 + 1
    power = np.empty(bins)
    sums = np.empty(2 * bins)
    step = rate / size
    for t in range(len(f0)):
        pitch = f0[t]
        spectrum = spectra[t]
        for i in range(bins):
            power[i] = spectrum[i].real * spectrum[i].real + spectrum[i].imag * spectrum[i].imag
        lower = 1 + int(pitch * size / rate)
        for i in range(lower):
            place = (i * rate / size - pitch) / (-rate / size)
            k = int(place)
            sums[i] = power[k] + (power[k + 1] - power[k]) * (place - k)
        for i in range(lower):
            power[i] += sums[i]
        for i in range(bins):
            power[i] = power[i] * rate / size
        width = pitch * 2.0 / 3.0
        edge = int(width * size / rate) + 1
        total = 0.0
        for i in range(edge):
            total += power[edge - i]
            sums[i] = total
        for i in range(bins - 1):
            total += power[i]
            sums[edge + i] = total
        for i in range(edge + 1):
            total += power[bins - 1 - i]
            sums[edge + bins - 1 + i] = total
        low, high = edge - 0.5 - width / 2.0 / step, edge - 0.5 + width / 2.0 / step
        a, b = int(low), int(high)
        low -= a
        high -= b
        draw = offsets[t] + 2 * _round(1.5 * rate / pitch) + 1
        for i in range(bins):
            under = sums[a + i] + (sums[a + i + 1] - sums[a + i]) * low
            over = sums[b + i] + (sums[b + i + 1] - sums[b + i]) * high
            small = abs(draws[draw + i] / 268435456.0 - 6.0) * 2.220446049250313e-16
            result[t, i] = (over - under) / width + small


@compiled_loosely
def logarithm(values):
    """Replace the values of a matrix by their natural logarithms, to 4e-16 of each."""
    for row in values:
        smallest = row[0]
        for i in range(len(row)):
            smallest = min(smallest, row[i])
        if not smallest > 1e-300:
            for i in range(len(row)):
                row[i] = log(row[i])
            continue
        for i in range(len(row)):
            bits = np.float64(row[i]).view(np.uint64)
            exponent = (bits + np.uint64(0x95F619980C433)) >> np.uint64(52)  # of a mantissa from 0.7 to 1.4
            mantissa = np.uint64((bits - (exponent << np.uint64(52))) + np.uint64(0x3FF0000000000000)).view(np.float64)
            twos = np.uint64(exponent | np.uint64(0x4330000000000000)).view(np.float64) - 4503599627371519.0
            s = (mantissa - 1.0) / (mantissa + 1.0)
            q = s * s
            p = 1.0 / 15.0 + q * (1.0 / 17.0 + q * (1.0 / 19.0 + q * (1.0 / 21.0 + q / 23.0)))
            p = q * (
                1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q * p)))))
            )
            row[i] = twos * 0.6931471803691238 + (2.0 * s + (2.0 * s * p + twos * 1.9082149292705877e-10))


@compiled_loosely
def exponential(values):
    """Replace the values of a matrix, which lie between -700 and 700 or are NaN, by e to their power."""
    for row in values:
        for i in range(len(row)):
            shifted = row[i] * 1.4426950408889634 + 6755399441055744.0
            twos = shifted - 6755399441055744.0
            r = (row[i] - twos * 0.6931471803691238) - twos * 1.9082149292705877e-10
            p = 1.0 / 5040.0 + r * (
                1.0 / 40320.0 + r * (1.0 / 362880.0 + r * (1.0 / 3628800.0 + r * (1.0 / 39916800.0 + r / 479001600.0)))
            )
            p = 1.0 + r * (
                1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * p)))))
            )
            bits = np.float64(p).view(np.uint64) + (np.float64(shifted).view(np.uint64) << np.uint64(52))
            row[i] = np.uint64(bits).view(np.float64) if p == p else p


@compiled_loosely
def lift(cepstra, rate, f0):
    """Smooth log spectra by their cepstra (T, n), and sharpen them again."""
    scale = 0.5 / (cepstra.shape[1] - 1)
    for t in range(len(f0)):
        turn = pi * f0[t] / rate
        step_re, step_im = cos(turn), sin(turn)
        re, im = 1.0, 0.0
        row = cepstra[t]
        row[0] *= scale
        for i in range(1, len(row)):
            re, im = re * step_re - im * step_im, re * step_im + im * step_re
            row[i] *= scale * (im / (turn * i)) * (1.0 + 0.6 * im * im)
