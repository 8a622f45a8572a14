"""The encoder audit: which speaker encoders a system was made with, so that no system is ranked by its own judge.

A system whose converter is given an encoder's vector of the target, or was trained to please that encoder, is easily
better where it judges. What is known of a converter stands in one place. A system of the run that declares its encoders
is believed, then a converter that does (``ConverterInfo.encoders``); of all others, ``converters/speaker_encoders.csv``
has what their authors published:

converter   registered name
encoder     key of a speaker encoder: dvector (yistLin's), ge2e (FreeVC's file), autovc-ge2e, hasp, wavlm-large,
            wavlm-base-plus, wavlm (WavLM-Large with ECAPA-TDNN), resemblyzer, campplus, eres2net, ecapa; empty where
            there is none but what was trained with the converter itself
use         what for: ``conditioned on``, ``trained to please``, ``matched by``
source      who says so

Audio that was converted elsewhere belongs to a converter where its system bears the name or title of one.
"""

from __future__ import annotations

import contextlib
import csv
import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from vceval import registry
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.records import System

__all__ = ["encoders_of", "kin", "namesake", "unsaid"]


def encoders_of(system: System) -> Mapping[str, str]:
    """Name the encoders that a system was made with, each with what it was used for; empty where none is known.

    Systems of audio that was given have the converter ``given``.
    """
    if system.encoders is not None:
        return dict.fromkeys(system.encoders, "made with")
    converter = namesake(system.name) if system.model == "given" else system.model
    stated: Mapping[str, str] | None = None
    with contextlib.suppress(UsageError):
        stated = registry.load("converter", converter).info.encoders
    return _table().get(converter, {}) if stated is None else stated


def kin(systems: Iterable[System], metrics: Sequence[Metric]) -> dict[tuple[str, str], str]:
    """Say of every system and metric whose encoder is the system's own, or related to it, why it is not ranked there.

    Returns:
        By the names of system and metric, such as ``conditioned on this encoder``.
    """
    found = {}
    for system in systems:
        made_with = encoders_of(system)
        for metric in metrics:
            for place, (key, what) in enumerate(metric.encoder_kin.items()):
                if key in made_with:
                    found[system.name, metric.name] = f"{made_with[key]} {what if place else 'this encoder'}"
                    break
    return found


def unsaid(systems: Iterable[System], metrics: Sequence[Metric]) -> list[str]:
    """Name in words the systems that look like variants of a converter which an encoder of the run would not rank.

    Nobody knows whether ``MediumVC-small`` is given the vectors that MediumVC is given. It is ranked, and this is said.
    """
    found = []
    for system in systems:
        if system.converter != "given" or system.encoders is not None or namesake(system.name):
            continue
        known = (name for name in registry.names("converter") if _plain(system.name).startswith(_plain(name)))
        like = max(known, key=len, default="")
        own = kin([System(like, like)], metrics) if like else {}
        for (_, metric), why in sorted(own.items()):
            found.append(
                f"{system.name} is named like {like}, and {like} is {why} ({metric}); if so is {system.name}, name "
                f"it in a column 'encoders': {', '.join(encoders_of(System(like, like)))}; it is ranked as if not"
            )
    return found


@functools.cache
def namesake(name: str) -> str:
    """Find the converter that a system is named after, by its name or title; empty where there is none."""
    wanted = _plain(name)
    for converter in registry.names("converter"):
        with contextlib.suppress(UsageError):
            if wanted in (_plain(converter), _plain(registry.load("converter", converter).info.title)):
                return converter
    return ""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum() or letter == "+")


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    text = files("vceval.converters").joinpath("speaker_encoders.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        mine = table.setdefault(row["converter"], {})
        if row["encoder"]:
            mine[row["encoder"]] = row["use"]
    return table
