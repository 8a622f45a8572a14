"""Speed of mel-cepstral distortion against the package pymcd, at its own definition and at vceval's default.

    python benchmarks/speed/mcd.py [FOLDER] [--pairs 30] [--rounds 5] [--threads 2]

Needs pymcd (``pip install vceval[peers]``). FOLDER holds recordings in which files of one directory, or files whose
names end alike after the last underscore, belong together (``p225_003.flac``, ``p226_003.flac``); without one, the
demo corpus is taken, where speakers read the same sentences. pymcd runs serially, as it ships; vceval in threads, each
computing on one core. Both sides are measured alternately in one process; medians are printed. ``processor`` is the
ratio of processor time, which other work on the machine does not disturb: the gain on one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vceval.metrics.parallel import ParallelMetric

__all__ = ["main"]

#: The shape of the grid: sources, and systems that convert each.
SOURCES, SYSTEMS = 8, 6
_SUFFIXES = {".flac", ".wav"}

Pair = tuple[Path, Path]
Timed = tuple[list[float], float, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of mel-cepstral distortion against pymcd.")
    parser.add_argument("folder", type=Path, nargs="?", help="recordings (default: the demo corpus)")
    parser.add_argument("--pairs", type=int, default=30, help="pairs of recordings (default 30)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of both sides (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="threads of vceval (default 2)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported
    warnings.simplefilter("ignore")
    from vceval.metrics.mcd import MelCepstralDistortion
    from vceval.metrics.mcd_pymcd import PymcdMCD

    groups = _groups(options.folder)
    separate = _separate(groups, options.pairs)
    grid = _grid(groups)
    recipe, default = PymcdMCD(), MelCepstralDistortion()
    for made in (recipe, default):
        _vceval(made, separate[:2], options.threads)  # machine code is compiled or read now
    _pymcd(separate[:1])
    print(f"{options.rounds} rounds, vceval on {options.threads} threads, {os.cpu_count()} processors")
    print(f"{'work':34s} {'pymcd s':>8s} {'vceval s':>8s} {'ratio':>6s} {'processor':>9s} {'largest difference':>18s}")
    for title, pairs, metric, same in (
        (f"{len(separate)} separate pairs, mcd:pymcd", separate, recipe, True),
        (f"{len(separate)} separate pairs, mcd", separate, default, False),
        (f"grid {SOURCES} x {SYSTEMS}, mcd:pymcd", grid, recipe, True),
        (f"grid {SOURCES} x {SYSTEMS}, mcd", grid, default, False),
    ):
        _compare(title, pairs, metric, options.rounds, options.threads, same)


def _compare(title: str, pairs: list[Pair], metric: ParallelMetric, rounds: int, threads: int, same: bool) -> None:
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(_timed(lambda: _pymcd(pairs)))
        ours.append(_timed(lambda: _vceval(metric, pairs, threads)))
    wall = statistics.median(their[1] / our[1] for their, our in zip(theirs, ours, strict=True))
    processor = statistics.median(their[2] / our[2] for their, our in zip(theirs, ours, strict=True))
    gap = max(abs(a - b) for a, b in zip(theirs[0][0], ours[0][0], strict=True))
    print(
        f"{title:34s} {statistics.median(t[1] for t in theirs):8.2f} {statistics.median(t[1] for t in ours):8.2f} "
        f"{wall:6.2f} {processor:9.2f} {f'{gap:.1e}' if same else 'other definition':>18s}",
        flush=True,
    )


def _timed(work: Callable[[], list[float]]) -> Timed:
    wall, processor = time.perf_counter(), time.process_time()
    values = work()
    return values, time.perf_counter() - wall, time.process_time() - processor


def _pymcd(pairs: Sequence[Pair]) -> list[float]:
    tool = import_module("pymcd.mcd").Calculate_MCD(MCD_mode="dtw")
    return [float(tool.calculate_mcd(str(reference), str(test))) for reference, test in pairs]


def _vceval(metric: ParallelMetric, pairs: Sequence[Pair], threads: int) -> list[float]:
    from vceval.metrics.parallel import Recording
    from vceval.storage.cache import Cache

    cache = Cache(None)  # empty in every round: nothing is carried over

    def value(pair: Pair) -> float:
        made = metric.compare(*(Recording(path, cache) for path in pair))
        return made.sums[metric.name][0]

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(value, pairs))


def _groups(folder: Path | None) -> list[list[Path]]:
    """Recordings that belong together, two or more at a time."""
    if folder is None:
        from vceval.benchmarks import demo

        folder = Path(str(demo.__file__)).parent / "audio"
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    endings, directories = defaultdict(list), defaultdict(list)
    for path in files:
        endings[path.stem.rpartition("_")[2]].append(path)
        directories[path.parent].append(path)
    named = [group for group in endings.values() if len(group) > 1]
    # Files called source, target and the like end alike too, but so do thousands: then directories decide.
    alike = all("_" in path.stem for path in files)
    groups = named if alike and named else [group for group in directories.values() if len(group) > 1]
    if len(groups) < SOURCES:
        raise SystemExit(f"{folder}: {len(groups)} groups of recordings that belong together; {SOURCES} are needed")
    return groups


def _separate(groups: list[list[Path]], count: int) -> list[Pair]:
    """Pairs in which no recording comes twice, drawn evenly from all groups."""
    pairs = [
        (group[k], group[k + 1]) for k in range(0, max(map(len, groups)), 2) for group in groups if k + 1 < len(group)
    ]
    return pairs[:count]


def _grid(groups: list[list[Path]]) -> list[Pair]:
    """Each of 8 sources with 6 recordings of its own; groups with fewer are filled up from the other groups."""
    chosen = groups[:SOURCES]
    spare = [path for group in groups[SOURCES:] for path in group] + [p for g in chosen for p in g[1 + SYSTEMS :]]
    rows = []
    for group in chosen:
        others = group[1 : 1 + SYSTEMS]
        missing = SYSTEMS - len(others)
        if missing > len(spare):
            raise SystemExit(f"too few recordings for a grid of {SOURCES} x {SYSTEMS}")
        others += spare[:missing]
        spare = spare[missing:]
        rows.append((group[0], others))
    return [(source, others[system]) for system in range(SYSTEMS) for source, others in rows]


if __name__ == "__main__":
    main()
