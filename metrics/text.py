"""Text normalisation and error counts: what counts as the same word."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from vceval.errors import UsageError

__all__ = ["Errors", "Unit", "base_language", "count_errors", "error_rate", "normalise", "normaliser_name"]

Unit = Literal["word", "character"]

#: Languages written without blanks between words: every character is a unit of its own.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
#: Other codes that corpora use.
_ALIASES = {"cmn": "zh", "zho": "zh", "eng": "en", "deu": "de", "fin": "fi", "fra": "fr", "spa": "es", "jpn": "ja"}
_ANNOTATION = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]*\)")


class Errors(NamedTuple):
    """Counts of an alignment of what was heard with what should be said."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def units(self) -> int:
        """Words or characters of the reference."""
        return self.hits + self.substitutions + self.deletions


def base_language(language: str) -> str:
    """Reduce a language tag to its two-letter code where it has one: ``en-GB`` gives ``en``, ``cmn`` gives ``zh``."""
    code = re.split(r"[-_]", language.strip().lower())[0]
    return _ALIASES.get(code, code)


def normaliser_name() -> str:
    """Name the rules of :func:`normalise` as signatures do."""
    return f"whisper-english-{version('openai-whisper')},else:basic-1"


def normalise(text: str, language: str) -> str:
    """Reduce a text to its words, separated by single blanks.

    English goes through Whisper's English normaliser: lower case, no punctuation, fillers dropped, contractions
    and numbers written one way, American spelling. Other languages: Unicode NFKC, annotations in brackets dropped,
    lower case, punctuation and symbols become blanks; accents and vowel signs stay, and so do numbers and the
    difference between traditional and simplified Chinese. In languages without blanks between words (Chinese,
    Japanese, Thai, Lao, Burmese, Khmer) every character is a word; a combining mark stays with its letter.

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023, appendix C.
    """
    code = base_language(language)
    if code == "en":
        return " ".join(str(_english()(text)).split())
    plain = _ANNOTATION.sub(" ", unicodedata.normalize("NFKC", text)).lower()
    words = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in plain).split()
    return " ".join(_letters("".join(words)) if code in UNSPACED else words)


def _letters(text: str) -> list[str]:
    letters: list[str] = []
    for character in text:
        if letters and unicodedata.category(character)[0] == "M":
            letters[-1] += character
        else:
            letters.append(character)
    return letters


@functools.cache
def _english() -> Any:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()


def count_errors(reference: str, hypothesis: str, language: str, unit: Unit) -> Errors:
    """Align two normalised texts and count errors.

    Characters include the single blanks between words, except in languages that are written without them.

    Raises:
        ValueError: the reference is empty.
    """
    import jiwer

    if not reference:
        raise ValueError("the normalised reference is empty: there is nothing to count errors against")
    if unit == "character":
        if base_language(language) in UNSPACED:
            reference, hypothesis = reference.replace(" ", ""), hypothesis.replace(" ", "")
        found: Any = jiwer.process_characters(reference, hypothesis)
    else:
        found = jiwer.process_words(reference, hypothesis)
    return Errors(found.hits, found.substitutions, found.deletions, found.insertions)


def error_rate(references: Sequence[str], hypotheses: Sequence[str], language: str, unit: Unit) -> float:
    """Normalise texts and divide all errors by all reference units (micro average), as a fraction.

    Raises:
        UsageError: the numbers of texts differ, or a reference has no words after normalisation.
    """
    if len(references) != len(hypotheses):
        raise UsageError(f"{len(references)} references but {len(hypotheses)} hypotheses; give one for each")
    counts = []
    for place, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        said = normalise(reference, language)
        if not said:
            raise UsageError(f"reference {place} ({reference!r}) has no words; leave it out")
        counts.append(count_errors(said, normalise(hypothesis, language), language, unit))
    if not counts:
        raise UsageError("no texts given")
    return sum(count.errors for count in counts) / sum(count.units for count in counts)
