"""Carry out a plan: convert, score, summarise, report; go on where an earlier attempt was cut off."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.cache import Cache
from vceval.errors import UsageError
from vceval.metrics.base import Workspace
from vceval.records import Conversion, Failure, Score, Skip, System
from vceval.rundir import RunDirectory
from vceval.runner.convert import convert, make_converter
from vceval.runner.facts import facts_of
from vceval.runner.journal import Journal
from vceval.runner.plan import Options, Plan, check_same, fingerprint
from vceval.runner.progress import say, stage
from vceval.runner.score import ScoreTask, calibrate, conversion_audio, make_metric, score
from vceval.summary import Results, static_need, summarise

__all__ = ["execute", "prepare"]

_KNOWN = ("run.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv", "skipped.csv",
          "calibration.json", "summary.json", "audio", "journal", "report", ".cache", ".lock")  # fmt: skip


@dataclass(slots=True)
class _Outcome:
    """What the journals say, newest record first."""

    conversions: list[Conversion]
    scores: list[Score]
    failures: list[Failure]
    skips: list[Skip]


def prepare(root: Path, fresh: bool) -> RunDirectory:
    """Take a folder for a run.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    run = RunDirectory(root)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is a file; --out names the folder of the run")
    if root.is_dir() and not run.exists and any(p.name not in _KNOWN for p in root.iterdir()):
        raise UsageError(f"{root}: holds other files and no run; give a new folder with --out")
    if fresh and run.exists:
        for name in _KNOWN:
            path = root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return run


def execute(plan: Plan, run: RunDirectory, options: Options) -> dict[str, Any]:
    """Do all that is not done yet and return the summary.

    Raises:
        UsageError: the folder holds a different run, or another process is working in it.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    with _locked(run.root):
        asked = fingerprint(plan)
        facts = facts_of(plan, options, asked)
        if run.exists:
            earlier = run.read_json("run.json")
            check_same(run.root, earlier.get("plan", {}), asked)
            facts["created"] = earlier.get("created", facts["created"])
        run.write_json("run.json", {**facts, "state": "running"})
        run.write_pairs(plan.pairs.values())
        with Journal(run.root / "journal" / "convert.jsonl") as conversions_done:
            _convert(plan, run, options, conversions_done)
            conversions, failures = _conversions(plan, run, conversions_done)
        run.write_audio((c.system, c.pair.id, _relative(c.path, run.root)) for c in conversions)
        kept = Cache(options.cache or run.root / ".cache")
        workspace = Workspace(
            cache=kept, natural=plan.natural, device=options.device, allow_download=options.allow_download
        )
        calibrations = _calibrate(plan, run, workspace, options)
        with Journal(run.root / "journal" / "score.jsonl") as scores_done:
            _score(plan, conversions, workspace, calibrations, options, scores_done)
            outcome = _outcome(plan, conversions, scores_done)
        outcome.failures += failures
        summary = _finish(plan, run, outcome, calibrations, facts)
        shutil.rmtree(run.root / ".cache", ignore_errors=True)
        return summary


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with open(root / ".lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{root}: another vceval is at work in this folder; wait for it or give another --out"
            ) from None
        yield


def _convert(plan: Plan, run: RunDirectory, options: Options, journal: Journal) -> None:
    if plan.given is not None:
        return
    done = {
        (record["system"], record["pair"])
        for record in journal.records()
        if record["status"] == "ok" and conversion_audio(run.root, record["path"]).is_file()
    }
    work = [(s, p) for s in plan.systems for p in plan.pairs.values() if (s.name, p.id) not in done]
    total = len(plan.systems) * len(plan.pairs)
    if not work:
        say(f"{'convert':<10}{total}/{total} conversions, all done before")
        return
    workers = 1 if options.device.startswith("cuda") else options.workers
    with stage("convert", total, "conversions") as advance:
        advance(total - len(work))
        for records in convert(
            run, work, device=options.device, workers=workers, seed=plan.seed, timeout=options.timeout
        ):
            journal.append(records)
            advance(len(records), sum(record["status"] != "ok" for record in records))


def _conversions(plan: Plan, run: RunDirectory, journal: Journal) -> tuple[list[Conversion], list[Failure]]:
    if plan.given is not None:
        return list(plan.given), list(plan.broken)
    newest = {(record["system"], record["pair"]): record for record in journal.records()}
    conversions, failures = [], []
    for system in plan.systems:
        says = make_converter(system).says
        for pair in plan.pairs.values():
            record = newest[system.name, pair.id]
            if record["status"] != "ok":
                failures.append(Failure(system.name, pair.id, "convert", "", record["reason"]))
                continue
            transcript = pair.transcript
            if says == "natural" and pair.natural is not None:
                transcript = pair.natural.transcript
            path = conversion_audio(run.root, record["path"])
            conversions.append(Conversion(system.name, pair, path, transcript, pair.language))
    return conversions, failures


def _calibrate(plan: Plan, run: RunDirectory, workspace: Workspace, options: Options) -> dict[str, dict[str, Any]]:
    if (run.root / "calibration.json").is_file():
        return run.read_json("calibration.json")
    found: dict[str, dict[str, Any]] = {}
    if plan.natural:
        with stage("calibrate", len(plan.natural), "natural recordings") as advance:
            found = calibrate(plan.metrics, plan.natural, workspace, options.workers)
            advance(len(plan.natural))
    run.write_json("calibration.json", found)
    return found


def _score(
    plan: Plan,
    conversions: list[Conversion],
    workspace: Workspace,
    calibrations: Mapping[str, Mapping[str, Any]],
    options: Options,
    journal: Journal,
) -> None:
    done = {
        (record["system"], record["pair"], record["metric"]): record["stamp"]
        for record in journal.records()
        if record["status"] != "failed"
    }
    stamps = {(c.system, c.pair.id): _stamp(c.path) for c in conversions}
    tasks = []
    for conversion in conversions:
        key = (conversion.system, conversion.pair.id)
        todo = tuple(name for name in plan.metrics if done.get((*key, name)) != stamps[key])
        if todo:
            tasks.append(ScoreTask(conversion, todo))
    if not tasks:
        say(f"{'score':<10}{len(conversions)}/{len(conversions)} conversions, all done before")
        return
    with stage("score", len(conversions), "conversions") as advance:
        advance(len(conversions) - len(tasks))
        for records in score(tasks, workspace, calibrations, options.workers):
            stamped = [{**record, "stamp": stamps[record["system"], record["pair"]]} for record in records]
            journal.append(stamped)
            advance(1, int(any(record["status"] == "failed" for record in records)))


def _stamp(path: Path) -> list[int]:
    """Size and time of change: a converted file that was replaced is scored again."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _outcome(plan: Plan, conversions: list[Conversion], journal: Journal) -> _Outcome:
    newest = {(r["system"], r["pair"], r["metric"]): r for r in journal.records()}
    measures = {name: make_metric(name).measures for name in plan.metrics}
    outcome = _Outcome(conversions, [], [], [])
    for conversion in conversions:
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
    return outcome


def _finish(
    plan: Plan,
    run: RunDirectory,
    outcome: _Outcome,
    calibrations: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    metrics = [make_metric(name) for name in plan.metrics]
    for failure in [failure for failure in outcome.failures if failure.stage != "score"]:
        for metric in metrics:
            need = static_need(metric, plan.pairs[failure.pair])
            if need:
                outcome.skips += [
                    Skip(failure.system, failure.pair, metric.name, m.name, need, "the pair lacks it")
                    for m in metric.measures
                ]
    run.write_scores(outcome.scores, plan.pairs)
    run.write_failures(outcome.failures)
    run.write_skips(outcome.skips)
    results = Results(plan.pairs, outcome.scores, outcome.failures, outcome.skips)
    summary: dict[str, Any] = {
        "name": plan.name,
        "suite": plan.label,
        "partial": plan.partial,
        "custom": plan.custom,
        **summarise(results, [_system_row(plan, outcome, system) for system in plan.systems], metrics),
        "calibration": calibrations,
        "published": list(plan.published),
    }
    summary["counts"]["missing"] = len(plan.missing)
    run.write_json("summary.json", summary)
    run.write_json("run.json", {**facts, "state": "finished"})
    return summary


def _system_row(plan: Plan, outcome: _Outcome, system: System) -> dict[str, Any]:
    if plan.given is not None:
        mine = [c for c in outcome.conversions if c.system == system.name]
        broken = [f for f in plan.broken if f.system == system.name]
        return {"name": system.name, "title": system.name, "converter": "given", "kind": "given", "control": False,
                "sample_rate": None, "licence": "", "paper": "", "expected": len(mine) + len(broken)}  # fmt: skip
    info = make_converter(system).info
    return {
        "name": system.name,
        "title": info.title,
        "converter": system.converter,
        "kind": info.kind,
        "control": info.control,
        "sample_rate": info.sample_rate,
        "licence": info.licence,
        "paper": info.paper,
        "expected": len(plan.pairs),
    }


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path.resolve())
