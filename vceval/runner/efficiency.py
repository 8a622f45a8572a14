"""From the journal of conversions to what converting took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vceval.results.efficiency import Efficiency, Machine, SetUp, Spread
from vceval.runner.journal import Take

__all__ = ["measured"]


class _Timed(NamedTuple):
    """What the newest record of a conversion says: whose it is, real-time factors, how it was made."""

    by: str
    rtf: float
    processor: float | None
    of: int
    first: bool


@dataclass(slots=True)
class _Group:
    """Conversions of a system on one machine with one set-up, and the reports of their workers, the newest last."""

    timed: list[_Timed] = field(default_factory=list)
    reports: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def measured(systems: Sequence[str], records: Iterable[Mapping[str, Any]]) -> list[Efficiency]:
    """Say of systems what their conversions took, an entry for each machine and set-up; none for what was not timed.

    Of a conversion that was made several times, the last one counts. Those in which a worker warmed up are left out
    where there are others. A conversion whose worker said nothing of its machine does not count.

    Args:
        systems: in the order of the result.
        records: of the stage that converts, oldest first.
    """
    reports: dict[str, Mapping[str, Any]] = {}
    newest: dict[tuple[Take, str], _Timed | None] = {}
    for record in records:
        if "worker" in record:
            reports[record["worker"]["id"]] = record["worker"]
        key = Take.of(record), record["pair"]
        if record["status"] == "ok":
            newest[key] = _timed(record["speed"]) if "speed" in record else None
        else:
            newest.pop(key, None)
    made = Counter(take.system for take, _ in newest)
    groups: dict[str, dict[tuple[Machine, SetUp], _Group]] = defaultdict(dict)
    for (take, _), timed in newest.items():
        if timed is not None and timed.by in reports:
            report = reports[timed.by]
            place = Machine(**report["machine"]), SetUp(report["torch"], report["threads"], report["precision"])
            group = groups[take.system].setdefault(place, _Group())
            group.timed.append(timed)
            group.reports[timed.by] = report
    return [
        _efficiency(system, machine, set_up, group, made[system])
        for system in systems
        for (machine, set_up), group in groups.get(system, {}).items()
    ]


def _timed(speed: Mapping[str, Any]) -> _Timed:
    audio, processor = speed["audio"], speed["processor"]
    factor = None if processor is None else processor / audio
    return _Timed(speed["by"], speed["wall"] / audio, factor, speed["of"], speed.get("first", False))


def _efficiency(system: str, machine: Machine, set_up: SetUp, group: _Group, made: int) -> Efficiency:
    warm = [one for one in group.timed if not one.first]
    counted = warm or group.timed
    processor = [one.processor for one in counted if one.processor is not None]
    reports = list(group.reports.values())
    parameters = [one["parameters"] for one in reports if one["parameters"] is not None]

    def most(name: str) -> int | None:
        return max((one[name] for one in reports if one[name] is not None), default=None)

    return Efficiency(
        system=system,
        machine=machine,
        set_up=set_up,
        parameters=parameters[-1] if parameters else None,
        counted=len(counted),
        of=made,
        warm=bool(warm),
        together=max(one.of for one in counted),
        rtf=_spread([one.rtf for one in counted]),
        processor=_spread(processor) if len(processor) == len(counted) else None,
        memory=most("memory"),
        device_memory=most("device_memory"),
    )


def _spread(values: Sequence[float]) -> Spread:
    import numpy as np

    low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
    return Spread(float(median), float(low), float(high))
