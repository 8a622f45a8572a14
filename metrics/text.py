"""Text normalisation and error counts: what counts as the same word."""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from vceval.metrics.text_chinese import chinese_name, plain_numbers, simplified, spoken_symbols

__all__ = ["UNSPACED", "Errors", "Unit", "align", "base_language", "count_errors", "normalise", "normaliser_name"]

Unit = Literal["word", "character"]

#: Languages written without blanks between words: every character is a unit of its own.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
#: Other codes that corpora use.
_ALIASES = {"cmn": "zh", "zho": "zh", "eng": "en", "deu": "de", "fin": "fi", "fra": "fr", "spa": "es", "jpn": "ja"}
#: Languages whose texts are brought to simplified characters.
_CHINESE = frozenset({"zh", "yue"})
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
    return f"whisper-english-{version('openai-whisper')},{chinese_name()},else:basic-1"


def normalise(text: str, language: str) -> str:
    """Reduce a text to its words, separated by single blanks.

    English goes through Whisper's English normaliser: lower case, no punctuation, fillers dropped, contractions
    and numbers written one way, American spelling. Other languages: Unicode NFKC, annotations in brackets dropped,
    lower case, punctuation and symbols become blanks; accents, vowel signs and numbers stay as they are. In languages
    without blanks between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) every character is a word; a combining
    mark stays with its letter.

    Chinese (Mandarin and Cantonese) besides: simplified characters, and numbers written with the digits 0 to 9
    whether they were spelled or not, each digit a unit; 5.5, 7:45 and 8% as they are spoken (5点5, 7点45, 百分之8).

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023, appendix C.
    """
    code = base_language(language)
    if code == "en":
        return " ".join(str(_english()(text)).split())
    if code in _CHINESE:
        text = text.replace("，", "、")  # NFKC would make of it what stands between groups of digits
    plain = _ANNOTATION.sub(" ", unicodedata.normalize("NFKC", text)).lower()
    if code in _CHINESE:
        plain = spoken_symbols(simplified(plain))
    words = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in plain).split()
    if code not in UNSPACED:
        return " ".join(words)
    joined = "".join(words)
    # Numbers only now: recognisers punctuate as they like, and 十、五 must not differ from 十五.
    return " ".join(_letters(plain_numbers(joined) if code in _CHINESE else joined))


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
    if not reference:
        raise ValueError("the normalised reference is empty: there is nothing to count errors against")
    if unit == "character" and base_language(language) in UNSPACED:
        reference, hypothesis = reference.replace(" ", ""), hypothesis.replace(" ", "")
    return align(reference, hypothesis, unit)


def align(reference: str, hypothesis: str, unit: Unit) -> Errors:
    """Align two texts and count errors, as jiwer does: words are what blanks divide, a blank is a character.

    Blanks at the ends count for nothing.
    """
    import jiwer

    found: Any = (jiwer.process_characters if unit == "character" else jiwer.process_words)(reference, hypothesis)
    return Errors(found.hits, found.substitutions, found.deletions, found.insertions)
