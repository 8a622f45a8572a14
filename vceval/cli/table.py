"""``vceval table``: one table of a finished run that goes into a paper as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from vceval.errors import UsageError

__all__ = ["STYLES", "add_commands"]

#: What LaTeX tables are set for, as ``vceval report`` has it too.
STYLES = ("acl", "ieee", "interspeech", "plain")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    table = commands.add_parser(
        "table",
        help="make one table for a paper: the measures and systems that you name",
        description="Write one table of a finished run, as one float that fits a column of the paper. Columns in which "
        "no system has a figure are left out, and it is said why.",
        epilog="In the paper: \\usepackage{booktabs}, then \\input{results.tex}; in the appendix "
        "\\input{results-signatures.tex}. exit codes: 0 fine, 2 a name that is not known, or a table that does not fit",
    )
    table.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run, or the result files of one"
    )
    table.add_argument(
        "--measures", metavar="NAME[,...]", help="columns, in this order (those that decide, then others, up to 5)"
    )
    table.add_argument("--systems", metavar="NAME[,...]", help="rows, in this order (all, and the controls)")
    table.add_argument("--rows", choices=("system", "direction", "dataset"), help="what rows are (system)")
    table.add_argument(
        "--intervals",
        choices=("pm", "brackets", "none"),
        help="arms of intervals, both ends, or nothing (by style: brackets if they fit for plain, else pm)",
    )
    table.add_argument("--width", choices=("column", "text"), default="column", help="one column, or the line (column)")
    table.add_argument("--style", choices=STYLES, default="plain", help="what the table is set for (plain)")
    table.add_argument("--caption", default="", metavar="TEXT", help="instead of the one made from suite and counts")
    table.add_argument("--preset", metavar="NAME", help="columns and rows as papers print them: mae-vc, clsvc, ...")
    table.add_argument("--format", choices=("latex", "markdown", "csv"), default="latex", help="of the table (latex)")
    table.add_argument("--out", type=Path, metavar="FILE", help="write it here instead of printing it")
    table.add_argument(
        "--signatures",
        type=Path,
        metavar="FILE",
        help="write the signatures, for an appendix (LaTeX with --out: FILE-signatures.tex beside it)",
    )
    table.set_defaults(command=_table)


def _table(options: argparse.Namespace) -> int:
    from vceval.publish.rebuild import opened
    from vceval.reports import latex, markdown
    from vceval.reports.paper_table import Choice, preset
    from vceval.reports.table_files import fitting_table, table_csv
    from vceval.results.merge_runs import material
    from vceval.results.rundir import write_atomically
    from vceval.runner.progress import say

    def note(text: str) -> None:
        say(f"vceval: {text}")

    found = material(opened(options.runs))
    measures, rows, interval = _names(options.measures), options.rows, options.intervals
    if options.preset is not None:
        named, shape = preset(found.report, options.preset, note)
        measures, rows, interval = measures or named, rows or shape.rows, interval or shape.intervals
        if not measures:
            raise UsageError(f"the run has none of the measures of preset {options.preset}")
    choice = Choice(measures, _names(options.systems), rows or "system", options.caption)
    style, wide = latex.STYLES[options.style], options.width == "text"
    table = fitting_table(found, choice, style, note, wide=wide, interval=interval)
    if options.format == "latex":
        text = latex.PREAMBLE + latex.one_float(table, style, wide=wide, interval=interval)
    else:
        text = markdown.table(table, interval or "brackets") if options.format == "markdown" else table_csv([table])
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(options.out, text)
    signatures = options.signatures
    if signatures is None and options.out is not None and options.format == "latex":
        signatures = options.out.with_name(f"{options.out.stem}-signatures.tex")
    if signatures is not None:
        write_atomically(signatures, latex.appendix(found.report, [table]))
        note(f"signatures, for the appendix: {signatures}")
    elif options.format == "latex":
        note("the signatures belong into the appendix: --signatures FILE writes them")
    return 0


def _names(text: str | None) -> list[str]:
    """The names of a list with commas."""
    return [name for one in (text or "").split(",") if (name := one.strip())]
