"""Cost of the batch runner itself: many pairs with a converter and a metric that do nothing.

    python benchmarks/speed/scale.py [--pairs 1000,10000,100000] [--workers 2] [--writes] [--report]

Every size is run in a process of its own: convert, score, results, and then the same command again, which has nothing
to do. The converter answers with the source's file, the metric with a number, so that what is measured is what the
runner adds: giving tasks to workers, journals, looking at files, tables. Printed for each size are the wall-clock time
a pair, the processor time a pair of the main process (scheduling) and of its workers, the peak memory of the main
process, the time of the second command, and that of ``vceval verify``. With ``--writes``, the converter answers with
the source's samples, which the runner writes as FLAC. ``--report`` adds the report to the first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion

__all__ = ["Nothing", "Zero", "main"]


class Nothing(Converter):
    """Answers with the source's own file."""

    info: ClassVar[ConverterInfo] = ConverterInfo("nothing", "Nothing", None, "", "", kind="precomputed")

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Look nothing up."""
        return [request.pair.source.path for request in requests if request.pair.source is not None]


class Copy(Nothing):
    """Answers with the source's samples."""

    info: ClassVar[ConverterInfo] = ConverterInfo("copy", "Copy", None, "", "", kind="native")

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Change nothing."""
        return [request.source for request in requests]


@dataclass(frozen=True)
class Zero(Metric):
    """Answers with a number that follows from the pair's name."""

    name: ClassVar[str] = "zero"
    title: ClassVar[str] = "Zero"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (Measure("zero", "Zero", "", "higher"),)
    source: ClassVar[str] = "nobody"

    def signature(self) -> str:
        """Name it."""
        return "ZERO|v:1.0"

    def statistics(self, conversion: Conversion) -> Statistics:
        """Look at nothing."""
        return Statistics({"zero": (float(sum(map(ord, conversion.pair.id)) % 100), 1.0)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of the batch runner itself.")
    parser.add_argument("--pairs", default="1000,10000,100000")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--writes", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        print(json.dumps(_one(options.one, options)))
        return
    print("pairs     ms a pair: wall, main process, workers   MB   again, s   verify, s")
    for size in options.pairs.split(","):
        with tempfile.TemporaryDirectory() as folder:
            _plugin(Path(folder))
            command = [sys.executable, __file__, "--one", folder, "--pairs", size, "--workers", str(options.workers)]
            command += ["--writes"] * options.writes + ["--report"] * options.report
            places = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
            environment = {**os.environ, "PYTHONPATH": places, "VCEVAL_CACHE": f"{folder}/cache"}
            first, second = (
                json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
                for _ in range(2)
            )
        count = int(size)
        each = [1e3 * first[name] / count for name in ("wall", "main", "workers")]
        print(
            f"{count:<10}{each[0]:.3f}  {each[1]:.3f}  {each[2]:.3f}   {first['memory']:.0f}   {second['wall']:.1f}   "
            f"{second['verify']:.1f}"
        )


def _plugin(folder: Path) -> None:
    """Make this file a plug-in, found by its entry points."""
    (folder / "scale_plugin.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    info = folder / "scale_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scale-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vceval.converters]\nnothing = scale_plugin:Nothing\ncopy = scale_plugin:Copy\n\n"
        "[vceval.metrics]\nzero = scale_plugin:Zero\n"
    )


def _one(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Carry out one run in this process; peak memory in MB, times in seconds."""
    from vceval.records import System
    from vceval.reports.build import build
    from vceval.results.rundir import RunDirectory
    from vceval.runner.execute import execute, locked, prepare
    from vceval.runner.options import Options
    from vceval.runner.plan import Plan
    from vceval.runner.verify import verify

    began, used = time.perf_counter(), _processor()
    name = "copy" if options.writes else "nothing"
    plan = Plan("scale", "scale", _pairs(folder, int(options.pairs)), [System(name, name)], ["zero"], [])
    run = prepare(folder / "run")
    with locked(run.root):
        _, changed = execute(plan, run, Options(workers=options.workers))
    if options.report and changed:
        build(run)
    wall = time.perf_counter() - began
    return {
        "wall": wall,
        "main": _processor() - used,
        "workers": sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "verify": verify(RunDirectory(run.root), print).seconds,
    }


def _processor() -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def _pairs(folder: Path, count: int) -> dict[str, Any]:
    """Make pairs of as many sources as targets, all of them short files, with forty speakers."""
    import numpy as np

    from vceval.records import ConversionPair, Utterance
    from vceval.signal.audio import Waveform, write_flac

    sources = max(1, round(count**0.5))
    speech = []
    for number in range(sources):
        path = folder / "audio" / f"{number}.flac"
        if not path.is_file():
            noise = np.random.default_rng(number).normal(0.0, 0.1, 4_000).clip(-1.0, 1.0)
            write_flac(path, Waveform(noise.astype(np.float32), 16_000))
        speech.append(Utterance(f"u{number}", path, "scale", f"s{number % 40}", duration=0.25))
    found = {}
    for number in range(count):
        source, target = speech[number // sources % sources], speech[number % sources]
        name = f"{number:07d}"
        found[name] = ConversionPair(
            name, "scale", source=source, prompts=(target,), source_speaker=source.speaker,
            target_speaker=target.speaker, direction="F2M",
        )  # fmt: skip
    return found


if __name__ == "__main__":
    main()
