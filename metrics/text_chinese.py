"""Chinese before it is compared: simplified characters, and numbers written one way."""

from __future__ import annotations

import functools
import re
from importlib.metadata import version
from typing import Any

__all__ = ["chinese_name", "plain_numbers", "simplified", "spoken_symbols"]

_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_DIGIT = "[0-9" + "".join(_DIGITS) + "]"
_RUN = re.compile(f"(?:{_DIGIT}|[十百千万亿])+")
_PERCENT = re.compile(f"((?:{_DIGIT}|[十百千万亿点])+) ?%")
_SECTION = re.compile(f"(?:({_DIGIT})千)?(?:零?({_DIGIT})百)?(?:零?({_DIGIT}?)(十))?零?({_DIGIT})?")
_UNITS = {"亿": 10**8, "万": 10**4}
#: A longer run is no number, but a recogniser that repeats itself.
_LONGEST = 32


def chinese_name() -> str:
    """Name the rules of this file as signatures do; the tables of OpenCC change with its version."""
    return f"zh:opencc-{version('opencc')}-t2s+numbers-1"


def simplified(text: str) -> str:
    """Write traditional characters as simplified ones, by the tables and phrases of OpenCC (``t2s``)."""
    return str(_converter().convert(text))


@functools.cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


def spoken_symbols(text: str) -> str:
    """Write the symbols inside numbers as they are spoken: ``5.5`` as 5点5, ``7:45`` as 7点45, ``8%`` as 百分之8.

    Commas between groups of three digits go.
    """
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"(?<=[0-9])[.:](?=[0-9])", "点", text)
    return _PERCENT.sub(r"百分之\1", text)


def plain_numbers(text: str) -> str:
    """Write every number with the digits 0 to 9: 四十五 as 45, 二零一九 as 2019, 3万 as 30000, 一百五 as 150.

    A run of numerals that is no number keeps its units and has its digits replaced: 万一 becomes 万1. Words that
    merely contain a numeral change too (一起 becomes 1起), which costs nothing where both texts are treated alike.
    """
    return _RUN.sub(lambda found: _rewritten(found[0]), text)


def _rewritten(run: str) -> str:
    digits = "".join(str(_DIGITS.get(character, character)) for character in run)
    if digits.isdecimal() or len(run) > _LONGEST:
        return digits
    value = _value(run)
    return digits if value is None else str(value)


def _value(run: str) -> int | None:
    """Read a numeral; None where it is not well-formed."""
    for unit, size in _UNITS.items():
        head, found, tail = run.partition(unit)
        if not found:
            continue
        many, rest = _value(head), _rest(tail, size)
        return None if many is None or rest is None else many * size + rest
    digits = "".join(str(_DIGITS.get(character, character)) for character in run)
    if digits.isdecimal():
        return int(digits)
    section = _SECTION.fullmatch(run) if run else None
    if section is None:
        return None
    thousands, hundreds, tens, ten, ones = section.groups()
    last = _digit(ones)
    if ones and len(run) > 1 and run[-2] in "百千":
        last *= 10 if run[-2] == "百" else 100  # 一百五 is 150; 105 is 一百零五
    return 1000 * _digit(thousands) + 100 * _digit(hundreds) + (10 * (_digit(tens) if tens else 1) if ten else 0) + last


def _rest(tail: str, size: int) -> int | None:
    """Read what follows 万 or 亿: 一万五 is 15000, 一万零五 is 10005, 1万2345 is 12345."""
    if not tail:
        return 0
    value = _value(tail)
    if value is None or value >= size:
        return None
    if not any(unit in tail for unit in "十百千万") and tail[0] not in "零〇0":
        if len(tail) == 1:
            return value * (size // 10)
        return value if len(tail) == len(str(size)) - 1 else None
    return value


def _digit(character: str | None) -> int:
    return int(_DIGITS.get(character, character)) if character else 0
