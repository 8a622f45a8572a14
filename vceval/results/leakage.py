"""The leakage audit: which speakers of a run a system was trained on, as far as its authors published it.

A system that was trained on recordings of the target speaker (or of the source speaker) is easily better on these
pairs than on speakers that it never heard. What is known of a converter stands in one place. A converter that knows
what it was trained on says so (``ConverterInfo.trained_on``); of all others, ``converters/training_speakers.csv`` has
what their authors published, one row per converter and corpus:

converter   registered name; ``*`` for all that were trained at all
corpus      vctk, libri (LibriSpeech and LibriTTS, whose speakers bear the same numbers), vcc2020, aishell3, demo;
            ``*`` for every known corpus without a row of its own
exposure    of the speakers named: trained, unseen or unknown
speakers    names between blanks; ``*`` for all
others      exposure of the corpus's other speakers
source      who says so

The audit is about the published weights of the network that converts. What its content encoder (WavLM, wav2vec 2.0),
its speaker encoder or a vocoder of other authors has heard is not counted. A system with a model for each target
(``ConverterInfo.any_to_one``) was trained on every target speaker, by whoever made the models.
"""

from __future__ import annotations

import contextlib
import csv
import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, NamedTuple, cast

from vceval import registry
from vceval.corpora.names import known_corpus
from vceval.errors import UsageError
from vceval.records import ConversionPair, Utterance

__all__ = ["EXPOSURES", "Exposure", "PairExposure", "audit", "counts", "exposure", "published_source"]

Exposure = Literal["trained", "unseen", "unknown"]

EXPOSURES: tuple[Exposure, ...] = ("trained", "unseen", "unknown")

#: Corpora of the table: the Libris share their speakers.
_CORPORA = {
    "vctk": "vctk",
    "libri": "libri",
    "librispeech": "libri",
    "libritts": "libri",
    "librittsr": "libri",
    "vcc2020": "vcc2020",
    "aishell3": "aishell3",
    "demo": "demo",
}
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

    ``unknown`` is the answer for a converter, a corpus or a speaker without a name that nobody published anything
    about.

    Args:
        converter: registered name.
        corpus: name of the corpus: vctk, vctk080, libritts, librispeech, vcc2020, aishell3, demo, or as people write
            them (``VCTK-Corpus-0.92``).
        speaker: name of the speaker within the corpus; None where it is not known.
    """
    rows = _known(converter)
    if rows is None:
        return "unseen"  # nothing in it was trained
    place = _corpus(corpus)
    row = rows.get(place, rows.get(_ANY)) if place else None
    if place is None or row is None or not speaker:
        return "unknown"
    return row.exposure if not row.speakers.isdisjoint((_ANY, _speaker(place, speaker))) else row.others


def published_source(converter: str, corpus: str) -> str:
    """Say where the table's knowledge of a converter and a corpus comes from; empty where it has none."""
    rows, place = _published(converter), _corpus(corpus)
    row = rows.get(place, rows.get(_ANY)) if place and converter in _table() else None
    return row.source if row else ""


def audit(
    systems: Mapping[str, str], work: Iterable[tuple[str, ConversionPair]], foreign: Collection[str] = ()
) -> list[PairExposure]:
    """Look up source and target speaker of every pair of every system.

    Args:
        systems: names of the systems, with the converter of each.
        work: systems, each with a pair that it converts; those that are not among ``systems`` are left out.
        foreign: systems with other weights than the published ones: what those have heard is unknown.
    """
    known = functools.cache(exposure)
    every_target = {system for system, converter in systems.items() if _has_every_target(converter)}

    def look_up(system: str, pair: ConversionPair, utterance: Utterance | None, speaker: str | None) -> Exposure:
        return "unknown" if system in foreign else known(systems[system], _dataset(pair, utterance), speaker)

    def of_target(system: str, pair: ConversionPair) -> Exposure:
        if system in every_target:
            return "trained"
        return look_up(system, pair, pair.prompts[0] if pair.prompts else None, pair.target_speaker)

    return [
        PairExposure(system, pair.id, look_up(system, pair, pair.source, pair.source_speaker), of_target(system, pair))
        for system, pair in work
        if system in systems
    ]


def counts(found: Iterable[PairExposure], role: Literal["source", "target"]) -> dict[Exposure, int]:
    """Count the pairs whose source or target speaker is trained, unseen and unknown."""
    tally = Counter(getattr(entry, role) for entry in found)
    return {kind: tally[kind] for kind in EXPOSURES}


def _has_every_target(converter: str) -> bool:
    """Say whether a converter has a model for each target, which was trained on them, whoever trained it."""
    with contextlib.suppress(UsageError):
        return bool(registry.load("converter", converter).info.any_to_one)
    return False


def _corpus(name: str) -> str | None:
    """Say under which name the table has a corpus; None where it has it under none."""
    return _CORPORA.get(known_corpus(name) or "")


def _dataset(pair: ConversionPair, utterance: Utterance | None) -> str:
    """Name the corpus of a speaker: that of the recording, as a pair may mix corpora; else the pair's."""
    return utterance.dataset if utterance is not None and _corpus(utterance.dataset) else pair.dataset


def _speaker(corpus: str, name: str) -> str:
    plain = name.strip().lower()
    return f"p{plain}" if corpus == "vctk" and plain.isdigit() else plain


def _known(converter: str) -> Mapping[str, _Row] | None:
    """What is known of a converter, by corpus; None where nothing in it was trained."""
    stated: Mapping[str, Collection[str]] | None = None
    with contextlib.suppress(UsageError):  # it may not be registered, such as audio that was converted elsewhere
        stated = registry.load("converter", converter).info.trained_on
    if stated is None:
        return _published(converter)
    heard: dict[str, frozenset[str]] = {}
    for name, speakers in stated.items():
        if (corpus := _corpus(name)) is not None:
            heard[corpus] = heard.get(corpus, frozenset()) | {_speaker(corpus, speaker) for speaker in speakers}
    rows = {corpus: _Row("trained", speakers, "unseen", "") for corpus, speakers in heard.items()}
    return {_ANY: _Row("unseen", frozenset({_ANY}), "unseen", ""), **rows} if stated else None


def _published(converter: str) -> Mapping[str, _Row]:
    """What was published of a converter, and of all of them, by corpus."""
    listed = _table().get(converter, {})
    return listed if _ANY in listed else {**_table()[_ANY], **listed}


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
