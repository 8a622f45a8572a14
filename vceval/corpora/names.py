"""The names that people give to corpora."""

from __future__ import annotations

import re

__all__ = ["known_corpus"]

_LIBRI_PART = r"((train|dev|test)(clean|other)(100|360|500)?)?"
#: How a corpus is written, without case, blanks and punctuation: its name and, after it, the edition or part that is
#: meant. Nothing else may stand around it: ``LibriTTS-to-VCTK`` is neither of the two.
_WRITTEN = {
    "vctk": r"(cstr)?vctk(corpus)?(v?(080|092))?(mic[12])?",
    "librispeech": rf"librispeech{_LIBRI_PART}",
    "libritts": rf"libritts{_LIBRI_PART}",
    "librittsr": rf"librittsr{_LIBRI_PART}",
    "libri": r"libri",
    "vcc2020": r"vcc2020(task[12]|crosslingual|intralingual)?",
    "aishell3": r"aishell3",
    "cmuarctic": r"(cmu)?arctic",
    "voxceleb": r"voxceleb",
    "demo": r"demo|vcevaldemocorpus",
}


def known_corpus(name: str) -> str | None:
    """Recognise a corpus by its whole name, however it is written; None for others.

    ``VCTK``, ``vctk080``, ``VCTK 0.92`` and ``VCTK-Corpus-0.92`` are all ``vctk``: editions and parts of a corpus are
    the same recordings. Restored or otherwise remade ones (LibriTTS-R) are a corpus of their own.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.casefold())
    return next((corpus for corpus, written in _WRITTEN.items() if re.fullmatch(written, plain)), None)
