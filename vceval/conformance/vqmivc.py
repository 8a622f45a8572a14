"""The port of VQMIVC, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["VqmiVcPort"]

#: Steps that are stored of long stages.
_CONTENT_HEAD, _DECODER_HEAD = 16, 32


class VqmiVcPort(Port):
    """Content before and after the codebook, speaker vector, the decoder's layers; mel spectrum and pitch."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the three networks."""
        from vceval.networks.adainvc import SpeakerEncoder, encoder_sizes
        from vceval.networks.vqmivc import ContentEncoder, Decoder, VqmiVc

        bands, speaker, decoder = config["in_channels"], config["spk"], config["decoder"]
        return VqmiVc(
            ContentEncoder(bands, config["channels"], config["n_embeddings"], config["z_dim"], config["c_dim"]),
            SpeakerEncoder(**encoder_sizes(speaker), dense=speaker["n_dense_blocks"]),
            Decoder(decoder["dim_neck"], decoder["dim_lf0"], decoder["dim_emb"], decoder["dim_pre"], bands),
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        return _features(case) if case.kind == "features" else _conversion(network, case)


def _features(case: Case) -> Mapping[str, Any]:
    from vceval.networks.vqmivc_features import levelled, log_mel, normalised, pitch

    wave = levelled(case.inputs["in_wav"])
    raw = log_mel(wave)
    found = pitch(wave, len(raw))
    return {
        "out_mel_raw_log10": raw,
        "out_mel": normalised(raw, case.inputs["in_mel_mean"], case.inputs["in_mel_std"]),
        "out_f0": found.f0,
        "out_lf0": found.log_f0,
    }


def _conversion(network: Any, case: Case) -> Mapping[str, Any]:
    source, reference = case.tensor("in_src_mel"), case.tensor("in_ref_mel")
    whole = {
        "out_z_before_vq": "encoder.encoder",
        "out_spk_emb": "encoder_spk",
        "out_mel_before_postnet": "decoder.decoder",
    }
    recurrent = {"out_dec_lstm1_head": "decoder.decoder.lstm1", "out_dec_lstm2_head": "decoder.decoder.lstm2"}
    conv, first, residual = "encoder.conv", "decoder.decoder.convolutions.0", "decoder.postnet"
    with (
        captured(network, whole) as found,
        captured(network, {"codes": "encoder.codebook"}, lambda output: output) as quantised,
        captured(network, {"out_enc_conv_head": conv}, lambda output: output[..., :_CONTENT_HEAD]) as content,
        captured(network, recurrent, lambda output: output[0][:, :_DECODER_HEAD]) as steps,
        captured(network, {"out_dec_conv0_head": first}, lambda output: output[..., :_DECODER_HEAD]) as filtered,
        captured(network, {"out_postnet_residual": residual}, lambda output: output.transpose(1, 2)) as added,
    ):
        mel = network(source, case.tensor("in_src_lf0"), reference)
    codes = quantised["codes"]
    return {
        **found,
        **content,
        **steps,
        **filtered,
        **added,
        "out_indices": codes.indices,
        "out_z": codes.vectors,
        "out_vq_margin": codes.margins[0],
        "out_mel": mel,
    }
