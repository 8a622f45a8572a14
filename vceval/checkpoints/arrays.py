"""Reading files of NumPy arrays and JSON that other people made: a pickle may hold arrays and nothing else.

NumPy's own functions for unpickling trust what they are given: a made-up type can pass numbers for objects. So they are
not used here. Small classes of this module stand for them, which keep the type's code, the shape and the bytes, and
arrays are made of these afterwards.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vceval.checkpoints import containers, pickles
from vceval.errors import UsageError
from vceval.storage.paths import no_such_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PlainArray", "PlainType", "latin1", "read_arrays", "read_json", "scalar"]

#: Bytes of the largest file that is looked into; files of arrays have a few thousand.
_LARGEST = 1 << 26


class PlainType:
    """The type of an array's values: real numbers and truth values only."""

    def __init__(self, code: Any, *_: Any) -> None:
        found = re.fullmatch(r"([<>=|]?)([fiub][1248])", code) if isinstance(code, str) else None
        if found is None:
            raise pickle.UnpicklingError(f"arrays of {str(code)[:40]}")
        self.order, self.code = found[1], found[2]

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subtype, names, fields, ...): numbers have no parts
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "=", "|") or any(state[2:5]):
            raise pickle.UnpicklingError("arrays of made-up types")
        self.order = state[1]

    def values(self, raw: Any, shape: Any, order: str) -> np.ndarray[Any, Any]:
        """Make the array.

        Raises:
            ValueError: bytes and shape do not fit.
        """
        import numpy as np

        if isinstance(raw, str):
            raw = raw.encode("latin1")  # pickles of Python 2
        kind = np.dtype(self.order + self.code)
        if not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple | list):
            raise ValueError("an array has no values")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("an array has no proper shape")
        if math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array of {len(raw)} bytes claims the shape {tuple(shape)} of {kind}")
        return np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")


class PlainArray:
    """An array that is being read: empty, then given its state."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def array(self) -> np.ndarray[Any, Any]:
        """Make the array.

        Raises:
            ValueError: it was given no state, or one that contradicts itself.
        """
        if len(self.state) < 4:
            raise ValueError("an array has no values")
        shape, kind, columns, raw = self.state[-4:]
        if not isinstance(kind, PlainType):
            raise ValueError("an array has no type")
        return kind.values(raw, shape, "F" if columns else "C")


def scalar(kind: Any, raw: Any = b"", *_: Any) -> Any:
    """Make a single number; 0 where there are no bytes."""
    if not isinstance(kind, PlainType):
        raise pickle.UnpicklingError("numbers of made-up types")
    return kind.values(raw, (), "C").item() if raw else 0


def _frombuffer(raw: Any, kind: Any, shape: Any, order: Any, *_: Any) -> PlainArray:
    made = PlainArray()
    made.state = (1, shape, kind, order == "F", raw)
    return made


def latin1(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    """How protocol 2 writes bytes; other encodings have no business here."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {str(encoding)[:20]}")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # New functions each time: a pickle can put attributes on a function, which must not stay. It can't on a class
        # that has __setstate__.
        # NumPy 2 renamed its module; files of both ages are read
        where = module.replace("numpy._core", "numpy.core")
        if (where, name) in (("numpy", "ndarray"), ("numpy.core.multiarray", "_reconstruct")):
            return PlainArray
        if (where, name) == ("numpy", "dtype"):
            return PlainType
        if (where, name) == ("numpy.core.multiarray", "scalar"):
            return lambda *given: scalar(*given)
        if (where, name) == ("numpy.core.numeric", "_frombuffer"):
            return lambda *given: _frombuffer(*given)
        if (where, name) == ("_codecs", "encode"):
            return lambda *given: latin1(*given)
        raise pickle.UnpicklingError(f"{module}.{name}")


def read_arrays(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float64]]:
    """Read named arrays from a pickled dictionary, ``.npz``, or one array from ``.npy``.

    Args:
        path: the file. A pickle may build NumPy arrays of numbers only; whatever else it asks for is refused, not run.
        wanted: name and shape of each array. A ``.npy`` file holds the only one.

    Returns:
        The wanted arrays in double precision.

    Raises:
        UsageError: no such file, damaged, hostile, or an array is missing, misshapen or not finite.
    """
    import numpy as np

    if not path.is_file():
        raise UsageError(no_such_file(path))
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path}: has {path.stat().st_size:,} bytes, far too many for a file of such arrays")
    try:
        content = _content(path, wanted)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except pickle.UnpicklingError as error:
        message = containers.what_it_is(path) if "load key" in str(error) else None
        raise message or UsageError(
            f"{path}: refused, it is no plain pickle of NumPy arrays (it asks for {error}); nothing in it was run"
        ) from error
    except Exception as error:  # damaged pickles and archives raise all kinds of errors
        raise containers.what_it_is(path) or UsageError(
            f"{path}: can't be read as arrays ({type(error).__name__}: {str(error)[:300]})"
        ) from error
    found = {}
    for name, shape in wanted.items():
        if name not in content:
            held = ", ".join(str(key)[:40] for key in list(content)[:8] if isinstance(key, str))
            raise UsageError(f"{path}: has no array {name!r}; it holds {held or 'nothing by name'}")
        array = content[name]
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise UsageError(f"{path}: array {name!r} is {array.dtype} of shape {array.shape}, not numbers of {shape}")
        if not np.isfinite(array).all():
            raise UsageError(f"{path}: array {name!r} holds values that are not finite; the file is damaged")
        found[name] = array.astype(np.float64)
    return found


def _content(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> Mapping[Any, Any]:
    """Read arrays by name; what is no array is left out."""
    import numpy as np

    with path.open("rb") as handle:
        start = handle.read(6)
        handle.seek(0)
        if start.startswith(b"\x93NUMPY"):
            name, shape = next(iter(wanted.items()))
            return {name: _npy(handle, shape)}
        if start.startswith(b"PK"):
            with zipfile.ZipFile(handle) as archive:
                containers.check_zip(archive, path.stat().st_size)
                held = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
                found: dict[str, Any] = dict.fromkeys(held)
                for name in held.keys() & wanted.keys():
                    with archive.open(held[name]) as inner:
                        found[name] = _npy(inner, wanted[name])
                return found
        pickled = handle.read()
    pickles.check(pickled)
    content = _ArrayUnpickler(io.BytesIO(pickled), encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not arrays by name")
    made = {}
    for name, value in content.items():
        if isinstance(value, PlainArray):
            made[name] = value.array()
        elif isinstance(value, bool | int | float):
            made[name] = np.asarray(value)
    return made


def _npy(handle: IO[bytes], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Read an array of NumPy's own format; before its values, what it says of itself."""
    from numpy.lib import format as layout

    version = layout.read_magic(handle)
    header = {(1, 0): layout.read_array_header_1_0, (2, 0): layout.read_array_header_2_0}.get(version)
    if header is None:
        raise ValueError(f"it is of version {version} of NumPy's format")
    stored, columns, kind = header(handle)
    if stored != shape or kind.kind not in "fiu":
        raise UsageError(f"the array is {kind} of shape {stored}, not numbers of {shape}")
    raw = handle.read(math.prod(stored) * kind.itemsize)
    return PlainType(kind.str.lstrip("|")).values(raw, stored, "F" if columns else "C")


def read_json(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        UsageError: no such file, or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: holds a {type(content).__name__}, not a table of settings")
    return content
