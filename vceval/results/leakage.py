"""The leakage audit: which speakers of a run a system was trained on, as far as its authors published it.

A system that was trained on recordings of the target speaker (or of the source speaker) is easily better on these
pairs than on speakers that it never heard. What is known is in ``converters/training_speakers.csv``, one row per
converter and corpus:

converter   registered name; ``*`` for all that were trained at all
corpus      vctk, libri (LibriSpeech and LibriTTS, whose speakers bear the same numbers), vcc2020, aishell3, demo;
            ``*`` for every known corpus without a row of its own
exposure    of the speakers named: trained, unseen or unknown
speakers    names between blanks; ``*`` for all
others      exposure of the corpus's other speakers
source      who says so

The audit is about the published weights of the network that converts. What its content encoder (WavLM, wav2vec 2.0),
its speaker encoder or a vocoder of other authors has heard is not counted.
"""

from __future__ import annotations

import csv
import functools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, NamedTuple, cast

from vceval import registry
from vceval.errors import UsageError
from vceval.records import ConversionPair, Utterance

__all__ = ["EXPOSURES", "Exposure", "PairExposure", "audit", "counts", "exposure", "known_corpus", "published_source"]

Exposure = Literal["trained", "unseen", "unknown"]

EXPOSURES: tuple[Exposure, ...] = ("trained", "unseen", "unknown")

#: Corpora by the letters that their names begin with; VCTK 0.80 and 0.92 share their speakers, and so do the Libris.
_CORPORA = {
    "vctk": "vctk",
    "librispeech": "libri",
    "libritts": "libri",
    "vcc2020": "vcc2020",
    "aishell3": "aishell3",
}
#: Names that mean a corpus only as they are.
_EXACT = {"libri": "libri", "demo": "demo", "vcevaldemocorpus": "demo"}
#: Stands for every converter, corpus or speaker.
_ANY = "*"


@dataclass(frozen=True, slots=True)
class PairExposure:
    """What one system has heard of the speakers of one pair before."""

    system: str
    pair: str
    source: Exposure
    target: Exposure

    @property
    def trained(self) -> bool:
        """Whether the system was trained on either of them."""
        return "trained" in (self.source, self.target)


class _Row(NamedTuple):
    exposure: Exposure
    speakers: frozenset[str]
    others: Exposure
    source: str


def exposure(converter: str, corpus: str, speaker: str | None) -> Exposure:
    """Say whether a converter's published weights were trained on a speaker: ``trained``, ``unseen`` or ``unknown``.

    A converter that says itself what it was trained on (``ConverterInfo.trained_on``) is believed. Otherwise the table
    of published facts is asked. ``unknown`` is the answer for a converter, a corpus or a speaker without a name that
    nobody published anything about.

    Args:
        converter: registered name.
        corpus: name of the corpus: vctk, vctk080, libritts, librispeech, vcc2020, aishell3, demo, or as people write
            them (``VCTK-Corpus-0.92``).
        speaker: name of the speaker within the corpus; None where it is not known.
    """
    stated = _stated(converter)
    listed = _rows(converter)
    if stated is not None and not stated and not listed:
        return "unseen"  # nothing in it was trained
    place = known_corpus(corpus)
    if place is None or not speaker:
        return "unknown"
    who = _speaker(place, speaker)
    if stated:
        heard = {_speaker(place, name) for key, names in stated.items() if known_corpus(key) == place for name in names}
        return "trained" if who in heard else "unseen"
    row = listed.get(place) or listed.get(_ANY) or _rows(_ANY).get(place)
    if row is None:
        return "unknown"
    return row.exposure if _ANY in row.speakers or who in row.speakers else row.others


def published_source(converter: str, corpus: str) -> str:
    """Say where the table's knowledge of a converter and a corpus comes from; empty where it has none."""
    place = known_corpus(corpus) or ""
    listed = _rows(converter)
    row = listed.get(place) or (listed.get(_ANY) if place else None) or _rows(_ANY).get(place)
    return row.source if row and listed else ""


def known_corpus(name: str) -> str | None:
    """Recognise a corpus by its name (``VCTK-Corpus-0.92`` is ``vctk``); None for others."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _EXACT:
        return _EXACT[plain]
    return next((corpus for start, corpus in _CORPORA.items() if plain.startswith(start)), None)


def audit(systems: Mapping[str, str], work: Iterable[tuple[str, ConversionPair]]) -> list[PairExposure]:
    """Look up source and target speaker of every pair of every system.

    Args:
        systems: names of the systems, with the converter of each.
        work: systems, each with a pair that it converts; those that are not among ``systems`` are left out.
    """
    look_up = functools.cache(exposure)
    return [
        PairExposure(
            system,
            pair.id,
            look_up(systems[system], _dataset(pair, pair.source), pair.source_speaker),
            look_up(systems[system], _dataset(pair, pair.prompts[0] if pair.prompts else None), pair.target_speaker),
        )
        for system, pair in work
        if system in systems
    ]


def counts(found: Iterable[PairExposure], role: Literal["source", "target"]) -> dict[Exposure, int]:
    """Count the pairs whose source or target speaker is trained, unseen and unknown."""
    tally = Counter(getattr(entry, role) for entry in found)
    return {kind: tally[kind] for kind in EXPOSURES}


def _dataset(pair: ConversionPair, utterance: Utterance | None) -> str:
    """Name the corpus of a speaker: that of the recording, as a pair may mix corpora; else the pair's."""
    return utterance.dataset if utterance is not None and known_corpus(utterance.dataset) else pair.dataset


def _speaker(corpus: str, name: str) -> str:
    plain = name.strip().lower()
    return f"p{plain}" if corpus == "vctk" and plain.isdigit() else plain


def _stated(converter: str) -> Mapping[str, Collection[str]] | None:
    """What a converter says of itself; None where it says nothing or is not registered."""
    try:
        stated: Mapping[str, Collection[str]] | None = registry.load("converter", converter).info.trained_on
    except UsageError:
        return None  # such as audio that was converted elsewhere
    return stated


def _rows(converter: str) -> Mapping[str, _Row]:
    return _table().get(converter, {})


@functools.cache
def _table() -> dict[str, dict[str, _Row]]:
    table: dict[str, dict[str, _Row]] = {}
    text = files("vceval.converters").joinpath("training_speakers.csv").read_text(encoding="utf-8")
    rows: Sequence[Mapping[str, str]] = list(csv.DictReader(text.splitlines()))
    for row in rows:
        known, others = cast("Exposure", row["exposure"]), cast("Exposure", row["others"] or "unknown")
        speakers = frozenset(_speaker(row["corpus"], name) for name in row["speakers"].split())
        table.setdefault(row["converter"], {})[row["corpus"]] = _Row(known, speakers, others, row["source"])
    return table
