"""Speed of the native converters: how long a second of converted audio takes alone, and in batches of 16.

    python benchmarks/speed/converters.py [NAME ...] [--utterances 16] [--alone 16] [--rounds 3] [--budget 60]
        [--batches 16,64] [--device cpu] [--weights DIR] [--json FILE]

The sources are the longest sentences of the demo corpus, each with a prompt of another voice. Without --weights, files
with made-up values of the published sizes are written first: what comes out is noise, but the work is the same. Every
converter runs in a process of its own with one compute thread. In each round, half of the sources are converted one by
one, then all in one batch, then the other half one by one; no round is begun once the budget is spent. Reading,
resampling and front ends are part of the time, loading is not. ``--alone 4`` takes fewer sources one by one, for
converters that are slow at it. ``--batches`` takes several sizes, each with so many sources. The shortest sentence
warms a converter up; on a GPU a whole batch does so too, unless one sample is drawn after the other: steps are alike
there, whatever the batch. Real-time factors are seconds of computing per second of converted audio, medians of the
rounds; memory is the largest that the process ever had, weights included (on a GPU: that torch took on it).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__ = ["main"]


@dataclass
class Side:
    """Times and memory of one way to do the work; seconds are those of a second of converted audio."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: float = 0.0


@dataclass
class Job:
    """What a process is asked to measure."""

    converter: str
    weights: str
    device: str
    sizes: tuple[int, ...]
    alone: int
    rounds: int
    budget: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the native converters.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="converters (default: all native ones with files)")
    parser.add_argument("--utterances", type=int, default=16, help="sources, all in one batch (default 16)")
    parser.add_argument("--batches", default="", help="sizes of batches, such as 16,64 (default: --utterances)")
    parser.add_argument("--json", type=Path, help="add a line of JSON for every row to this file")
    parser.add_argument("--alone", type=int, help="sources that are also converted one by one (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides (default 3)")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds after which no round is begun (default 60)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--weights", type=Path, help="folder of weight files (default: made-up ones are written)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes started from here on
    os.environ["VCEVAL_CACHE"] = "off"
    sizes = [int(size) for size in options.batches.split(",") if size] or [options.utterances]
    alone = min(options.alone or min(sizes), min(sizes))
    titles = ("size", "alone", "batch", "ratio", "processor", "MB alone", "MB batch", "rounds")
    print(f"batches of {sizes}, {alone} of them alone too, {options.device}, {os.cpu_count()} processors")
    print(f"{'converter':16s} " + " ".join(f"{title:>9s}" for title in titles), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or _native():
            weights = options.weights or _made_up(name, Path(folder))
            job = Job(name, str(weights), options.device, tuple(sorted(sizes)), alone, options.rounds, options.budget)
            # A process for each, so that its peak of memory is its own
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows = [_row(name, *sides) for sides in pool.submit(_measure, job).result()]
            for row in rows:
                _print(row)
                if options.json:
                    with open(options.json, "a", encoding="utf-8") as stream:
                        stream.write(json.dumps(row) + "\n")


def _row(name: str, size: int, alone: Side, batch: Side) -> dict[str, Any]:
    wall, processor = (
        statistics.median(a / b for a, b in zip(one, other, strict=True))
        for one, other in ((alone.wall, batch.wall), (alone.processor, batch.processor))
    )
    return {
        "converter": name,
        "batch_size": size,
        "alone": statistics.median(alone.wall),
        "batch": statistics.median(batch.wall),
        "ratio": wall,
        "processor_ratio": processor,
        "mb_alone": alone.memory,
        "mb_batch": batch.memory,
        "rounds": len(alone.wall),
    }


def _print(row: Mapping[str, Any]) -> None:
    print(
        f"{row['converter']:16s} {row['batch_size']:9d} {row['alone']:9.4f} {row['batch']:9.4f} {row['ratio']:9.2f} "
        f"{row['processor_ratio']:9.2f} {row['mb_alone']:9.0f} {row['mb_batch']:9.0f} {row['rounds']:9d}",
        flush=True,
    )


def _native() -> list[str]:
    from vceval import registry

    kinds = {name: registry.load("converter", name) for name in registry.names("converter")}
    return [name for name, kind in kinds.items() if kind.info.kind == "native" and getattr(kind, "files", ())]


def _made_up(name: str, folder: Path) -> Path:
    """Write the files of a converter that are not there yet."""
    from vceval.checkpoints import store
    from vceval.conformance import made_up_files

    for file in store.files_of(name):
        if not (folder / file.name).is_file():
            made_up_files.write(file, folder)
    return folder


def _measure(job: Job) -> list[tuple[int, Side, Side]]:
    """Measure one converter, in a process of its own: size, alone, in a batch."""
    import torch

    from vceval import registry

    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", message=".*CUDA graph", category=RuntimeWarning)  # it makes the figures others
    torch.set_num_threads(1)
    kind = registry.load("converter", job.converter)
    converter = kind(weights=job.weights) if getattr(kind, "files", ()) else kind()
    converter.open(job.device)
    converter.convert(_requests(_pairs(1, _shortest_first)))  # warm up
    return [(size, *_sides(job, converter, _pairs(size))) for size in job.sizes]


def _sides(job: Job, converter: Any, pairs: Sequence[Any]) -> tuple[Side, Side]:
    if job.device != "cpu":
        import torch

        if not _draws(converter):  # kernels are chosen, and memory is taken, at the first batch of a size
            _taken(converter, [pairs])
        torch.cuda.reset_peak_memory_stats()
    # The longest ones stand first; both halves get long ones and short ones
    chosen = pairs[:: max(1, len(pairs) // job.alone)][: job.alone]
    halves = chosen[::2], chosen[1::2]
    alone, batch = Side(), Side()
    start = time.perf_counter()
    for done in range(job.rounds):
        if done and time.perf_counter() - start > job.budget:
            break
        taken = [_taken(converter, [[pair] for pair in halves[0]])]
        alone.memory = alone.memory or _memory(job.device)
        together = _taken(converter, [pairs])
        batch.memory = batch.memory or _memory(job.device)
        taken.append(_taken(converter, [[pair] for pair in halves[1]]))
        wall, processor, seconds = (sum(column) for column in zip(*taken, strict=True))
        alone.wall.append(wall / seconds)
        alone.processor.append(processor / seconds)
        batch.wall.append(together[0] / together[2])
        batch.processor.append(together[1] / together[2])
    return alone, batch


def _draws(converter: Any) -> bool:
    """Whether it draws one sample after the other."""
    from vceval.networks.universal_vocoder import UniversalVocoder

    return isinstance(getattr(converter, "_vocoder", None), UniversalVocoder)


def _taken(converter: Any, batches: Sequence[Sequence[Any]]) -> tuple[float, float, float]:
    """Convert, and give wall-clock time, processor time, and the length of what came out."""
    from vceval.signal.audio import Waveform

    wall, processor, seconds = time.perf_counter(), time.process_time(), 0.0
    for pairs in batches:
        converter.forget()  # what was encoded for the other side
        for outcome in converter.convert(_requests(pairs)):
            if not isinstance(outcome, Waveform):
                raise SystemExit(f"{converter.info.name}: {outcome}")
            seconds += outcome.seconds  # audio lies in main memory by now, so a GPU has done its work
    return time.perf_counter() - wall, time.process_time() - processor, seconds


def _memory(device: str) -> float:
    """Peak of memory so far in megabytes."""
    if device != "cpu":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says there begins with the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _longest_first(utterance: Any) -> tuple[float, str]:
    return -(utterance.duration or 0.0), utterance.id


def _shortest_first(utterance: Any) -> tuple[float, str]:
    return utterance.duration or 0.0, utterance.id


def _pairs(count: int, order: Callable[[Any], tuple[float, str]] = _longest_first) -> list[Any]:
    """Pair the first recordings of the demo corpus with one of another voice each."""
    from vceval.corpora.demo import Demo
    from vceval.records import ConversionPair

    found = sorted(Demo().utterances(), key=order)
    if not 0 < count <= len(found):
        raise SystemExit(f"the demo corpus holds {len(found)} recordings, {count} are wanted; give --utterances")

    def others(place: int) -> Iterator[Any]:
        return (other for other in found[place + 1 :] + found if other.speaker != found[place].speaker)

    return [
        ConversionPair(f"pair{place}", "demo", source=found[place], prompts=(next(others(place)),))
        for place in range(count)
    ]


def _requests(pairs: Sequence[Any]) -> list[Any]:
    from vceval.converters.base import Request

    return [Request("speed", pair, place, Path("unused.wav")) for place, pair in enumerate(pairs)]


if __name__ == "__main__":
    main()
