"""Character error rates as other tools count them: their text rules, on this installation's recogniser.

Blanks count as characters in all of them, in every language, but for ``cer:freevc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit
from vceval.metrics.text_error import HeardReference, TextErrorMetric

__all__ = ["FreeVcCer", "RawCer", "S3prlCer", "WhisperBasicCer", "WhisperEnglishCer"]


def _measures(recipe: str, label: str) -> tuple[Measure, ...]:
    return (Measure(f"cer:{recipe}", f"CER ({label})", "%", "lower", scale=100.0, decimals=1),)


@dataclass(frozen=True)
class S3prlCer(TextErrorMetric):
    """CER of s3prl and s3prl-vc: upper case, Unicode punctuation removed, blanks collapsed; micro average.

    Source: Huang et al., "S3PRL-VC: open-source voice conversion framework with self-supervised speech
    representations", ICASSP 2022.
    """

    name: ClassVar[str] = "cer:s3prl"
    title: ClassVar[str] = "Character error rate (s3prl)"
    recipe: ClassVar[str] = "s3prl"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = _measures("s3prl", "s3prl")
    source: ClassVar[str] = "Huang et al., S3PRL-VC, ICASSP 2022"


@dataclass(frozen=True)
class WhisperBasicCer(TextErrorMetric):
    """CER after Whisper's basic normaliser, as in VERSA's default; micro average."""

    name: ClassVar[str] = "cer:whisper-basic"
    title: ClassVar[str] = "Character error rate (Whisper's basic normaliser)"
    recipe: ClassVar[str] = "whisper-basic"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = _measures("whisper-basic", "Whisper basic")


@dataclass(frozen=True)
class WhisperEnglishCer(TextErrorMetric):
    """CER after Whisper's English normaliser in every language; micro average."""

    name: ClassVar[str] = "cer:whisper-english"
    title: ClassVar[str] = "Character error rate (Whisper's English normaliser)"
    recipe: ClassVar[str] = "whisper-english"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = _measures("whisper-english", "Whisper English")


@dataclass(frozen=True)
class RawCer(TextErrorMetric):
    """CER of the texts as they are: case and punctuation count; micro average."""

    name: ClassVar[str] = "cer:none"
    title: ClassVar[str] = "Character error rate (texts as they are)"
    recipe: ClassVar[str] = "none"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = _measures("none", "raw")


@dataclass(frozen=True)
class FreeVcCer(HeardReference):
    """CER against what the recogniser hears in the source, by the default normaliser; micro average."""

    name: ClassVar[str] = "cer:freevc"
    title: ClassVar[str] = "Character error rate (against what is heard in the source)"
    unit: ClassVar[Unit] = "character"
    measures: ClassVar[tuple[Measure, ...]] = _measures("freevc", "FreeVC")
    source: ClassVar[str] = "Li et al., FreeVC: towards high-quality text-free one-shot voice conversion, ICASSP 2023"
