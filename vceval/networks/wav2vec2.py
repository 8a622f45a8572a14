"""wav2vec 2.0 Base, the self-supervised speech encoder that FragmentVC takes its content features from.

The layout is that of the authors' file ``wav2vec_small.pt``; the file of the same network at Hugging Face
(``facebook/wav2vec2-base``) is read as well, its names translated.

Source: Baevski et al., "wav2vec 2.0: A framework for self-supervised learning of speech representations", NeurIPS
2020, section 2 and appendix B.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.checkpoints import weights
from vceval.errors import UsageError
from vceval.networks.blocks import PositionConv

__all__ = ["HOP", "RECEPTIVE", "Wav2Vec2", "authors_name", "frames_of", "hugging_face", "load"]

#: Kernel and stride of each convolution; together a frame every 320 samples, made of 400.
_CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
HOP, RECEPTIVE = 320, 400
#: Parts of the file that only its training used.
_TRAINING = ("mask_emb", "quantizer.", "project_q.", "final_proj.")
#: How Hugging Face calls things, as patterns, and what the authors' file calls them.
_NAMES = (
    (r"^wav2vec2\.", ""),
    (r"^masked_spec_embed$", "mask_emb"),
    (r"^quantizer\.codevectors$", "quantizer.vars"),
    (r"^project_hid\.", "final_proj."),
    (r"^feature_projection\.layer_norm\.", "layer_norm."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.conv\.", r"\1.0."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.layer_norm\.", r"\1.2."),
    (r"^encoder\.pos_conv_embed\.conv\.", "encoder.pos_conv.0."),
    (r"^(encoder\.layers\.\d+)\.attention\.", r"\1.self_attn."),
    (r"^(encoder\.layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"^(encoder\.layers\.\d+)\.feed_forward\.intermediate_dense\.", r"\1.fc1."),
    (r"^(encoder\.layers\.\d+)\.feed_forward\.output_dense\.", r"\1.fc2."),
)


def frames_of(samples: int) -> int:
    """Count the frames of a recording; 0 where it is shorter than one."""
    for kernel, stride in _CONVOLUTIONS:
        samples = max(0, (samples - kernel) // stride + 1)
    return samples


class _Waveform(nn.Module):
    """Convolutions from samples to frames with a GELU after each; after the first, every channel is normalised.

    That normalisation is over time: zeros after the end of the audio would change all frames.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        for place, (kernel, stride) in enumerate(_CONVOLUTIONS):
            conv = nn.Conv1d(channels if place else 1, channels, kernel, stride, bias=False)
            norm = [] if place else [nn.GroupNorm(channels, channels)]
            # The second entry is the place of training's dropout
            self.conv_layers.append(nn.Sequential(conv, nn.Identity(), *norm, nn.GELU()))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            x = layer(x)
        return x


class _Attention(nn.Module):
    """Self-attention of several heads, every frame to every frame."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = (project(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for project in self._projections())
        attended = functional.scaled_dot_product_attention(*parts)
        output: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return output

    def _projections(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.q_proj, self.k_proj, self.v_proj


class _Layer(nn.Module):
    """A layer of the transformer; norms come after the sums."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(x + self.self_attn(x))
        output: Tensor = self.final_layer_norm(x + self.fc2(functional.gelu(self.fc1(x))))
        return output


class _Encoder(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, layers: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(PositionConv(width, kernel, groups))
        self.layers = nn.ModuleList(_Layer(width, inner, heads) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        return x


class _Quantizer(nn.Module):
    """Training's codebooks: names and shapes only."""

    def __init__(self, channels: int, groups: int, entries: int, values: int) -> None:
        super().__init__()
        self.vars = nn.Parameter(torch.zeros(1, groups * entries, values // groups))
        self.weight_proj = nn.Linear(channels, groups * entries)


class Wav2Vec2(nn.Module):
    """Waveform to features, one frame every 320 samples at 16 kHz.

    Args:
        training: keep the parts of the file that inference does not use, so that its whole layout is there.
        channels: of the convolutions. width, inner, heads, layers: of the transformer. kernel, groups: of the
            convolution that tells positions.
    """

    def __init__(
        self,
        training: bool = True,
        channels: int = 512,
        width: int = 768,
        inner: int = 3072,
        heads: int = 12,
        layers: int = 12,
        kernel: int = 128,
        groups: int = 16,
    ) -> None:
        super().__init__()
        self.feature_extractor = _Waveform(channels)
        self.layer_norm = nn.LayerNorm(channels)
        self.post_extract_proj = nn.Linear(channels, width)
        self.encoder = _Encoder(width, inner, heads, layers, kernel, groups)
        if training:
            self.mask_emb = nn.Parameter(torch.zeros(width))
            self.quantizer = _Quantizer(channels, 2, 320, 256)
            self.project_q = nn.Linear(256, 256)
            self.final_proj = nn.Linear(width, 256)

    def forward(self, samples: Tensor) -> Tensor:
        """Give the last layer's output.

        Args:
            samples: (batch, n) at 16 kHz, all of one length; as they are, not brought to mean 0 and variance 1.

        Returns:
            (batch, frames, width), frames as :func:`frames_of` counts them.

        Raises:
            ValueError: there are less samples than a frame is made of.
        """
        if frames_of(samples.shape[1]) < 1:
            raise ValueError(f"{samples.shape[1]} samples are less than the {RECEPTIVE} of a frame")
        frames = self.feature_extractor(samples[:, None]).transpose(1, 2)
        features: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(frames)))
        return features


def load(path: Path, device: str = "cpu") -> Wav2Vec2:
    """Load wav2vec 2.0 Base for inference.

    Args:
        path: ``wav2vec_small.pt`` of the authors, or ``pytorch_model.bin`` or ``model.safetensors`` of
            ``facebook/wav2vec2-base``, with the parts for training or without.
        device: to load it to.

    Raises:
        UsageError: it can't be read, or a name or shape differs.
    """
    content = weights.read(path)
    try:
        found = hugging_face(content)
        if found is None:
            found = weights.select(content, ("model",) if isinstance(content, Mapping) and "model" in content else ())
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    with weights.without_values():
        known = weights.shapes_of(Wav2Vec2().state_dict())
        network = Wav2Vec2(training=False)
    used = {name: value for name, value in found.items() if not (name.startswith(_TRAINING) and name in known)}
    loaded = weights.load_strict(network, used, str(path), device)
    assert isinstance(loaded, Wav2Vec2)
    return loaded


def hugging_face(content: Any) -> dict[str, Tensor] | None:
    """Give the tensors of Hugging Face's file of the same network by the authors' names; None for another file.

    Args:
        content: what was read of ``pytorch_model.bin`` or ``model.safetensors`` of ``facebook/wav2vec2-base``, with the
            parts for training or without.
    """
    if not isinstance(content, Mapping) or not any(
        isinstance(name, str) and name.removeprefix("wav2vec2.").startswith("feature_projection.") for name in content
    ):
        return None
    return {authors_name(name): value for name, value in weights.select(content).items()}


def authors_name(name: str) -> str:
    """Translate Hugging Face's name of a tensor to that in the authors' file; theirs stays as it is."""
    for pattern, new in _NAMES:
        name = re.sub(pattern, new, name)
    return name
