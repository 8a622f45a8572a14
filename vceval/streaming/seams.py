"""Seams: what is heard where one piece of a stream ends and the next begins, against the same place offline.

Energy: how much the level changes across the place, in dB, beyond what it does offline. Phase: how far what comes after
is turned against what came before, again beyond what it is offline: the mean over frequency, by power, in degrees. Both
are also measured in the middle of pieces, where there is no seam: a converter whose streamed audio differs from its
offline audio anyway does so there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ENERGY", "PHASE", "Jump", "Seams", "jump", "seams"]

#: Seconds on either side of a seam, by which it is judged, and of the peak, below which nobody hears it (-50 dB).
_SIDE, _QUIET = 0.01, 0.003
#: Jumps that count: decibels, and degrees.
ENERGY, PHASE = 3.0, 45.0
#: Of the middles of pieces, so many jump less than what counts.
_USUAL = 0.95


class Jump(NamedTuple):
    """What happens at one place: dB and degrees."""

    energy: float
    phase: float


class Seams(NamedTuple):
    """Seams that were judged, those that count, and the median of their jumps and of those in the middle of pieces."""

    judged: int
    counted: int
    usual: Jump
    within: Jump


def seams(
    streamed: NDArray[np.float32], offline: NDArray[np.float32], delay: int, edges: Sequence[int], rate: int
) -> Seams | None:
    """Judge the places at which one piece ends and the next begins; None where none can be judged.

    Args:
        streamed: audio.
        offline: the same conversion made offline, at the same rate.
        delay: samples by which the streamed audio lies behind.
        edges: the first sample of each piece but the first.
        rate: in Hz.
    """
    import numpy as np

    ends = [*edges, len(streamed)]
    middles = [(first + last) // 2 for first, last in pairwise(ends)]
    found, within = (
        [one for place in places if (one := jump(streamed, offline, delay, place, rate)) is not None]
        for places in (edges, middles)
    )
    if not found:
        return None
    bounds = [
        max(least, float(np.quantile([one[part] for one in within], _USUAL)) if within else 0.0)
        for part, least in enumerate((ENERGY, PHASE))
    ]
    counted = sum(bool(one.energy > bounds[0] or one.phase > bounds[1]) for one in found)
    medians = [
        Jump(*(float(np.median([one[part] for one in group])) for part in (0, 1))) if group else Jump(0.0, 0.0)
        for group in (found, within)
    ]
    return Seams(len(found), counted, *medians)


def jump(streamed: NDArray[np.float32], offline: NDArray[np.float32], delay: int, place: int, rate: int) -> Jump | None:
    """Measure one place; None where it is quiet, or too near an end."""
    import numpy as np

    side = round(_SIDE * rate)
    sides = []
    for samples, at in ((streamed, place), (offline, place - delay)):
        if at < side or at + side > len(samples):
            return None
        before, after = samples[at - side : at].astype(np.float64), samples[at : at + side].astype(np.float64)
        floor = _QUIET * float(np.max(np.abs(samples), initial=0.0))
        levels = [float(np.sqrt(np.mean(np.square(part)))) for part in (before, after)]
        if samples is offline and min(levels) <= floor:
            return None
        sides.append((before, after, [20.0 * np.log10(max(level, floor / 10.0, 1e-9)) for level in levels]))
    (ours, theirs) = sides
    energy = float(abs((ours[2][1] - ours[2][0]) - (theirs[2][1] - theirs[2][0])))
    window = np.hanning(side + 2)[1:-1]
    spectra = [[np.fft.rfft(part * window) for part in one[:2]] for one in sides]
    turned = [spectra[0][part] * np.conj(spectra[1][part]) for part in (0, 1)]
    product = turned[1] * np.conj(turned[0])
    weights = np.abs(product)
    total = float(weights.sum())
    phase = float(np.degrees((weights * np.abs(np.angle(product))).sum() / total)) if total > 0.0 else 0.0
    return Jump(energy, phase)
