"""CosyVoice 2 from a clone of its repository, by its documented call ``inference_vc``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job


def load(job: Job) -> Convert:
    """Load the folder of the model; flow and vocoder, which alone convert, are checked tensor by tensor."""
    from cosyvoice.cli.cosyvoice import CosyVoice2

    # Building it seeds every generator with 0; each pair is seeded after that
    system = CosyVoice2(str(job.files["settings"].parent))
    for name in ("flow", "hift"):
        network = getattr(system.model, name)
        stored = {key.removeprefix("generator."): value for key, value in job.tensors(job.files[name]).items()}
        job.compare(network.state_dict(), stored, job.files[name], ("rand_noise", "stft_window", ".pe"))
        job.count(name, network)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        import torch

        parts = [part["tts_speech"] for part in system.inference_vc(source, prompts[0], stream=False)]
        return torch.cat(parts, dim=1), system.sample_rate

    return convert
