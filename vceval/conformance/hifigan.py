"""The port of HiFi-GAN UNIVERSAL_V1, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["HifiGanPort", "generator"]


def generator(config: Mapping[str, Any], channels: int, linear: int = 0) -> nn.Module:
    """Build a generator with the sizes of a configuration as its authors write them."""
    from vceval.networks.hifigan import Generator

    return Generator(
        channels,
        config["upsample_rates"],
        config["upsample_kernel_sizes"],
        initial=config["upsample_initial_channel"],
        block_kernels=config["resblock_kernel_sizes"],
        dilations=config["resblock_dilation_sizes"][0],
        residual=config["resblock"],
        linear=linear,
    )


class HifiGanPort(Port):
    """The generator with its transposed convolutions, and the ln mel of its training."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator with the kit's sizes."""
        return generator(config, config["num_mels"])

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        import numpy as np

        from vceval.networks.hifigan_features import log_mel

        if case.kind == "features":
            return {"out_logmel": log_mel(case.inputs["in_wav_22050"]).T[None]}
        ups = {f"out_ups{step}_first64t": f"ups.{step}" for step in range(4)}
        names = {"out_conv_pre": "conv_pre", **ups, "out_conv_post_pre_tanh": "conv_post"}
        with captured(network, names) as stages:
            wave = network(case.tensor("in_logmel"))
        for name in ups:
            stages[name] = stages[name][..., :64]
        # Upstream cuts towards zero, and wraps where the waveform is exactly 1
        integers = (wave.squeeze().numpy() * 32768.0).astype(np.int32).astype(np.int16)
        return {**stages, "out_wav": wave, "out_wav_int16": integers}
