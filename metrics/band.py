"""Narrow bands: recordings of low sample rates hold less of what measures compare."""

from __future__ import annotations

from typing import Any

from vceval.errors import ItemError
from vceval.records import Conversion, Utterance
from vceval.signal import audio

__all__ = ["FULL_BAND", "NARROW_BAND", "narrow_band"]

#: Lower rates hold less than speech has, and less than the measures compare, which work at 16 kHz.
FULL_BAND = 16_000
#: The flag of such a recording.
NARROW_BAND = "narrow band"


def narrow_band(conversion: Conversion, other: Utterance | None = None, sample_rate: int = FULL_BAND) -> dict[str, Any]:
    """What the details of a pair say where a value rests on less than the band that it is made for: rates and a flag.

    Args:
        conversion: whose recording is measured.
        other: what it is compared with.
        sample_rate: that the measure works at. A conversion below it, and below the other recording's rate, has a
            narrow band, as has any recording below 16 kHz. Of one that can't be read, the measure itself says so.
    """
    try:
        rate = audio.sample_rate(conversion.path)
        against = rate if other is None else audio.sample_rate(other.path)
    except ItemError:
        return {}
    if min(rate, against) >= FULL_BAND and rate >= min(against, sample_rate):
        return {}
    beside = "" if other is None else f", compared with {against} Hz"
    return {"narrow_band": f"{rate} Hz{beside}", "band_flags": [NARROW_BAND]}
