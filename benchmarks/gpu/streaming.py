"""Converters in chunks on a device: how long a chunk takes, when the first audio comes, and what comes too late.

    python benchmarks/gpu/streaming.py [--device cuda] [--pairs 4] [--converters freevc,knnvc] [--hops 160,320]
        [--json FILE]

``vceval stream`` gives the pairs of the demo suite as somebody speaks, to every converter with windows of a second and
each hop (milliseconds). Weights come from the folder of checkpoints.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

WINDOW, LOOKAHEAD, CROSSFADE = 1000, 80, 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Converters in chunks on a device.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--converters", default="freevc,knnvc")
    parser.add_argument("--hops", default="160,320", help="milliseconds of source between two windows (160,320)")
    parser.add_argument("--json", type=Path, help="add a line of JSON for every system to this file")
    options = parser.parse_args()
    sizes = {"window": WINDOW, "lookahead": LOOKAHEAD, "crossfade": CROSSFADE}
    systems = {
        f"{name}-{hop}": {"converter": "chunked", "of": name, "hop": int(hop), **sizes}
        for name in options.converters.split(",")
        for hop in options.hops.split(",")
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "chunks.yaml").write_text(json.dumps({"systems": systems}), encoding="utf-8")
        command = [
            "stream", "demo", "--limit", str(options.pairs), "--systems", str(folder / "chunks.yaml"), "--pace", "real",
            "--probes", "0", "--metrics", "sanity", "--device", options.device, "--workers", "1",
            "--out", str(folder / "run"),
        ]  # fmt: skip
        ended = subprocess.run([sys.executable, "-m", "vceval", *command], check=False)
        if not (folder / "run" / "stream.json").is_file():
            sys.exit(f"vceval stream ended with {ended.returncode}")
        found = json.loads((folder / "run" / "stream.json").read_text(encoding="utf-8"))
    for one in found["systems"]:
        rtf, first = one["rtf"] or {}, one["first_audio"] or {}
        row = {
            "system": one["name"],
            "window_ms": WINDOW,
            "hop_ms": one["chunk"],
            "pairs": f"{one['streamed']} of {one['expected']}",
            "rtf_median": rtf.get("median"),
            "rtf_high": rtf.get("high"),
            "rtf_largest": rtf.get("largest"),
            "chunks": rtf.get("count"),
            "first_audio_s": first.get("median"),
            "missed": one["misses"],
            "machine": found["machine"],
        }
        print(row)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
