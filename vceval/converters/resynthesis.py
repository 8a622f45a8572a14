"""The control ``resynthesis``: analysis and synthesis of the target by WORLD, what the vocoder alone costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.converters.target import NO_NATURAL
from vceval.converters.world import SAMPLE_RATE, analyse, synthesise
from vceval.errors import ItemError, UnmetNeed
from vceval.signal import audio

__all__ = ["Resynthesis"]


class Resynthesis(Converter):
    """Takes the natural speech of the target speaker apart with WORLD and puts it together again."""

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="resynthesis",
        title="Target (WORLD resynthesis)",
        sample_rate=SAMPLE_RATE,
        licence="that of the corpus; WORLD: modified BSD",
        paper="Morise et al., WORLD: a vocoder-based high-quality speech synthesis system, IEICE 2016",
        kind="control",
        control=True,
    )
    says: ClassVar[Literal["source", "natural"]] = "natural"

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Resynthesise the natural recording of every pair."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Outcome:
        natural = request.pair.natural
        if natural is None:
            return UnmetNeed("natural", NO_NATURAL)
        try:
            return synthesise(analyse(audio.load(natural.path)))
        except ItemError as error:
            return error
