"""Signs that a recogniser made up what it wrote: it repeats itself, or heard more than anybody says in the time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["TEXT_FLAGS", "compression_ratio", "repeats", "signs"]

#: The flags that a recording may get for what was heard in it, as reports print them.
TEXT_FLAGS = ("repeated words", "too many words")

#: Above it Whisper's authors take a text for a loop (Radford et al., ICML 2023, section 4.5).
COMPRESSION = 2.4
#: So often in a row, and oftener than in the text that should be said: a word, and a phrase.
#: Of 189 transcripts of natural English none repeats anything.
WORD_REPEATS, PHRASE_REPEATS = 4, 3
#: Half more than the fastest of 189 natural English recordings of published demo pages, 4.1 words a second.
WORDS_A_SECOND = 6.0
#: Half more than the fastest of seven languages, Japanese with 7.8 syllables a second (Pellegrino et al.,
#: "A cross-language perspective on speech information rate", Language 2011).
CHARACTERS_A_SECOND = 12.0
#: Phrases up to so many words are looked for.
_LONGEST = 12


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes a text: bytes over compressed bytes, as Whisper computes it; 0 for an empty one."""
    coded = text.encode()
    return len(coded) / len(zlib.compress(coded)) if coded else 0.0


def repeats(words: Sequence[str], shortest: int = 1) -> int:
    """How often the most repeated phrase of ``shortest`` words or more stands in a row; 1 where nothing is repeated."""
    most = min(len(words), 1)
    for length in range(shortest, min(_LONGEST, len(words) // 2) + 1):
        run = 0
        for first, second in zip(words, words[length:], strict=False):
            run = run + 1 if first == second else 0
            most = max(most, run // length + 1)
    return most


def signs(text: str, heard: Sequence[str], said: Sequence[str], seconds: float, unspaced: bool) -> Mapping[str, Any]:
    """Measure what tells a made-up text, as details of a pair; ``text_flags`` only where there are any.

    Args:
        text: what the recogniser wrote.
        heard: its words, or characters in a language without blanks between words.
        said: those that should be said.
        seconds: length of the source: a conversion lasts about as long.
        unspaced: whether the words are characters.
    """
    ratio, repeated, rate = compression_ratio(text), repeats(heard), len(heard) / max(seconds, 0.1)
    fastest, phrase = (CHARACTERS_A_SECOND, 3) if unspaced else (WORDS_A_SECOND, 2)
    looping = any(
        least <= repeats(heard, shortest) > repeats(said, shortest)
        for least, shortest in ((WORD_REPEATS, 1), (PHRASE_REPEATS, phrase))
    )
    raised = (
        ratio > COMPRESSION or looping,
        rate > fastest and len(heard) > len(said),
    )
    flags = [flag for flag, is_up in zip(TEXT_FLAGS, raised, strict=True) if is_up]
    found = {"compression_ratio": round(ratio, 3), "repeats": repeated, "words_per_second": round(rate, 3)}
    return {**found, "text_flags": flags} if flags else found
