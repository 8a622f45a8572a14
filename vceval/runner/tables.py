"""From journals to results: what was converted and scored, what failed, and the files that say so.

One pass over systems, pairs and metrics, each in order of name, writes all tables side by side; nothing is collected
but the sums that the summary needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from vceval.checkpoints.store import FOREIGN, editions
from vceval.errors import ItemError
from vceval.metrics.base import Metric, Statistics
from vceval.records import Failure, Score, Skip, System
from vceval.results import efficiency
from vceval.results.encoder_audit import encoders_of, kin
from vceval.results.leakage import PairExposure, audit
from vceval.results.rundir import RunDirectory, failure_row, skip_row
from vceval.results.summary import shown, static_need, summarise
from vceval.results.table import Tally
from vceval.runner.audio_files import Conversions
from vceval.runner.efficiency import measured
from vceval.runner.factory import make_converter
from vceval.runner.journal import Ledger, Take, read_records
from vceval.runner.plan import GIVEN, Plan

__all__ = ["write_results"]


def write_results(
    plan: Plan,
    run: RunDirectory,
    conversions: Conversions,
    scored: Ledger,
    calibrations: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Write scores, failures, skips, what converting took, and the summary; returns the summary."""
    metrics = {name: plan.metric(name) for name in sorted(plan.metrics)}
    seeds = Counter(take.system for take in conversions.takes)
    several = max(seeds.values(), default=1) > 1
    tally = Tally(plan.pairs, seeds=seeds)
    signatures = dict(sorted(plan.signatures().items()))
    with ExitStack() as files:
        scores = files.enter_context(run.score_writer(plan.pairs, signatures, several))
        failures = files.enter_context(run.failure_writer(several))
        skips, audio = files.enter_context(run.skip_writer(several)), files.enter_context(run.audio_writer(several))
        for found in _found(plan, conversions, scored, metrics):
            if isinstance(found, Score):
                tally.score(found)
                scores.write(found)
            elif isinstance(found, Failure):
                tally.failure(found)
                failures.write(failure_row(found))
            elif isinstance(found, Skip):
                tally.skip(found)
                skips.write(skip_row(found))
            else:
                take, pair, path, sha256 = found
                audio.write((take.system, pair, str(take.seed), _relative(path, run.root), sha256))
    exposures = _exposures(plan)
    run.write_leakage((entry.system, entry.pair, entry.source, entry.target) for entry in exposures)
    records = () if not plan.converting else read_records(run.root / "journal" / "convert.jsonl")
    efficiency.write(run, [*plan.took, *measured([system.name for system in plan.systems], records)])
    rows = [_system_row(plan, conversions, system) for system in plan.systems]
    judges = [plan.metric(name) for name in plan.metrics]
    summary: dict[str, Any] = {
        "name": plan.name,
        "suite": plan.label,
        "partial": plan.partial,
        "custom": plan.custom,
        **summarise(
            tally,
            rows,
            judges,
            calibrations,
            exposures,
            plan.reading.signed,
            kin((system for system in plan.systems if not system.control), judges),
        ),
        "calibration": shown(calibrations),
        "published": list(plan.published),
    }
    run.write_json("summary.json", summary)
    return summary


_Found = Score | Failure | Skip | tuple[Take, str, Path, str]


def _found(plan: Plan, conversions: Conversions, scored: Ledger, metrics: Mapping[str, Metric]) -> Iterator[_Found]:
    """All that became of every system, pair and seed, sorted; audio as (system and seed, pair, file, SHA-256)."""
    broken: dict[str, dict[str, list[Failure]]] = {}
    for failure in plan.broken:
        broken.setdefault(failure.system, {}).setdefault(failure.pair, []).append(failure)
    takes = {name: [Take(name)] for name in broken}
    takes |= {name: list(some) for name, some in groupby(conversions.takes, key=lambda take: take.system)}
    for system in sorted(takes):
        mine = {name: metric for name, metric in metrics.items() if name in plan.metrics_of(system)}
        for pair in sorted(plan.pairs):
            for take in takes[system]:
                told = (fault for fault in broken.get(system, {}).get(pair, ()) if fault.seed == take.seed)
                faults = sorted(told, key=lambda f: (f.stage, f.metric, f.reason))
                if fault := conversions.fault(take, pair):
                    faults.insert(0, fault)
                yield from faults
                if faults:
                    needs = {n: static_need(m, plan.pairs[pair]) for n, m in mine.items()}
                    yield from _skips(take, pair, mine, needs)
                elif absence := conversions.absence(take, pair):
                    yield from _skips(take, pair, mine, dict.fromkeys(mine, absence[0]), absence[1])
                elif conversion := conversions.find(take, pair):
                    known = conversion.sha256 or next(
                        (scored.record(take, pair, name).get("sha256", "") for name in mine), ""
                    )
                    yield take, pair, conversion.path, known
                    yield from _scores(take, pair, mine, scored)


def _skips(
    take: Take, pair: str, metrics: Mapping[str, Metric], needs: Mapping[str, str | None], reason: str = ""
) -> Iterator[Skip]:
    for name, metric in metrics.items():
        if need := needs[name]:
            for measure in sorted(measure.name for measure in metric.measures):
                yield Skip(take.system, pair, name, measure, need, reason or "the pair lacks it", take.seed)


def _scores(take: Take, pair: str, metrics: Mapping[str, Metric], scored: Ledger) -> Iterator[Score | Failure | Skip]:
    system, seed = take
    for name, metric in metrics.items():
        record = scored.record(take, pair, name)
        if record["status"] == "failed":
            yield Failure(system, pair, "score", name, record["reason"], seed)
        elif record["status"] == "skipped":
            for measure in sorted(measure.name for measure in metric.measures):
                yield Skip(system, pair, name, measure, record["need"], record["reason"], seed)
        else:
            try:
                found = metric.complete(Statistics(record["sums"], record["details"], record["unmet"]))
            except ItemError as error:  # of a journal that was written before values were checked
                yield Failure(system, pair, "score", name, str(error), seed)
                continue
            for measure, (numerator, denominator) in sorted(found.sums.items()):
                value = numerator / denominator
                yield Score(system, pair, name, measure, value, numerator, denominator, found.details, seed)
            for measure, (need, reason) in sorted(found.unmet.items()):
                yield Skip(system, pair, name, measure, need, reason, seed)


def _exposures(plan: Plan) -> list[PairExposure]:
    """Look up what the systems (not the controls) have heard of their pairs' speakers."""
    systems = {system.name: system.model for system in plan.systems if not system.control}
    converting = [system.name for system in plan.converting if not system.control]
    made = ((name, pair) for name in converting for pair in plan.pairs_to_convert().values())
    broken = [(f.system, plan.pairs[f.pair]) for f in plan.broken if f.pair in plan.pairs]
    given = [(c.system, c.pair) for c in plan.given if c.system in systems]
    work = [*made, *given, *(one for one in broken if one[0] in systems)]
    foreign = {system.name for system in plan.converting if not system.control and _foreign(system)}
    return audit(systems, {(system, pair.id): (system, pair) for system, pair in work}.values(), foreign)


def _foreign(system: System) -> bool:
    """Whether the weights are others than the published ones, of which alone the training speakers are known."""
    converter = make_converter(system)
    found = editions(getattr(converter, "files", ()), converter.assets()).values()
    return converter.other_weights or not set(FOREIGN).isdisjoint(found)


def _system_row(plan: Plan, conversions: Conversions, system: System) -> dict[str, Any]:
    expected = conversions.expected(system)
    encoders = {} if system.control else {"encoders": dict(encoders_of(system))}
    several = {"seeds": seeds} if (seeds := plan.seeds_of(system)) > 1 else {}
    if system.converter == GIVEN:
        rates = sorted(plan.rates.get(system.name, ()))
        return {"name": system.name, "title": system.name, "converter": GIVEN, "kind": "given",
                "control": system.control, "sample_rate": rates[0] if len(rates) == 1 else None,
                **({"sample_rates": rates} if len(rates) > 1 else {}),
                "licence": "", "paper": "", "expected": expected, **several, **encoders}  # fmt: skip
    info = make_converter(system).info
    title = info.title if system.name == system.converter or system.name in plan.beside else system.name
    return {
        "name": system.name,
        # Tables show titles, whatever else they show
        "title": f"{title} (NC)" if info.noncommercial else title,
        "converter": system.converter,
        "kind": info.kind,
        "control": info.control,
        "sample_rate": info.sample_rate,
        "licence": info.licence,
        "paper": info.paper,
        "expected": expected,
        **several,
        **encoders,
    }


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path.resolve())
