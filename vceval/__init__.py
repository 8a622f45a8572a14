"""vceval: objective evaluation and benchmarking of voice conversion.

``vceval.run``, ``vceval.score`` and ``vceval.load`` give :class:`Results`; they are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vceval import version

if TYPE_CHECKING:
    from vceval.api.calls import load, run, score
    from vceval.api.results import Results

__version__ = version.VERSION

__all__ = ["Results", "__version__", "load", "run", "score"]

_HOMES = {
    "Results": "vceval.api.results",
    "load": "vceval.api.calls",
    "run": "vceval.api.calls",
    "score": "vceval.api.calls",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
