"""``vceval list``: the suites, converters, metrics and corpora that are known."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vceval import registry
from vceval.errors import UsageError

__all__ = ["add_commands", "listing"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("list", help="list what is known: suites, converters, metrics or corpora")
    parser.add_argument("what", choices=("suites", "converters", "metrics", "corpora"))
    parser.set_defaults(command=_list)


def _list(options: argparse.Namespace) -> int:
    print(listing(options.what))
    return 0


def listing(what: str) -> str:
    """Make the table of all suites, converters, metrics or corpora. A plug-in that can't be imported says why."""
    rows = {"suites": _suites, "converters": _converters, "metrics": _metrics, "corpora": _corpora}[what]()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )


def _suites() -> list[Sequence[str]]:
    from vceval.protocol import suite

    rows: list[Sequence[str]] = []
    for name in suite.names():
        found = suite.load(name)
        rows.append((found.label, found.corpus, found.title))
    return rows


def _converters() -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name in registry.names("converter"):
        try:
            info = registry.load("converter", name).info
        except UsageError as error:
            rows.append((name, "-", f"can't be used: {error}"))
        else:
            rows.append((name, info.kind, info.title))
    return rows


def _metrics() -> list[Sequence[str]]:
    from vceval.runner.factory import make_metrics

    rows: list[Sequence[str]] = []
    names = registry.names("metric")
    while names:
        name = names.pop(0)
        try:
            [metric] = make_metrics([name], {})
            rows.append((name, metric.title, metric.signature()))
        except UsageError as error:
            rows.append((name, "-", f"can't be used: {error}"))
        else:
            if ":" not in name:
                names[:0] = [f"{name}:{recipe}" for recipe in metric.recipes]
    return rows


def _corpora() -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name in registry.names("corpus"):
        try:
            info = registry.load("corpus", name).info
        except UsageError as error:
            rows.append((name, "-", "-", f"can't be used: {error}"))
        else:
            rows.append((name, ",".join(info.languages) or "any", info.licence, info.title))
    return rows
