"""AdaIN-VC in cyhuang-tw's edition: 80 bands at 16 kHz, other names of layers, and a decoder that normalises twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from vceval.networks import adainvc
from vceval.networks.adainvc import Bank, TimeNorm, edges, steered
from vceval.networks.blocks import nested

__all__ = ["BANDS", "ContentEncoder", "Decoder", "SpeakerEncoder", "from_config", "network"]

BANDS = 80


class Mirror(nn.Module):
    """Mirrors both ends of the time axis as a convolution of this kernel needs it."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self._edges = edges(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) to (batch, channels, frames + kernel - 1)."""
        return functional.pad(x, self._edges, mode="reflect") if self._edges[0] else x


class Adaption(nn.Module):
    """Normalises over time, though its input is normalised already, and steers by the speaker vector.

    The second normalisation changes little, through its epsilon.
    """

    def __init__(self, condition: int, width: int) -> None:
        super().__init__()
        self.norm = TimeNorm()
        self.linear_layer = nn.Linear(condition, 2 * width)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(batch, width, frames) and (batch, condition), to (batch, width, frames)."""
        return steered(self.norm(x), self.linear_layer(vector))


class _Names:
    """The names that this edition has for its convolutions, and for the bank: one level more."""

    @staticmethod
    def make_conv(before: int, after: int, kernel: int, stride: int) -> nn.Module:
        return nn.Sequential(Mirror(kernel), nn.Conv1d(before, after, kernel, stride=stride))

    def make_bank(self, bank: Bank) -> nn.Module:
        return nested(bank, "conv_bank")


class SpeakerEncoder(_Names, adainvc.SpeakerEncoder):
    """The speaker encoder under this edition's names."""


class ContentEncoder(_Names, adainvc.ContentEncoder):
    """The content encoder under this edition's names."""


class Decoder(_Names, adainvc.Decoder):
    """The decoder with the second normalisation, under this edition's names."""

    def make_affine(self, condition: int, width: int) -> None:
        """Make the layers that normalise and steer, two a block."""
        self.first_affine_layers = nn.ModuleList(Adaption(condition, width) for _ in self.upsample)
        self.second_affine_layers = nn.ModuleList(Adaption(condition, width) for _ in self.upsample)

    def affine(self, x: Tensor, vector: Tensor, block: int, second: bool) -> Tensor:
        """Normalise once more and steer by the speaker vector."""
        layers = self.second_affine_layers if second else self.first_affine_layers
        result: Tensor = layers[block](x, vector)
        return result


def network() -> adainvc.AdaInVc:
    """Build the network in the sizes of the published archive: 166 tensors, 4.9 million values."""
    return adainvc.AdaInVc(SpeakerEncoder(BANDS), ContentEncoder(BANDS), Decoder(bands=BANDS))


def from_config(config: Mapping[str, Any]) -> adainvc.AdaInVc:
    """Build the network in the sizes of a configuration that is laid out like the authors' ``config.yaml``."""
    return adainvc.from_config(config, SpeakerEncoder, ContentEncoder, Decoder)
