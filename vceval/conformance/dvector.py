"""The port of yistLin's d-vector network, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DvectorPort"]


class DvectorPort(Port):
    """LSTM, pooling weights, utterance vectors; log-mel with and without the level and silence steps."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks import dvector

        return dvector.modules()

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        import numpy as np

        from vceval.networks import dvector_features
        from vceval.networks.dvector import Dvector

        if case.kind == "features":
            if "in_wav_16000" in case.inputs:
                return {
                    "out_logmel_no_sox": dvector_features.log_mel(case.inputs["in_wav_16000"]),
                    "out_mel_fb_201x40": dvector_features.mel_filters(),
                }
            steps: dict[str, Any] = {}
            for name, samples in case.inputs.items():
                steps.update(_front_end(name.removeprefix("in_"), samples))
            return steps
        encoder = Dvector(network.state_dict())
        if "in_batch" in case.inputs:
            stages = encoder.stages(case.inputs["in_batch"])
            return {
                "out_lstm_every8": stages.hidden[:, ::8],
                "out_attn_weights": stages.weights,
                "out_forward": stages.vectors,
            }
        names = [name.removeprefix("in_") for name in case.inputs]
        vectors = dict(zip(names, encoder.embed(list(case.inputs.values())), strict=True))
        found = {f"out_emb_{name}": vector for name, vector in vectors.items()}
        if {"long", "short"} <= set(names):
            both = vectors["long"] + vectors["short"]
            found["out_emb_utterances_long_short"] = both / np.linalg.norm(both)
            found["out_cosine_long_short"] = np.array([vectors["long"] @ vectors["short"]])
        return found


def _front_end(name: str, samples: Any) -> dict[str, Any]:
    """Run the front end on an input called by its channels and rate, ``stereo_24000``, (n,) or (channels, n)."""
    from vceval.networks import dvector_features as front_end

    rate = int(name.rsplit("_", 1)[1])
    moved = front_end.resampled(samples.mean(axis=0) if samples.ndim == 2 else samples, rate)
    level = front_end.levelled(moved)
    speech = front_end.cut_silence(level)
    return {
        f"out_{name}_rate": moved,
        f"out_{name}_norm": level,
        f"out_{name}_sox": speech,
        f"out_{name}_logmel": front_end.log_mel(speech),
    }
