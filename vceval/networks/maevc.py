"""MAE-VC: a masked autoencoder whose blocks hide half of the frames, those most like their neighbours.

Double precision: which frames are hidden is a hard decision on a score, and rounding that differs between devices or
batches could tip it.

Source: "Voice conversion using learnable similarity-guided masked autoencoder", IWDW 2022 (Springer LNCS 13825);
configuration base_6c_16b_36_FSC_50; layers are named as the published file has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.adainvc import edges
from vceval.networks.blocks import WNConv1d, instance_norm
from vceval.networks.singlevc import Smoother, named

__all__ = ["MIN_SOURCE_FRAMES", "MIN_TARGET_FRAMES", "MaeVc", "Modulation", "maevc"]

#: The score of frame 0 takes the last frame but one; the speaker encoder mirrors two frames of a 32nd of the target.
MIN_SOURCE_FRAMES, MIN_TARGET_FRAMES = 2, 33
#: Share of the frames that a block hides.
HIDDEN_SHARE = 0.5


class _Unit(nn.Module):
    """Two convolutions one after the other, kernel 3, and the input added; ReLU after the first, or after both."""

    def __init__(self, inputs: int, outputs: int, relu: bool = False) -> None:
        super().__init__()
        self.conv_block1 = named(inputs, outputs, 3, weight_norm=True)
        self.conv_block2 = named(outputs, outputs, 3, weight_norm=True)
        self.adjust_dim_layer = WNConv1d(inputs, outputs, 1)
        self.same, self.relu = inputs == outputs, relu

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv_block2(functional.relu(self.conv_block1(x)))
        kept: Tensor = x if self.same else self.adjust_dim_layer(x)
        return (functional.relu(inner) if self.relu else inner) + kept


class _Stack(nn.Module):
    """Units, a smoother, units; (b, t, inputs) to (b, t, outputs)."""

    def __init__(self, pre: Sequence[_Unit], smoother: tuple[int, int, int], post: Sequence[_Unit]) -> None:
        super().__init__()
        self.pre_block = nn.Sequential(*pre)
        self.smoothers = nn.Sequential(Smoother(*smoother, kernels=(3, 3)))
        self.post_block = nn.Sequential(*post)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.post_block(self.smoothers(self.pre_block(x.transpose(1, 2)))).transpose(1, 2)
        return result


def _mirrored(x: Tensor, conv: nn.Module, kernel: int) -> Tensor:
    """Convolve with the ends mirrored; of an even kernel the left side gets one frame more."""
    result: Tensor = conv(functional.pad(x, edges(kernel), mode="reflect") if kernel > 1 else x)
    return result


class _SpeakerEncoder(nn.Module):
    """Target mel (b, t, 80), t >= 33, to a speaker vector (b, 1, 256): mean over time of strided convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.strides = (1, 2, 2, 2, 2, 2)
        self.conv_bank = nn.ModuleList(nn.Conv1d(80, 80, kernel) for kernel in range(1, 9))
        self.in_conv_layer = WNConv1d(80 * 9, 128, 1)
        self.first_conv_layers = nn.ModuleList(WNConv1d(128, 128, 5) for _ in self.strides)
        self.second_conv_layers = nn.ModuleList(WNConv1d(128, 128, 5, stride) for stride in self.strides)
        self.dense_layers = nn.ModuleList(WNConv1d(128, 128, 3) for _ in range(6))
        self.output_layer = WNConv1d(128, 256, 3)
        self.mean_layer = nn.Linear(256, 128)
        self.std_layer = nn.Linear(256, 128)

    def forward(self, mel: Tensor) -> Tensor:
        x = mel.transpose(1, 2)
        bank = [functional.relu(_mirrored(x, conv, kernel)) for kernel, conv in enumerate(self.conv_bank, 1)]
        x = functional.relu(self.in_conv_layer(torch.cat([*bank, x], dim=1)))
        for first, second, stride in zip(self.first_conv_layers, self.second_conv_layers, self.strides, strict=True):
            inner = functional.relu(_mirrored(functional.relu(_mirrored(x, first, 5)), second, 5))
            x = inner + (functional.avg_pool1d(x, stride, ceil_mode=True) if stride > 1 else x)
        for dense in self.dense_layers:
            x = x + functional.relu(_mirrored(x, dense, 3))
        mean = _mirrored(x, self.output_layer, 3).mean(dim=2, keepdim=True).transpose(1, 2)
        return torch.cat([self.mean_layer(mean), self.std_layer(mean)], dim=-1)


class _Similarity(nn.Module):
    """How far each frame is from the one before, between 0.5 (alike) and 1; the distance is learnt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pre_sim_block = _Stack([_Unit(width, 36), _Unit(36, 36)], (36, 6, 512), [_Unit(36, 36), _Unit(36, 1)])

    def forward(self, x: Tensor) -> Tensor:
        # Frame 0 has none before it, and is given the last but one
        before = torch.cat([x[:, -2:-1], x[:, :-1]], dim=1)
        return torch.sigmoid((self.pre_sim_block(x) - self.pre_sim_block(before)).abs()).squeeze(-1)


class Modulation(nn.Module):
    """One block: features, half of the frames set to zero, the speaker's mean and variance, each frame's own again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.handler = _Stack([_Unit(inputs, 36)], (36, 6, 256), [_Unit(36, outputs, relu=True)])
        self.sim_block = _Similarity(outputs)
        self.speak_line = nn.Linear(256, 2 * outputs)
        self.mean_line1 = nn.Linear(outputs, outputs)
        self.mean_line2 = nn.Linear(outputs, 1)
        self.std_line1 = nn.Linear(outputs, outputs)
        self.std_line2 = nn.Linear(outputs, 1)

    def stages(self, x: Tensor, speaker: Tensor) -> dict[str, Tensor]:
        """Compute (b, t, inputs) with a speaker vector (b, 1, 256), step by step.

        Returns:
            ``handler`` (b, t, outputs), ``score`` and ``mask`` (b, t), ``masked``, ``adain`` and ``output`` (b, t,
            outputs). Kept are the frames whose score lies strictly above the median.
        """
        hidden = self.handler(x)
        mean = self.mean_line2(torch.tanh(self.mean_line1(hidden)))
        deviation = self.std_line2(torch.tanh(self.std_line1(hidden)))
        score = self.sim_block(hidden)
        kept = score > torch.quantile(score, HIDDEN_SHARE, dim=1, keepdim=True)
        masked = hidden * kept[:, :, None]
        shift, scale = self.speak_line(speaker).chunk(2, dim=-1)
        voiced = instance_norm(masked.transpose(1, 2)).transpose(1, 2) * scale + shift
        output = instance_norm(voiced) * deviation + mean
        return {
            "handler": hidden, "score": score, "mask": kept, "masked": masked, "adain": voiced, "output": output,
        }  # fmt: skip

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Compute the last step alone."""
        return self.stages(x, speaker)["output"]


class MaeVc(nn.Module):
    """Common encoder of source and target, speaker encoder, six modulation blocks, generator."""

    def __init__(self) -> None:
        super().__init__()
        self.common = _Stack([_Unit(80, 256), _Unit(256, 256)], (256, 8, 512), [_Unit(256, 256), _Unit(256, 80)])
        self.spk_en = _SpeakerEncoder()
        widths = (80, 16, 16, 16, 16, 16, 80)
        for number, (inputs, outputs) in enumerate(pairwise(widths), 1):
            self.add_module(f"modu{number}_mask", Modulation(inputs, outputs))
        self.ge = _Stack(
            [_Unit(80, 256), _Unit(256, 256, relu=True)],
            (256, 8, 512),
            [_Unit(256, 256, relu=True), _Unit(256, 80), _Unit(80, 80, relu=True)],
        )

    @property
    def blocks(self) -> list[Modulation]:
        """The modulation blocks in order."""
        return [getattr(self, f"modu{number}_mask") for number in range(1, 7)]

    def content(self, mel: Tensor) -> Tensor:
        """Encode the source: (b, t, 80) on the scale of ``hifigan_features.to_unit``, t >= 2, to (b, t, 80)."""
        result: Tensor = self.common(mel.double())
        return result

    def speaker(self, mel: Tensor) -> Tensor:
        """Encode the target: (b, t, 80), t >= 33, to (b, 1, 256)."""
        result: Tensor = self.spk_en(self.common(mel.double()))
        return result

    def decode(self, content: Tensor, speaker: Tensor) -> Tensor:
        """Make the mel spectrogram, double precision (b, t, 80), not cut to between 0 and 1."""
        for block in self.blocks:
            content = block(content, speaker)
        result: Tensor = self.ge(content)
        return result

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Convert; items of a batch are of one length, there is no masking of padding."""
        return self.decode(self.content(source), self.speaker(target))


def maevc() -> MaeVc:
    """Build the network without weights."""
    return MaeVc().double()
