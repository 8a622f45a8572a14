"""The plan of audio that somebody already converted: its table or folders, and natural speech beside it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vceval.corpora.base import Corpus
from vceval.corpora.csv_manifest import read_manifest
from vceval.errors import ItemError, UsageError
from vceval.languages import language_code
from vceval.protocol import grid, suite
from vceval.protocol.known import Known
from vceval.protocol.manifest import read_table
from vceval.protocol.own_controls import settle_controls
from vceval.protocol.pairing import UNNAMED, Conversions, uneven
from vceval.protocol.submissions import are_submissions, read_submissions
from vceval.protocol.suite import NaturalSpec
from vceval.protocol.trees import is_table, read_trees, spread
from vceval.records import Conversion, ConversionPair, System, Utterance
from vceval.results.encoder_audit import unsaid
from vceval.runner.factory import make_metric
from vceval.runner.plan import GIVEN, Plan
from vceval.runner.progress import say
from vceval.runner.request import SCORE_METRICS, ScoreRequest, beside, tell
from vceval.signal import audio
from vceval.storage.tables import FrameTable

__all__ = ["Material", "material", "plan_score"]

#: Natural speech of a corpus that no suite is about.
_NATURAL = NaturalSpec(utterances_per_speaker=20, seed=0, trials=30_000)
#: What is missing, of which messages name so many.
_NAMED = 8


@dataclass(slots=True)
class Material:
    """What there is to score: conversions as they were read, and natural speech that thresholds are learnt from.

    places: the table, or the folders and files. options: of metrics that learn from natural speech.
    """

    places: Sequence[Path | FrameTable]
    found: Conversions
    natural: list[Utterance] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan_score(asked: ScoreRequest) -> Plan:
    """Make the plan of ``vceval score``; what was found wrong is said.

    Raises:
        UsageError: something that is named is not there, or can't be.
    """
    if asked.language:
        language_code(asked.language)  # a tag that names none is refused before any work
    reading = asked.reading()
    metrics, recogniser = asked.measured(SCORE_METRICS, None)
    ready = material(asked)
    found = ready.found
    settled = settle_controls(found)
    found.notes += uneven(found)
    pairs, conversions = found.pairs, found.conversions
    if asked.language:
        pairs = {name: _in_language(pair, asked.language) for name, pair in pairs.items()}
        conversions = [
            dataclasses.replace(c, pair=pairs[c.pair.id], language=pairs[c.pair.id].language) for c in conversions
        ]
    systems = [
        System(name, GIVEN, control=name in settled, encoders=found.encoders.get(name)) for name in found.systems
    ]
    if not any(not system.control for system in systems):
        raise UsageError(f"{ready.places[0]}: holds controls only; name the conversions that they stand beside")
    wanted = {"source", "target", "resynthesis"} if not asked.no_controls else set(settled.values())
    systems += _controls(wanted - {settled[one.name] for one in systems if one.control}, conversions)
    added, which = beside(systems, metrics, recogniser)
    added = [one for one in added if any(c.pair.source and c.pair.transcript for c in conversions)]
    rates = _rates(conversions)
    found.notes += [
        f"{name}: recordings of several sample rates: {', '.join(f'{some:,}' for some in mine)} Hz"
        for name, mine in rates.items()
        if len(mine) > 1
    ]
    learning = {**ready.options, **recogniser}
    found.notes += unsaid(systems, [make_metric(name, learning) for name in metrics])
    for note in found.notes:
        say(f"vceval: {note}")
    return Plan(
        name=_name(ready.places),
        label="score",
        pairs=pairs,
        systems=[*systems, *added],
        metrics=metrics,
        beside={one.name: which[one.name] for one in added},
        natural=ready.natural,
        metric_options=learning,
        data=_data(ready),
        given=conversions,
        broken=found.failures,
        missing=found.missing,
        notes=[*ready.notes, *found.notes],
        reading=reading,
        rates=rates,
    )


def material(asked: ScoreRequest) -> Material:
    """Read what is to be scored; nothing may be missing, unless that is allowed: then it is said.

    Raises:
        UsageError: something that is named is not there, or can't be.
    """
    places = _places(asked.conversions)
    known: Known | None = None
    natural: list[Utterance] = []
    notes: list[str] = []
    options: dict[str, Any] = {}
    if asked.corpus is not None:
        if asked.natural is not None:
            raise UsageError("--natural and --corpus both say what natural speech there is; give one of the two")
        corpus = _corpus(asked.corpus, asked.data)
        known = Known((grid.as_in_tables(one, corpus) for one in corpus.utterances()), corpus.info.title, settles=True)
        spec = _spec(asked.corpus)
        natural = grid.natural_speech(corpus, spec, None)
        options = {"trials": spec.trials, "seed": spec.seed}
        notes = [str(problem) for problem in corpus.problems]
        tell(notes, f"about {corpus.info.title}")
    elif asked.data is not None:
        raise UsageError(f"--data {asked.data}: say with --corpus what it holds ('vceval list corpora')")
    elif asked.natural is not None:
        natural, problems = read_manifest(asked.natural, asked.root, dataset=UNNAMED, option="--root")
        known = Known(natural, str(asked.natural))
        notes = [str(problem) for problem in problems]
        tell(notes, f"about {asked.natural}")
    tables = [place for place in places if _is_table(place)]
    folders = [place for place in places if isinstance(place, Path)]
    if asked.pattern is None and len(places) == 1 and folders and are_submissions(folders[0]):
        found = read_submissions(folders[0], known)
    elif not tables:
        found = read_trees(folders, asked.pattern, known)
    elif len(places) > 1:
        raise UsageError(f"{tables[0]}: is a table; score one table, or folders and recordings, in a run")
    elif asked.pattern is not None:
        raise UsageError(f"{tables[0]}: is a table; --pattern is about the names of files in folders")
    else:
        found = read_table(tables[0], asked.root, known)
    _check_missing(found, asked.allow_missing)
    return Material(places, found, natural, options, notes)


def _places(asked: Path | FrameTable | Sequence[Path]) -> Sequence[Path | FrameTable]:
    return [asked] if isinstance(asked, FrameTable) else spread([asked] if isinstance(asked, Path) else asked)


def _is_table(place: Path | FrameTable) -> bool:
    return isinstance(place, FrameTable) or is_table(place)


def _data(ready: Material) -> str:
    """Say of what a run was made: where it lies, or what is in it."""
    return " ".join(
        f"table:{place.sha256}" if isinstance(place, FrameTable) else str(place.resolve()) for place in ready.places
    )


def _corpus(name: str, data: Path | None) -> Corpus:
    from vceval.corpora.opening import open_corpus

    corpus = open_corpus(name, data, {})
    grid.check_filled(corpus)
    return corpus


def _spec(corpus: str) -> NaturalSpec:
    """How much natural speech suites take of a corpus."""
    loaded = (suite.load(name) for name in suite.names())
    return next((one.natural for one in loaded if one.corpus == corpus), _NATURAL)


def _name(places: Sequence[Path | FrameTable]) -> str:
    """A name for the run: that of the table, or of the folder that holds everything."""
    if _is_table(places[0]):
        return places[0].stem or "score"
    paths = [place for place in places if isinstance(place, Path)]
    # By the names that were given: resolve() would follow links
    whole = [os.path.abspath(place if place.is_dir() else place.parent) for place in paths]  # noqa: PTH100
    return Path(os.path.commonpath(whole)).name or "score"


def _check_missing(found: Conversions, allowed: bool) -> None:
    """Refuse what is missing, or say it where that is allowed.

    Raises:
        UsageError: counts and names it.
    """
    if not found.missing:
        return
    total = len(found.conversions) + len(found.missing)
    more = len(found.missing) - _NAMED
    words = "\n  ".join(
        [f"{len(found.missing)} of {total} conversions can't be scored:", *found.missing[:_NAMED]]
        + ([f"and {more} more"] if more > 0 else [])
        + ([found.advice] if found.advice else [])
    )
    if not allowed:
        raise UsageError(f"{words}\n  Mend the names, or pass --allow-missing to score the others")
    if not found.conversions:
        raise UsageError(f"{words}\n  Nothing is left to score")
    say(f"vceval: {words}")


def _controls(kinds: Iterable[str], conversions: Sequence[Conversion]) -> list[System]:
    """The controls that some pair has the recordings for."""
    pairs = [conversion.pair for conversion in conversions]
    has = {"source": any(pair.source for pair in pairs), "target": any(pair.natural for pair in pairs)}
    has["resynthesis"] = has["target"]
    order = ("source", "target", "resynthesis")
    return [System(kind, kind, control=True) for kind in order if kind in kinds and has[kind]]


def _rates(conversions: Sequence[Conversion]) -> dict[str, list[int]]:
    """Sample rates of given files by system; those that can't be read will be failures."""
    found: dict[str, set[int]] = {}
    for one in conversions:
        try:
            found.setdefault(one.system, set()).add(audio.sample_rate(one.path))
        except ItemError:
            continue
    return {name: sorted(rates) for name, rates in found.items()}


def _in_language(pair: ConversionPair, language: str) -> ConversionPair:
    return pair if pair.language else dataclasses.replace(pair, language=language)
