"""Character error rate of a speech recogniser on converted speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit, error_rate
from vceval.metrics.text_error import TextErrorMetric

__all__ = ["CharacterErrorRate", "character_error_rate"]


@dataclass(frozen=True)
class CharacterErrorRate(TextErrorMetric):
    """CER: character errors over characters that should be said, both summed over all pairs (micro average).

    Blanks between words count as characters, except in languages that are written without them.
    """

    name: ClassVar[str] = "cer"
    title: ClassVar[str] = "Character error rate"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("cer", "CER", "%", "lower", scale=100.0, decimals=1),)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str], language: str = "en") -> float:
    """Character error rate of texts, normalised as the ``cer`` metric does it: all errors over all characters.

    Args:
        references: what should be said.
        hypotheses: what was heard, one for each reference.
        language: of both; English has a normaliser of its own.

    Returns:
        A fraction, 0 for a perfect match; insertions can push it over 1.

    Raises:
        UsageError: the numbers of texts differ, or a reference has no words.
    """
    return error_rate(references, hypotheses, language, "character")
