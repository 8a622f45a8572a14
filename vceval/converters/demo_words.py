"""What demo pages do to conversions before they publish them, in words."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["WORDS", "Done"]

#: What a page may have done to a conversion, beyond rounding it to 16 bits.
Done = Literal["resampled", "lossy", "level", "delay", "trimmed", "padded"]
WORDS: tuple[Done, ...] = get_args(Done)
