"""``vceval run``: convert and score a suite."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval import registry
from vceval.cli.parser import knows
from vceval.cli.work import EPILOG, add_common, carry_out, request

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run`` to the parser."""
    run = commands.add_parser(
        "run",
        help="convert and score a suite; without arguments the demo suite",
        description="Plan, convert, score, report. The same command again goes on where it was cut off.",
        epilog=EPILOG,
    )
    run.add_argument("--suite", default="demo", help="name of a suite, or a YAML file (default: demo)")
    run.add_argument("--data", type=Path, metavar="DIR", help="folder of the suite's corpus (the demo brings its own)")
    run.add_argument("--corpus", metavar="NAME", help="read --data by another reader, such as csv; needs --draw-pairs")
    converters = run.add_argument(
        "--converters",
        action="append",
        metavar="NAME[,NAME]",
        help="registered converters instead of the suite's: %(known)s",
    )
    knows(converters, lambda: registry.names("converter"))
    run.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME=KIND:ARGUMENT",
        help="add a system: mine=command:'python worker.py', theirs=precomputed:FOLDER or FOLDER::PATTERN",
    )
    run.add_argument("--systems", type=Path, metavar="FILE", help="add the systems of a YAML file")
    run.add_argument("--limit", type=int, metavar="N", help="only N pairs, spread over the directions")
    run.add_argument("--allow-missing", action="store_true", help="run without the utterances that are not on disk")
    run.add_argument("--draw-pairs", type=int, metavar="N", help="draw another list of N pairs; the result is 'custom'")
    run.add_argument("--seed", type=int, default=0, help="for --draw-pairs and for converters that draw noise")
    run.add_argument(
        "--seeds",
        type=int,
        metavar="K",
        help="convert each pair K times where a system draws noise (1, or the suite's)",
    )
    run.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds that one pair may take (600)")
    run.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16", "fp16"),
        help="of our own networks (float32); part of the name",
    )
    run.add_argument(
        "--resampler",
        choices=("authors", "vceval"),
        help="of our own networks: as their authors ran them (the default), or soxr as all metrics do it; then part "
        "of the name",
    )
    add_common(run)
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    """Carry out ``vceval run``; returns the exit code."""
    from vceval.runner.plan_suite import plan_suite
    from vceval.runner.request import SuiteRequest

    asked = request(SuiteRequest, options)
    return carry_out(plan_suite(asked), asked, options)
