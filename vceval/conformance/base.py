"""What a network shows of itself to be checked: how it is built, and its stages for given inputs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    Array = np.ndarray[Any, Any]

__all__ = ["Case", "Port", "captured", "thinned"]


@dataclass(frozen=True)
class Case:
    """One run of a kit: inputs by name, and the names of the stages that are stored (not their values).

    kind: ``cases`` (the network) or ``features`` (its front end).
    """

    kind: str
    file: str
    inputs: Mapping[str, Array]
    wanted: Mapping[str, str]

    def tensor(self, name: str) -> Tensor:
        """Give an input as a tensor."""
        import torch

        return torch.from_numpy(self.inputs[name].copy())


class Port(ABC):
    """One network with its front end, as a kit of reference cases sees it.

    A port is found through the entry-point group ``vceval.ports``, under the kit's name.
    """

    @abstractmethod
    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the network without weights; ``config`` is the kit's table of sizes."""

    @abstractmethod
    def run(self, network: nn.Module, case: Case) -> Mapping[str, Any]:
        """Compute the stages of one case, by their stored names (``out_...``), as tensors, arrays or numbers.

        Stages that the port doesn't expose are left out; those that are not stored are not looked at.
        """


@contextmanager
def captured(
    network: nn.Module, stages: Mapping[str, str], pick: Callable[[Any], Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Record what modules of a network give while it runs, under the names of stages.

    Args:
        network: the network.
        stages: name of a stage to the full name of a module in it. A module that runs several times leaves its last.
        pick: makes the stage out of a module's output; by default its first part where it is a tuple.
    """
    found: dict[str, Any] = {}

    def recorder(stage: str) -> Callable[[Any, Any, Any], None]:
        def record(_module: Any, _inputs: Any, output: Any) -> None:
            found[stage] = pick(output) if pick else output[0] if isinstance(output, tuple) else output

        return record

    handles = [network.get_submodule(name).register_forward_hook(recorder(stage)) for stage, name in stages.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def thinned(value: Array, meaning: str) -> Array:
    """Keep every n-th entry along the axis that a stage's meaning says is thinned.

    A meaning ends with its shape in parentheses; an axis written ``frames / 4`` is thinned by 4.
    """
    shape = re.search(r"\(([^()]*)\)\s*$", meaning)
    axes = shape.group(1).split(",") if shape else []
    for axis, text in enumerate(axes):
        step = re.search(r"/\s*(\d+)", text)
        if step and axis < value.ndim:
            value = value[(slice(None),) * axis + (slice(None, None, int(step.group(1))),)]
    return value
