"""From journals to results: what was converted and scored, what failed, and the files that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vceval.leakage import PairExposure, audit
from vceval.records import Conversion, Failure, Score, Skip, System
from vceval.rundir import RunDirectory
from vceval.runner.convert import make_converter
from vceval.runner.journal import Journal
from vceval.runner.plan import Plan
from vceval.runner.score import conversion_audio
from vceval.summary import Results, shown, static_need, summarise

__all__ = ["Outcome", "gather_conversions", "gather_scores", "write_results"]


@dataclass(slots=True)
class Outcome:
    """What the newest records of the journals say.

    absent: per system, the pairs for which it does not exist at all (a control without natural speech).
    """

    conversions: list[Conversion] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    absent: dict[str, int] = field(default_factory=dict)


def gather_conversions(plan: Plan, run: RunDirectory, journal: Journal) -> Outcome:
    """Find the audio of every system and pair, and the reasons where there is none."""
    if plan.given is not None:
        return Outcome(conversions=list(plan.given), failures=list(plan.broken))
    newest = {(record["system"], record["pair"]): record for record in journal.records()}
    measures = [(name, measure.name) for name in plan.metrics for measure in plan.metric(name).measures]
    outcome = Outcome()
    for system in plan.systems:
        says = make_converter(system).says
        for pair in plan.pairs.values():
            record = newest[system.name, pair.id]
            if record["status"] == "failed":
                outcome.failures.append(Failure(system.name, pair.id, "convert", "", record["reason"]))
            elif record["status"] == "skipped":
                outcome.absent[system.name] = outcome.absent.get(system.name, 0) + 1
                outcome.skips += [
                    Skip(system.name, pair.id, metric, measure, record["need"], record["reason"])
                    for metric, measure in measures
                ]
            else:
                transcript = pair.transcript
                if says == "natural" and pair.natural is not None:
                    transcript = pair.natural.transcript
                path = conversion_audio(run.root, record["path"])
                outcome.conversions.append(Conversion(system.name, pair, path, transcript, pair.language))
    return outcome


def gather_scores(plan: Plan, outcome: Outcome, journal: Journal) -> None:
    """Add the scores of all conversions, and the reasons where there is none."""
    newest = {(r["system"], r["pair"], r["metric"]): r for r in journal.records()}
    measures = {name: plan.metric(name).measures for name in plan.metrics}
    for conversion in outcome.conversions:
        for name in plan.metrics:
            key = (conversion.system, conversion.pair.id, name)
            record = newest[key]
            if record["status"] == "failed":
                outcome.failures.append(Failure(key[0], key[1], "score", name, record["reason"]))
            elif record["status"] == "skipped":
                outcome.skips += [
                    Skip(*key, measure.name, record["need"], record["reason"]) for measure in measures[name]
                ]
            else:
                for measure, (numerator, denominator) in record["sums"].items():
                    value = numerator / denominator
                    outcome.scores.append(Score(*key, measure, value, numerator, denominator, record["details"]))
                for measure, (need, reason) in record["unmet"].items():
                    outcome.skips.append(Skip(*key, measure, need, reason))


def write_results(
    plan: Plan,
    run: RunDirectory,
    outcome: Outcome,
    calibrations: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Write scores, failures, skips and the summary; returns the summary."""
    metrics = [plan.metric(name) for name in plan.metrics]
    for failure in [failure for failure in outcome.failures if failure.stage != "score"]:
        for metric in metrics:
            need = static_need(metric, plan.pairs[failure.pair])
            if need:
                outcome.skips += [
                    Skip(failure.system, failure.pair, metric.name, m.name, need, "the pair lacks it")
                    for m in metric.measures
                ]
    run.write_scores(outcome.scores, plan.pairs, {metric.name: metric.signature() for metric in metrics})
    run.write_failures(outcome.failures)
    run.write_skips(outcome.skips)
    exposures = _exposures(plan)
    run.write_leakage((entry.system, entry.pair, entry.source, entry.target) for entry in exposures)
    results = Results(plan.pairs, outcome.scores, outcome.failures, outcome.skips)
    summary: dict[str, Any] = {
        "name": plan.name,
        "suite": plan.label,
        "partial": plan.partial,
        "custom": plan.custom,
        **summarise(
            results, [_system_row(plan, outcome, system) for system in plan.systems], metrics, calibrations, exposures
        ),
        "calibration": shown(calibrations),
        "published": list(plan.published),
    }
    summary["counts"]["missing"] = len(plan.missing)
    run.write_json("summary.json", summary)
    return summary


def _exposures(plan: Plan) -> list[PairExposure]:
    """Look up what the systems (not the controls) have heard of their pairs' speakers."""
    systems = {system.name: system.converter for system in plan.systems if not system.control}
    if plan.given is None:
        return audit(systems, ((name, pair) for name in systems for pair in plan.pairs.values()))
    broken = [(f.system, plan.pairs[f.pair]) for f in plan.broken if f.pair in plan.pairs]
    return audit(systems, [*((c.system, c.pair) for c in plan.given), *broken])


def _system_row(plan: Plan, outcome: Outcome, system: System) -> dict[str, Any]:
    if plan.given is not None:
        mine = [c for c in outcome.conversions if c.system == system.name]
        broken = [f for f in plan.broken if f.system == system.name]
        return {"name": system.name, "title": system.name, "converter": "given", "kind": "given", "control": False,
                "sample_rate": None, "licence": "", "paper": "", "expected": len(mine) + len(broken)}  # fmt: skip
    info = make_converter(system).info
    return {
        "name": system.name,
        "title": info.title if system.name == system.converter else system.name,
        "converter": system.converter,
        "kind": info.kind,
        "control": info.control,
        "sample_rate": info.sample_rate,
        "licence": info.licence,
        "paper": info.paper,
        "expected": len(plan.pairs) - outcome.absent.get(system.name, 0),
    }
