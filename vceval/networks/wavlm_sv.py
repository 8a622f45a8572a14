"""The speaker encoder of seed-tts-eval's SIM: a WavLM-Large that was fine-tuned together with an ECAPA-TDNN on it.

Source: Chen et al., "Large-scale self-supervised speech representation learning for automatic speaker verification",
ICASSP 2022 (UniSpeech); Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN", Interspeech 2020.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import instance_norm, nested, onto
from vceval.networks.wavlm import LARGE, Sizes, WavLm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LEAST", "SAMPLE_RATE", "WavLmSv", "embed"]

SAMPLE_RATE = 16_000
#: One frame has no variance over time; two are made of so many samples.
LEAST = 720
_CHANNELS, _GROUPS, _SUM, _DIMENSIONS, _BOTTLENECK = 512, 8, 1536, 256, 128


class _ConvReluNorm(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=padding)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(functional.relu(self.conv(x)))
        return normed


class _Res2(nn.Module):
    """Groups of channels, each convolved after the result of the one before was added; the last passes as it is."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        width = _CHANNELS // _GROUPS
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(_GROUPS - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(_GROUPS - 1))

    def forward(self, x: Tensor) -> Tensor:
        *groups, last = x.chunk(_GROUPS, dim=1)
        found: list[Tensor] = []
        for group, conv, norm in zip(groups, self.convs, self.bns, strict=True):
            found.append(norm(functional.relu(conv(found[-1] + group if found else group))))
        return torch.cat([*found, last], dim=1)


class _Squeeze(nn.Module):
    """Scale channels by what the network makes of their means over time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(_CHANNELS, _BOTTLENECK)
        self.linear2 = nn.Linear(_BOTTLENECK, _CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.linear2(functional.relu(self.linear1(x.mean(-1)))))
        return x * gate[..., None]


def _layer(dilation: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            Conv1dReluBn1=_ConvReluNorm(_CHANNELS, _CHANNELS, 1, 0),
            Res2Conv1dReluBn=_Res2(dilation),
            Conv1dReluBn2=_ConvReluNorm(_CHANNELS, _CHANNELS, 1, 0),
            SE_Connect=_Squeeze(),
        )
    )


class _Pooling(nn.Module):
    """Means and standard deviations over time, every channel weighted by an attention of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Conv1d(_SUM, _BOTTLENECK, 1)
        self.linear2 = nn.Conv1d(_BOTTLENECK, _SUM, 1)
        self.weights = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.weights(self.linear2(torch.tanh(self.linear1(x))))
        mean = (weights * x).sum(-1)
        variance = (weights * x.square()).sum(-1) - mean.square()
        return torch.cat([mean, variance.clamp_min(1e-9).sqrt()], dim=1)


class WavLmSv(nn.Module):
    """Waveforms of one length to 256 values, not of length 1.

    Lengths can't differ within a batch: zeros would count in attention and in every statistic.
    """

    def __init__(self, sizes: Sizes = LARGE) -> None:
        super().__init__()
        self.feature_weight = nn.Parameter(torch.zeros(sizes.layers + 1))
        self.feature_extract = nested(WavLm(sizes), "model")
        self.layer1 = _ConvReluNorm(sizes.width, _CHANNELS, 5, 2)
        self.layer2, self.layer3, self.layer4 = (_layer(dilation) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * _CHANNELS, _SUM, 1)
        self.pooling = _Pooling()
        self.bn = nn.BatchNorm1d(2 * _SUM)
        self.linear = nn.Linear(2 * _SUM, _DIMENSIONS)

    def forward(self, samples: Tensor) -> Tensor:
        """Embed (batch, n) at 16 kHz, n at least :data:`LEAST`, as (batch, 256)."""
        x = self.layer1(instance_norm(self.weighted(normed(samples))))
        layers = []
        for layer in (self.layer2, self.layer3, self.layer4):
            x = layer(x) + x
            layers.append(x)
        x = functional.relu(self.conv(torch.cat(layers, dim=1)))
        embedded: Tensor = self.linear(self.bn(self.pooling(x)))
        return embedded

    def weighted(self, samples: Tensor) -> Tensor:
        """Sum what goes into the layers of WavLM and comes out of it, by learnt weights: (batch, width, frames)."""
        encoder = self.feature_extract.get_submodule("model")
        assert isinstance(encoder, WavLm)
        shares = torch.softmax(self.feature_weight, dim=0)
        total: Tensor = sum(share * state for share, state in zip(shares, encoder.states(samples), strict=True))
        return total.transpose(1, 2) + 1e-6


def normed(samples: Tensor) -> Tensor:
    """Bring each waveform (batch, n) to mean 0 and variance 1."""
    return functional.layer_norm(samples, samples.shape[-1:])


def embed(
    network: nn.Module, recordings: Sequence[NDArray[np.float32]], device: str = "cpu"
) -> list[NDArray[np.float32]]:
    """Embed recordings at 16 kHz one by one: 256 values each, of length 1."""
    found: list[NDArray[np.float32]] = []
    for samples in recordings:
        with torch.inference_mode():
            vector = network(onto(device, torch.tensor(samples))[None])[0]
            found.append(functional.normalize(vector, dim=0).cpu().numpy())
    return found
