"""Which systems to run: registered names, short forms on the command line, or a YAML file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.records import System

__all__ = ["read_systems", "system_of"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def system_of(text: str, timeout: float | None = None) -> System:
    """Read a system from its short form.

    ``world`` is a registered converter under its own name; ``mine=world`` gives it another one;
    ``mine=command:python worker.py`` is a program, ``theirs=precomputed:FOLDER`` or
    ``theirs=precomputed:FOLDER::PATTERN`` a folder of audio.

    Raises:
        UsageError: the text has another form.
    """
    name, equals, rest = text.partition("=")
    kind, _, argument = rest.partition(":")
    if not equals:
        return System(_checked(name, text), name)
    options: dict[str, Any] = {}
    if kind == "command":
        options["command"] = shlex.split(argument)
        if timeout is not None:
            options["timeout"] = timeout
    elif kind == "precomputed":
        folder, _, pattern = argument.partition("::")
        options["folder"] = folder
        if pattern:
            options["pattern"] = pattern
    elif argument:
        raise UsageError(f"system {text!r}: only command: and precomputed: take an argument; use --systems FILE")
    if not kind:
        raise UsageError(f"system {text!r}: say what it is, NAME=KIND:ARGUMENT")
    return System(_checked(name, text), kind, options)


def read_systems(path: Path) -> list[System]:
    """Read systems from a YAML file.

    ::

        systems:
          mine:
            converter: command
            command: [python, worker.py]

    All keys but ``converter`` are the converter's options.

    Raises:
        UsageError: the file can't be read or has another form.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: can't be read as YAML ({error})") from error
    table = content.get("systems") if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise UsageError(f"{path}: needs a mapping 'systems' from names to their converters and options")
    systems = []
    for name, options in table.items():
        if not isinstance(options, dict) or not isinstance(options.get("converter"), str):
            raise UsageError(f"{path}: system {name!r} needs a mapping with a key 'converter'")
        rest = {key: value for key, value in options.items() if key != "converter"}
        systems.append(System(_checked(str(name), str(path)), options["converter"], rest))
    return systems


def _checked(name: str, where: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: {name!r} can't be the name of a system: letters, digits and ._+- only, at most 64")
    return name
