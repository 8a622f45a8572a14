"""OpenVoice by the library coqui-tts, which also runs FreeVC-24 and YourTTS: a second opinion on vceval's own networks.

Audio is read by the library itself, as its users have it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.converters.recipes.skeleton import Convert, Job

#: What OpenVoice version 2 is made of, for weights that are made up.
_DATA = {"sampling_rate": 22_050, "filter_length": 1024, "hop_length": 256, "win_length": 1024}
_SIZES = {
    "zero_g": True, "inter_channels": 192, "hidden_channels": 192, "filter_channels": 768, "n_heads": 2,
    "n_layers": 6, "kernel_size": 3, "p_dropout": 0.1, "resblock": "1", "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "upsample_rates": [8, 8, 2, 2],
    "upsample_initial_channel": 512, "upsample_kernel_sizes": [16, 16, 4, 4], "gin_channels": 256,
}  # fmt: skip


def load(job: Job) -> Convert:
    """Load a model."""
    network, voices, rate = {"openvoice_v2": openvoice, "freevc24": freevc, "your_tts": your_tts}[job.model](job)
    job.count(Path(job.files["checkpoint"]).name, network)

    def convert(source: str, prompts: list[str], _: dict[str, Any]) -> tuple[Any, int]:
        return voices(source, prompts), rate

    return convert


def make_up(job: Job) -> None:
    """Write weights of OpenVoice's shapes, and its configuration."""
    import torch

    job.files["config"].write_text(json.dumps({"_version_": "v2", "data": _DATA, "model": _SIZES}))
    network, _ = built(job)
    tensors = network.state_dict()
    tensors["enc_q.proj.weight"] *= 0.3  # else exp(log deviation) explodes
    torch.save({"model": tensors}, job.files["checkpoint"])


def built(job: Job) -> tuple[Any, int]:
    """Build OpenVoice: its sizes are taken from its configuration, as its authors' code does."""
    from TTS.vc.configs.openvoice_config import OpenVoiceArgs, OpenVoiceAudioConfig, OpenVoiceConfig
    from TTS.vc.models.openvoice import OpenVoice

    settings = json.loads(job.files["config"].read_text(encoding="utf-8"))
    data, sizes = settings["data"], {"zero_g": False, **settings.get("model", {})}
    known = set(OpenVoiceArgs().keys())
    config = OpenVoiceConfig(
        model_args=OpenVoiceArgs(**{key: value for key, value in sizes.items() if key in known}),
        audio=OpenVoiceAudioConfig(
            input_sample_rate=data["sampling_rate"],
            output_sample_rate=data["sampling_rate"],
            fft_size=data["filter_length"],
            hop_length=data["hop_length"],
            win_length=data["win_length"],
        ),
    )
    return OpenVoice(config), config.audio.output_sample_rate


def openvoice(job: Job) -> tuple[Any, Any, int]:
    """OpenVoice from its authors' file."""
    network, rate = built(job)
    network.load_state_dict(job.tensors(job.files["checkpoint"], ["model"]), strict=True)
    network.to(job.device).eval()
    return network, network.voice_conversion, rate


def freevc(job: Job) -> tuple[Any, Any, int]:
    """FreeVC-24 from its authors' files: the library's own class, kept from fetching the two encoders."""
    import TTS.vc.models.freevc as library
    from TTS.vc.configs.freevc_config import FreeVCArgs, FreeVCAudioConfig, FreeVCConfig
    from TTS.vc.layers.freevc.speaker_encoder.speaker_encoder import SpeakerEncoder
    from TTS.vc.layers.freevc.wavlm.wavlm import WavLM, WavLMConfig

    files = {use: str(place) for use, place in job.files.items()}

    def wavlm(*_: Any, **__: Any) -> Any:
        import torch

        stored = torch.load(files["wavlm"], map_location="cpu", weights_only=True)
        network = WavLM(WavLMConfig(stored["cfg"]))
        network.load_state_dict(stored["model"])
        return network.eval()

    class Local(library.FreeVC):  # type: ignore[misc]
        def load_pretrained_speaker_encoder(self) -> None:
            self.enc_spk_ex = SpeakerEncoder(files["speaker"])

    library.get_wavlm = wavlm
    config = FreeVCConfig(
        model_args=FreeVCArgs(use_spk=True, upsample_rates=[10, 6, 4, 2], segment_size=27), audio=FreeVCAudioConfig()
    )
    network = Local(config)
    stored = job.tensors(job.files["checkpoint"], ["model"])
    # Where the file holds the generator alone, both encoders come from files of their own
    job.compare(network.state_dict(), stored, job.files["checkpoint"], optional=("enc_spk_ex.", "wavlm."))
    network.load_state_dict(stored, strict=False)
    network.to(job.device).eval()
    return network, network.voice_conversion, 24_000


def explicit(config: str, folder: str) -> str:
    """Write a configuration that says whether silence is trimmed, and give its path.

    This library trims where ``do_trim_silence`` is missing; others of the same models do not, nor does vceval.
    """
    settings = json.loads(Path(config).read_text(encoding="utf-8"))
    settings.setdefault("audio", {}).setdefault("do_trim_silence", False)
    place = Path(folder) / Path(config).name
    place.write_text(json.dumps(settings), encoding="utf-8")
    return str(place)


def your_tts(job: Job) -> tuple[Any, Any, int]:
    """YourTTS: the groups of the published model that convert voices, and its speaker encoder."""
    from TTS.config import load_config
    from TTS.tts.models.vits import Vits

    files = {use: str(place) for use, place in job.files.items()}
    groups = ("posterior_encoder.", "flow.", "waveform_decoder.")
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(explicit(files["config"], folder))
        # With fewer than two speakers in the table the library takes numbers for vectors; it takes none from it here
        table = Path(folder) / "speakers.json"
        table.write_text(json.dumps({name: {"name": name, "embedding": [0.0] * 512} for name in ("one", "two")}))
        config.model_args.update(
            {
                "use_speaker_embedding": False,
                "use_d_vector_file": True,
                "d_vector_file": [str(table)],
                "d_vector_dim": 512,
                "speaker_encoder_model_path": files["encoder"],
                "speaker_encoder_config_path": explicit(files["encoder_config"], folder),
                "use_speaker_encoder_as_loss": False,
                "use_language_embedding": False,
                "init_discriminator": False,
            }
        )
        network = Vits.init_from_config(config)
    everything = job.tensors(job.files["checkpoint"], ["model"])
    stored = {name: value for name, value in everything.items() if name.startswith(groups)}
    wanted = {name: value for name, value in network.state_dict().items() if name.startswith(groups)}
    job.compare(wanted, stored, job.files["checkpoint"])
    network.load_state_dict(stored, strict=False)
    network.to(job.device).eval()
    network.speaker_manager.use_cuda = job.device == "cuda"
    return network, network.voice_conversion, 16_000
