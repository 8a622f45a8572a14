"""CAM++ of 3D-Speaker: a speaker encoder of densely connected time-delay layers, each masked by its context.

Source: Wang, Zheng, Chen, Cheng, Chen, "CAM++: A fast and efficient network for speaker verification using
context-aware masking", Interspeech 2023; names and sizes as in the file ``campplus_cn_common.bin``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import frame_mask, nested, onto
from vceval.networks.campplus_features import BANDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "CamPlusPlus", "embed", "named", "pooled"]

DIMENSIONS = 192
_GROWTH, _BOTTLENECK, _CHANNELS, _START = 32, 128, 32, 128
#: Layers and dilation of each dense block.
_BLOCKS = ((12, 1), (24, 2), (16, 2))
#: Frames, at half the rate, over which a part of the context is averaged.
_SEGMENT = 100


def _norm(width: int, *, affine: bool = True) -> nn.Module:
    return nested(nn.BatchNorm1d(width, affine=affine), "batchnorm")


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zero what lies beyond each item's end: the next convolution must see there what it sees beyond any end."""
    return x if mask is None else x * mask


class _Residual(nn.Module):
    """Two convolutions over bands and time with a shortcut; ``stride`` acts on bands only."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(_CHANNELS, _CHANNELS, 1, (stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(_CHANNELS))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        inner = _masked(functional.relu(self.bn1(self.conv1(x))), mask)
        return _masked(functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(x)), mask)


class _Head(nn.Module):
    """From (batch, 80, frames) to (batch, 320, frames): local patterns over bands and time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, _CHANNELS, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.layer1 = nn.ModuleList([_Residual(2), _Residual(1)])
        self.layer2 = nn.ModuleList([_Residual(2), _Residual(1)])
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        flat = None if mask is None else mask[:, None]
        x = _masked(functional.relu(self.bn1(self.conv1(x[:, None]))), flat)
        for block in (*self.layer1, *self.layer2):
            x = block(x, flat)
        x = _masked(functional.relu(self.bn2(self.conv2(x))), flat)
        return x.flatten(1, 2)


class _SegmentMeans(nn.Module):
    """The context of every frame: the mean over the recording plus the mean over the frame's segment of 100."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Take (batch, channels, frames), zero beyond each item's end where there is a mask; give the same shape."""
        length = x.shape[-1]
        known = x.new_ones(1, 1, length) if mask is None else mask
        padded = functional.pad(x, (0, -length % _SEGMENT)).reshape(*x.shape[:-1], -1, _SEGMENT).sum(-1)
        counts = functional.pad(known, (0, -length % _SEGMENT)).reshape(len(known), 1, -1, _SEGMENT).sum(-1)
        segments = (padded / counts.clamp_min(1.0)).repeat_interleave(_SEGMENT, dim=-1)[..., :length]
        context: Tensor = segments + x.sum(-1, keepdim=True) / known.sum(-1, keepdim=True)
        return context


class _Context(nn.Module):
    """A dilated convolution whose output is masked by what the network makes of the frame's context."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(_BOTTLENECK, _GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.means = _SegmentMeans()
        self.linear1 = nn.Conv1d(_BOTTLENECK, _BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK // 2, _GROWTH, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        gate: Tensor = self.gate(self.linear2(functional.relu(self.linear1(self.means(x, mask)))))
        local: Tensor = self.linear_local(x)
        return local * gate


class _Dense(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm(width)
        self.linear1 = nn.Conv1d(width, _BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm(_BOTTLENECK)
        self.cam_layer = _Context(dilation)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        inner = functional.relu(self.nonlinear2(self.linear1(functional.relu(self.nonlinear1(x)))))
        found: Tensor = self.cam_layer(_masked(inner, mask), mask)
        return found


class _Block(nn.ModuleDict):
    """Layers that each see what went into the block and what all before them made of it."""

    def __init__(self, width: int, layers: int, dilation: int) -> None:
        super().__init__({
            f"tdnnd{place + 1}": _Dense(width + place * _GROWTH, dilation) for place in range(layers)
        })  # fmt: skip

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.values():
            x = torch.cat([x, layer(x, mask)], dim=1)
        return x


class _Step(nn.Module):
    """A convolution and a norm by the names of the file; whoever holds them knows which comes first."""

    def __init__(self, linear: nn.Module, nonlinear: nn.Module) -> None:
        super().__init__()
        self.linear, self.nonlinear = linear, nonlinear


class CamPlusPlus(nn.Module):
    """Frames of 80 bands to 192 values, not of length 1.

    Longer items change nothing of shorter ones in a batch: whatever lies beyond an item's end is held at zero before
    every convolution over time, and stays out of every mean and deviation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = _Head()
        parts: dict[str, nn.Module] = {
            "tdnn": _Step(nn.Conv1d(BANDS // 8 * _CHANNELS, _START, 5, 2, 2, bias=False), _norm(_START))
        }
        width = _START
        for place, (layers, dilation) in enumerate(_BLOCKS, 1):
            parts[f"block{place}"] = _Block(width, layers, dilation)
            width += layers * _GROWTH
            parts[f"transit{place}"] = _Step(nn.Conv1d(width, width // 2, 1, bias=False), _norm(width))
            width //= 2
        parts["out_nonlinear"] = _norm(width)
        parts["dense"] = _Step(nn.Conv1d(2 * width, DIMENSIONS, 1, bias=False), _norm(DIMENSIONS, affine=False))
        self.xvector = nn.ModuleDict(parts)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed.

        Args:
            frames: (batch, frames, 80), less their mean over time, at least 3 of them; zeros beyond an item's end.
            lengths: (batch,) frames of each item, in main memory, where they differ.

        Returns:
            (batch, 192).
        """
        steps: Any = self.xvector
        half = None
        mask = None
        if lengths is not None and bool((lengths != frames.shape[1]).any()):
            mask = frame_mask(onto(frames.device, lengths), frames.shape[1]).to(frames)
            half = mask[..., ::2]
        x = self.head(frames.transpose(1, 2), mask)
        x = functional.relu(steps["tdnn"].nonlinear(steps["tdnn"].linear(x)))
        for place in range(1, len(_BLOCKS) + 1):
            x = steps[f"block{place}"](x, half)
            step = steps[f"transit{place}"]
            x = step.linear(functional.relu(step.nonlinear(x)))
        x = functional.relu(steps["out_nonlinear"](x))
        embedded: Tensor = steps["dense"].nonlinear(steps["dense"].linear(pooled(x, half)[..., None]))[..., 0]
        return embedded


def pooled(x: Tensor, mask: Tensor | None) -> Tensor:
    """Means over time and standard deviations (n - 1) beside each other: (batch, 2 * channels)."""
    if mask is None:
        return torch.cat([x.mean(-1), x.std(-1)], dim=1)
    count = mask.sum(-1)
    mean = (x * mask).sum(-1) / count
    apart = (x - mean[..., None]) * mask
    return torch.cat([mean, (apart.square().sum(-1) / (count - 1.0)).sqrt()], dim=1)


def embed(
    network: nn.Module, recordings: Sequence[NDArray[np.float32]], device: str = "cpu", most: int = 1
) -> list[NDArray[np.float32]]:
    """Embed recordings, those of like length together.

    Args:
        network: a :class:`CamPlusPlus`, on the device.
        recordings: (frames, 80) each.
        device: of the network.
        most: recordings that it takes at a time.

    Returns:
        For each 192 values, of length 1.
    """
    order = sorted(range(len(recordings)), key=lambda place: len(recordings[place]))
    found: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(order), most):
        places = order[start : start + most]
        lengths = torch.tensor([len(recordings[place]) for place in places])
        batch = torch.zeros(len(places), int(lengths.max()), BANDS)
        for row, place in enumerate(places):
            batch[row, : lengths[row]] = torch.from_numpy(recordings[place])
        with torch.inference_mode():
            vectors = functional.normalize(network(onto(device, batch), lengths), dim=1).cpu().numpy()
        found.update(zip(places, vectors, strict=True))
    return [found[place] for place in range(len(recordings))]


def named(content: Any) -> dict[str, Tensor] | None:
    """Give the tensors of forks that call ``xvector.dense`` ``dense`` by the names of the published file; else None."""
    own = "dense.linear.weight"
    if not isinstance(content, dict) or own not in content:
        return None
    return OrderedDict((f"xvector.{name}" if name.startswith("dense.") else name, content[name]) for name in content)
