"""Input that asks for more than it is worth: each must be refused in little memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from faults.table import Row

__all__ = ["CASES", "MEMORY", "attack"]

#: MB more than before that a case may take, and seconds of the processor.
MEMORY, SECONDS = 64.0, 30.0


def _memo(folder: Path) -> None:
    from vceval.checkpoints.arrays import read_arrays

    (folder / "memo.pkl").write_bytes(b"\x80\x02Nr\x00\x00\x00\x08.")
    read_arrays(folder / "memo.pkl", {"mean": (3,)})


def _script(folder: Path) -> None:
    from vceval.checkpoints import weights

    with zipfile.ZipFile(folder / "memo.pt", "w") as archive:
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/data.pkl", b"\x80\x02Nr\x00\x00\x00\x08.")
    weights.read(folder / "memo.pt")


def _zip(folder: Path) -> None:
    from vceval.checkpoints import weights

    with zipfile.ZipFile(folder / "zip.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/constants.pkl", b"")
        with archive.open("x/data.pkl", "w", force_zip64=True) as stream:
            for _ in range(256):
                stream.write(bytes(1 << 20))
    weights.read(folder / "zip.pt")


def _yaml(folder: Path) -> None:
    from vceval.gate.rules import read_rules

    steps = [
        f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (folder / "rules.yaml").write_text("\n".join(["a: &a [x, x, x, x, x, x, x, x, x]", *steps, "rules: *i"]))
    read_rules(folder / "rules.yaml")


def _digits(folder: Path) -> None:
    from vceval.protocol.systems import read_systems

    (folder / "s.yaml").write_text("systems: {mine: {converter: world, x: " + "9" * 3_000_000 + "}}")
    read_systems(folder / "s.yaml")


def _wav(folder: Path) -> None:
    from vceval.signal import audio

    size = 3 << 30
    path = folder / "long.wav"
    with path.open("wb") as file:
        format_ = b"fmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0"
        file.write(
            b"RIFF" + (size + 36).to_bytes(4, "little") + b"WAVE" + format_ + b"data" + size.to_bytes(4, "little")
        )
        file.truncate(44 + size)
    audio.load(path)


def _field(folder: Path) -> None:
    from vceval.storage.csv_files import read_rows

    (folder / "pairs.csv").write_text("pair\n" + "x" * (8 << 20) + "\n")
    list(read_rows(folder / "pairs.csv"))


def _deep(folder: Path) -> None:
    from vceval.results.rundir import RunDirectory

    (folder / "run.json").write_text("[" * (4 << 20))
    RunDirectory(folder).read_json("run.json")


def _worker(folder: Path, does: str) -> None:
    from vceval.converters.base import Request
    from vceval.converters.command import Command
    from vceval.errors import ItemError
    from vceval.records import ConversionPair, Utterance

    (folder / "worker.py").write_text(f"import sys\nsys.stdin.readline()\n{does}")
    recording = Utterance("u", folder / "worker.py", "made up")
    pair = ConversionPair("p", "made up", source=recording, prompts=(recording,))
    converter = Command(command=[sys.executable, str(folder / "worker.py")], timeout=20)
    [outcome] = converter.convert([Request("mine", pair, 1, folder / "scratch" / "p.wav")])
    converter.close()
    if isinstance(outcome, ItemError):
        raise outcome


def _line(folder: Path) -> None:
    _worker(folder, "for _ in range(500): sys.stdout.write('x' * (1 << 20))\n")


def _errors(folder: Path) -> None:
    _worker(folder, "for _ in range(500): sys.stderr.write('x' * (1 << 20))\n")


def _flood(folder: Path) -> None:
    _worker(folder, "while True: print('x' * 100_000)\n")


CASES: dict[str, Callable[[Path], None]] = {
    "9 bytes of pickle that number an object 2^27": _memo,
    "the same in TorchScript": _script,
    "256 MB in a zip of 0.3 MB": _zip,
    "YAML aliases for 400 million values": _yaml,
    "3 million digits in YAML": _digits,
    "3 GB of WAV": _wav,
    "8 MB in a cell of CSV": _field,
    "4 million brackets of JSON": _deep,
    "500 MB in a line of a worker": _line,
    "500 MB on a worker's standard error": _errors,
    "lines of a worker without end": _flood,
}


def attack(name: str, folder: Path) -> Row:
    """Do one case in a process of its own, and measure it."""
    row = Row(name)
    code = f"import sys; sys.path[:0] = {sys.path!r}; from faults.hostile import measured; measured(*sys.argv[1:])"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, name, str(folder)],
            capture_output=True,
            text=True,
            timeout=20 * SECONDS,
            env=os.environ,
        )
        said, megabytes, seconds = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        row.add("no end", name)
        return row
    except (ValueError, IndexError):
        row.add("trace", name)
        return row
    ends = "no end" if seconds > SECONDS or megabytes > MEMORY else said
    row.add(ends, f"{megabytes:.0f} MB, {seconds:.1f} s")
    row.note = f"{megabytes:.0f} MB, {seconds:.1f} s"
    return row


def measured(name: str, folder: str) -> None:
    """Do a case; prints what came of it, the MB that it took, and its seconds of the processor."""
    import resource
    import time

    import numpy  # noqa: F401 - what is loaded in any case is not counted
    import soundfile  # noqa: F401
    import torch  # noqa: F401

    from vceval.errors import ItemError, UsageError

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        CASES[name](Path(folder))
        said = "other value"  # none of them may be taken
    except (UsageError, ItemError):
        said = "refused in words"
    took = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([said, took, time.process_time() - began]))
