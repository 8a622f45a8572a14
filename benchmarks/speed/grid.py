"""Speed of the batch runner: a grid of sources and targets against a loop that converts one pair after the other.

    python benchmarks/speed/grid.py [--sources 20] [--targets 20] [--rounds 3] [--workers 2] [--loop 100]

Both sides use the demo model of AdaIN-VC and write the same FLAC files. The loop is what people write: a process with
the model loaded once, which reads both recordings, converts and writes, pair by pair (``--loop`` pairs spread over
the grid; its time per pair is taken for all). The runner's side counts everything: starting its worker processes,
loading the model in each, and its journal's records. ``--processes`` also times so many conversions in a process each,
which is a loop over a script that converts one pair. Rounds take turns; printed are medians of wall-clock time a pair,
and the median ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the batch runner.")
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loop", type=int, default=100, help="pairs that the loop converts (default 100)")
    parser.add_argument("--processes", type=int, default=0, help="pairs converted in a process each (default none)")
    parser.add_argument("--single", nargs=2, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    if options.single:
        return _single(*options.single)
    pairs = _pairs(options.sources, options.targets)
    some = pairs[:: max(1, len(pairs) // options.loop)][: options.loop]
    loop, runner = [], []
    with tempfile.TemporaryDirectory() as folder:
        for place in range(options.rounds):
            loop.append(_loop(some, Path(folder) / f"loop{place}") / len(some))
            runner.append(_runner(pairs, Path(folder) / f"run{place}", options.workers) / len(pairs))
    ratios = [one / other for one, other in zip(loop, runner, strict=True)]
    print(f"{options.sources} sources x {options.targets} targets, {options.workers} workers, {options.rounds} rounds")
    print(f"loop {1e3 * statistics.median(loop):.1f} ms a pair, runner {1e3 * statistics.median(runner):.1f} ms a pair")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.processes:
        began = time.perf_counter()
        for pair in some[: options.processes]:
            files = [str(pair.source.path), str(pair.prompts[0].path)]
            subprocess.run([sys.executable, __file__, "--single", *files], check=True)
        each = (time.perf_counter() - began) / options.processes
        print(f"a process for each pair: {1e3 * each:.0f} ms a pair, ratio {each / statistics.median(runner):.0f}")


def _single(source: str, prompt: str) -> None:
    """Convert one pair, and nothing else in this process."""
    from vceval import audio
    from vceval.converters.adainvc_demo import AdaInVcDemo

    converter = AdaInVcDemo()
    converter.open("cpu")
    content = converter.encode_content([audio.load(source)])[0]
    speaker = converter.encode_speaker([[audio.load(prompt)]])[0]
    with tempfile.TemporaryDirectory() as folder:
        [wave] = converter.decode([(content, speaker)], [0])
        audio.write_flac(Path(folder) / "x.flac", wave)  # type: ignore[arg-type]


def _pairs(sources: int, targets: int) -> list[Any]:
    """Pair recordings of the demo corpus, the longest as sources."""
    from vceval.corpora.demo import Demo
    from vceval.records import ConversionPair

    found = sorted(Demo().utterances(), key=lambda utterance: (-(utterance.duration or 0.0), utterance.id))
    if sources + targets > len(found):
        raise SystemExit(f"the demo corpus holds {len(found)} recordings, {sources + targets} are wanted")
    return [
        ConversionPair(f"{source.id}-{target.id}", "demo", source=source, prompts=(target,))
        for source in found[:sources]
        for target in found[sources : sources + targets]
    ]


def _loop(pairs: Sequence[Any], folder: Path) -> float:
    """Convert pair by pair; the model is loaded before the clock starts."""
    from vceval import audio
    from vceval.converters.adainvc_demo import AdaInVcDemo

    converter = AdaInVcDemo()
    converter.open("cpu")
    folder.mkdir()
    began = time.perf_counter()
    for pair in pairs:
        source, prompt = audio.load(pair.source.path), audio.load(pair.prompts[0].path)
        content, speaker = converter.encode_content([source])[0], converter.encode_speaker([[prompt]])[0]
        audio.write_flac(folder / f"{pair.id}.flac", converter.decode([(content, speaker)], [0])[0])  # type: ignore[arg-type]
    return time.perf_counter() - began


def _runner(pairs: Sequence[Any], folder: Path, workers: int) -> float:
    """Convert by the stage of ``vceval run``, journal included."""
    from vceval.records import System
    from vceval.rundir import RunDirectory
    from vceval.runner.convert import convert
    from vceval.runner.journal import Journal
    from vceval.runner.options import Options

    systems = [System("adainvc-demo", "adainvc-demo")]
    began = time.perf_counter()
    with Journal(folder / "journal" / "convert.jsonl") as journal:
        for records in convert(RunDirectory(folder), systems, pairs, lambda *_: True, Options(workers=workers), 0):
            if any(record["status"] != "ok" for record in records):
                raise SystemExit(f"failed: {records}")
            journal.append(records)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
