"""``vceval run --dry-run``: what a run would do, how long that takes here, and how much room it needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval import audio
from vceval.errors import ItemError, UsageError
from vceval.records import Conversion, ConversionPair, System
from vceval.rundir import RunDirectory
from vceval.runner.convert import make_converter
from vceval.runner.journal import read_records
from vceval.runner.plan import Options, Plan, check_same, fingerprint
from vceval.runner.progress import lasting
from vceval.runner.rates import Rates, conversion_key
from vceval.runner.score import conversion_audio
from vceval.runner.todo import conversions_to_do, scores_to_do

__all__ = ["Forecast", "Part", "check_room", "forecast", "room_needed", "shown"]

#: Bytes of a second of converted audio for each Hz: 24-bit FLAC, of which speech keeps three quarters at most.
_BYTES = 3 * 0.75
#: Rate taken for converters whose output has that of whatever they are given.
_USUAL_RATE = 24_000


@dataclass(frozen=True)
class Part:
    """A part of the work. seconds: of one worker, for what is to do; None where that was never measured here."""

    stage: str
    name: str
    total: int
    todo: int
    seconds: float | None


@dataclass(frozen=True)
class Forecast:
    """What a run would do. needed, free: bytes. seconds: of wall-clock time, None where no part was ever measured."""

    label: str
    parts: list[Part]
    needed: int
    free: int
    workers: int
    folder: Path

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of the parts that were measured before."""
        known = [part.seconds for part in self.parts if part.seconds is not None and part.todo]
        return sum(known) / self.workers if known else None


def forecast(plan: Plan, run: RunDirectory, options: Options, fresh: bool = False) -> Forecast:
    """Find out what is to do; nothing is written.

    Args:
        plan: what is asked for.
        run: the folder, whether it is there or not.
        options: how it would be run.
        fresh: earlier work in the folder would be thrown away.

    Raises:
        UsageError: the folder holds a run that was asked for differently.
    """
    rates = Rates(options.cache)
    if run.exists and not fresh:
        check_same(run.root, run.read_json("run.json").get("plan", {}), fingerprint(plan))
    journals = [run.root / "journal" / f"{name}.jsonl" for name in ("convert", "score")]
    records, scored = ([] if fresh else list(read_records(journal)) for journal in journals)
    todo = conversions_to_do(plan, run.root, records)
    parts = []
    if plan.given is None:
        for system in plan.systems:
            count = sum(one.name == system.name for one, _ in todo)
            rate = rates.get(conversion_key(system.converter, options.device))
            parts.append(Part("convert", system.name, len(plan.pairs), count, None if rate is None else rate * count))
    there = _there(plan, run.root, records, {(system.name, pair.id) for system, pair in todo})
    unscored = scores_to_do(plan, there, scored)
    total = len(there) + len(todo)
    for name in plan.metrics:
        count = len(todo) + sum(name in task.metrics for task in unscored)
        rate = rates.get(f"score {name}")
        parts.append(Part("score", name, total, count, None if rate is None else rate * count))
    return Forecast(plan.label, parts, room_needed(todo), _free(run.root), _workers(options), run.root)


def _there(plan: Plan, root: Path, records: list[dict[str, Any]], waiting: set[tuple[str, str]]) -> list[Conversion]:
    """The conversions that need not be made; a control that does not exist for a pair is none."""
    if plan.given is not None:
        return list(plan.given)
    newest = {(record["system"], record["pair"]): record for record in records}
    return [
        Conversion(system, plan.pairs[pair], conversion_audio(root, record["path"]))
        for (system, pair), record in newest.items()
        if record["status"] == "ok" and pair in plan.pairs and (system, pair) not in waiting
    ]


def room_needed(todo: list[tuple[System, ConversionPair]]) -> int:
    """Estimate the bytes of converted audio; controls and audio from elsewhere are not copied."""
    lengths: dict[Path, float] = {}
    needed = 0.0
    for system in {system.name: system for system, _ in todo}.values():
        info = make_converter(system).info
        if info.control or info.kind in ("precomputed", "unpublished"):
            continue
        for source in (pair.source for other, pair in todo if other.name == system.name):
            if source is not None:
                if source.path not in lengths:
                    lengths[source.path] = _length(source.path)
                needed += lengths[source.path] * (info.sample_rate or _USUAL_RATE) * _BYTES
    return int(needed)


def check_room(root: Path, todo: list[tuple[System, ConversionPair]]) -> None:
    """Refuse to begin what the disk can't hold.

    Raises:
        UsageError: there is too little room, and how much is needed.
    """
    needed, free = room_needed(todo), _free(root)
    if needed > free:
        raise UsageError(
            f"{root}: {_megabytes(needed)} are needed for {len(todo):,} conversions, {_megabytes(free)} are free; make "
            "room, or give a folder on another disk with --out"
        )


def shown(found: Forecast) -> str:
    """Put a forecast in words."""
    lines = [f"{found.label}: what would be done in {found.folder}; this is a forecast, nothing was done"]
    for part in found.parts:
        line = f"{part.stage:<10}{part.name:<24}{part.todo:,} to do of {part.total:,}"
        if part.todo:
            line += ", never measured here" if part.seconds is None else f", {lasting(part.seconds)} of work"
        lines.append(line)
    unknown = sum(part.seconds is None and part.todo > 0 for part in found.parts)
    told = "not known" if found.seconds is None else f"about {lasting(found.seconds)}"
    others = f", without {unknown} parts that were never measured" if unknown and found.seconds is not None else ""
    lines.append(f"{'time':<10}{told} with {found.workers} workers{others}; calibration and report not counted")
    lines.append(f"{'disk':<10}about {_megabytes(found.needed)} for audio, {_megabytes(found.free)} free")
    return "\n".join(lines)


def _workers(options: Options) -> int:
    return max(1, options.workers)


def _length(path: Path) -> float:
    try:
        return audio.duration(path)
    except ItemError:
        return 0.0  # it will be a failure, and needs no room


def _free(root: Path) -> int:
    place = root
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
