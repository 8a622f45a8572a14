"""The port of WavLM with an ECAPA-TDNN for speaker verification, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["WavLmSvPort"]

_WAVLM = "feature_extract.model"


class WavLmSvPort(Port):
    """Every part of WavLM and of its head, embeddings of single recordings and of batches, and the resampler."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network of the kit's sizes."""
        from vceval.networks.wavlm import Sizes
        from vceval.networks.wavlm_sv import WavLmSv

        return WavLmSv(Sizes.read(config["wavlm"]))

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        import torch

        from vceval.networks.wavlm_sv_features import resampled

        if case.kind == "features":
            return {
                f"out_wav_16000_from_{name.removeprefix('in_wav_')}": resampled(samples, int(name.rsplit("_", 1)[1]))
                for name, samples in case.inputs.items()
            }
        if "in_wav" in case.inputs:
            return _stages(network, case)
        if "in_batch" in case.inputs:
            return {"out_embedding_batch": network(case.tensor("in_batch"))}
        found = {name.replace("in_wav", "out_embedding"): network(case.tensor(name)[None])[0] for name in case.inputs}
        *_, first, second = found.values()
        return {**found, "out_cosine_last_two": torch.cosine_similarity(first, second, dim=0)[None]}


def _stages(network: Any, case: Case) -> Mapping[str, Any]:
    import torch

    from vceval.networks.blocks import instance_norm
    from vceval.networks.wavlm_sv import normed

    wave = normed(case.tensor("in_wav")[None])
    states = list(network.get_submodule(_WAVLM).states(wave))
    weighted = network.weighted(wave)
    places = {
        "out_conv_every8": f"{_WAVLM}.feature_extractor",
        "out_projected_every8": f"{_WAVLM}.post_extract_proj",
        "out_position_every8": f"{_WAVLM}.encoder.pos_conv",
        "out_layer1_every8": "layer1",
        "out_layer2_res2_every8": "layer2.Res2Conv1dReluBn",
        "out_layer2_se_every8": "layer2",
        "layer3": "layer3",
        "layer4": "layer4",
        "out_aggregated_every8": "conv",
        "out_attention_every8": "pooling.weights",
        "out_pooled": "pooling",
        "out_pooled_bn": "bn",
    }
    with captured(network, places) as found:
        found["out_embedding"] = network(case.tensor("in_wav")[None])
    for name in ("out_conv_every8", "out_position_every8"):
        found[name] = found[name].transpose(1, 2)
    found["out_aggregated_every8"] = found["out_aggregated_every8"].relu()
    sums = found["out_layer1_every8"]
    for place, inner in ((2, found["out_layer2_se_every8"]), (3, found.pop("layer3")), (4, found.pop("layer4"))):
        found[f"out_layer{place}_every8"] = sums = sums + inner
    found |= {
        "out_wave_every16": wave,
        "out_weighted_every8": weighted,
        "out_instance_norm_every8": instance_norm(weighted),
    }
    single = {name: value[0] for name, value in found.items()}
    return {**single, "out_hidden_every32": torch.cat(states)}
