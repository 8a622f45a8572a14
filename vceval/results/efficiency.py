"""What converting took: parameters, real-time factor and memory of every system that a run converted, and on what.

The run writes ``efficiency.json`` when it ends (:mod:`vceval.runner.efficiency`, :mod:`vceval.runner.stream`); whoever
shows these figures reads them here. A system has an entry for each machine and set-up that converted for it, none where
its audio was found and not made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vceval.errors import UsageError
from vceval.results.rundir import RunDirectory

__all__ = ["FILE", "Efficiency", "Machine", "SetUp", "Spread", "read", "write"]

FILE = "efficiency.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a system converted.

    processor: its model. cores: that a worker may use. device: name of the GPU; empty for none. workers: side by side;
    0 where a cluster decided that.
    """

    processor: str
    cores: int
    device: str
    workers: int

    @property
    def text(self) -> str:
        """The machine in words: ``AMD EPYC (2 cores), 2 workers``."""
        cores = f"{self.processor} ({self.cores} core{'s' if self.cores != 1 else ''})"
        workers = f"{self.workers} worker{'s' if self.workers != 1 else ''}" if self.workers else "workers of a cluster"
        return ", ".join(filter(None, (self.device, cores, workers)))


@dataclass(frozen=True, slots=True)
class SetUp:
    """How a system computed; None and empty texts for what nobody knows. threads: of one conversion."""

    torch: str
    threads: int | None
    precision: str

    @property
    def text(self) -> str:
        """The set-up in words: ``torch 2.13.0, 1 thread, float32``; empty where nothing is known."""
        threads = "" if self.threads is None else f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        return ", ".join(filter(None, (self.torch and f"torch {self.torch}", threads, self.precision)))


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over conversions, and the bounds of nine tenths of them (5 % and 95 % quantiles)."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What a system took on one machine.

    parameters: by network or file; None where nobody counted them.
    counted: conversions that the times rest on; ``of`` those that the system made or was given in all.
    warm: whether those in which a worker warmed up are left out; False where there are no others.
    together: conversions in one call of the converter at most.
    rtf: real-time factor, seconds of converting per second of converted audio. processor: the same of processor time;
        None on a GPU and where nobody tells.
    memory, device_memory: most bytes that one worker had, from loading on; of a GPU, those that torch had allocated.
    first_audio: seconds until the conversion of somebody who speaks is heard, where the system was streamed.
    """

    system: str
    machine: Machine
    set_up: SetUp
    parameters: Mapping[str, int] | None
    counted: int
    of: int
    warm: bool
    together: int
    rtf: Spread
    processor: Spread | None
    memory: int | None
    device_memory: int | None
    first_audio: Spread | None = None

    @property
    def total_parameters(self) -> int | None:
        """Parameters of all networks."""
        return None if self.parameters is None else sum(self.parameters.values())

    @classmethod
    def of_json(cls, entry: Mapping[str, Any]) -> Efficiency:
        """Read an entry of ``efficiency.json``."""
        given = {name: entry.get(name) for name in ("rtf", "processor", "first_audio")}
        spreads = {name: known and Spread(**known) for name, known in given.items()}
        return cls(**{**entry, "machine": Machine(**entry["machine"]), "set_up": SetUp(**entry["set_up"]), **spreads})


def write(run: RunDirectory, found: Iterable[Efficiency]) -> None:
    """Write ``efficiency.json``."""
    run.write_json(FILE, {"schema": _SCHEMA, "systems": [asdict(one) for one in found]})


def read(run: RunDirectory) -> Sequence[Efficiency]:
    """Read ``efficiency.json``; nothing for a run of a version that did not measure.

    Raises:
        UsageError: it is damaged or malformed.
    """
    if not run.has(FILE):
        return ()
    content = run.read_json(FILE)
    try:
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
        return tuple(Efficiency.of_json(entry) for entry in content["systems"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"not what converting took ({type(error).__name__}: {error})"
        raise UsageError(f"{run.root / FILE}: {what}; {run.repair(FILE)}") from error
