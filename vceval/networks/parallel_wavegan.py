"""Parallel WaveGAN: a vocoder that turns noise into audio at once, dilated convolutions steered by a mel spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from vceval.networks.blocks import WNConv1d, WNConv2d

__all__ = ["PIECE", "ParallelWaveGan"]

#: Frames that are made audio of at a time: bounds memory, and the result is the same.
PIECE = 600


class ResidualBlock(nn.Module):
    """A gated dilated convolution; its result goes on to the next block and, by another way, to the end."""

    def __init__(self, kernel: int, residual: int, gate: int, skip: int, bands: int, dilation: int) -> None:
        super().__init__()
        self.conv = WNConv1d(residual, gate, kernel, dilation=dilation, padding=(kernel - 1) // 2 * dilation)
        self.conv1x1_aux = WNConv1d(bands, gate, 1, bias=False)
        self.conv1x1_out = WNConv1d(gate // 2, residual, 1)
        self.conv1x1_skip = WNConv1d(gate // 2, skip, 1)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Take (batch, residual, samples) and (batch, bands, samples); give both results."""
        signal, gate = (self.conv(x) + self.conv1x1_aux(condition)).chunk(2, dim=1)
        gated = torch.tanh(signal) * torch.sigmoid(gate)
        return (self.conv1x1_out(gated) + x) * sqrt(0.5), self.conv1x1_skip(gated)


class Stretch(nn.Module):
    """Repeats every step of (batch, channels, bands, time)."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Lengthen the last axis."""
        return torch.repeat_interleave(x, self.factor, dim=-1)


class Stages(nn.Module):
    """Repetition and smoothing, in several steps, of each band alike."""

    def __init__(self, scales: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for scale in scales:
            layers += [Stretch(scale), WNConv2d(1, 1, (1, 2 * scale + 1), padding=(0, scale), bias=False)]
        self.up_layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bands, frames) to (batch, bands, samples)."""
        stretched: Tensor = self.up_layers(x[:, None])
        return stretched[:, 0]


class Upsampling(nn.Module):
    """A convolution over neighbouring frames, then :class:`Stages`."""

    def __init__(self, bands: int, context: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.context = context
        self.conv_in = WNConv1d(bands, bands, 2 * context + 1, bias=False)
        self.upsample = Stages(scales)

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, bands, frames) to (batch, bands, samples); the outermost frames are repeated for the convolution."""
        wide = functional.pad(mel, (self.context, self.context), mode="replicate")
        stretched: Tensor = self.upsample(self.conv_in(wide))
        return stretched


class ParallelWaveGan(nn.Module):
    """The generator, in the sizes of the one that VQMIVC's authors trained.

    Args:
        bands: mel bands.
        context: frames that are seen on each side.
        scales: steps from frames to samples.
        layers: residual blocks.
        stacks: how often their dilations start again at 1.
        kernel: taps of the dilated convolutions.
        residual: channels between blocks.
        gate: channels within.
        skip: channels of what is summed.

    Source: Yamamoto, Song, Kim, "Parallel WaveGAN: a fast waveform generation model based on generative adversarial
    networks with multi-resolution spectrogram", ICASSP 2020, section 3.
    """

    def __init__(
        self,
        bands: int = 80,
        context: int = 2,
        scales: Sequence[int] = (4, 4, 5, 2),
        layers: int = 30,
        stacks: int = 3,
        kernel: int = 5,
        residual: int = 64,
        gate: int = 128,
        skip: int = 64,
    ) -> None:
        super().__init__()
        #: Samples made of a frame.
        self.hop = prod(scales)
        dilations = [2 ** (place % (layers // stacks)) for place in range(layers)]
        beyond = (kernel - 1) // 2 * sum(dilations)
        #: Frames on each side that audio depends on: by the blocks, the first convolution, and less than two more by
        #: the smoothing between them.
        self.reach = -(-beyond // self.hop) + context + 2
        self.first_conv = WNConv1d(1, residual, 1)
        self.upsample_net = Upsampling(bands, context, scales)
        self.conv_layers = nn.ModuleList(
            ResidualBlock(kernel, residual, gate, skip, bands, dilation) for dilation in dilations
        )
        self.last_conv_layers = nn.Sequential(nn.ReLU(), WNConv1d(skip, skip, 1), nn.ReLU(), WNConv1d(skip, 1, 1))

    def skips(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Run the blocks over (batch, 1, samples): the sum of what they give, scaled; (batch, skip, samples)."""
        x = self.first_conv(noise)
        total: Tensor | None = None
        for block in self.conv_layers:
            x, skip = block(x, condition)
            total = skip if total is None else total + skip
        assert total is not None
        return total * sqrt(1.0 / len(self.conv_layers))

    def forward(self, noise: Tensor, mel: Tensor) -> Tensor:
        """Make audio, in pieces that overlap by as much as it depends on.

        Args:
            noise: (batch, 1, 160 * frames), standard normal.
            mel: (batch, 80, frames), log10 mel normalised band by band as in training.

        Returns:
            (batch, 1, 160 * frames); nothing keeps it within full scale.
        """
        frames = mel.shape[-1]
        pieces = []
        for start in range(0, frames, PIECE):
            end = min(start + PIECE, frames)
            first, last = max(0, start - self.reach), min(frames, end + self.reach)
            condition = self.upsample_net(mel[..., first:last])
            made = self.last_conv_layers(self.skips(noise[..., first * self.hop : last * self.hop], condition))
            pieces.append(made[..., (start - first) * self.hop : (end - first) * self.hop])
        return torch.cat(pieces, dim=-1)
