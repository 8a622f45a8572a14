"""Speed of ``vceval score``: recordings a second, with all worker processes.

    python benchmarks/gpu/scoring.py [--recordings 1000] [--workers 16] [--metrics sv,mcd,f0,sanity,bandwidth]
        [--device cpu[,cuda]] [--whisper] [--weights FOLDER] [--json FILE]

With several devices one is measured after the other. ``--whisper`` adds ``wer``, heard by a Whisper of random weights
of size ``base``, whose texts are noise and as long as it likes; on a processor it takes minutes.

The recordings are the demo corpus's, again and again at other levels, so that none is known from before. The time is
that of the whole command, start and report included.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
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
    parser.add_argument("--metrics", default="sv,mcd,f0,sanity,bandwidth")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--whisper", action="store_true", help="and wer, by a Whisper of random weights")
    parser.add_argument("--weights", type=Path, help="folder of made-up weights for the encoders and UTMOS")
    parser.add_argument("--json", type=Path, help="add a line of JSON with each result to this file")
    options = parser.parse_args()
    os.environ["VCEVAL_CACHE"] = "off"
    if options.weights:
        _judges(options.weights)
    with tempfile.TemporaryDirectory() as folder:
        seconds = _table(Path(folder), options.recordings)
        metrics, recogniser = options.metrics, []
        if options.whisper:
            metrics, recogniser = f"{metrics},wer", ["--recogniser", f"whisper:{_whisper(Path(folder))}"]
        for device in options.device.split(","):
            command = [
                "score", f"{folder}/table.csv", "--root", "/", "--out", f"{folder}/run", "--fresh", "--device", device,
                "--no-controls", "--metrics", metrics, "--workers", str(options.workers), *recogniser,
            ]  # fmt: skip
            # A process of its own, as its start is part of the time
            began = time.perf_counter()
            ended = subprocess.run([sys.executable, "-m", "vceval", *command], check=False)
            taken = time.perf_counter() - began
            if ended.returncode:
                sys.exit(f"vceval score ended with {ended.returncode}")
            row = {
                "device": device,
                "recordings": options.recordings,
                "workers": options.workers,
                "metrics": metrics,
                "seconds": taken,
                "recordings_a_second": options.recordings / taken,
                "audio_hours": seconds / 3600,
            }
            print(row, flush=True)
            if options.json:
                with open(options.json, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")


def _judges(folder: Path) -> None:
    """Write made-up weights of the encoders and of UTMOS, and say where they are."""
    import torch

    from vceval.checkpoints.known_files import CAMPPLUS, DVECTOR
    from vceval.conformance import made_up_files
    from vceval.conformance.kits import made_up_weights
    from vceval.networks.utmos import Utmos

    for file in (CAMPPLUS, DVECTOR):
        if not (folder / file.name).is_file():
            made_up_files.write(file, folder)
    if not (folder / "utmos-made-up.pt").is_file():
        torch.save(made_up_weights(Utmos(), 0), folder / "utmos-made-up.pt")
    os.environ["VCEVAL_CHECKPOINTS"] = str(folder)
    os.environ["VCEVAL_UTMOS"] = str(folder / "utmos-made-up.pt")


def _whisper(folder: Path) -> Path:
    """Write a Whisper of size base with random weights."""
    import torch
    import whisper

    sizes = whisper.model.ModelDimensions(80, 1500, 512, 8, 6, 51865, 448, 512, 8, 6)
    torch.manual_seed(0)
    network = whisper.model.Whisper(sizes)
    torch.save({"dims": sizes.__dict__, "model_state_dict": network.state_dict()}, folder / "random.pt")
    return folder / "random.pt"


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
