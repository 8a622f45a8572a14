"""RVC by the package rvc-next: a model for each target speaker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

_RATE = 16_000
#: Samples between two values of pitch.
_HOP = 160
#: Names that versions of torch write in two ways, and what only training needs.
_NAMED_OTHERWISE = ("encoder.pos_conv_embed.conv.", "masked_spec_embed", "final_proj.")
#: A voice of version 2 at 40 kHz.
_VOICE = [
    1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5], [1, 3, 5], [1, 3, 5]], [10, 10, 2, 2], 512,
    [16, 16, 4, 4], 109, 256, 40_000,
]  # fmt: skip


def load(job: Job) -> Convert:
    """Load ContentVec and every voice of the table, strictly: the package takes files that lack tensors."""
    import soundfile
    from rvc_next.engine.audio.resample import resample
    from rvc_next.engine.convert.offline import OfflineConverter
    from rvc_next.engine.convert.params import VoiceParams
    from rvc_next.engine.runtime import Runtime

    runtime = Runtime(job.files["hubert"].parents[1], device=job.device, precision="fp32", max_voices=len(job.speakers))
    hubert = runtime.hubert()
    job.compare(hubert.state_dict(), job.tensors(job.files["hubert"]), job.files["hubert"], _NAMED_OTHERWISE)
    job.count("ContentVec", hubert)
    voices, indices = {}, {}
    for speaker, row in job.speakers.items():
        voice = runtime.voice(row["model"])
        job.compare(voice.net_g.state_dict(), voice.small.weight, voice.path, ("enc_q.",))
        voices[speaker] = voice
        indices[speaker] = runtime.index(row["index"]) if "index" in row else None
    job.count("voice", next(iter(voices.values())).net_g)
    converter = OfflineConverter(runtime)

    def convert(source: str, _: list[str], task: dict[str, Any]) -> tuple[Any, int]:
        samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
        heard = resample(samples.mean(axis=1), rate, _RATE)
        row, speaker = job.speaker(task), str(task["target_speaker"])
        parameters = VoiceParams(
            speaker_id=int(row.get("speaker", 0)), pitch=job.key(task, lambda: pitch(runtime, heard)),
            f0_method=job.options["pitch"], index_rate=job.options["index_rate"], protect=job.options["protect"],
            rms_mix_rate=job.options["rms_mix_rate"],
        )  # fmt: skip
        audio: tuple[Any, int] = converter.convert(heard, voices[speaker], parameters, index=indices[speaker])
        return audio

    return convert


def pitch(runtime: Any, samples: Any) -> Any:
    """Pitch of a recording at 16 kHz in Hz by frame, by Praat's autocorrelation."""
    return runtime.f0("pm").compute(samples.astype("float64"), len(samples) // _HOP)


def make_up(job: Job) -> None:
    """Write ContentVec and voices as their constructors draw them."""
    import torch
    from rvc_next.engine.features.hubert import _model_class
    from rvc_next.engine.models.loader import synthesizer_class
    from transformers import HubertConfig

    config = HubertConfig(classifier_proj_size=256)
    folder = job.files["hubert"].parent
    torch.save(_model_class()(config).state_dict(), job.files["hubert"])
    config.save_pretrained(folder)
    job.files["hubert_input"].write_text(json.dumps({"do_normalize": False, "sampling_rate": _RATE}))
    torch.save({}, job.files["rmvpe"])
    for row in job.speakers.values():
        network = synthesizer_class("v2", True)(*_VOICE, is_half=False)
        kept = {name: value.half() for name, value in network.state_dict().items() if not name.startswith("enc_q.")}
        torch.save(
            {"weight": kept, "config": _VOICE, "info": "made up", "sr": "40k", "f0": 1, "version": "v2"}, row["model"]
        )
