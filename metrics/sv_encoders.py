"""Speaker encoders, recordings in and unit vectors out: their contract, and two whose weights come from files.

yistLin's d-vector and SpeechBrain's ECAPA-TDNN stand here; :mod:`vceval.metrics.sv_resemblyzer` has the default.
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
from vceval.checkpoints.known_files import DVECTOR
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.storage.cache import Cache, file_digest
from vceval.storage.embeddings import parameters

__all__ = ["DvectorEncoder", "EcapaEncoder", "SpeakerEncoder"]

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
    #: What is done to a recording before it is embedded, as signatures put it.
    front_end: ClassVar[str]
    #: Conversions whose recordings are best embedded together on a processor; 1 where vectors would move by it.
    together: ClassVar[int] = 1

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


class DvectorEncoder(SpeakerEncoder):
    """The d-vector network of yistLin, 256 values; cosines lie in -1 to 1.

    The checkpoint is the file that $VCEVAL_DVECTOR names, else the one that ``vceval checkpoints add`` has filed.
    MediumVC gives this network's vector of the target to its converter, so it favours MediumVC.
    """

    kind: ClassVar[str] = "dvector"
    front_end: ClassVar[str] = "sr:16000-sox|level:peak-3dB|vad:sox-silence-1%"

    @classmethod
    def checkpoint(cls) -> Path:
        """Find the checkpoint.

        Raises:
            UsageError: it is not there.
        """
        given = os.environ.get("VCEVAL_DVECTOR")
        if given:
            return _existing(Path(given), "VCEVAL_DVECTOR", "the d-vector network")
        return store.find(DVECTOR)

    @classmethod
    def identity(cls) -> str:
        """Name the encoder and its weights: ``dvector-<start of the file's SHA-256>``."""
        return f"dvector-{file_digest(cls.checkpoint())[:8]}"

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


class EcapaEncoder(SpeakerEncoder):
    """SpeechBrain's ECAPA-TDNN trained on VoxCeleb, 192 values; cosines lie in -1 to 1.

    The weights are ``embedding_model.ckpt`` in the folder that $VCEVAL_ECAPA names, else in
    ``ecapa`` in the folder of checkpoints. The network is built here with the published sizes; no settings file of
    the folder is run.

    Source: Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN: Emphasized channel attention, propagation and aggregation
    in TDNN based speaker verification", Interspeech 2020.
    """

    kind: ClassVar[str] = "ecapa"
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
