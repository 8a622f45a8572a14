"""Folders of result files of several publishers, for tests of boards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vceval.board.assemble import assembled
from vceval.board.record import BoardFile, TableFacts
from vceval.board.site import write
from vceval.publish import keys
from vceval.publish.extract import publish

#: A mean, and rates of a recogniser.
METRICS = ("mcd", "wer")


def put(run: Path, key: keys.Key, folder: Path, systems: tuple[str, ...] = ()) -> dict[str, Path]:
    """Publish a run; returns the files by system."""
    return {result.system.name: file for file, result in publish(run, folder, key, systems)}


def changed(path: Path, key: keys.Key, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change what is in a file and sign it, as its publisher could."""
    content = json.loads(path.read_bytes())["result"]
    content["by"].update(key=key.public, name=key.name)
    change(content)
    message = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    out.write_bytes(b'{"result":%b,"signature":"%b"}\n' % (message, key.sign(message).encode()))
    return out


def board_of(folder: Path, trusted: dict[str, str] | None = None) -> BoardFile:
    return assembled(folder, trusted).board


def table_of(folder: Path) -> TableFacts:
    [suite] = board_of(folder).suites
    [table] = suite.tables
    return table


def site_of(folder: Path, out: Path, trusted: dict[str, str] | None = None) -> Path:
    return write(assembled(folder, trusted), out)
