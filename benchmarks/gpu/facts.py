"""Print what a machine has, as JSON: card, driver, torch, versions; with ``--write FOLDER``, write weight files.

Made-up weight files are written by as many processes as there are cores, a file each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description="Facts about a machine, and made-up weight files.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("names", nargs="*", help="converters whose files are written")
    options = parser.parse_args()
    if options.write:
        _write_all(options.names, options.write)
    else:
        print(json.dumps(_facts(options.device)))


def _facts(device: str) -> dict[str, Any]:
    import torch

    import vceval

    facts: dict[str, Any] = {
        "vceval": vceval.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "card": None,
        "driver": None,
    }
    for name in ("numpy", "numba", "resemblyzer", "openai-whisper"):
        facts[name] = metadata.version(name)
    if device != "cpu":
        if not torch.cuda.is_available():
            raise SystemExit(f"torch {torch.__version__} finds no GPU; use --device cpu")
        card = torch.cuda.get_device_properties(0)
        facts |= {"card": card.name, "card_gib": round(card.total_memory / 2**30, 1)}
        torch.ones(8, 8, device=device).mm(torch.ones(8, 8, device=device)).cpu()
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            facts["driver"] = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError) as error:
            facts["driver"] = f"unknown: {error}"
    return facts


def _write_all(names: list[str], folder: Path) -> None:
    from vceval.checkpoints import store

    folder.mkdir(parents=True, exist_ok=True)
    files = {file.name: name for name in names for file in store.files_of(name)}
    # The largest take longest, so they are begun first
    order = sorted(files, key=lambda file: "WavLM" not in file and "wav2vec" not in file)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for done in as_completed(pool.submit(_write, files[file], file, folder) for file in order):
            print(done.result(), flush=True)


def _write(name: str, wanted: str, folder: Path) -> str:
    import torch

    from vceval.checkpoints import store
    from vceval.conformance import made_up_files

    torch.set_num_threads(1)
    [file] = [file for file in store.files_of(name) if file.name == wanted]
    return str(made_up_files.write(file, folder))


if __name__ == "__main__":
    main()
