"""Any text as LaTeX that prints it, whatever characters it holds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

__all__ = ["breakable", "escape", "unbroken"]

#: After these a line of a breakable text may end, and within words of so many characters.
SEPARATORS, LONGEST = "|/_-:.,;=@+", 14

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "`": "'", "[": "{[}", "]": "{]}", "*": "{*}",
    "±": r"$\pm$", "†": r"$\dagger$", "Δ": r"$\Delta$",
    "×": r"$\times$", "·": r"$\cdot$", "−": r"$-$", "≤": r"$\le$", "≥": r"$\ge$",
    "→": r"$\rightarrow$", "↓": r"$\downarrow$", "↑": r"$\uparrow$",
    "µ": r"$\mu$", "°": r"$^\circ$", "–": r"\textendash{}", "—": r"\textemdash{}",
    "…": "...", "’": "'", "‘": "`", "“": "``", "”": "''",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "å": r"\aa{}", "Å": r"\AA{}", "ı": r"\i{}",
}  # fmt: skip
#: Combining marks that LaTeX sets over a letter without any package.
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c",
}  # fmt: skip


def escape(text: str) -> str:
    """Write any text so that LaTeX prints it: special characters escaped, unknown ones as ``U+1F600``.

    The result is ASCII and has no line break, so it is safe in a caption, too.
    """
    return _apart(_character(character) for character in unicodedata.normalize("NFC", " ".join(text.split())))


def _apart(pieces: Iterable[str]) -> str:
    """Join characters; neighbouring hyphens stay hyphens and make no dash."""
    return re.sub("-(?=-)", "-{}", "".join(pieces))


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character == " " or "!" <= character <= "~":
        return character
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if marks in _ACCENTS and base.isascii() and base.isalpha():
        letter = {"i": r"\i", "j": r"\j"}.get(base, base)
        return f"\\{_ACCENTS[marks]}{{{letter}}}"
    return "" if unicodedata.category(character) in ("Cc", "Cf", "Mn") else f"U+{ord(character):04X}"


def breakable(text: str, every: int = LONGEST, after: str = SEPARATORS) -> str:
    """Escape a text and allow a line break after each separator in ``after``, and within long words."""
    pieces: list[str] = []
    for part in unbroken(text, every, after):
        pieces += map(_character, part)
        if part[-1] in after or (part[-1] != " " and len(part) >= every):
            pieces.append(r"\allowbreak{}")
    return _apart(pieces)


def unbroken(text: str, every: int = LONGEST, after: str = SEPARATORS) -> Iterator[str]:
    """Give what stays on one line of a breakable text, each with the blank or separator that ends it."""
    part = ""
    for character in unicodedata.normalize("NFC", " ".join(text.split())):
        part += character
        if character == " " or character in after or len(part) >= every:
            yield part
            part = ""
    if part:
        yield part
