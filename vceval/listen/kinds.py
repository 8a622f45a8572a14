"""The four kinds of listening test: what a listener hears and may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KINDS", "Kind", "Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer: ``value`` is stored, ``key`` pressed on a keyboard and shown beside the label."""

    value: str
    key: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of test; what listeners read of it is in the texts of their language.

    title: what reports call it.
    recordings: the players of a trial, in the order in which they stand.
    options: in the order in which they are shown.
    scale: whether answers are numbers whose mean says something.
    """

    name: str
    title: str
    recordings: tuple[str, ...]
    options: tuple[Option, ...]
    scale: bool

    @property
    def by_number(self) -> Mapping[int, str]:
        """Number on the key to the value that it stands for."""
        return {int(option.key): option.value for option in self.options}


_SCALE = tuple(Option(number, number) for number in "54321")
_A, _B, _TIE = Option("a", "1"), Option("b", "2"), Option("tie", "3")

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("mos", "Naturalness", ("recording",), _SCALE, True),
        Kind("smos", "Similarity of voices", ("reference", "recording"), _SCALE, True),
        Kind("abx", "Voice matching", ("a", "b", "x"), (_A, _B), False),
        Kind("ab", "Preference", ("a", "b"), (_A, _B, _TIE), False),
    )
}
