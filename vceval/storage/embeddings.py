"""Where speaker embeddings are kept in the cache: metrics put them there, and the report draws its map from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import ItemError
from vceval.storage.cache import Cache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["known", "parameters"]


class _Unknown(Exception):
    """The cache does not hold what is asked for."""


def parameters(encoder: str) -> Mapping[str, Any]:
    """What determines an embedding besides the recording: the encoder's name, which holds its weights' hash."""
    return {"encoder": encoder, "version": 1}


def known(cache: Cache, encoder: str, recording: Path) -> NDArray[np.float64] | None:
    """Look up the embedding of a recording, of length 1; None where the cache does not hold it.

    ``encoder`` is a name such as ``resemblyzer-0.1.4-39373b86``; its first part is the kind of the cache's entries.
    """
    import numpy as np

    def unknown() -> Mapping[str, Any]:
        raise _Unknown

    try:
        found = cache.get(encoder.split("-")[0], recording, parameters(encoder), unknown)
    except (_Unknown, ItemError, OSError):
        return None
    vector = np.asarray(found["embedding"], dtype=np.float64)
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
