"""The control ``source``: the unconverted source, the lower bound of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.errors import UnmetNeed

__all__ = ["Source"]


class Source(Converter):
    """Gives back the source recording itself."""

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
