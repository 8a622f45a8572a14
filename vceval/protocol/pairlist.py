"""Frozen pair lists: conversion pairs as utterance ids, in a CSV file whose bytes are hashed.

Columns: ``pair,direction,source,prompts,reference,natural``. Prompts are separated by blanks; ``reference`` is empty
where the target does not read the source's text; ``natural`` is natural speech of the target which no converter is
given (the reference where there is one). UTF-8, line feeds, one header line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vceval.errors import UsageError
from vceval.protocol.sampling import Drawn
from vceval.records import DIRECTIONS

__all__ = ["COLUMNS", "FrozenPair", "digest", "from_draw", "pair_name", "parse", "read", "render"]

COLUMNS = ("pair", "direction", "source", "prompts", "reference", "natural")
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
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for p in pairs:
        prompts = " ".join(p.prompts)
        writer.writerow((p.pair, p.direction or "", p.source, prompts, p.reference or "", p.natural or ""))
    return buffer.getvalue()


def read(path: Path) -> tuple[list[FrozenPair], str]:
    """Read a list and the SHA-256 of its bytes.

    Raises:
        UsageError: the file is missing, not UTF-8, lacks a column, or a line is malformed or repeats a pair's name.
    """
    try:
        data = path.read_bytes()
        return parse(data.decode("utf-8"), str(path)), hashlib.sha256(data).hexdigest()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such pair list") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as UTF-8 text ({error})") from error


def parse(text: str, name: str) -> list[FrozenPair]:
    """Read a list from its text; ``name`` is what error messages call it.

    Raises:
        UsageError: a column is missing, or a line is malformed or repeats a pair's name.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(f"{name}: column {', '.join(missing)} is missing; a pair list has {','.join(COLUMNS)}")
    pairs: list[FrozenPair] = []
    seen: set[str] = set()
    for row in reader:
        where = f"{name}:{reader.line_num}"
        values = {column: (row[column] or "").strip() for column in COLUMNS}
        pair, direction = values["pair"], values["direction"]
        if not pair or not values["source"] or not values["prompts"]:
            raise UsageError(f"{where}: pair, source and prompts must not be empty")
        if _UNSAFE.search(pair) or pair.startswith("."):
            raise UsageError(f"{where}: pair {pair!r} can't be a file name; use letters, digits, '.', '_' and '-'")
        if pair in seen:
            raise UsageError(f"{where}: pair {pair!r} stands twice in the list")
        if direction and direction not in DIRECTIONS:
            raise UsageError(f"{where}: direction {direction!r} is none of {', '.join(DIRECTIONS)}")
        seen.add(pair)
        prompts = tuple(values["prompts"].split())
        if values["reference"] in prompts or values["natural"] in prompts:
            raise UsageError(f"{where}: a prompt of pair {pair!r} is its reference or natural speech as well")
        pairs.append(
            FrozenPair(pair, direction or None, values["source"], prompts, values["reference"] or None,
                       values["natural"] or None)
        )  # fmt: skip
    if not pairs:
        raise UsageError(f"{name}: holds no pairs")
    return pairs
