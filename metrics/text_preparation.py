"""Texts before any rule of words: one form for what typesetting writes in many, nothing that nobody says."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

__all__ = ["PREPARATION", "prepared"]

#: Stands in signatures; a change of this file that changes a text raises it.
PREPARATION = "prep-1"

#: Apostrophes, and what keyboards and typesetters put in their place; those that NFKC would take apart among them.
_APOSTROPHES = "\u0027\u0060\u00b4\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u0384\u1fbd\u1fbf\u1fef\u1ffd\u2018\u2019\u201a"
_APOSTROPHES += "\u201b\u2035\u275b\u275c\ua78b\ua78c\uff07\uff40"
_TO_APOSTROPHE = dict.fromkeys(map(ord, _APOSTROPHES), "'")
#: The prime is an apostrophe inside a word, and minutes or feet elsewhere.
_PRIME = re.compile(r"(?<=[^\W\d_])\u2032(?=[^\W\d_])")
#: A fraction that follows a number is no part of it: 2½ is not 21/2.
_MIXED = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e\u2189])")
_UNSAID = dict.fromkeys(map(ord, "\u2122\u2120\u00ae\u00a9"))

#: What Unicode calls default ignorable, besides its category Cf: joiners, variation selectors, fillers of Hangul.
_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_NON_JOINER = "\u200c"
#: Languages in Arabic letters set parts of a word apart with it, as others do with a blank or not at all.
_SET_APART = frozenset({"fa", "ps", "ur", "ku", "ckb", "sd", "ug", "az"})
#: Malayalam letters that older texts spell with a joiner: consonant, and the letter of today.
_CHILLU = dict(zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True))
_OLD_CHILLU = re.compile("([ണനരലളക])\u0d4d\u200d")

#: Languages whose readers write without vowel marks, and the marks; those that belong to letters are none of them.
_ARABIC_MARKS = "\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
_ARABIC_MARKS += "\u08d3-\u08ff"
_HEBREW_MARKS = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
_STRESS_MARKS = "\u0300\u0301"
_MARKS = {
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ku", "ckb", "sd"), re.compile(f"[{_ARABIC_MARKS}]")),
    "he": re.compile(f"[{_HEBREW_MARKS}]"),
    **dict.fromkeys(("ru", "uk", "be", "bg"), re.compile(f"[{_STRESS_MARKS}]")),
}
#: One letter that texts write with several characters: by language, what is written and what is kept.
_LETTERS: dict[str, dict[int, Any]] = {
    **dict.fromkeys(("fa", "ur", "ckb"), str.maketrans("\u064a\u0649\u0643", "\u06cc\u06cc\u06a9")),
    "ar": str.maketrans("\u0671\u06cc\u06a9", "\u0627\u064a\u0643"),
    "ru": str.maketrans("ёЁ", "еЕ"),
    "fr": str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"}),
    "ro": str.maketrans("şţŞŢ", "șțȘȚ"),
}
#: Languages whose capital of ı is I, and of i is İ.
_DOTLESS = frozenset({"tr", "az", "crh", "gag"})

#: What transcribers and recognisers note in brackets beside words: noises, and that something was not understood.
#: A bracket is such a note if it has one of these words, or one of their forms, and otherwise only words of _BESIDE.
_NOTES = re.compile(
    r"""(?:laugh(?:s|ed|ing|ter)?|chuckl(?:e|es|ing)|giggl(?:e|es|ing)|cough(?:s|ing)?|sneez(?:e|es|ing)|sigh(?:s|ing)?
    |breath(?:s|e|es|ing)?|inhal(?:e|es|ing)|exhal(?:e|es|ing)|gasp(?:s|ing)?|sniff(?:s|ing|le|les|ling)?|snort(?:s|ing)?
    |yawn(?:s|ing)?|groan(?:s|ing)?|moan(?:s|ing)?|sob(?:s|bing)?|scream(?:s|ing)?|whistl(?:e|es|ing)|hum(?:s|ming)
    |clears|smack(?:s|ing)?|applau(?:se|ds|ding)|clap(?:s|ping)?|cheer(?:s|ing)|music|noises?|beep(?:s|ing)?|static|clicks?
    |silence|pause|inaudible|unintelligible|indistinct|incomprehensible|unclear|crosstalk|overlap(?:s|ping)?|blank|unk|spn|nsn
    |chatter(?:ing)?|footsteps|ringing|barking|chirping|buzzing|typing|mumbl(?:es|ing)|whisper(?:s|ing)|singing|sic
    |foreign|sil|sp|illustration
    |lacht|lachen|lachend|gelächter|hustet|husten|musik|applaus|seufzt|seufzen|räuspern|räuspert|geräusch|unverständlich
    |rires?|rit|toux|tousse|musique|applaudissements|soupirs?|soupire|bruit|inintelligible
    |risas?|ríe|tos|tose|música|aplausos|suspira|suspiro|ruido|ininteligible
    |risate|ride|tosse|musica|applausi|sospira|rumore|incomprensibile|risos|tosse|suspira|ruído|inaudível
    |смех|смеётся|смеется|кашель|кашляет|музыка|аплодисменты|вздох|вздыхает|шум|неразборчиво
    |gelach|muziek|gehoest|skratt|skrattar|musikk|latter|śmiech|śmieje|kaszel|muzyka|brawa|niezrozumiałe|kahkaha|gülüyor|müzik
    |笑声?|大笑|音乐|音樂|音楽|掌声|掌聲|拍手|咳嗽?|叹气|嘆氣|ため息|噪音|噪声|雑音|听不清|聽不清|聞き取れない|不明|웃음|음악|박수|기침|한숨)""",
    re.VERBOSE,
)
_BESIDE = frozenset({
    "and", "audience", "audio", "background", "birds", "both", "briefly", "continues", "crowd", "deep",
    "deeply", "dog", "door", "dramatic", "ends", "fades", "gentle", "gently", "heavily", "heavy", "his", "in",
    "intro", "language", "lightly", "lip", "lips", "loud", "loudly", "nervously", "off", "out", "outro",
    "phone", "piano", "playing", "plays", "quietly", "short", "soft", "softly", "speaker", "speaking", "speech",
    "starts", "stops", "the", "their", "throat", "to", "upbeat", "voice", "voices", "words",
})  # fmt: skip
_BRACKETS = re.compile(
    r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|\*[^*]*\*|（[^（）]*）|【[^【】]*】|〔[^〔〕]*〕|［[^［］]*］"
)
#: Marks of a transcriber's format: <unk>, </s>, <|en|>, <sil>; and numbers of notes: [12].
_TAG = re.compile(r"</?[|]?[a-z][a-z0-9_.:-]*[|]?\s*/?>|\[\d{1,3}\]", re.IGNORECASE)
#: A part of the word beside it: friend(s), colo(u)r, (re)build.
_PART = re.compile(r"(?<=\w)[(\[]([a-zà-ÿ]{1,2})[)\]]|[(\[]([a-zà-ÿ]{1,2})[)\]](?=\w)", re.IGNORECASE)
_ELLIPSIS = re.compile(r"\.(?:\s*\.)+")


def prepared(text: str, language: str) -> str:
    """Bring a text, read or heard, to the form that rules of words are made for.

    - Unicode NFKC; blanks of any kind and number are one.
    - Apostrophes of all kinds are U+0027: a reader says the same of each. A prime is one between letters.
    - Invisible characters go: soft hyphens, joiners, marks of direction, variation selectors, byte order marks. The
      zero width non-joiner of Persian and its neighbours is a blank.
    - Vowel marks go in Arabic, Persian, Urdu, Pashto, Kurdish, Sindhi (harakat, with tatweel) and Hebrew (niqqud),
      stress marks in Russian, Ukrainian, Belarusian and Bulgarian: most texts do without. Those of Hindi, Thai and
      others stay.
    - A letter with several characters is one: the yeh and kaf of Persian and Arabic keyboards, Russian ё and е, French
      œ and oe, Romanian ş and ș. Digits of any script are 0 to 9.
    - Turkish and Azeri: I is the capital of ı, and İ that of i. Elsewhere İ is I.
    - An ellipsis is a blank.
    - Brackets go, and what they hold stays, as a reader says it, unless it is a note about a sound ([laughter],
      (coughs), *sighs*, (upbeat music)), one on what was not understood ((inaudible)), a mark of a format (<unk>) or
      the number of a footnote ([12]).

    Preparing twice changes nothing; Unicode's composed and decomposed forms of a text give the same.

    Args:
        text: as written.
        language: its code (:func:`vceval.languages.language_code`).
    """
    text = text.translate(_TO_APOSTROPHE).translate(_UNSAID)
    text = unicodedata.normalize("NFKC", _visible(_MIXED.sub(" ", text), language))
    text = _PRIME.sub("'", text.translate(_TO_APOSTROPHE)).replace("\u2032", " ").replace("\u2033", " ")
    if language in _DOTLESS:
        text = text.replace("I\u0307", "i").replace("I", "ı").replace("\u0130", "i")
    text = text.replace("\u0130", "I").replace("i\u0307", "i")
    if language in _MARKS:
        text = _MARKS[language].sub("", text)
        text = unicodedata.normalize("NFKC", text)
    text = "".join(_plain(letter) for letter in text.translate(_LETTERS.get(language, {})))
    return " ".join(_ELLIPSIS.sub(" ", _without_brackets(text)).split())


def _plain(letter: str) -> str:
    """Write the digits of any script as 0 to 9."""
    return letter if letter.isascii() or not letter.isdecimal() else str(unicodedata.decimal(letter))


def _visible(text: str, language: str) -> str:
    text = _OLD_CHILLU.sub(lambda found: _CHILLU[found[1]], text)
    if language in _SET_APART:
        text = text.replace(_NON_JOINER, " ")
    return _IGNORED.sub("", "".join(letter for letter in text if unicodedata.category(letter) != "Cf"))


def _without_brackets(text: str) -> str:
    while True:
        inner = _TAG.sub(" ", _PART.sub(lambda found: found[1] or found[2], text))
        inner = _BRACKETS.sub(lambda found: " " if _is_note(found[0][1:-1]) else f" {found[0][1:-1]} ", inner)
        if inner == text:
            return re.sub(r"[()\[\]{}<>（）【】〔〕［］]", " ", text)
        text = inner


def _is_note(words: str) -> bool:
    found = re.sub(r"[\W_]+", " ", words.lower()).split()
    notes = [_NOTES.fullmatch(word) is not None for word in found]
    return any(notes) and all(is_note or word in _BESIDE for word, is_note in zip(found, notes, strict=True))
