"""Time of a panel of speaker encoders against that of its members one by one, and of Resemblyzer alone.

    python benchmarks/speed/encoders.py FOLDER [--recordings 200] [--rounds 1] [--metrics sv,sv:dvector,sv:campplus]

FOLDER holds recordings, in folders of its own or not. A panel reads, resamples and levels every recording once; members
one by one do it each. All is processor time of one process with one thread, in turn, nothing cached; the last line says
what share of the panel's time reading and levelling is.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.errors import ItemError
from vceval.metrics.base import Workspace
from vceval.metrics.sv_encoders import levelled_speech
from vceval.records import Utterance
from vceval.storage.cache import Cache

__all__ = ["main"]

_SUFFIXES = {".flac", ".wav"}
#: Recordings that a worker gets at once.
_SHARE = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time of a panel of speaker encoders.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=200, help="how many, spread over the folder (default 200)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--metrics", default="sv,sv:dvector,sv:campplus")
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix in _SUFFIXES)
    paths = paths[:: max(len(paths) // options.recordings, 1)][: options.recordings]
    known = [Utterance(str(number), path, "d", "s") for number, path in enumerate(paths)]
    names = options.metrics.split(",")
    for name in names:  # loads weights
        _spent([name], known[:1])
    taken: dict[str, list[float]] = {name: [] for name in [*names, "panel", "reading"]}
    for _ in range(options.rounds):
        taken["reading"].append(_reading(paths))
        for name in names:
            taken[name].append(_spent([name], known))
        taken["panel"].append(_spent(names, known))
    least = {name: min(spent) for name, spent in taken.items()}
    for name, spent in least.items():
        print(f"{name:14} {spent:7.1f} s")
    one_by_one = sum(least[name] for name in names)
    ratios = {"one by one": one_by_one, names[0]: least[names[0]]}
    told = [f"panel / {name} {least['panel'] / spent:.2f}" for name, spent in ratios.items()]
    print(f"{len(paths)} recordings:", *told, f"reading / panel {least['reading'] / least['panel']:.2f}", sep="  ")


def _spent(names: Sequence[str], known: Sequence[Utterance]) -> float:
    """Processor time that some metrics together take for the embeddings of recordings."""
    metrics: list[Any] = [registry.load("metric", name)() for name in names]
    for metric in metrics:
        metric.open(Workspace(cache=Cache(None)))
    start = time.process_time()
    for first in range(0, len(known), _SHARE):
        for metric in metrics:
            metric.analyse_many(known[first : first + _SHARE])
    return time.process_time() - start


def _reading(paths: Sequence[Path]) -> float:
    start = time.process_time()
    for path in paths:
        with contextlib.suppress(ItemError):
            levelled_speech(path)
    return time.process_time() - start


if __name__ == "__main__":
    main()
