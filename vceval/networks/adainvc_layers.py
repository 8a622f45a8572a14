"""Layers of AdaIN-VC that hold no more than one convolution each, and moves along the time axis.

Source: Chou, Yeh, Lee, Interspeech 2019, arXiv 1904.05742; padding and order of channels as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Bank", "MakeConv", "PaddedConv", "TimeNorm", "edges", "halved", "repeated", "spread", "steered"]

#: Makes a convolution: channels in, channels out, kernel, stride.
MakeConv = Callable[[int, int, int, int], nn.Module]


class PaddedConv(nn.Conv1d):
    """A convolution over time, the input mirrored at both ends so that stride 1 keeps its length.

    A kernel of even size gets one frame less at the end than at the start.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride=stride)
        self._edges = edges(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, before, frames) to (batch, after, ceil(frames / stride))."""
        return super().forward(functional.pad(x, self._edges, mode="reflect") if self._edges[0] else x)


class TimeNorm(nn.Module):
    """Brings every channel to mean 0 and variance 1 over time: biased variance, epsilon 1e-5, nothing learnt."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames), two frames or more."""
        return functional.instance_norm(x)


def edges(kernel: int) -> tuple[int, int]:
    """Frames that are mirrored before and after a convolution."""
    return kernel // 2, (kernel - 1) // 2


def halved(x: Tensor, factor: int) -> Tensor:
    """Average neighbours in time; a last group that is not full is averaged over the frames it has."""
    return functional.avg_pool1d(x, kernel_size=factor, ceil_mode=True) if factor > 1 else x


def spread(x: Tensor, factor: int) -> Tensor:
    """Turn groups of channels into frames: channel c * factor + j of frame t becomes frame t * factor + j of c."""
    if factor == 1:
        return x
    batch, channels, frames = x.shape
    return x.reshape(batch, channels // factor, factor, frames).transpose(2, 3).reshape(batch, -1, frames * factor)


def repeated(x: Tensor, factor: int) -> Tensor:
    """Repeat every frame."""
    return torch.repeat_interleave(x, factor, dim=2) if factor > 1 else x


def steered(x: Tensor, condition: Tensor) -> Tensor:
    """Scale and shift channels; the first half of ``condition`` (batch, 2 * channels) is the shift."""
    shift, scale = condition.chunk(2, dim=1)
    return x * scale[:, :, None] + shift[:, :, None]


class Bank(nn.ModuleList):
    """Convolutions with kernels 1 to ``kernels`` side by side, each before ReLU; the input itself comes last."""

    def __init__(self, bands: int, width: int, kernels: int, conv: MakeConv) -> None:
        super().__init__(conv(bands, width, kernel, 1) for kernel in range(1, kernels + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bands, frames) to (batch, kernels * width + bands, frames)."""
        return torch.cat([*(torch.relu(layer(x)) for layer in self), x], dim=1)
