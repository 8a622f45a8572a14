"""The ports of AutoVC's generator and of its speaker encoder, for their kits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AutoVcPort", "AutoVcSpeakerPort"]


class AutoVcPort(Port):
    """Content codes, mel before and after the postnet, and the latter without padded frames."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator."""
        from vceval.networks.autovc import Generator

        return Generator(config["dim_neck"], config["dim_pre"], config["freq"])

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        mel = case.tensor("in_x")
        codes = network.encode(mel, case.tensor("in_c_org"))
        plain, refined = network.decode(codes, case.tensor("in_c_trg"))
        frames = mel.shape[1] - int(case.inputs["in_len_pad"])
        return {
            "out_codes": codes.flatten(1),
            "out_mel": plain[:, None],
            "out_mel_postnet": refined[:, None],
            "out_mel_trimmed": refined[0, :frames],
        }


class AutoVcSpeakerPort(Port):
    """Speaker embeddings of crops."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the speaker encoder."""
        from vceval.networks.autovc import SpeakerEncoder

        return SpeakerEncoder(config["dim_input"], config["dim_cell"], config["dim_emb"], config["num_layers"])

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        return {"out_spk_emb": network(case.tensor("in_mel"))}
