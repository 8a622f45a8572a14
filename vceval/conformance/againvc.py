"""The port of AGAIN-VC, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured
from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AgainVcPort"]


class AgainVcPort(Port):
    """Codes and statistics of both utterances, the decoder from end to end; trimming and mel spectrum."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network.

        Raises:
            UsageError: the configuration is of another kind than the published one.
        """
        from vceval.networks.againvc import AgainVc, Decoder, Encoder

        encoder, decoder, guidance = (config[f"{name}_params"] for name in ("encoder", "decoder", "activation"))
        if {*encoder["subsample"], *decoder["upsample"]} != {1} or guidance["act"] != "sigmoid":
            raise UsageError("only networks that keep the number of frames and have a sigmoid are supported")
        return AgainVc(
            Encoder(encoder["c_in"], encoder["c_h"], encoder["c_out"], encoder["n_conv_blocks"]),
            Decoder(decoder["c_in"], decoder["c_h"], decoder["c_out"], decoder["n_conv_blocks"]),
            guidance["params"]["alpha"],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        return _features(case) if case.kind == "features" else _conversion(network, case)


def _features(case: Case) -> Mapping[str, Any]:
    import numpy as np

    from vceval.networks.againvc_features import againvc_mel, trimmed

    wave = case.inputs["in_wav"]
    kept, place = trimmed(wave, "zeros")
    return {
        "out_trim_index": np.array(place),
        "out_trim_index_reflect_rms": np.array(trimmed(wave, "reflect")[1]),
        "out_wav_trimmed": kept,
        "out_mel": againvc_mel(kept),
    }


def _conversion(network: Any, case: Case) -> Mapping[str, Any]:
    source, target = case.tensor("in_src"), case.tensor("in_tgt")
    with captured(network, {"out_enc_src": "encoder"}) as of_source:
        content = network.content(source)
    with captured(network, {"out_enc_tgt": "encoder"}) as of_target:
        voice = network.voice(target)
    stages = {
        "out_dec_in": "decoder.in_layer",
        "out_dec_block0": "decoder.conv_blocks.0",
        "out_dec_block5": "decoder.conv_blocks.5",
        "out_rnn": "decoder.rnn",
        "out_dec_padded": "decoder",
    }
    with captured(network, stages) as found:
        converted = network(source, target)
    frames = found["out_rnn"]
    return {
        **of_source,
        **of_target,
        **found,
        "out_act_src": network.guide(of_source["out_enc_src"]),
        "out_act_tgt": network.guide(of_target["out_enc_tgt"]),
        "out_tgt_means": voice.means[0],
        "out_tgt_stds": voice.deviations[0],
        "out_content_normed": content,
        "out_rnn": frames.reshape(len(content), -1, frames.shape[-1]),
        "out_dec": converted,
    }
