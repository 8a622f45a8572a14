"""Carry out a plan: convert, score, summarise; go on where an earlier attempt was cut off."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.converters.native import NativeConverter
from vceval.errors import UsageError
from vceval.metrics.base import Workspace
from vceval.records import ConversionPair
from vceval.results.rundir import RunDirectory
from vceval.runner.audio_files import Conversions
from vceval.runner.batches import Lengths
from vceval.runner.convert import convert
from vceval.runner.forecast import check_room
from vceval.runner.integrity import JOURNALS, RESULTS, begun, digest, faulty, look, ours, start_over, unscored, whole
from vceval.runner.journal import Ledger, Take, read_records
from vceval.runner.options import Options
from vceval.runner.plan import Plan, fingerprint
from vceval.runner.pool import preload
from vceval.runner.progress import say, stage
from vceval.runner.provenance import facts_of
from vceval.runner.score import Scorers, learning
from vceval.runner.tables import write_results
from vceval.runner.timings import Rates, measured
from vceval.storage import cache
from vceval.storage.cache import Cache
from vceval.storage.files import PART

__all__ = ["convert_ledger", "execute", "locked", "prepare", "score_ledger"]

#: `vceval status` holds the lock for an instant, to see whether it is free.
_LOCK_ATTEMPTS = 3


def prepare(root: Path) -> RunDirectory:
    """Look whether a folder can be taken for a run.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    run = RunDirectory(root)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is a file; --out names the folder of the run")
    if root.is_dir() and not run.exists and any(not ours(path.name) for path in root.iterdir()):
        raise UsageError(f"{root}: holds other files and no run; give a new folder with --out")
    return run


def execute(plan: Plan, run: RunDirectory, options: Options, fresh: bool = False) -> tuple[dict[str, Any], bool]:
    """Do all that is not done yet, and again what is damaged; the folder is :func:`locked`.

    Args:
        plan: what is asked for.
        run: the folder.
        options: how it is done.
        fresh: throw away what an earlier attempt left there.

    Returns:
        The summary, and whether anything was left to do.

    Raises:
        UsageError: the folder holds a different run.
        NoRoomError: a disk is full.
    """
    if fresh:
        start_over(run)
    asked = fingerprint(plan)
    facts = facts_of(plan, options, asked)
    earlier = begun(run, asked)
    facts["created"] = earlier.get("created", facts["created"])
    with contextlib.ExitStack() as ledgers:
        converted = ledgers.enter_context(convert_ledger(plan, run)) if plan.converting else None
        scored = ledgers.enter_context(score_ledger(plan, run))
        conversions = Conversions(plan, run, converted)
        finished = whole(run, [scored] if converted is None else [converted, scored])
        finished = finished and earlier.get("state") == "finished"
        unscored_now = look(plan, conversions, converted, scored)
        unconverted = 0 if converted is None else converted.count("", "failed")
        if finished and not unconverted and not unscored_now:
            say(f"{'finished':<10}{len(conversions)} conversions, all done and scored before")
            return run.read_json("summary.json"), False
        run.write_json("run.json", {**facts, "state": "running"})
        run.hashes.write("run.json", plan=digest(asked))
        _tidy(run.root)
        if options.cache is not None:
            cache.trim(options.cache, cache.default_limit())
        run.write_pairs(plan.pairs.values())
        if options.executor == "local":
            preload(_libraries(plan))
        if converted is not None:
            _convert(plan, run, options, converted)
        workspace = Workspace(
            cache=Cache(options.cache or run.root / ".cache", reading=plan.reading.key), natural=plan.natural,
            device=options.device, reading=plan.reading,
        )  # fmt: skip
        learnt = run.root / "calibration.json"
        with Scorers(plan.metrics, plan.metric_options, workspace, learnt, options) as scorers:
            calibrations = _calibrate(plan, run, scorers)
            _score(plan, conversions, scorers, scored)
        Rates(options.cache).learn(_taken(plan, run, options))
        summary = write_results(plan, run, conversions, scored, calibrations)
    run.write_json("run.json", {**facts, "state": "finished"})
    run.hashes.write("run.json", *RESULTS, *(name for name in JOURNALS if (run.root / name).is_file()))
    shutil.rmtree(run.root / ".cache", ignore_errors=True)
    return summary, True


def _libraries(plan: Plan) -> list[str]:
    """What takes long to import, and workers will need."""
    measuring = any("torch" in plan.metric(name).packages for name in plan.metrics)
    converters = [registry.load("converter", one.converter) for one in plan.converting]
    return ["torch"] if measuring or any(issubclass(one, NativeConverter) for one in converters) else []


def convert_ledger(plan: Plan, run: RunDirectory) -> Ledger:
    """Open what the run's folder says of every system's conversion of every pair."""
    axes: dict[str, Sequence[Hashable]] = {
        "take": plan.takes(plan.converting), "pair": list(plan.pairs_to_convert()),
    }  # fmt: skip
    return Ledger(run.root / "journal" / "convert.jsonl", axes)


def score_ledger(plan: Plan, run: RunDirectory) -> Ledger:
    """Open what the run's folder says of every metric's work on every conversion."""
    axes: dict[str, Sequence[Hashable]] = {
        "take": plan.takes(), "pair": list(plan.pairs), "metric": list(plan.metrics),
    }  # fmt: skip
    return Ledger(run.root / "journal" / "score.jsonl", axes)


def _tidy(root: Path) -> None:
    """Remove what killed processes were writing."""
    for path in root.rglob(f"{PART}*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Be the only process at work in a run's folder, which is made.

    Raises:
        UsageError: another one is.
    """
    root.mkdir(parents=True, exist_ok=True)
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


def _convert(plan: Plan, run: RunDirectory, options: Options, ledger: Ledger) -> None:
    takes, pairs = plan.takes(plan.converting), plan.pairs_to_convert()
    total = len(takes) * len(pairs)

    def todo(take: Take, pair: ConversionPair) -> bool:
        return ledger.state(take, pair.id) in ("", "failed")

    left = ledger.count("", "failed")
    if not left:
        say(f"{'convert':<10}{total}/{total} conversions, all done before")
        return
    lengths = Lengths()
    systems = {system.name: system for system in plan.converting}
    left_over = ((systems[take.system], p) for take in takes for p in pairs.values() if todo(take, p))
    check_room(run.root, left_over, lengths)
    seeds = Counter(take.system for take in takes)
    with stage("convert", total, "conversions", total - left) as advance:
        for records in convert(
            run, plan.converting, pairs.values(), todo, options, plan.seed, lengths, seeds, plan.reading
        ):
            ledger.append(records)
            advance(len(records), sum(record["status"] == "failed" for record in records))


def _calibrate(plan: Plan, run: RunDirectory, scorers: Scorers) -> dict[str, dict[str, Any]]:
    with contextlib.suppress(UsageError):  # not there, or not as it was written: learnt again
        earlier = run.read_json("calibration.json")
        if not faulty(earlier):
            return earlier
    found: dict[str, dict[str, Any]] = {}
    if plan.natural and learning(plan.metrics, plan.metric_options):
        with stage("calibrate", len(plan.natural), "natural recordings") as advance:
            found = scorers.calibrate()
            advance(len(plan.natural))
    run.write_json("calibration.json", found)
    run.hashes.write("calibration.json")
    return found


def _score(plan: Plan, conversions: Conversions, scorers: Scorers, ledger: Ledger) -> None:
    left = total = 0
    for conversion in conversions.slots():
        total += conversion is not None
        left += conversion is not None and unscored(plan, ledger, conversion) is not None
    if not left:
        say(f"{'score':<10}{total}/{total} conversions, all done before")
        return
    with stage("score", total, "conversions", total - left) as advance:
        coming = scorers.score(conversions.slots(), len(conversions), lambda one: unscored(plan, ledger, one))
        for scored in coming:
            ledger.append(scored.records)
            advance(scored.conversions, scored.failed)


def _taken(plan: Plan, run: RunDirectory, options: Options) -> dict[str, float]:
    conversions, scores = (read_records(run.root / "journal" / f"{name}.jsonl") for name in ("convert", "score"))
    return measured(plan, options.device, conversions, scores)
