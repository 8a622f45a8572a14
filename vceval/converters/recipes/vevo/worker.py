"""Vevo-Timbre from a clone of Amphion, by its documented call ``inference_fm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job


def load(job: Job) -> Convert:
    """Load the pipeline; its loader takes files that lack tensors, so the networks' parameters are checked."""
    import torch

    # torchaudio fetches HuBERT unless it lies where it would put it
    job.hub_file("hubert", "hubert_fairseq_large_ll60k.pth")
    # The settings name a file as if the clone were the present folder
    (job.scratch / "models").symlink_to(job.checkout / "models")
    from models.vc.vevo.vevo_utils import VevoInferencePipeline

    settings = job.checkout / "models" / "vc" / "vevo" / "config"
    system = VevoInferencePipeline(
        content_style_tokenizer_ckpt_path=str(job.files["tokenizer"].parent),
        fmt_cfg_path=str(settings / "Vq8192ToMels.json"), fmt_ckpt_path=str(job.files["model"].parent),
        vocoder_cfg_path=str(settings / "Vocoder.json"), vocoder_ckpt_path=str(job.files["vocoder"].parent),
        device=torch.device(job.device),
    )  # fmt: skip
    networks = {
        "tokenizer": system.content_style_tokenizer, "model": system.fmt_model, "vocoder": system.vocoder_model,
    }  # fmt: skip
    for use, network in networks.items():
        tables = dict(network.named_buffers())
        stored = {name: value for name, value in job.tensors(job.files[use]).items() if name not in tables}
        job.compare(dict(network.named_parameters()), stored, job.files[use])
        job.count(use, network)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        made = system.inference_fm(
            src_wav_path=source, timbre_ref_wav_path=prompts[0], flow_matching_steps=job.options["steps"]
        )
        return made, system.vocoder_cfg.preprocess.sample_rate

    return convert
