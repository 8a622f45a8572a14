"""FragmentVC: attention picks fragments of the target speaker's mel spectrogram for what the source says.

Three extractors look into three depths of a convolution stack over the target's mel, the deepest first; layers of
self-attention smooth what they gather. There is no positional encoding: order comes from convolutions only.

Source: Lin et al., "FragmentVC: Any-to-any voice conversion by end-to-end extracting and fusing fine-grained voice
fragments with attention", ICASSP 2021 (2010.14150), section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BANDS", "FragmentVc", "Target"]

BANDS = 80

#: The target's mel at three depths, (batch, d, frames) each, shallowest first.
Target = tuple[Tensor, Tensor, Tensor]


class Attention(nn.Module):
    """Attention of several heads; queries, keys and values are projected by thirds of one matrix."""

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * d, d))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * d))
        self.out_proj = nn.Linear(d, d)

    def forward(self, x: Tensor, memory: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attend from ``x`` (b, t, d) to ``memory`` (b, r, d), not to what ``padding`` (b, r) marks as True.

        Returns:
            (b, t, d), and the weights averaged over heads, (b, t, r).
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        queries, keys, values = (
            self._split(functional.linear(given, weight, bias))
            for given, weight, bias in zip((x, memory, memory), weights, biases, strict=True)
        )
        scores = queries * queries.shape[-1] ** -0.5 @ keys.transpose(2, 3)
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None], -torch.inf)
        shares = scores.softmax(dim=-1)
        output: Tensor = self.out_proj((shares @ values).transpose(1, 2).flatten(2))
        return output, shares.mean(dim=1)

    def _split(self, x: Tensor) -> Tensor:
        batch, frames, d = x.shape
        return x.view(batch, frames, self.heads, d // self.heads).transpose(1, 2)


class Smoother(nn.Module):
    """Self-attention, then two convolutions over time, each added to its input and normalised."""

    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(d, heads)
        self.conv1 = nn.Conv1d(d, hidden, 9, padding=4)
        self.conv2 = nn.Conv1d(hidden, d, 1)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Smooth (b, t, d)."""
        x = self.norm1(x + self.self_attn(x, x, padding)[0])
        output: Tensor = self.norm2(x + _convolved(self.conv1, self.conv2, x))
        return output


def _convolved(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    output: Tensor = second(functional.relu(first(x.transpose(1, 2)))).transpose(1, 2)
    return output


class Extractor(nn.Module):
    """A smoother that looks at the target in between; ``residual`` adds what it knew before to what it finds."""

    def __init__(self, d: int, heads: int, hidden: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.self_attn = Attention(d, heads)
        self.cross_attn = Attention(d, heads)
        self.conv1 = nn.Conv1d(d, hidden, 9, padding=4)
        self.conv2 = nn.Conv1d(hidden, d, 1)
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)
        self.norm3 = nn.LayerNorm(d)

    def forward(
        self, x: Tensor, memory: Tensor, padding: Tensor | None = None, memory_padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Go over ``x`` (b, t, d) and ``memory`` (b, r, d).

        Returns:
            (b, t, d), and how much each frame looked at each frame of the target, (b, t, r).
        """
        x = self.norm1(x + self.self_attn(x, x, padding)[0])
        found, shares = self.cross_attn(x, memory, memory_padding)
        x = self.norm2(x + found if self.residual else found)
        return self.norm3(x + _convolved(self.conv1, self.conv2, x)), shares


class UnetBlock(nn.Module):
    """Prenet of the source, convolutions over the target, three extractors."""

    def __init__(self, d: int, source_dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, d, 3, padding=1, padding_mode="replicate")
        self.conv2 = nn.Conv1d(d, d, 3, padding=1, padding_mode="replicate")
        self.conv3 = nn.Conv1d(d, d, 3, padding=1, padding_mode="replicate")
        self.prenet = nn.Sequential(nn.Linear(source_dim, source_dim), nn.ReLU(), nn.Linear(source_dim, d))
        self.extractor1 = Extractor(d, heads, hidden, residual=False)
        self.extractor2 = Extractor(d, heads, hidden, residual=True)
        self.extractor3 = Extractor(d, heads, hidden, residual=True)

    def target(self, mel: Tensor) -> Target:
        """Convolve the target's mel (b, 80, r)."""
        first = self.conv1(mel)
        second = self.conv2(functional.relu(first))
        return first, second, self.conv3(functional.relu(second))

    def forward(
        self, source: Tensor, target: Target, padding: Tensor | None, target_padding: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Gather from the target what the source (b, t, source_dim) says; (b, t, d) and three tables of shares."""
        x = self.prenet(source)
        tables = []
        extractors = (self.extractor1, self.extractor2, self.extractor3)
        for extractor, memory in zip(extractors, reversed(target), strict=True):
            x, shares = extractor(x, memory.transpose(1, 2), padding, target_padding)
            tables.append(shares)
        return x, tables


class Smoothers(nn.Module):
    """Smoothers one after the other."""

    def __init__(self, d: int, heads: int, hidden: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Smoother(d, heads, hidden) for _ in range(count))

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Smooth (b, t, d)."""
        for layer in self.layers:
            x = layer(x, padding)
        return x


def _post_net(channels: int, kernel: int, layers: int) -> nn.Sequential:
    sizes = [BANDS, *[channels] * (layers - 1), BANDS]
    parts: list[nn.Module] = []
    for place in range(layers):
        parts.append(nn.Conv1d(sizes[place], sizes[place + 1], kernel, padding=kernel // 2))
        parts.append(nn.BatchNorm1d(sizes[place + 1]))
        if place < layers - 1:
            # The second one stands where training has its dropout
            parts += [nn.Tanh(), nn.Identity()]
    return nn.Sequential(*parts)


class FragmentVc(nn.Module):
    """The converter, from wav2vec 2.0 features and the target's log-mel to a log-mel; 137 entries.

    Args:
        d: width. source_dim: of the source's features. heads, hidden: of the layers. smoothers: their number.
        channels, kernel, layers: of the net that refines the mel.
    """

    def __init__(
        self,
        d: int = 512,
        source_dim: int = 768,
        heads: int = 2,
        hidden: int = 1024,
        smoothers: int = 3,
        channels: int = 512,
        kernel: int = 5,
        layers: int = 5,
    ) -> None:
        super().__init__()
        self.unet = UnetBlock(d, source_dim, heads, hidden)
        self.smoothers = Smoothers(d, heads, hidden, smoothers)
        self.mel_linear = nn.Linear(d, BANDS)
        self.post_net = _post_net(channels, kernel, layers)

    def forward(
        self,
        source: Tensor,
        target: Tensor | Target,
        padding: Tensor | None = None,
        target_padding: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Convert.

        Args:
            source: (b, t, source_dim) features.
            target: (b, 80, r) log-mel, or what :meth:`UnetBlock.target` made of it.
            padding: (b, t), True where the source has ended. Attention keeps away from there, but convolutions
                don't, so a padded item differs from the same one alone: give items of one length for conversion.
            target_padding: (b, r), the same for the target.

        Returns:
            (b, 80, t) log-mel, and the shares (b, t, r) of three extractors.
        """
        depths = self.unet.target(target) if isinstance(target, Tensor) else target
        x, tables = self.unet(source, depths, padding, target_padding)
        mel = self.mel_linear(self.smoothers(x, padding)).transpose(1, 2)
        return mel + self.post_net(mel), tables
