"""What several networks share: weight-normed convolutions, masks for batches of unequal length, names of layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "PositionConv",
    "WNConv1d",
    "WNConv2d",
    "WNConvTranspose1d",
    "conv1d",
    "frame_mask",
    "instance_norm",
    "nested",
    "onto",
]


class _WeightNormed(nn.Module):
    """Mixin for a convolution whose weight is stored as direction ``weight_v`` and length ``weight_g``.

    The length has one entry per index of dimension ``kept``: 0, for transposed convolutions too (there the input
    channel).
    The product is made once, when weights are loaded, so that inference pays nothing for it.

    Source: Salimans, Kingma, "Weight normalization", NeurIPS 2016, equation 2; names as torch's old weight_norm.
    """

    weight: Any
    kept: ClassVar[int] = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        direction = self.weight.detach()
        del self.weight
        self.weight_g = nn.Parameter(_length(direction, self.kept))
        self.weight_v = nn.Parameter(direction)
        self.register_buffer("weight", direction.clone(), persistent=False)
        self.register_load_state_dict_post_hook(_fold)  # type: ignore[no-untyped-call]


def _length(direction: Tensor, kept: int) -> Tensor:
    if direction.is_meta:  # for the shape alone torch would import its compiler, which takes seconds
        return direction.new_empty([size if place == kept else 1 for place, size in enumerate(direction.shape)])
    others = tuple(place for place in range(direction.dim()) if place != kept)
    length: Tensor = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
    return length


def _fold(layer: Any, _keys: Any) -> None:
    with torch.no_grad():
        layer.weight = layer.weight_v * (layer.weight_g / _length(layer.weight_v, layer.kept))


class WNConv1d(_WeightNormed, nn.Conv1d):
    """Conv1d with weight norm; same arguments. Keys ``bias``, ``weight_g`` (out, 1, 1), ``weight_v``."""


class WNConv2d(_WeightNormed, nn.Conv2d):
    """Conv2d with weight norm; same arguments. Keys ``bias``, ``weight_g`` (out, 1, 1, 1), ``weight_v``."""


class WNConvTranspose1d(_WeightNormed, nn.ConvTranspose1d):
    """ConvTranspose1d with weight norm; same arguments. Keys ``bias``, ``weight_g`` (in, 1, 1), ``weight_v``."""


class PositionConv(_WeightNormed, nn.Conv1d):
    """The convolutional position code of wav2vec 2.0 and WavLM: a wide grouped convolution, a length for each tap.

    Keys ``bias``, ``weight_g`` (1, 1, kernel), ``weight_v``. Takes and gives (batch, width, frames).

    Source: Baevski et al., "wav2vec 2.0", NeurIPS 2020, section 2.
    """

    kept: ClassVar[int] = 2

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and take through GELU; an even kernel gives a frame too many, which is cut."""
        return functional.gelu(super().forward(x)[..., : x.shape[2]])


def conv1d(weight_norm: bool) -> type[nn.Conv1d]:
    """Choose the convolution by whether a file stores it with weight norm."""
    return WNConv1d if weight_norm else nn.Conv1d


def nested(layer: nn.Module, *names: str) -> nn.Module:
    """Put a layer one level deeper for each name, the innermost last, as a published file has its keys."""
    for name in reversed(names):
        layer = nn.Sequential(OrderedDict([(name, layer)]))
    return layer


def onto(device: torch.device | str, values: Tensor) -> Tensor:
    """Bring values from main memory to a device, without waiting for what that is at."""
    if torch.device(device).type == "cpu" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Make a mask (batch, 1, frames): 1 for the frames of each item, 0 beyond its length."""
    places = torch.arange(frames, device=lengths.device)
    return (places[None, :] < lengths[:, None])[:, None, :].to(torch.get_default_dtype())


def instance_norm(x: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Bring every channel of (batch, channels, time) to mean 0 and variance 1 over time (biased variance)."""
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
    return (x - mean) * torch.rsqrt(variance + epsilon)
