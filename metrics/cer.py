"""Character error rate of a speech recogniser on converted speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit
from vceval.metrics.text_error import TextErrorMetric
from vceval.metrics.text_rules import rate

__all__ = ["CharacterErrorRate", "character_error_rate"]

_RECIPES = "vceval.metrics.cer_recipes"


@dataclass(frozen=True)
class CharacterErrorRate(TextErrorMetric):
    """CER: character errors over characters that should be said, both summed over all pairs (micro average).

    Blanks between words count as characters, except in languages that are written without them. ``cer_capped``
    counts no more errors than characters for any pair.
    """

    name: ClassVar[str] = "cer"
    title: ClassVar[str] = "Character error rate"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cer", "CER", "%", "lower", scale=100.0, decimals=1),
        Measure("cer_capped", "CER cap.", "%", "lower", scale=100.0, decimals=1, secondary=True),
    )
    recipes: ClassVar[Mapping[str, str]] = {
        "freevc": f"{_RECIPES}:FreeVcCer",
        "none": f"{_RECIPES}:RawCer",
        "s3prl": f"{_RECIPES}:S3prlCer",
        "whisper-basic": f"{_RECIPES}:WhisperBasicCer",
        "whisper-english": f"{_RECIPES}:WhisperEnglishCer",
    }


def character_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], language: str = "en", recipe: str = "default"
) -> float:
    """Character error rate of texts, compared as the ``cer`` metric does it, or one of its recipes.

    Args:
        references: what should be said (for ``freevc``: what was heard in the source).
        hypotheses: what was heard, one for each reference.
        language: of both; English and Chinese have normalisers of their own.
        recipe: ``default``, or what follows the colon in ``cer:s3prl``.

    Returns:
        A fraction, 0 for a perfect match; insertions can push it over 1.

    Raises:
        UsageError: the numbers of texts differ, a reference has no words, or the recipe is unknown.
    """
    return rate(references, hypotheses, language, "character", recipe)
