"""How a run is carried out; none of it changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the command line about machines.

    devices: where converters work: ``("cpu",)``, or a GPU for every worker. workers: processes for whatever runs on
    processors. timeout: seconds that one pair may take. cache: folder of earlier results, None for none.
    executor: ``local`` for this machine, ``ray`` for the cluster at ``ray_address`` (None: one of this machine's own).
    command: the words by which the run was asked for.
    """

    devices: tuple[str, ...] = ("cpu",)
    workers: int = 1
    timeout: float = 600.0
    cache: Path | None = None
    executor: str = "local"
    ray_address: str | None = None
    command: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Where what needs one device works: the first of them."""
        return self.devices[0]

    @property
    def side_by_side(self) -> int:
        """How many workers convert side by side on this machine; 0 where a cluster decides."""
        return 0 if self.executor == "ray" else len(self.devices) if self.on_gpu else self.workers

    @property
    def on_gpu(self) -> bool:
        """Whether converters work on GPUs."""
        return self.devices[0] != "cpu"
