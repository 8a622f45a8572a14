"""The recognisers of the tools that recipes follow: found, or refused; no other one is put in their place."""

from __future__ import annotations

import functools
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vceval.errors import UsageError
from vceval.metrics import recogniser_choice
from vceval.metrics.recognisers import SAMPLE_RATE, FasterWhisper, Recogniser, Whisper
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["Ctc", "fetch", "recogniser_of"]

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CTC_FILES = ["*.json", *_WEIGHTS]


@dataclass(frozen=True)
class Ctc(Recogniser):
    """wav2vec 2.0 or HuBERT, fine-tuned on English by CTC: the most probable letter of every frame.

    ``model`` is the name of a repository on Hugging Face, ``folder`` holds its files: the one of that name in
    $VCEVAL_CTC, or in Hugging Face's own cache. Needs the extra ``vceval[ctc]``.

    Source: Baevski et al., "wav2vec 2.0", NeurIPS 2020; Hsu et al., "HuBERT", TASLP 2021.
    """

    model: str
    folder: Path

    on_device: ClassVar[bool] = True
    source: ClassVar[str] = "Baevski et al., wav2vec 2.0, NeurIPS 2020; Hsu et al., HuBERT, IEEE/ACM TASLP 2021"

    @property
    def title(self) -> str:
        """The name of the repository without its owner's."""
        return self.model.partition("/")[2]

    @property
    def identity(self) -> str:
        """The model's name with a hash of its weights, and the settings."""
        weights = next(path for name in _WEIGHTS if (path := self.folder / name).is_file())
        return f"{self.model.partition('/')[2]}-{file_digest(weights)[:8]},ctc:greedy,fp32"

    def knows(self, language: str) -> bool:
        """English only."""
        return language == "en"

    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe one recording, unpadded."""
        import torch

        processor, network = _loaded(self.folder, device)
        inputs = processor(wave.samples, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        with torch.inference_mode():
            tokens = network(inputs.to(device)).logits.argmax(dim=-1)
        return str(processor.batch_decode(tokens)[0])


def recogniser_of(recipe: str, model: str) -> Recogniser:
    """Find the one recogniser that a recipe is heard with.

    Args:
        recipe: its name, such as ``wer:seedtts``.
        model: official name of a Whisper checkpoint, or of a repository on Hugging Face with a model for :class:`Ctc`.

    Raises:
        UsageError: it is not at hand.
    """
    found = _ctc(recipe, model) if "/" in model else _whisper(model)
    if found is not None:
        return found
    name = model.partition("/")[2]
    where = (
        f"put its files into a folder {name} inside the one that VCEVAL_CTC names"
        if name
        else f"vceval checkpoints add whisper/{model}, or name it in VCEVAL_WHISPER (a checkpoint, or a folder for "
        "faster-whisper)"
    )
    own = "" if name or not os.environ.get("VCEVAL_WHISPER") else recogniser_choice.recogniser().title
    raise UsageError(
        f"{recipe} is heard with {model if name else f'Whisper {model}'}, as by the tool that it follows, and with no "
        f"other recogniser, but it is not on this machine{f' (VCEVAL_WHISPER is {own})' if own else ''}: {where}, or "
        f"give --allow-download; {_instead(recipe)}"
    )


def _instead(recipe: str) -> str:
    name, _, rule = recipe.partition(":")
    rate = "word_error_rate" if name == "wer" else "character_error_rate"
    return f"{name} takes any recogniser, and vceval.metrics.{rate}(..., recipe={rule!r}) any texts"


def fetch(model: str) -> None:
    """Fetch the recogniser of a recipe: see ``model`` of :func:`recogniser_of`.

    Raises:
        UsageError: it can't be fetched.
    """
    if "/" not in model:
        recogniser_choice.fetch(model)
    elif not os.environ.get("VCEVAL_CTC"):
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(model, allow_patterns=_CTC_FILES)
        except (OSError, ValueError) as error:
            raise UsageError(f"{model} can't be fetched ({error}); name its folder in VCEVAL_CTC") from error


def _whisper(model: str) -> Recogniser | None:
    own = recogniser_choice.recogniser() if os.environ.get("VCEVAL_WHISPER") else None
    if isinstance(own, Whisper | FasterWhisper) and own.model == model:
        return own
    found = recogniser_choice.recogniser(f"whisper:{model}")
    return found if isinstance(found, Whisper) and found.path.is_file() else None


def _ctc(recipe: str, model: str) -> Recogniser | None:
    if importlib.util.find_spec("transformers") is None:
        raise UsageError(
            f"{recipe} is heard with {model}, by transformers: pip install 'vceval[ctc]'; {_instead(recipe)}"
        )
    own = os.environ.get("VCEVAL_CTC")
    folder = Path(own).resolve() / model.partition("/")[2] if own else _hugging_face(model)
    there = folder is not None and any((folder / weights).is_file() for weights in _WEIGHTS)
    return Ctc(model, folder) if folder is not None and there else None


def _hugging_face(model: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True, allow_patterns=_CTC_FILES))
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=2)
def _loaded(folder: Path, device: str) -> Any:
    """Load processor and network, once per process for all metrics."""
    import torch
    from transformers import AutoModelForCTC, Wav2Vec2Processor

    torch.set_num_threads(1)
    try:
        processor = Wav2Vec2Processor.from_pretrained(folder, local_files_only=True)
        network = AutoModelForCTC.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever damaged files raise
        raise UsageError(f"{folder}: can't be loaded as a model of speech with letters ({error})") from error
    return processor, network.float().eval().to(device)
