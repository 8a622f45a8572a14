"""How texts are compared: normalised by the rule of a recipe, aligned, errors counted, rates averaged."""

from __future__ import annotations

import functools
import re
import string
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, NamedTuple

from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.metrics.text_chinese import chinese_name, plain_numbers, simplified, spoken_symbols
from vceval.metrics.text_english import english, english_name
from vceval.metrics.text_preparation import PREPARATION, prepared

__all__ = ["RULES", "UNSPACED", "Errors", "TextRule", "Unit", "align", "count_errors", "error_rate", "normalise",
           "normaliser_name", "rule_of"]  # fmt: skip

Unit = Literal["word", "character"]

#: Languages written without blanks between words: every character is a unit of its own.
UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
#: Languages whose texts are brought to simplified characters.
_CHINESE = frozenset({"zh", "yue"})
_ANNOTATION = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]*\)")
#: What the Hanzi list of the Python package zhon 2.1 holds: code points, first and last of each range.
_HANZI_PUNCTUATION = (
    (0x00B7, 0x00B7), (0x2013, 0x2014), (0x2018, 0x2019), (0x201B, 0x201F), (0x2026, 0x2027), (0x3000, 0x3003),
    (0x3008, 0x3011), (0x3014, 0x301F), (0x3030, 0x3030), (0x303E, 0x303F), (0xFE4F, 0xFE4F), (0xFE51, 0xFE51),
    (0xFE54, 0xFE54), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF64),
)  # fmt: skip
_ALL_PUNCTUATION = frozenset(string.punctuation).union(
    chr(code) for first, last in _HANZI_PUNCTUATION for code in range(first, last + 1)
)
#: The releases of zhconv whose tables the signatures of ``seedtts`` and ``f5`` stand for.
_ZHCONV = "1.4"


class Errors(NamedTuple):
    """Counts of an alignment of a hypothesis with its reference."""

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


def normaliser_name() -> str:
    """Name the rules of :func:`normalise` as signatures do."""
    return f"{PREPARATION},{english_name()},{chinese_name()},else:basic-1"


def normalise(text: str, language: str) -> str:
    """Reduce a text to its words, separated by single blanks.

    First the text is prepared (:func:`vceval.metrics.text_preparation.prepared`): apostrophes, brackets, ellipses,
    invisible characters and vowel marks are brought to one form.

    English goes through Whisper's English normaliser, with what it reads wrongly mended
    (:func:`vceval.metrics.text_english.english`): lower case, no punctuation, fillers dropped, contractions
    and numbers written one way, American spelling. Other languages: lower case, punctuation and symbols become
    blanks; accents, vowel signs and numbers stay as they are. In languages
    without blanks between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) every character is a word; a combining
    mark stays with its letter.

    Chinese (Mandarin and Cantonese) besides: simplified characters, and numbers written with the digits 0 to 9
    whether they were spelled or not, each digit a unit; 5.5, 7:45 and 8% as they are spoken (5点5, 7点45, 百分之8).

    Raises:
        UsageError: no such language.

    Source: Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023, appendix C.
    """
    code = language_code(language)
    if code in _CHINESE:
        text = _comma_apart(text)
    text = prepared(text, code)
    return english(text, _whisper("EnglishTextNormalizer")) if code == "en" else _basic(text, code)


def _unprepared(text: str, language: str) -> str:
    """The rule of version 1, on which recipes rest: Whisper's for English, and none of the preparation elsewhere."""
    if language == "en":
        return " ".join(_whisper_english(text, language).split())
    if language in _CHINESE:
        text = _comma_apart(text)
    return _basic(_ANNOTATION.sub(" ", unicodedata.normalize("NFKC", text)), language)


def _comma_apart(text: str) -> str:
    return text.replace("，", "、")  # NFKC would make of it what stands between groups of digits


def _basic(text: str, language: str) -> str:
    plain = text.lower()
    if language in _CHINESE:
        plain = spoken_symbols(simplified(plain))
    words = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in plain).split()
    if language not in UNSPACED:
        return " ".join(words)
    joined = "".join(words)
    # Numbers only now: recognisers punctuate as they like, and 十、五 must not differ from 十五.
    return " ".join(_letters(plain_numbers(joined) if language in _CHINESE else joined))


def _letters(text: str) -> list[str]:
    letters: list[str] = []
    for character in text:
        if letters and unicodedata.category(character)[0] == "M":
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def count_errors(reference: str, hypothesis: str, language: str, unit: Unit) -> Errors:
    """Align two normalised texts and count errors.

    Characters include the single blanks between words, except in languages that are written without them.

    Raises:
        ValueError: the reference is empty.
    """
    if not reference:
        raise ValueError("the normalised reference is empty: there is nothing to count errors against")
    if unit == "character" and language_code(language) in UNSPACED:
        reference, hypothesis = reference.replace(" ", ""), hypothesis.replace(" ", "")
    return align(reference, hypothesis, unit)


def align(reference: str, hypothesis: str, unit: Unit) -> Errors:
    """Align two texts and count errors, as jiwer does: words are what blanks divide, a blank is a character.

    Blanks at the ends count for nothing.
    """
    import jiwer

    found: Any = (jiwer.process_characters if unit == "character" else jiwer.process_words)(reference, hypothesis)
    return Errors(found.hits, found.substitutions, found.deletions, found.insertions)


@dataclass(frozen=True)
class TextRule:
    """How one tool compares texts.

    norm: makes the name of the rule in signatures; called late, as it looks up versions of packages.
    reference, hypothesis: (text, two-letter language) to what is compared, for either text.
    count: (reference, hypothesis, language, unit) to error counts.
    aggregation: ``micro`` divides all errors by all units, ``macro`` averages the rates of utterances.
    languages: those that the tool has a rule for; None for any.
    """

    norm: Callable[[], str]
    reference: Callable[[str, str], str]
    hypothesis: Callable[[str, str], str]
    count: Callable[[str, str, str, Unit], Errors]
    aggregation: Literal["micro", "macro"] = "micro"
    languages: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """What signatures call the rule."""
        return self.norm()

    def sums(self, counts: Errors) -> tuple[float, float]:
        """Numerator and denominator of one utterance."""
        if self.aggregation == "macro":
            return counts.errors / counts.units, 1.0
        return float(counts.errors), float(counts.units)


def rule_of(unit: Unit, recipe: str) -> TextRule:
    """Find a rule by the metric's unit and the name of the recipe.

    Raises:
        UsageError: no such recipe.
    """
    if recipe not in RULES[unit]:
        raise UsageError(f"unknown recipe {recipe!r} of a {unit} error rate; known: {', '.join(RULES[unit])}")
    return RULES[unit][recipe]


def error_rate(
    references: Sequence[str], hypotheses: Sequence[str], language: str, unit: Unit, recipe: str = "default"
) -> float:
    """Compare texts by a rule and average as it does; a fraction.

    Raises:
        UsageError: the numbers of texts differ, a reference has nothing to compare, or the rule has no such language.
    """
    rule, code = rule_of(unit, recipe), language_code(language)
    if len(references) != len(hypotheses):
        raise UsageError(f"{len(references)} references but {len(hypotheses)} hypotheses; give one for each")
    if rule.languages is not None and code not in rule.languages:
        raise UsageError(f"recipe {recipe!r} has no rule for language {language!r}; it has {sorted(rule.languages)}")
    sums = []
    for place, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        expected = rule.reference(reference, code)
        if not expected.strip():
            raise UsageError(f"reference {place} ({reference!r}) has no words; leave it out")
        sums.append(rule.sums(rule.count(expected, rule.hypothesis(hypothesis, code), code, unit)))
    if not sums:
        raise UsageError("no texts given")
    return sum(errors for errors, _ in sums) / sum(units for _, units in sums)


def _words(reference: str, hypothesis: str, language: str, unit: Unit) -> Errors:
    """Blank-separated words, whatever the language: the rule has split the text already."""
    return align(reference, hypothesis, "word")


def _words_or_characters(reference: str, hypothesis: str, language: str, unit: Unit) -> Errors:
    """Characters, blanks among them, where they are asked for or the language has no blanks between words."""
    return align(reference, hypothesis, "character" if language in UNSPACED else unit)


def _seedtts(text: str, language: str, keep: str = "'") -> str:
    plain = "".join(character for character in text if character in keep or character not in _ALL_PUNCTUATION)
    plain = plain.replace("  ", " ")  # one pass, as the tool does: three blanks leave two
    return " ".join(plain) if language == "zh" else plain.lower()


def _f5(text: str, language: str) -> str:
    return _seedtts(text, language, keep="")


def _simplified_first(rule: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """The hypothesis, and only it, is brought to simplified characters: a traditional reference stays so."""

    def hypothesis(text: str, language: str) -> str:
        return rule(_zhconv()(text, "zh-cn") if language == "zh" else text, language)

    return hypothesis


def _zhconv() -> Any:
    try:
        found = version("zhconv")
    except PackageNotFoundError:
        found = "none"
    if not found.startswith(f"{_ZHCONV}."):
        raise UsageError(
            f"recipes seedtts and f5 need zhconv {_ZHCONV} for Chinese, found: {found}; pip install 'vceval[chinese]'"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds its tables through pkg_resources
        return import_module("zhconv").convert


def _s3prl(text: str, language: str) -> str:
    plain = "".join(character for character in text.upper() if unicodedata.category(character)[0] != "P")
    return re.sub(r"\s\s+", " ", plain)


def _whisper_basic(text: str, language: str) -> str:
    return str(_whisper("BasicTextNormalizer")(text))


def _whisper_basic_split(text: str, language: str) -> str:
    return str(_whisper("BasicTextNormalizer", split_letters=language in UNSPACED)(text))


def _whisper_english(text: str, language: str) -> str:
    return str(_whisper("EnglishTextNormalizer")(text))


@functools.cache
def _whisper(name: str, **options: bool) -> Any:
    import whisper.normalizers

    return getattr(whisper.normalizers, name)(**options)


def _none(text: str, language: str) -> str:
    return text


def _whisper_norm(name: str) -> Callable[[], str]:
    return lambda: f"whisper-{name}-{version('openai-whisper')}"


_DEFAULT = TextRule(normaliser_name, normalise, normalise, count_errors)
_UNPREPARED = TextRule(
    lambda: f"whisper-english-{version('openai-whisper')},{chinese_name()},else:basic-1",
    _unprepared,
    _unprepared,
    count_errors,
)
_NONE = TextRule(lambda: "none", _none, _none, _words_or_characters)
_S3PRL = TextRule(lambda: "s3prl-1", _s3prl, _s3prl, _words_or_characters)
_BASIC = TextRule(_whisper_norm("basic"), _whisper_basic, _whisper_basic, _words_or_characters)
_ENGLISH = TextRule(_whisper_norm("english"), _whisper_english, _whisper_english, _words_or_characters)
_SPLIT = TextRule(_whisper_norm("basic-split"), _whisper_basic_split, _whisper_basic_split, _words)
_EN_ZH = frozenset({"en", "zh"})
_SEEDTTS = TextRule(
    lambda: f"seedtts-1,zhconv-{_ZHCONV}", _seedtts, _simplified_first(_seedtts), _words, "macro", _EN_ZH
)
_F5 = TextRule(lambda: f"f5-1,zhconv-{_ZHCONV}", _f5, _simplified_first(_f5), _words, "macro", _EN_ZH)

_BOTH = {
    "default": _DEFAULT,
    "freevc": _UNPREPARED,
    "none": _NONE,
    "s3prl": _S3PRL,
    "whisper-basic": _BASIC,
    "whisper-english": _ENGLISH,
}
#: Per unit: the name of a recipe to its rule.
RULES: Mapping[Unit, Mapping[str, TextRule]] = {
    "word": {**_BOTH, "f5": _F5, "seedtts": _SEEDTTS, "whisper-basic-split": _SPLIT},
    "character": _BOTH,
}
