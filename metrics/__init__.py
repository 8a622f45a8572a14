"""Metric plug-ins, one a file, and the functions that they are made of.

The functions named in ``__all__`` measure arrays and texts directly, without a run; they are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vceval.metrics.cer import character_error_rate
    from vceval.metrics.f0 import f0_statistics
    from vceval.metrics.mcd import mel_cepstral_distortion
    from vceval.metrics.wer import word_error_rate
    from vceval.statistics.eer import equal_error_rate

__all__ = ["character_error_rate", "equal_error_rate", "f0_statistics", "mel_cepstral_distortion", "word_error_rate"]

_HOMES = {
    "character_error_rate": "cer",
    "equal_error_rate": "eer",
    "f0_statistics": "f0",
    "mel_cepstral_distortion": "mcd",
    "word_error_rate": "wer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
