"""``vceval compare``: the values of several runs side by side, where that is allowed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    compare = commands.add_parser(
        "compare",
        help="put the values of several runs side by side, where that is allowed",
        description="Compare runs with the first one, on the pairs that they share. Metrics whose signatures or "
        "calibrations differ are refused, and what differs is said.",
        epilog="exit codes: 0 all common metrics compared, 1 some refused, 2 wrong use or nothing to compare",
    )
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs, or result files")
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the page (default: beside the first run, named after both)"
    )
    compare.add_argument("--no-page", action="store_true", help="only print the comparison")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from vceval.publish.rebuild import opened
    from vceval.results.compare import compare, to_text
    from vceval.results.rundir import RunDirectory

    runs = opened(options.runs, figures=False)
    comparison = compare([run.root if isinstance(run, RunDirectory) else run for run in runs])
    print(to_text(comparison))
    if not comparison.signatures:
        print("vceval: nothing may be compared: every common metric differs", file=sys.stderr)
        return 2
    if not options.no_page:
        from vceval.reports.compare_page import write

        out = options.out or options.runs[0].resolve().parent / "-".join(
            ["compare", *(run.resolve().name for run in options.runs)]
        )
        print(f"\npage     {write(comparison, out)}")
    return 1 if comparison.refused else 0
