"""What a run is going to do, fixed before anything is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vceval.checkpoints.store import editions
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.records import Conversion, ConversionPair, Failure, System, Utterance
from vceval.results.efficiency import Efficiency
from vceval.runner.factory import make_converter, make_metric
from vceval.runner.journal import Take
from vceval.signal.audio import USUAL, Reading
from vceval.storage.cache import file_digest
from vceval.version import VERSION

__all__ = ["GIVEN", "Plan", "check_same", "differences", "fingerprint"]

#: The converter of systems whose audio comes from elsewhere.
GIVEN = "given"
#: Form of the journals: those of another form can't be gone on with.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that determines the results of a run.

    given: conversions made elsewhere (``vceval score``), by the systems whose converter is :data:`GIVEN`; all others
        convert here.
    broken: rows that can't be scored from the start.
    missing: utterances of the frozen list that are absent on disk.
    notes: what a corpus reader found missing or malformed, for ``run.json``.
    seeds: how many times systems that draw noise convert each pair; given conversions have their own.
    beside: controls that nobody asked for, and the metrics that want them; all others are scored by all metrics.
    reading: how recordings are read; which channel is taken is part of every signature.
    rates: sample rates of given files, by system.
    took: what making given files took, where that was measured.
    """

    name: str
    label: str
    pairs: Mapping[str, ConversionPair]
    systems: Sequence[System]
    metrics: Sequence[str]
    natural: Sequence[Utterance]
    metric_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    seeds: int = 1
    data: str = ""
    given: Sequence[Conversion] = ()
    broken: Sequence[Failure] = ()
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()
    partial: bool = False
    custom: bool = False
    pairs_sha256: str = ""
    published: Sequence[Mapping[str, Any]] = field(default_factory=list)
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reading: Reading = USUAL
    rates: Mapping[str, Sequence[int]] = field(default_factory=dict)
    took: Sequence[Efficiency] = ()

    def metric(self, name: str) -> Metric:
        """Construct one of the plan's metrics, with the suite's parameters."""
        return make_metric(name, self.metric_options)

    def metrics_of(self, system: str) -> Sequence[str]:
        """The metrics that score a system."""
        return self.beside.get(system, self.metrics)

    def signatures(self) -> dict[str, str]:
        """Say of every metric how its values are made, the choice of a channel included."""
        return {name: self.metric(name).signature() + self.reading.signed for name in self.metrics}

    def seeds_of(self, system: System) -> int:
        """How many times a system converts each pair."""
        if system.converter == GIVEN:
            known: list[Conversion | Failure] = [*self.given, *self.broken]
            return max((one.seed for one in known if one.system == system.name), default=0) + 1
        return self.seeds if self.seeds > 1 and make_converter(system).info.draws_noise else 1

    def takes(self, systems: Iterable[System] | None = None) -> list[Take]:
        """All systems, or some, each with every seed that it converts a pair with."""
        some = self.systems if systems is None else systems
        return [Take(system.name, number) for system in some for number in range(self.seeds_of(system))]

    @property
    def converting(self) -> list[System]:
        """The systems that convert here."""
        return [system for system in self.systems if system.converter != GIVEN]

    def pairs_to_convert(self) -> Mapping[str, ConversionPair]:
        """What the systems that convert here are given: beside audio from elsewhere, the pairs that it is of."""
        if len(self.converting) == len(self.systems):
            return self.pairs
        there = {conversion.pair.id for conversion in self.given}
        return {name: pair for name, pair in self.pairs.items() if name in there}


def fingerprint(plan: Plan) -> dict[str, Any]:
    """Name all that must be the same for finished work to be used again."""
    return {
        "vceval": VERSION,
        "suite": plan.label,
        "data": plan.data,
        "seed": plan.seed,
        **({"seeds": plan.seeds} if plan.seeds > 1 else {}),
        **({"beside": {name: list(metrics) for name, metrics in plan.beside.items()}} if plan.beside else {}),
        **({"channel": plan.reading.channel} if plan.reading.channel else {}),
        "systems": [_system(system) for system in plan.systems],
        "metrics": plan.signatures(),
        "journal": _FORMAT,
        "pairs": _digest(plan.pairs.values()),
        "natural": _digest(plan.natural),
        "given": _digest(plan.given) if plan.given else None,
    }


def _system(system: System) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": system.name, "converter": system.converter, "options": dict(system.options),
    }  # fmt: skip
    if system.converter == GIVEN:
        return described
    converter = make_converter(system)
    if (signature := converter.signature()) != converter.info.name:
        described["signature"] = signature
    if files := converter.assets():
        described["files"] = {name: file_digest(path) for name, path in sorted(files.items())}
        if found := editions(getattr(converter, "files", ()), files):
            described["editions"] = found
    return described


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say in words what differs between two fingerprints."""
    found = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key), new.get(key)
        if before == after or (key == "metrics" and old.get("channel") != new.get("channel")):
            continue  # the choice of a channel is part of every signature
        if isinstance(before, dict) and isinstance(after, dict):
            changed = sorted(k for k in set(before) | set(after) if before.get(k) != after.get(k))
            found.append(f"{key} ({', '.join(changed)})")
        elif key in ("vceval", "suite", "data", "seed"):
            found.append(f"{key} ({before} before, {after} now)")
        elif key == "channel":
            found.append(f"--channel ({before or 'none'} before, {after or 'none'} now)")
        elif key == "seeds":
            found.append(f"seeds ({before or 1} before, {after or 1} now)")
        elif key == "systems":
            names = [", ".join(s["name"] for s in part or []) for part in (before, after)]
            files = [[(s["name"], s.get("files")) for s in part or []] for part in (before, after)]
            if names[0] != names[1]:
                found.append(f"systems ({names[0]} before, {names[1]} now)")
            elif files[0] != files[1]:
                changed = [now[0] for old, now in zip(*files, strict=True) if old != now]
                found.append(f"weight files of {', '.join(changed)}")
            else:
                found.append("options of systems")
        else:
            found.append(key)
    return found


def check_same(root: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to mix the results of two different plans; one with more seeds goes on where one with fewer ended.

    Raises:
        UsageError: they differ, and in what.
    """
    if new.get("seeds", 1) > old.get("seeds", 1):
        old = {**old, "seeds": new["seeds"]}
    found = differences(old, json.loads(json.dumps(new)))
    if found:
        raise UsageError(
            f"{root} holds a run that was asked for differently: {'; '.join(found)}. "
            "Give another folder with --out, or --fresh to start over here"
        )


def _digest(records: Iterable[Any]) -> str:
    """SHA-256 of records; what many of them share (an utterance, a pair) is put into words once."""
    found = hashlib.sha256()
    words: dict[int, bytes] = {}
    for record in records:
        found.update(_words(record, words))
    return found.hexdigest()


def _words(record: Any, known: dict[int, bytes]) -> bytes:
    parts = []
    for name in record.__slots__:
        value = getattr(record, name)
        if (name, value) in (("seed", 0), ("sha256", "")):  # not named, as in journals
            continue
        if isinstance(value, Utterance | ConversionPair):
            # The plan holds them, so that their numbers stay theirs
            if id(value) not in known:
                known[id(value)] = hashlib.sha256(_words(value, known)).digest()
            parts.append(known[id(value)].hex())
        elif isinstance(value, tuple):
            parts.append("(" + " ".join(_words(part, known).decode() for part in value) + ")")
        else:
            parts.append(repr(str(value) if isinstance(value, Path) else value))
    return ",".join(parts).encode() + b"\n"
