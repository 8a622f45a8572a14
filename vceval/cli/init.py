"""``vceval init``: a commented ``vceval.yaml`` to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval init`` to the parser."""
    init = commands.add_parser(
        "init",
        help="write a commented vceval.yaml, from which run and score take what the command does not say",
        description="A file that is there is never written over. It is read by 'vceval run' and 'vceval score' in the "
        "folder that it lies in, and from anywhere with --config FILE.",
    )
    init.add_argument("file", type=Path, nargs="?", default=Path("vceval.yaml"), metavar="FILE", help="(vceval.yaml)")
    init.set_defaults(command=_init)


def _init(options: argparse.Namespace) -> int:
    from vceval.protocol.config import write_template

    write_template(options.file)
    print(f"{options.file}: written; 'vceval run' in its folder reads it")
    return 0
