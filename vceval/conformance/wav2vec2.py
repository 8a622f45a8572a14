"""The port of wav2vec 2.0 Base, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Wav2Vec2Port"]


class Wav2Vec2Port(Port):
    """Convolutions, projection, what goes into the transformer, its first layer and its last."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks.wav2vec2 import Wav2Vec2

        return Wav2Vec2(
            width=config["encoder_embed_dim"],
            inner=config["encoder_ffn_embed_dim"],
            heads=config["encoder_attention_heads"],
            layers=config["encoder_layers"],
            kernel=config["conv_pos"],
            groups=config["conv_pos_groups"],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of the case."""
        places = {
            "out_conv_feats_B512T": "feature_extractor",
            "out_post_proj": "post_extract_proj",
            "out_enc_in_after_posconv_LN": "encoder.layer_norm",
            "out_layer0_TBC": "encoder.layers.0",
        }
        with captured(network, places) as stages:
            stages["out_features"] = network(case.tensor("in_wav_16000"))
        stages["out_layer0_TBC"] = stages["out_layer0_TBC"].transpose(0, 1)
        return stages
