"""The converter ``openvoice``: OpenVoice by the library coqui-tts, in an environment of its own.

The same library runs FreeVC-24 and YourTTS, by the option ``model``: a second opinion on this project's own networks,
made from the same files.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from vceval.checkpoints import store
from vceval.checkpoints.known_files import GE2E, WAVLM_LARGE
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters import environments, yourtts
from vceval.converters.base import Converter, ConverterInfo, Footprint, Outcome, Request
from vceval.converters.command import Command
from vceval.converters.freevc import FREEVC_24, FreeVc24
from vceval.converters.native import check_length
from vceval.errors import ItemError, UsageError

__all__ = ["CHECKPOINT", "CONFIG", "ENVIRONMENT", "MODELS", "SETTINGS_V2", "CoquiModel", "OpenVoice", "check_settings"]

ENVIRONMENT = "coqui"
_PAGE = "https://huggingface.co/myshell-ai/OpenVoiceV2 (folder converter)"
_LINK = "https://huggingface.co/myshell-ai/OpenVoiceV2/resolve/main/converter"

CHECKPOINT = WeightFile(
    name="openvoice_v2/checkpoint.pth",
    holds="OpenVoice version 2, the tone-colour converter",
    page=_PAGE,
    licence="MIT",
    url=f"{_LINK}/checkpoint.pth",
    network="vceval.networks.openvoice:ToneConverter",
    entry=("model",),
    also_called=("converter/checkpoint.pth",),
)
CONFIG = WeightFile(
    name="openvoice_v2/config.json",
    holds="OpenVoice version 2, the configuration of the tone-colour converter",
    page=_PAGE,
    licence="MIT",
    url=f"{_LINK}/config.json",
    form="json",
    also_called=("converter/config.json",),
    settings="vceval.converters.coqui:check_settings",
)
#: What the tables of that configuration say, as far as it decides the network and its spectrogram.
SETTINGS_V2: Mapping[str, Mapping[str, Any]] = {
    "data": {"sampling_rate": 22_050, "filter_length": 1024, "hop_length": 256, "win_length": 1024},
    "model": {
        "zero_g": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}


@dataclass(frozen=True, slots=True)
class CoquiModel:
    """A model that the library runs: what a table says of it, and its files by what they are for."""

    info: ConverterInfo
    files: Mapping[str, WeightFile]


def _second(native: ConverterInfo) -> ConverterInfo:
    """Describe one of this project's converters as the library runs it."""
    return replace(
        native,
        name="openvoice",
        title=f"{native.title} (coqui-tts)",
        licence=f"{native.licence}; coqui-tts: MPL-2.0",
        kind="external",
        front_end=f"resampler:soxr|{native.front_end}",
    )


_OPENVOICE = ConverterInfo(
    name="openvoice",
    title="OpenVoice v2 (coqui-tts)",
    sample_rate=22_050,
    licence="MIT; coqui-tts: MPL-2.0",
    paper="Qin, Zhao, Yu, Sun, OpenVoice: versatile instant voice cloning, arXiv 2312.01479",
    kind="external",
    checkpoints=(CHECKPOINT.name, CONFIG.name),
    trained_on=None,
    draws_noise=True,
    front_end="resampler:soxr|trim:none|level:none",
)


MODELS: Mapping[str, CoquiModel] = {
    "openvoice_v2": CoquiModel(_OPENVOICE, {"checkpoint": CHECKPOINT, "config": CONFIG}),
    "freevc24": CoquiModel(_second(FreeVc24.info), {"checkpoint": FREEVC_24, "wavlm": WAVLM_LARGE, "speaker": GE2E}),
    "your_tts": CoquiModel(
        _second(yourtts.YourTts.info),
        {
            "checkpoint": yourtts.MODEL,
            "config": yourtts.SETTINGS,
            "encoder": yourtts.ENCODER,
            "encoder_config": yourtts.ENCODER_SETTINGS,
        },
    ),
}


def check_settings(place: str, name: str, settings: Mapping[str, Any]) -> None:
    """Make sure that a configuration is that of OpenVoice version 2.

    Version 1's lacks ``zero_g``: it tells encoder and decoder of the speakers, which the library does not do.

    Args:
        place: where it lies, for errors.
        name: what it should be.
        settings: what it holds.

    Raises:
        UsageError: it is of something else, or differs; every difference is named.
    """
    wrong = []
    for table, values in SETTINGS_V2.items():
        found = settings.get(table)
        if not isinstance(found, Mapping):
            raise UsageError(f"{place}: it has no table {table!r}; this is not {name}")
        wrong += [
            f"{table}.{key} is {found.get(key)!r}, not {value!r}"
            for key, value in values.items()
            if found.get(key) != value
        ]
    if wrong:
        raise UsageError(f"{place}: these are not the settings of OpenVoice version 2: {'; '.join(wrong)}")


class OpenVoice(Converter):
    """OpenVoice version 2 through coqui-tts 0.28: 22.05 kHz, 256 * (n // 256) samples for a source of n.

    The library converts pair by pair, on one thread, in a worker process with the interpreter of the environment
    ``coqui`` (``vceval env create coqui``); without that environment, with this interpreter, if coqui-tts is
    installed here (extra ``vceval[coqui]``). The worker may not use the network. Sources longer than a
    minute are refused.

    Both voices are embedded from whole recordings, several prompts as the mean of their vectors; the authors' own
    program cuts recordings up by a voice detector first, and puts a watermark into its output: none is put in here.
    The noise (scale 0.3) is seeded by the pair.

    Args:
        model: ``openvoice_v2``; ``freevc24`` or ``your_tts`` convert with the library's FreeVC-24 or YourTTS, from the
            files of the converters ``freevc-24`` and ``yourtts``, and agree with these. The exceptions are FreeVC's
            speaker vectors: the library has zeros before and after a prompt where FreeVC's authors mirrored it, and
            does not bring the mean over several prompts to length 1.
        weights: folder of the model's files; by default the place where ``vceval checkpoints add`` files them.
        python: interpreter to use instead.
        timeout: seconds that one pair may take, the first one including the start.

    Raises:
        UsageError: there is no such model or interpreter.
    """

    info: ClassVar[ConverterInfo] = _OPENVOICE
    files: ClassVar[tuple[WeightFile, ...]] = (CHECKPOINT, CONFIG)
    batch_size = 1

    def __init__(
        self, *, model: str = "openvoice_v2", weights: str = "", python: str = "", timeout: float = 600.0
    ) -> None:
        if model not in MODELS:
            raise UsageError(f"openvoice: there is no model {model!r}; there are {', '.join(MODELS)}")
        python = str(Path(python).expanduser()) if python else ""
        if python and shutil.which(python) is None:
            raise UsageError(f"openvoice: there is no interpreter {python!r}")
        if timeout <= 0:
            raise UsageError(f"openvoice: timeout {timeout} is not positive")
        self.model, self.weights, self.python, self.timeout = model, weights, python, timeout
        self._program: Command | None = None
        # What a table says of this row depends on the model
        vars(self)["info"] = MODELS[model].info
        vars(self)["files"] = tuple(self._files.values())

    def open(self, device: str) -> None:
        """Get the worker ready; it starts at the first pair.

        Raises:
            UsageError: the environment or a file is missing.
        """
        asked: dict[str, Any] = {
            "model": self.model,
            "files": {use: str(store.find(f, self._folder).resolve()) for use, f in self._files.items()},
        }
        if self.model == "openvoice_v2":
            check_settings(asked["files"]["config"], CONFIG.name, CONFIG.plain(Path(asked["files"]["config"])))
        worker = Path(__file__).with_name("coqui_worker.py")
        # -I: neither this package's folder nor PYTHONPATH may put modules in the way of the environment's
        command = [self._interpreter(), "-I", str(worker), json.dumps(asked)]
        self._program = Command(command=command, timeout=self.timeout)
        self._program.open(device)

    def close(self) -> None:
        """Stop the worker."""
        if self._program is not None:
            self._program.close()
            self._program = None

    def footprint(self) -> Footprint:
        """Tell what the worker reported of itself."""
        return Footprint(program=0) if self._program is None else self._program.footprint()

    def assets(self) -> dict[str, Path]:
        """Give the files that are there, by name, and what says which versions the environment has."""
        found = {file.name: store.locate(file, self._folder) for file in self._files.values()}
        if not self.python and environments.interpreter(ENVIRONMENT) is not None:
            found[f"environment {ENVIRONMENT}"] = environments.record_of(ENVIRONMENT)
        return {name: place for name, place in found.items() if place is not None}

    def missing_files(self) -> list[str]:
        """Say whether the environment or files are missing."""
        messages = []
        try:
            self._interpreter()
        except UsageError as error:
            messages.append(str(error))
        return messages + store.missing(self._files.values(), self._folder)

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert one by one."""
        if self._program is None:
            raise UsageError("openvoice: not opened")
        return [self._one(self._program, request) for request in requests]

    def _one(self, program: Command, request: Request) -> Outcome:
        try:
            check_length(request.source, "source")
            for prompt in request.prompts:
                check_length(prompt, "prompt")
        except ItemError as error:
            return error
        return program.convert([request])[0]

    @property
    def _files(self) -> Mapping[str, WeightFile]:
        return MODELS[self.model].files

    @property
    def _folder(self) -> Path | None:
        return Path(self.weights).expanduser() if self.weights else None

    def _interpreter(self) -> str:
        """Find the interpreter that has the library.

        Raises:
            UsageError: there is none.
        """
        if self.python:
            return self.python
        found = environments.interpreter(ENVIRONMENT)
        if found is not None:
            return str(found)
        if importlib.util.find_spec("TTS") is not None:
            return sys.executable
        raise UsageError(
            f"coqui-tts runs in an environment of its own: {environments.state(ENVIRONMENT).text} "
            f"(or name an interpreter that has it by the option python)"
        )
