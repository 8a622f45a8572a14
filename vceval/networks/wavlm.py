"""WavLM, the self-supervised speech encoder that FreeVC and kNN-VC take their content features from.

Its attention scores get a bias that depends on the distance of two frames, weighted by a gate that each frame sets
itself. The layout is that of the authors' files (``WavLM-Large.pt``); only the pre-norm networks (Large) are built.

Source: Chen et al., "WavLM: Large-scale self-supervised pre-training for full stack speech processing", IEEE Journal
of Selected Topics in Signal Processing 2022, section III.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.checkpoints import weights
from vceval.errors import UsageError
from vceval.networks.blocks import PositionConv, frame_mask, onto

__all__ = ["LARGE", "Sizes", "WavLm", "load"]

#: Frames whose convolutions, and queries whose attention, are computed at a time, over a batch; they bound memory.
_FRAMES, _QUERIES = 500, 500
#: How a file writes its convolutions: ``[(512,10,5)] + [(512,3,2)] * 4``.
_CONV = re.compile(r"\s*\[\s*\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)\s*\]\s*(?:\*\s*(\d+)\s*)?")

#: What the authors' code takes where a file says nothing.
_DEFAULTS: dict[str, Any] = {
    "extractor_mode": "default",
    "layer_norm_first": False,
    "activation_fn": "gelu",
    "relative_position_embedding": False,
    "gru_rel_pos": False,
    "conv_feature_layers": "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2",
    "conv_bias": False,
    "encoder_layers": 12,
    "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 3072,
    "encoder_attention_heads": 12,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "num_buckets": 320,
    "max_distance": 1280,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a pre-norm WavLM.

    conv_layers: channels, kernel and stride of each convolution. conv_bias: whether they have one.
    layers, width, inner, heads: of the transformer. position_kernel, position_groups: of the positional convolution.
    buckets, max_distance: of the relative positions.
    """

    conv_layers: tuple[tuple[int, int, int], ...]
    conv_bias: bool
    layers: int
    width: int
    inner: int
    heads: int
    position_kernel: int
    position_groups: int
    buckets: int
    max_distance: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.conv_layers)

    @property
    def receptive(self) -> int:
        """Samples that a frame depends on."""
        seen, step = 1, 1
        for _, kernel, stride in self.conv_layers:
            seen += (kernel - 1) * step
            step *= stride
        return seen

    def frames(self, samples: int) -> int:
        """Count the frames of a recording; 0 where it is shorter than one."""
        return max(0, (samples - self.receptive) // self.hop + 1)

    def samples(self, frames: int) -> int:
        """Count the samples that frames are made of: the fewest that give so many."""
        return (frames - 1) * self.hop + self.receptive

    def cut(self, layers: int) -> Sizes:
        """Give the sizes of the network without the layers after ``layers``.

        Raises:
            UsageError: it has fewer.
        """
        if layers > self.layers:
            raise UsageError(f"it has {self.layers} layers; {layers} are needed")
        return replace(self, layers=layers)

    def bucket(self, distance: Tensor) -> Tensor:
        """Sort distances (key minus query, in frames) into buckets: half of them for keys that come later.

        In each half, the first half of the buckets is for one distance each, the others grow logarithmically up to
        ``max_distance``, beyond which all distances are alike.

        Source: Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer",
        JMLR 2020, section 2.1, and the code released with it.
        """
        half = self.buckets // 2
        exact = half // 2
        away = distance.abs()
        # Single precision, as the published network sorts its distances
        ratio = torch.log(away.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = (exact + ratio * (half - exact)).to(torch.long).clamp(max=half - 1)
        return (distance > 0).to(torch.long) * half + torch.where(away < exact, away, far)

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Sizes:
        """Read the settings of a file.

        Raises:
            UsageError: a setting is missing or strange, or the network is of a kind that is not built here.
        """
        wanted = {
            "extractor_mode": "layer_norm",
            "layer_norm_first": True,
            "activation_fn": "gelu",
            "relative_position_embedding": True,
            "gru_rel_pos": True,
        }
        full = {**_DEFAULTS, **config}
        for name, value in wanted.items():
            if full[name] != value:
                raise UsageError(f"setting {name} is {full[name]!r}; only networks with {value!r} are supported")
        return cls(
            _conv_layers(full["conv_feature_layers"]),
            bool(full["conv_bias"]),
            *(
                _count(full, name)
                for name in (
                    "encoder_layers",
                    "encoder_embed_dim",
                    "encoder_ffn_embed_dim",
                    "encoder_attention_heads",
                    "conv_pos",
                    "conv_pos_groups",
                    "num_buckets",
                    "max_distance",
                )
            ),
        )


def _count(config: Mapping[str, Any], name: str) -> int:
    value = config[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"setting {name} is {value!r}, no positive number")
    return value


def _conv_layers(text: Any) -> tuple[tuple[int, int, int], ...]:
    found: list[tuple[int, int, int]] = []
    for part in str(text).split("+"):
        match = _CONV.fullmatch(part)
        if match is None:
            raise UsageError(f"setting conv_feature_layers is {text!r}, no list of convolutions")
        channels, kernel, stride, times = (int(value or 1) for value in match.groups())
        found += [(channels, kernel, stride)] * times
    return tuple(found)


#: WavLM-Large.
LARGE = Sizes(
    conv_layers=((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2),
    conv_bias=False,
    layers=24,
    width=1024,
    inner=4096,
    heads=16,
    position_kernel=128,
    position_groups=16,
    buckets=320,
    max_distance=800,
)


class _Swap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Waveform(nn.Module):
    """Convolutions from samples to frames, a layer norm over channels and a GELU after each; no padding anywhere."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        inputs = 1
        for channels, kernel, stride in sizes.conv_layers:
            conv = nn.Conv1d(inputs, channels, kernel, stride, bias=sizes.conv_bias)
            norm = nn.Sequential(_Swap(), nn.LayerNorm(channels), _Swap())
            self.conv_layers.append(nn.Sequential(conv, nn.Identity(), norm, nn.GELU()))
            inputs = channels

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            x = layer(x)
        return x


class _Attention(nn.Module):
    """Self-attention with the gated bias of relative positions."""

    def __init__(self, sizes: Sizes, has_table: bool) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.k_proj = nn.Linear(sizes.width, sizes.width)
        self.v_proj = nn.Linear(sizes.width, sizes.width)
        self.q_proj = nn.Linear(sizes.width, sizes.width)
        self.out_proj = nn.Linear(sizes.width, sizes.width)
        if has_table:  # the first layer's table serves all
            self.relative_attention_bias = nn.Embedding(sizes.buckets, sizes.heads)
        self.grep_linear = nn.Linear(sizes.width // sizes.heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, sizes.heads, 1, 1))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Attend; ``x`` (b, t, width), ``bias`` (heads, 2 t - 1) by distance of key from query, ``mask`` (b, 1, t)."""
        queries, keys, values = (self._split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        raw: Tensor = self.grep_linear(self._split(x))
        sums = raw.reshape(*raw.shape[:3], 2, 4).sum(dim=-1)
        first, second = torch.sigmoid(sums).chunk(2, dim=-1)
        gate = first * (second * self.grep_a - 1.0) + 2.0  # (b, heads, t, 1)
        frames = x.shape[1]
        # Row i of the matrix of biases is the t values of ``bias`` that start at t - 1 - i
        rows = bias.unfold(1, frames, 1)
        parts = []
        step = max(_QUERIES // len(x), 50)
        for start in range(0, frames, step):
            end = min(start + step, frames)
            part = slice(start, end)
            scores = gate[:, :, part] * rows[:, frames - end : frames - start].flip(1)
            if mask is not None:
                scores = scores.masked_fill(mask[:, :, None] == 0, -torch.inf)
            parts.append(functional.scaled_dot_product_attention(queries[:, :, part], keys, values, attn_mask=scores))
        attended: Tensor = self.out_proj(torch.cat(parts, dim=2).transpose(1, 2).flatten(2))
        return attended


class _Layer(nn.Module):
    def __init__(self, sizes: Sizes, has_table: bool) -> None:
        super().__init__()
        self.self_attn = _Attention(sizes, has_table)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.inner)
        self.fc2 = nn.Linear(sizes.inner, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), bias, mask)
        inner: Tensor = self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x + inner


class _Encoder(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(PositionConv(sizes.width, sizes.position_kernel, sizes.position_groups))
        self.layers = nn.ModuleList(_Layer(sizes, place == 0) for place in range(sizes.layers))
        self.layer_norm = nn.LayerNorm(sizes.width)


class WavLm(nn.Module):
    """Waveform to features, 50 a second with the published sizes, without the level normalisation of its training.

    FreeVC and kNN-VC both feed the waveform as it is, though the checkpoint's own settings say ``normalize``.
    """

    def __init__(self, sizes: Sizes = LARGE) -> None:
        super().__init__()
        self.sizes = sizes
        self._buckets: Tensor | None = None
        self.mask_emb = nn.Parameter(torch.zeros(sizes.width))  # training's; the file holds it
        self.feature_extractor = _Waveform(sizes)
        embed = sizes.conv_layers[-1][0]
        if embed != sizes.width:
            self.post_extract_proj = nn.Linear(embed, sizes.width)
        self.encoder = _Encoder(sizes)
        self.layer_norm = nn.LayerNorm(embed)

    def forward(self, samples: Tensor, lengths: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Compute features.

        Args:
            samples: (batch, n) at 16 kHz.
            lengths: (batch,) samples of each item, in main memory; what stands beyond them does not matter.
            layer: give the output of this layer, counted from 1 (0: what goes into the first one), as it is; the
                layers after it are not computed. By default the last one's output through the final layer norm.

        Returns:
            (batch, frames, width), frames as ``sizes.frames`` counts them; zeros beyond an item's end.

        Raises:
            ValueError: an item is shorter than a frame.
        """
        [(x, mask)] = deque(self._passed(samples, lengths, self.sizes.layers if layer is None else layer), maxlen=1)
        if layer is None:
            x = self.encoder.layer_norm(x)
        return x if mask is None else x * mask.transpose(1, 2)

    def states(self, samples: Tensor) -> Iterator[Tensor]:
        """Give what goes into every layer, as it is, then the last one's output through the final layer norm.

        Args:
            samples: (batch, n) at 16 kHz, all of one length.

        Yields:
            (batch, frames, width), one more than there are layers.

        Raises:
            ValueError: they are shorter than a frame.
        """
        for place, (x, _) in enumerate(self._passed(samples, None, self.sizes.layers)):
            yield x if place < self.sizes.layers else self.encoder.layer_norm(x)

    def _passed(self, samples: Tensor, lengths: Tensor | None, wanted: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give what goes into each of ``wanted`` layers and comes out of the last, with the mask of frames."""
        frames = self.sizes.frames(samples.shape[1])
        if frames < 1:
            raise ValueError(f"{samples.shape[1]} samples are less than the {self.sizes.receptive} of a frame")
        mask = None
        if lengths is not None and bool((lengths != samples.shape[1]).any()):
            counts = torch.tensor([self.sizes.frames(int(length)) for length in lengths])
            mask = frame_mask(onto(samples.device, counts), frames).to(samples)
        x: Tensor = self.layer_norm(self._frames(samples, frames))
        if hasattr(self, "post_extract_proj"):
            x = self.post_extract_proj(x)
        if mask is not None:
            x = x * mask.transpose(1, 2)
        x = x + self.encoder.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        bias = self._bias(frames) if wanted else None
        for place in range(wanted):
            yield x, mask
            x = self.encoder.layers[place](x, bias, mask)
        yield x, mask

    def _frames(self, samples: Tensor, frames: int) -> Tensor:
        """Run the convolutions piece by piece: a frame depends on its own samples only, so the pieces fit exactly."""
        hop = self.sizes.hop
        pieces = []
        step = max(_FRAMES // len(samples), 50)
        for first in range(0, frames, step):
            last = min(first + step, frames)
            piece = samples[:, None, first * hop : first * hop + self.sizes.samples(last - first)]
            pieces.append(self.feature_extractor(piece).transpose(1, 2))
        return torch.cat(pieces, dim=1)

    def _bias(self, frames: int) -> Tensor:
        """Look up the bias (heads, 2 * frames - 1) of every distance, key minus query, from 1 - frames on."""
        table = self.encoder.get_submodule("layers.0.self_attn.relative_attention_bias")
        assert isinstance(table, nn.Embedding)
        # What the longest one so far needed holds those of all shorter ones
        if self._buckets is None or len(self._buckets) < 2 * frames - 1 or self._buckets.device != table.weight.device:
            distance = torch.arange(1 - frames, frames, device=table.weight.device)
            self._buckets = self.sizes.bucket(distance)
        start = len(self._buckets) // 2 + 1 - frames
        bias: Tensor = table(self._buckets[start : start + 2 * frames - 1]).T
        return bias


def load(path: Path, layers: int | None = None, device: str = "cpu") -> WavLm:
    """Load the authors' file, its sizes as the entry ``cfg`` in it says.

    Args:
        path: the file, a dictionary of ``cfg`` and ``model``.
        layers: keep this many layers of the encoder only, where no more are needed.
        device: to load it to.

    Raises:
        UsageError: it can't be read, is no WavLM of the kind of Large, or a name or shape differs.
    """
    content = weights.read(path)
    try:
        found = weights.select(content, ("model",))
        config = content.get("cfg")
        if not isinstance(config, Mapping):
            raise UsageError("it has no table of settings, 'cfg'")
        sizes = Sizes.read(config)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    # The whole file is compared with the layout
    with weights.without_values():
        wrong = weights.differences(weights.shapes_of(found), weights.shapes_of(WavLm(sizes).state_dict()))
        if wrong:
            raise UsageError(f"{path}: these are not the weights of {WavLm.__name__}: {wrong}")
        kept = sizes if layers is None else sizes.cut(layers)
        network = WavLm(kept)
    used = {name: found[name] for name in network.state_dict()}
    loaded = weights.load_strict(network, used, str(path), device)
    assert isinstance(loaded, WavLm)
    return loaded
