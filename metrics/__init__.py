"""Metric plug-ins and the functions that they are made of.

The functions named in ``__all__`` measure arrays and texts directly, without a run; they are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.metrics.f0 import f0_statistics
    from vceval.metrics.mcd import mel_cepstral_distortion
    from vceval.metrics.text_error import character_error_rate, word_error_rate
    from vceval.statistics.eer import equal_error_rate

__all__ = ["character_error_rate", "equal_error_rate", "f0_statistics", "mel_cepstral_distortion", "word_error_rate"]

_HOMES = {
    "character_error_rate": "vceval.metrics.text_error",
    "equal_error_rate": "vceval.statistics.eer",
    "f0_statistics": "vceval.metrics.f0",
    "mel_cepstral_distortion": "vceval.metrics.mcd",
    "word_error_rate": "vceval.metrics.text_error",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
