"""Options of ``run`` and ``score`` that come from ``vceval.yaml``; what the command says wins."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval.errors import UsageError

__all__ = ["READERS", "add_options", "file_of", "with_file"]

#: The commands that read the file.
READERS = ("run", "score")
NAME = "vceval.yaml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which file is read."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help=f"take what the command does not say from FILE ({NAME} where it lies here; vceval init writes one)",
    )  # fmt: skip
    parser.add_argument("--no-config", action="store_true", help=f"do not read {NAME}")


def file_of(words: Sequence[str]) -> Path | None:
    """Find the file that a command reads; None for none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_options(parser)
    try:
        found, _ = parser.parse_known_args(list(words))
    except argparse.ArgumentError:
        return None  # said by the command's own parser
    if found.config is not None and found.no_config:
        raise UsageError(f"--config {found.config}: and --no-config; give one of the two")
    usual = Path(NAME)
    return None if found.no_config else found.config or (usual if usual.is_file() else None)


def with_file(file: Path, top: argparse.ArgumentParser, bare: argparse.ArgumentParser, words: Sequence[str]) -> Any:
    """Parse a command's words, and take from a file what they do not say.

    Args:
        file: what is read.
        top: the parser of all commands.
        bare: another one, which is changed.
        words: of the command, its name first.

    Raises:
        UsageError: something is wrong in the file.
    """
    from vceval.protocol.config import read_config
    from vceval.runner.progress import say

    values = read_config(file)
    _allow(command_of(top, words[0]), values)
    options = top.parse_args(words)
    mine = command_of(bare, words[0])
    _allow(mine, values)
    for action in mine._actions:
        # Of words without an option, a default that is text would be read as one
        action.default = argparse.SUPPRESS if action.option_strings else None
    said = {name for name, value in vars(bare.parse_args(words)).items() if value not in (None, [])}
    taken = [name for name in values if name in vars(options) and name not in said]
    for name in taken:
        setattr(options, name, values[name])
    names = ", ".join("systems" if name == "system" else name for name in taken) or "nothing that is not given here"
    say(f"vceval: from {file}: {names}")
    return options


def command_of(top: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    [commands] = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    found: argparse.ArgumentParser = commands.choices[name]
    return found


def _allow(command: argparse.ArgumentParser, values: Mapping[str, Any]) -> None:
    """Let words without an option be left out where the file says them."""
    for action in command._actions:
        if not action.option_strings and action.dest in values:
            action.nargs = "*" if action.nargs in ("+", "*") else "?"
            action.required = False
