"""AdaIN-VC as its authors published it: two convolutional encoders, and a decoder that adaptive normalisation steers.

Source: Chou, Yeh, Lee, "One-shot voice conversion by separating speaker and content representations with instance
normalization", Interspeech 2019, arXiv 1904.05742; widths, padding, order of layers and channels and key names as in
the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "MIN_SOURCE_FRAMES",
    "MIN_TARGET_FRAMES",
    "AdaInVc",
    "Bank",
    "ContentEncoder",
    "Decoder",
    "PaddedConv",
    "SpeakerEncoder",
    "TimeNorm",
    "edges",
    "from_config",
    "halved",
    "network",
    "repeated",
    "spread",
    "steered",
]

#: Shorter inputs are too short to be mirrored where the time axis is coarsest.
MIN_SOURCE_FRAMES, MIN_TARGET_FRAMES = 17, 9
_SUBSAMPLE, _UPSAMPLE = (1, 2, 1, 2, 1, 2), (2, 1, 2, 1, 2, 1)
_DENSE = 6
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


class _Edition(nn.Module):
    """A part of the network, whose convolutions have the key names of an edition."""

    @staticmethod
    def make_conv(before: int, after: int, kernel: int, stride: int) -> nn.Module:
        """Make a convolution."""
        return PaddedConv(before, after, kernel, stride)


class _Encoder(_Edition):
    """What both encoders begin with: the bank, a convolution of one frame, and pairs of convolutions.

    Args:
        bands: channels of the input.
        width: channels within.
        kernel: of the convolutions in the blocks.
        bank_kernels: the bank has kernels 1 to this.
        bank_width: channels of each of them.
        subsample: factor by which each block shortens time.
    """

    def __init__(
        self,
        bands: int,
        width: int,
        *,
        kernel: int = 5,
        bank_kernels: int = 8,
        bank_width: int = 128,
        subsample: Iterable[int] = _SUBSAMPLE,
    ) -> None:
        super().__init__()
        self.subsample = tuple(subsample)
        make = self.make_conv
        self.conv_bank = self.make_bank(Bank(bands, bank_width, bank_kernels, make))
        self.in_conv_layer = nn.Conv1d(bank_kernels * bank_width + bands, width, 1)
        self.first_conv_layers = nn.ModuleList(make(width, width, kernel, 1) for _ in self.subsample)
        self.second_conv_layers = nn.ModuleList(make(width, width, kernel, step) for step in self.subsample)

    def make_bank(self, bank: Bank) -> nn.Module:
        """Put the bank under the key names of this edition."""
        return bank


class SpeakerEncoder(_Encoder):
    """Turns frames of a speaker into one vector; no normalisation anywhere, the average over time makes it global.

    Args:
        bands: channels of the input.
        width: channels within.
        output: values of the vector.
        dense: residual blocks after the average.
        sizes: of the bank and the blocks, as both encoders have them.
    """

    def __init__(
        self, bands: int = 512, width: int = 128, output: int = 128, *, dense: int = _DENSE, **sizes: Any
    ) -> None:
        super().__init__(bands, width, **sizes)
        self.first_dense_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(dense))
        self.second_dense_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(dense))
        self.output_layer = nn.Linear(width, output)
        self.pooling = nn.AdaptiveAvgPool1d(1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bands, frames), at least 9 frames, to (batch, output)."""
        x = torch.relu(self.in_conv_layer(self.conv_bank(x)))
        for first, second, step in zip(self.first_conv_layers, self.second_conv_layers, self.subsample, strict=True):
            x = torch.relu(second(torch.relu(first(x)))) + halved(x, step)
        x = self.pooling(x).squeeze(2)
        for first, second in zip(self.first_dense_layers, self.second_dense_layers, strict=True):
            x = x + torch.relu(second(torch.relu(first(x))))
        vector: Tensor = self.output_layer(x)
        return vector


class ContentEncoder(_Encoder):
    """Turns frames into a code of what is said; normalisation over time removes what stays the same: the speaker.

    Arguments as for :class:`SpeakerEncoder`.
    """

    def __init__(self, bands: int = 512, width: int = 128, output: int = 128, **sizes: Any) -> None:
        super().__init__(bands, width, **sizes)
        self.in_norm = TimeNorm()
        self.first_norms = nn.ModuleList(TimeNorm() for _ in self.subsample)
        self.second_norms = nn.ModuleList(TimeNorm() for _ in self.subsample)
        self.mean_layer = nn.Conv1d(width, output, 1)
        self.std_layer = nn.Conv1d(width, output, 1)

    def hidden(self, x: Tensor) -> Tensor:
        """(batch, bands, frames), at least 9 frames, to (batch, width, frames / 8), rounded up at each halving."""
        x = torch.relu(self.in_norm(self.in_conv_layer(self.conv_bank(x))))
        for block, step in enumerate(self.subsample):
            y = torch.relu(self.first_norms[block](self.first_conv_layers[block](x)))
            y = torch.relu(self.second_norms[block](self.second_conv_layers[block](y)))
            x = y + halved(x, step)
        return x

    def distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code, both (batch, output, frames / 8)."""
        x = self.hidden(x)
        return self.mean_layer(x), self.std_layer(x)

    def forward(self, x: Tensor) -> Tensor:
        """Mean of the code, which stands for it in conversion: (batch, output, frames / 8)."""
        mean: Tensor = self.mean_layer(self.hidden(x))
        return mean


class Decoder(_Edition):
    """Turns a code into frames, every normalised channel scaled and shifted as the speaker vector says.

    Args:
        code: channels of the code.
        condition: values of the speaker vector.
        width: channels within.
        bands: channels of the output.
        kernel: of the convolutions in the blocks.
        upsample: factor by which each block stretches time.
    """

    def __init__(
        self,
        code: int = 128,
        condition: int = 128,
        width: int = 128,
        bands: int = 512,
        *,
        kernel: int = 5,
        upsample: Iterable[int] = _UPSAMPLE,
    ) -> None:
        super().__init__()
        self.upsample = tuple(upsample)
        self.in_conv_layer = nn.Conv1d(code, width, 1)
        make = self.make_conv
        self.first_conv_layers = nn.ModuleList(make(width, width, kernel, 1) for _ in self.upsample)
        self.second_conv_layers = nn.ModuleList(make(width, width * step, kernel, 1) for step in self.upsample)
        self.in_norm = TimeNorm()
        self.first_norms = nn.ModuleList(TimeNorm() for _ in self.upsample)
        self.second_norms = nn.ModuleList(TimeNorm() for _ in self.upsample)
        self.make_affine(condition, width)
        self.out_conv_layer = nn.Conv1d(width, bands, 1)

    def make_affine(self, condition: int, width: int) -> None:
        """Make the layers that turn a speaker vector into shift and scale, two a block."""
        self.conv_affine_layers = nn.ModuleList(nn.Linear(condition, 2 * width) for _ in range(2 * len(self.upsample)))

    def affine(self, x: Tensor, vector: Tensor, block: int, second: bool) -> Tensor:
        """Steer the normalised ``x`` by the speaker vector."""
        return steered(x, self.conv_affine_layers[2 * block + second](vector))

    def hidden(self, code: Tensor, vector: Tensor) -> Tensor:
        """(batch, code, n), at least 3 frames, and (batch, condition), to (batch, width, 8 * n)."""
        x = torch.relu(self.in_norm(self.in_conv_layer(code)))
        for block, step in enumerate(self.upsample):
            y = self.first_norms[block](self.first_conv_layers[block](x))
            y = torch.relu(self.affine(y, vector, block, False))
            y = self.second_norms[block](spread(self.second_conv_layers[block](y), step))
            y = torch.relu(self.affine(y, vector, block, True))
            x = y + repeated(x, step)
        return x

    def forward(self, code: Tensor, vector: Tensor) -> Tensor:
        """Frames for :meth:`hidden`: (batch, bands, 8 * n)."""
        frames: Tensor = self.out_conv_layer(self.hidden(code, vector))
        return frames


class AdaInVc(nn.Module):
    """The whole autoencoder, with the keys of the published file."""

    def __init__(self, speaker: SpeakerEncoder, content: ContentEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.speaker_encoder = speaker
        self.content_encoder = content
        self.decoder = decoder

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Convert: (batch, bands, frames) of both, to (batch, bands, 8 * ceil(source frames / 8)); nothing is drawn."""
        frames: Tensor = self.decoder(self.content_encoder(source), self.speaker_encoder(target))
        return frames


def network() -> AdaInVc:
    """Build the network in the sizes of the authors' ``vctk_model.ckpt``: 166 tensors, 9.0 million values."""
    return AdaInVc(SpeakerEncoder(), ContentEncoder(), Decoder())


def from_config(
    config: Mapping[str, Any],
    speaker: type[SpeakerEncoder] = SpeakerEncoder,
    content: type[ContentEncoder] = ContentEncoder,
    decoder: type[Decoder] = Decoder,
) -> AdaInVc:
    """Build a network in the sizes of a configuration that is laid out like the authors' ``config.yaml``.

    Args:
        config: the tables ``SpeakerEncoder``, ``ContentEncoder``, ``Decoder``.
        speaker: the edition's class of speaker encoder.
        content: its class of content encoder.
        decoder: its class of decoder.
    """
    sizes = config["SpeakerEncoder"]
    return AdaInVc(
        speaker(**encoder_sizes(sizes), dense=sizes["n_dense_blocks"]),
        content(**encoder_sizes(config["ContentEncoder"])),
        decoder(**decoder_sizes(config["Decoder"])),
    )


def encoder_sizes(part: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of an encoder that a part of the authors' configuration stands for."""
    return {
        "bands": part["c_in"],
        "width": part["c_h"],
        "output": part["c_out"],
        "kernel": part["kernel_size"],
        "bank_kernels": part["bank_size"],
        "bank_width": part["c_bank"],
        "subsample": part["subsample"],
    }


def decoder_sizes(part: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a decoder that a part of the authors' configuration stands for."""
    return {
        "code": part["c_in"],
        "condition": part["c_cond"],
        "width": part["c_h"],
        "bands": part["c_out"],
        "kernel": part["kernel_size"],
        "upsample": part["upsample"],
    }
