"""The port of Parallel WaveGAN's generator, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured
from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ParallelWaveGanPort"]

#: Samples that are stored of long stages.
_HEAD = 400


class ParallelWaveGanPort(Port):
    """Conditioning before and after upsampling, two blocks, the sum of skips, the waveform."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network.

        Raises:
            UsageError: the configuration is of another kind than the published one.
        """
        from vceval.networks.parallel_wavegan import ParallelWaveGan

        if config["upsample_net"] != "ConvInUpsampleNetwork" or not config["use_weight_norm"]:
            raise UsageError("only networks with ConvInUpsampleNetwork and weight norm are supported")
        return ParallelWaveGan(
            bands=config["aux_channels"],
            context=config["aux_context_window"],
            scales=config["upsample_params"]["upsample_scales"],
            layers=config["layers"],
            stacks=config["stacks"],
            kernel=config["kernel_size"],
            residual=config["residual_channels"],
            gate=config["gate_channels"],
            skip=config["skip_channels"],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        vocoder: Any = network
        mel, noise = case.tensor("in_mel").T[None], case.tensor("in_noise").T[None]
        heads = {
            "out_cond_up_head": "upsample_net",
            "out_res0_head": "conv_layers.0",
            "out_res9_head": "conv_layers.9",
        }
        skip = {"out_skip0_head": "conv_layers.0"}
        with (
            captured(network, {"out_cond_in": "upsample_net.conv_in"}) as found,
            captured(network, heads, lambda output: _head(output[0] if isinstance(output, tuple) else output)) as first,
            captured(network, skip, lambda output: _head(output[1])) as skipped,
        ):
            total = vocoder.skips(noise, vocoder.upsample_net(mel))
        samples = vocoder.last_conv_layers(total)
        return {**found, **first, **skipped, "out_skips_head": _head(total), "out_wav": samples[0].T}


def _head(output: Any) -> Any:
    return output[..., :_HEAD]
