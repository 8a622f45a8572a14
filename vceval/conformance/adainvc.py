"""The ports of AdaIN-VC: as published, and in the edition of cyhuang-tw with the SoX chain before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AdaInVcCyhuangPort", "AdaInVcPort", "conversion_stages"]


class AdaInVcPort(Port):
    """Both encoders and the decoder with what lies between; trimming and mel; magnitudes and rounds of Griffin-Lim."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network in the kit's sizes."""
        from vceval.networks import adainvc

        return adainvc.from_config(config)

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if "in_src" in case.inputs:
            return self._network(network, case)
        return self._features(case) if "in_wav" in case.inputs else self._waveform(case)

    def _network(self, network: Any, case: Case) -> Mapping[str, Any]:
        stages = {
            "out_spk_in_conv_preact": "speaker_encoder.in_conv_layer",
            "out_spk_pooled": "speaker_encoder.pooling",
            "out_content_in_norm": "content_encoder.in_norm",
            "out_decoder_in_norm": "decoder.in_norm",
            "out_decoder_block0_norm1": "decoder.first_norms.0",
            "out_decoder_block0_norm2": "decoder.second_norms.0",
        }
        return conversion_stages(network, case, stages)

    def _features(self, case: Case) -> Mapping[str, Any]:
        from vceval.networks import adainvc_features as features
        from vceval.signal import spectral

        samples = case.inputs["in_wav"]
        first, last = spectral.trim(samples, features.TRIM_DB)
        return {
            "out_trim_index": spectral.trim(samples, features.TRIM_DB, padding="zeros"),
            "out_trim_index_reflect_rms": (first, last),
            "out_mel": features.mel(samples[first:last]),
        }

    def _waveform(self, case: Case) -> Mapping[str, Any]:
        import re

        from vceval.networks import adainvc_features as features
        from vceval.signal import spectral
        from vceval.signal.griffin_lim import griffin_lim

        magnitude = features.linear_magnitude(case.inputs["in_mel"])
        stages: dict[str, Any] = {"out_lin_mag": magnitude.T}
        window = spectral.hann(features.WINDOW, features.FFT)
        for rounds in sorted({int(n) for name in case.wanted for n in re.findall(r"_iter(\d+)", name)}):
            raw = griffin_lim(magnitude, features.HOP, window, rounds)
            stages[f"out_gl_iter{rounds}_raw"] = raw
            stages[f"out_wav_iter{rounds}"] = features.finished(raw)
        return stages


def conversion_stages(network: Any, case: Case, stages: Mapping[str, str]) -> dict[str, Any]:
    """Convert, keeping what both editions of AdaIN-VC have in common, and the outputs of some layers.

    stages: names of stages, with the layer of each.
    """
    source, target = case.tensor("in_src"), case.tensor("in_tgt")
    with captured(network, stages) as found:
        hidden = network.content_encoder.hidden(source)
        mean, deviation = network.content_encoder.distribution(source)
        vector = network.speaker_encoder(target)
        last = network.decoder.hidden(mean, vector)
        frames = network.decoder.out_conv_layer(last)
    return {
        **found,
        "out_content_last_block": hidden,
        "out_mu": mean,
        "out_log_sigma": deviation,
        "out_spk_emb": vector,
        "out_decoder_last_block": last,
        "out_dec": frames,
    }


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
