"""The port of FragmentVC, for its kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vceval.conformance.base import Case, Port, captured

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FragmentVcPort"]

_FRAMES_FIRST = ("unet_extractor1", "unet_extractor2", "unet_extractor3", "smoothers", "mel_linear")
_OTHERS = ("unet_prenet", "unet_conv1", "unet_conv2", "unet_conv3", "post_net")


class FragmentVcPort(Port):
    """Prenet, convolutions, extractors, smoothers, mel before and after its net; a padded batch; level, trims, mel."""

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network."""
        from vceval.networks.fragmentvc import FragmentVc

        return FragmentVc(
            d=config["d_model"],
            source_dim=config["source_dim"],
            heads=config["extractor_heads"],
            hidden=config["extractor_hidden"],
            smoothers=config["smoothers"],
            channels=config["post_net_channels"],
            kernel=config["post_net_kernel"],
            layers=config["post_net_layers"],
        )

    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case."""
        if case.kind == "features":
            return _features(case)
        if "in_batch_src" in case.inputs:
            return _padded(network, case)
        places = {f"out_st_{name}": name.replace("unet_", "unet.") for name in (*_FRAMES_FIRST, *_OTHERS)}
        with captured(network, places) as stages:
            mel, tables = network(case.tensor("in_src_feat"), case.tensor("in_ref_logmel_B80R"))
        for name in _FRAMES_FIRST:
            stages[f"out_st_{name}"] = stages[f"out_st_{name}"].transpose(0, 1)
        stages["out_logmel_B80L"] = mel
        stages.update({f"out_attn{place}": table for place, table in enumerate(tables, 1)})
        return stages


def _padded(network: nn.Module, case: Case) -> dict[str, Any]:
    source, target = case.tensor("in_batch_src"), case.tensor("in_batch_ref")
    padding, target_padding = (case.tensor(f"in_batch_{name}_mask").bool() for name in ("src", "ref"))
    frames, target_frames = int((~padding[1]).sum()), int((~target_padding[1]).sum())
    return {
        "out_batch": network(source, target, padding, target_padding)[0],
        "out_batch_item1_alone": network(source[1:2, :frames], target[1:2, :, :target_frames])[0],
    }


def _features(case: Case) -> dict[str, Any]:
    from vceval.networks import fragmentvc_features as front

    samples = front.scaled(case.inputs["in_wav_16000"])
    heard = front.trimmed(samples)
    stages = {
        "out_wav_peaknorm": samples,
        "out_wav_after_sox_vad": heard,
        "out_wav_after_librosa_trim": front.trimmed_by_level(samples),
    }
    # Spectra where they are stored only: the detector may leave too little for one
    spectra = {"out_logmel_no_trim": samples, "out_logmel_after_sox_vad": heard}
    return stages | {name: front.log_mel(given) for name, given in spectra.items() if name in case.wanted}
