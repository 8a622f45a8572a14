"""The port of CAM++, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CamPlusPlusPort"]


class CamPlusPlusPort(Port):
    """Every part of the network, embeddings of single recordings and of batches, and the filterbank."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network; the published sizes are the only ones."""
        from vceval.networks.campplus import CamPlusPlus

        return CamPlusPlus()

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            return _features(case)
        if "in_fbank" in case.inputs:
            return _stages(network, case)
        if "in_batch" in case.inputs:
            return {"out_embedding_batch": network(case.tensor("in_batch"))}
        found = {name.replace("in_fbank", "out_embedding"): network(case.tensor(name)[None])[0] for name in case.inputs}
        import torch

        *_, first, second = found.values()
        return {**found, "out_cosine_last_two": torch.cosine_similarity(first, second, dim=0)[None]}


def _stages(network: nn.Module, case: Case) -> Mapping[str, Any]:
    places = {
        "out_fcm_first_every16": "head.bn1",
        "out_fcm_layer1_every16": "head.layer1.1",
        "out_fcm_layer2_every16": "head.layer2.1",
        "out_fcm_every4": "head",
        "out_tdnn_every2": "xvector.tdnn.nonlinear",
        "out_block1_layer1_mask": "xvector.block1.tdnnd1.cam_layer.gate",
        "out_block1_layer1": "xvector.block1.tdnnd1",
        "out_block3_layer16_mask": "xvector.block3.tdnnd16.cam_layer.gate",
        "out_nonlinear_every8": "xvector.out_nonlinear",
        **{f"out_block{place}_every8": f"xvector.block{place}" for place in (1, 2, 3)},
        **{f"out_transit{place}_every8": f"xvector.transit{place}.linear" for place in (1, 2, 3)},
    }
    from vceval.networks.campplus import pooled

    with captured(network, places) as found:
        found["out_embedding"] = network(case.tensor("in_fbank")[None])
    for name in ("out_fcm_first_every16", "out_tdnn_every2", "out_nonlinear_every8"):
        found[name] = found[name].relu()  # the function after the norm is no module
    found["out_stats"] = pooled(found["out_nonlinear_every8"], None)
    return {name: value[0] for name, value in found.items()}


def _features(case: Case) -> Mapping[str, Any]:
    from vceval.networks import campplus_features as front_end

    found: dict[str, Any] = {"out_mel_fb_80x257": front_end.mel_filters(), "out_window": front_end.povey()}
    for name, samples in case.inputs.items():
        ending = name.removeprefix("in_wav").removesuffix("_16000")
        found[f"out_fbank_raw{ending}"] = front_end.filter_bank(samples)
        found[f"out_fbank{ending}"] = front_end.frames(samples)
    return found
