"""Lazy plug-ins by entry point: a name costs nothing until it is used.

vceval's own metrics, converters and corpora come in through the same entry points as anybody else's
(groups ``vceval.metrics``, ``vceval.converters``, ``vceval.corpora``).
"""

from __future__ import annotations

import difflib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from vceval.errors import UsageError, reason_of

__all__ = [
    "CONTRACTS",
    "GROUPS",
    "ask",
    "did_you_mean",
    "load",
    "names",
    "origin",
    "recipe_folders",
    "unknown_name",
    "unusable",
]

T = TypeVar("T")

#: Names of recipes, which are also names in Python.
_RECIPE = re.compile(r"[a-z][a-z0-9_]*")

#: What a user calls each kind of plug-in, and the entry-point group behind it.
GROUPS = {"metric": "vceval.metrics", "converter": "vceval.converters", "corpus": "vceval.corpora"}
#: The class that every plug-in of a kind extends; its ``declaration_faults`` says what one declares wrongly.
CONTRACTS = {
    "metric": "vceval.metrics.base:Metric",
    "converter": "vceval.converters.base:Converter",
    "corpus": "vceval.corpora.base:Corpus",
}


@cache
def _table(kind: str) -> dict[str, EntryPoint]:
    table: dict[str, EntryPoint] = {}
    points = list(entry_points(group=GROUPS[kind]))
    if kind == "converter":  # those that run in environments of their own are folders, not classes
        points += [EntryPoint(name, f"vceval.converters.by_recipe:{name}", GROUPS[kind]) for name in recipe_folders()]
    for point in sorted(points, key=lambda p: (p.name, p.value)):
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


@cache
def recipe_folders() -> Mapping[str, Path]:
    """Find the folders of recipes: converters that run in environments of their own, by name; no file is read.

    They lie in the packages that the entry points of the group ``vceval.recipes`` name.

    Raises:
        UsageError: a package is not there, two recipes have one name, or a folder's name can't be a converter's.
    """
    found: dict[str, Path] = {}
    for point in sorted(entry_points(group="vceval.recipes"), key=lambda p: (p.name, p.value)):
        try:
            spec = importlib.util.find_spec(point.value)
        except ImportError:
            spec = None
        if spec is None:
            raise UsageError(
                f"recipes {point.name!r}: there is no package {point.value}; install it again or remove it"
            )
        for place in spec.submodule_search_locations or ():
            for file in sorted(Path(place).glob("*/recipe.yaml")):
                name = file.parent.name
                if not _RECIPE.fullmatch(name):
                    raise UsageError(f"{file}: {name!r} can't name a recipe: small letters, digits and _ only")
                if found.setdefault(name, file.parent) != file.parent:
                    raise UsageError(f"two recipes are called {name}: {found[name]} and {file.parent}; uninstall one")
    return dict(sorted(found.items()))


def origin(kind: str, name: str) -> str:
    """Say where a plug-in, or a recipe of one, comes from, as ``module:object``."""
    base, _, recipe = name.partition(":")
    place = _entry(kind, base).value
    row = load(kind, base).recipes[recipe] if recipe else None
    return row if isinstance(row, str) else place


def load(kind: str, name: str) -> Any:
    """Import one plug-in and return its class, which declares all that its contract asks for.

    ``NAME:RECIPE`` is a recipe of the plug-in ``NAME``: its attribute ``recipes`` maps names to a class, as
    ``module:object``, or to a row of a table, of which its method ``of_recipe`` makes the class.

    Raises:
        UsageError: no such name (with the nearest known ones); it can't be imported, whatever its module raises; it is
            no class of its kind, or declares something wrongly.
    """
    base, colon, recipe = name.partition(":")
    point = _entry(kind, base)
    found = _declared(kind, base, point.value, _imported(kind, name, point.value, point.load))
    if not colon:
        return found
    recipes: Mapping[str, object] = getattr(found, "recipes", {})
    if recipe not in recipes:
        raise unknown_name(f"recipe of {kind} {base}:", recipe, sorted(recipes))
    row = recipes[recipe]
    place = row if isinstance(row, str) else point.value
    return _declared(kind, name, place, _imported(kind, name, place, lambda: _of_recipe(found, recipe)))


def _of_recipe(found: Any, recipe: str) -> Any:
    row = found.recipes[recipe]
    return pkgutil.resolve_name(row) if isinstance(row, str) else found.of_recipe(recipe)


def _imported(kind: str, name: str, place: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except ImportError as error:
        raise UsageError(
            f"{kind} {name!r} ({place}) can't be imported: {error}; install what it needs or leave it out"
        ) from error
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        raise UsageError(
            f"{kind} {name!r} ({place}) can't be imported: {reason_of(error)}; correct it or leave it out"
        ) from error


def _declared(kind: str, name: str, place: str, found: Any) -> Any:
    contract = pkgutil.resolve_name(CONTRACTS[kind])
    if not isinstance(found, type) or not issubclass(found, contract):
        raise UsageError(
            f"{kind} {name!r} ({place}) is no {contract.__name__}: make it a class that extends "
            f"{CONTRACTS[kind].replace(':', '.')}"
        )
    plugin: Any = found
    faults = plugin.declaration_faults(plugin, name)
    if faults:
        raise unusable(kind, name, "; ".join(faults))
    return plugin


def unusable(kind: str, name: str, why: str) -> UsageError:
    """Make the error for a plug-in whose author made a mistake, with the place where it is."""
    return UsageError(f"{kind} {name!r} ({origin(kind, name)}) can't be used: {why}. Correct it or leave it out")


def ask(kind: str, name: str, what: str, question: Callable[[], T]) -> T:
    """Call something of a plug-in; ``what`` is how a message calls it.

    Raises:
        UsageError: as the plug-in raises it; any other error of the plug-in in the words of :func:`unusable`.
    """
    try:
        return question()
    except UsageError:
        raise
    except Exception as error:  # a plug-in may throw anything
        raise unusable(kind, name, f"{what} raises {reason_of(error)}") from error


def unknown_name(kind: str, name: str, known: list[str]) -> UsageError:
    """Make the error for a name that is not known, with the nearest known names."""
    hint = did_you_mean(name, known) or f"; known: {', '.join(known) or 'none'}"
    return UsageError(f"unknown {kind} {name!r}{hint}")


def did_you_mean(word: str, known: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    """Name the known words nearest to one, whatever their case: ``; did you mean run?``; empty where none is near.

    ``shown`` has what words are called in the sentence.
    """
    spelled = {one.lower(): one for one in known}
    near = [spelled[one] for one in difflib.get_close_matches(word.lower(), spelled, n=3, cutoff=0.5)]
    names = [shown[name] if shown else name for name in near]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _entry(kind: str, name: str) -> EntryPoint:
    table = _table(kind)
    if name not in table:
        raise unknown_name(kind, name, sorted(table))
    return table[name]
