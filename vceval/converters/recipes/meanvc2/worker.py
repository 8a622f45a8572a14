"""MeanVC2 from a clone of its repository, by what its documented program ``infer_e2e.py`` calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: Frames of 10 ms in a chunk, by model.
_CHUNKS = {"120ms": 12, "40ms": 4}
#: Frames between two steps of the recogniser, as the program takes it for both models.
_STRIDE = 8
_RATE = 16_000


def load(job: Job) -> Convert:
    """Load the networks, strictly: the program takes files that lack tensors. Two are TorchScript, with their code."""
    import infer_e2e
    import torch
    from runtime.src.speaker import init_speaker_model

    config = job.checkout / "src" / "config" / f"config_{job.model}_40ms.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    network = infer_e2e.DiT(**settings["model"]).to(job.device)
    stored = {name.removeprefix("ema_model."): value for name, value in job.tensors(job.files["model"]).items()}
    job.compare(network.state_dict(), stored, job.files["model"], ("initted", "step"))
    path = str(job.files["model"])
    network = infer_e2e.load_checkpoint(network, path, device=job.device, use_ema=True).float().eval()
    job.count("DiT", network)
    # infer_e2e.py itself fetches the code of s3prl and 1.2 GB of WavLM; this is what the repository does in real time
    speaker = init_speaker_model(str(job.files["speaker"]), job.device, wavlm_config=str(job.files["speaker_config"]))
    encoder = job.tensors(job.files["speaker"], ("model",))
    job.compare(speaker.state_dict(), encoder, job.files["speaker"], ("loss_calculator.",))
    job.count("speaker encoder", speaker)
    recogniser = infer_e2e.load_asr_model(str(job.files["recogniser"]), "cpu")
    vocoder = torch.jit.load(str(job.files["vocoder"])).to(job.device)  # type: ignore[no-untyped-call]

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        heard = infer_e2e.extract_bn(whole(job, source, "source"), recogniser, _STRIDE)
        voice = infer_e2e.extract_spk_emb(whole(job, prompts[0], "prompt"), speaker, job.device)
        steps, chunk = job.options["steps"], _CHUNKS[job.model]
        return infer_e2e.vc_inference(network, vocoder, heard, voice, chunk, steps, job.device)[1], _RATE

    return convert


def whole(job: Job, path: str, name: str) -> str:
    """Write a recording in whole numbers: the program reads them so, and of a file in fractions would read zeros."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32")
    place = job.scratch / f"{name}.wav"
    soundfile.write(place, samples, rate, subtype="PCM_16")
    return str(place)
