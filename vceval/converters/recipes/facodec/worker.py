"""FACodec version 2 from a clone of Amphion: content and prosody of the source, timbre of the prompt."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

_RATE = 16_000
#: Samples of a frame: other lengths end in an error.
_HOP = 200
#: Sizes of the published files.
_ENCODER = {"ngf": 32, "up_ratios": [2, 4, 5, 5], "out_channels": 256}
_DECODER = {
    "in_channels": 256, "upsample_initial_channel": 1024, "ngf": 32, "up_ratios": [5, 5, 4, 2], "vq_num_q_c": 2,
    "vq_num_q_p": 1, "vq_num_q_r": 3, "vq_dim": 256, "codebook_dim": 8, "codebook_size_prosody": 10,
    "codebook_size_content": 10, "codebook_size_residual": 10, "use_gr_x_timbre": True, "use_gr_residual_f0": True,
    "use_gr_residual_phone": True,
}  # fmt: skip


def built() -> tuple[Any, Any]:
    """Build both networks."""
    # The clone imports it beside what is used here
    sys.modules.setdefault("pyworld", types.ModuleType("pyworld"))
    from models.codec.ns3_codec import FACodecDecoderV2, FACodecEncoderV2

    return FACodecEncoderV2(**_ENCODER), FACodecDecoderV2(**_DECODER)


def load(job: Job) -> Convert:
    """Load both networks, strictly."""
    encoder, decoder = built()
    for name, network in (("encoder", encoder), ("decoder", decoder)):
        stored = job.tensors(job.files[name])
        job.compare(network.state_dict(), stored, job.files[name])
        network.load_state_dict(stored)
        network.to(job.device).eval()
        job.count(name, network)

    def heard(path: str) -> Any:
        import librosa
        import torch

        samples = torch.from_numpy(librosa.load(path, sr=_RATE)[0])
        missing = -len(samples) % _HOP
        return torch.nn.functional.pad(samples, (0, missing))[None, None].to(job.device), len(samples)

    def coded(wave: Any) -> Any:
        return decoder(encoder(wave), encoder.get_prosody_feature(wave), eval_vq=False, vq=True)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        wave, length = heard(source)
        codes = coded(wave)[1]
        speaker = coded(heard(prompts[0])[0])[4]
        made = decoder.inference(decoder.vq2emb(codes, use_residual=False), speaker)
        return made.reshape(-1)[:length], _RATE

    return convert


def make_up(job: Job) -> None:
    """Write what the constructors draw."""
    import torch

    for name, network in zip(("encoder", "decoder"), built(), strict=True):
        torch.save(network.state_dict(), job.files[name])
