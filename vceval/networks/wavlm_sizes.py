"""Sizes of a WavLM network, read from the settings that its file holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LARGE", "Sizes"]

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

    def cut(self, layers: int) -> Sizes:
        """Give the sizes of the network without the layers after ``layers``.

        Raises:
            UsageError: it has not so many.
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
        import torch

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
