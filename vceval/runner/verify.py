"""``vceval verify RUN``: reads every file of a run and says which are not as they were written; changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from vceval.errors import UsageError
from vceval.results import hashes
from vceval.results.rundir import RunDirectory
from vceval.runner.audio_files import audio_file
from vceval.runner.integrity import JOURNALS
from vceval.runner.journal import Take, read_records, state_of
from vceval.runner.status import at_work
from vceval.storage.files import sha256

__all__ = ["Verified", "verify"]

#: Recordings that a thread reads in a row, and threads: hashing is faster than most disks.
_IN_A_ROW, _THREADS = 64, 4
_ALTERED = "not the recording that was made and scored"


@dataclass(slots=True)
class Verified:
    """How many files were read, their bytes, how many are not as they were written, and how many nobody knows.

    altered: recordings among the damaged ones that are there. seconds: it took. kept: whether the run has hashes of its
    results.
    """

    files: int = 0
    bytes: int = 0
    damaged: int = 0
    altered: int = 0
    unknown: int = 0
    seconds: float = 0.0
    kept: bool = False


def verify(run: RunDirectory, tell: Callable[[str], object]) -> Verified:
    """Read results, journals and recordings of a run, in memory that does not grow with it.

    Args:
        run: its folder.
        tell: is called with a line for each file that is not as it was written.

    Raises:
        UsageError: there is no run, or it is at work.
    """
    hashed = run.hashes
    if not run.exists and not hashed.names and not hashed.broken:
        raise UsageError(f"{run.root}: holds no run (no run.json); name the folder that a run was given with --out")
    if at_work(run.root):
        raise UsageError(f"{run.root}: another vceval is at work in this folder; verify it when that has ended")
    began = time.perf_counter()
    found = Verified(kept="scores.parquet" in hashed or hashed.broken)

    inside = f"{run.root}{os.sep}"

    def count(name: str, size: int, fault: str | None) -> None:
        found.files, found.bytes = found.files + 1, found.bytes + size
        if fault is not None:
            found.damaged += 1
            tell(f"{name.removeprefix(inside)}: {fault}")

    if hashed.broken:
        count(hashes.FILE, 0, "damaged, so that results can't be checked")
    for name in dict.fromkeys([*hashed.names, *JOURNALS]):
        path = run.root / name
        if path.is_file() or name in hashed:
            fault = None if hashed.broken else hashed.fault(name)
            count(
                name,
                path.stat().st_size if path.is_file() else 0,
                fault or (_torn(run, path) if name in JOURNALS else None),
            )
    recordings = _recordings(run)
    with ThreadPoolExecutor(_THREADS) as readers:
        while some := list(islice(recordings, _IN_A_ROW * _THREADS)):
            rows = [some[place : place + _IN_A_ROW] for place in range(0, len(some), _IN_A_ROW)]
            for (path, known), (size, fault) in zip(some, chain.from_iterable(readers.map(_read, rows)), strict=True):
                if known:
                    count(str(path), size, fault)
                    found.altered += fault == _ALTERED
                else:
                    found.unknown += 1
    found.seconds = time.perf_counter() - began
    return found


def _torn(run: RunDirectory, journal: Path) -> str | None:
    """Say what is wrong inside of a journal: batches with other checksums, or an end that is none."""
    damaged, end = state_of(journal)
    if damaged:
        return f"not as it was written: damaged in {damaged} of its batches"
    lost = journal.stat().st_size - end
    finished = journal.relative_to(run.root).as_posix() in run.hashes
    return f"not as it was written: its last {lost:,} bytes are no whole batch" if lost and finished else None


def _recordings(run: RunDirectory) -> Iterator[tuple[Path, str]]:
    """Every recording with the SHA-256 that it should have: by the results, else by the journal."""
    if "audio.csv" in run.hashes and run.hashes.fault("audio.csv") is None:
        for row in run.read_recordings():
            yield audio_file(run.root, row["path"]), row["sha256"]
        return
    newest = {
        (Take.of(record), record["pair"]): (record["path"], record.get("sha256", ""))
        for record in read_records(run.root / JOURNALS[0])
        if record["status"] == "ok"
    }
    for path, known in newest.values():
        yield audio_file(run.root, path), known


def _read(recordings: Sequence[tuple[Path, str]]) -> list[tuple[int, str | None]]:
    """Sizes of recordings, and what is wrong with each; those without a hash are not read."""
    return [_look_at(path, known) if known else (0, None) for path, known in recordings]


def _look_at(path: Path, known: str) -> tuple[int, str | None]:
    try:
        size = path.stat().st_size
        return size, None if sha256(path) == known else _ALTERED
    except FileNotFoundError:
        return 0, "gone"
    except OSError as error:
        return 0, f"can't be read ({error.strerror})"
