"""The stage that converts: every system on every pair, in worker processes."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval import audio, registry
from vceval.audio import Waveform
from vceval.converters.base import Converter, Request
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.records import ConversionPair, System
from vceval.rundir import RunDirectory
from vceval.runner.pool import Lost, Pool

__all__ = ["ConvertTask", "convert", "make_converter", "pair_seed"]


@dataclass(frozen=True, slots=True)
class ConvertTask:
    """Some pairs of one system, given to one worker."""

    system: System
    pairs: tuple[ConversionPair, ...]


def make_converter(system: System) -> Converter:
    """Construct a system's converter; cheap, nothing is loaded.

    Raises:
        UsageError: unknown converter or wrong options.
    """
    kind = registry.load("converter", system.converter)
    try:
        converter = kind(**system.options)
    except TypeError as error:
        raise UsageError(
            f"system {system.name!r}: converter {system.converter!r} does not take these options: {error}"
        ) from None
    if not isinstance(converter, Converter):
        raise UsageError(
            f"converter {system.converter!r} ({registry.origin('converter', system.converter)}) is no Converter"
        )
    return converter


def pair_seed(run_seed: int, pair: str) -> int:
    """Seed of one pair: depends on the run's seed and the pair's id alone, not on the batch or the order."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{pair}".encode()).digest()[:4], "big")


def convert(
    run: RunDirectory,
    work: Sequence[tuple[System, ConversionPair]],
    *,
    device: str,
    workers: int,
    seed: int,
    timeout: float,
) -> Iterator[list[dict[str, Any]]]:
    """Convert and yield finished journal records, batch by batch.

    A batch that is lost with its worker is tried once more, one pair at a time, so that only the pair at
    fault is lost.
    """
    tasks = list(_batches(work))
    with Pool[ConvertTask](
        workers, _Handler, (run.root, device, seed), lambda task: timeout * len(task.pairs) + 60
    ) as pool:
        lost: list[ConvertTask] = []
        for task, result in pool.run(tasks):
            if isinstance(result, Lost) and len(task.pairs) > 1:
                lost += [ConvertTask(task.system, (pair,)) for pair in task.pairs]
            else:
                yield _records(task, result)
        for task, result in pool.run(lost):
            yield _records(task, result)
    shutil.rmtree(run.root / "audio" / ".scratch", ignore_errors=True)


def _records(task: ConvertTask, result: Any) -> list[dict[str, Any]]:
    if isinstance(result, Lost):
        return [_failed(task.system.name, pair.id, result.reason) for pair in task.pairs]
    records: list[dict[str, Any]] = result
    return records


def _failed(system: str, pair: str, reason: str) -> dict[str, Any]:
    return {"system": system, "pair": pair, "status": "failed", "reason": reason}


def _batches(work: Iterable[tuple[System, ConversionPair]]) -> Iterator[ConvertTask]:
    """Group by system, and within a system by source, so that encodings are shared."""
    by_system: dict[str, tuple[System, list[ConversionPair]]] = {}
    for system, pair in work:
        by_system.setdefault(system.name, (system, []))[1].append(pair)
    for system, pairs in by_system.values():
        size = make_converter(system).batch_size
        pairs.sort(key=lambda pair: (pair.source.id if pair.source else "", pair.id))
        for start in range(0, len(pairs), size):
            yield ConvertTask(system, tuple(pairs[start : start + size]))


class _Handler:
    """What a worker process does; keeps one converter open at a time."""

    def __init__(self, root: Path, device: str, seed: int) -> None:
        self._run = RunDirectory(root)
        self._device, self._seed = device, seed
        self._open: tuple[str, Converter] | None = None

    def __call__(self, task: ConvertTask) -> list[dict[str, Any]]:
        """Convert; every record says when it was done and how many seconds a pair of its batch took."""
        began = time.perf_counter()
        records = self._convert(task)
        spent = round((time.perf_counter() - began) / len(task.pairs), 4)
        return [{"at": round(time.time(), 3), "seconds": spent, **record} for record in records]

    def _convert(self, task: ConvertTask) -> list[dict[str, Any]]:
        try:
            converter = self._converter(task.system)
        except Exception as error:  # whatever keeps a converter from being opened costs its pairs, not the run
            reason = str(error) if isinstance(error, UsageError) else self._reason(error)
            return [_failed(task.system.name, pair.id, reason) for pair in task.pairs]
        scratch = self._run.root / "audio" / ".scratch"
        requests = [
            Request(
                task.system.name, pair, pair_seed(self._seed, pair.id), scratch / f"{task.system.name}-{pair.id}.wav"
            )
            for pair in task.pairs
        ]
        try:
            outcomes = converter.convert(requests)
        except Exception as error:  # whatever a converter throws costs its pairs, not the run
            if _out_of_memory(error):
                converter.forget()
                _free_device_memory()
            if len(requests) > 1:
                return [record for pair in task.pairs for record in self(ConvertTask(task.system, (pair,)))]
            return [_failed(task.system.name, task.pairs[0].id, self._reason(error))]
        if len(outcomes) != len(requests):
            reason = f"the converter gave {len(outcomes)} results for {len(requests)} pairs"
            return [_failed(task.system.name, pair.id, reason) for pair in task.pairs]
        return [
            self._store(task.system.name, pair, outcome) for pair, outcome in zip(task.pairs, outcomes, strict=True)
        ]

    def _reason(self, error: Exception) -> str:
        """Put an error in words; only that of a device without room needs more than its own."""
        if _out_of_memory(error):
            told = str(error).partition("\n")[0]
            return f"not enough memory on {self._device}, even for one pair: {told}; free some, or use --device cpu"
        return f"{type(error).__name__}: {error}"

    def _converter(self, system: System) -> Converter:
        if self._open is None or self._open[0] != system.name:
            self.close()
            converter = make_converter(system)
            converter.open(self._device)
            self._open = (system.name, converter)
        return self._open[1]

    def _store(self, system: str, pair: ConversionPair, outcome: object) -> dict[str, Any]:
        record: dict[str, Any] = {"system": system, "pair": pair.id, "status": "ok"}
        try:
            if isinstance(outcome, Waveform):
                path = self._run.audio_path(system, pair.id)
                gain = audio.write_flac(path, outcome)
                record["path"] = path.relative_to(self._run.root).as_posix()
                if gain != 1.0:
                    record["gain"] = gain
            elif isinstance(outcome, Path):
                audio.duration(outcome)
                record["path"] = str(outcome.resolve())
            elif isinstance(outcome, UnmetNeed):
                return {**record, "status": "skipped", "need": outcome.need, "reason": str(outcome)}
            elif isinstance(outcome, ItemError):
                return _failed(system, pair.id, str(outcome))
            else:
                return _failed(system, pair.id, f"the converter gave a {type(outcome).__name__}, not audio")
        except ItemError as error:
            return _failed(system, pair.id, str(error))
        return record

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _out_of_memory(error: Exception) -> bool:
    """Whether there was no room; by name, as torch is not imported for it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _free_device_memory() -> None:
    """Give unused memory of the device back, which pieces of failed attempts may hold."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
