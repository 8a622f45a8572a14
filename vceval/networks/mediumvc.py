"""MediumVC: speech of anybody, through the voice of one speaker (SingleVC), to the voice of anybody.

Double precision, for the reason that :mod:`vceval.networks.singlevc` gives.

Source: Gu et al., "MediumVC: Any-to-any voice conversion using synthetic specific-speaker speeches as intermedium
features", arXiv 2110.02500; layers are named as the published file has them.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.singlevc import SingleVc, Smoother, Unit, attended, self_attention

__all__ = ["MediumVc", "conditioned", "mediumvc"]


class _ContentEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_block0 = nn.Sequential(Unit(80, 256), Unit(256, 36, relu=False))
        self.attention_norm0 = attended(36, 2)
        self.conv_block1 = nn.Sequential(Unit(36, 256), Unit(256, 256, relu=False))
        self.attention_norm1 = attended(256, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm0(self.conv_block0(x))
        result: Tensor = self.attention_norm1(self.conv_block1(x))
        return result


class _Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pre_block0 = nn.Sequential(Unit(256, 256), Unit(256, 128, relu=False))
        self.attention0 = self_attention(128, 4)
        self.pre_block1 = nn.Sequential(Unit(128, 256), Unit(256, 512, relu=False))
        self.attention1 = self_attention(512, 8)
        self.smoothers = nn.Sequential(*(Smoother(512, 8, 1024) for _ in range(3)))
        widths = (512, 512, 256, 128, 80, 80)
        self.post_block = nn.Sequential(*(Unit(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.attention0(self.pre_block0(x)))
        x = functional.relu(self.attention1(self.pre_block1(x)))
        return functional.relu(self.post_block(self.smoothers(x)))


def conditioned(content: Tensor, speaker: Tensor) -> Tensor:
    """Impress a speaker vector (b, 256) upon content (b, 256, t): it is both gain (root of its size) and shift."""
    vector = speaker.to(content)[:, :, None]
    return content * vector.abs().sqrt() + vector


class MediumVc(nn.Module):
    """SingleVC (weight norm taken off), content encoder and generator."""

    def __init__(self) -> None:
        super().__init__()
        self.any2one = SingleVc(weight_norm=False)
        self.cont_encoder = _ContentEncoder()
        self.generator = _Generator()

    def content(self, mel: Tensor) -> Tensor:
        """Encode what is said: (b, t, 80) on the scale of ``hifigan_features.to_unit`` to (b, 256, t)."""
        result: Tensor = self.cont_encoder(self.any2one(mel).clamp(0.0, 1.0).transpose(1, 2))
        return result

    def decode(self, content: Tensor, speaker: Tensor) -> Tensor:
        """Make the mel spectrogram.

        Args:
            content: (b, 256, t) from :meth:`content`.
            speaker: (b, 256), a d-vector divided by its largest magnitude (not its length).

        Returns:
            Double precision (b, t, 80), not negative; not cut at 1.
        """
        result: Tensor = self.generator(conditioned(content, speaker)).transpose(1, 2)
        return result

    def forward(self, mel: Tensor, speaker: Tensor) -> Tensor:
        """Convert; items of a batch are of one length, there is no masking."""
        return self.decode(self.content(mel), speaker)


def mediumvc() -> MediumVc:
    """Build the network without weights."""
    return MediumVc().double()
