"""The port of cyhuang-tw's AdaIN-VC: network, front end, and the SoX chain before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.adainvc import conversion_stages
from vceval.conformance.base import Case, Port

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AdaInVcCyhuangPort"]


class AdaInVcCyhuangPort(Port):
    """Both encoders and the decoder with what lies between; levelled speech, mel with and without levelling."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network in the kit's sizes."""
        from vceval.networks import adainvc_cyhuang

        return adainvc_cyhuang.from_config(config)

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        return self._network(network, case) if "in_src" in case.inputs else self._features(case)

    def _network(self, network: Any, case: Case) -> Mapping[str, Any]:
        stages = {
            "out_spk_pooled": "speaker_encoder.pooling",
            "out_decoder_block0_affine1": "decoder.first_affine_layers.0",
            "out_decoder_block0_affine2": "decoder.second_affine_layers.0",
        }
        return conversion_stages(network, case, stages)

    def _features(self, case: Case) -> Mapping[str, Any]:
        from vceval.networks import adainvc_cyhuang_features as features
        from vceval.signal.audio import Waveform

        kept = {
            name.removeprefix("in_"): features.speech(Waveform(samples, features.SAMPLE_RATE))
            for name, samples in case.inputs.items()
        }
        if "wav" not in kept:
            return {f"out_{name}": samples for name, samples in kept.items()}
        return {
            "out_wav_after_sox": kept["wav"],
            "out_mel": features.mel(kept["wav"]).T,
            "out_mel_without_sox": features.mel(case.inputs["in_wav"]).T,
            "out_mel_filterbank": features.filters().T,
        }
