"""``vceval agree``: how far metrics agree with people, beside how far people agree with each other."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["add_commands"]

_LEVELS = {"systems": "over systems", "files": "over files", "within": "within systems"}
_NAMES = {"pearson": "Pearson", "spearman": "Spearman", "kendall": "Kendall"}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "agree",
        help="say how far each metric agrees with people who rated the recordings of a run",
        description="Correlates every measure of a run with ratings of its recordings: over systems, over files, and "
        "within systems, with intervals over systems and listeners. A coefficient is positive where the metric "
        "calls better what people call better, whichever side that is. Beside it stands the ceiling, what another "
        "panel of as many listeners would reach, and the share of it.",
        epilog="exit codes: 0 all fine, 1 some ratings are of recordings that the run lacks, or some correlation can't "
        "be told, 2 wrong use, or nothing that was rated is in the run",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--ratings", required=True, metavar="vcc2020|FILE",
        help="vcc2020, for a run on the submissions of that challenge; a CSV table of file, listener, score (question, "
        "system and listeners may stand beside them); or the run of a listening test",
    )  # fmt: skip
    parser.add_argument("--listeners", default="", metavar="GROUP", help="only this group, such as English (all)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(command=_agree)


def _agree(options: argparse.Namespace) -> int:
    import json
    import sys

    from vceval.listen.agree import agree
    from vceval.listen.rating_tables import read_ratings
    from vceval.results.rundir import RunDirectory

    found = agree(RunDirectory(options.run), read_ratings(options.ratings), options.listeners)
    if options.json:
        print(
            json.dumps({**found.facts, "notes": found.notes, "complete": found.complete}, indent=1, ensure_ascii=False)
        )
    else:
        _print(found.facts)
    for note in found.notes:
        print(f"vceval: {note}", file=sys.stderr)
    return 0 if found.complete else 1


def _print(facts: Mapping[str, Any]) -> None:
    from vceval.results.terminal import grid, paragraph

    print(paragraph(f"Ratings: {facts['origin']}; listeners: {facts['listeners']}"))
    for entry in facts["questions"]:
        controls = f", {len(entry['controls'])} of them controls, which are left out" if entry["controls"] else ""
        print(
            f"\n{entry['question']}: {entry['ratings']:,} ratings of {entry['files']:,} files of {entry['systems']} "
            f"systems{controls}, by {entry['listeners']:,} listeners"
        )
        rows = [
            [_LEVELS[level], _NAMES[name], measure["label"], _said(one), _number(one["ceiling"]), _share(one),
             f"{measure['systems']} / {measure['files'] or '–'} of {measure['rated_files']:,}"]
            for level in _LEVELS
            for measure in entry["measures"]
            for name, one in measure["levels"].get(level, {}).items()
        ]  # fmt: skip
        if rows:
            print(grid(
                ("level", "coefficient", "metric", "with people", "ceiling", "share", "systems / files scored"),
                [[row for row in rows if row[0] == level] for level in _LEVELS.values()], (4, 5),
            ))  # fmt: skip
        _print_ceiling(entry["ceiling"])


def _print_ceiling(levels: Mapping[str, Any]) -> None:
    from vceval.results.terminal import grid

    rows = []
    for level, of_level in levels.items():
        for name, one in of_level.items():
            rows += [[_LEVELS[level], _NAMES[name], "halves of the listeners", _number(one["halves"])]]
            rows += [[_LEVELS[level], _NAMES[name], groups, _said(value)] for groups, value in one["groups"].items()]
    if rows:
        print("\nListeners with each other")
        print(grid(("level", "coefficient", "who", "agree"), [rows]))


def _said(one: Mapping[str, float | None]) -> str:
    from vceval.results.views import with_interval

    return with_interval(one["value"], one["low"], one["high"], "{:.2f}".format)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(one: Mapping[str, float | None]) -> str:
    return "–" if one["share"] is None else f"{one['share']:.0%}"
