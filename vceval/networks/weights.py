"""Reading weight files of other people without running anything that is inside them, and loading them strictly.

Files of ``torch.save`` are read with ``weights_only=True``. TorchScript archives are not run either: their table of
attributes is read by an unpickler that knows tensors and plain containers only, so an archive whose operators no longer
exist can be read as well.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Difference", "ScriptObject", "differences", "load_strict", "read", "select", "shapes_of"]

#: Names that torch gives the two parts of a weight-normed weight since version 2.0, and those of the files.
_NORM_NAMES = (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v"))


class ScriptObject:
    """What a TorchScript archive says of one of its modules: the values of its attributes, no code."""

    def __init__(self, *_: Any) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.attributes = dict(state) if isinstance(state, Mapping) else {}


def read(path: Path) -> Any:
    """Read what a file of ``torch.save`` or TorchScript holds; tensors on the CPU.

    Returns:
        What was saved. Of a TorchScript archive, the tensors by their full names (an ``OrderedDict``); its
        plain attributes are under the key ``""`` as a dictionary.

    Raises:
        UsageError: no such file, damaged, or something in it is neither a tensor nor plain data.
    """
    import argparse

    import torch

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    return _script_weights(archive)
        # wav2vec_small.pt holds its training options as a Namespace, which is plain data
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: refused, it holds something other than weights and plain data, which could run code on loading "
            f"({_first_line(error)})"
        ) from error
    except Exception as error:  # torch and zipfile raise all kinds of errors for damaged files
        raise UsageError(f"{path}: can't be read as weights ({type(error).__name__}: {_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "global" in line]
    return (named or lines or ["no reason given"])[0][:300]


class _ScriptUnpickler(pickle.Unpickler):
    """Reads ``data.pkl`` of a TorchScript archive: tensors, plain containers, and modules as bags of attributes."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        import torch

        if module.startswith("__torch__"):
            return ScriptObject
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return getattr(torch, _STORAGES[name])
        if module == "torch.jit._pickle" and name in ("build_intlist", "build_doublelist", "build_boollist"):
            return list
        if module == "torch.jit._pickle" and name in ("build_tensorlist", "restore_type_tag"):
            return _untagged
        raise pickle.UnpicklingError(f"global {module}.{name} is not allowed")

    def persistent_load(self, identity: Any) -> Tensor:
        import torch

        kind, dtype, key, _device, count = identity
        if kind != "storage":
            raise pickle.UnpicklingError(f"global of kind {kind!r} is not allowed")
        if key not in self._storages:
            content = self._archive.read(f"{self._root}/data/{key}")
            values = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
            if values.numel() < count:
                raise ValueError(f"tensor {key} is cut short: {values.numel()} of {count} values")
            self._storages[key] = values
        return self._storages[key]


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


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _untagged(value: Any, *_: Any) -> Any:
    return value


def _script_weights(archive: zipfile.ZipFile) -> OrderedDict[str, Any]:
    root = next(name for name in archive.namelist() if name.endswith("/constants.pkl")).split("/", 1)[0]
    top = _ScriptUnpickler(archive, root).load()
    if not isinstance(top, ScriptObject):
        raise ValueError("the archive holds no module")
    found: OrderedDict[str, Any] = OrderedDict()
    _collect(top, "", found)
    found[""] = {
        name: value
        for name, value in top.attributes.items()
        if isinstance(value, bool | int | float | str) and not name.startswith("_")
    }
    return found


def _collect(module: ScriptObject, prefix: str, found: OrderedDict[str, Any]) -> None:
    import torch

    for name, value in module.attributes.items():
        if isinstance(value, torch.Tensor):
            found[prefix + name] = value
        elif isinstance(value, ScriptObject):
            _collect(value, f"{prefix}{name}.", found)


def select(
    content: Any,
    entry: Iterable[str] = (),
    groups: Iterable[str] = (),
    prefix: str = "",
    ignored: Iterable[str] = (),
) -> dict[str, Tensor]:
    """Take the weights of one network out of what a file holds.

    Args:
        content: what :func:`read` returned.
        entry: keys that lead to the weights, one inside the other.
        groups: names of dictionaries there whose weights belong together; each key then starts with its group's name.
        prefix: start of every key, cut off.
        ignored: starts of keys that this use of the file has no need of.

    Raises:
        UsageError: the file is laid out otherwise; what it holds is said.
    """
    import torch

    place = content
    for name in entry:
        if not isinstance(place, Mapping) or name not in place:
            raise UsageError(f"it has no entry {name!r}; it holds {_summary(place)}")
        place = place[name]
    parts: list[tuple[str, Any]] = [("", place)]
    wanted = tuple(groups)
    if wanted:
        if not isinstance(place, Mapping):
            raise UsageError(f"it has no entries {', '.join(wanted)}; it holds {_summary(place)}")
        missing = [name for name in wanted if name not in place]
        if missing:
            raise UsageError(f"it has no entry {', '.join(missing)}; it holds {_summary(place)}")
        parts = [(f"{name}.", place[name]) for name in wanted]
    weights: dict[str, Tensor] = {}
    skipped = tuple(ignored)
    for start, part in parts:
        if not isinstance(part, Mapping):
            raise UsageError(f"entry {start[:-1] or 'of the file'} is a {type(part).__name__}, no table of weights")
        for key, value in part.items():
            if not isinstance(value, torch.Tensor) or not isinstance(key, str):
                continue
            full = start + (key[len(prefix) :] if prefix and key.startswith(prefix) else key)
            for new, old in _NORM_NAMES:
                if full.endswith(new):
                    full = full[: -len(new)] + old
            if not full.startswith(skipped) if skipped else True:
                weights[full] = value
    if not weights:
        raise UsageError(f"it has no weights where they should be; it holds {_summary(content)}")
    return weights


def _summary(content: Any) -> str:
    if isinstance(content, Mapping):
        keys = [repr(key) for key in content]
        return f"{len(keys)} entries ({', '.join(keys[:6])}{', ...' if len(keys) > 6 else ''})"
    return f"a {type(content).__name__}"


class Difference:
    """How weights differ from what a network needs."""

    def __init__(self, missing: list[str], unexpected: list[str], reshaped: list[str]) -> None:
        self.missing, self.unexpected, self.reshaped = missing, unexpected, reshaped

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        parts = []
        for names, what in ((self.missing, "missing"), (self.unexpected, "not expected"), (self.reshaped, "misshapen")):
            if names:
                shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
                parts.append(f"{len(names)} {what}: {shown}")
        return "; ".join(parts)


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Give the shape of every tensor."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def differences(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> Difference:
    """Compare names and shapes of weights with what a network needs."""
    return Difference(
        [name for name in wanted if name not in found],
        [name for name in found if name not in wanted],
        [
            f"{name} {found[name]} for {wanted[name]}"
            for name in wanted
            if name in found and found[name] != wanted[name]
        ],
    )


def load_strict(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> nn.Module:
    """Load weights into a network, every name and shape as published, and set it to inference.

    Raises:
        UsageError: a tensor is missing, superfluous, of another shape, or not finite.
    """
    import torch

    wrong = differences(shapes_of(weights), shapes_of(network.state_dict()))
    if wrong:
        raise UsageError(f"{what}: these are not the weights of {type(network).__name__}: {wrong}")
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UsageError(f"{what}: {name} holds values that are not finite; the file is damaged")
    network.load_state_dict(dict(weights), strict=True)
    network.requires_grad_(False)
    return network.eval()
