"""Speed of the batch runner: a grid of sources and targets against a loop that converts one pair after the other.

    python benchmarks/speed/grid.py [--sources 20] [--targets 20] [--rounds 3] [--workers 2] [--loop 100]
        [--converter adainvc-demo] [--precision tf32] [--device cpu] [--json FILE]

Both sides use the demo model of AdaIN-VC, or a converter whose files are in the store ($VCEVAL_CHECKPOINTS), and write
the same FLAC files. The loop is what people write: a process with
the model loaded once, which reads both recordings, converts and writes, pair by pair (``--loop`` pairs spread over
the grid; its time per pair is taken for all). The runner's side counts everything: starting its worker processes,
loading the model in each, and its journal's records. ``--processes`` also times so many conversions in a process each,
which is a loop over a script that converts one pair. Rounds take turns; printed are medians of wall-clock time a pair,
and the median ratio; and apart from these, the time until the first batch is done, and that of a pair from then on. On
a GPU the share of time in which it did nothing is printed (by NVML, every
0.1 s): of the whole, and from the first batch that is done.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    parser.add_argument("--converter", default="adainvc-demo")
    parser.add_argument("--precision", help="of a native converter, such as tf32, on both sides (default: its own)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default cpu)")
    parser.add_argument("--json", type=Path, help="add a line of JSON with the result to this file")
    parser.add_argument("--single", nargs=2, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    if options.single:
        return _single(*options.single)
    pairs = _pairs(options.sources, options.targets)
    some = pairs[:: max(1, len(pairs) // options.loop)][: options.loop]
    loop, runner, first, later, idle = [], [], [], [], []
    how = {"precision": options.precision} if options.precision else {}
    with tempfile.TemporaryDirectory() as folder:
        for place in range(options.rounds):
            taken = _loop(some, Path(folder) / f"loop{place}", options.converter, how, options.device)
            loop.append(taken / len(some))
            times = _runner(pairs, Path(folder) / f"run{place}", how, options)
            runner.append(times.whole / len(pairs))
            first.append(times.first)
            later.append(times.later)
            idle.append(times.idle)
    ratios = [one / other for one, other in zip(loop, runner, strict=True)]
    ratios_later = [one / other for one, other in zip(loop, later, strict=True)]
    print(f"{options.sources} sources x {options.targets} targets, {options.workers} workers, {options.rounds} rounds")
    print(f"loop {1e3 * statistics.median(loop):.1f} ms a pair, runner {1e3 * statistics.median(runner):.1f} ms a pair")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(
        f"first batch after {statistics.median(first):.2f} s, then {1e3 * statistics.median(later):.1f} ms a pair, "
        f"ratio {statistics.median(ratios_later):.2f}"
    )
    row = {
        "converter": options.converter,
        "precision": options.precision or "as it is",
        "pairs": len(pairs),
        "loop_ms_a_pair": 1e3 * statistics.median(loop),
        "runner_ms_a_pair": 1e3 * statistics.median(runner),
        "ratio": statistics.median(ratios),
        "first_batch_s": statistics.median(first),
        "then_ms_a_pair": 1e3 * statistics.median(later),
        "then_ratio": statistics.median(ratios_later),
    }
    if options.device != "cpu":
        shares = [statistics.median(column) for column in zip(*idle, strict=True)]
        print(f"the GPU did nothing for {shares[0]:.0%} of the runner's time, {shares[1]:.0%} from the first batch on")
        row |= {"idle_share": shares[0], "idle_share_from_first_batch": shares[1]}
    if options.json:
        with open(options.json, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
    if options.processes:
        began = time.perf_counter()
        for pair in some[: options.processes]:
            files = [str(pair.source.path), str(pair.prompts[0].path)]
            subprocess.run([sys.executable, __file__, "--single", *files], check=True)
        each = (time.perf_counter() - began) / options.processes
        print(f"a process for each pair: {1e3 * each:.0f} ms a pair, ratio {each / statistics.median(runner):.0f}")


def _single(source: str, prompt: str) -> None:
    """Convert one pair, and nothing else in this process."""
    from vceval.converters.adainvc_demo import AdaInVcDemo
    from vceval.signal import audio

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


def _loop(pairs: Sequence[Any], folder: Path, name: str, how: Mapping[str, Any], device: str) -> float:
    """Convert pair by pair; the model is loaded, and has converted one, before the clock starts."""
    from vceval import registry
    from vceval.signal import audio

    converter = registry.load("converter", name)(**how)
    converter.open(device)
    folder.mkdir()

    def convert(pair: Any) -> None:
        source, prompt = audio.load(pair.source.path), audio.load(pair.prompts[0].path)
        content, speaker = converter.encode_content([source])[0], converter.encode_speaker([[prompt]])[0]
        audio.write_flac(folder / f"{pair.id}.flac", converter.decode([(content, speaker)], [0])[0])

    convert(pairs[0])
    began = time.perf_counter()
    for pair in pairs:
        convert(pair)
    taken = time.perf_counter() - began
    converter.close()
    return taken


class Times(NamedTuple):
    """Seconds of the whole, until the first batch, and of a pair from then on; idle shares of whole and rest."""

    whole: float
    first: float
    later: float
    idle: tuple[float, float]


def _runner(pairs: Sequence[Any], folder: Path, how: Mapping[str, Any], options: argparse.Namespace) -> Times:
    """Convert by the stage of ``vceval run``, journal included."""
    from vceval.records import System
    from vceval.results.rundir import RunDirectory
    from vceval.runner.convert import convert
    from vceval.runner.devices import devices
    from vceval.runner.journal import Journal
    from vceval.runner.options import Options

    systems = [System(options.converter, options.converter, dict(how))]
    chosen = Options(devices=devices(options.device), workers=options.workers)
    first, left = 0.0, len(pairs)
    with _Utilisation(options.device) as used:
        began = time.perf_counter()
        with Journal(folder / "journal" / "convert.jsonl") as journal:
            for records in convert(RunDirectory(folder), systems, pairs, lambda *_: True, chosen, 0):
                if not first:
                    first, left = time.perf_counter(), left - len(records)
                if any(record["status"] != "ok" for record in records):
                    raise SystemExit(f"failed: {records}")
                journal.append(records)
        ended = time.perf_counter()
    later = (ended - first) / left if left else float("nan")
    return Times(ended - began, first - began, later, (used.idle(began), used.idle(first, ended)))


class _Utilisation:
    """Asks a GPU's driver every 0.1 s for the share of time in which a kernel ran; on a processor, nothing."""

    def __init__(self, device: str) -> None:
        self._number = None if device == "cpu" else int(device.partition(":")[2] or 0)
        self._found: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> _Utilisation:
        if self._number is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._number is not None:
            self._thread.join()

    def _ask(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetHandleByIndex(self._number)
        while not self._stop.wait(0.1):
            self._found.append((time.perf_counter(), pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100))

    def idle(self, since: float, until: float = math.inf) -> float:
        """Share of time without a kernel; not a number where nothing was found out."""
        values = [value for at, value in self._found if since <= at <= until]
        return 1.0 - statistics.mean(values) if values else float("nan")


if __name__ == "__main__":
    main()
