"""What an earlier attempt left in a run's folder: whether it is of the same plan, and as it was written."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.records import Conversion
from vceval.results import hashes
from vceval.results.rundir import RunDirectory
from vceval.results.views import SCHEMA
from vceval.runner.audio_files import GONE, Conversions, stamp
from vceval.runner.journal import Ledger
from vceval.runner.plan import Plan, check_same
from vceval.runner.progress import say
from vceval.runner.score_worker import ScoreTask, take_of
from vceval.storage.cache import file_digest
from vceval.storage.files import PART

__all__ = ["JOURNALS", "RESULTS", "begun", "digest", "faulty", "look", "ours", "start_over", "unscored", "whole"]

RESULTS = ("calibration.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv", "skipped.csv",
           "leakage.csv", "efficiency.json", "summary.json")  # fmt: skip
JOURNALS = ("journal/convert.jsonl", "journal/score.jsonl")
#: What goes when a run starts over, in this order: what is left of one that is killed meanwhile is still of one plan.
_MADE = ("journal", "audio", *RESULTS, "report", ".cache", "run.json")
#: What listeners said is never thrown away.
_KEPT = ("listening", "listening.json", "listening.csv")
#: Recordings that one message names.
_NAMED = 3


def ours(name: str) -> bool:
    """Whether a run has a file or folder of a name."""
    return name in (*_MADE, *_KEPT, hashes.FILE, ".lock") or name.startswith(PART)


def start_over(run: RunDirectory) -> None:
    """Remove all that a run made but what listeners said; nothing of a folder in which none was begun."""
    known = run.hashes
    if not (run.exists or "run.json" in known or known.broken):
        return
    for name in _MADE:
        path = run.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    known.keep(*_KEPT)


def begun(run: RunDirectory, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``run.json`` of an earlier attempt at the same plan; empty for none, and for one that must be written again.

    Raises:
        UsageError: it was asked for differently, or its ``run.json`` is damaged and nothing else says what was asked.
    """
    fault = run.hashes.fault("run.json")
    if fault is None and not run.exists:
        return {}
    try:
        earlier = run.read_json("run.json", checked=False)
        check_same(run.root, earlier.get("plan", {}), asked)
    except (UsageError, OSError, ValueError, TypeError, AttributeError):
        if fault is None:
            raise
        if run.hashes.plan != digest(asked):
            raise UsageError(
                f"{run.root / 'run.json'}: {fault}; only the command that made the run can write it again, and this "
                "one asks for something else. Give another folder with --out, or --fresh to start over here"
            ) from None
        return {}
    return earlier


def digest(asked: Mapping[str, Any]) -> str:
    """Hash of what a run was asked for."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def whole(run: RunDirectory, ledgers: Sequence[Ledger]) -> bool:
    """Whether all files of the results are there, as they were written, and for good; says which are not."""
    known = run.hashes
    faults = [f"{run.root / hashes.FILE}: damaged: written again"] if known.broken else []
    for ledger in ledgers:
        if ledger.damaged:
            faults.append(f"{ledger.path}: damaged in {ledger.damaged} of its batches: their work is done again")
    for name in known.names:
        told = name in _KEPT or any(ledger.damaged and ledger.path == run.root / name for ledger in ledgers)
        if not told and (fault := known.fault(name)) is not None:
            how = "what it lacks is done again" if name in JOURNALS else "written again"
            faults.append(f"{run.root / name}: {fault}: {how}")
    for fault in faults:
        say(f"vceval: {fault}")
    if faults or not all(name in known for name in RESULTS):
        return False
    return not faulty(run.read_json("calibration.json")) and run.read_json("summary.json").get("schema") == SCHEMA


def faulty(learnt: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Why something could not be learnt from natural speech that can be another time, such as a worker that died."""
    return [
        f"{metric}, {dataset}: {facts['unavailable']}"
        for metric, datasets in learnt.items()
        for dataset, facts in datasets.items()
        if facts.get("fault")
    ]


def look(plan: Plan, conversions: Conversions, converted: Ledger | None, scored: Ledger) -> int:
    """Count what is not scored of what is there.

    What has no audio any more, or other audio than was converted, is taken for not converted. Where the audio is the
    same and only bears another time, as in a folder that was copied, the new time is written down.
    """
    count = 0
    changed: dict[str, list[Path]] = {}
    converting = {system.name for system in plan.converting}
    for conversion in conversions.slots():
        if conversion is None:
            continue
        names, path = (take_of(conversion), conversion.pair.id), conversion.path
        present = stamp(path)
        metrics = plan.metrics_of(conversion.system)
        made = converted is not None and conversion.system in converting
        if converted is not None and made:
            doubtful = any(scored.state(*names, name) == "failed" for name in metrics)
            if not _agrees(converted, [names], path, present, doubtful):
                converted.forget(*names)
                changed.setdefault("converted", []).append(path)
        done = [(*names, name) for name in metrics if scored.state(*names, name) in ("ok", "skipped")]
        if not _agrees(scored, done, path, present) and not made:
            changed.setdefault("scored", []).append(path)
        count += unscored(plan, scored, conversion) is not None
    for work, paths in changed.items():
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        named = ", ".join(map(str, paths[:_NAMED]))
        say(f"vceval: not there any more, or not what was {work}: {named}{more}: {work} again")
    return count


def _agrees(
    ledger: Ledger, items: Sequence[Sequence[Hashable]], path: Path, present: tuple[int, int], doubtful: bool = False
) -> bool:
    """Whether records are about the recording as it is: by its stamp, or else, and where in doubt, by its bytes."""
    moved = []
    for names in items:
        known = ledger.stamp(*names)
        if known == list(present) and not doubtful:
            continue
        record = ledger.record(*names)
        if "sha256" not in record or present == GONE:  # of a version that kept no hashes
            if present == GONE or (known != list(present) and "stamp" in record):
                return False
        elif _digest_of(path) != record["sha256"]:
            return False
        elif known != list(present):
            moved.append({**record, "stamp": list(present)})
    if moved:
        ledger.append(moved)
    return True


def _digest_of(path: Path) -> str:
    """SHA-256 of a recording; empty for one that can't be read."""
    try:
        return file_digest(path)
    except OSError:
        return ""


def unscored(plan: Plan, scored: Ledger, conversion: Conversion) -> ScoreTask | None:
    """What is to be scored of a conversion: the metrics that have no score of its present audio."""
    names = take_of(conversion), conversion.pair.id
    present = stamp(conversion.path)
    todo = tuple(
        name
        for name in plan.metrics_of(conversion.system)
        if scored.state(*names, name) in ("", "failed") or scored.stamp(*names, name) != list(present)
    )
    return ScoreTask(conversion, todo, present) if todo else None
