"""Runs that are killed, lose workers or run out of room again and again, and end as if nothing had happened.

They are killed a few times; many times where VCEVAL_LONG is set.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm
import yaml
from plugin import write_plugin

from vceval.runner.journal import read_records

KILLS = 40 if os.environ.get("VCEVAL_LONG") else 6
#: Kills of one run, after which it may end.
AT_MOST = 6
WORKERS = 2
PAIRS = 16
CONVERSIONS = 2 * PAIRS
BATCH = 8


class Runs:
    """Starts the same command, over and over, in a folder of choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        systems = {"slow": {"converter": "quiet", "each": 0.05}, "noisy": {"converter": "noisy"}}
        (folder / "systems.yaml").write_text(yaml.safe_dump({"systems": systems}))
        self.environment = {
            **os.environ, "PYTHONPATH": str(write_plugin(folder / "site")), "LOUDNESS_PAUSE": "0.05",
            "VCEVAL_CACHE": "off",
            "QUIET_LOG": str(folder / "quiet.log"), "LOUDNESS_LOG": str(folder / "loudness.log"),
        }  # fmt: skip

    def start(self, out: str) -> warm.Command:
        arguments = ["run", "--converters", "source", "--systems", "systems.yaml", "--metrics", "loudness,sanity"]
        arguments += ["--limit", str(PAIRS), "--workers", str(WORKERS), "--out", out]
        return warm.Command(arguments, self.folder, self.environment)

    def finish(self, out: str) -> str:
        """Run to the end, several times where pairs failed; returns what was said."""
        for _ in range(3):
            process = self.start(out)
            _, said = process.communicate(timeout=120)
            if process.returncode == 0:
                return said
        raise AssertionError(said)

    def result(self, out: str) -> bytes:
        return (self.folder / out / "scores.parquet").read_bytes()

    def noted(self, name: str) -> int:
        """Pairs worked at since the last time this was asked."""
        log = self.folder / name
        count = len(log.read_text().splitlines()) if log.exists() else 0
        log.unlink(missing_ok=True)
        return count


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def whole(runs: Runs) -> tuple[bytes, float]:
    """Scores of an undisturbed run, and how long it took."""
    began = time.monotonic()
    runs.finish("whole")
    took = time.monotonic() - began
    assert runs.noted("quiet.log") == CONVERSIONS
    assert runs.noted("loudness.log") == 3 * PAIRS
    return runs.result("whole"), took


def twice(folder: Path) -> list[str]:
    """Items that a journal holds more than once."""
    found = []
    for name, fields in (("convert", ("system", "pair")), ("score", ("system", "pair", "metric"))):
        records = read_records(folder / "journal" / f"{name}.jsonl")
        items = Counter(" ".join(record[field] for field in fields) for record in records if record["status"] == "ok")
        found += [item for item, count in items.items() if count > 1]
        assert len(items) == 3 * PAIRS * (2 if name == "score" else 1)
    return found


def test_a_run_killed_at_random_moments_ends_the_same(runs: Runs, whole: tuple[bytes, float]) -> None:
    chance = random.Random(1)
    undisturbed, took = whole
    killed = wasted = number = 0
    while killed < KILLS:
        number += 1
        kills = 0
        for _ in range(AT_MOST):
            process = runs.start(f"killed{number}")
            try:
                process.wait(timeout=chance.uniform(0.3, 0.6 * took))
            except subprocess.TimeoutExpired:
                process.kill()
            assert process.wait() in (0, -signal.SIGKILL), process.communicate()
            kills += process.returncode != 0
        runs.finish(f"killed{number}")
        assert runs.result(f"killed{number}") == undisturbed
        assert twice(runs.folder / f"killed{number}") == []
        assert not list((runs.folder / f"killed{number}").rglob(".part-*"))
        wasted = runs.noted("quiet.log") - CONVERSIONS
        assert 0 <= wasted < max(1, kills) * WORKERS * BATCH
        killed += kills
        assert number < 10, "runs end before they can be killed"
    assert killed >= KILLS


def test_workers_killed_at_random_moments_cost_nothing(runs: Runs, whole: tuple[bytes, float]) -> None:
    chance = random.Random(2)
    killed = number = 0
    while killed < KILLS:
        number += 1
        process = runs.start(f"workers{number}")
        kills = 0
        while process.poll() is None:
            time.sleep(chance.uniform(0.1, 0.6))
            for worker in chance.sample(sorted(workers(process.pid)), k=1) if workers(process.pid) else []:
                os.kill(worker, signal.SIGKILL)
                kills += 1
        assert process.returncode in (0, 1)
        runs.finish(f"workers{number}")
        assert runs.result(f"workers{number}") == whole[0]
        assert twice(runs.folder / f"workers{number}") == []
        assert 0 <= runs.noted("quiet.log") - CONVERSIONS < max(1, kills) * BATCH
        killed += kills
        assert number < 20, "no worker could be killed"


def workers(main: int) -> list[int]:
    """Process numbers of a run's workers, which a server has forked."""
    servers = [child for child in children_of(main) if b"forkserver" in command_of(child)]
    return [worker for server in servers for worker in children_of(server)]


def children_of(process: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(child) for child in children.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.fixture
def small_disk(runs: Runs) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = runs.folder / "disk"
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("moment", ["convert", "score"])
def test_a_disk_that_fills_up_and_has_room_again(
    runs: Runs, whole: tuple[bytes, float], small_disk: Path, moment: str
) -> None:
    process = runs.start("disk/run")
    journal = small_disk / "run" / "journal" / f"{moment}.jsonl"
    wait(lambda: (journal.exists() and journal.stat().st_size > 0) or process.poll() is not None)
    fill(small_disk / "filler")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2, said
    assert "No space left on device" in said
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    again = runs.start("disk/run")
    _, said = again.communicate(timeout=60)
    assert (again.returncode, "Traceback" in said) == (2, False) or "are needed" in said, said
    (small_disk / "filler").unlink()
    runs.finish("disk/run")
    assert runs.result("disk/run") == whole[0]
    assert twice(small_disk / "run") == []
    assert json.loads((small_disk / "run" / "run.json").read_text())["state"] == "finished"


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fill(path: Path) -> None:
    """Take all the room that is left."""
    with open(path, "ab", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError:
                continue
