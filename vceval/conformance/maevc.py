"""The port of MAE-VC, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MaeVcPort"]


class MaeVcPort(Port):
    """The converter from mel to mel with the inside of its blocks, and its two front ends."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network; the published file is the only one, and so are its sizes."""
        from vceval.networks.maevc import maevc

        return maevc()

    def run(self, network: Any, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        from vceval.converters.maevc import TRIM_DB
        from vceval.networks.hifigan_features import from_unit, levelled, log_mel, to_unit
        from vceval.signal.spectral import trim

        if case.kind == "features":
            wave = case.inputs["in_wav_22050_tgt"]
            start, end = trim(wave, TRIM_DB)
            return {
                "out_mel01_src": to_unit(log_mel(levelled(case.inputs["in_wav_22050_src"]))),
                "out_trim_index_tgt": [start, end],
                "out_mel01_tgt_after_trim": to_unit(log_mel(levelled(wave[start:end]))),
            }
        target = case.tensor("in_tgt_mel01")
        if "in_src_mel01_odd" in case.inputs:
            return {"out_mel01_raw_odd": network(case.tensor("in_src_mel01_odd"), target)}
        content, speaker = network.content(case.tensor("in_src_mel01")), network.speaker(target)
        found = {
            "out_common_src": content,
            "out_common_tgt": network.content(target),
            "out_spk_emb": speaker,
        }
        for number, block in enumerate(network.blocks, 1):
            stages = block.stages(content, speaker)
            content = stages["output"]
            found.update(
                {
                    f"out_modu{number}_handler": stages["handler"],
                    f"out_modu{number}_masked": stages["masked"],
                    f"out_modu{number}_adain": stages["adain"],
                    f"out_score{number}": stages["score"],
                    f"out_mask{number}": stages["mask"],
                    f"out_lat{number}": content,
                }
            )
        raw = network.ge(content)
        return {
            **found,
            "out_mel01_raw": raw,
            "out_mel01_clamped": raw.clamp(0.0, 1.0),
            "out_logmel_B80L": from_unit(raw.numpy()).transpose(0, 2, 1),
        }
