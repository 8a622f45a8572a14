"""The files of YourTTS, and the sizes that their configurations must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import UsageError

__all__ = ["ENCODER", "ENCODER_SETTINGS", "FILES", "LICENCE", "MODEL", "SETTINGS", "check_settings"]

MODEL, SETTINGS = "yourtts/model_file.pth", "yourtts/config.json"
ENCODER, ENCODER_SETTINGS = "yourtts/model_se.pth", "yourtts/config_se.json"
_PAGE = (
    "https://github.com/coqui-ai/TTS/releases, tag v0.10.1_models, "
    "in tts_models--multilingual--multi-dataset--your_tts.zip"
)
LICENCE = "CC BY-NC-ND 4.0"
#: What the networks were built for, by the names of the configurations; the model's sizes are in networks.yourtts.
_AUDIO: Mapping[str, Any] = {"sample_rate": 16_000, "fft_size": 1024, "win_length": 1024, "hop_length": 256}
_ENCODER_AUDIO: Mapping[str, Any] = {
    "sample_rate": 16_000,
    "fft_size": 512,
    "win_length": 400,
    "hop_length": 160,
    "preemphasis": 0.97,
    "num_mels": 64,
}
_ENCODER_SIZES: Mapping[str, Any] = {
    "model_name": "resnet",
    "input_dim": 64,
    "use_torch_spec": True,
    "log_input": True,
    "proj_dim": 512,
}
FILES: tuple[WeightFile, ...] = (
    WeightFile(
        name=MODEL,
        holds="YourTTS, the whole multilingual model; the groups that convert voices are used",
        page=_PAGE,
        licence=LICENCE,
        network="vceval.networks.yourtts:network",
        entry=("model",),
        ignored=("text_encoder.", "duration_predictor.", "emb_", "disc.", "speaker_", "audio_transform."),
        also_called=("yourtts/model_file.pth.tar", "yourtts/best_model.pth.tar", "yourtts/best_model.pth"),
        note="speaks from text, too; only its posterior encoder, flow and decoder are loaded",
    ),
    WeightFile(
        name=SETTINGS,
        holds="YourTTS, its configuration",
        page=_PAGE,
        licence=LICENCE,
        form="json",
        settings="vceval.converters.yourtts_files:check_settings",
    ),
    WeightFile(
        name=ENCODER,
        holds="YourTTS, its H/ASP speaker encoder",
        page=_PAGE,
        licence=LICENCE,
        network="vceval.networks.hasp:network",
        entry=("model",),
        ignored=("torch_spec.",),
        also_called=("yourtts/model_se.pth.tar", "yourtts/SE_checkpoint.pth.tar"),
        note="three tensors in it (torch_spec.*) are computed ones, and are computed anew",
    ),
    WeightFile(
        name=ENCODER_SETTINGS,
        holds="YourTTS, the configuration of its speaker encoder",
        page=_PAGE,
        licence=LICENCE,
        form="json",
        settings="vceval.converters.yourtts_files:check_settings",
    ),
)


def check_settings(place: str, name: str, settings: Mapping[str, Any]) -> None:
    """Make sure that a configuration, as far as it says, gives the sizes that are built in.

    Args:
        place: where it lies, for errors.
        name: ``SETTINGS`` or ``ENCODER_SETTINGS``.
        settings: what it holds.

    Raises:
        UsageError: it is of something else, or differs; every difference is named.
    """
    from vceval.networks.yourtts import SIZES

    tables = {
        SETTINGS: {"audio": _AUDIO, "model_args": SIZES},
        ENCODER_SETTINGS: {"audio": _ENCODER_AUDIO, "model_params": _ENCODER_SIZES},
    }
    for table, values in tables[name].items():
        found = settings.get(table)
        if not isinstance(found, Mapping):
            raise UsageError(f"{place}: has no table {table!r}; this is not {name}")
        wrong = [
            f"{table}.{key} is {found[key]!r}, not {value!r}"
            for key, value in values.items()
            if key in found and not _same(found[key], value)
        ]
        if wrong:
            raise UsageError(f"{place}: these are not the published sizes of YourTTS: {'; '.join(wrong)}")


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return found == wanted
    return str(found) == str(wanted)  # the residual blocks' type is written "2" and 2
