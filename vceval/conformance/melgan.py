"""The port of MelGAN's generator, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MelGanPort"]

#: Steps that are stored of long stages.
_HEAD = 256


class MelGanPort(Port):
    """First convolution, first stage, the end before and after tanh; the vocoder's own mel spectrum."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks.melgan import MelGan

        return MelGan(config["input_size"], config["ngf"], config["n_residual_layers"], config["ratios"])

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            from vceval.networks.againvc_features import melgan_mel

            return {"out_mel": melgan_mel(case.inputs["in_wav"])}
        layers: Any = network.get_submodule("model")
        last = len(layers) - 1
        heads = {"out_after_res1_0": "model.4", "out_after_res1_2_head": "model.6"}
        whole = {"out_after_first_conv": "model.1", "out_after_up1": "model.3", "out_pre_tanh": f"model.{last - 1}"}
        with (
            captured(network, heads, lambda output: output[..., :_HEAD]) as first,
            captured(network, whole) as found,
        ):
            samples = network(case.tensor("in_mel"))
        return {**first, **found, "out_wav": samples}
