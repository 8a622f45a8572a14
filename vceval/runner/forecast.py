"""``vceval run --dry-run``: what a run would do, how long that takes here, and how much room it needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.errors import UsageError
from vceval.records import ConversionPair, System
from vceval.results.rundir import RunDirectory
from vceval.runner.audio_cache import Reuse
from vceval.runner.audio_files import audio_file, stamp
from vceval.runner.batches import Lengths
from vceval.runner.factory import make_converter, pair_seed, try_converter
from vceval.runner.integrity import begun
from vceval.runner.journal import Take, read_records
from vceval.runner.options import Options
from vceval.runner.plan import Plan, fingerprint
from vceval.runner.progress import lasting
from vceval.runner.timings import Rates, conversion_key

__all__ = ["Forecast", "Part", "check_room", "forecast", "room_needed", "shown"]

#: Bytes of a second of converted audio for each Hz: 24-bit FLAC, of which speech keeps three quarters at most.
_BYTES = 3 * 0.75
#: Rate taken for converters whose output has that of whatever they are given.
_USUAL_RATE = 24_000


@dataclass(frozen=True)
class Part:
    """A part of the work.

    kept: how many of those to do are taken from the cache. seconds: of one worker, for what is to do; None where that
    was never measured here. lack: why all of it will fail; empty where it will not.
    """

    stage: str
    name: str
    total: int
    todo: int
    kept: int
    seconds: float | None
    lack: str = ""


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

    @property
    def fails(self) -> bool:
        """Whether a part will fail, so that the run would end with exit code 1."""
        return any(part.lack and part.todo for part in self.parts)


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
    if not fresh:
        begun(run, fingerprint(plan))
    records = [] if fresh else read_records(run.root / "journal" / "convert.jsonl")
    done = _conversions_done(plan, run.root, records)
    scored = set() if fresh else _scores_done(run.root)
    reuse = Reuse(options.cache, plan.reading)
    parts = []
    todo: list[tuple[System, ConversionPair]] = []
    pairs = plan.pairs_to_convert()
    for system in plan.converting:
        takes = plan.takes([system])
        left = [(take, pair) for take in takes for pair in pairs.values() if (take, pair.id) not in done]
        address = reuse.system(system, make_converter(system), options.device)
        kept = sum(reuse.has(address, pair, pair_seed(plan.seed, pair.id, take.seed)) for take, pair in left)
        rate = rates.get(conversion_key(system.converter, options.device))
        seconds = None if rate is None and kept < len(left) else (rate or 0.0) * (len(left) - kept)
        lack = "; ".join(try_converter(system, options.device))
        total = len(takes) * len(pairs)
        parts.append(Part("convert", system.name, total, len(left), kept, 0.0 if lack else seconds, lack))
        todo += [] if lack else [(system, pair) for _, pair in left]
    names = [(Take(conversion.system, conversion.seed), conversion.pair.id) for conversion in plan.given]
    names += [key for key, state in done.items() if state == "ok"]
    for name in plan.metrics:
        coming = sum(name in plan.metrics_of(system.name) for system, _ in todo)
        there = [key for key in names if name in plan.metrics_of(key[0].system)]
        count = coming + sum((*key, name) not in scored for key in there)
        rate = rates.get(f"score {name}")
        parts.append(Part("score", name, coming + len(there), count, 0, None if rate is None else rate * count))
    return Forecast(plan.label, parts, room_needed(todo, Lengths()), _free(run.root), _workers(options), run.root)


def _conversions_done(plan: Plan, root: Path, records: Iterable[Mapping[str, Any]]) -> dict[tuple[Take, str], str]:
    """The conversions that need not be made, with their states; a control that does not exist for a pair is skipped."""
    done: dict[tuple[Take, str], str] = {}
    asked = set(plan.takes(plan.converting))
    for record in records:
        key = Take.of(record), record["pair"]
        there = record["status"] == "skipped" or (
            record["status"] == "ok" and audio_file(root, record["path"]).is_file()
        )
        if there and key[0] in asked and record["pair"] in plan.pairs:
            done[key] = record["status"]
        else:
            done.pop(key, None)
    return done


def _scores_done(root: Path) -> set[tuple[Take, str, str]]:
    """What was scored of the files as they are now."""
    stamps: dict[tuple[Take, str], Any] = {}
    done: dict[tuple[Take, str, str], Any] = {}
    for record in read_records(root / "journal" / "score.jsonl"):
        if record["status"] != "failed":
            done[Take.of(record), record["pair"], record["metric"]] = record["stamp"]
    for record in read_records(root / "journal" / "convert.jsonl"):
        if record["status"] == "ok":
            path = audio_file(root, record["path"])
            stamps[Take.of(record), record["pair"]] = list(stamp(path))
    return {key for key, found in done.items() if stamps.get(key[:2], found) == found}


def room_needed(todo: Iterable[tuple[System, ConversionPair]], lengths: Lengths) -> int:
    """Estimate the bytes of converted audio; recordings that are there already, by a control too, are not copied."""
    rates: dict[str, int] = {}
    needed = 0.0
    for system, pair in todo:
        if system.name not in rates:
            info = make_converter(system).info
            there = info.kind in ("precomputed", "unpublished") or (info.control and info.sample_rate is None)
            rates[system.name] = 0 if there else info.sample_rate or _USUAL_RATE
        if rates[system.name]:
            needed += lengths(pair) * rates[system.name] * _BYTES
    return int(needed)


def check_room(root: Path, todo: Iterable[tuple[System, ConversionPair]], lengths: Lengths) -> None:
    """Refuse to begin what the disk can't hold.

    Raises:
        UsageError: there is too little room, and how much is needed.
    """
    needed, free = room_needed(todo, lengths), _free(root)
    if needed > free:
        raise UsageError(
            f"{root}: {_megabytes(needed)} are needed for the conversions that are to be made, {_megabytes(free)} are "
            "free; make room, or give a folder on another disk with --out"
        )


def shown(found: Forecast) -> str:
    """Put a forecast in words."""
    lines = [f"{found.label}: what would be done in {found.folder}; this is a forecast, nothing was done"]
    for part in found.parts:
        line = f"{part.stage:<10}{part.name:<24}"
        if part.lack and part.todo:
            lines.append(f"{line}{part.todo:,} of {part.total:,} will fail")
            continue
        line += f"{part.todo:,} to do of {part.total:,}"
        if part.kept:
            line += f", {part.kept:,} of them from the cache"
        if part.todo:
            line += ", time unknown until measured" if part.seconds is None else f", {lasting(part.seconds)} of work"
        lines.append(line)
    lines.append(f"{'time':<10}{_time(found)}; calibration and report not counted")
    lines.append(f"{'disk':<10}about {_megabytes(found.needed)} for audio, {_megabytes(found.free)} free")
    return "\n".join(lines)


def _time(found: Forecast) -> str:
    todo = [part for part in found.parts if part.todo and not part.lack]
    unknown = sum(part.seconds is None for part in todo)
    if found.seconds is None or unknown == len(todo) > 0:
        return "unknown until measured: nothing of this was done on this machine yet; a run of a few pairs measures it"
    known = f"about {lasting(found.seconds)} with {found.workers} workers"
    if not unknown:
        return known
    return (
        f"unknown until measured for {unknown} of {len(todo)} parts (a run of a few pairs measures them), "
        f"{known} for the others"
    )


def _workers(options: Options) -> int:
    return max(1, options.workers)


def _free(root: Path) -> int:
    place = root
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
