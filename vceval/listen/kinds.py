"""The four kinds of listening test: what a listener hears, is asked and may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["KINDS", "Kind", "Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer: ``value`` is stored, ``key`` pressed on a keyboard and shown beside the label."""

    value: str
    key: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of test.

    recordings: names of the players of a trial, in the order in which they stand.
    options: in the order in which they are shown.
    scale: whether answers are numbers whose mean says something.
    """

    name: str
    title: str
    question: str
    instructions: tuple[str, ...]
    recordings: tuple[str, ...]
    options: tuple[Option, ...]
    scale: bool

    @property
    def by_number(self) -> Mapping[int, str]:
        """Number on the key to the value that it stands for."""
        return {int(option.key): option.value for option in self.options}


def _scale(*rows: tuple[str, str]) -> tuple[Option, ...]:
    return tuple(Option(str(5 - at), str(5 - at), *row) for at, row in enumerate(rows))


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "mos",
            "Naturalness",
            "How natural does this speech sound?",
            (
                "You hear one recording at a time and say how natural the speech in it sounds.",
                "Judge how it sounds, not what is said and not whether you like the voice.",
            ),
            ("Recording",),
            _scale(
                ("Excellent", "completely natural"),
                ("Good", "mostly natural"),
                ("Fair", "natural and unnatural alike"),
                ("Poor", "mostly unnatural"),
                ("Bad", "completely unnatural"),
            ),
            True,
        ),
        Kind(
            "smos",
            "Similarity of voices",
            "How similar are the two voices?",
            (
                "You hear a reference and a recording, and say how similar the two voices are.",
                "Judge the voice alone: both say different things, and one may sound worse or more artificial.",
            ),
            ("Reference", "Recording"),
            _scale(
                ("Same voice", "certainly the same person"),
                ("Very similar", "probably the same person"),
                ("Similar", "the same person or another"),
                ("Slightly similar", "probably another person"),
                ("Different voice", "certainly another person"),
            ),
            True,
        ),
        Kind(
            "abx",
            "Voice matching",
            "Is the voice in X that of A or that of B?",
            (
                "You hear recordings of two people, A and B, and a recording X.",
                "Say whose voice X is closer to. If you are not sure, choose what seems more likely.",
            ),
            ("A", "B", "X"),
            (Option("a", "1", "A", "X is the voice of A"), Option("b", "2", "B", "X is the voice of B")),
            False,
        ),
        Kind(
            "ab",
            "Preference",
            "Which of the two recordings sounds better?",
            (
                "You hear the same sentence twice, A and B, and say which of them sounds better as a whole.",
                "If neither is better, say so.",
            ),
            ("A", "B"),
            (
                Option("a", "1", "A is better"),
                Option("b", "2", "B is better"),
                Option("tie", "3", "No preference"),
            ),
            False,
        ),
    )
}
