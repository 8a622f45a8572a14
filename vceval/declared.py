"""What plug-ins say of themselves, checked attribute by attribute: the words in which a fault is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

__all__ = ["fault", "is_text", "is_texts", "is_whole", "unwritten"]


def fault(owner: object, name: str, fits: Callable[[Any], bool], wanted: str) -> list[str]:
    """Say what is wrong with an attribute of a class, an instance or a record; nothing where it fits.

    ``wanted`` completes "it must be".
    """
    try:
        value = getattr(owner, name)
    except AttributeError:
        return [f"there is no {name}: it must be {wanted}"]
    return [] if fits(value) else [f"{name} is {value!r}: it must be {wanted}"]


def unwritten(owner: object) -> list[str]:
    """Say which methods of the contract a class has not written; nothing where it has them all."""
    kind = owner if isinstance(owner, type) else type(owner)
    missing = sorted(getattr(kind, "__abstractmethods__", ())) if inspect.isabstract(kind) else []
    return [f"there is no method {name}()" for name in missing]


def is_text(value: object) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and bool(value.strip())


def is_texts(value: object) -> bool:
    """Whether a value is a collection of texts; a single text is none, though it can be walked through."""
    collection = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
    return collection and all(isinstance(item, str) for item in value)  # type: ignore[attr-defined]


def is_whole(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number of at least ``least``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
