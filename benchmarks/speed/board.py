"""Time and memory of a board of many result files, first paint of its largest page, and changed digits.

    python benchmarks/speed/board.py [--files 10000] [--suites 5] [--systems 40] [--pairs 48] [--changes 1000]
                                     [--keep FOLDER]

Makes up signed result files: systems of several publishers on several suites, as many results of each as there are
files, the older ones its history. ``vceval board`` makes the pages in a process of its own with its workers; printed
are wall-clock time, processor time of all processes, and the most that they had in memory at one time. Headless
Chromium, where it is installed, opens the page of the first suite from disk. Then one digit of a file is changed, again
and again, and all are judged.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.benchmarks.speed.painting import painted
from vceval.publish import keys
from vceval.publish.check import check
from vceval.publish.columns import pack
from vceval.publish.record import FORM, FORMAT, Result, render
from vceval.records import DIRECTIONS
from vceval.results.views import ALL, Cell, MeasureView, MetricView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["made_up", "main"]

#: Measures: name, metric, label, unit, better, scale, decimals, middle, spread; all or nothing where spread is 0.
MEASURES = (
    ("made_mcd", "made_mcd", "MCD", "dB", "lower", 1.0, 2, 6.5, 0.8),
    ("made_cosine", "made_sv", "SV cos.", "", "higher", 1.0, 3, 0.78, 0.05),
    ("made_accept", "made_sv", "SV acc.", "%", "higher", 100.0, 1, 0.8, 0.0),
    ("made_wer", "made_wer", "WER", "%", "lower", 100.0, 1, 0.2, 0.08),
)
SPEAKERS = 8
PUBLISHERS = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Make files up, time their board, change digits, print."""
    parser = argparse.ArgumentParser(description="Time and memory of a board of many result files.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--suites", type=int, default=5)
    parser.add_argument("--systems", type=int, default=40, help="of each suite")
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--changes", type=int, default=1000, help="single digits to change")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="make the files here, if they are not, and leave them"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        results, site = folder / "results", folder / "site"
        if not results.is_dir():
            made_up(results, options.files, options.suites, options.systems, options.pairs)
        sizes = [path.stat().st_size for path in results.iterdir()]
        print(f"{len(sizes):,} files of {sum(sizes) / len(sizes) / 1e3:.1f} kB, {options.pairs} pairs, "
              f"{options.suites} suites, {options.systems} systems each")  # fmt: skip
        _time(results, site)
        _paint(next(site.glob("suite-*.html")))
        _change(results, folder / "changed", options.changes)


def made_up(folder: Path, files: int, suites: int, systems: int, pairs: int, seed: int = 0) -> None:
    """Write signed result files; equal arguments give equal figures."""
    import numpy as np

    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    signers = [
        keys.make(f"Laboratory {number + 1}", folder.parent / f"key-{number}.json") for number in range(PUBLISHERS)
    ]
    for number in range(files):
        suite, rest = number % suites, number // suites
        system, version = rest % systems, rest // systems
        key = signers[system % PUBLISHERS]
        result = _result(random, f"made-up-{suite + 1}@1", system, version, pairs, key)
        (folder / f"{number:05d}.json").write_bytes(render(result, key))


def _result(random: np.random.Generator, suite: str, system: int, version: int, pairs: int, key: keys.Key) -> Result:
    import numpy as np

    numbers = np.arange(pairs)
    directions = numbers % len(DIRECTIONS)
    identities = b"".join(hashlib.sha256(f"{suite} {number}".encode()).digest()[:8] for number in range(pairs))
    sums, figures = {}, []
    month, day = version // 28 % 12 + 1, version % 28
    for name, *_, middle, spread in MEASURES:
        level = middle * (0.7 + 0.02 * system)
        values = (
            random.normal(level, spread, pairs) if spread else (random.random(pairs) < min(level, 0.97)).astype(float)
        )
        sums[name] = {"numerators": pack(values), "denominators": pack(np.ones(pairs))}
        figures.append(_figure(name, ALL, values))
        figures += [_figure(name, way, values[directions == at]) for at, way in enumerate(DIRECTIONS)]
    content: dict[str, Any] = {
        "format": FORMAT, "version": FORM,
        "suite": {"name": suite, "pairs": pairs},
        "run": {"manifest_sha256": "a" * 64, "created": "2025-01-01T00:00:00+00:00"},
        "environment": {"versions": {"vceval": "0.1.0"}},
        "system": {"name": f"system-{system}", "title": f"System {system}", "place": system, "expected": pairs,
                   "converter": f"converter-{system}", "licence": ("MIT", "Apache-2.0")[system % 2],
                   "paper": f"Somebody and others, {2018 + system % 7}"},
        "metrics": [MetricView(name, name, f"{name.upper()}|v:1.0", "")
                    for name in dict.fromkeys(one[1] for one in MEASURES)],
        "measures": [MeasureView(*one[:7]) for one in MEASURES],
        "pairs": {
            "count": pairs, "identities": base64.b64encode(identities).decode(), "numbers": pack(numbers),
            "targets": pack(numbers % SPEAKERS), "sources": pack((numbers * 3 + numbers // SPEAKERS) % SPEAKERS),
            "texts": pack(numbers), "text_count": pairs, "datasets": pack(np.zeros(pairs)),
            "directions": pack(directions), "languages": pack(np.zeros(pairs)),
            "speakers": [f"p{number}" for number in range(SPEAKERS)], "dataset_names": ["made up"],
            "direction_names": list(DIRECTIONS), "language_names": ["en"],
        },
        "sums": sums, "figures": figures,
        "by": {"name": key.name, "key": key.public, "published": f"2025-{month:02d}-{day + 1:02d}T00:00:00Z",
               "vceval": "0.1.0"},
    }  # fmt: skip
    return Result.model_validate(content)


def _figure(measure: str, direction: str, values: NDArray[np.float64]) -> dict[str, Any]:
    mean, half, count = float(values.sum()) / len(values), float(values.std()) / len(values) ** 0.5, len(values)
    cell = Cell(mean, mean - half, mean + half, count, count, 0, 0, SPEAKERS, SPEAKERS, "t")
    return {"measure": measure, "dataset": ALL, "direction": direction, "cell": cell}


def _time(results: Path, site: Path) -> None:
    """Make the board in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "vceval", "board", str(results), "--out", str(site)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    seen, over = Seen(), threading.Event()
    watch = threading.Thread(target=lambda: _watch(child.pid, seen, over))
    watch.start()
    told, _ = child.communicate()
    seconds = time.perf_counter() - start
    over.set()
    watch.join()
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    print(f"{told.splitlines()[0]}\nboard {seconds:.1f} s, processor time {sum(seen.seconds.values()):.1f} s, "
          f"{seen.memory:.0f} MB, pages {size:.1f} MB")  # fmt: skip
    if child.returncode:
        sys.exit(child.returncode)


@dataclass
class Seen:
    """Processor seconds by process, and the most megabytes that all had at one time."""

    seconds: dict[int, float] = field(default_factory=dict)
    memory: float = 0.0


def _watch(session: int, seen: Seen, over: threading.Event) -> None:
    """Note what the processes of a session take; memory that they share is counted once."""
    tick = os.sysconf("SC_CLK_TCK")
    while not over.wait(0.05):
        memory = 0.0
        for process in _session(session):
            memory += _own(process)
            try:
                fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            seen.seconds[process] = (int(fields[11]) + int(fields[12])) / tick
        seen.memory = max(seen.memory, memory)


def _session(session: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                yield int(folder.name)
        except OSError:
            continue


def _own(process: int) -> float:
    """Megabytes of a process: proportional set size."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1e3 if found else 0.0


def _paint(page: Path) -> None:
    """Open the page in headless Chromium and time what a reader waits for."""
    with painted(page) as found:
        if found is None:
            return
        tab, seen, wait_for = found
        first = tab.inner_text("table.results tbody th")
        start = time.perf_counter()
        tab.click("thead th >> nth=0 >> button")
        tab.click("thead th >> nth=0 >> button")
        wait_for(tab, f"document.querySelector('table.results tbody th').innerText !== {json.dumps(first)}", 30)
        print(f"another order of all rows {time.perf_counter() - start:.2f} s; errors: {seen.errors or 'none'}")


def _change(results: Path, folder: Path, changes: int) -> None:
    """Change one digit of a file, many times, and say how many of the files are refused."""
    import numpy as np

    random = np.random.default_rng(1)
    folder.mkdir(exist_ok=True)
    files, file = sorted(results.iterdir()), folder / "changed.json"
    refused = 0
    for _ in range(changes):
        data = files[random.integers(len(files))].read_bytes()
        digits = [match.start() for match in re.finditer(rb"[0-9]", data)]
        at = digits[random.integers(len(digits))]
        other = b"0123456789".replace(data[at : at + 1], b"")[random.integers(9) :][:1]
        file.write_bytes(data[:at] + other + data[at + 1 :])
        refused += not check(file, intervals=False).fine
    print(f"{refused:,} of {changes:,} files with one digit changed are refused")


if __name__ == "__main__":
    main()
