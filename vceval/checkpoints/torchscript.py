"""Reading the tensors of a TorchScript archive, or of one of torch.save in a late protocol, without running its code.

The archive's table of attributes is a pickle. It is read by an unpickler that builds descriptions only: which values
of which storage a tensor is made of. The tensors are made of them afterwards, each checked against what the archive
holds. So an archive whose operators no longer exist can be read as well.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from vceval.checkpoints import pickles

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["is_script", "late_pickle", "read_archive", "read_saved"]

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
        if module == "torch.jit._pickle" and name in ("build_intlist", "build_doublelist", "build_boollist"):
            return lambda values=(), *_: values
        if module == "torch.jit._pickle" and name in ("build_tensorlist", "restore_type_tag"):
            return lambda value, *_: value
        raise pickle.UnpicklingError(f"global {module}.{name} is not allowed")

    def persistent_load(self, identity: Any) -> _Storage:
        kind, dtype, key, _device, count = identity
        if kind != "storage":
            raise pickle.UnpicklingError(f"global of kind {kind!r} is not allowed")
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
    reader = _Reader(archive, root)
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
    return _Reader(archive, root).made(_Unpickler(io.BytesIO(content)).load())


class _Reader:
    """Makes tensors of their descriptions."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        self.found: OrderedDict[str, Any] = OrderedDict()
        self._archive, self._root = archive, root
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
            content = self._archive.read(f"{self._root}/data/{key}")
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
