"""Speech recognisers: Whisper, also by faster-whisper, and pocketsphinx (English only)."""

from __future__ import annotations

import base64
import contextlib
import functools
import gzip
import hashlib
import importlib.util
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL
from vceval.storage.cache import Cache, file_digest

__all__ = [
    "FasterWhisper", "NoRecogniser", "Official", "PocketSphinx", "Recogniser", "Whisper", "official", "official_name",
    "read_ahead", "transcribe", "transcribe_all", "whisper_knows",
]  # fmt: skip

SAMPLE_RATE = 16_000
_WHISPER = "Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023"
#: Recordings that are decoded together on a GPU.
_ON_DEVICE = 32
#: The form in which recordings are heard: speech at this level in dB of full scale. PocketSphinx hears nothing else,
#: between so many seconds of zeros. Whisper hears so many seconds of the recording around it, as weak sounds at the
#: ends are words to it: cut as for PocketSphinx, it erred in four more of twenty natural recordings.
LEVEL_DB, PAD_S, AROUND_S = -26.0, 0.1, 0.5
#: Samples of one window of Whisper: 30 s.
WINDOW = 30 * SAMPLE_RATE
#: Files of a model in CTranslate2's form that change the text; the first three must be there.
_FILES = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json", "vocabulary.json", "vocabulary.txt")
_NEEDED = _FILES[:3]
#: Codes of Whisper that are others in ISO 639.
_WHISPER_CODES = {"jv": "jw"}


class Recogniser(ABC):
    """Turns 16 kHz audio into text; the text depends on the audio alone, not on what came before or with it."""

    #: How many recordings are best transcribed together, on a processor.
    batch: ClassVar[int] = 1
    #: Whether it works on a GPU.
    on_device: ClassVar[bool] = False
    #: What to cite; empty for nothing.
    source: ClassVar[str] = ""

    @property
    @abstractmethod
    def title(self) -> str:
        """What readers call it, ``Whisper large-v3``: it stands in the heads of tables."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Model, version and settings: all that changes the text."""

    def check(self) -> None:  # noqa: B027 - some need nothing
        """See that it can work on this machine.

        Raises:
            UsageError: it can't; the message says what to do.
        """

    @abstractmethod
    def knows(self, language: str) -> bool:
        """Whether it can transcribe this language (a two-letter code)."""

    def untouched(self) -> Recogniser:
        """The same, but hearing recordings as they are, where it can: as tools do that recipes follow."""
        return self

    @abstractmethod
    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe mono audio at 16 kHz; empty where nothing was recognised."""

    def hear_all(self, waves: Sequence[Waveform], language: str, device: str) -> list[str]:
        """Transcribe several recordings, each as if it were alone."""
        return [self.hear(wave, language, device) for wave in waves]


@dataclass(frozen=True, kw_only=True)
class _Windows(Recogniser):
    """A recogniser of windows of 30 s: shorter recordings are decoded together, longer ones window by window.

    Unless ``as_is``, each recording is brought to one form: its speech at ``LEVEL_DB``, with ``AROUND_S`` of what is
    around it, zeros where nothing is. Gain, and silence in front, change the words of every third conversion.
    """

    as_is: bool = False

    batch: ClassVar[int] = 8
    on_device: ClassVar[bool] = True

    def untouched(self) -> Recogniser:
        """The same, but hearing recordings as they are."""
        return replace(self, as_is=True)

    @property
    def _form(self) -> str:
        """What the identity says of the form of recordings."""
        return "" if self.as_is else f",cut:speech+{AROUND_S:g}s,level:{LEVEL_DB:g}dB"

    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe one recording of any length."""
        return self.hear_all([wave], language, device)[0]

    def hear_all(self, waves: Sequence[Waveform], language: str, device: str) -> list[str]:
        """Transcribe several recordings, those of up to 30 s together."""
        if not self.as_is:
            waves = [_same_form(wave, AROUND_S) for wave in waves]
        short = [place for place, wave in enumerate(waves) if len(wave.samples) <= WINDOW]
        texts = {place: self._long(wave, language, device) for place, wave in enumerate(waves) if place not in short}
        size = self.batch if device == "cpu" else _ON_DEVICE
        for start in range(0, len(short), size):
            places = short[start : start + size]
            texts.update(zip(places, self._short([waves[place] for place in places], language, device), strict=True))
        return [texts[place] for place in range(len(waves))]

    @abstractmethod
    def _short(self, waves: Sequence[Waveform], language: str, device: str) -> list[str]:
        """Transcribe recordings of one window each."""

    @abstractmethod
    def _long(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe one recording of several windows."""


@dataclass(frozen=True)
class Whisper(_Windows):
    """OpenAI's Whisper: greedy decoding at temperature 0 in float32, language given, no fallback, no prompt.

    A recording of up to 30 s is one window without time stamps, as in the evaluation of Whisper's authors, and
    several such recordings are decoded together. Longer ones go window by window, each from where the time stamps
    of the last one end.

    ``path`` is the checkpoint; ``model`` its official name, None for a file of the user's own.

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023.
    """

    path: Path
    model: str | None = None

    source: ClassVar[str] = _WHISPER

    @property
    def title(self) -> str:
        """``Whisper`` and the name of the model, or that of the file with its suffix."""
        return f"Whisper {self.model or self.path.name}"

    def check(self) -> None:
        """See that the checkpoint is there.

        Raises:
            UsageError: it is not.
        """
        if self.path.is_file():
            return
        if self.model is None:
            raise UsageError(f"{self.path}: no such file; name a Whisper checkpoint (.pt)")
        raise UsageError(
            f"Whisper {self.model} is not on this machine ({self.path}); fetch it: vceval checkpoints add "
            f"whisper/{self.model}"
        )

    @property
    def identity(self) -> str:
        """The official name, checked against the official SHA-256 when it is loaded; else the file's own hash."""
        name = self.model or f"file-{self.path.stem}-{file_digest(self.path)[:8]}"
        return f"whisper-{name},greedy,fp32,lang:forced,window:30s{self._form}"

    def knows(self, language: str) -> bool:
        """Whether the checkpoint was trained on this language."""
        if language == "en":
            return True
        if self.model is not None:
            return whisper_knows(self.model, language)
        network = _whisper(self.path, None, "cpu")
        return bool(network.is_multilingual) and _is_among(language, network.num_languages)

    def _short(self, waves: Sequence[Waveform], language: str, device: str) -> list[str]:
        import torch
        import whisper

        model = _whisper(self.path, self.model, device)
        # One spectrogram at a time: its floor lies 80 dB below the loudest frame of the whole array given.
        spectrograms = [
            whisper.log_mel_spectrogram(whisper.pad_or_trim(wave.samples), model.dims.n_mels, device=device)
            for wave in waves
        ]
        code = _WHISPER_CODES.get(language, language)
        options = whisper.DecodingOptions(language=code, temperature=0.0, without_timestamps=True, fp16=False)
        return [found.text for found in model.decode(torch.stack(spectrograms), options)]

    def _long(self, wave: Waveform, language: str, device: str) -> str:
        found = _whisper(self.path, self.model, device).transcribe(
            wave.samples,
            language=_WHISPER_CODES.get(language, language),
            temperature=0.0,
            fp16=False,
            condition_on_previous_text=False,
            compression_ratio_threshold=None,
            logprob_threshold=None,
            no_speech_threshold=None,
        )
        return str(found["text"]).strip()


@dataclass(frozen=True)
class FasterWhisper(_Windows):
    """Whisper in CTranslate2's form, several times faster on a CPU.

    Greedy decoding at temperature 0 in float32, language given, no voice filter.

    ``folder`` holds the converted model (model.bin, config.json, tokenizer.json); nothing is ever downloaded. Settings
    are those of :class:`Whisper`: recordings of up to 30 s in one window without time stamps, padded with silence and
    decoded together; longer ones window by window. Texts are nevertheless not the same to the letter: arithmetic
    differs, and a converted model may have been quantised. So results bear a signature of their own.

    Raises:
        UsageError: faster-whisper is not installed, or the folder lacks one of the files.

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023; run by
    faster-whisper and CTranslate2.
    """

    folder: Path

    source: ClassVar[str] = _WHISPER

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
    def title(self) -> str:
        """``faster-whisper`` and the name of the folder; and what it was made of, where the name does not say it."""
        name, model = self._name, self.model
        made = f", made of {model}" if model and model not in name else ""
        return f"faster-whisper {name.removeprefix('faster-whisper-')}{made}"

    @property
    def model(self) -> str | None:
        """The official checkpoint that it was made of, as it is or after further training; None if that is not known.

        OpenAI published the attention heads that show where words are, for every checkpoint, and converters keep them
        in config.json.

        Raises:
            UsageError: config.json is damaged.
        """
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{path}: no JSON ({error})") from error
        return _by_heads().get(frozenset(map(tuple, config.get("alignment_heads") or [])))

    @property
    def _name(self) -> str:
        """The folder's name; of a model of the hub, which lies under a hash, that of the model."""
        snapshots = self.folder.parent
        return (
            snapshots.parent.name.split("--faster-whisper-")[-1] if snapshots.name == "snapshots" else self.folder.name
        )

    @property
    def identity(self) -> str:
        """The model's name with a hash of its files, and the settings."""
        digest = hashlib.sha256()
        for name in _FILES:
            if (self.folder / name).is_file():
                digest.update(f"{name}:{file_digest(self.folder / name)};".encode())
        name = f"{self._name}-{digest.hexdigest()[:8]}"
        settings = "beam:1,temp:0,fp32,vad:no,lang:forced,window:30s,pad:audio"
        return f"faster-whisper-{name},{settings}{self._form}"

    def knows(self, language: str) -> bool:
        """Whether the model has this language."""
        if language == "en":
            return True
        model, code = _faster_whisper(self.folder, "cpu"), _WHISPER_CODES.get(language, language)
        return bool(code in model.supported_languages and model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None)

    def _short(self, waves: Sequence[Waveform], language: str, device: str) -> list[str]:
        """Decode one window each, as clips of one recording that holds them end to end."""
        import faster_whisper

        joined = np.concatenate([np.pad(wave.samples, (0, WINDOW - len(wave.samples))) for wave in waves])
        seconds = WINDOW // SAMPLE_RATE
        clips = [{"start": seconds * place, "end": seconds * (place + 1)} for place in range(len(waves))]
        model = _faster_whisper(self.folder, device)
        segments, _ = faster_whisper.BatchedInferencePipeline(model).transcribe(
            joined, clip_timestamps=clips, batch_size=len(waves), without_timestamps=True, **_greedy(language)
        )
        texts = [""] * len(waves)
        for segment in segments:
            texts[segment.seek // (seconds * model.frames_per_second)] += segment.text
        return [text.strip() for text in texts]

    def _long(self, wave: Waveform, language: str, device: str) -> str:
        segments, _ = _faster_whisper(self.folder, device).transcribe(wave.samples, **_greedy(language))
        return "".join(segment.text for segment in segments).strip()


@dataclass(frozen=True)
class PocketSphinx(Recogniser):
    """CMU PocketSphinx with the English model inside its package: works offline, errs several times as often.

    Settings are faster than the defaults and no worse on LibriSpeech test-other. The front end is reset before every
    recording: otherwise its noise estimate carries over and changes the next text. It also learns noise and mean
    spectrum from what stands around the speech, and knows absolute levels. So each recording is brought to one form:
    cut from its first to its last speech, at ``LEVEL_DB`` of full scale, with ``PAD_S`` of zeros on either side.

    Source: Huggins-Daines et al., "PocketSphinx: a free, real-time continuous speech recognition system for
    hand-held devices", ICASSP 2006.
    """

    source: ClassVar[str] = (
        "Huggins-Daines et al., PocketSphinx: a free, real-time continuous speech recognition system, ICASSP 2006"
    )

    @property
    def title(self) -> str:
        """``PocketSphinx``."""
        return "PocketSphinx"

    @property
    def identity(self) -> str:
        """Package version, model and settings."""
        return (
            f"pocketsphinx-{version('pocketsphinx')}-en-us,ds:2,maxhmmpf:3000,maxwpf:5,cmn:batch"
            f",cut:speech,level:{LEVEL_DB:g}dB,pad:{PAD_S:g}s"
        )

    def knows(self, language: str) -> bool:
        """English only."""
        return language == "en"

    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Transcribe one whole utterance."""
        decoder = _pocketsphinx()
        decoder.reinit_feat()
        decoder.start_utt()
        coded = np.clip(np.round(_same_form(wave, pad=PAD_S).samples * 32_767.0), -32_768, 32_767).astype("<i2")
        decoder.process_raw(coded.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found is not None else ""


def _same_form(wave: Waveform, around: float = 0.0, pad: float = 0.0) -> Waveform:
    """Level, cut to speech and seconds around it, pad with seconds of zeros; audio without speech stays as it is."""
    speech = BY_LEVEL.find(wave)
    if not len(speech.marks):
        return wave
    gain = np.float32(10.0 ** (LEVEL_DB / 20.0) / speech.level)
    samples = np.pad(speech.cut(wave, around).samples * gain, round(pad * wave.sample_rate))
    return Waveform(samples, wave.sample_rate)


@dataclass(frozen=True)
class NoRecogniser(Recogniser):
    """Stands where nobody named a recogniser and no Whisper is on disk, so that lists and signatures can be made."""

    @property
    def title(self) -> str:
        """``no recogniser``."""
        return "no recogniser"

    @property
    def identity(self) -> str:
        """``none``."""
        return "none"

    def check(self) -> None:
        """Say what to do.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "no recogniser for words: no Whisper is on this machine; fetch one (vceval checkpoints add whisper/base), "
            "or name another one: --recogniser pocketsphinx (English only, errs several times as often)"
        )

    def knows(self, language: str) -> bool:
        """None."""
        return False

    def hear(self, wave: Waveform, language: str, device: str) -> str:
        """Hear nothing.

        Raises:
            UsageError: always.
        """
        self.check()
        raise AssertionError


def whisper_knows(model: str, language: str) -> bool:
    """Whether an official Whisper checkpoint was trained on a language (a code)."""
    several = 100 if model.startswith("large-v3") or model in ("large", "turbo") else 99  # Cantonese came last
    return language == "en" or (not model.endswith(".en") and _is_among(language, several))


def _is_among(language: str, several: int) -> bool:
    """Whether a language is one of the first of Whisper's list."""
    from whisper.tokenizer import LANGUAGES

    return _WHISPER_CODES.get(language, language) in list(LANGUAGES)[:several]


def transcribe(recogniser: Recogniser, path: Path, language: str, cache: Cache, device: str) -> str:
    """Transcribe one file, once: the text is kept by the file's bytes, the recogniser and the language.

    Raises:
        ItemError: the file can't be read.
    """
    return _kept(recogniser, path, language, cache, lambda: recogniser.hear(_load(path), language, device))


def transcribe_all(recogniser: Recogniser, paths: Sequence[Path], language: str, cache: Cache, device: str) -> None:
    """Transcribe together what is not in the cache yet, so that :func:`transcribe` finds it there.

    Files that can't be read are passed over; :func:`transcribe` says what is wrong with them.
    """
    waves: dict[Path, Waveform] = {}
    for path in dict.fromkeys(paths):
        with contextlib.suppress(ItemError):
            try:
                _kept(recogniser, path, language, cache, _not_kept)
            except _NotKept:
                waves[path] = _load(path)
    texts = recogniser.hear_all(list(waves.values()), language, device)
    for path, text in zip(waves, texts, strict=True):
        _kept(recogniser, path, language, cache, functools.partial(str, text))


class _NotKept(Exception):
    """The cache has no transcript."""


def _not_kept() -> str:
    raise _NotKept


def _kept(recogniser: Recogniser, path: Path, language: str, cache: Cache, compute: Callable[[], str]) -> str:
    if not path.is_file():
        raise ItemError(f"{path}: no such file")
    key = {"recogniser": recogniser.identity, "language": language}
    return str(cache.get("transcript", path, key, lambda: {"text": compute()})["text"])


def read_ahead(path: Path) -> None:
    """Read a recording, so that it is at hand when it is transcribed.

    Raises:
        ItemError: the file can't be read.
    """
    audio.shared(path, SAMPLE_RATE)


def _load(path: Path) -> Waveform:
    wave = audio.shared(path, SAMPLE_RATE)
    return replace(wave, samples=wave.samples.copy())  # recognisers of other people may write to it


class Official(NamedTuple):
    """Where an official checkpoint is published, and its SHA-256."""

    address: str
    sha256: str


def official(model: str) -> Official:
    """Look an official checkpoint up in the package."""
    import whisper

    address: str = whisper._MODELS[model]
    return Official(address, address.split("/")[-2])


def official_name(path: Path) -> str | None:
    """Recognise an official checkpoint by its SHA-256, under whatever name it lies; None for any other file."""
    import whisper

    digest = file_digest(path)
    return next((model for model in whisper._MODELS if official(model).sha256 == digest), None)


@functools.cache
def _by_heads() -> Mapping[frozenset[tuple[int, ...]], str]:
    """The official checkpoints by layer and number of the attention heads that show where words are."""
    import whisper

    found: dict[frozenset[tuple[int, ...]], str] = {}
    for model, coded in whisper._ALIGNMENT_HEADS.items():
        per_layer = {"tiny": 6, "base": 8, "small": 12, "medium": 16}.get(model.partition(".")[0], 20)
        heads = np.frombuffer(gzip.decompress(base64.b85decode(coded)), dtype=bool).reshape(-1, per_layer)
        found.setdefault(frozenset(tuple(map(int, place)) for place in np.argwhere(heads)), model)
    return found


@functools.lru_cache(maxsize=2)
def _whisper(path: Path, model: str | None, device: str) -> Any:
    """Load a checkpoint, once per process for all metrics."""
    import torch
    import whisper

    torch.set_num_threads(1)
    if model is not None and file_digest(path) != official(model).sha256:
        raise UsageError(f"{path}: not the official Whisper checkpoint {model!r} (SHA-256 differs); delete it")
    try:
        return whisper.load_model(str(path), device=device).float().eval()
    except Exception as error:  # whatever a damaged checkpoint raises
        why = f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"{path}: can't be loaded as a Whisper checkpoint ({why}); it must be a .pt of OpenAI's form, with 'dims' "
            "and 'model_state_dict'"
        ) from error


@functools.lru_cache(maxsize=2)
def _faster_whisper(folder: Path, device: str) -> Any:
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


def _greedy(language: str) -> dict[str, Any]:
    """Options of faster-whisper's decoding that are those of :class:`Whisper`."""
    return {
        "language": _WHISPER_CODES.get(language, language),
        "task": "transcribe",
        "beam_size": 1,
        "best_of": 1,
        "temperature": 0.0,
        "condition_on_previous_text": False,
        "compression_ratio_threshold": None,
        "log_prob_threshold": None,
        "no_speech_threshold": None,
        "vad_filter": False,
    }


@functools.cache
def _pocketsphinx() -> Any:
    """Load decoder and model, once per process."""
    from pocketsphinx import Decoder

    return Decoder(ds=2, maxhmmpf=3000, maxwpf=5, cmn="batch", loglevel="FATAL")
