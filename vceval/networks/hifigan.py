"""The generator of HiFi-GAN, in the shapes in which vocoders and the decoders of VITS-like converters use it.

Source: Kong et al., "HiFi-GAN", NeurIPS 2020, section 2.2 and appendix A; layers are named as in the published files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import WNConv1d, WNConvTranspose1d, conv1d, frame_mask, onto
from vceval.networks.shapes import together

__all__ = ["Generator", "universal", "vocode"]

#: Slopes of the leaky ReLUs: inside, and before the last convolution.
SLOPE, LAST_SLOPE = 0.1, 0.01
#: Items, and their frames in all, that :func:`vocode` gives to a generator at once; bounds memory.
_TOGETHER, _FRAMES_AT_ONCE = 16, 4_000
#: On processors one item at a time: several together took 1.8 times as long.
_ON_PROCESSORS = 1


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


class _Residual(nn.Module):
    """Residual block "1": for each dilation a dilated and a plain convolution, added to their input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        half = (kernel - 1) // 2
        self.convs1 = nn.ModuleList(
            WNConv1d(channels, channels, kernel, dilation=d, padding=half * d) for d in dilations
        )
        self.convs2 = nn.ModuleList(WNConv1d(channels, channels, kernel, padding=half) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            inner = first(_masked(functional.leaky_relu(x, SLOPE), mask))
            x = x + second(_masked(functional.leaky_relu(inner, SLOPE), mask))
        return x


class _ShortResidual(nn.Module):
    """Residual block "2": one dilated convolution for each of the first two dilations, added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        half = (kernel - 1) // 2
        self.convs = nn.ModuleList(
            WNConv1d(channels, channels, kernel, dilation=d, padding=half * d) for d in dilations[:2]
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for conv in self.convs:
            x = x + conv(_masked(functional.leaky_relu(x, SLOPE), mask))
        return x


class Generator(nn.Module):
    """Frames to waveform: transposed convolutions, after each the mean of residual blocks of several widths.

    Args:
        channels: of the frames that ``conv_pre`` takes.
        rates, kernels: of the transposed convolutions; the channels halve at each. A kernel is as wide as its rate
            or wider by an even number.
        initial: channels after ``conv_pre``.
        block_kernels, dilations: of the residual blocks.
        residual: ``1`` or ``2``, the two kinds of the paper.
        plain_ends: ``conv_pre`` and ``conv_post`` without weight norm and ``conv_post`` without bias, as in VITS.
        condition: width of a speaker vector that a 1x1 convolution adds after ``conv_pre``; 0 for none.
        condition_name: name of that convolution in the file: ``cond``, ``cond_layer``.
        linear: width of the input where a linear layer ``lin_pre`` brings it to ``channels`` (kNN-VC); the input
            then has time before channels.
    """

    def __init__(
        self,
        channels: int,
        rates: Sequence[int],
        kernels: Sequence[int],
        *,
        initial: int = 512,
        block_kernels: Sequence[int] = (3, 7, 11),
        dilations: Sequence[int] = (1, 3, 5),
        residual: Literal["1", "2"] = "1",
        plain_ends: bool = False,
        condition: int = 0,
        condition_name: str = "cond",
        linear: int = 0,
    ) -> None:
        super().__init__()
        self.rates, self.blocks = tuple(rates), len(block_kernels)
        self.condition_name = condition_name if condition else ""
        if linear:
            self.lin_pre = nn.Linear(linear, channels)
        ends = conv1d(weight_norm=not plain_ends)
        self.conv_pre = ends(channels, initial, 7, padding=3)
        if condition:
            self.add_module(condition_name, nn.Conv1d(condition, initial, 1))
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        kind = _Residual if residual == "1" else _ShortResidual
        width = initial
        for rate, kernel in zip(rates, kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"a kernel of {kernel} does not give {rate} samples for each")
            self.ups.append(WNConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2))
            width //= 2
            self.resblocks.extend(kind(width, size, dilations) for size in block_kernels)
        self.conv_post = ends(width, 1, 7, padding=3, bias=not plain_ends)

    def forward(self, x: Tensor, condition: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Make the waveform; see :meth:`before_tanh`.

        Returns:
            (batch, 1, samples) within -1 and 1, the product of the rates per frame; 0 beyond an item's length.
        """
        return torch.tanh(self.before_tanh(x, condition, lengths))

    def before_tanh(self, x: Tensor, condition: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Make the waveform up to the last step.

        Args:
            x: (batch, channels, frames); (batch, frames, linear) where there is a ``lin_pre``.
            condition: (batch, condition, 1), added to every frame.
            lengths: (batch,) frames of each item, in main memory. Whatever stands beyond them, an item comes out as it
                does alone: what a layer gives beyond an item's end is set to zero, which is what its convolutions see
                there when the item is alone.

        Returns:
            (batch, 1, samples); 0 beyond an item's length.
        """
        frames = x if not hasattr(self, "lin_pre") else self.lin_pre(x).transpose(1, 2)
        if lengths is not None:
            lengths = None if bool((lengths == frames.shape[-1]).all()) else onto(frames.device, lengths)
        mask = None if lengths is None else frame_mask(lengths, frames.shape[-1]).to(frames)
        hidden: Tensor = self.conv_pre(_masked(frames, mask))
        if self.condition_name and condition is not None:
            hidden = hidden + self.get_submodule(self.condition_name)(condition)
        for step, (up, rate) in enumerate(zip(self.ups, self.rates, strict=True)):
            hidden = up(_masked(functional.leaky_relu(hidden, SLOPE), mask))
            if lengths is not None:
                lengths = lengths * rate
                mask = frame_mask(lengths, hidden.shape[-1]).to(hidden)
            blocks = list(self.resblocks)[step * self.blocks : (step + 1) * self.blocks]
            total: Tensor = blocks[0](hidden, mask)
            for block in blocks[1:]:
                total = total + block(hidden, mask)
            hidden = total / self.blocks
        last: Tensor = self.conv_post(_masked(functional.leaky_relu(hidden, LAST_SLOPE), mask))
        return _masked(last, mask)


def universal() -> Generator:
    """Build HiFi-GAN UNIVERSAL_V1: 80 ln mel bands at 22050 Hz to 256 samples per frame."""
    return Generator(80, (8, 8, 2, 2), (16, 16, 4, 4))


def vocode(generator: Generator, items: Sequence[Tensor]) -> list[Tensor]:
    """Make the waveform of several items of any lengths, those of similar length together.

    Args:
        generator: without speaker vector.
        items: (channels, frames) each, on the generator's device; (frames, linear) where it has a ``lin_pre``.

    Returns:
        (samples,) each, in the items' order; as each item would come out alone.
    """
    time_first = hasattr(generator, "lin_pre")

    def run(part: list[Tensor], size: int) -> list[Tensor]:
        lengths = [frames_of(item) for item in part]
        ends = [(0, 0, 0, size - n) if time_first else (0, size - n) for n in lengths]
        padded = torch.stack([functional.pad(item, end) for item, end in zip(part, ends, strict=True)])
        batch = generator(padded, lengths=torch.tensor(lengths))[:, 0]
        per_frame = batch.shape[-1] // size
        return [wave[: n * per_frame] for wave, n in zip(batch, lengths, strict=True)]

    def frames_of(item: Tensor) -> int:
        return item.shape[0 if time_first else 1]

    return together(
        items, frames_of, run, device=generator.conv_pre.weight.device,
        most=_TOGETHER, on_processors=_ON_PROCESSORS, in_all=_FRAMES_AT_ONCE,
    )  # fmt: skip
