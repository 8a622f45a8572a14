"""SingleVC, which turns the mel spectrogram of anybody's speech into that of one speaker, and its building blocks.

Double precision throughout: an instance norm stands on the output of an attention that hardly varies over time, and
magnifies rounding several thousand times. In single precision the result would depend on device and batch.

Source: Gu et al., "MediumVC", arXiv 2110.02500, section on SingleVC; layers are named as the published file has them.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import conv1d, instance_norm, nested

__all__ = [
    "Attention",
    "InstanceNorm",
    "SingleVc",
    "Smoother",
    "Unit",
    "attended",
    "named",
    "self_attention",
    "singlevc",
]


def named(inputs: int, outputs: int, kernel: int, weight_norm: bool) -> nn.Module:
    """Make a convolution that keeps the length, known as ``conv_block.conv0``."""
    return nested(conv1d(weight_norm)(inputs, outputs, kernel, padding=kernel // 2), "conv_block", "conv0")


class Unit(nn.Module):
    """Two convolutions side by side, kernels 5 and 3, and the input added to their sum: (b, inputs, t).

    The 1x1 convolution of the input is stored even where the widths are equal and the input is taken as it is.
    """

    def __init__(self, inputs: int, outputs: int, relu: bool = True, weight_norm: bool = True) -> None:
        super().__init__()
        self.conv_block1 = named(inputs, outputs, 5, weight_norm)
        self.conv_block2 = named(inputs, outputs, 3, weight_norm)
        self.adjust_dim_layer = conv1d(weight_norm)(inputs, outputs, 1)
        self.same, self.relu = inputs == outputs, relu

    def forward(self, x: Tensor) -> Tensor:
        """Compute (b, outputs, t)."""
        wide, narrow = self.conv_block1(x), self.conv_block2(x)
        kept: Tensor = x if self.same else self.adjust_dim_layer(x)
        return functional.relu(wide) + functional.relu(narrow) + kept if self.relu else wide + narrow + kept


class Attention(nn.Module):
    """Multi-head self attention with biases over (b, width, t); names as ``nn.MultiheadAttention`` has them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Attend to every frame but those where ``padding`` (b, t) is true."""
        projected = functional.linear(x.transpose(1, 2), self.in_proj_weight, self.in_proj_bias)
        batch, frames, _ = projected.shape
        query, key, value = projected.view(batch, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        allowed = None if padding is None else ~padding[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, allowed)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2)).transpose(1, 2)
        return result


def self_attention(width: int, heads: int) -> nn.Module:
    """Make an attention known as ``cross_attn``, though it attends to its own input, (b, width, t)."""
    return nested(Attention(width, heads), "cross_attn")


class InstanceNorm(nn.Module):
    """Mean 0 and variance 1 over time for each channel of (b, channels, t)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return instance_norm(x)


def attended(width: int, heads: int) -> nn.Sequential:
    """Make an attention, ReLU and instance norm."""
    return nn.Sequential(self_attention(width, heads), nn.ReLU(), InstanceNorm())


class Smoother(nn.Module):
    """Self attention, then two convolutions with a ReLU between; both added to their inputs, without layer norms."""

    def __init__(
        self, width: int, heads: int, hidden: int, kernels: tuple[int, int] = (5, 1), weight_norm: bool = True
    ) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.conv0 = conv1d(weight_norm)(width, hidden, kernels[0], padding=kernels[0] // 2)
        self.conv1 = conv1d(weight_norm)(hidden, width, kernels[1], padding=kernels[1] // 2)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Compute (b, width, t); nothing attends to frames where ``padding`` (b, t) is true."""
        x = x + self.self_attn(x, padding)
        result: Tensor = x + self.conv1(functional.relu(self.conv0(x)))
        return result


class _Encoder(nn.Module):
    def __init__(self, weight_norm: bool) -> None:
        super().__init__()
        self.pre_block = nn.Sequential(
            Unit(80, 256, True, weight_norm), Unit(256, 128, True, weight_norm), Unit(128, 36, False, weight_norm)
        )
        self.post_block = attended(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.post_block(self.pre_block(x))
        return result


class _Decoder(nn.Module):
    def __init__(self, weight_norm: bool) -> None:
        super().__init__()
        self.pre_conv_block = nn.Sequential(Unit(36, 256, False, weight_norm))
        self.pre_attention_block = attended(256, 8)
        self.mel_linear1 = nn.Linear(256, 256)
        self.smoothers = nn.ModuleList(Smoother(256, 8, 512, weight_norm=weight_norm) for _ in range(3))
        widths = (256, 256, 128, 80, 80)
        self.post_block = nn.Sequential(*(Unit(a, b, True, weight_norm) for a, b in pairwise(widths)))
        self.mel_linear2 = nn.Linear(80, 80)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        x = self.pre_attention_block(self.pre_conv_block(x))
        x = self.mel_linear1(x.transpose(1, 2)).transpose(1, 2)
        for smoother in self.smoothers:
            x = smoother(x, padding)
        return functional.relu(self.mel_linear2(self.post_block(x).transpose(1, 2)))


class SingleVc(nn.Module):
    """Any speech to the speech of one speaker (VCTK p249), mel to mel.

    Args:
        weight_norm: as in the file of SingleVC; the copy inside of MediumVC's file has none.
    """

    def __init__(self, weight_norm: bool = True) -> None:
        super().__init__()
        self.encoder = _Encoder(weight_norm)
        self.decoder = _Decoder(weight_norm)

    def forward(self, mel: Tensor, padding: Tensor | None = None) -> Tensor:
        """Convert.

        Args:
            mel: (b, t, 80) on the scale of ``hifigan_features.to_unit``.
            padding: (b, t), true beyond an item's end. As in the original it reaches the smoothers alone: a padded
                item does not come out as it does alone, so unequal lengths don't belong in a batch.

        Returns:
            Double precision (b, t, 80), not negative; not cut at 1.
        """
        result: Tensor = self.decoder(self.encoder(mel.double().transpose(1, 2)), padding)
        return result


def singlevc() -> SingleVc:
    """Build the network as its own file has it."""
    return SingleVc().double()
