"""``vceval manifest``: the table that ``vceval score`` makes of folders, to look at it."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.cli.score import add_reading

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``manifest`` to the parser."""
    manifest = commands.add_parser(
        "manifest",
        help="write what the names of converted files say as a CSV table",
        description="Read folders of conversions as vceval score does, and print the table that says the same: "
        "vceval manifest out/*/ --corpus vctk --data DIR > conversions.csv. Paths are relative to the folder where the "
        "command is given.",
        epilog="exit codes: 0 all fine, 2 wrong use, or something that is named is not there",
    )
    add_reading(manifest)
    manifest.set_defaults(command=_manifest)


def _manifest(options: argparse.Namespace) -> int:
    """Carry out ``vceval manifest``; returns the exit code."""
    from vceval.cli.work import request
    from vceval.protocol.manifest import rendered
    from vceval.protocol.pairing import uneven
    from vceval.runner.plan_score import material
    from vceval.runner.progress import say
    from vceval.runner.request import ScoreRequest

    found = material(request(ScoreRequest, options)).found
    for note in [*found.notes, *uneven(found)]:
        say(f"vceval: {note}")
    print(rendered(found, Path.cwd()), end="")
    return 0
