"""The port of kNN-VC without WavLM: vocoder, matching, loudness, silence trim, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured
from vceval.conformance.vocoders import generator

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KnnVcPort"]


class KnnVcPort(Port):
    """The generator on WavLM features, what the matcher makes of made-up features, and the references' trim."""

    def __init__(self) -> None:
        self._settings: Mapping[str, Any] = {}

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the generator with the kit's sizes."""
        self._settings = config
        return generator(config, config["hifi_dim"], config["hubert_dim"])

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        from vceval.networks.knnvc import match, stretched
        from vceval.signal.loudness_torchaudio import levelled
        from vceval.signal.vad import Detector, trim_ends

        settings, rate = self._settings["matching"], self._settings["sampling_rate"]
        if case.kind == "features":
            detector = Detector(trigger_level=settings["vad_trigger_level_reference"], flavour="torchaudio")
            return {"out_wav_vad": trim_ends(case.inputs["in_wav_16000"], rate, detector)[None]}
        if "in_features" in case.inputs:
            names = {
                "out_lin_pre": "lin_pre",
                "out_conv_pre_first64ch": "conv_pre",
                "out_ups0_first16ch": "ups.0",
                "out_pretanh": "conv_post",
            }
            with captured(network, names) as stages:
                audio = network(case.tensor("in_features"))
            stages["out_conv_pre_first64ch"] = stages["out_conv_pre_first64ch"][:, :64]
            stages["out_ups0_first16ch"] = stages["out_ups0_first16ch"][:, :16]
            return {**stages, "out_audio": audio[:, 0]}
        query, pool = case.tensor("in_query"), case.tensor("in_set")
        if "in_target_duration" in case.inputs:
            longer = stretched(query, float(case.inputs["in_target_duration"]))
            return {"out_duration_matched": match(longer, pool, settings["topk"]).features}
        found = match(query, pool, settings["topk"])
        raw = network(found.features[None])[0, 0].numpy()
        return {
            "out_distances": found.distances,
            "out_indices": found.indices,
            "out_matched": found.features,
            "out_match_audio_raw": raw,
            "out_match_audio": levelled(raw, rate, settings["target_loudness_db"]),
        }
