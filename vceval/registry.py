"""Lazy plug-ins by entry point: a name costs nothing until it is used.

vceval's own metrics, converters and corpora come in through the same entry points as anybody else's
(groups ``vceval.metrics``, ``vceval.converters``, ``vceval.corpora``).
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from vceval.errors import UsageError

__all__ = ["GROUPS", "load", "names", "origin", "unknown_name"]

#: What a user calls each kind of plug-in, and the entry-point group behind it.
GROUPS = {"metric": "vceval.metrics", "converter": "vceval.converters", "corpus": "vceval.corpora"}


@cache
def _table(kind: str) -> dict[str, EntryPoint]:
    table: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUPS[kind]), key=lambda p: (p.name, p.value)):
        known = table.get(point.name)
        if known is not None and known.value != point.value:
            raise UsageError(
                f"two plug-ins are both called {kind} {point.name!r}: {known.value} and {point.value}; uninstall one"
            )
        table[point.name] = point
    return table


def names(kind: str) -> list[str]:
    """List the registered names of one kind (``metric``, ``converter`` or ``corpus``), sorted."""
    return sorted(_table(kind))


def origin(kind: str, name: str) -> str:
    """Say where a plug-in comes from, as ``module:object``."""
    return _entry(kind, name.partition(":")[0]).value


def load(kind: str, name: str) -> Any:
    """Import one plug-in and return its class.

    ``NAME:RECIPE`` is a recipe of the plug-in ``NAME``: its attribute ``recipes`` maps names to a class, as
    ``module:object``, or to a row of a table, of which its method ``of_recipe`` makes the class.

    Raises:
        UsageError: no such name (with the nearest known ones), or its module can't be imported.
    """
    base, colon, recipe = name.partition(":")
    point = _entry(kind, base)
    try:
        found = point.load()
        if not colon:
            return found
        recipes: Mapping[str, object] = getattr(found, "recipes", {})
        if recipe not in recipes:
            raise unknown_name(f"recipe of {kind} {base}:", recipe, sorted(recipes))
        row = recipes[recipe]
        return pkgutil.resolve_name(row) if isinstance(row, str) else found.of_recipe(recipe)
    except ImportError as error:
        raise UsageError(
            f"{kind} {name!r} ({point.value}) can't be imported: {error}; install what it needs or leave it out"
        ) from error


def unknown_name(kind: str, name: str, known: list[str]) -> UsageError:
    """Make the error for a name that is not known, with the nearest known names."""
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")


def _entry(kind: str, name: str) -> EntryPoint:
    table = _table(kind)
    if name not in table:
        raise unknown_name(kind, name, sorted(table))
    return table[name]
