"""AGAIN-VC: one encoder for both utterances, its code squeezed by a sigmoid, its statistics set by the decoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from vceval.networks.blocks import nested

__all__ = ["BANDS", "MIN_FRAMES", "MULTIPLE", "AgainVc", "Decoder", "Encoder", "Voice", "build", "pad"]

#: Mel bands in and out.
BANDS = 80
#: Frames are mirrored at the end up to a multiple of this, for which that many are needed.
MULTIPLE, MIN_FRAMES = 8, 5
_EPSILON = 1e-5


class Voice(NamedTuple):
    """What the decoder takes of the target speaker.

    code_mean, code_deviation: (batch, 4, 1), of the code. means, deviations: (batch, blocks, 256), of each block.
    """

    code_mean: Tensor
    code_deviation: Tensor
    means: Tensor
    deviations: Tensor


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Make a convolution that keeps the number of frames, with zeros around; key ``conv``."""
    return nested(nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2), "conv")


def _pair(channels: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(channels, channels, 3),
        nn.BatchNorm1d(channels),
        nn.LeakyReLU(),
        _conv(channels, channels, 3),
    )


class EncoderBlock(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = _pair(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, frames)."""
        changed: Tensor = self.seq(x)
        return x + changed


class DecoderBlock(nn.Module):
    """Two pairs of convolutions in a row; the input and both results are added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dec_block = _pair(channels)
        self.gen_block = _pair(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, frames)."""
        first: Tensor = self.dec_block(x)
        second: Tensor = self.gen_block(first)
        return x + first + second


class Encoder(nn.Module):
    """Mel to a code of 4 channels; every block ends in instance norm, whose statistics are handed out."""

    def __init__(self, bands: int = BANDS, channels: int = 256, code: int = 4, blocks: int = 6) -> None:
        super().__init__()
        self.conv1d_first = _conv(bands, channels, 1)
        self.conv1d_blocks = nn.ModuleList(EncoderBlock(channels) for _ in range(blocks))
        self.out_layer = _conv(channels, code, 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode (batch, bands, frames): code (batch, 4, frames), means and deviations (batch, blocks, channels)."""
        y = self.conv1d_first(mel)
        means, deviations = [], []
        for block in self.conv1d_blocks:
            y = block(y)
            mean, deviation = statistics(y)
            y = (y - mean) / deviation
            means.append(mean[..., 0])
            deviations.append(deviation[..., 0])
        return self.out_layer(y), torch.stack(means, dim=1), torch.stack(deviations, dim=1)


class Decoder(nn.Module):
    """Code to mel; after each block the target's mean and deviation of the encoder's block of that number are set.

    The authors' GRU was built for (time, batch, channel) and is given (batch, time, channel): a lone utterance thus
    takes one step from rest at each frame, and no frame sees another. The weights were made for that, and here the
    frames of a batch are taken apart so that it holds for any batch.
    """

    def __init__(self, code: int = 4, channels: int = 256, bands: int = BANDS, blocks: int = 6) -> None:
        super().__init__()
        self.in_layer = _conv(code, channels, 3)
        self.act = nn.LeakyReLU()
        self.conv_blocks = nn.ModuleList(DecoderBlock(channels) for _ in range(blocks))
        self.rnn = nn.GRU(channels, channels, 2)
        self.out_layer = nn.Linear(channels, bands)

    def forward(self, content: Tensor, voice: Voice) -> Tensor:
        """Make a mel (batch, bands, frames) from content (batch, 4, frames) and a voice."""
        y = self.act(self.in_layer(content * voice.code_deviation + voice.code_mean))
        for place, block in enumerate(self.conv_blocks):
            y = instance_norm(block(y)) * voice.deviations[:, place, :, None] + voice.means[:, place, :, None]
        frames = torch.cat([voice.means[:, -1, :, None], y], dim=2).transpose(1, 2)
        batch, steps, channels = frames.shape
        lone, _ = self.rnn(frames.reshape(1, batch * steps, channels))
        mel: Tensor = self.out_layer(lone.reshape(batch, steps, channels)[:, 1:]).transpose(1, 2)
        return mel


class AgainVc(nn.Module):
    """The whole autoencoder, as the authors' configuration ``c4s`` has it.

    Args:
        encoder: ready-made.
        decoder: ready-made.
        alpha: steepness of the sigmoid that guides the code.

    Source: Chen, Wu, Wu, Lee, "AGAIN-VC: a one-shot voice conversion using activation guidance and adaptive instance
    normalization", ICASSP 2021, sections 2.1 to 2.3; padding, decoder order and GRU as the published weights need them.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, alpha: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.alpha = alpha

    def guide(self, code: Tensor) -> Tensor:
        """Squeeze a code, so that it has little room for the speaker."""
        return torch.sigmoid(self.alpha * code)

    def content(self, mel: Tensor) -> Tensor:
        """Encode what is said: (batch, 80, frames) to (batch, 4, frames up to a multiple of 8), statistics removed."""
        code, _, _ = self.encoder(pad(mel))
        return instance_norm(self.guide(code))

    def voice(self, mel: Tensor) -> Voice:
        """Encode who speaks, from (batch, 80, frames) of log10 mel."""
        code, means, deviations = self.encoder(pad(mel))
        return Voice(*statistics(self.guide(code)), means, deviations)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Convert a mel (batch, 80, frames) to the voice of another; the result is as long as the source."""
        mel: Tensor = self.decoder(self.content(source), self.voice(target))
        return mel[..., : source.shape[-1]]


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation over time of each channel, (batch, channels, 1) each; the variance is the unbiased one."""
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=1)
    return mean, torch.sqrt(variance + _EPSILON)


def instance_norm(x: Tensor) -> Tensor:
    """Bring every channel of (batch, channels, frames) to mean 0 and (unbiased) variance 1 over time."""
    mean, deviation = statistics(x)
    return (x - mean) / deviation


def pad(mel: Tensor) -> Tensor:
    """Mirror the end of (batch, bands, frames) up to a multiple of 8 frames; at least 5 frames are needed."""
    missing = -mel.shape[-1] % MULTIPLE
    return functional.pad(mel, (0, missing), mode="reflect") if missing else mel


def build() -> AgainVc:
    """Build the network of the published weights."""
    return AgainVc(Encoder(), Decoder())
