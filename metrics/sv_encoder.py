"""The contract of a speaker encoder: recordings in, unit vectors out, each computed once and kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.errors import ItemError
from vceval.storage.cache import Cache
from vceval.storage.embeddings import parameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SpeakerEncoder"]


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

    #: What it is called: its identity up to the first hyphen, and the folder of its embeddings in the cache.
    kind: ClassVar[str]
    #: What is done to a recording before it is embedded, as signatures put it.
    front_end: ClassVar[str]

    def __init__(self, cache: Cache, device: str = "cpu") -> None:
        self.cache, self.device, self.name = cache, device, self.identity()

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

    def embed_many(self, paths: Iterable[Path]) -> dict[Path, NDArray[np.float64]]:
        """Embed many recordings, with the network working on all of them together; cosines move by less than 1e-6.

        Returns:
            A vector per recording; those that can't be embedded are left out (:meth:`embed` says why).
        """
        found: dict[Path, NDArray[np.float64]] = {}
        missing: list[Path] = []
        for path in dict.fromkeys(paths):
            try:
                found[path] = _unit(self._kept(path, _not_kept))
            except _NotKept:
                missing.append(path)
            except ItemError:
                continue
        prepared = {}
        for path in missing:
            try:
                prepared[path] = self.prepare(path)
            except ItemError:
                continue
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
    import numpy as np

    vector = np.asarray(found["embedding"], dtype=np.float64)
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
