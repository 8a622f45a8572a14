"""``vceval score``: score audio that somebody already converted."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.cli.work import EPILOG, add_common, carry_out, request

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``score`` to the parser."""
    score = commands.add_parser(
        "score",
        help="score audio that somebody already converted",
        description="Score a CSV table of conversions, or a folder whose file names follow a pattern.",
        epilog=EPILOG,
    )
    score.add_argument("conversions", type=Path, help="CSV table (--columns describes it), or a folder with --pattern")
    score.add_argument(
        "--pattern", help="file-name pattern such as '{system}_{source}TO{target}.wav', or its name: mae-vc, skqvc"
    )
    score.add_argument("--natural", type=Path, metavar="CSV", help="natural speech: file,speaker,gender,language,...")
    score.add_argument(
        "--columns",
        action=_Columns,
        nargs=0,
        help="print the columns of both tables and what they may be called, and exit",
    )
    score.add_argument("--root", type=Path, metavar="DIR", help="folder that paths in the tables start from")
    score.add_argument("--language", help="language of the speech where the table names none, such as en")
    add_common(score)
    score.set_defaults(command=_score)


class _Columns(argparse.Action):
    """Prints what columns the two tables of ``vceval score`` may have."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from vceval.corpora import csv_manifest
        from vceval.protocol import manifest

        print(f"conversions:\n\n{manifest.TABLE.described()}\n\n--natural:\n\n{csv_manifest.TABLE.described()}")
        parser.exit()


def _score(options: argparse.Namespace) -> int:
    """Carry out ``vceval score``; returns the exit code."""
    from vceval.runner.plan_score import plan_score
    from vceval.runner.request import ScoreRequest

    asked = request(ScoreRequest, options)
    return carry_out(plan_score(asked), asked, options)
