"""The demo corpus: six synthetic voices, 24 sentences each, shipped inside the package.

``utterances.csv`` lists the recordings (columns ``file,id,speaker,gender,language,transcript,duration``; ``file`` is
relative to this folder), ``sentences.csv`` the sentences, ``LICENCES.md`` where the voices come from. Sentences 001 to
008 are read by every speaker, 009 to 024 are each speaker's own. ``make_demo_corpus.py`` made it all.

The corpus shows that everything works; it ranks no systems. The voices are synthetic and easily told apart, and
sentences that PocketSphinx kept misreading were reworded, so its word error rate is lower here than on other speech.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["root"]


def root() -> Path:
    """Return the folder that holds ``utterances.csv`` and ``audio/``."""
    return Path(__file__).parent
