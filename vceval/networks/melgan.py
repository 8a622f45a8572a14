"""MelGAN: a vocoder of transposed convolutions and dilated residual blocks; 256 samples for each mel frame."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vceval.networks.blocks import WNConv1d, WNConvTranspose1d

__all__ = ["HOP", "MIN_FRAMES", "MelGan"]

#: Samples made of a frame; frames needed, so that the ends can be mirrored.
HOP, MIN_FRAMES = 256, 4
_SLOPE = 0.2


class ResidualBlock(nn.Module):
    """A dilated convolution of three taps and one of one tap, with a shortcut that is a convolution too."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LeakyReLU(_SLOPE),
            nn.ReflectionPad1d(dilation),
            WNConv1d(channels, channels, 3, dilation=dilation),
            nn.LeakyReLU(_SLOPE),
            WNConv1d(channels, channels, 1),
        )
        self.shortcut = WNConv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, channels, time)."""
        straight: Tensor = self.shortcut(x)
        changed: Tensor = self.block(x)
        return straight + changed


class MelGan(nn.Module):
    """The generator.

    Args:
        bands: mel bands.
        width: channels before the last convolution; twice as many at each stage before.
        residuals: residual blocks of a stage, with dilations 1, 3, 9.
        ratios: how much each stage lengthens.

    Source: Kumar et al., "MelGAN: generative adversarial networks for conditional waveform synthesis", NeurIPS 2019,
    section 2.2 and figure 1.
    """

    def __init__(
        self, bands: int = 80, width: int = 32, residuals: int = 3, ratios: Sequence[int] = (8, 8, 2, 2)
    ) -> None:
        super().__init__()
        channels = width * 2 ** len(ratios)
        layers: list[nn.Module] = [nn.ReflectionPad1d(3), WNConv1d(bands, channels, 7)]
        for ratio in ratios:
            layers += [
                nn.LeakyReLU(_SLOPE),
                WNConvTranspose1d(
                    channels,
                    channels // 2,
                    2 * ratio,
                    stride=ratio,
                    padding=ratio // 2 + ratio % 2,
                    output_padding=ratio % 2,
                ),
            ]
            channels //= 2
            layers += [ResidualBlock(channels, 3**place) for place in range(residuals)]
        layers += [nn.LeakyReLU(_SLOPE), nn.ReflectionPad1d(3), WNConv1d(channels, 1, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        """Make audio: log10 mel (batch, 80, frames), at least 4 frames, to samples (batch, 1, 256 * frames)."""
        samples: Tensor = self.model(mel)
        return samples
