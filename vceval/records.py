"""The plain data that flows from stage to stage: utterances, pairs, systems, conversions, scores.

Everything here is immutable, picklable and free of audio: a record names files, it does not hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "DIRECTIONS",
    "NEEDS",
    "Conversion",
    "ConversionPair",
    "Failure",
    "Gender",
    "Score",
    "Skip",
    "System",
    "Utterance",
    "direction_of",
]

Gender = Literal["F", "M"]

#: Source gender, then target gender, in the order in which tables show them.
DIRECTIONS = ("F2F", "F2M", "M2F", "M2M")

#: What a metric may need of a pair, and how a message calls it.
NEEDS: Mapping[str, str] = {
    "source": "a recording of the source",
    "reference": "a parallel recording: the target speaker reading the same text",
    "transcript": "a transcript of what is said",
    "language": "a language that the recogniser knows",
    "target": "a recording of the target speaker",
    "natural": "natural speech of the target speaker",
    "model": "a model of the target speaker",
    "other": "a recording other than the one scored",
    "voiced": "frames that are voiced in both recordings",
    "calibration": "a calibration on natural speech of the same corpus",
}


def direction_of(source: Gender | None, target: Gender | None) -> str | None:
    """Name the direction of a conversion, ``F2M`` for a female source and a male target.

    Returns None when either gender is unknown.
    """
    return f"{source}2{target}" if source and target else None


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of one speaker.

    ``id`` is unique within its corpus. Unknown metadata is None, never guessed. ``duration`` is in seconds.
    """

    id: str
    path: Path
    dataset: str
    speaker: str | None = None
    gender: Gender | None = None
    language: str | None = None
    transcript: str | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class ConversionPair:
    """What is said by whom (source) and in whose voice it shall be said (target).

    source: the utterance that gives the content; None where only converted audio is known.
    prompts: utterances of the target speaker that give the voice; never the reference.
    reference: the target speaker reading the same text (the parallel recording that MCD needs).
    natural: natural speech of the target that no converter is given; the ``target`` control shows it.
        It is the reference where there is one.
    transcript: what the source says, and so what the converted speech should say.
    """

    id: str
    dataset: str
    source: Utterance | None = None
    prompts: tuple[Utterance, ...] = ()
    reference: Utterance | None = None
    natural: Utterance | None = None
    source_speaker: str | None = None
    source_gender: Gender | None = None
    target_speaker: str | None = None
    target_gender: Gender | None = None
    direction: str | None = None
    transcript: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class System:
    """One converter with one checkpoint and one configuration: a row of a results table.

    ``converter`` is the registered name of the adapter, ``options`` its keyword arguments
    (plain JSON values). ``control`` marks the rows that convert nothing. ``encoders`` names the speaker encoders that
    it was made with, as :mod:`vceval.results.encoder_audit` knows them; None where its converter says it.
    """

    name: str
    converter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    encoders: tuple[str, ...] | None = None

    @property
    def model(self) -> str:
        """The converter whose training decides what the system knows: of one in chunks, the one that it runs."""
        return str(self.options.get("of", self.converter))


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted recording waiting to be scored.

    ``transcript`` and ``language`` are what *this* file should say: those of the pair, except for the
    ``target`` and ``resynthesis`` controls, whose recording may have another text. ``seed`` numbers the seeds that a
    system which draws noise converts the pair with, from 0; so it does in all records below. ``sha256`` is that of the
    file as it was made, empty where nobody knows it.
    """

    system: str
    pair: ConversionPair
    path: Path
    transcript: str | None = None
    language: str | None = None
    seed: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one measure for one pair, with the sufficient statistics it was made from.

    value = numerator / denominator; a corpus figure is the sum of numerators over the sum of denominators.
    ``details`` is what a reader wants to see besides (what the recogniser heard, how many frames).
    """

    system: str
    pair: str
    metric: str
    measure: str
    value: float
    numerator: float
    denominator: float
    details: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that should have worked and did not. ``stage`` is ``convert``, ``score`` or ``input``."""

    system: str
    pair: str
    stage: str
    metric: str
    reason: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """A value that can't exist because the pair lacks what the measure needs (a key of NEEDS)."""

    system: str
    pair: str
    metric: str
    measure: str
    need: str
    reason: str
    seed: int = 0
