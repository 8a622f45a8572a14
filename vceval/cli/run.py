"""``vceval run`` and ``vceval score``: from options to a plan, from a plan to a report."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vceval import registry
from vceval.errors import UsageError
from vceval.signal.audio import CHANNELS, MAX_SECONDS, Reading

if TYPE_CHECKING:
    from vceval.corpora.base import Corpus
    from vceval.protocol.suite import Suite
    from vceval.records import Conversion, ConversionPair, System
    from vceval.runner.options import Options
    from vceval.runner.plan import Plan

__all__ = ["add_commands"]

#: Notes of a corpus reader that are printed.
SHOWN_NOTES = 5
SCORE_METRICS = ("mcd", "sv", "wer", "cer", "fake", "sanity", "bandwidth")
EPILOG = (
    "exit codes: 0 all fine, 1 some pairs failed, 2 wrong use, or a file, disk or memory that can't be used, "
    "70 an error of vceval itself, 130 interrupted"
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run`` and ``score`` to the parser."""
    _add_run(commands)
    _add_score(commands)


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="convert and score a suite; without arguments the demo suite",
        description="Plan, convert, score, report. The same command again goes on where it was cut off.",
        epilog=EPILOG,
    )
    run.add_argument("--suite", default="demo", help="name of a suite, or a YAML file (default: demo)")
    run.add_argument("--data", type=Path, metavar="DIR", help="folder of the suite's corpus (the demo brings its own)")
    run.add_argument("--corpus", metavar="NAME", help="read --data by another reader, such as csv; needs --draw-pairs")
    run.add_argument(
        "--converters", action="append", metavar="NAME[,NAME]", help="registered converters instead of the suite's"
    )
    run.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME=KIND:ARGUMENT",
        help="add a system: mine=command:'python worker.py', theirs=precomputed:FOLDER or FOLDER::PATTERN",
    )
    run.add_argument("--systems", type=Path, metavar="FILE", help="add the systems of a YAML file")
    run.add_argument("--limit", type=int, metavar="N", help="only N pairs, spread over the directions")
    run.add_argument("--allow-missing", action="store_true", help="run without the utterances that are not on disk")
    run.add_argument("--draw-pairs", type=int, metavar="N", help="draw another list of N pairs; the result is 'custom'")
    run.add_argument("--seed", type=int, default=0, help="for --draw-pairs and for converters that draw noise")
    run.add_argument(
        "--seeds",
        type=int,
        metavar="K",
        help="convert each pair K times where a system draws noise (1, or the suite's)",
    )
    run.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds that one pair may take (600)")
    run.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16", "fp16"),
        help="of our own networks (float32); part of the name",
    )
    _add_common(run)
    run.set_defaults(command=_run)


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    score = commands.add_parser(
        "score",
        help="score audio that somebody already converted",
        description="Score a CSV table of conversions, or a folder whose file names follow a pattern.",
        epilog=EPILOG,
    )
    score.add_argument("conversions", type=Path, help="CSV table (--columns describes it), or a folder with --pattern")
    score.add_argument(
        "--pattern", help="file-name pattern such as '{system}_{source}TO{target}.wav', or its name: mae-vc, skqvc"
    )
    score.add_argument("--natural", type=Path, metavar="CSV", help="natural speech: file,speaker,gender,language,...")
    score.add_argument(
        "--columns",
        action=_Columns,
        nargs=0,
        help="print the columns of both tables and what they may be called, and exit",
    )
    score.add_argument("--root", type=Path, metavar="DIR", help="folder that paths in the tables start from")
    score.add_argument("--language", help="language of the speech where the table names none, such as en")
    _add_common(score)
    score.set_defaults(command=_score)


class _Columns(argparse.Action):
    """Prints what columns the two tables of ``vceval score`` may have."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from vceval.corpora import csv_manifest
        from vceval.protocol import manifest

        print(f"conversions:\n\n{manifest.TABLE.described()}\n\n--natural:\n\n{csv_manifest.TABLE.described()}")
        parser.exit()


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics", action="append", metavar="NAME[,NAME]", help="metrics instead of the usual ones")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/<name>)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    parser.add_argument(
        "--executor", choices=("local", "ray"), default="local", help="work on this machine (default) or a Ray cluster"
    )
    parser.add_argument("--ray-address", metavar="A", help="the cluster: auto, or HOST:PORT (default: one made here)")
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
    parser.add_argument(
        "--channel", choices=CHANNELS, help="what to take of recordings whose channels differ (refused without)"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=MAX_SECONDS, metavar="S", help="refuse longer recordings (600)"
    )
    parser.add_argument("--fresh", action="store_true", help="throw away what an earlier run left in the folder")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done, how long and how large")
    parser.add_argument(
        "--recogniser",
        metavar="NAME",
        help="of wer and cer: whisper:large-v3, whisper:PATH.pt, faster-whisper:FOLDER, pocketsphinx (default: the "
        "suite's, else the best Whisper on disk)",
    )
    parser.add_argument(
        "--allow-download", action="store_true", help="fetch the Whisper that is named, or base, if it is not here"
    )


def _run(options: argparse.Namespace) -> int:
    """Carry out ``vceval run``; returns the exit code."""
    from vceval.protocol import grid, suite
    from vceval.runner.factory import try_converter
    from vceval.runner.plan import Plan
    from vceval.runner.progress import say

    protocol = suite.load(options.suite)
    if options.corpus is not None:  # what the suite says of its own corpus does not hold for another one
        protocol = dataclasses.replace(protocol, language=None)
    systems = _systems(options, protocol.systems)
    metrics, recogniser = _metrics(options, protocol.metrics, protocol.recogniser)
    settings = _settings(options)
    for system in systems:
        for lack in try_converter(system, settings.device):
            say(f"vceval: {system.name} will fail: {lack}")
    corpus = _corpus(protocol, options)
    drawn = grid.build(
        protocol,
        corpus,
        allow_missing=options.allow_missing,
        draw_pairs=options.draw_pairs,
        seed=options.seed,
    )
    notes = [str(problem) for problem in corpus.problems]
    _tell(notes, f"about {corpus.info.title}")
    pairs = _limited(drawn.pairs, options.limit)
    partial = drawn.partial or len(pairs) < len(drawn.pairs)
    if drawn.missing:
        result = "; the result is partial" if drawn.partial else ""
        say(f"vceval: {len(drawn.missing)} utterances of {drawn.label} are not on disk{result}")
    added, beside = _beside(systems, metrics, recogniser)
    plan = Plan(
        name=protocol.name if not drawn.custom else "custom",
        label=drawn.label,
        pairs={pair.id: pair for pair in pairs},
        systems=[*systems, *added],
        metrics=metrics,
        beside=beside,
        natural=drawn.natural,
        metric_options={"trials": protocol.natural.trials, "seed": protocol.natural.seed, **recogniser},
        seed=options.seed,
        seeds=protocol.seeds if options.seeds is None else options.seeds,
        data=str(options.data.resolve()) if options.data else "",
        missing=drawn.missing,
        notes=notes,
        partial=partial,
        custom=drawn.custom,
        pairs_sha256=drawn.pairs_sha256,
        published=[] if drawn.custom else suite.published_rows(protocol),
        reading=_reading(options),
    )
    return _carry_out(plan, options, settings)


def _score(options: argparse.Namespace) -> int:
    """Carry out ``vceval score``; returns the exit code."""
    from vceval.corpora.csv_manifest import read_manifest
    from vceval.languages import language_code
    from vceval.protocol.manifest import UNNAMED, read_folder, read_table
    from vceval.records import System, Utterance
    from vceval.runner.plan import Plan
    from vceval.runner.progress import say

    if options.language:
        language_code(options.language)  # a tag that names none is refused before any work
    metrics, recogniser = _metrics(options, SCORE_METRICS, None)
    settings = _settings(options)
    natural: list[Utterance] = []
    notes: list[str] = []
    if options.natural:
        natural, problems = read_manifest(options.natural, options.root, dataset=UNNAMED)
        notes = [str(problem) for problem in problems]
        _tell(notes, f"about {options.natural}")
    if options.pattern:
        found = read_folder(options.conversions, options.pattern, natural)
    elif options.conversions.is_dir():
        raise UsageError(f"{options.conversions}: is a folder; say with --pattern how its files are named")
    else:
        found = read_table(options.conversions, options.root)
    pairs, conversions = found.pairs, found.conversions
    if options.language:
        pairs = {name: _in_language(pair, options.language) for name, pair in pairs.items()}
        conversions = [
            dataclasses.replace(c, pair=pairs[c.pair.id], language=pairs[c.pair.id].language) for c in conversions
        ]
    systems = [System(name, "given") for name in found.systems]
    controls, beside = _beside(systems, metrics, recogniser)
    natural_speech = _unconverted(pairs, controls)
    added = [control for control in controls if any(one.system == control.name for one in natural_speech)]
    for note in found.notes:
        say(f"vceval: {note}")
    notes += found.notes
    plan = Plan(
        name=options.conversions.stem or "score",
        label="score",
        pairs=pairs,
        systems=[*systems, *added],
        metrics=metrics,
        beside={name: beside[name] for name in (control.name for control in added)},
        natural=natural,
        metric_options=recogniser,
        data=str(options.conversions.resolve()),
        given=[*conversions, *natural_speech],
        broken=found.failures,
        notes=notes,
        reading=_reading(options),
    )
    return _carry_out(plan, options, settings)


def _unconverted(pairs: Mapping[str, ConversionPair], controls: Sequence[System]) -> list[Conversion]:
    """The sources of pairs, where their words are known, as conversions of a control that takes them as they are."""
    from vceval.records import Conversion

    known = (pair for pair in pairs.values() if pair.transcript)
    sources = [(pair, pair.source.path) for pair in known if pair.source and pair.source.path.is_file()]
    return [
        Conversion(control.name, pair, path, pair.transcript, pair.language)
        for control in controls
        if control.converter == "source"
        for pair, path in sources
    ]


def _carry_out(plan: Plan, options: argparse.Namespace, settings: Options) -> int:
    from vceval.reports.build import make
    from vceval.results import verdicts, views
    from vceval.results.rundir import RunDirectory
    from vceval.runner.execute import execute, prepare
    from vceval.runner.forecast import forecast, shown
    from vceval.runner.integrity import faulty
    from vceval.runner.progress import say

    folder = options.out or Path("runs") / plan.name
    if options.dry_run:
        print(shown(forecast(plan, RunDirectory(folder), settings, options.fresh)))
        return 0
    run = prepare(folder)
    summary, changed = execute(plan, run, settings, options.fresh)
    page = run.report / "index.html"
    if changed or not page.is_file():
        report = make([RunDirectory(run.root)], run.report).report
    else:
        report = views.load(RunDirectory(run.root))
    print((run.report / "tables" / "main.md").read_text(encoding="utf-8"))
    print(*verdicts.lines(verdicts.verdicts(report)), sep="\n", flush=True)
    failures, unlearnt = summary["counts"]["failures"], faulty(summary["calibration"])
    say(f"report    {page}")
    if failures:
        first = run.read_failures()[0]
        say(f"vceval: {failures} failures, listed in {run.root / 'failures.csv'}; the first: {_short(first)}")
    for reason in unlearnt:
        say(f"vceval: not learnt from natural speech: {reason}; the same command tries again")
    return 1 if failures or unlearnt else 0


def _tell(notes: Sequence[str], what: str) -> None:
    """Show the first notes; ``run.json`` holds all."""
    from vceval.runner.progress import say

    if notes:
        say(f"vceval: {len(notes)} notes {what}, all in run.json:")
    for note in notes[:SHOWN_NOTES]:
        say(f"  {note}")


def _short(failure: dict[str, str]) -> str:
    what = f"{failure['stage']} {failure['metric']}".strip()
    if failure["seed"] != "0":
        what = f"seed {failure['seed']}, {what}"
    return f"{failure['system']}, pair {failure['pair']}, {what}: {failure['reason']}"


def _corpus(protocol: Suite, options: argparse.Namespace) -> Corpus:
    from vceval.corpora.opening import open_corpus

    name, settings = protocol.corpus, protocol.corpus_options
    if options.corpus is not None:
        if options.draw_pairs is None:
            raise UsageError(
                f"--corpus {options.corpus}: the pairs of {protocol.label} are those of {name}; "
                "say with --draw-pairs N how many to draw over another corpus"
            )
        name, settings = options.corpus, {}
    return open_corpus(name, options.data, settings)


def _systems(options: argparse.Namespace, usual: Sequence[str]) -> list[System]:
    from vceval.protocol.systems import read_systems, system_of
    from vceval.runner.factory import make_converter

    chosen = list(_split(options.converters)) if options.converters else list(usual)
    systems = [system_of(name) for name in chosen]
    if options.systems:
        systems += read_systems(options.systems)
    systems += [system_of(text, timeout=options.timeout) for text in options.system]
    systems = [_in_precision(system, options.precision) for system in systems]
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two systems are called {', '.join(twice)}; every row of a table needs a name of its own")
    if not systems:
        raise UsageError("no system to run; name one with --converters or --system")
    return [dataclasses.replace(system, control=make_converter(system).info.control) for system in systems]


def _in_precision(system: System, asked: str | None) -> System:
    """Set the precision of a system whose networks are ours; any but the full one is part of its name."""
    from vceval.converters.native import NativeConverter

    own = issubclass(registry.load("converter", system.converter), NativeConverter)
    if asked is not None and own and "precision" not in system.options:
        system = dataclasses.replace(system, options={**system.options, "precision": asked})
    precision = system.options.get("precision", "float32") if own else "float32"
    if precision == "float32" or precision in system.name:
        return system
    return dataclasses.replace(system, name=f"{system.name}+{precision}")


def _metrics(
    options: argparse.Namespace, usual: Sequence[str], recogniser: str | None
) -> tuple[list[str], dict[str, str]]:
    """The metrics of a run, and the parameter that names their recogniser: settled here, so that all workers agree."""
    from vceval.cli.recogniser import settle
    from vceval.metrics.recogniser_choice import listens
    from vceval.metrics.recognisers_of_tools import fetch
    from vceval.runner.factory import make_metrics
    from vceval.runner.progress import say

    chosen = list(dict.fromkeys(_split(options.metrics) if options.metrics else usual))
    words = [name for name in chosen if listens(name)]
    found = settle(options.recogniser, recogniser, words, bool(options.metrics), options.allow_download)
    if words and not found:
        say(
            f"vceval: no recogniser, so without {' and '.join(words)}: get one with 'vceval checkpoints add "
            "whisper/base', or name one with --recogniser"
        )
        chosen = [name for name in chosen if name not in words]
    if options.allow_download:
        for model in {bound for name in chosen if (bound := getattr(registry.load("metric", name), "bound", ""))}:
            fetch(model)
    given = {"asr": found} if found else {}
    make_metrics(chosen, given)
    return chosen, given


def _beside(
    systems: Sequence[System], metrics: Sequence[str], given: Mapping[str, str]
) -> tuple[list[System], dict[str, tuple[str, ...]]]:
    """The controls that metrics want beside all systems and nobody asked for, and the metrics that want each."""
    from vceval.records import System
    from vceval.runner.factory import make_metric

    wanted: dict[str, list[str]] = {}
    for name in metrics:
        if control := make_metric(name, given).beside:
            wanted.setdefault(control, []).append(name)
    taken = {system.name for system in systems}
    added = [
        System(control if control not in taken else f"{control} (control)", control, control=True)
        for control in wanted
        if not any(system.control and system.converter == control for system in systems)
    ]
    return added, {system.name: tuple(wanted[system.converter]) for system in added}


def _split(values: Sequence[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _settings(options: argparse.Namespace) -> Options:
    from vceval.runner.devices import devices
    from vceval.runner.options import Options
    from vceval.storage import cache

    workers = options.workers if options.workers is not None else len(os.sched_getaffinity(0))
    if workers < 1:
        raise UsageError(f"--workers {workers}: at least one is needed")
    if getattr(options, "limit", None) is not None and options.limit < 1:
        raise UsageError(f"--limit {options.limit}: at least one pair is needed")
    if getattr(options, "seeds", None) is not None and options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds}: at least one is needed")
    if getattr(options, "timeout", 1.0) <= 0:
        raise UsageError(f"--timeout {options.timeout}: must be positive")
    if options.executor == "ray":
        from vceval.runner.ray_pool import cluster_devices

        found = cluster_devices(options.device, options.ray_address)
    elif options.ray_address is not None:
        raise UsageError(f"--ray-address {options.ray_address}: goes with --executor ray only")
    else:
        found = devices(options.device)
    return Options(
        devices=found,
        workers=workers,
        timeout=getattr(options, "timeout", 600.0),
        cache=cache.default_root(),
        executor=options.executor,
        ray_address=options.ray_address,
    )


def _reading(options: argparse.Namespace) -> Reading:
    if not options.max_seconds > 0:
        raise UsageError(f"--max-seconds {options.max_seconds}: must be positive")
    return Reading(options.channel, options.max_seconds)


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


def _in_language(pair: ConversionPair, language: str) -> ConversionPair:
    return pair if pair.language else dataclasses.replace(pair, language=language)
