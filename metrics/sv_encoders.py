"""Speaker encoders, recordings in and unit vectors out: their contract, and those whose weights come from files.

yistLin's d-vector, CAM++ of 3D-Speaker and SpeechBrain's ECAPA-TDNN stand here; :mod:`vceval.metrics.sv_resemblyzer`
has the default.
"""

from __future__ import annotations

import contextlib
import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.checkpoints import store
from vceval.checkpoints.known_files import CAMPPLUS, DVECTOR, WAVLM_SV
from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL
from vceval.storage.cache import Cache, file_digest
from vceval.storage.embeddings import parameters

__all__ = [
    "LEVELLED", "CamPlusPlusEncoder", "DvectorEncoder", "EcapaEncoder", "FiledEncoder", "SeedTtsEncoder",
    "SpeakerEncoder", "WavLmSvEncoder", "levelled_speech",
]  # fmt: skip

#: Level that :func:`levelled_speech` brings speech to. Resemblyzer errs there on natural speech as seldom as behind its
#: own preparation (VCTK: EER 5.5 and 5.6 %), at -30 dB more often (9.4 %), as its detector cuts more.
_SPEECH_LEVEL_DB = -22.0
#: What :func:`levelled_speech` does, as signatures put it.
LEVELLED = f"sr:16000|speech:{BY_LEVEL}|level:{_SPEECH_LEVEL_DB:g}dB-of-speech"

_SAMPLE_RATE = 16_000
_ECAPA = "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb (embedding_model.ckpt)"


class _NotKept(Exception):
    """The cache does not know a recording."""


class SpeakerEncoder(ABC):
    """Turns recordings into vectors of length 1, whose products are cosines.

    A subclass prepares one recording at a time and embeds any number of prepared ones together. Its weights are
    loaded at the first recording that the cache does not know.

    Args:
        cache: where embeddings are kept, by the recording's bytes.
        device: ``cpu`` or ``cuda`` or ``cuda:N``.
    """

    #: Whether a GPU makes it faster than a dozen processors.
    on_device: ClassVar[bool] = True
    #: What it is called: its identity up to the first hyphen, and the folder of its embeddings in the cache.
    kind: ClassVar[str]
    #: What people call it.
    title: ClassVar[str]
    #: Encoders of converters that are related to it: as converters declare them, to what each has in common with it.
    relatives: ClassVar[Mapping[str, str]] = {}
    #: What is done to a recording before it is embedded, as signatures put it.
    front_end: ClassVar[str]
    #: Conversions whose recordings are best embedded together on a processor; 1 where vectors would move by it.
    together: ClassVar[int] = 1
    #: Weight files that ``vceval checkpoints`` files for it.
    files: ClassVar[tuple[WeightFile, ...]] = ()

    def __init__(self, cache: Cache, device: str = "cpu") -> None:
        self.cache, self.device, self.name = cache, device, self.identity()
        self._read: dict[Path, Any] = {}

    @classmethod
    @abstractmethod
    def identity(cls) -> str:
        """Name the encoder and its weights as signatures do: ``name-<start of the weights' SHA-256>``.

        Raises:
            UsageError: the encoder is not installed or its weights are missing.
        """

    @abstractmethod
    def prepare(self, path: Path) -> Any:
        """Read one recording and make of it what the network takes.

        Raises:
            ItemError: it can't be read or holds no speech.
        """

    @abstractmethod
    def embed_prepared(self, prepared: Sequence[Any]) -> list[NDArray[np.float32]]:
        """Embed what :meth:`prepare` made, any number of recordings together."""

    def embed(self, path: Path) -> NDArray[np.float64]:
        """Embed one recording: float64 of shape (d,), of length 1.

        Raises:
            ItemError: the file can't be read or no speech is found in it.
        """
        return _unit(self._kept(path, lambda: self._compute(path)))

    def read_ahead(self, paths: Iterable[Path]) -> None:
        """Prepare recordings that :meth:`embed_many` will be asked for and does not know; in another thread."""
        for path in paths:
            with contextlib.suppress(ItemError):
                try:
                    self._kept(path, _not_kept)
                except _NotKept:
                    if path not in self._read:
                        self._read[path] = self.prepare(path)

    def embed_many(self, paths: Iterable[Path]) -> dict[Path, NDArray[np.float64]]:
        """Embed many recordings, with the network working on all of them together; cosines move by less than 1e-6.

        Returns:
            A vector per recording; those that can't be embedded are left out (:meth:`embed` says why).
        """
        found: dict[Path, NDArray[np.float64]] = {}
        prepared: dict[Path, Any] = {}
        for path in dict.fromkeys(paths):
            read = self._read.pop(path, None)
            with contextlib.suppress(ItemError):
                try:
                    found[path] = _unit(self._kept(path, _not_kept))
                except _NotKept:
                    prepared[path] = self.prepare(path) if read is None else read
        if prepared:
            for path, vector in zip(prepared, self.embed_prepared(list(prepared.values())), strict=True):
                if vector.any():
                    found[path] = _unit(self._kept(path, partial(dict, embedding=vector)))
        return found

    def _kept(self, path: Path, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        if not path.is_file():
            raise ItemError(f"{path}: no such file")
        return self.cache.get(self.kind, path, parameters(self.name), compute)

    def _compute(self, path: Path) -> dict[str, Any]:
        [vector] = self.embed_prepared([self.prepare(path)])
        if not vector.any():
            raise ItemError(f"{path}: its speaker embedding is zero; listen to the file")
        return {"embedding": vector}


def _not_kept() -> Mapping[str, Any]:
    raise _NotKept


def _unit(found: Mapping[str, Any]) -> NDArray[np.float64]:
    vector = np.asarray(found["embedding"], dtype=np.float64)
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit


def levelled_speech(path: Path) -> Waveform:
    """Read a recording at 16 kHz, cut to what lies between its first and last speech, the speech brought to -22 dB.

    Neither gain nor padding moves it. What is made once serves all encoders that ask for it.

    Raises:
        ItemError: it can't be read or no speech is found in it.
    """
    wave = audio.shared(path, _SAMPLE_RATE)

    def make() -> Waveform:
        speech = BY_LEVEL.require(wave, str(path))
        gain = np.float32(10.0 ** (_SPEECH_LEVEL_DB / 20.0) / speech.level)
        return Waveform(speech.cut(wave).samples * gain, _SAMPLE_RATE)

    return audio.once(wave, "levelled speech", make)


class FiledEncoder(SpeakerEncoder):
    """An encoder whose weights come from one file: the one that a variable names, else the one that is filed.

    A subclass says which file, and the variable that names another place of it.
    """

    #: The file of its weights.
    file: ClassVar[WeightFile]
    #: Environment variable that names the file.
    variable: ClassVar[str]

    @classmethod
    def checkpoint(cls) -> Path:
        """Find the checkpoint.

        Raises:
            UsageError: it is not there.
        """
        given = os.environ.get(cls.variable)
        if not given:
            return store.find(cls.file)
        return _existing(Path(given), cls.variable, cls.title)

    @classmethod
    def identity(cls) -> str:
        """Name the encoder and its weights: ``dvector-<start of the file's SHA-256>``."""
        return f"{cls.kind}-{file_digest(cls.checkpoint())[:8]}"


class DvectorEncoder(FiledEncoder):
    """The d-vector network of yistLin, 256 values; cosines lie in -1 to 1.

    The checkpoint is the file that $VCEVAL_DVECTOR names, else the one that ``vceval checkpoints add`` has filed.
    MediumVC gives this network's vector of the target to its converter, so it favours MediumVC.
    """

    kind: ClassVar[str] = "dvector"
    title: ClassVar[str] = "d-vector"
    front_end: ClassVar[str] = "sr:16000-sox|level:peak-3dB|vad:sox-silence-1%"
    files: ClassVar[tuple[WeightFile, ...]] = (DVECTOR,)
    file: ClassVar[WeightFile] = DVECTOR
    variable: ClassVar[str] = "VCEVAL_DVECTOR"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording as log-mel frames (t, 40).

        Raises:
            ItemError: it can't be read or nothing in it is loud enough.
        """
        from vceval.networks.dvector_features import dvector_frames

        frames = dvector_frames(audio.shared(path))
        if not len(frames):
            raise ItemError(f"{path}: holds no 0.1 s above 1 % of its peak level at -3 dB; listen to the file")
        return frames

    def embed_prepared(self, prepared: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Embed log-mel frames; the windows of all recordings go through the network together."""
        network = _dvector(self.checkpoint(), self.device)
        found: list[NDArray[np.float32]] = network.embed(prepared, 32 if self.device == "cpu" else 1024)
        return found


class CamPlusPlusEncoder(FiledEncoder):
    """CAM++ of 3D-Speaker, 192 values, behind levelled speech; cosines lie in -1 to 1.

    The checkpoint is the file that $VCEVAL_CAMPPLUS names, else the one that ``vceval checkpoints add`` has filed. Its
    authors feed recordings as they are: 20 dB less then gives another vector, with a cosine of 0.98 to the first. So
    recordings are levelled here.

    Source: Wang, Zheng, Chen, Cheng, Chen, "CAM++: A fast and efficient network for speaker verification using
    context-aware masking", Interspeech 2023.
    """

    kind: ClassVar[str] = "campplus"
    title: ClassVar[str] = "CAM++"
    front_end: ClassVar[str] = LEVELLED
    files: ClassVar[tuple[WeightFile, ...]] = (CAMPPLUS,)
    file: ClassVar[WeightFile] = CAMPPLUS
    variable: ClassVar[str] = "VCEVAL_CAMPPLUS"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording as filterbank frames (t, 80) of its levelled speech.

        Raises:
            ItemError: it can't be read, no speech is found in it, or less than 45 ms.
        """
        from vceval.networks.campplus_features import LEAST, frames

        speech = levelled_speech(path).samples
        if len(speech) < LEAST:
            raise ItemError(f"{path}: holds {len(speech) / _SAMPLE_RATE:.3f} s of speech, and CAM++ needs 0.045 s")
        return frames(speech)

    def embed_prepared(self, prepared: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Embed filterbank frames; on a device those of like length together, and nothing leaks between them."""
        from vceval.networks.campplus import embed

        network = _campplus(self.checkpoint(), self.device)
        return embed(network, prepared, self.device, 1 if self.device == "cpu" else 16)


class WavLmSvEncoder(FiledEncoder):
    """WavLM-Large with an ECAPA-TDNN (UniSpeech), 256 values, on what lies between the first and the last speech.

    The checkpoint is the file that $VCEVAL_WAVLM_SV names, else the one that ``vceval checkpoints add`` has filed. It
    is another one than ``WavLM-Large.pt``, of which it was made. The network takes the level off itself.

    Source: Chen et al., "Large-scale self-supervised speech representation learning for automatic speaker
    verification", ICASSP 2022.
    """

    kind: ClassVar[str] = "wavlm"
    title: ClassVar[str] = "WavLM-SV"
    relatives: ClassVar[Mapping[str, str]] = {"wavlm-large": "WavLM-Large, of which this encoder was made"}
    front_end: ClassVar[str] = LEVELLED
    files: ClassVar[tuple[WeightFile, ...]] = (WAVLM_SV,)
    file: ClassVar[WeightFile] = WAVLM_SV
    variable: ClassVar[str] = "VCEVAL_WAVLM_SV"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording at 16 kHz, cut to its speech.

        Raises:
            ItemError: it can't be read, no speech is found in it, or less than 45 ms.
        """
        return self._enough(path, levelled_speech(path).samples)

    def _enough(self, path: Path, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        from vceval.networks.wavlm_sv import LEAST

        if len(samples) < LEAST:
            raise ItemError(f"{path}: holds {len(samples) / _SAMPLE_RATE:.3f} s, and WavLM-SV needs 0.045 s")
        return samples

    def embed_prepared(self, prepared: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Embed recordings one by one: padding would count in every statistic."""
        from vceval.networks.wavlm_sv import embed

        return embed(_wavlm_sv(self.checkpoint(), self.device), prepared, self.device)


class SeedTtsEncoder(WavLmSvEncoder):
    """The same network on whole recordings, resampled as seed-tts-eval does."""

    front_end: ClassVar[str] = "sr:16000-sinc6|level:none|vad:none"

    @classmethod
    def identity(cls) -> str:
        """Name the encoder, its weights and that recordings are whole: ``wavlm-51f07e3b-whole``."""
        return f"{super().identity()}-whole"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording, whole, at 16 kHz.

        Raises:
            ItemError: it can't be read, or is shorter than 45 ms.
        """
        from vceval.networks.wavlm_sv_features import resampled

        wave = audio.shared(path)
        return self._enough(path, resampled(wave.samples, wave.sample_rate))


class EcapaEncoder(SpeakerEncoder):
    """SpeechBrain's ECAPA-TDNN trained on VoxCeleb, 192 values; cosines lie in -1 to 1.

    The weights are ``embedding_model.ckpt`` in the folder that $VCEVAL_ECAPA names, else in
    ``ecapa`` in the folder of checkpoints. The network is built here with the published sizes; no settings file of
    the folder is run.

    Source: Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN: Emphasized channel attention, propagation and aggregation
    in TDNN based speaker verification", Interspeech 2020.
    """

    kind: ClassVar[str] = "ecapa"
    title: ClassVar[str] = "ECAPA-TDNN"
    front_end: ClassVar[str] = "sr:16000|level:none|vad:none"

    @classmethod
    def checkpoint(cls) -> Path:
        """Find the weights.

        Raises:
            UsageError: they are not there.
        """
        given = os.environ.get("VCEVAL_ECAPA")
        folder = Path(given) if given else store.store() / "ecapa"
        return _existing(folder / "embedding_model.ckpt", "VCEVAL_ECAPA", f"ECAPA-TDNN, published at {_ECAPA}")

    @classmethod
    def identity(cls) -> str:
        """Name the encoder and its weights: ``ecapa-<start of the file's SHA-256>``."""
        return f"ecapa-{file_digest(cls.checkpoint())[:8]}"

    def __init__(self, cache: Cache, device: str = "cpu") -> None:
        super().__init__(cache, device)
        _speechbrain()  # complains now and not at the first recording

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording at 16 kHz.

        Raises:
            ItemError: it can't be read.
        """
        return audio.shared(path, 16_000).samples

    def embed_prepared(self, prepared: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Embed recordings one by one: padding would change the statistics that are pooled over time."""
        import torch

        features, normalise, network = _ecapa(self.checkpoint(), self.device)
        found: list[NDArray[np.float32]] = []
        for samples in prepared:
            with torch.inference_mode():
                wave = torch.tensor(samples)[None].to(self.device)
                length = torch.ones(1, device=self.device)
                vector = network(normalise(features(wave), length), length)[0, 0].cpu().numpy()
            found.append(vector / max(float(np.linalg.norm(vector)), 1e-12))
        return found


def _existing(path: Path, variable: str, what: str) -> Path:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it should hold the weights of {what}; put it there or set ${variable}")
    return path


@functools.cache
def _dvector(path: Path, device: str) -> Any:
    from vceval.networks.dvector import load

    return load(path, device)


@functools.cache
def _campplus(path: Path, device: str) -> Any:
    import torch

    torch.set_num_threads(1)
    return CAMPPLUS.load(path, device)


@functools.cache
def _wavlm_sv(path: Path, device: str) -> Any:
    import torch

    torch.set_num_threads(1)
    return WAVLM_SV.load(path, device)


def _speechbrain() -> tuple[Any, Any, Any]:
    """Import the classes of the features, their normalisation and the network."""
    try:
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        from speechbrain.processing.features import InputNormalization
    except (ImportError, OSError) as error:  # OSError: torchaudio's libraries want CUDA where torch has none
        raise UsageError(
            f"SpeechBrain can't be imported ({error}); install it with: pip install 'vceval[speechbrain]'. Where torch "
            "is a CPU build, torchaudio must be one too, or be without its compiled libraries (torchaudio/lib)"
        ) from error
    return Fbank, InputNormalization, ECAPA_TDNN


@functools.cache
def _ecapa(path: Path, device: str) -> tuple[Any, Any, Any]:
    """Build SpeechBrain's features, their mean normalisation and the network, with the sizes of the published model."""
    import torch

    fbank, normalisation, ecapa_tdnn = _speechbrain()
    torch.set_num_threads(1)
    network = ecapa_tdnn(
        80,
        channels=[1024, 1024, 1024, 1024, 3072],
        kernel_sizes=[5, 3, 3, 3, 1],
        dilations=[1, 2, 3, 4, 1],
        attention_channels=128,
        lin_neurons=192,
    )
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    except Exception as error:  # torch raises all kinds of errors for damaged files
        raise UsageError(f"{path}: these are no weights of ECAPA-TDNN ({type(error).__name__}: {error})") from error
    features, normalise = fbank(n_mels=80), normalisation(norm_type="sentence", std_norm=False)
    return features.to(device).eval(), normalise.to(device).eval(), network.to(device).eval()
