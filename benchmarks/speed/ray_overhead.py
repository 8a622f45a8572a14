"""Overhead of the Ray executor: many short pairs on a cluster of this machine against the local executor.

    python benchmarks/speed/ray_overhead.py [--pairs 2000] [--rounds 3] [--workers 2]

Both sides convert the same pairs (sources of one second, cut from the demo corpus) with WORLD, the same workers and no
cache, journal included. Rounds take turns. Ray is started once, before the clock, as a cluster stands before a run
does; what starting it takes is printed too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

#: Seconds of a source, and of a prompt.
_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Overhead of the Ray executor.")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    import ray

    times: dict[str, list[float]] = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        pairs = _pairs(Path(folder), options.pairs)
        began = time.perf_counter()
        ray.init("local", num_cpus=options.workers, log_to_driver=False, include_dashboard=False)
        print(f"Ray started in {time.perf_counter() - began:.1f} s")
        for place in range(options.rounds):
            for name, found in times.items():
                found.append(_run(pairs, Path(folder) / f"{name}{place}", name, options.workers))
        ray.shutdown()
    ratios = [one / other for one, other in zip(times["ray"], times["local"], strict=True)]
    middle = {name: statistics.median(found) for name, found in times.items()}
    print(f"{options.pairs} pairs, {options.workers} workers: local {middle['local']:.1f} s, ray {middle['ray']:.1f} s")
    print(f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _pairs(folder: Path, count: int) -> list[Any]:
    """Pair short pieces of recordings of the demo corpus."""
    from vceval.corpora.demo import Demo
    from vceval.records import ConversionPair, Utterance
    from vceval.signal import audio

    pieces = []
    for utterance in sorted(Demo().utterances(), key=lambda utterance: utterance.id):
        wave = audio.load(utterance.path)
        start, end = (int((0.3 + part * _SECONDS) * wave.sample_rate) for part in (0, 1))
        path = folder / "audio" / f"{utterance.id}.flac"
        audio.write_flac(path, audio.Waveform(wave.samples[start:end], wave.sample_rate))
        pieces.append(Utterance(utterance.id, path, "demo", utterance.speaker))
    grid = [(source, target) for source in pieces for target in pieces if source.speaker != target.speaker]
    return [
        ConversionPair(f"{number:05d}", "demo", source=source, prompts=(target,))
        for number, (source, target) in enumerate(grid[:: max(1, len(grid) // count)][:count])
    ]


def _run(pairs: Sequence[Any], folder: Path, executor: str, workers: int) -> float:
    from vceval.records import System
    from vceval.results.rundir import RunDirectory
    from vceval.runner.convert import convert
    from vceval.runner.journal import Journal
    from vceval.runner.options import Options

    options = Options(workers=workers, executor=executor)
    began = time.perf_counter()
    with Journal(folder / "journal" / "convert.jsonl") as journal:
        for records in convert(RunDirectory(folder), [System("world", "world")], pairs, lambda *_: True, options, 0):
            journal.append(records)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
