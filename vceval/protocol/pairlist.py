"""Frozen pair lists: conversion pairs as utterance ids, in a CSV file whose bytes are hashed.

Columns: ``pair,direction,source,prompts,reference,natural``. Prompts are separated by blanks; ``reference`` is empty
where the target does not read the source's text; ``natural`` is natural speech of the target which no converter is
given (the reference where there is one). UTF-8, line feeds, one header line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vceval.errors import UsageError
from vceval.protocol.sampling import Drawn
from vceval.records import DIRECTIONS
from vceval.storage.csv_files import as_written, csv_text
from vceval.storage.tables import Column, Sheet, Table

__all__ = ["TABLE", "FrozenPair", "digest", "from_draw", "pair_name", "parse", "read", "render"]

TABLE = Table((
    Column("pair", "the pair's name", required=True),
    Column("direction", "F2F, F2M, M2F or M2M", needed=True),
    Column("source", "what is converted", required=True),
    Column("prompts", "recordings of the target", required=True),
    Column("reference", "the target reading the source's text", needed=True),
    Column("natural", "natural speech of the target", needed=True),
))  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
#: Longer names are cut and get a hash, so that ``<pair>.flac`` stays below the limit of any file system.
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class FrozenPair:
    """One line of a list. ``direction`` and ``reference`` and ``natural`` are None where there is none."""

    pair: str
    direction: str | None
    source: str
    prompts: tuple[str, ...]
    reference: str | None = None
    natural: str | None = None


def pair_name(source: str, prompt: str) -> str:
    """Name a pair after its source and first prompt, with nothing in it that a file name could not hold."""
    plain = f"{source}-{prompt}"
    safe = _UNSAFE.sub("_", plain).lstrip(".")
    if safe == plain and len(plain) <= _LONGEST:
        return plain
    return f"{safe[:_LONGEST]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def from_draw(drawn: Iterable[Drawn]) -> list[FrozenPair]:
    """Name drawn pairs."""
    return [
        FrozenPair(pair_name(d.source, d.prompt), d.direction, d.source, (d.prompt,), d.reference, d.natural)
        for d in drawn
    ]


def render(pairs: Iterable[FrozenPair]) -> str:
    """Write pairs in the one form whose bytes are hashed.

    Raises:
        UsageError: a prompt's id holds a blank, which separates prompts.
    """
    rows = list(pairs)
    for pair in rows:
        for prompt in pair.prompts:
            if prompt.split() != [prompt]:
                raise UsageError(f"pair {pair.pair}: prompt id {prompt!r} holds a blank; rename the utterance")
    return _table(rows)


def digest(pairs: Iterable[FrozenPair]) -> str:
    """SHA-256 of pairs; equals the hash of the file that :func:`render` makes of them."""
    return hashlib.sha256(_table(pairs).encode()).hexdigest()


def _table(pairs: Iterable[FrozenPair]) -> str:
    rows = (
        (p.pair, p.direction or "", p.source, " ".join(p.prompts), p.reference or "", p.natural or "") for p in pairs
    )
    return csv_text(TABLE.names, rows)


def read(path: Path) -> tuple[list[FrozenPair], str]:
    """Read a list and the SHA-256 of its bytes.

    Raises:
        UsageError: the file is missing, not UTF-8, lacks a column, or a line is malformed or repeats a pair's name.
    """
    pairs = _pairs(TABLE.read(path))
    return pairs, hashlib.sha256(path.read_bytes()).hexdigest()


def parse(text: str, name: str) -> list[FrozenPair]:
    """Read a list from its text; ``name`` is what error messages call it.

    Raises:
        UsageError: a column is missing, or a line is malformed or repeats a pair's name.
    """
    return _pairs(TABLE.parse(text, name))


def _pairs(sheet: Sheet) -> list[FrozenPair]:
    for note in sheet.notes:  # what is hashed is not to be understood in two ways
        sheet.problem(0, f"{note}; a pair list has {','.join(TABLE.names)}")
    pairs: list[FrozenPair] = []
    for row in sheet.rows:
        pair, direction, source, prompts, reference, natural = (as_written(row[name]) for name in TABLE.names)
        if _UNSAFE.search(pair) or pair.startswith("."):
            sheet.problem(row.line, f"pair {pair!r} can't be a file name; use letters, digits, '.', '_' and '-'")
        sheet.once(row, pair, f"pair {pair!r}")
        if direction and direction not in DIRECTIONS:
            sheet.problem(row.line, f"direction {direction!r} is none of {', '.join(DIRECTIONS)}")
        voices = tuple(prompts.split())
        if reference in voices or natural in voices:
            sheet.problem(row.line, f"a prompt of pair {pair!r} is its reference or natural speech as well")
        pairs.append(FrozenPair(pair, direction or None, source, voices, reference or None, natural or None))
    sheet.check()
    return pairs
