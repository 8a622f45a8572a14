"""Reading weight files of other people without running anything that is inside them, and loading them strictly.

Files of ``torch.save`` are read with ``weights_only=True``, those of safetensors hold no code, and TorchScript archives
are not run either (:mod:`vceval.checkpoints.torchscript`).
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.checkpoints import arrays, containers, torchscript
from vceval.errors import UsageError
from vceval.storage.paths import no_such_file

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "STARTS",
    "Difference",
    "differences",
    "fitted",
    "load_strict",
    "read",
    "select",
    "shapes_of",
    "without_values",
]

#: Names that torch gives the two parts of a weight-normed weight since version 2.0, and those of the files.
_NORM_NAMES = (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v"))


def read(path: Path) -> Any:
    """Read what a file of ``torch.save``, TorchScript or safetensors holds; tensors on the CPU.

    Where they can be, values are read from the disk when they are used: whoever keeps tensors copies them.

    Returns:
        What was saved. Of a TorchScript archive, the tensors by their full names (an ``OrderedDict``); its
        plain attributes are under the key ``""`` as a dictionary.

    Raises:
        UsageError: no such file, or damaged. Kinds of it: ``containers.Refused``, something in it is neither a tensor
            nor plain data; ``containers.NotNeeded``, it is a text, audio or the like.
    """
    if path.is_dir():
        raise UsageError(f"{path}: it is a folder, not a file")
    if not path.is_file():
        raise UsageError(no_such_file(path))
    try:
        return _content(path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except Exception as error:  # torch and zipfile raise all kinds of errors for damaged files
        line = _first_line(error)
        if isinstance(error, pickle.UnpicklingError) and "global" in line.lower():
            raise containers.Refused(
                f"{path}: refused, it holds something other than weights and plain data, which could run code on "
                f"loading ({line})"
            ) from error
        try:
            message = containers.what_it_is(path)
        except OSError:
            message = None
        raise message or UsageError(
            f"{path}: can't be read as weights: it is something else, is damaged or was not downloaded whole "
            f"({type(error).__name__}: {line})"
        ) from error


def _content(path: Path) -> Any:
    import argparse

    import torch

    stored = False
    if containers.is_zip(path):
        with zipfile.ZipFile(path) as archive:
            containers.check_zip(archive, path.stat().st_size)
            if torchscript.is_script(archive):
                return torchscript.read_archive(archive)
            if root := torchscript.late_pickle(archive):
                return torchscript.read_saved(archive, root)
            stored = all(item.compress_type == zipfile.ZIP_STORED for item in archive.infolist())
    elif containers.is_safetensors(path):
        from safetensors.torch import load_file

        return load_file(path)
    elif torchscript.is_late_and_old(path):
        return torchscript.read_old(path)
    # wav2vec_small.pt holds its training options as a Namespace, and trainers store losses as NumPy numbers: plain data
    numpy_numbers: list[tuple[Any, str]] = [(arrays.PlainType, "numpy.dtype")]
    numpy_numbers += [(arrays.scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    with torch.serialization.safe_globals([argparse.Namespace, *numpy_numbers]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice for authors of such files
        return torch.load(path, map_location="cpu", weights_only=True, mmap=stored)


def _first_line(error: Exception) -> str:
    """Take torch's reason out of its text, without its advice to switch the safeguard off."""
    text = str(error)
    _, found, reason = text.partition("WeightsUnpickler error:")
    lines = [line.strip() for line in (reason if found else text).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "global" in line]
    line = (named or lines or ["no reason given"])[0]
    if line.startswith("Weights only load failed"):
        line = "it is no pickle of tensors"
    return line.split(" Please ")[0].strip()[:300]


#: What programs put before every name: training on several GPUs, torch.compile, a part of a larger program.
STARTS = ("module.", "_orig_mod.", "net_g.", "model.")


def _place(content: Any, entry: tuple[str, ...]) -> Any:
    """Follow the keys that lead to the weights; where the first is missing, take a plain table of tensors for them.

    Raises:
        UsageError: there is neither.
    """
    import torch

    place = content
    for name in entry:
        if isinstance(place, Mapping) and name in place:
            place = place[name]
            continue
        saved = content.get("state_dict", content) if isinstance(content, Mapping) else content
        plain = isinstance(saved, Mapping) and saved and all(isinstance(v, torch.Tensor) for v in saved.values())
        if not plain:
            raise UsageError(f"it has no entry {name!r}; it holds {_summary(place)}")
        return saved
    return place


def fitted(
    found: Mapping[str, Tensor],
    layout: Mapping[str, tuple[int, ...]],
    ignored: Iterable[str] = (),
    groups: Iterable[str] = (),
) -> dict[str, Tensor]:
    """Undo what saving anew does to names: take off :data:`STARTS`, and add the counters that torch before 0.4.1 lacks.

    Args:
        found: tensors by name.
        layout: names and shapes that are needed.
        ignored: starts of names that there is no need of.
        groups: as :func:`select` has them. Each network of a file is saved by itself, so each is looked at by itself.
    """
    import torch

    names: dict[str, Tensor] = {}
    skipped = tuple(ignored)
    for group in [f"{group}." for group in groups] or [""]:
        names |= _uncovered({n: value for n, value in found.items() if n.startswith(group)}, group, layout, skipped)
    if names.keys() & layout.keys():
        counters = (name for name in layout if name.endswith(".num_batches_tracked") and name not in names)
        names |= {name: torch.zeros(layout[name], dtype=torch.int64) for name in counters}
    return names


def _uncovered(
    names: dict[str, Tensor], group: str, layout: Mapping[str, tuple[int, ...]], skipped: tuple[str, ...]
) -> dict[str, Tensor]:
    """Take :data:`STARTS` off the names of a group, each of which begins with it, until one is in the layout."""
    while names and not names.keys() & layout.keys():
        start = next((start for start in STARTS if all(name.startswith(group + start) for name in names)), None)
        if start is None:
            break
        cut = {group + name.removeprefix(group + start): value for name, value in names.items()}
        names = {name: value for name, value in cut.items() if not (skipped and name.startswith(skipped))}
    return names


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

    place = _place(content, tuple(entry))
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
            if skipped and full.startswith(skipped):
                continue
            if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
                raise UsageError(f"{full} is no plain tensor of numbers, but sparse, quantised, complex or empty")
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


def endless(weights: Mapping[str, Tensor]) -> str:
    """Name the first tensor with a value that is not finite; empty where all are."""
    import torch

    real = ((name, value) for name, value in weights.items() if value.is_floating_point() and not value.is_meta)
    # torch can't tell of every type of one byte
    seen = ((name, value.float() if value.itemsize == 1 else value) for name, value in real)
    return next((name for name, value in seen if not bool(torch.isfinite(value).all())), "")


@contextmanager
def without_values() -> Iterator[None]:
    """Build networks without values while this is open: they have names and shapes, and :func:`load_strict` the rest.

    Nothing is allocated, and no initial value is drawn: torch's drawing without values imports its compiler, which
    takes seconds.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    draws = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.nn.init.normal_, torch.nn.init.uniform_)

    class Undrawn(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = kwargs or {}
            if func in draws:
                return args[0] if args else given["tensor"]
            return func(*args, **given)

    with torch.device("meta"), Undrawn():
        yield


def load_strict(network: nn.Module, weights: Mapping[str, Tensor], what: str, device: str = "cpu") -> nn.Module:
    """Give a network weights, every name and shape as published, move it to a device and set it to inference.

    Args:
        network: one built :func:`without_values` will do.
        weights: are copied.
        what: where they are from, for errors.
        device: to which each goes straight from the file.

    Raises:
        UsageError: a tensor is missing, superfluous, of another shape, or not finite.
    """
    import torch

    wrong = differences(shapes_of(weights), shapes_of(network.state_dict()))
    if wrong:
        raise UsageError(f"{what}: these are not the weights of {type(network).__name__}: {wrong}")
    placed: dict[str, Tensor] = {}
    for name, own in network.state_dict().items():
        value = weights[name]
        if own.is_floating_point() and not value.is_floating_point():
            raise UsageError(f"{what}: {name} holds {value.dtype}, not real numbers; the file is another one")
        placed[name] = torch.empty(value.shape, dtype=own.dtype, device=device).copy_(value)
    real = [name for name, value in placed.items() if value.is_floating_point() and value.numel()]
    # All are looked at before one is waited for
    ends = torch.stack([torch.stack(tuple(placed[name].aminmax())).double() for name in real])
    for name, finite in zip(real, ends.isfinite().all(dim=1).tolist(), strict=True):
        if not finite:
            raise UsageError(f"{what}: {name} holds values that are not finite; the file is damaged")
    network.load_state_dict(placed, strict=True, assign=True)
    network.requires_grad_(False)
    return network.to(device).eval()
