"""The plan of a suite: its pairs over a corpus on disk, and the systems that convert them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence

from vceval import registry
from vceval.checkpoints import store
from vceval.corpora.base import Corpus
from vceval.errors import UsageError
from vceval.protocol import grid, suite
from vceval.protocol.suite import Suite
from vceval.records import ConversionPair, System
from vceval.runner.factory import make_converter, try_converter
from vceval.runner.plan import Plan
from vceval.runner.progress import say
from vceval.runner.request import SuiteRequest, beside, split, tell

__all__ = ["plan_suite"]


def plan_suite(asked: SuiteRequest) -> Plan:
    """Make the plan of ``vceval run``; what will fail and what is missing is said.

    Raises:
        UsageError: something that is named is not there, or can't be.
    """
    _check(asked)
    reading = asked.reading()
    protocol = asked.suite if isinstance(asked.suite, Suite) else suite.load(asked.suite)
    if asked.corpus is not None:  # what the suite says of its own corpus does not hold for another one
        protocol = dataclasses.replace(protocol, language=None)
    systems = _systems(asked, protocol.systems)
    metrics, recogniser = asked.measured(protocol.metrics, protocol.recogniser)
    settings = asked.settings()
    for system in systems:
        for lack in try_converter(system, settings.device):
            say(f"vceval: {system.name} will fail: {lack}")
    corpus = _corpus(protocol, asked)
    drawn = grid.build(
        protocol, corpus, allow_missing=asked.allow_missing, draw_pairs=asked.draw_pairs, seed=asked.seed
    )
    notes = [str(problem) for problem in corpus.problems]
    tell(notes, f"about {corpus.info.title}")
    strange = _strange(systems)
    tell(strange, "on weight files")
    notes += strange
    if asked.draw_pairs is not None and len(drawn.pairs) < asked.draw_pairs:
        say(
            f"vceval: only {len(drawn.pairs)} of {asked.draw_pairs} pairs could be drawn: the corpus has no more that "
            "fit, as a source and another speaker's prompts"
        )
    pairs = _limited(drawn.pairs, asked.limit)
    partial = drawn.partial or len(pairs) < len(drawn.pairs)
    if drawn.missing:
        result = "; the result is partial" if drawn.partial else ""
        say(f"vceval: {len(drawn.missing)} utterances of {drawn.label} are not on disk{result}")
    added, wanted = beside(systems, metrics, recogniser)
    return Plan(
        name=protocol.name if not drawn.custom else "custom",
        label=drawn.label,
        pairs={pair.id: pair for pair in pairs},
        systems=[*systems, *added],
        metrics=metrics,
        beside=wanted,
        natural=drawn.natural,
        metric_options={"trials": protocol.natural.trials, "seed": protocol.natural.seed, **recogniser},
        seed=asked.seed,
        seeds=protocol.seeds if asked.seeds is None else asked.seeds,
        data=str(asked.data.resolve()) if asked.data else "",
        missing=drawn.missing,
        notes=notes,
        partial=partial,
        custom=drawn.custom,
        pairs_sha256=drawn.pairs_sha256,
        published=[] if drawn.custom else suite.published_rows(protocol),
        reading=reading,
    )


def _check(asked: SuiteRequest) -> None:
    if asked.limit is not None and asked.limit < 1:
        raise UsageError(f"--limit {asked.limit}: at least one pair is needed")
    if asked.seeds is not None and asked.seeds < 1:
        raise UsageError(f"--seeds {asked.seeds}: at least one is needed")


def _corpus(protocol: Suite, asked: SuiteRequest) -> Corpus:
    from vceval.corpora.opening import open_corpus

    name, settings = protocol.corpus, protocol.corpus_options
    if asked.corpus is not None:
        if asked.draw_pairs is None:
            raise UsageError(
                f"--corpus {asked.corpus}: the pairs of {protocol.label} are those of {name}; "
                "say with --draw-pairs N how many to draw over another corpus"
            )
        name, settings = asked.corpus, {}
    return open_corpus(name, asked.data, settings)


def _systems(asked: SuiteRequest, usual: Sequence[str]) -> list[System]:
    from vceval.protocol.systems import read_systems, system_of

    chosen = split(asked.converters) if asked.converters else list(usual)
    systems = [system_of(name) for name in chosen]
    if asked.systems:
        systems += read_systems(asked.systems)
    systems += [one if isinstance(one, System) else system_of(one, timeout=asked.timeout) for one in asked.system]
    systems = [_variant(system, asked) for system in systems]
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two systems are called {', '.join(twice)}; every row of a table needs a name of its own")
    if not systems:
        raise UsageError("no system to run; name one with --converters or --system")
    return [dataclasses.replace(system, control=make_converter(system).info.control) for system in systems]


def _variant(system: System, asked: SuiteRequest) -> System:
    """Set precision and resampler of a system whose networks are ours; unusual ones are part of its name."""
    from vceval.converters.native import NativeConverter

    kind = registry.load("converter", system.converter)
    if not issubclass(kind, NativeConverter):
        return system
    known = inspect.signature(kind).parameters
    wanted = {"precision": asked.precision, "resampler": asked.resampler}
    options = {name: value for name, value in wanted.items() if value is not None and name in known}
    system = dataclasses.replace(system, options={**options, **system.options})
    unusual = [precision] if (precision := system.options.get("precision", "float32")) != "float32" else []
    resampler = kind.resampler_of(system.options.get("resampler", "authors"))
    unusual += [resampler] if resampler != kind.authors_resampler else []
    name = "+".join([system.name, *(word for word in unusual if word not in system.name)])
    return dataclasses.replace(system, name=name)


def _strange(systems: Sequence[System]) -> list[str]:
    """Name the weight files that are not the published ones, those of a system and a kind together."""
    found: dict[tuple[str, str], list[str]] = {}
    for system in systems:
        converter = make_converter(system)
        for name, told in store.editions(getattr(converter, "files", ()), converter.assets()).items():
            if told in store.FOREIGN:
                found.setdefault((system.name, told), []).append(name)
    return [f"{system}: {told} ({', '.join(names)})" for (system, told), names in found.items()]


def _limited(pairs: Sequence[ConversionPair], limit: int | None) -> list[ConversionPair]:
    """Take the first pairs of every direction in turn."""
    if limit is None or limit >= len(pairs):
        return list(pairs)
    ranks: dict[str | None, int] = {}
    ranked: list[tuple[int, int]] = []
    for position, pair in enumerate(pairs):
        ranks[pair.direction] = rank = ranks.get(pair.direction, 0) + 1
        ranked.append((rank, position))
    return [pairs[position] for position in sorted(position for _, position in sorted(ranked)[:limit])]
