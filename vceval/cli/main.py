"""The command line. Nothing heavy is imported before a command is known."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from vceval import __version__
from vceval.cli import checkpoints, env, gate, listen, schema, suite
from vceval.errors import NoRoomError, UsageError, no_room

__all__ = ["main"]

EPILOG = """exit codes: 0 all fine, 1 some pairs failed, 2 wrong use"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 some pairs failed, 2 wrong use, 130 interrupted."""
    # pyworld and webrtcvad announce at every import that they use pkg_resources; setuptools is held below 81 for it.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    options = _parser().parse_args(gate.joined_words(sys.argv[1:] if arguments is None else arguments))
    before = signal.signal(signal.SIGTERM, _interrupt)  # as batch systems end a job: like Ctrl-C
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"vceval: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader, such as `head`, has left
        return 0
    except NoRoomError as error:
        return _full(str(error))
    except OSError as error:
        if not no_room(error):
            raise
        return _full(f"{error.filename or 'a disk'}: {error.strerror}")
    except KeyboardInterrupt:
        print("vceval: stopped; finished work is kept, the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _full(what: str) -> int:
    print(f"vceval: {what}. Finished work is kept: make room, and the same command goes on from here", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vceval", description="Objective evaluation and benchmarking of voice conversion.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"vceval {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_score(commands)
    _add_report(commands)
    state = commands.add_parser("status", help="say how far a run is, also while it is at work")
    state.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    state.add_argument("--json", action="store_true", help="for machines")
    state.set_defaults(command=_status)
    compare = commands.add_parser(
        "compare",
        help="put the values of several runs side by side, where that is allowed",
        description="Compare runs with the first one, on the pairs that they share. Metrics whose signatures or "
        "calibrations differ are refused, and what differs is said.",
        epilog="exit codes: 0 all common metrics compared, 1 some refused, 2 wrong use or nothing to compare",
    )
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the page (default: beside the first run, named after both)"
    )
    compare.add_argument("--no-page", action="store_true", help="only print the comparison, as Markdown")
    compare.set_defaults(command=_compare)
    gate.add_commands(commands)
    listing = commands.add_parser("list", help="list what is known: suites, converters, metrics or corpora")
    listing.add_argument("what", choices=("suites", "converters", "metrics", "corpora"))
    listing.set_defaults(command=_list)
    suite.add_commands(commands)
    checkpoints.add_commands(commands)
    env.add_commands(commands)
    listen.add_commands(commands)
    schema.add_commands(commands)
    check = commands.add_parser("selfcheck", help="say whether this installation computes the canonical numbers")
    check.add_argument("--kits", type=Path, metavar="DIR", help="run the reference cases in a folder instead")
    check.add_argument("--only", action="append", default=[], metavar="KIT", help="with --kits: only this one")
    check.add_argument("--verbose", action="store_true", help="show every stage")
    check.set_defaults(command=_selfcheck)
    doctor = commands.add_parser("doctor", help="say what works on this machine")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="convert and score a suite; without arguments the demo suite",
        description="Plan, convert, score, report. The same command again goes on where it was cut off.",
        epilog=EPILOG,
    )
    run.add_argument("--suite", default="demo", help="name of a suite, or a YAML file (default: demo)")
    run.add_argument("--data", type=Path, metavar="DIR", help="folder of the suite's corpus (the demo brings its own)")
    run.add_argument("--corpus", metavar="NAME", help="read --data by another reader, such as csv; needs --draw-pairs")
    run.add_argument(
        "--converters", action="append", metavar="NAME[,NAME]", help="registered converters instead of the suite's"
    )
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
    run.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds that one pair may take (600)")
    run.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16", "fp16"),
        help="of our own networks (float32); part of the name",
    )
    _add_common(run)
    run.set_defaults(command=_run)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="make the report of a finished run again, or one of several runs",
        description="Write page, tables and figures of a finished run again. Several runs stand side by side in one "
        "report if they are of the same suite with the same pairs, signatures and calibrations, and are refused "
        "otherwise with what differs.",
    )
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    report.add_argument(
        "--style", choices=("acl", "ieee", "plain"), default="plain", help="what the LaTeX tables are set for (plain)"
    )
    report.add_argument(
        "--ablation",
        action="append",
        default=[],
        metavar="SYSTEM,VARIANT[,...]",
        help="add a table of a system and its variants with the differences",
    )
    report.add_argument(
        "--published",
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="put these published figures beside the measured ones: clsvc, mediumvc, ..., or a YAML file",
    )
    report.add_argument("--out", type=Path, metavar="DIR", help="folder of the report (needed for several runs)")
    report.add_argument("--bundle", action="store_true", help="also write one file with the recordings inside")
    report.add_argument("--bundle-pairs", type=int, metavar="N", help="with samples of only N pairs, evenly spread")
    report.add_argument("--codec", choices=("opus", "mp3"), default="opus", help="of the bundle's recordings (opus)")
    report.add_argument(
        "--spectrograms",
        type=int,
        metavar="N",
        help="draw those of up to N recordings beforehand, since a page opened from disk can't (1000)",
    )
    report.set_defaults(command=_report)


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    score = commands.add_parser(
        "score",
        help="score audio that somebody already converted",
        description="Score a CSV table of conversions, or a folder whose file names follow a pattern.",
        epilog=EPILOG,
    )
    score.add_argument("conversions", type=Path, help="CSV table (see README), or a folder with --pattern")
    score.add_argument(
        "--pattern", help="file-name pattern such as '{system}_{source}TO{target}.wav', or its name: mae-vc, skqvc"
    )
    score.add_argument("--natural", type=Path, metavar="CSV", help="natural speech: file,speaker,gender,language,...")
    score.add_argument("--root", type=Path, metavar="DIR", help="folder that paths in the tables start from")
    score.add_argument("--language", help="language of the speech where the table names none, such as en")
    _add_common(score)
    score.set_defaults(command=_score)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics", action="append", metavar="NAME[,NAME]", help="metrics instead of the usual ones")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/<name>)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    parser.add_argument(
        "--executor", choices=("local", "ray"), default="local", help="work on this machine (default) or a Ray cluster"
    )
    parser.add_argument("--ray-address", metavar="A", help="the cluster: auto, or HOST:PORT (default: one made here)")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
    parser.add_argument("--fresh", action="store_true", help="throw away what an earlier run left in the folder")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done, how long and how large")
    parser.add_argument("--allow-download", action="store_true", help="let metrics download models (Whisper)")


def _run(options: argparse.Namespace) -> int:
    from vceval.cli.run import run

    return run(options)


def _score(options: argparse.Namespace) -> int:
    from vceval.cli.run import score

    return score(options)


def _report(options: argparse.Namespace) -> int:
    from vceval.cli.report import report

    made = report(
        options.runs, options.out, options.style, options.ablation, options.published, options.spectrograms
    )  # fmt: skip
    print(made.index, flush=True)
    if options.bundle or options.bundle_pairs is not None:
        from vceval.reports.bundle import bundle

        bundle(made, lambda text: print(text, flush=True), pairs=options.bundle_pairs, codec=options.codec)
    return 0


def _status(options: argparse.Namespace) -> int:
    from vceval.runner import status

    found = status.status(options.run)
    print(found.as_json() if options.json else status.shown(found))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from vceval.results.compare import compare, to_markdown

    comparison = compare(options.runs)
    print(to_markdown(comparison))
    if not comparison.signatures:
        print("vceval: nothing may be compared: every common metric differs", file=sys.stderr)
        return 2
    if not options.no_page:
        from vceval.reports.compare_page import write

        out = options.out or options.runs[0].resolve().parent / "-".join(
            ["compare", *(run.resolve().name for run in options.runs)]
        )
        print(f"\n{write(comparison, options.runs, out)}")
    return 1 if comparison.refused else 0


def _list(options: argparse.Namespace) -> int:
    from vceval.cli.listing import listing

    print(listing(options.what))
    return 0


def _selfcheck(options: argparse.Namespace) -> int:
    from vceval.cli import selfcheck

    if options.kits is None:
        return selfcheck.check_installation()
    return selfcheck.check_kits(options.kits, options.only, options.verbose)


def _doctor(options: argparse.Namespace) -> int:
    from vceval.cli.doctor import diagnose

    return diagnose()


if __name__ == "__main__":
    sys.exit(main())
