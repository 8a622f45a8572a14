"""Speed of d-vectors: many recordings together in several processes, against Resemblyzer one by one.

    python benchmarks/speed/dvectors.py [FOLDER] [--recordings 100] [--rounds 5] [--processes 2] [--shipped]

FOLDER holds recordings; without one, the demo corpus is taken. Resemblyzer runs its own
``embed_utterance(preprocess_wav(path))`` with one thread, which is its fastest way on small machines, and with
``--shipped`` also as it ships, where torch takes all processors. vceval runs in processes of one thread each, started
before the clock, without a cache. All are measured in turn; medians are printed. ``processor`` is the ratio of
processor time, which other work on the machine does not disturb: the gain on one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__ = ["main"]

_SUFFIXES = {".flac", ".wav"}
#: Recordings given to a process at a time.
_SHARE = 10

Timed = tuple[Any, float, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of d-vectors against Resemblyzer.")
    parser.add_argument("folder", type=Path, nargs="?", help="recordings (default: the demo corpus)")
    parser.add_argument("--recordings", type=int, default=100, help="number of recordings (default 100)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all sides (default 5)")
    parser.add_argument("--processes", type=int, default=2, help="processes of vceval (default 2)")
    parser.add_argument("--shipped", action="store_true", help="Resemblyzer with all of torch's threads, too")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    import numpy as np
    import torch
    from resemblyzer import VoiceEncoder, preprocess_wav

    paths = _recordings(options.folder, options.recordings)
    shipped = torch.get_num_threads()
    encoder = VoiceEncoder("cpu", verbose=False)

    def theirs(threads: int) -> Timed:
        torch.set_num_threads(threads)
        wall, processor = time.perf_counter(), time.process_time()
        vectors = [encoder.embed_utterance(preprocess_wav(path)) for path in paths]
        return np.array(vectors), time.perf_counter() - wall, time.process_time() - processor

    sides: dict[str, Callable[[], Timed]] = {"Resemblyzer, 1 thread": lambda: theirs(1)}
    if options.shipped:
        sides[f"Resemblyzer, {shipped} threads (as it ships)"] = lambda: theirs(shipped)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes started from here on
    with ProcessPoolExecutor(options.processes, get_context("spawn"), _start) as pool:
        shares = [paths[start : start + _SHARE] for start in range(0, len(paths), _SHARE)]
        list(pool.map(_warm, [paths[:1]] * options.processes))  # every process has loaded its weights

        def ours() -> Timed:
            wall = time.perf_counter()
            parts = list(pool.map(_embed, shares))
            return np.concatenate([p[0] for p in parts]), time.perf_counter() - wall, sum(p[1] for p in parts)

        sides[f"vceval, {options.processes} processes of 1 thread"] = ours
        measured: dict[str, list[Timed]] = {name: [] for name in sides}
        theirs(1)
        for _ in range(options.rounds):
            for name, side in sides.items():
                measured[name].append(side())
    _print(measured, len(paths), options.rounds)


def _print(measured: dict[str, list[Timed]], count: int, rounds: int) -> None:
    import numpy as np

    *_, mine = measured.values()
    print(f"{count} recordings, {rounds} rounds, {os.cpu_count()} processors")
    print(
        f"{'side':42s} {'wall s':>7s} {'processor s':>11s} {'ratio':>6s} {'processor':>9s} {'largest 1 - cosine':>18s}"
    )
    for name, timed in measured.items():
        wall, processor = (
            statistics.median(their[which] / our[which] for their, our in zip(timed, mine, strict=True))
            for which in (1, 2)
        )
        first, second = (np.asarray(side[0][0], dtype=np.float64) for side in (timed, mine))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        gap = np.max(np.abs(1.0 - (first * second).sum(axis=1) / lengths))
        seconds = [statistics.median(t[which] for t in timed) for which in (1, 2)]
        print(f"{name:42s} {seconds[0]:7.2f} {seconds[1]:11.2f} {wall:6.2f} {processor:9.2f} {gap:18.1e}")


def _recordings(folder: Path | None, count: int) -> list[Path]:
    if folder is None:
        import vceval.benchmarks.demo as demo

        folder = Path(str(demo.__file__)).parent / "audio"
    found = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    if len(found) < count:
        raise SystemExit(f"{folder}: holds {len(found)} recordings, {count} are wanted; give --recordings")
    step = len(found) / count
    return [found[int(place * step)] for place in range(count)]


def _start() -> None:
    warnings.simplefilter("ignore")


def _warm(paths: list[Path]) -> None:
    """Load what is needed, and stay busy until the other processes have done so too."""
    _embed(paths)
    time.sleep(5.0)


def _embed(paths: list[Path]) -> tuple[Any, float]:
    """Embed some recordings in a process of the pool: vectors and processor time."""
    import numpy as np

    from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
    from vceval.storage.cache import Cache

    processor = time.process_time()
    found = ResemblyzerEncoder(Cache(None)).embed_many(paths)
    return np.array([found[path] for path in paths]), time.process_time() - processor


if __name__ == "__main__":
    main()
