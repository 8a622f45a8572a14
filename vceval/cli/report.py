"""``vceval report``: the report of a finished run again, or one of several runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.cli.table import STYLES
from vceval.errors import UsageError
from vceval.registry import unknown_name

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    report = commands.add_parser(
        "report",
        help="make the report of a finished run again, or one of several runs",
        description="Write page, tables and figures of a finished run again. Several runs stand side by side in one "
        "report if they are of the same suite with the same pairs, signatures and calibrations, and are refused "
        "otherwise with what differs.",
    )
    report.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs, or result files")
    report.add_argument("--style", choices=STYLES, default="plain", help="what the LaTeX tables are set for (plain)")
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


def _report(options: argparse.Namespace) -> int:
    from vceval.protocol import published
    from vceval.publish.rebuild import opened
    from vceval.reports.build import SPECTROGRAMS, Options, make
    from vceval.reports.terminal import ending
    from vceval.results.rundir import RunDirectory

    runs = opened(options.runs)
    single = runs[0] if len(runs) == 1 else None
    if options.out is None and not isinstance(single, RunDirectory):
        what = "several runs" if single is None else "result files"
        raise UsageError(f"a report of {what} needs a folder of its own: --out DIR")
    beside = []
    for name in (name for text in options.published for name in text.split(",")):
        path = Path(name)
        is_file = path.suffix in (".yaml", ".yml")
        if not is_file and name not in published.names():
            raise UsageError(f"--published: {unknown_name('paper', name, published.names())}")
        beside += published.read([path.name] if is_file else [name], path)
    chosen = Options(options.style, tuple(tuple(text.split(",")) for text in options.ablation), tuple(beside))
    out = options.out or (single.report if isinstance(single, RunDirectory) else None)
    assert out is not None
    drawn = SPECTROGRAMS if options.spectrograms is None else options.spectrograms
    made = make(runs, out, chosen, spectrograms=drawn)
    print(ending(made.report, made.index), flush=True)
    if options.bundle or options.bundle_pairs is not None:
        from vceval.reports.bundle import bundle

        bundle(made, lambda text: print(text, flush=True), pairs=options.bundle_pairs, codec=options.codec)
    return 0
