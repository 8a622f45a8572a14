"""What work took on this machine, kept from run to run, so that the next one can be forecast."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from vceval.results.rundir import write_atomically
from vceval.runner.plan import Plan

__all__ = ["Rates", "conversion_key", "measured"]

#: Fewer items than this say little: loading dominates.
LEAST = 4


def conversion_key(converter: str, device: str) -> str:
    """Name what a converter's rate is kept by."""
    return f"convert {converter} {device.partition(':')[0]}"


class Rates:
    """Seconds of work an item, by what is worked at; in ``rates.json`` in a folder, None for nowhere.

    Damaged files count as empty: they hold nothing that can't be measured again.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / "rates.json"
        self.values: dict[str, float] = {}
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
                found = json.loads(self._file.read_text(encoding="utf-8")).items()
                self.values = {str(k): float(v) for k, v in found if math.isfinite(float(v)) and float(v) >= 0}

    def get(self, key: str) -> float | None:
        """Seconds of work an item; None where it was never measured."""
        return self.values.get(key)

    def learn(self, found: Mapping[str, float]) -> None:
        """Take in what was measured; a folder that can't be written to is left alone, as nothing depends on it."""
        self.values.update(found)
        if found and self._file is not None:
            with contextlib.suppress(OSError):
                write_atomically(self._file, json.dumps(self.values, indent=1, sort_keys=True) + "\n")


def measured(
    plan: Plan, device: str, conversions: Iterable[Mapping[str, Any]], scores: Iterable[Mapping[str, Any]]
) -> dict[str, float]:
    """Find out from journals what a conversion took of every converter, and a conversion of every metric."""
    converters = {system.name: conversion_key(system.converter, device) for system in plan.systems}
    count: Counter[str] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    for record in chain(conversions, scores):
        if record["status"] == "ok" and "seconds" in record:
            key = f"score {record['metric']}" if "metric" in record else converters.get(record["system"])
            if key is not None:
                count[key] += 1
                seconds[key] += record["seconds"]
    return {key: total / count[key] for key, total in seconds.items() if count[key] >= LEAST}
