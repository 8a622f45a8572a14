"""``vceval score``: score audio that somebody already converted."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.cli.work import EPILOG, add_common, carry_out, request

__all__ = ["add_commands", "add_reading"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``score`` to the parser."""
    score = commands.add_parser(
        "score",
        help="score audio that somebody already converted",
        description="Score conversions as they are: folders with the files of each system, or a CSV table.",
        epilog=EPILOG,
    )
    add_reading(score)
    score.add_argument(
        "--columns",
        action=_Columns,
        nargs=0,
        help="print the columns of both tables and what they may be called, and exit",
    )
    score.add_argument(
        "--no-controls", action="store_true", help="make no rows of the sources, natural targets and their resynthesis"
    )
    score.add_argument("--language", help="language of the speech where the table names none, such as en")
    add_common(score)
    score.set_defaults(command=_score)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what says where conversions are, and what natural speech is known."""
    parser.add_argument(
        "conversions",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folders, such as out/*/, or recordings; or one CSV table (--columns describes it)",
    )
    parser.add_argument(
        "--pattern",
        help="how files are named, such as '{system}_{source}TO{target}.wav', or mae-vc, skqvc (default: the usual way "
        "of which all that is named is there)",
    )
    parser.add_argument(
        "--corpus", metavar="NAME", help="whose utterances sources and targets are: they are looked up there by id"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the corpus")
    parser.add_argument("--natural", type=Path, metavar="CSV", help="natural speech: file,speaker,gender,language,...")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that holds the files of the tables")
    parser.add_argument("--allow-missing", action="store_true", help="score what is there of what is named")


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
