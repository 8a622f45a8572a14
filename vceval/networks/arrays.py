"""Reading files of NumPy arrays and JSON that other people made: a pickle may hold arrays and nothing else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_arrays", "read_json"]

#: All that rebuilding an array needs. NumPy 2 renamed its module; files of both ages are read.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("_codecs", "encode"),  # how protocol 2 writes bytes
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        if module.startswith("numpy.core"):
            module = module.replace("numpy.core", "numpy._core")
        return super().find_class(module, name)


def read_arrays(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float64]]:
    """Read named arrays from a pickled dictionary, ``.npz``, or one array from ``.npy``.

    Args:
        path: the file. A pickle may build NumPy arrays only; whatever else it asks for is refused, not run.
        wanted: name and shape of each array. A ``.npy`` file holds the only one.

    Returns:
        The wanted arrays in double precision.

    Raises:
        UsageError: no such file, damaged, hostile, or an array is missing, misshapen or not finite.
    """
    import numpy as np

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        start = path.open("rb").read(6)
        if start.startswith(b"\x93NUMPY"):
            content: Any = {next(iter(wanted)): np.load(path, allow_pickle=False)}
        elif start.startswith(b"PK"):
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
        else:
            with path.open("rb") as handle:
                content = _ArrayUnpickler(handle, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: refused, it is no plain pickle of NumPy arrays (it asks for {error}); nothing in it was run"
        ) from error
    except Exception as error:  # damaged pickles and archives raise all kinds of errors
        raise UsageError(f"{path}: can't be read as arrays ({type(error).__name__}: {error})") from error
    if not isinstance(content, Mapping):
        raise UsageError(f"{path}: holds a {type(content).__name__}, not arrays by name")
    found = {}
    for name, shape in wanted.items():
        if name not in content:
            raise UsageError(f"{path}: has no array {name!r}; it holds {', '.join(map(str, content)) or 'nothing'}")
        array = np.asarray(content[name])
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise UsageError(f"{path}: array {name!r} is {array.dtype} of shape {array.shape}, not numbers of {shape}")
        if not np.isfinite(array).all():
            raise UsageError(f"{path}: array {name!r} holds values that are not finite; the file is damaged")
        found[name] = array.astype(np.float64)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        UsageError: no such file, or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: holds a {type(content).__name__}, not a table of settings")
    return content
