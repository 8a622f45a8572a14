"""A small WavLM in the authors' container: as wide as the converters need it, otherwise tiny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vceval.conformance.kits import made_up_weights


def settings(layers: int = 2, width: int = 1024, **changes: Any) -> dict[str, Any]:
    """The settings that a file of the authors holds, as far as they matter, and one that does not."""
    return {
        "extractor_mode": "layer_norm",
        "encoder_layers": layers,
        "encoder_embed_dim": width,
        "encoder_ffn_embed_dim": 48,
        "encoder_attention_heads": 16,
        "activation_fn": "gelu",
        "layer_norm_first": True,
        "conv_feature_layers": "[(24,10,5)] + [(24,3,2)] * 4 + [(24,2,2)] * 2",
        "conv_bias": False,
        "normalize": True,
        "conv_pos": 16,
        "conv_pos_groups": 16,
        "relative_position_embedding": True,
        "num_buckets": 32,
        "max_distance": 80,
        "gru_rel_pos": True,
        "dropout": 0.0,
        **changes,
    }


def write(path: Path, config: dict[str, Any], weights: Any = None) -> Path:
    """Write a file as the authors do: a dictionary of ``cfg`` and ``model``."""
    import torch

    from vceval.networks.wavlm import Sizes, WavLm

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"cfg": config, "model": weights or made_up_weights(WavLm(Sizes.read(config)))}, path)
    return path
