"""Word error rate of a speech recogniser on converted speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit
from vceval.metrics.text_error import TextErrorMetric
from vceval.metrics.text_rules import rate

__all__ = ["WordErrorRate", "word_error_rate"]

_RECIPES = "vceval.metrics.wer_recipes"


@dataclass(frozen=True)
class WordErrorRate(TextErrorMetric):
    """WER: word errors over words that should be said, both summed over all pairs (micro average).

    In languages without blanks between words every character counts as a word. ``wer_capped`` counts no more errors
    than words for any pair, so that one hallucinated tail can't outweigh many good conversions.
    """

    name: ClassVar[str] = "wer"
    title: ClassVar[str] = "Word error rate"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("wer", "WER", "%", "lower", scale=100.0, decimals=1),
        Measure("wer_capped", "WER cap.", "%", "lower", scale=100.0, decimals=1, secondary=True),
    )
    recipes: ClassVar[Mapping[str, str]] = {
        "f5": f"{_RECIPES}:F5Wer",
        "freevc": f"{_RECIPES}:FreeVcWer",
        "none": f"{_RECIPES}:RawWer",
        "s3prl": f"{_RECIPES}:S3prlWer",
        "seedtts": f"{_RECIPES}:SeedTtsWer",
        "whisper-basic": f"{_RECIPES}:WhisperBasicWer",
        "whisper-basic-split": f"{_RECIPES}:WhisperSplitWer",
        "whisper-english": f"{_RECIPES}:WhisperEnglishWer",
    }


def word_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], language: str = "en", recipe: str = "default"
) -> float:
    """Word error rate of texts, compared as the ``wer`` metric does it, or one of its recipes.

    Args:
        references: what should be said (for ``freevc``: what was heard in the source).
        hypotheses: what was heard, one for each reference.
        language: of both; English and Chinese have normalisers of their own.
        recipe: ``default``, or what follows the colon in ``wer:seedtts``; it decides on the normaliser, on the units
            of languages without blanks, and whether errors are summed (micro) or rates averaged (macro).

    Returns:
        A fraction, 0 for a perfect match; insertions can push it over 1.

    Raises:
        UsageError: the numbers of texts differ, a reference has no words, the recipe is unknown, has no rule for the
            language or needs a package that is not installed.
    """
    return rate(references, hypotheses, language, "word", recipe)
