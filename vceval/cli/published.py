"""``vceval published``: figures that papers print, and how far laboratories differ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_commands", "laboratories_table"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "published",
        help="list figures that papers print of converters",
        description="List published figures: of a suite, of a system, of a paper, or, without a name, the papers. "
        "None of them is measured here; what measured them stands by each.",
    )
    parser.add_argument("what", nargs="?", metavar="NAME", help="a suite, a system or a paper")
    parser.add_argument("--metric", metavar="NAME", help="figures of this metric alone, such as WER")
    parser.add_argument("--json", action="store_true", help="print all that is known of each figure")
    parser.add_argument(
        "--laboratories", action="store_true", help="what several papers print of one system, as a Markdown table"
    )
    parser.set_defaults(command=_published)


def _published(options: argparse.Namespace) -> int:
    from vceval.errors import UsageError
    from vceval.protocol import published

    rows = published.read(published.names(), Path())
    if options.what:
        rows = _named(options.what, rows)
    if options.metric:
        known = sorted({str(row["metric"]) for row in rows})
        rows = [row for row in rows if row["metric"].casefold() == options.metric.casefold()]
        if not rows:
            raise UsageError(f"--metric {options.metric}: none of these figures; there are {', '.join(known)}")
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    elif options.laboratories:
        print(laboratories_table(rows))
    elif options.what or options.metric:
        print(_figures(rows) or f"no paper that vceval knows has figures beside {options.what}")
    else:
        print(_papers(rows))
    return 0


def _named(name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures of a suite, a paper or a system; a name that is none of them is refused with the nearest."""
    from vceval.protocol import published, suite
    from vceval.registry import unknown_name

    if name.partition("@")[0] in suite.names() or name.endswith((".yaml", ".yml")):
        found = suite.load(name)
        return published.read(found.published, found.file)
    papers = {row["paper"] for row in published.read([name] if name in published.names() else [], Path())}
    wanted = _plain(name)
    chosen = [
        row
        for row in rows
        if row["paper"] in papers or wanted in (_plain(row["paper"]), _plain(row["system"].partition(" (")[0]))
    ]
    if not chosen:
        systems = {str(row["system"]).partition(" (")[0].lower() for row in rows}
        raise unknown_name("suite, system or paper", name, sorted({*suite.names(), *published.names(), *systems}))
    return chosen


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _papers(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a paper: its name for --published, how many figures of how many systems, its citation."""
    from vceval.protocol import published

    lines = []
    for name in published.names():
        found = published.read([name], Path())
        systems = len({row["system"] for row in found})
        lines.append(
            f"{name:<16}{len(found):>4} figures, {systems:>2} system{'s' * (systems > 1)}  {found[0]['citation']}"
        )
    lines.append(f"{len(lines)} papers, {len(rows)} figures")
    return "\n".join(lines)


def _figures(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figures, those of one table together below what they were made with."""
    from vceval.protocol.published import words_of

    lines: list[str] = []
    before = None
    for row in rows:
        head = tuple(row[key] for key in ("paper", "table", "task", "corpus", "split", "pairs", "evaluator"))
        if head != before:
            where = ", ".join(part for part in (row["corpus"], row["split"], row["pairs"]) if part)
            lines += [""] * bool(lines) + [f"{row['paper']}, {row['table']}: {row['task']}", f"  {where}"]
            lines.append(f"  {row['evaluator']}")
            before = head
        told = [f"{row['better']} is better"] * bool(row["better"]) + [
            text for text in (row["apart"], row["notes"]) if text
        ]
        note = f"  ({'; '.join(told)})" if told else ""
        lines.append(f"    {row['system']:<32} {row['metric']:<14} {words_of(row)}{note}")
    return "\n".join(lines)


def laboratories_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """How far papers differ that print one metric of one system, as a Markdown table."""
    from vceval.protocol.published import laboratories

    lines = ["| System | Metric | From | To | What each paper prints, on what |", "|---|---|--:|--:|---|"]
    for one in laboratories(rows):
        each = []
        for paper in one.papers:
            mine = [row for row in one.figures if row["paper"] == paper]
            values = sorted({float(row["value"]) for row in mine})
            span = " to ".join(f"{value:.6g}" for value in dict.fromkeys((values[0], values[-1])))
            corpora = ", ".join(dict.fromkeys(str(row["corpus"]) for row in mine))
            each.append(f"{paper}: {span} ({corpora})")
        ends = [f"{value:.6g}" for value in (one.low, one.high)]
        unit = f", {one.unit}" if one.unit else ""
        lines.append(f"| {one.system} | {one.metric}{unit} | {ends[0]} | {ends[1]} | {'; '.join(each)} |")
    return "\n".join(lines)
