"""Rows that bear the names of controls: taken for them where their files are what the name says, refused else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vceval.errors import ItemError, UsageError
from vceval.protocol.pairing import Conversions
from vceval.records import Conversion, Utterance
from vceval.signal import audio
from vceval.storage.cache import file_digest

__all__ = ["settle_controls"]

#: What rows are called, without case, blanks and punctuation, and the control that this is.
_CALLED = {
    "source": "source", "src": "source", "target": "target", "tgt": "target",
    "resynthesis": "resynthesis", "copysynthesis": "resynthesis", "analysissynthesis": "resynthesis",
}  # fmt: skip
#: Recordings are one where they differ by so many seconds at most, and their samples agree so well at this rate.
_SECONDS, _ALIKE, _RATE = 0.1, 0.98, 16_000
_LEAVE = "leave these rows out, as vceval makes the control itself, or give the system another name"


def settle_controls(found: Conversions) -> dict[str, str]:
    """Recognise the systems that are controls; returns their names, with the control that each is.

    Sources and natural targets are taken out, as vceval has the same recordings itself; a resynthesis stays, as
    another vocoder may have made it, with the words of the natural speech that it is made of.

    Raises:
        UsageError: files of such a system are something else.
    """
    settled = {name: _CALLED[plain] for name in found.systems if (plain := _plain(name)) in _CALLED}
    for name, kind in settled.items():
        mine = [one for one in found.conversions if one.system == name]
        faults = [(one, fault) for one in mine if (fault := _FAULTS[kind](one))]
        if faults:
            first, fault = faults[0]
            raise UsageError(
                f"system {name!r}: {len(faults)} of its {len(mine)} files are not the {kind} of their pairs, such as "
                f"{first.path}: {fault}; {_LEAVE}"
            )
        found.conversions = [one for one in found.conversions if one.system != name]
        if kind == "resynthesis":
            found.conversions += [_of_natural(one) for one in mine]
        else:
            found.failures = [one for one in found.failures if one.system != name]
            found.notes.append(f"system {name!r} is the control {kind}: its files are those recordings")
    used = {one.pair.id for one in found.conversions} | {one.pair for one in found.failures}
    found.pairs = {name: pair for name, pair in found.pairs.items() if name in used}
    return settled


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _of_natural(one: Conversion) -> Conversion:
    natural = one.pair.natural
    words = natural.transcript if natural is not None else None
    return Conversion(one.system, one.pair, one.path, words, one.language, one.seed)


def _no_source(one: Conversion) -> str:
    return _other_than(one.path, [one.pair.source], "the source recording of the pair")


def _no_target(one: Conversion) -> str:
    fault = _other_than(one.path, [one.pair.natural], "natural speech of the pair's target")
    if fault and not _other_than(one.path, one.pair.prompts, ""):
        return "is the prompt itself, and a recording is always like itself"
    return fault


def _no_resynthesis(one: Conversion) -> str:
    natural = one.pair.natural
    if natural is None:
        return "the pair has no natural speech of the target (column reference)"
    try:
        lengths = audio.duration(one.path), audio.duration(natural.path)
    except ItemError as error:
        return str(error)
    return "" if abs(lengths[0] - lengths[1]) <= _SECONDS else f"is not as long as {natural.path}"


_FAULTS: dict[str, Callable[[Conversion], str]] = {
    "source": _no_source, "target": _no_target, "resynthesis": _no_resynthesis,
}  # fmt: skip


def _other_than(path: Path, allowed: Sequence[Utterance | None], what: str) -> str:
    """Say that a file is none of some recordings; nothing where it is one."""
    there = [utterance.path for utterance in allowed if utterance is not None]
    if not there:
        return f"the pair has not {what}"
    return "" if any(_same(path, other) for other in there) else f"is not {there[0]}, {what}"


def _same(one: Path, other: Path) -> bool:
    """Whether two files are one recording, perhaps at another rate or level."""
    try:
        if one == other or file_digest(one) == file_digest(other):
            return True
        if abs(audio.duration(one) - audio.duration(other)) > _SECONDS:
            return False
        first, second = (audio.resample(audio.load(path), _RATE).samples for path in (one, other))
    except (ItemError, OSError):
        return False
    size = min(len(first), len(second))
    return float(np.corrcoef(first[:size], second[:size])[0, 1]) >= _ALIKE
