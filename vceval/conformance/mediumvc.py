"""The ports of MediumVC and of SingleVC, for their kits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MediumVcPort", "SingleVcPort"]

_MEDIUM = {
    "out_st_any2one": "any2one",
    "out_st_cont_encoder_conv_block0": "cont_encoder.conv_block0",
    "out_st_cont_encoder_attention_norm0": "cont_encoder.attention_norm0",
    "out_st_cont_encoder_conv_block1": "cont_encoder.conv_block1",
    "out_st_cont_encoder": "cont_encoder",
    "out_st_generator_pre_block0": "generator.pre_block0",
    "out_st_generator_attention0": "generator.attention0",
    "out_st_generator_pre_block1": "generator.pre_block1",
    "out_st_generator_attention1": "generator.attention1",
    "out_st_generator_smoothers": "generator.smoothers",
    "out_st_generator_post_block": "generator.post_block",
}
_SINGLE = {
    "out_enc_pre_block": "encoder.pre_block",
    "out_enc": "encoder",
    "out_dec_pre_conv": "decoder.pre_conv_block",
    "out_dec_pre_attn": "decoder.pre_attention_block",
    "out_dec_smoothed_LBD": "decoder.smoothers.2",
    "out_dec_post_block": "decoder.post_block",
}


class MediumVcPort(Port):
    """The converter from mel to mel with everything between, and its mel front end."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network; the published file is the only one, and so are its sizes."""
        from vceval.networks.mediumvc import mediumvc

        return mediumvc()

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        from vceval.networks.hifigan_features import from_unit, levelled, log_mel, to_unit
        from vceval.networks.mediumvc import conditioned

        if case.kind == "features":
            mel = log_mel(levelled(case.inputs["in_wav_22050"]))
            return {"out_logmel": mel.T[None], "out_mel01_LxB": to_unit(mel)}
        speaker = case.tensor("in_dvector_maxnorm").reshape(-1, 256)
        with captured(network, _MEDIUM) as stages:
            raw = network(case.tensor("in_mel01"), speaker)
        frames_first = stages["out_st_generator_smoothers"].permute(2, 0, 1)
        return {
            **stages,
            "out_st_generator_smoothers": frames_first,
            "out_cond_sum": conditioned(stages["out_st_cont_encoder"], speaker),
            "out_mel01_raw": raw,
            "out_mel01_clamped": raw.clamp(0.0, 1.0),
            "out_logmel_B80L": from_unit(raw.numpy()).transpose(0, 2, 1),
        }


class SingleVcPort(Port):
    """The converter to one speaker, alone and in a padded batch with its mask."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks.singlevc import singlevc

        return singlevc()

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if "in_batch_mel01" in case.inputs:
            mels, padding = case.tensor("in_batch_mel01"), case.tensor("in_batch_mask").bool()
            alone = mels[1:, : int((~padding[1]).sum())]
            return {"out_batch": network(mels, padding), "out_batch_item1_alone": network(alone)}
        with captured(network, _SINGLE) as stages:
            raw = network(case.tensor("in_mel01"))
        frames_first = stages["out_dec_smoothed_LBD"].permute(2, 0, 1)
        return {**stages, "out_dec_smoothed_LBD": frames_first, "out_mel01_raw": raw}
