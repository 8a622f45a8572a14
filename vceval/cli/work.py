"""What ``vceval run`` and ``vceval score`` share: options of a run, and from a plan to an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vceval import registry
from vceval.cli import config
from vceval.cli.parser import knows
from vceval.signal.audio import CHANNELS, MAX_SECONDS

if TYPE_CHECKING:
    from vceval.runner.plan import Plan
    from vceval.runner.request import Request

    Asked = TypeVar("Asked", bound=Request)

__all__ = ["EPILOG", "add_common", "add_measuring", "carry_out", "request"]

EPILOG = (
    "exit codes: 0 all fine, 1 some pairs failed, 2 wrong use, or a file, disk or memory that can't be used, "
    "70 an error of vceval itself, 130 interrupted"
)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every run has."""
    add_measuring(parser)
    config.add_options(parser)
    parser.add_argument(
        "--executor", choices=("local", "ray"), default="local", help="work on this machine (default) or a Ray cluster"
    )
    parser.add_argument("--ray-address", metavar="A", help="the cluster: auto, or HOST:PORT (default: one made here)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would be done, how long and how large; exit code 1 where a system will fail",
    )


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Add the options of whatever reads recordings and scores conversions on this machine."""
    metrics = parser.add_argument(
        "--metrics",
        action="append",
        metavar="NAME[,NAME]",
        help="metrics instead of the usual ones: %(known)s, and recipes of them (vceval list metrics)",
    )
    knows(metrics, lambda: registry.names("metric"))
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/<name>)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
    parser.add_argument(
        "--channel", choices=CHANNELS, help="what to take of recordings whose channels differ (refused without)"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=MAX_SECONDS, metavar="S", help="refuse longer recordings (600)"
    )
    parser.add_argument("--fresh", action="store_true", help="throw away what an earlier run left in the folder")
    parser.add_argument(
        "--recogniser",
        metavar="NAME",
        help="of wer and cer: whisper:large-v3, whisper:PATH.pt, faster-whisper:FOLDER, pocketsphinx (default: the "
        "suite's, else the best Whisper on disk)",
    )
    parser.add_argument(
        "--allow-download", action="store_true", help="fetch the Whisper that is named, or base, if it is not here"
    )


def request(kind: type[Asked], options: argparse.Namespace) -> Asked:
    """Make a request of the options that bear the names of its fields; at a terminal a recogniser is offered."""
    from vceval.cli.offer import offer

    known = {one.name for one in dataclasses.fields(kind)} & vars(options).keys()
    words = ("vceval", *sys.argv[1:])
    return kind(offer=offer, command=words, **{name: getattr(options, name) for name in known - {"command"}})


def carry_out(plan: Plan, asked: Request, options: argparse.Namespace) -> int:
    """Carry out a plan, or only forecast it, and print what came of it; returns the exit code."""
    from vceval.reports.terminal import ending
    from vceval.results.rundir import RunDirectory
    from vceval.runner.forecast import forecast, shown
    from vceval.runner.perform import folder_of, perform
    from vceval.runner.progress import say

    folder = folder_of(plan, options.out)
    if options.dry_run:
        found = forecast(plan, RunDirectory(folder), asked.settings(), options.fresh)
        print(shown(found))
        return 1 if found.fails else 0
    done = perform(plan, folder, asked.settings(), options.fresh)
    print(ending(done.report, done.page), flush=True)
    if done.failures:
        first = done.run.read_failures()[0]
        say(f"vceval: {done.failures} failures, listed in {done.run.root / 'failures.csv'}; the first: {_short(first)}")
    for reason in done.unlearnt:
        say(f"vceval: not learnt from natural speech: {reason}; the same command tries again")
    return 0 if done.whole else 1


def _short(failure: dict[str, str]) -> str:
    what = f"{failure['stage']} {failure['metric']}".strip()
    if failure["seed"] != "0":
        what = f"seed {failure['seed']}, {what}"
    return f"{failure['system']}, pair {failure['pair']}, {what}: {failure['reason']}"
