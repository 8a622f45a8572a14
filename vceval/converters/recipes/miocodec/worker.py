"""MioCodec from a clone of its repository: content of the source, everything else of the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: What its authors leave out of the file, as only training needs it or WavLM's file has it.
_ELSEWHERE = ("ssl_feature_extractor.", "feature_decoder.", "conv_upsample.")


def load(job: Job) -> Convert:
    """Load the model, strictly: its own loader takes a file with any tensors."""
    # torchaudio fetches WavLM unless it lies where it would put it
    job.hub_file("wavlm", "wavlm_base_plus.pth")
    from miocodec import MioCodecModel, load_audio

    paths = {"config_path": str(job.files["config"]), "weights_path": str(job.files["model"])}
    network = MioCodecModel.from_pretrained(**paths)
    job.compare(dict(network.named_parameters()), job.tensors(job.files["model"]), job.files["model"], _ELSEWHERE)
    network.to(job.device).eval()
    job.count("MioCodec", network)
    job.precision = "bfloat16"
    rate = network.config.sample_rate

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        heard, prompt = (load_audio(path, sample_rate=rate).to(job.device) for path in (source, prompts[0]))
        return network.voice_conversion(heard, prompt).float(), rate

    return convert
