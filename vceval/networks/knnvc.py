"""kNN-VC: each frame of the source gives way to the mean of the nearest frames of the target speaker.

Source: Baas, van Niekerk, Kamper, "Voice conversion with just nearest neighbors", Interspeech 2023, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from vceval.networks.hifigan import Generator

__all__ = ["HOP", "LAYER", "NEIGHBOURS", "Match", "match", "stretched", "vocoder"]

#: Layer of WavLM that features are taken from; samples per frame at 16 kHz; neighbours that are averaged.
LAYER, HOP, NEIGHBOURS = 6, 320, 4
_RATE = 16_000


class Match(NamedTuple):
    """Neighbours of query frames: distances (q, s), indices of the nearest (q, k), their mean features (q, width)."""

    distances: Tensor
    indices: Tensor
    features: Tensor


def vocoder() -> Generator:
    """Build the vocoder: features (batch, frames, 1024) to 320 samples per frame at 16 kHz, 236 entries."""
    return Generator(512, (10, 8, 2, 2), (20, 16, 4, 4), linear=1024)


def match(query: Tensor, pool: Tensor, neighbours: int = NEIGHBOURS) -> Match:
    """Replace each query frame by the plain mean of the frames of the pool that are nearest to it by cosine.

    Args:
        query: (q, width).
        pool: (s, width), s >= ``neighbours``.
        neighbours: frames to average.

    Raises:
        ValueError: the pool has too few frames.
    """
    if len(pool) < neighbours:
        raise ValueError(f"{len(pool)} frames of the target speaker are less than {neighbours}")
    distances = 1.0 - functional.normalize(query, dim=1) @ functional.normalize(pool, dim=1).T
    indices = distances.topk(neighbours, largest=False, dim=1).indices
    return Match(distances, indices, pool[indices].mean(dim=1))


def stretched(query: Tensor, seconds: float) -> Tensor:
    """Bring source features to a duration before they are matched, by linear interpolation in time.

    Args:
        query: (q, width).
        seconds: wanted; whole samples at 16 kHz, and of the frames that they make, part ones are dropped.

    Returns:
        (about 50 * seconds, width).
    """
    scale = (int(seconds * _RATE) / HOP) / len(query)
    return functional.interpolate(query.T[None], scale_factor=scale, mode="linear")[0].T
