"""Word error rates as other tools count them: their text rules, on this installation's recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.text import Unit
from vceval.metrics.text_error import HeardReference, TextErrorMetric

__all__ = ["F5Wer", "FreeVcWer", "RawWer", "S3prlWer", "SeedTtsWer", "WhisperBasicWer", "WhisperEnglishWer",
           "WhisperSplitWer"]  # fmt: skip


def _measures(recipe: str, label: str) -> tuple[Measure, ...]:
    return (Measure(f"wer:{recipe}", f"WER ({label})", "%", "lower", scale=100.0, decimals=1),)


@dataclass(frozen=True)
class SeedTtsWer(TextErrorMetric):
    """WER of seed-tts-eval's ``run_wer.py`` and ``average_wer.py``: the mean of the rates of utterances.

    All punctuation but the ASCII apostrophe is removed (not replaced by a blank), English is lower-cased, Chinese is
    split into characters; of Chinese only what was heard is brought to simplified characters. English and Chinese
    only; Chinese needs ``pip install 'vceval[chinese]'``.

    Source: Anastassiou et al., "Seed-TTS: a family of high-quality versatile speech generation models", 2024.
    """

    name: ClassVar[str] = "wer:seedtts"
    title: ClassVar[str] = "Word error rate (Seed-TTS)"
    recipe: ClassVar[str] = "seedtts"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("seedtts", "Seed-TTS")
    source: ClassVar[str] = "Anastassiou et al., Seed-TTS: high-quality versatile speech generation models, 2024"


@dataclass(frozen=True)
class F5Wer(TextErrorMetric):
    """WER of F5-TTS: the rule of ``wer:seedtts``, and apostrophes are removed too.

    Source: Chen et al., "F5-TTS: a fairytaler that fakes fluent and faithful speech with flow matching", 2024.
    """

    name: ClassVar[str] = "wer:f5"
    title: ClassVar[str] = "Word error rate (F5-TTS)"
    recipe: ClassVar[str] = "f5"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("f5", "F5-TTS")
    source: ClassVar[str] = "Chen et al., F5-TTS: fluent and faithful speech with flow matching, 2024"


@dataclass(frozen=True)
class S3prlWer(TextErrorMetric):
    """WER of s3prl and s3prl-vc: upper case, Unicode punctuation removed, blanks collapsed; micro average.

    In languages without blanks between words it counts characters.

    Source: Huang et al., "S3PRL-VC: open-source voice conversion framework with self-supervised speech
    representations", ICASSP 2022.
    """

    name: ClassVar[str] = "wer:s3prl"
    title: ClassVar[str] = "Word error rate (s3prl)"
    recipe: ClassVar[str] = "s3prl"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("s3prl", "s3prl")
    source: ClassVar[str] = "Huang et al., S3PRL-VC, ICASSP 2022"


@dataclass(frozen=True)
class WhisperBasicWer(TextErrorMetric):
    """WER after Whisper's basic normaliser, as in VERSA's default; micro average.

    In languages without blanks between words it counts characters, and the blanks that replace punctuation.
    """

    name: ClassVar[str] = "wer:whisper-basic"
    title: ClassVar[str] = "Word error rate (Whisper's basic normaliser)"
    recipe: ClassVar[str] = "whisper-basic"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("whisper-basic", "Whisper basic")


@dataclass(frozen=True)
class WhisperSplitWer(TextErrorMetric):
    """As ``wer:whisper-basic``, but languages without blanks between words are split into letters; micro average."""

    name: ClassVar[str] = "wer:whisper-basic-split"
    title: ClassVar[str] = "Word error rate (Whisper's basic normaliser, letters split)"
    recipe: ClassVar[str] = "whisper-basic-split"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("whisper-basic-split", "Whisper basic, split")


@dataclass(frozen=True)
class WhisperEnglishWer(TextErrorMetric):
    """WER after Whisper's English normaliser in every language; micro average."""

    name: ClassVar[str] = "wer:whisper-english"
    title: ClassVar[str] = "Word error rate (Whisper's English normaliser)"
    recipe: ClassVar[str] = "whisper-english"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("whisper-english", "Whisper English")


@dataclass(frozen=True)
class RawWer(TextErrorMetric):
    """WER of the texts as they are: case and punctuation count; micro average.

    In languages without blanks between words it counts characters.
    """

    name: ClassVar[str] = "wer:none"
    title: ClassVar[str] = "Word error rate (texts as they are)"
    recipe: ClassVar[str] = "none"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("none", "raw")


@dataclass(frozen=True)
class FreeVcWer(HeardReference):
    """WER against what the recogniser hears in the source, by the default normaliser; micro average."""

    name: ClassVar[str] = "wer:freevc"
    title: ClassVar[str] = "Word error rate (against what is heard in the source)"
    unit: ClassVar[Unit] = "word"
    measures: ClassVar[tuple[Measure, ...]] = _measures("freevc", "FreeVC")
    source: ClassVar[str] = "Li et al., FreeVC: towards high-quality text-free one-shot voice conversion, ICASSP 2023"
