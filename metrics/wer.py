"""Word error rate of a speech recogniser on converted speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit, error_rate
from vceval.metrics.text_error import TextErrorMetric

__all__ = ["WordErrorRate", "word_error_rate"]


@dataclass(frozen=True)
class WordErrorRate(TextErrorMetric):
    """WER: word errors over words that should be said, both summed over all pairs (micro average).

    In languages without blanks between words every character counts as a word.
    """

    name: ClassVar[str] = "wer"
    title: ClassVar[str] = "Word error rate"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("wer", "WER", "%", "lower", scale=100.0, decimals=1),)


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str], language: str = "en") -> float:
    """Word error rate of texts, normalised as the ``wer`` metric does it: all errors over all reference words.

    Args:
        references: what should be said.
        hypotheses: what was heard, one for each reference.
        language: of both; English has a normaliser of its own.

    Returns:
        A fraction, 0 for a perfect match; insertions can push it over 1.

    Raises:
        UsageError: the numbers of texts differ, or a reference has no words.
    """
    return error_rate(references, hypotheses, language, "word")
