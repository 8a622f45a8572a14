"""``vceval status``: how far a run is."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    state = commands.add_parser("status", help="say how far a run is, also while it is at work")
    state.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    state.add_argument("--json", action="store_true", help="for machines")
    state.add_argument("--profile", action="store_true", help="say what the time of all workers went into")
    state.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from vceval.runner import status

    if options.profile:
        shares = status.profile(options.run)
        print(json.dumps([asdict(share) for share in shares], indent=1) if options.json else status.profiled(shares))
        return 0
    found = status.status(options.run)
    print(found.as_json() if options.json else status.shown(found))
    return 0
