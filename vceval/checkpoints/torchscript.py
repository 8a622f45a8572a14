"""Reading the tensors of a TorchScript archive, or a file of torch.save in a late protocol, without running its code.

The archive's table of attributes is a pickle. It is read by an unpickler that builds descriptions only: which values
of which storage a tensor is made of. The tensors are made of them afterwards, each checked against what the archive
holds. So an archive whose operators no longer exist can be read as well.
"""

from __future__ import annotations

import argparse
import io
import math
import mmap
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.checkpoints import arrays, pickles

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["is_late_and_old", "is_script", "late_pickle", "read_archive", "read_old", "read_saved"]

_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
#: More modules than any network has; an archive can name one module twice as often at every level.
_MOST = 100_000
#: Tables inside each other; files of weights have two or three.
_DEPTH = 20
#: More values than any tensor of weights has.
_LARGEST = 1 << 36
#: The first objects of a file of torch.save that is no archive: a number, and the version of the form.
_OLD = (0x1950A86A20F9469CFC6C, 1001)


class _Module:
    """What an archive says of one of its modules: the values of its attributes, no code."""

    attributes: dict[Any, Any]

    def __new__(cls, *_: Any) -> _Module:
        """Make one without attributes; pickles need not give it any."""
        made = super().__new__(cls)
        made.attributes = {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}  # no copy: many modules can be given one table


class _Storage:
    """Where values lie: the type of a value, the name in the archive, how many they are."""

    __slots__ = ("count", "dtype", "key")

    def __init__(self, dtype: Any, key: Any, count: Any) -> None:
        self.dtype, self.key, self.count = dtype, key, count


class _Stored:
    """A tensor: a storage, and which of its values."""

    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any) -> None:
        super().__init__(file)
        #: Types of values by the name of their storage.
        self.kinds: dict[Any, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        # New functions each time: a pickle can put attributes on a function or class, which must not stay. It can't on
        # a class that has __setstate__, nor on those of Python
        if module.startswith("__torch__"):
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *given: _Stored(*given)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda value, *_: value
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("argparse", "Namespace"):  # the options of a training
            return type(name, (argparse.Namespace,), {})
        if (module, name) == ("numpy", "dtype"):
            return arrays.PlainType
        if (module.replace("numpy._core", "numpy.core"), name) == ("numpy.core.multiarray", "scalar"):
            return lambda *given: arrays.scalar(*given)
        if (module, name) == ("_codecs", "encode"):
            return lambda *given: arrays.latin1(*given)
        if module == "torch.jit._pickle" and name in ("build_intlist", "build_doublelist", "build_boollist"):
            return lambda values=(), *_: values
        if module == "torch.jit._pickle" and name in ("build_tensorlist", "restore_type_tag"):
            return lambda value, *_: value
        raise pickle.UnpicklingError(f"global {module}.{name} is not allowed")

    def persistent_load(self, identity: Any) -> _Storage:
        kind, dtype, key, _device, count, *view = identity
        if kind != "storage":
            raise pickle.UnpicklingError(f"global of kind {kind!r} is not allowed")
        if view not in ([], [None]):
            raise ValueError("storages are parts of others, as torch before 0.4 wrote them")
        self.kinds[key] = dtype
        return _Storage(dtype, key, count)


def is_script(archive: zipfile.ZipFile) -> bool:
    """Whether an archive is one of TorchScript."""
    return bool(_roots(archive))


def _roots(archive: zipfile.ZipFile) -> list[str]:
    return [
        name.split("/")[0] for name in archive.namelist() if name.count("/") == 1 and name.endswith("/constants.pkl")
    ]


def read_archive(archive: zipfile.ZipFile) -> OrderedDict[str, Any]:
    """Read the tensors by their full names; plain attributes of the archive are under the key ``""``.

    Raises:
        pickle.UnpicklingError: it asks for something other than modules, tensors and plain data.
        UsageError: it asks for more memory than its length explains.
        ValueError: it contradicts itself, or holds no module.
    """
    root = _roots(archive)[0]
    content = archive.read(f"{root}/data.pkl")
    pickles.check(content)
    top = _Unpickler(io.BytesIO(content)).load()
    if not isinstance(top, _Module):
        raise ValueError("the archive holds no module")
    reader = _Reader(_within(archive, root))
    reader.collect(top, "")
    reader.found[""] = {
        name: value
        for name, value in top.attributes.items()
        if isinstance(name, str) and isinstance(value, bool | int | float | str) and not name.startswith("_")
    }
    return reader.found


def late_pickle(archive: zipfile.ZipFile) -> str:
    """Name the root of an archive of torch.save whose pickle is of protocol 3 or later, which torch refuses."""
    names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if not names:
        return ""
    with archive.open(names[0]) as pickled:
        start = pickled.read(2)
    return names[0].split("/")[0] if start[:1] == b"\x80" and start[1:] > b"\x02" else ""


def read_saved(archive: zipfile.ZipFile, root: str) -> Any:
    """Read what was saved: tables, lists and plain values, their tensors made.

    Raises:
        pickle.UnpicklingError: it asks for something other than tensors and plain data.
        UsageError: it asks for more memory than its length explains.
        ValueError: it contradicts itself.
    """
    content = archive.read(f"{root}/data.pkl")
    pickles.check(content)
    return _Reader(_within(archive, root)).made(_Unpickler(io.BytesIO(content)).load())


def is_late_and_old(path: Path) -> bool:
    """Whether a file of torch.save is no archive, and its pickles are of protocol 3 or later, which torch refuses."""
    with path.open("rb") as handle:
        start = handle.read(64)
    number = _OLD[0].to_bytes(10, "little")
    return start[:1] == b"\x80" and b"\x02" < start[1:2] <= b"\x05" and number in start


def read_old(path: Path) -> Any:
    """Read what was saved in a file that is no archive: five pickles, then the values of each storage.

    Raises:
        pickle.UnpicklingError, UsageError, ValueError: as :func:`read_saved`.
    """
    import torch

    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:

        def following() -> tuple[Any, dict[Any, Any]]:
            pickles.check(content, content.tell())
            reader = _Unpickler(content)
            return reader.load(), reader.kinds

        (number, _), (version, _), (system, _) = following(), following(), following()
        if (number, version) != _OLD or not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("the file is of another form, or from a machine of another byte order")
        (saved, kinds), (keys, _) = following(), following()
        if not isinstance(keys, list) or not all(isinstance(kinds.get(key), str) for key in keys):
            raise ValueError("the file has values of no known kind")
        places: dict[str, slice] = {}
        for key in keys:
            size = int.from_bytes(content.read(8), "little") * getattr(torch, kinds[key]).itemsize
            there = len(content) - content.tell()
            if size > there:
                raise ValueError(f"tensor {key} is cut short: {there} of {size} bytes")
            places[key] = slice(content.tell(), content.tell() + size)
            content.seek(size, 1)
        return _Reader(lambda key: content[places[key]]).made(saved)


def _within(archive: zipfile.ZipFile, root: str) -> Callable[[str], bytes]:
    """Read the values of a storage from an archive."""
    return lambda key: archive.read(f"{root}/data/{key}")


class _Reader:
    """Makes tensors of their descriptions."""

    def __init__(self, values_of: Callable[[str], bytes]) -> None:
        self.found: OrderedDict[str, Any] = OrderedDict()
        self._values_of = values_of
        self._values: dict[tuple[str, str], Tensor] = {}
        self._modules = 0

    def collect(self, module: _Module, prefix: str) -> None:
        """Take the tensors of a module and of the modules in it."""
        self._modules += 1
        if self._modules > _MOST:
            raise ValueError(f"the archive has more than {_MOST} modules")
        for name, value in module.attributes.items():
            if not isinstance(name, str):
                raise ValueError("an attribute has no name")
            if isinstance(value, _Stored):
                self.found[prefix + name] = self._tensor(value, prefix + name)
            elif isinstance(value, _Module):
                self.collect(value, f"{prefix}{name}.")

    def made(self, value: Any, depth: int = 0) -> Any:
        """Give a value with tensors for their descriptions."""
        self._modules += 1
        if self._modules > _MOST or depth > _DEPTH:
            raise ValueError(f"the archive has more than {_MOST:,} values, or tables more than {_DEPTH} deep")
        if isinstance(value, _Stored):
            return self._tensor(value, "a tensor")
        if isinstance(value, dict):
            return {key: self.made(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.made(one, depth + 1) for one in value)
        return value

    def _tensor(self, stored: _Stored, name: str) -> Tensor:
        storage = stored.storage
        if not isinstance(storage, _Storage):
            raise ValueError(f"{name} has no values")
        size, stride = _numbers(stored.size, name), _numbers(stored.stride, name)
        (offset,) = _numbers((stored.offset,), name)
        values = self._storage(storage, name)
        count = math.prod(size)
        # One value can stand for many (stride 0); nothing is allocated, but shapes without end are no weights
        reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1
        if count > _LARGEST or (count and reach > values.numel()):
            raise ValueError(f"{name} claims values that are not there")
        return values.as_strided(size, stride, offset)

    def _storage(self, storage: _Storage, name: str) -> Tensor:
        import torch

        key, dtype = storage.key, storage.dtype
        if not isinstance(key, str) or dtype not in _STORAGES.values():
            raise ValueError(f"{name} has values of no known kind")
        (count,) = _numbers((storage.count,), name)
        if (key, dtype) not in self._values:
            content = self._values_of(key)
            kind = getattr(torch, dtype)
            values = torch.frombuffer(bytearray(content), dtype=kind) if content else torch.empty(0, dtype=kind)
            if values.numel() < count:
                raise ValueError(f"tensor {key} is cut short: {values.numel()} of {count} values")
            self._values[key, dtype] = values
        return self._values[key, dtype]


def _numbers(values: Any, name: str) -> tuple[int, ...]:
    """Make sure that a tensor's size, stride or place is made of whole numbers, none below 0."""
    if not isinstance(values, tuple | list) or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{name} has no proper shape")
    return tuple(values)
