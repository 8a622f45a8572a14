"""The plan of audio that somebody already converted: its table or folder, and natural speech beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from vceval.corpora.csv_manifest import read_manifest
from vceval.errors import UsageError
from vceval.languages import language_code
from vceval.protocol.manifest import UNNAMED, read_folder, read_table
from vceval.records import Conversion, ConversionPair, System, Utterance
from vceval.runner.plan import Plan
from vceval.runner.progress import say
from vceval.runner.request import SCORE_METRICS, ScoreRequest, beside, tell

__all__ = ["plan_score"]


def plan_score(asked: ScoreRequest) -> Plan:
    """Make the plan of ``vceval score``; what was found wrong is said.

    Raises:
        UsageError: something that is named is not there, or can't be.
    """
    if asked.language:
        language_code(asked.language)  # a tag that names none is refused before any work
    metrics, recogniser = asked.measured(SCORE_METRICS, None)
    natural: list[Utterance] = []
    notes: list[str] = []
    if asked.natural:
        natural, problems = read_manifest(asked.natural, asked.root, dataset=UNNAMED)
        notes = [str(problem) for problem in problems]
        tell(notes, f"about {asked.natural}")
    if asked.pattern:
        found = read_folder(asked.conversions, asked.pattern, natural)
    elif asked.conversions.is_dir():
        raise UsageError(f"{asked.conversions}: is a folder; say with --pattern how its files are named")
    else:
        found = read_table(asked.conversions, asked.root)
    pairs, conversions = found.pairs, found.conversions
    if asked.language:
        pairs = {name: _in_language(pair, asked.language) for name, pair in pairs.items()}
        conversions = [
            dataclasses.replace(c, pair=pairs[c.pair.id], language=pairs[c.pair.id].language) for c in conversions
        ]
    systems = [System(name, "given", encoders=found.encoders.get(name)) for name in found.systems]
    controls, wanted = beside(systems, metrics, recogniser)
    natural_speech = _unconverted(pairs, controls)
    added = [control for control in controls if any(one.system == control.name for one in natural_speech)]
    for note in found.notes:
        say(f"vceval: {note}")
    notes += found.notes
    return Plan(
        name=asked.conversions.stem or "score",
        label="score",
        pairs=pairs,
        systems=[*systems, *added],
        metrics=metrics,
        beside={name: wanted[name] for name in (control.name for control in added)},
        natural=natural,
        metric_options=recogniser,
        data=str(asked.conversions.resolve()),
        given=[*conversions, *natural_speech],
        broken=found.failures,
        notes=notes,
        reading=asked.reading(),
    )


def _unconverted(pairs: Mapping[str, ConversionPair], controls: Sequence[System]) -> list[Conversion]:
    """The sources of pairs, where their words are known, as conversions of a control that takes them as they are."""
    known = (pair for pair in pairs.values() if pair.transcript)
    sources = [(pair, pair.source.path) for pair in known if pair.source and pair.source.path.is_file()]
    return [
        Conversion(control.name, pair, path, pair.transcript, pair.language)
        for control in controls
        if control.converter == "source"
        for pair, path in sources
    ]


def _in_language(pair: ConversionPair, language: str) -> ConversionPair:
    return pair if pair.language else dataclasses.replace(pair, language=language)
