"""``vceval verify``: whether every file of a run is as it was written."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    verify = commands.add_parser(
        "verify",
        help="read every file of a run and say which are not as they were written",
        description="Read results, journals and recordings of a run, and compare them with the hashes that were kept "
        "when they were written. Nothing is changed: the command that made the run repairs what is damaged.",
        epilog="exit codes: 0 all as it was written, 1 some files are not, 2 wrong use",
    )
    verify.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    verify.set_defaults(command=_verify)


def _verify(options: argparse.Namespace) -> int:
    from vceval.results.rundir import RunDirectory
    from vceval.runner.verify import verify

    run = RunDirectory(options.run)
    found = verify(run, lambda line: print(line, flush=True))
    megabytes = found.bytes / 1e6
    rate = megabytes / found.seconds if found.seconds else 0.0
    read = f"{found.files:,} files, {megabytes:,.1f} MB, read at {rate:,.0f} MB/s"
    if not found.kept:
        print("the results were made before hashes were kept, or are not finished: they can't be checked")
    if found.unknown:
        print(f"{found.unknown:,} recordings were made before hashes were kept: they can't be checked")
    if not found.damaged:
        print(f"{read}: all as they were written")
        return 0
    print(f"{read}: {found.damaged:,} not as they were written")
    # What has the size and the time that are written down is taken for whole, and not read
    again = "touch those recordings, so that they are looked at, and " if found.altered else ""
    print(f"To repair: {again}{run.repair()}")
    return 1
