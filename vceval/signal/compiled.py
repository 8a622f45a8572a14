"""Machine code of functions over arrays, made by numba when first called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["compiled", "compiled_loosely"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function that numba knows; its code is kept on disk between processes where that is possible.

    It runs without Python's lock. Division by zero gives an infinity or NaN, as in C.
    """
    return _compiled(function, {})


def compiled_loosely(function: _Function) -> _Function:
    """Compile as :func:`compiled` does; products may keep their last bits until they are added (FMA)."""
    return _compiled(function, {"fastmath": {"contract"}})


def _compiled(function: _Function, options: dict[str, Any]) -> _Function:
    import numba

    options = {"nogil": True, "error_model": "numpy", **options}
    made: _Function
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep machine code in: a read-only installation without a home
        made = numba.njit(**options)(function)
    return made
