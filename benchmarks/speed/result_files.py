"""Result files: how long they take to read and to verify, what is refused, and what a file of a gigabyte costs.

    python benchmarks/speed/result_files.py RUN [--changes 1000]

Publishes a finished run with a key of its own into a temporary folder. Then it changes single digits, one at a time, at
places drawn over all files, and counts the files that are refused; and it checks a file of a gigabyte. Times are
processor time.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vceval.publish import keys
from vceval.publish.check import check
from vceval.publish.extract import publish
from vceval.publish.rebuild import verified

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish, measure, change, print."""
    parser = argparse.ArgumentParser(description="What reading and checking result files takes, and what is refused.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--changes", type=int, default=1000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        key = keys.make("Benchmark", root / "key.json")
        files = [file for file, _ in publish(options.run, root / "results", key)]
        sizes = [file.stat().st_size / 1e3 for file in files]
        print(f"{len(files)} files of {min(sizes):.0f} to {max(sizes):.0f} kB")
        times = [_timed(partial(verified, file)) for file in files * 20]
        print(f"read and verify: median {1e3 * float(np.median(times)):.1f} ms")
        times = [_timed(partial(check, file)) for file in files]
        print(f"whole check: median {float(np.median(times)):.1f} s; fine: {sum(check(file).fine for file in files)}")
        refused = _changed(files, root / "changed.json", options.changes)
        print(f"single digits changed: {options.changes:,}, refused: {refused:,}")
        print(f"memory of a file of 1 GiB: {_large(root / 'large.json') / 1024:.1f} MB more")


def _timed(what: Callable[[], object]) -> float:
    start = time.process_time()
    what()
    return time.process_time() - start


def _changed(files: Sequence[Path], changed: Path, count: int) -> int:
    """Change one digit of a file at a time, and count what is refused."""
    random = np.random.default_rng(0)
    contents = [file.read_bytes() for file in files]
    digits = [[found.start() for found in re.finditer(rb"[0-9]", content)] for content in contents]
    refused = 0
    for number in range(count):
        data, places = contents[number % len(files)], digits[number % len(files)]
        place = places[int(random.integers(len(places)))]
        digit = (data[place] - ord("0") + int(random.integers(1, 10))) % 10
        changed.write_bytes(data[:place] + b"%d" % digit + data[place + 1 :])
        refused += not check(changed, intervals=False).fine
    return refused


def _large(file: Path) -> int:
    """Check a file that begins as a result and has a gigabyte; kB by which the process grew."""
    file.write_bytes(b'{"result":')
    os.truncate(file, 1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not check(file).fine
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


if __name__ == "__main__":
    main()
