"""The stage that converts: every system on every pair, in worker processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vceval.errors import NoRoomError
from vceval.records import ConversionPair, System
from vceval.results.rundir import RunDirectory
from vceval.runner.batches import Lengths, batches
from vceval.runner.convert_worker import Converting, ConvertTask
from vceval.runner.executors import open_pool, persistent
from vceval.runner.factory import make_converter
from vceval.runner.journal import Take
from vceval.runner.options import Options
from vceval.runner.pool import Lost
from vceval.signal.audio import USUAL, Reading

__all__ = ["convert"]

#: Seconds that the first batch of a worker may take longer, for loading.
_LOADING = 60.0


def convert(
    run: RunDirectory,
    systems: Sequence[System],
    pairs: Iterable[ConversionPair],
    todo: Callable[[Take, ConversionPair], bool],
    options: Options,
    seed: int,
    lengths: Lengths | None = None,
    seeds: Mapping[str, int] = MappingProxyType({}),
    reading: Reading = USUAL,
) -> Iterator[list[dict[str, Any]]]:
    """Convert what is to do and yield finished journal records, batch by batch.

    ``seeds`` are numbers of conversions of each pair by system; 1 where none is named. ``reading`` says how recordings
    are read.

    Raises:
        NoRoomError: a disk is full.
    """
    tasks = _tasks(systems, list(pairs), todo, options.devices[0], lengths or Lengths(), seeds)
    devices = options.devices

    def arguments(slot: int) -> tuple[Any, ...]:
        return run.root.resolve(), devices[slot % len(devices)], seed, options.cache, reading, options.side_by_side

    pool = open_pool(
        options, Converting, arguments, lambda task: options.timeout * len(task.pairs) + _LOADING,
        alike=lambda task: (task.system.name, task.pairs[0].source and task.pairs[0].source.id), on_device=True,
    )  # fmt: skip
    with pool:
        for task, result in persistent(pool, tasks):
            if isinstance(result, NoRoomError):
                raise result
            yield _lost(task, result) if isinstance(result, Lost) else result
    shutil.rmtree(run.root / "audio" / ".scratch", ignore_errors=True)


def _tasks(
    systems: Sequence[System],
    pairs: Sequence[ConversionPair],
    todo: Callable[[Take, ConversionPair], bool],
    device: str,
    lengths: Lengths,
    seeds: Mapping[str, int],
) -> Iterator[ConvertTask]:
    for system in systems:
        takes = [Take(system.name, number) for number in range(seeds.get(system.name, 1))]
        if not any(todo(take, pair) for take in takes for pair in pairs):
            continue
        for batch in batches(pairs, lengths, device, make_converter(system).largest_batch(device)):
            for take in takes:  # one after the other, as they share what is encoded
                left = tuple(pair for pair in batch if todo(take, pair))
                if left:
                    yield ConvertTask(system, left, tuple(map(lengths, left)), take.seed)


def _lost(task: ConvertTask, lost: Lost) -> list[dict[str, Any]]:
    return [{**task.take.named(), "pair": pair.id, "status": "failed", "reason": lost.reason} for pair in task.pairs]
