"""``vceval board``: published results of many, checked and ranked, as static pages."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``vceval board`` to the parser."""
    board = commands.add_parser(
        "board",
        help="make pages of published results: who is ahead on each suite, and what may not be compared",
        description="Check every result file in a folder, put side by side what may be compared, rank it by the rule "
        "of all tables, and write static pages with a feed and board.json. They need no server and ask nothing of "
        "other sites. Files that are refused are listed with the reason.",
        epilog="exit codes: 0 fine, files that are refused or not, 2 wrong use",
    )
    board.add_argument("results", type=Path, metavar="DIR", help="folder of result files (vceval publish)")
    board.add_argument("--out", type=Path, default=Path("site"), metavar="DIR", help="folder of the pages (site)")
    board.add_argument(
        "--keys", type=Path, metavar="FILE", help="show only results of these keys, one a line with a name behind it"
    )
    board.set_defaults(command=_board)


def _board(options: argparse.Namespace) -> int:
    from vceval.board.assemble import assembled
    from vceval.board.site import write
    from vceval.publish import keys

    found = assembled(options.results, None if options.keys is None else keys.trusted(options.keys), options.out)
    index = write(found, options.out)
    board, rest = found.board, []
    if board.untrusted:
        rest.append(f"{len(board.untrusted):,} of keys that are not trusted")
    if board.refused:
        rest.append(f"{len(board.refused):,} refused")
    print(f"{found.intake.count:,} files: {', '.join([f'{len(found.intake.entries):,} fine', *rest])}")
    for one in board.refused[:20]:
        print(f"  {one.file}: {'; '.join(one.reasons)}")
    if len(board.refused) > 20:
        print(f"  and {len(board.refused) - 20:,} more, in {options.out / 'board.json'}")
    print(index)
    return 0
