"""``vceval publish`` and ``vceval key``: results as signed files, for others to check and to put beside their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vceval.errors import UsageError

if TYPE_CHECKING:
    from vceval.publish.keys import Key

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    publish = commands.add_parser(
        "publish",
        help="write a run's results as signed files, or check such files",
        description="Write one signed JSON file per system of a finished run, from which figures, intervals and tests "
        "are made again without audio. No transcripts, names of files or paths are in it. With --check, say whether "
        "files are as they were signed, add up, and fit their suite. With --huggingface, write what the repository of "
        "a model says of its results, or that of a suite's data set, in the hub's own formats; nothing is uploaded.",
        epilog="exit codes: 0 fine, 1 some of several files are refused, 2 all are, or wrong use",
    )
    publish.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="RUN|FILE|SUITE",
        help="folder of a run; --check: result files; --huggingface: runs and result files of one system, or a suite",
    )
    publish.add_argument("--check", action="store_true", help="check result files instead of writing them")
    publish.add_argument(
        "--system", action="append", default=[], metavar="NAME[,NAME]", help="only these (all, with the controls)"
    )
    publish.add_argument("--out", type=Path, metavar="DIR", help="folder of the files (results)")
    publish.add_argument("--keys", type=Path, metavar="FILE", help="with --check: keys to trust, one a line")
    publish.add_argument(
        "--huggingface", type=Path, metavar="DIR", help="folder for the files of a repository; what stands there stays"
    )
    publish.add_argument(
        "--benchmark", default="", metavar="OWNER/NAME", help="with --huggingface: the suite's data set on the hub"
    )
    publish.set_defaults(command=_publish)
    key = commands.add_parser("key", help="make or show the key that signs your results")
    actions = key.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make it; it stays in your configuration folder, readable by you alone")
    new.add_argument("--name", required=True, metavar="NAME", help="who publishes: a person, a group, a laboratory")
    new.set_defaults(command=_new)
    show = actions.add_parser("show", help="print its public part, which others may trust, and where it lies")
    show.set_defaults(command=_show)


def _publish(options: argparse.Namespace) -> int:
    names = [name for text in options.system for one in text.split(",") if (name := one.strip())]
    if options.huggingface:
        return _hub(options, names)
    if options.benchmark:
        raise UsageError("--benchmark goes with --huggingface")
    if options.check:
        if options.system or options.out:
            raise UsageError("--check reads files and writes none: leave --system and --out away")
        return _check(options.paths, options.keys)
    if len(options.paths) > 1 or options.keys:
        raise UsageError("one run at a time is published" if len(options.paths) > 1 else "--keys goes with --check")
    from vceval.publish import keys
    from vceval.publish.extract import publish

    for file, result in publish(options.paths[0], options.out or Path("results"), keys.load(), names):
        size = file.stat().st_size / 1e3
        print(f"{file}: {result.system.name} on {result.pairs.count:,} pairs of {result.suite.name}, {size:.0f} kB")
    return 0


def _hub(options: argparse.Namespace, names: list[str]) -> int:
    if options.check or options.keys or options.out:
        raise UsageError("--huggingface writes files for a hub, and nothing else: leave --check, --keys and --out away")
    from vceval.reports.hubs import benchmark, model

    data_set = model.dataset_id(options.benchmark) if options.benchmark else ""
    suites = [str(path) for path in options.paths if not path.is_dir() and benchmark.is_suite(str(path))]
    if suites:
        if names or len(options.paths) > 1:
            raise UsageError(f"{suites[0]} is a suite: a data set is that of one, and has no --system")
        written, left_out = benchmark.write(suites[0], options.huggingface, data_set)
    else:
        if len(names) > 1:
            raise UsageError("a repository is that of one model: give one --system")
        written, left_out = model.write(options.paths, options.huggingface, "".join(names), data_set)
    for file in written:
        print(f"{file.path}: {file.how}")
    for reason in left_out:
        print(f"vceval: left out: {reason}", file=sys.stderr)
    return 0


def _check(paths: list[Path], trusted: Path | None) -> int:
    from vceval.publish import keys
    from vceval.publish.check import check
    from vceval.results.terminal import clean

    known = None if trusted is None else keys.trusted(trusted)
    refused = 0
    for path in paths:
        found = check(path, known)
        if found.fine and found.result is not None:
            result = found.result
            what = f"{result.system.name} on {result.suite.name}"
            told = f"fine; {what}, signed by {result.by.name} ({result.by.key})"
        else:
            refused += 1
            told = f"refused: {'; '.join(found.problems)}"
        # One line a file, whatever its name is
        print(clean(f"{path}: {told}"))
        for note in found.notes:
            print(f"  {clean(f'note: {note}')}")
    return (2 if refused == len(paths) else 1) if refused else 0


def _new(options: argparse.Namespace) -> int:
    from vceval.publish import keys

    return _told(keys.make(options.name), ": make a copy, nobody can make it again")


def _show(options: argparse.Namespace) -> int:
    from vceval.publish import keys

    return _told(keys.load())


def _told(key: Key, more: str = "") -> int:
    from vceval.publish.keys import key_file

    print(f"{key.public} {key.name}")
    print(f"vceval: kept in {key_file()}{more}", file=sys.stderr)
    return 0
