"""The worker behind the converter ``openvoice``: runs the library coqui-tts in an environment of its own.

Started as a program, never imported by vceval, and it imports nothing of vceval: its environment has none. Its one
argument is a JSON object: ``model`` (openvoice_v2, freevc24 or your_tts) and ``files`` (what a file is for, and where
it lies). Then it speaks the protocol of the converter ``command``: a JSON line a pair. The networks are loaded at the
first pair; if that fails, every pair is answered with the reason. Audio is read by the library itself, as its users
have it.

Nothing is fetched: the libraries are told to stay offline, and connections are refused.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

#: Makes audio of a source and prompts, and says its sample rate.
Convert = Callable[[str, list[str]], tuple[Any, int]]


def main() -> int:
    """Answer requests until the input ends."""
    asked = json.loads(sys.argv[1])
    # Libraries print to standard output, which belongs to the protocol
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stay_offline()
    convert: Convert | None = None
    report: dict[str, Any] = {}
    broken = ""
    for line in sys.stdin:
        task = json.loads(line)
        answer = {"id": task["id"]}
        if convert is None and not broken:
            try:
                convert, report = load(asked["model"], asked["files"])
            except Exception as error:  # told with every pair, and not tried again
                broken = f"{asked['model']} can't be loaded: {said(error)}"
        if convert is None:
            answer["error"] = broken
        else:
            answer["report"] = report
            try:
                write(convert, task)
            except Exception as error:  # whatever the library throws costs this pair
                answer["error"] = said(error)
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def stay_offline() -> None:
    """Forbid downloads: by the variables that the libraries heed, and by refusing connections to the rest."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRAINER_TELEMETRY="0")

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("the library wants to fetch something; that is not allowed here")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


def said(error: Exception) -> str:
    """Put an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def write(convert: Convert, task: dict[str, Any]) -> None:
    """Convert one pair, with its seed, into its file."""
    import numpy as np
    import soundfile
    import torch

    torch.manual_seed(task["seed"])
    with torch.inference_mode():
        samples, rate = convert(task["source"], task["prompts"])
    soundfile.write(task["output"], np.asarray(samples, dtype=np.float32).reshape(-1), rate, subtype="FLOAT")


def load(model: str, files: dict[str, str]) -> tuple[Convert, dict[str, Any]]:
    """Load a model on the device that vceval names, or on the CPU where this environment's torch can't use that.

    Returns:
        What converts, and what vceval is told of the network.
    """
    import torch

    torch.set_num_threads(1)
    device = os.environ.get("VCEVAL_DEVICE", "cpu")
    if device.startswith("cuda"):
        if torch.cuda.is_available():
            torch.cuda.set_device(device if ":" in device else 0)
        else:
            print(f"torch {torch.__version__} can't use {device}: converting on the CPU", file=sys.stderr)
            device = "cpu"
    network, convert = {"openvoice_v2": openvoice, "freevc24": freevc, "your_tts": your_tts}[model](files, device)
    report = {
        "parameters": {Path(files["checkpoint"]).name: sum(one.numel() for one in network.parameters())},
        "precision": "float32", "torch": torch.__version__, "threads": torch.get_num_threads(),
        **({"device": torch.cuda.get_device_name()} if device.startswith("cuda") else {}),
    }  # fmt: skip
    return convert, report


def weights(path: str) -> dict[str, Any]:
    """Read tensors by name; nothing in the file is run."""
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    found = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no table of weights")
    return found


def openvoice(files: dict[str, str], device: str) -> tuple[Any, Convert]:
    """OpenVoice: its sizes are taken from its configuration, as its authors' code does."""
    from TTS.vc.configs.openvoice_config import OpenVoiceArgs, OpenVoiceAudioConfig, OpenVoiceConfig
    from TTS.vc.models.openvoice import OpenVoice

    settings = json.loads(Path(files["config"]).read_text(encoding="utf-8"))
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
    network = OpenVoice(config)
    network.load_state_dict(weights(files["checkpoint"]), strict=True)
    network.to(device).eval()
    rate = config.audio.output_sample_rate
    return network, lambda source, prompts: (network.voice_conversion(source, prompts), rate)


def freevc(files: dict[str, str], device: str) -> tuple[Any, Convert]:
    """FreeVC-24 from its authors' files: the library's own class, kept from fetching the two encoders."""
    import TTS.vc.models.freevc as library
    from TTS.vc.configs.freevc_config import FreeVCArgs, FreeVCAudioConfig, FreeVCConfig
    from TTS.vc.layers.freevc.speaker_encoder.speaker_encoder import SpeakerEncoder
    from TTS.vc.layers.freevc.wavlm.wavlm import WavLM, WavLMConfig

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
    missing, unexpected = network.load_state_dict(weights(files["checkpoint"]), strict=False)
    # Where the file holds the generator alone, both encoders come from files of their own
    lacking = [name for name in missing if not name.startswith(("enc_spk_ex.", "wavlm."))]
    if lacking or unexpected:
        raise ValueError(f"{files['checkpoint']}: {len(lacking)} tensors missing, {len(unexpected)} too many")
    network.to(device).eval()
    return network, lambda source, prompts: (network.voice_conversion(source, prompts), 24_000)


def explicit(config: str, folder: str) -> str:
    """Write a configuration that says whether silence is trimmed, and give its path.

    This library trims where ``do_trim_silence`` is missing; others of the same models do not, nor does vceval.
    """
    settings = json.loads(Path(config).read_text(encoding="utf-8"))
    settings.setdefault("audio", {}).setdefault("do_trim_silence", False)
    place = Path(folder) / Path(config).name
    place.write_text(json.dumps(settings), encoding="utf-8")
    return str(place)


def your_tts(files: dict[str, str], device: str) -> tuple[Any, Convert]:
    """YourTTS: the groups of the published model that convert voices, and its speaker encoder."""
    from TTS.config import load_config
    from TTS.tts.models.vits import Vits

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
    stored = {name: value for name, value in weights(files["checkpoint"]).items() if name.startswith(groups)}
    missing, unexpected = network.load_state_dict(stored, strict=False)
    lacking = [name for name in missing if name.startswith(groups)]
    if lacking or unexpected:
        raise ValueError(f"{files['checkpoint']}: {len(lacking)} tensors missing, {len(unexpected)} too many")
    network.to(device).eval()
    network.speaker_manager.use_cuda = device.startswith("cuda")
    return network, lambda source, prompts: (network.voice_conversion(source, prompts).cpu().numpy(), 16_000)


if __name__ == "__main__":
    sys.exit(main())
