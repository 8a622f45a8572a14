"""Whisper by faster-whisper: the same networks, converted for CTranslate2, several times faster on a CPU."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.metrics.recognisers import WINDOW, Recogniser
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["FasterWhisper"]

#: Files of a converted model that change what is heard; the first three must be there.
_FILES = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json", "vocabulary.json", "vocabulary.txt")
_NEEDED = _FILES[:3]


@dataclass(frozen=True)
class FasterWhisper(Recogniser):
    """Whisper in CTranslate2's form: greedy decoding at temperature 0 in float32, language given, no voice filter.

    ``folder`` holds the converted model (model.bin, config.json, tokenizer.json); nothing is ever downloaded. Settings
    are those of :class:`vceval.metrics.recognisers.Whisper`: up to 30 s in one window without time stamps, longer
    recordings window by window. Texts are nevertheless not the same to the letter: the padding of short recordings
    differs, and a converted model may have been quantised. So results bear a signature of their own.

    Raises:
        UsageError: faster-whisper is not installed, or the folder lacks one of the files.

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023; run by
    faster-whisper and CTranslate2.
    """

    folder: Path

    def __post_init__(self) -> None:
        missing = [name for name in _NEEDED if not (self.folder / name).is_file()]
        if missing:
            raise UsageError(
                f"{self.folder}: no Whisper model in CTranslate2's form, as {', '.join(missing)} is not there; make "
                "one with ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json"
            )
        if importlib.util.find_spec("faster_whisper") is None:
            raise UsageError(
                f"{self.folder} is a model for faster-whisper, which is not installed: pip install "
                "'vceval[faster-whisper]', or name a Whisper checkpoint (.pt)"
            )

    @property
    def identity(self) -> str:
        """The folder's name with a hash of its files, and the settings."""
        digest = hashlib.sha256()
        for name in _FILES:
            if (self.folder / name).is_file():
                digest.update(f"{name}:{file_digest(self.folder / name)};".encode())
        name = f"{self.folder.name}-{digest.hexdigest()[:8]}"
        return f"faster-whisper-{name},beam:1,temp:0,fp32,vad:no,lang:forced,window:30s"

    def knows(self, language: str) -> bool:
        """Whether the model has this language."""
        if language == "en":
            return True
        model = _model(self.folder, "cpu")
        known = language in model.supported_languages
        return bool(known and model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None)

    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe one recording of any length."""
        segments, _ = _model(self.folder, device).transcribe(
            wave.samples,
            language=language,
            task="transcribe",
            beam_size=1,
            best_of=1,
            temperature=0.0,
            without_timestamps=len(wave.samples) <= WINDOW,
            condition_on_previous_text=False,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            vad_filter=False,
        )
        return "".join(segment.text for segment in segments).strip()


@functools.lru_cache(maxsize=2)
def _model(folder: Path, device: str) -> Any:
    """Load a model, once per process for all metrics; one thread, as workers run side by side."""
    import faster_whisper

    kind, _, index = device.partition(":")
    try:
        return faster_whisper.WhisperModel(
            str(folder),
            device=kind,
            device_index=int(index or 0),
            compute_type="float32",
            cpu_threads=1,
            local_files_only=True,
        )
    except Exception as error:  # whatever a damaged model raises
        raise UsageError(f"{folder}: can't be loaded as a Whisper model in CTranslate2's form ({error})") from error
