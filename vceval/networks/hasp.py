"""The H/ASP speaker encoder of YourTTS: a residual network over log-mel bands with attentive statistics pooling.

Source: Heo, Lee, Huh, Chung, "Clova baseline system for the VoxCeleb speaker recognition challenge 2020" (arXiv
2009.14153), the larger of its two networks; Casanova et al., "YourTTS", ICML 2022 (arXiv 2112.02418), section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["BANDS", "DIMENSIONS", "Hasp", "Stages"]

#: Mel bands in, values of an embedding.
BANDS, DIMENSIONS = 64, 512
_LAYERS, _WIDTHS, _REDUCTION, _ATTENTION = (3, 4, 6, 3), (32, 64, 128, 256), 8, 128
#: Variances below this are taken as this.
_FLOOR = 1e-5


class _Excitation(nn.Module):
    """Weighs channels by what their averages over bands and time say ("squeeze and excitation")."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (batch, channels, bands, frames)."""
        result: Tensor = x * self.fc(x.mean(dim=(2, 3)))[:, :, None, None]
        return result


class _Block(nn.Module):
    """A residual block; unusually, the first ReLU comes before the first batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.se = _Excitation(outputs, reduction)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, bands, frames) to (batch, outputs, bands / stride, frames / stride), rounded up."""
        y = self.bn1(torch.relu(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Stages:
    """What the network computes on its way.

    attention: weights (batch, 2048, frames), of sum 1 over time. pooled: weighted mean and standard deviation (batch,
    4096). projected: (batch, 512). embedding: the same with length 1.
    """

    def __init__(self, attention: Tensor, pooled: Tensor, projected: Tensor, embedding: Tensor) -> None:
        self.attention, self.pooled, self.projected, self.embedding = attention, pooled, projected, embedding


class Hasp(nn.Module):
    """Embeds windows of log-mel frames; windows of a batch must be of equal length, as there is no mask.

    Keys are those of ``model_se.pth`` less three computed tensors (``torch_spec.*``): pre-emphasis, window and mel
    filters, which :mod:`vceval.networks.hasp_features` makes itself.
    """

    def __init__(
        self,
        bands: int = BANDS,
        dimensions: int = DIMENSIONS,
        layers: Sequence[int] = _LAYERS,
        widths: Sequence[int] = _WIDTHS,
        reduction: int = _REDUCTION,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, padding=1)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = [widths[0], *widths[:-1]]
        for place, (blocks, inputs, outputs) in enumerate(zip(layers, before, widths, strict=True)):
            first = _Block(inputs, outputs, 1 if place == 0 else 2, reduction)
            rest = [_Block(outputs, outputs, 1, reduction) for _ in range(blocks - 1)]
            self.add_module(f"layer{place + 1}", nn.Sequential(first, *rest))
        self._layers = [f"layer{place + 1}" for place in range(len(layers))]
        rows = widths[-1] * (bands // 8)
        self.attention = nn.Sequential(
            nn.Conv1d(rows, _ATTENTION, 1),
            nn.ReLU(),
            nn.BatchNorm1d(_ATTENTION),
            nn.Conv1d(_ATTENTION, rows, 1),
            nn.Softmax(dim=2),
        )
        self.fc = nn.Linear(2 * rows, dimensions)

    def stages(self, features: Tensor) -> Stages:
        """Run windows (batch, 64, frames), each band of mean 0 and variance 1 over time, through the network."""
        x = self.bn1(torch.relu(self.conv1(features[:, None])))
        for name in self._layers:
            x = self.get_submodule(name)(x)
        x = x.flatten(1, 2)
        weights = self.attention(x)
        mean = (weights * x).sum(dim=2)
        deviation = ((weights * x**2).sum(dim=2) - mean**2).clamp(min=_FLOOR).sqrt()
        pooled = torch.cat([mean, deviation], dim=1)
        projected = self.fc(pooled)
        return Stages(weights, pooled, projected, nn.functional.normalize(projected, dim=1))

    def forward(self, features: Tensor) -> Tensor:
        """Embed windows (batch, 64, frames): (batch, 512), each of length 1."""
        return self.stages(features).embedding
