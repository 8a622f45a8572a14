"""Which systems to run: registered names, short forms on the command line, or a YAML file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from vceval.errors import UsageError
from vceval.protocol.schema import Section, Text, read_document
from vceval.records import System

__all__ = ["SystemTable", "SystemsFile", "read_systems", "system_of", "systems_of"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_NO_NAME = "can't be the name of a system: letters, digits and ._+- only, at most 64"


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(_NO_NAME)
    return name


class _SystemChoice(Section):
    """A converter and its options."""

    model_config = ConfigDict(extra="allow")

    converter: Text
    """What ``vceval list converters`` lists."""

    encoders: list[Text] | None = None
    """Speaker encoders that it was conditioned on or trained with: what they judge is shown, and it is not ranked."""


SystemTable = Annotated[
    dict[
        Annotated[str, AfterValidator(_named), Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$"})],
        _SystemChoice,
    ],
    Field(min_length=1, json_schema_extra={"additionalProperties": False}),
]


class SystemsFile(Section):
    """Systems for vceval run --systems: names, with the converter and options of each."""

    systems: SystemTable


def system_of(text: str, timeout: float | None = None) -> System:
    """Read a system from its short form.

    ``world`` is a registered converter under its own name; ``mine=world`` gives it another one;
    ``mine=command:python worker.py`` is a program, ``theirs=precomputed:FOLDER`` or
    ``theirs=precomputed:FOLDER::PATTERN`` a folder of audio. ``fast=chunked:world hop=80 lookahead=40`` converts in
    chunks. ``mine[dvector,ge2e]=...`` declares the speaker encoders
    that it was made with.

    Raises:
        UsageError: the text has another form.
    """
    head, equals, rest = text.partition("=")
    name, bracket, inside = head.partition("[")
    encoders = None
    if bracket:
        if not inside.endswith("]"):
            raise UsageError(
                f"system {text!r}: its speaker encoders stand in brackets after its name: NAME[dvector]=KIND"
            )
        encoders = tuple(one.strip() for one in inside[:-1].split(",") if one.strip())
    kind, _, argument = rest.partition(":")
    if not equals:
        return System(_checked(name, text), name, encoders=encoders)
    options: dict[str, Any] = {}
    if kind == "command":
        try:
            options["command"] = shlex.split(argument)
        except ValueError as error:
            raise UsageError(f"system {text!r}: the command can't be divided into words ({error})") from None
        if timeout is not None:
            options["timeout"] = timeout
    elif kind == "precomputed":
        folder, _, pattern = argument.partition("::")
        options["folder"] = folder
        if pattern:
            options["pattern"] = pattern
    elif kind == "chunked":
        options |= _chunked(text, argument)
    elif argument:
        raise UsageError(
            f"system {text!r}: only command:, precomputed: and chunked: take an argument; use --systems FILE"
        )
    if not kind:
        raise UsageError(f"system {text!r}: say what it is, NAME=KIND:ARGUMENT")
    return System(_checked(name, text), kind, options, encoders=encoders)


def _chunked(text: str, argument: str) -> dict[str, Any]:
    """Read the converter and the sizes of one that converts in chunks, such as ``world hop=80``."""
    of, *sizes = argument.split() or [""]
    options: dict[str, Any] = {"of": of}
    for size in sizes:
        name, _, value = size.partition("=")
        try:
            options[name] = float(value)
        except ValueError:
            raise UsageError(
                f"system {text!r}: {size!r} is no size; write chunked:CONVERTER window=1000 hop=160 lookahead=80 "
                "crossfade=20, in milliseconds"
            ) from None
    return options


def read_systems(path: Path) -> list[System]:
    """Read systems from a YAML file.

    ::

        systems:
          mine:
            converter: command
            command: [python, worker.py]

    All keys but ``converter`` and ``encoders`` are the converter's options.

    Raises:
        UsageError: the file can't be read or has another form.
    """
    return systems_of(read_document(path, SystemsFile).systems)


def systems_of(table: SystemTable) -> list[System]:
    """Make systems of what a file says of them."""
    return [
        System(
            name, given.converter, given.model_extra or {},
            encoders=None if given.encoders is None else tuple(given.encoders),
        )
        for name, given in table.items()
    ]  # fmt: skip


def _checked(name: str, where: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: {name!r} {_NO_NAME}")
    return name
