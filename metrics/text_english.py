"""English texts around Whisper's normaliser: what it is known to read wrongly is put right before it, or after it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

__all__ = ["english", "english_name"]

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

_ONES = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = ("zero", *_ONES[:9])
_SPELLED_NUMBERS = "|".join((*_ONES, *_TENS, "hundred", "thousand", "million"))
_NUMBER = re.compile(rf"\d+|{_SPELLED_NUMBERS}|double|triple|zero|point")
#: Fractions by their denominators: of one, of several.
_PARTS = {
    2: ("half", "halves"), 3: ("third", "thirds"), 4: ("quarter", "quarters"), 5: ("fifth", "fifths"),
    6: ("sixth", "sixths"), 7: ("seventh", "sevenths"), 8: ("eighth", "eighths"), 9: ("ninth", "ninths"),
    10: ("tenth", "tenths"), 16: ("sixteenth", "sixteenths"), 100: ("hundredth", "hundredths"),
}  # fmt: skip
_NAMES = [name for names in _PARTS.values() for name in names]
_SHORT_MONTHS = {
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june", "jul": "july", "aug": "august",
    "sep": "september", "sept": "september", "oct": "october", "nov": "november", "dec": "december",
}  # fmt: skip
_MONTHS = "|".join((*dict.fromkeys(_SHORT_MONTHS.values()), "may"))
#: What stands for a word that begins with an apostrophe.
_CLIPPED = {
    "tis": "it is", "twas": "it was", "twere": "it were", "twill": "it will", "twould": "it would", "em": "em",
    "cause": "because", "cos": "because", "til": "till", "bout": "about", "round": "around",
}  # fmt: skip
#: Abbreviations with a dot that are read in full, besides those that Whisper's rules know.
_ABBREVIATIONS = {
    "mt": "mount", "ave": "avenue", "blvd": "boulevard", "rd": "road", "hwy": "highway", "sgt": "sergeant",
    "cpl": "corporal", "maj": "major", "cmdr": "commander", "adm": "admiral", "ltd": "limited", "inc": "incorporated",
    "corp": "corporation", "co": "company", "dept": "department", "mme": "madame", "mlle": "mademoiselle",
    "approx": "approximately", "vs": "versus", "etc": "et cetera", "vol": "volume", "bros": "brothers",
}  # fmt: skip
#: Units after a number: of one, of several.
_UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"),
    "ml": ("milliliter", "milliliters"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "ft": ("foot", "feet"), "yds": ("yard", "yards"), "hrs": ("hour", "hours"),
    "mins": ("minute", "minutes"), "secs": ("second", "seconds"),
}  # fmt: skip
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_COINS = {"$": ("dollar", "cents"), "€": ("euro", "cents"), "£": ("pound", "pence")}
_MONEY = {"¥": "yen", "₹": "rupees", "₩": "won", "₽": "rubles"}
_KINGS = (
    "henry|louis|charles|edward|george|james|william|richard|elizabeth|philip|frederick|napoleon|paul|pius|leo|john"
    "|benedict|gregory|innocent|urban|clement|alexander|nicholas|ivan|catherine|peter|francis|ferdinand|alfonso|otto"
)
_COUNTED = "chapter|volume|book|part|act|scene|section|war|type|class|phase|appendix|canto|figure|article"
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
#: Initialisms with a vowel that are said letter by letter; those without a vowel need no list.
_SPELLED = frozenset({
    "abc", "ai", "aka", "api", "atm", "ceo", "cfo", "cia", "cio", "cpu", "ddt", "dea", "diy", "dna", "dui", "ekg", "eu",
    "eg", "espn", "faq", "fbi", "gdp", "gi", "gop", "gpa", "gpu", "hiv", "hq", "ibm", "ie", "imf", "iou", "ip", "ipo",
    "iq", "irs", "isp", "iv", "kgb", "mba", "mri", "nba", "nea", "nfl", "nhl", "nra", "nsa", "oecd", "pc", "pda", "plo",
    "rna", "roi", "rsvp", "suv", "tva", "ucla", "ufo", "uk", "un", "usa", "usb", "ussr", "uv", "vip",
})  # fmt: skip
#: Words without a vowel.
_VOICELESS = frozenset({
    "mr", "mrs", "ms", "dr", "st", "th", "nd", "rd", "shh", "sh", "psst", "tsk", "brr", "nth", "pm", "am", "hmph",
})  # fmt: skip
#: Spellings of one thing: contractions that lost their apostrophe, where that makes no other word, and clipped forms.
_SAME = {
    **{f"{verb}nt": f"{verb} not" for verb in (
        "do", "did", "does", "is", "was", "were", "could", "would", "should", "have", "has", "had", "are", "must",
    )},
    "youre": "you are", "theyre": "they are", "youve": "you have", "theyve": "they have", "weve": "we have",
    "ive": "i have", "im": "i am", "youll": "you will", "theyll": "they will", "thats": "that is", "whats": "what is",
    "theres": "there is", "heres": "here is", "cannot": "can not", "alright": "all right", "ok": "okay", "o k": "okay",
    "gimme": "give me", "lemme": "let me", "dunno": "do not know", "kinda": "kind of", "sorta": "sort of",
    "outta": "out of", "cuz": "because", "coz": "because", "tis": "it is", "twas": "it was", "etcetera": "et cetera",
    "to-day": "today", "to-morrow": "tomorrow", "to-night": "tonight", "good-bye": "goodbye", "e-mail": "email",
}  # fmt: skip


def english_name() -> str:
    """Name the rules of :func:`english` as signatures do."""
    return f"whisper-english-{version('openai-whisper')}+mended-1"


def english(text: str, whisper: Callable[[str], Any]) -> str:
    """Normalise a prepared text by ``whisper``, Whisper's English normaliser, and mend what it does wrongly.

    What is mended and what stays is listed in ``docs/pages/reference/text.md``; tests have a sentence of each form.
    """
    if text != text.upper():
        text = _applied(_RULES_OF_CASE, text)
    text = _applied(_BEFORE, text.lower())
    text = " ".join(str(whisper(_interjections(text.split()))).split())
    return " ".join(_applied(_AFTER, text).split())


def _applied(rules: Sequence[_Rule], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _words(table: Mapping[str, str], before: str = r"(?<![\w'])", after: str = r"(?![\w'])") -> _Rule:
    """Replace each key of the table where it stands as a word of its own."""
    keys = "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))
    return re.compile(f"{before}({keys}){after}"), lambda found: table[found[1]]


def _interjections(words: list[str]) -> str:
    """Keep ``oh`` from becoming a nought where no number is about: ten oh five, but oh my."""
    plain = [re.sub(r"[^\w]", "", word) for word in words]
    kept = []
    for place, word in enumerate(plain):
        if word not in ("o", "oh"):
            kept.append(words[place])
            continue
        first = last = place
        while first and plain[first - 1] in ("o", "oh"):
            first -= 1
        while last + 1 < len(plain) and plain[last + 1] in ("o", "oh"):
            last += 1
        follows = last + 1 < len(plain) and _NUMBER.fullmatch(plain[last + 1]) is not None
        leads = first > 0 and _NUMBER.fullmatch(plain[first - 1]) is not None
        kept.append("oh" if follows and (leads or last > first) else f"x{word}x")
    return " ".join(kept)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _roman(numeral: str) -> int:
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _part(many: int, of: int) -> str:
    """Hide a fraction from Whisper's rules, which would take one third for 13rd."""
    return f" xpart{_ONES[many - 1]}x{_PARTS[of][many > 1]}x "


def _written_fraction(found: re.Match[str]) -> str:
    whole, many, of = found[1], int(found[2]), int(found[3])
    if (many, of) == (1, 2) and whole:
        return f"{whole}.5"
    if not 0 < many < min(of, 20) or of not in _PARTS:
        return found[0]
    return f"{whole} and {_part(many, of)}" if whole else _part(many, of)


def _spoken_fraction(found: re.Match[str]) -> str:
    many = 1 if found[1] == "a" else _ONES.index(found[1]) + 1
    [of] = [of for of, names in _PARTS.items() if found[2] in names]
    return _part(many, of)


def _time(found: re.Match[str]) -> str:
    hours, minutes = int(found[1]), found[2]
    if minutes == "00":
        named = re.match(r" ?(?:[ap]\.? ?m\b|oclock|hours)", found.string[found.end() :])
        return f"{hours}" if named else f"{hours} oclock"
    return f"{hours}{minutes}"


def _money(found: re.Match[str]) -> str:
    scale = found[3] or ""
    amount = f"{found[2]} {_SCALES.get(scale, scale)}".strip()
    return f"{amount} {_MONEY[found[1]]} " if found[1] in _MONEY else f"{found[1]}{amount} "


def _unit(found: re.Match[str]) -> str:
    return f"{found[1]} {_UNITS[found[2]][found[1] not in ('1', 'one')]} "


def _range(found: re.Match[str]) -> str:
    first, second = found[1], found[2]
    if (len(first) == 3 and len(second) == 4) or first == second:  # a telephone number, fifty-fifty
        return first + second
    return f"{first} to {second}"


def _date(found: re.Match[str]) -> str:
    month, day, day_first, suffix, month_last = found.groups()
    if month:
        return f"{month} {_ordinal(1 if day == 'one' else int(day))}"
    if month_last in ("may", "march") and not suffix:
        return found[0]
    return f"the {_ordinal(int(day_first))} of {month_last}"


def _letters(found: re.Match[str]) -> str:
    word = found[0]
    if word in _SPELLED or (not re.search("[aeiouy]", word) and word not in _VOICELESS):
        return " ".join(word)
    return word


def _rule(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> _Rule:
    return re.compile(pattern), replacement


#: What only capitals tell; texts in capitals throughout go without.
_RULES_OF_CASE: tuple[_Rule, ...] = (
    _rule(r"\b(?:US|IT)\b", lambda found: " ".join(found[0])),
    _rule(r"(\b(?!And |Of )[A-Z]\w{2,}|\d(?:st|nd|rd|th)) (?:St\b\.?|st\.)(?! [A-Z])", r"\1 street"),
    _rule(r"(\b[A-Z]\w{2,}) Dr\b\.?(?! [A-Z])", r"\1 drive"),
    _rule(r"\b((?i:world war|chapter|volume)) I\b", r"\1 1"),
)
_BEFORE: tuple[_Rule, ...] = (
    _rule(r"\bo' ?clock\b", "oclock"),
    _rule(r"\bshan't\b", "shall not"),
    _rule(r"\bd'you\b", "do you"),
    _rule(r"\bc'mon\b", "come on"),
    _rule(r"\by'know\b", "you know"),
    _rule(r"'d better\b", " had better"),
    _rule(r"(?<!\w)'?n'(?!\w)|(?<=\w)'n'(?=\w)", " and "),
    _words(_CLIPPED, r"(?<!\w)'", r"(?![\w'])"),
    _rule(r"\bol'(?!\w)", "old"),
    # 's after these is "is" or "has", and after others the possessive, which sounds like the plural
    _rule(r"\b(?!(?:it|he|she|that|there|here|what|who|where|when|why|how|let)')(\w*[^\W\ds])'s\b", r"\1s"),
    _rule(r"(\d)'s(?!\w)", r"\1s"),
    _rule(r"s'(?:s)?(?!\w)", "s"),
    _rule(r"(?<=\w)'(?!(?:t|s|re|ll|ve|m|d|all|am)\b)(?=\w)", ""),
    _rule(r"(?<!\w)'|'(?!\w)", " "),
    _words(_SAME),
    _words(_SHORT_MONTHS, r"(?<!\w)", r"\.?(?= \d)"),
    _words(_SHORT_MONTHS, r"(?<=\d )", r"\.?(?!\w)"),
    _words(_ABBREVIATIONS, r"(?<![\w'])", r"\."),
    _rule(r"\bvs\b", "versus"),
    _rule(r"(?:\bno\. ?|#)(?=\d)", "number "),
    _rule(r"\bnos\. ?(?=\d)", "numbers "),
    _rule(r"\bo\. ?k\b\.?", "okay"),
    _rule(r"(?<![a-z'])([a-z])\.(?=[a-z](?:\.|\b))", r"\1 "),
    _rule(r"\b([a-z]{1,2}) ?& ?([a-z])\b", lambda found: f"{' '.join(found[1])} and {found[2]}"),
    _rule(r"&c\b", " et cetera "),
    _rule(r"&", " and "),
    _rule(r"@", " at "),
    _rule(rf"\b({_COUNTED}) ([ivxlc]{{2,}}|[vx])\b", lambda found: f"{found[1]} {_roman(found[2])}"),
    _rule(rf"\b({_KINGS}) ([ivx]{{2,}}|v|x)\b", lambda found: f"{found[1]} the {_ordinal(_roman(found[2]))}"),
    _rule(r"(\d)⁄(\d)", r"\1/\2"),
    _rule(r"\b(9)/(11)\b|\b(24)/(7)\b", lambda found: "".join(part for part in found.groups() if part)),
    _rule(r"(?<![\d/.,-])(?:(\d+)[ -]+)?(\d{1,2})/(\d{1,3})(?![/,.]?\d|/)", _written_fraction),
    _rule(rf"\b({'|'.join(_ONES)})[ -]({'|'.join(_NAMES)})\b(?<!one half)", _spoken_fraction),
    _rule(r"\b(?<!and )(a|one)[ -](half)\b", _spoken_fraction),
    _rule(r"\b(a) (quarter|third(?= of\b))\b", _spoken_fraction),
    _rule(r"\band one half\b", "and a half"),
    _rule(r"(\d) and a half\b", r"\1.5"),
    _rule(r"\b(\d{1,2}):([0-5]\d)\b(?!:)", _time),
    _rule(r"(?<![a-z])([ap])\. ?m\b\.?|(?<=\d)([ap]) ?m\b\.?", lambda found: f" {found[1] or found[2]}m "),
    _rule(r"\b(?:us|u\.s\.|a|c|nz|hk)\$", "$"),
    _rule(r"(\d)¢", r"\1 cents"),
    _rule(r"(\d)p\b", r"\1 pence"),
    _rule(r"(\d[\d,.]*) ?([€£$])(?! ?\d)", r"\2\1"),
    _rule(rf"([€£$¥₹₩₽]) ?(\d[\d,]*(?:\.\d+)?)(?:[ -]?({'|'.join([*_SCALES, *_SCALES.values()])})\b)?", _money),
    # Whisper's rules write one for 1, and then lose the sign beside it
    _rule(r"([€£$])1\.(\d\d)\b", lambda found: f" xonex {_COINS[found[1]][0]} {found[2]} {_COINS[found[1]][1]} "),
    _rule(rf"([€£$])1\b(?![.,]?\d| (?:{'|'.join(_SCALES.values())}))", lambda found: f" xonex {_COINS[found[1]][0]} "),
    _rule(r"(?<!ty )(?<!ty-)(?<!and )\b(?:one|1) (?=(?:dollar|pound|euro|cent)\b)", " xonex "),
    _rule(r"(?<!ty )(?<!ty-)(?<!and )(?<!point )\bone per ?cent\b|(?<![\d.,])1 ?(?:%|per ?cent\b)", " xonex percent "),
    _rule(r"°", " degrees "),
    _rule(r"degrees +c\b", "degrees celsius"),
    _rule(r"degrees +f\b", "degrees fahrenheit"),
    _rule(
        rf"(\d[\d,.]*(?=[ -]?)|\b(?:{_SPELLED_NUMBERS})(?=[ -]))[ -]?({'|'.join(map(re.escape, _UNITS))})\b\.?", _unit
    ),
    _rule(r"(?<![\w.,])[-−–](?=\d)", "minus "),
    _rule(r"(?<![\w.,])\+(?=\d)", "plus "),
    _rule(r"(?<=\d) ?\+ ?(?=\d)", " plus "),
    _rule(r" ?= ?(?=\w)", " equals "),
    _rule(r"\b1-(\d{3})-(\d{3})-(\d{4})\b", r"1\1\2\3"),
    _rule(r"\b(\d{3})-(\d{3})-(\d{4})\b", r"\1\2\3"),
    _rule(r"\b(\d+) ?[-–—‑] ?(\d+)\b(?![-/])", _range),
    _rule(r"(?<![\d.,])0\d+\b(?![.,]?\d)", lambda found: " ".join(_DIGITS[int(digit)] for digit in found[0])),
    _rule(r"\b(?<!half )(?<!quarter )a (hundred|thousand|million|billion|trillion)\b", r"one \1"),
    _rule(r"[-‐‑‒–—/]", " "),
    _rule(r"\b(?:h+m+|u+h*m+|u+h+|m+h*m+|e+r+m+|er+)\b(?<!err)", " "),
)
_AFTER: tuple[_Rule, ...] = (
    _rule(r"(?<!\S)[^\w]+(?!\S)", " "),  # a sign that no number had
    _rule(r"\bxpart([a-z]+?)x([a-z]+)x\b", r"\1 \2"),
    _rule(r"\bxonex (dollar|euro|pound)(?: and)?(?= ¢| \d\d pence\b)", r"xonex \1"),
    _rule(r"\bxonex\b", "one"),
    _rule(r"(?<![\w.])\.(?=\d)", "0."),
    _rule(r"£(\d+) (?:and )?(\d\d) pence\b", r"£\1.\2"),
    _rule(rf"\b({_MONTHS}) (?:the )?(one|[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?![\w.%])"
          rf"|\b(?:the )?([1-9]|[12]\d|3[01])(st|nd|rd|th)?(?: of)? ({_MONTHS})\b", _date),
    _rule(r"(?<!\w)[a-z]{2,5}(?!\w)", _letters),
    _rule(r"\b([ap]) m\b", r"\1m"),
    _rule(r"(?<=\b\w )xohx\b|(?<=\b\w )xox\b|\bxox(?= \w\b)", "o"),
    _rule(r"\bxoh?x\b", "oh"),
    _words(_SAME),
)  # fmt: skip
