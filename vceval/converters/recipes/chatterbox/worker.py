"""Chatterbox's voice conversion by the package chatterbox-light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: Tables that the network computes, which a file may leave out.
_COMPUTED = ("_mel_filters", "window", "rand_noise", ".pe", "freqs_cis")


def load(job: Job) -> Convert:
    """Load S3Gen, strictly: the package itself takes a file with any tensors, and converts with random weights."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.vc import ChatterboxVC

    network = S3Gen()
    stored = job.tensors(job.files["model"])
    job.compare(network.state_dict(), stored, job.files["model"], _COMPUTED)
    network.load_state_dict(stored, strict=False)
    network.to(job.device).eval()
    job.count("S3Gen", network)
    system = ChatterboxVC(network, job.device)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        return system.generate(source, target_voice_path=prompts[0]), system.sr

    return convert


def make_up(job: Job) -> None:
    """Write what the package's own constructor draws."""
    from chatterbox.models.s3gen import S3Gen
    from safetensors.torch import save_file

    tensors = {name: value.contiguous().clone() for name, value in S3Gen().state_dict().items()}
    save_file(tensors, str(job.files["model"]))
