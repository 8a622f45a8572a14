"""Carry out a plan: convert, score, summarise, report; go on where an earlier attempt was cut off."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vceval.cache import Cache
from vceval.errors import UsageError
from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion
from vceval.rundir import RunDirectory
from vceval.runner.convert import convert
from vceval.runner.facts import facts_of
from vceval.runner.forecast import check_room
from vceval.runner.journal import Journal, read_records
from vceval.runner.outcome import gather_conversions, gather_scores, write_results
from vceval.runner.plan import Options, Plan, check_same, fingerprint
from vceval.runner.progress import say, stage
from vceval.runner.rates import Rates, measured
from vceval.runner.score import calibrate, score
from vceval.runner.todo import conversions_to_do, scores_to_do, stamp

__all__ = ["execute", "prepare"]

_KNOWN = ("run.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv", "skipped.csv", "leakage.csv",
          "calibration.json", "summary.json", "audio", "journal", "report", ".cache", ".lock")  # fmt: skip
#: What listeners said is never thrown away.
_KEPT = ("listening", "listening.json", "listening.csv")

#: `vceval status` holds the lock for an instant, to see whether it is free.
_LOCK_ATTEMPTS = 3


def prepare(root: Path, fresh: bool) -> RunDirectory:
    """Take a folder for a run.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    run = RunDirectory(root)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is a file; --out names the folder of the run")
    if root.is_dir() and not run.exists and any(p.name not in (*_KNOWN, *_KEPT) for p in root.iterdir()):
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
            outcome = gather_conversions(plan, run, conversions_done)
        run.write_audio((c.system, c.pair.id, _relative(c.path, run.root)) for c in outcome.conversions)
        kept = Cache(options.cache or run.root / ".cache")
        workspace = Workspace(
            cache=kept, natural=plan.natural, device=options.device, allow_download=options.allow_download
        )
        calibrations = _calibrate(plan, run, workspace, options)
        with Journal(run.root / "journal" / "score.jsonl") as scores_done:
            _score(plan, outcome.conversions, workspace, calibrations, options, scores_done)
            gather_scores(plan, outcome, scores_done)
        Rates(options.cache).learn(_taken(plan, run, options))
        summary = write_results(plan, run, outcome, calibrations)
        run.write_json("run.json", {**facts, "state": "finished"})
        shutil.rmtree(run.root / ".cache", ignore_errors=True)
        return summary


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    with open(root / ".lock", "w") as handle:
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == _LOCK_ATTEMPTS - 1:
                    raise UsageError(
                        f"{root}: another vceval is at work in this folder; wait for it or give another --out"
                    ) from None
                time.sleep(0.1)
        yield


def _convert(plan: Plan, run: RunDirectory, options: Options, journal: Journal) -> None:
    if plan.given is not None:
        return
    work = conversions_to_do(plan, run.root, journal.records())
    total = len(plan.systems) * len(plan.pairs)
    if not work:
        say(f"{'convert':<10}{total}/{total} conversions, all done before")
        return
    check_room(run.root, work)
    workers = 1 if options.device.startswith("cuda") else options.workers
    with stage("convert", total, "conversions") as advance:
        advance(total - len(work))
        for records in convert(
            run, work, device=options.device, workers=workers, seed=plan.seed, timeout=options.timeout
        ):
            journal.append(records)
            advance(len(records), sum(record["status"] == "failed" for record in records))


def _calibrate(plan: Plan, run: RunDirectory, workspace: Workspace, options: Options) -> dict[str, dict[str, Any]]:
    if (run.root / "calibration.json").is_file():
        return run.read_json("calibration.json")
    found: dict[str, dict[str, Any]] = {}
    learning = any(type(plan.metric(name)).calibrate is not Metric.calibrate for name in plan.metrics)
    if plan.natural and learning:
        with stage("calibrate", len(plan.natural), "natural recordings") as advance:
            found = calibrate(plan.metrics, plan.metric_options, workspace, options.workers)
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
    tasks = scores_to_do(plan, conversions, journal.records())
    if not tasks:
        say(f"{'score':<10}{len(conversions)}/{len(conversions)} conversions, all done before")
        return
    stamps = {(task.conversion.system, task.conversion.pair.id): stamp(task.conversion.path) for task in tasks}
    with stage("score", len(conversions), "conversions") as advance:
        advance(len(conversions) - len(tasks))
        for records in score(tasks, plan.metric_options, workspace, calibrations, options.workers):
            stamped = [{**record, "stamp": stamps[record["system"], record["pair"]]} for record in records]
            journal.append(stamped)
            advance(1, int(any(record["status"] == "failed" for record in records)))


def _taken(plan: Plan, run: RunDirectory, options: Options) -> dict[str, float]:
    conversions, scores = (read_records(run.root / "journal" / f"{name}.jsonl") for name in ("convert", "score"))
    return measured(plan, options.device, conversions, scores)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path.resolve())
