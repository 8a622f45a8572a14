"""Speed of ``vceval score``: recordings a second, with all worker processes.

    python benchmarks/gpu/scoring.py [--recordings 1000] [--workers 16] [--metrics sv,sanity,bandwidth] [--device cpu]
        [--json FILE]

The recordings are the demo corpus's, again and again at other levels, so that none is known from before. The time is
that of the whole command, start and report included.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HEADER = ("system", "converted", "source", "target", "transcript", "language", "source_speaker", "target_speaker")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of vceval score.")
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--metrics", default="sv,sanity,bandwidth")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="add a line of JSON with the result to this file")
    options = parser.parse_args()
    from vceval.cli.main import main as vceval

    os.environ["VCEVAL_CACHE"] = "off"
    with tempfile.TemporaryDirectory() as folder:
        seconds = _table(Path(folder), options.recordings)
        began = time.perf_counter()
        code = vceval(
            ["score", f"{folder}/table.csv", "--root", "/", "--out", f"{folder}/run", "--device", options.device,
             "--metrics", options.metrics, "--workers", str(options.workers)]
        )  # fmt: skip
        taken = time.perf_counter() - began
    if code:
        sys.exit(f"vceval score ended with {code}")
    row = {
        "recordings": options.recordings,
        "workers": options.workers,
        "metrics": options.metrics,
        "seconds": taken,
        "recordings_a_second": options.recordings / taken,
        "audio_hours": seconds / 3600,
    }
    print(row)
    if options.json:
        with open(options.json, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def _table(folder: Path, count: int) -> float:
    """Write recordings and their table; gives their length in seconds."""
    import numpy as np
    import soundfile

    from vceval.corpora.demo import Demo

    found = list(Demo().utterances())

    def write(number: int) -> tuple[tuple[str, ...], float]:
        source, target = found[number % len(found)], found[(number * 7 + 31) % len(found)]
        samples, rate = soundfile.read(source.path, dtype="float32")
        path = folder / f"{number}.flac"
        soundfile.write(path, samples * np.float32(0.9 ** (number // len(found) + 1)), rate)
        row = (
            "copy", str(path), str(source.path), str(target.path), source.transcript or "", "en",
            source.speaker or "", target.speaker or "",
        )  # fmt: skip
        return row, len(samples) / rate

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(write, range(count)))
    with open(folder / "table.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *(row for row, _ in rows)])
    return sum(seconds for _, seconds in rows)


if __name__ == "__main__":
    main()
