"""``vceval status RUN``: how far a run is, also while it is at work; nothing in the folder is touched."""

from __future__ import annotations

import fcntl
import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.results.rundir import RunDirectory
from vceval.runner.journal import read_records
from vceval.runner.progress import lasting

__all__ = ["Share", "StageStatus", "Status", "at_work", "profile", "profiled", "shown", "status"]

#: A rate is that of the last so many seconds in which something was done.
RECENT = 120.0
#: Of the slowest items of a stage, how many are told.
SLOWEST = 3


@dataclass(frozen=True)
class StageStatus:
    """How far one stage is.

    unit: what is counted. expected: None while nobody knows it. rate: items a second of late, None where nothing was
    timed. remaining: seconds to its end at that rate. slowest: (seconds, item), slowest first.
    """

    name: str
    unit: str
    done: int
    failed: int
    expected: int | None
    rate: float | None
    remaining: float | None
    slowest: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Status:
    """State of a run: ``running``, ``stopped`` (cut off, or ended by hand) or ``finished``; and its stages.

    A run is finished once its report is there.
    """

    run: str
    suite: str
    state: str
    created: str
    stages: list[StageStatus]

    def as_json(self) -> str:
        """The status as a JSON object, with a list of its stages."""
        return json.dumps(asdict(self), indent=1)


def status(root: Path) -> Status:
    """Read how far a run is.

    Raises:
        UsageError: there is no run in the folder.
    """
    run = RunDirectory(root)
    if not run.exists:
        raise UsageError(f"{root}: holds no run (no run.json); name the folder that a run was given with --out")
    facts = run.read_json("run.json", checked=False)
    asked, plan = facts.get("expected") or {}, facts.get("plan", {})
    expected, natural, given = asked.get("conversions"), asked.get("natural"), asked.get("given", 0)
    stages = []
    if expected != 0:
        conversions = _newest(read_records(run.root / "journal" / "convert.jsonl"), ("system", "pair"))
        stages.append(_stage("convert", "conversions", conversions, expected))
        there = sum(record["status"] == "ok" for record in conversions.values())
        expected = there if stages[0].done == expected else None
    expected = None if expected is None else expected + given
    if natural:
        done = natural if run.has("calibration.json") else 0
        stages.append(StageStatus("calibrate", "natural recordings", done, 0, natural, None, None))
    stages.append(_scored(run.root, plan.get("beside", {}), facts.get("metrics") or (), expected))
    done = facts.get("state") == "finished" and (run.report / "index.html").is_file()
    working = at_work(run.root)
    stages.append(StageStatus("report", "page", int(done and not working), 0, 1, None, None))
    state = "running" if working else "finished" if done else "stopped"
    return Status(str(root), str(facts.get("suite", "")), state, str(facts.get("created", "")), stages)


def _scored(
    root: Path, beside: Mapping[str, Sequence[str]], metrics: Collection[str], expected: int | None
) -> StageStatus:
    """Count conversions as scored once all metrics are done with them, as the progress bar does."""
    values = _newest(read_records(root / "journal" / "score.jsonl"), ("system", "pair", "metric"))
    of: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for (system, pair, _, *seed), record in values.items():
        of.setdefault((system, pair, *seed), []).append(record)
    scored = {
        key: {
            "status": "failed" if any(one["status"] == "failed" for one in records) else "ok",
            **({"at": max(moments)} if (moments := [one["at"] for one in records if "at" in one]) else {}),
        }
        for key, records in of.items()
        if len(records) >= len(beside.get(key[0], metrics))
    }
    slowest = heapq.nlargest(SLOWEST, _timed(values))
    return replace(_stage("score", "conversions", scored, expected), slowest=slowest)


@dataclass(frozen=True)
class Share:
    """What work of one kind took: of a system that converts, or of a metric that scores.

    share: of the time of its stage. each: seconds an item, a mean.
    """

    stage: str
    name: str
    items: int
    seconds: float
    share: float
    each: float


def profile(root: Path) -> list[Share]:
    """Add up what the work of a run took by its journals, the longest first in each stage.

    Time of all workers together; what was taken from the cache is in it with the little that this took.

    Raises:
        UsageError: there is no run in the folder.
    """
    run = RunDirectory(root)
    if not run.exists:
        raise UsageError(f"{root}: holds no run (no run.json); name the folder that a run was given with --out")
    shares = []
    for stage, names in (("convert", ("system", "pair")), ("score", ("metric", "system", "pair"))):
        spent: dict[str, list[float]] = {}
        for key, record in _newest(read_records(run.root / "journal" / f"{stage}.jsonl"), names).items():
            if "seconds" in record:
                spent.setdefault(key[0], []).append(record["seconds"])
        total = sum(map(sum, spent.values()))
        shares += [
            Share(stage, name, len(some), sum(some), sum(some) / total if total else 0.0, sum(some) / len(some))
            for name, some in sorted(spent.items(), key=lambda item: -sum(item[1]))
        ]
    return shares


def profiled(shares: Sequence[Share]) -> str:
    """Put a profile in a table of 80 columns."""
    if not shares:
        return "nothing was timed yet"
    lines = [f"{'':<10}{'':<30}{'items':>10}{'seconds':>11}{'share':>8}{'each':>11}"]
    for share in shares:
        name = share.name if len(share.name) < 30 else f"{share.name[:28]}…"
        lines.append(
            f"{share.stage:<10}{name:<30}{share.items:>10,}{share.seconds:>11,.1f}{100 * share.share:>6.1f} %"
            f"{1000 * share.each:>8,.1f} ms"
        )
    return "\n".join(lines)


def at_work(root: Path) -> bool:
    """Whether a process is at work in a run's folder."""
    try:
        with open(root / ".lock", "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def shown(found: Status) -> str:
    """Put a status in words."""
    lines = [f"{found.run}: {found.suite}, {found.state}, begun {found.created}"]
    for stage in found.stages:
        expected = "?" if stage.expected is None else f"{stage.expected:,}"
        line = f"{stage.name:<10}{stage.done:,}/{expected} {stage.unit}"
        if stage.failed:
            line += f", {stage.failed:,} failed"
        if stage.rate is not None:
            line += f", {stage.rate:.3g} a second"
        if stage.remaining and found.state == "running":
            line += f", {lasting(stage.remaining)} left"
        lines.append(line)
        lines += [f"{'':<10}{seconds:.1f} s  {item}" for seconds, item in stage.slowest]
    if found.state == "stopped":
        lines.append("the command that began it goes on from here")
    return "\n".join(lines)


def _newest(records: Iterable[dict[str, Any]], names: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The newest record of every item, with what is needed of it."""
    kept = ("status", "at", "seconds")
    return {
        (*(record[name] for name in names), *([f"seed {record['seed']}"] if "seed" in record else [])): {
            name: record[name] for name in kept if name in record
        }
        for record in records
    }


def _stage(
    name: str, unit: str, records: Mapping[tuple[str, ...], Mapping[str, Any]], expected: int | None
) -> StageStatus:
    counts = Counter(record["status"] for record in records.values())
    rate = _rate([record["at"] for record in records.values() if "at" in record])
    left = None if expected is None else expected - len(records)
    return StageStatus(
        name=name,
        unit=unit,
        done=len(records),
        failed=counts["failed"],
        expected=expected,
        rate=rate,
        remaining=left / rate if rate and left else None,
        slowest=heapq.nlargest(SLOWEST, _timed(records)),
    )


def _timed(records: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterator[tuple[float, str]]:
    return ((record["seconds"], " ".join(key)) for key, record in records.items() if "seconds" in record)


def _rate(times: list[float]) -> float | None:
    """Items a second up to the last one, of the last while; None for fewer than two moments."""
    if not times:
        return None
    last = max(times)
    late = [moment for moment in times if moment > last - RECENT]
    span = last - min(late)
    return (len(late) - late.count(min(late))) / span if span else None
