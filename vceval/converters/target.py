"""The control ``target``: natural speech of the target speaker, the upper bound of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.errors import UnmetNeed

__all__ = ["NO_NATURAL", "Target"]

NO_NATURAL = "the pair has no natural speech of the target besides its prompts"


class Target(Converter):
    """Gives back natural speech of the target speaker that is no prompt of the pair.

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
    says: ClassVar[Literal["source", "natural"]] = "natural"

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Name the natural recording of every pair."""
        return [
            request.pair.natural.path if request.pair.natural else UnmetNeed("natural", NO_NATURAL)
            for request in requests
        ]
