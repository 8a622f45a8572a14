"""The controls: ``source`` and ``target``, the bounds of similarity, and ``resynthesis``, the cost of a vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.converters.world import SAMPLE_RATE, analyse, synthesise
from vceval.errors import ItemError, UnmetNeed
from vceval.signal import audio

__all__ = ["Resynthesis", "Source", "Target"]

_NO_NATURAL = "the pair has no natural speech of the target besides its prompts"


class Source(Converter):
    """Gives back the source recording itself: the lower bound of similarity."""

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="source",
        title="Source (unconverted)",
        sample_rate=None,
        licence="that of the corpus",
        paper="",
        kind="control",
        control=True,
    )

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Name the source recording of every pair."""
        return [
            request.pair.source.path if request.pair.source else UnmetNeed("source", "the pair has no source recording")
            for request in requests
        ]


class Target(Converter):
    """Gives back natural speech of the target speaker that is no prompt of the pair: the upper bound of similarity.

    It is the parallel reference where there is one, otherwise another utterance with words of its own.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="target",
        title="Target (natural speech)",
        sample_rate=None,
        licence="that of the corpus",
        paper="",
        kind="control",
        control=True,
    )
    text_from: ClassVar[Literal["source", "natural"]] = "natural"

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Name the natural recording of every pair."""
        return [
            request.pair.natural.path if request.pair.natural else UnmetNeed("natural", _NO_NATURAL)
            for request in requests
        ]


class Resynthesis(Converter):
    """Takes the natural speech of :class:`Target` apart with WORLD and puts it together: what a vocoder alone costs."""

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="resynthesis",
        title="Target (WORLD resynthesis)",
        sample_rate=SAMPLE_RATE,
        licence="that of the corpus; WORLD: modified BSD",
        paper="Morise et al., WORLD: a vocoder-based high-quality speech synthesis system, IEICE 2016",
        kind="control",
        control=True,
    )
    text_from: ClassVar[Literal["source", "natural"]] = "natural"

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Resynthesise the natural recording of every pair."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Outcome:
        natural = request.pair.natural
        if natural is None:
            return UnmetNeed("natural", _NO_NATURAL)
        try:
            return synthesise(analyse(audio.load(natural.path)))
        except ItemError as error:
            return error
