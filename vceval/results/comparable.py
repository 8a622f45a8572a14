"""Whether the results of several runs may stand side by side: the same pairs, signatures and calibrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Identity", "Side", "differences", "identities"]

#: What makes a conversion pair the same in two runs.
Identity = tuple[str, ...]


class Side(NamedTuple):
    """One run of a comparison: how messages call it, and its ``summary.json``."""

    name: str
    summary: Mapping[str, Any]

    @property
    def metrics(self) -> dict[str, str]:
        """Signatures by metric."""
        return {entry["metric"]: entry["signature"] for entry in self.summary["metrics"]}


def identities(rows: Iterable[Mapping[str, str]]) -> dict[str, Identity]:
    """Say of every row of ``pairs.csv`` which pair it is, whatever its id and wherever its files lie.

    Two runs mean the same pair when dataset, recordings and text agree. Rows that agree in all of them are numbered.
    """
    found: dict[str, Identity] = {}
    takes: Counter[Identity] = Counter()
    for row in rows:
        recordings = tuple(row[name] for name in ("source", "prompts", "reference"))
        identity = (row["dataset"], *(recordings if any(recordings) else (row["pair"],)), row["transcript"])
        takes[identity] += 1
        found[row["pair"]] = (*identity, str(takes[identity]))
    return found


def differences(metric: str, first: Side, other: Side) -> Iterator[str]:
    """Say why the values of a metric, which both runs have, may not stand side by side; nothing where they may.

    They may where the signatures agree, and where what was learnt from natural speech of the same corpus agrees.
    """
    ours, theirs = first.metrics[metric].split("|"), other.metrics[metric].split("|")
    if ours != theirs:
        only = [" ".join(part for part in one if part not in rest) for one, rest in ((ours, theirs), (theirs, ours))]
        yield f"signatures differ: {only[0] or '-'} in {first.name}, {only[1] or '-'} in {other.name}"
    learnt = [side.summary.get("calibration", {}).get(metric, {}) for side in (first, other)]
    for dataset in sorted(set(learnt[0]) & set(learnt[1])):
        hashes = [one[dataset].get("trials_sha256") for one in learnt]
        thresholds = [one[dataset].get("threshold") for one in learnt]
        if hashes[0] != hashes[1] or thresholds[0] != thresholds[1]:
            yield (
                f"calibrated differently on {dataset}: threshold {thresholds[0]} in {first.name}, "
                f"{thresholds[1]} in {other.name}"
            )
