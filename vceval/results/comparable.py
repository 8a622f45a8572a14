"""Whether the results of several runs may stand side by side: the same pairs, signatures and calibrations.

Comparisons, reports of several runs and the gate all ask here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from vceval.results.views import Report

__all__ = ["SAME_THRESHOLD", "Side", "differences", "identities"]

#: Thresholds of the same trials that lie this far apart judge alike. Two machines compute the same embeddings to about
#: 1e-5, and a threshold is made of cosines of them; hardly a recording has its cosine between the two.
SAME_THRESHOLD = 1e-4


class Side(NamedTuple):
    """One run of a comparison: how messages call it, signatures by metric, and calibrations by metric and dataset."""

    name: str
    metrics: Mapping[str, str]
    calibration: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, name: str, report: Report) -> Side:
        """Take what matters from a report."""
        return cls(name, {metric: one.signature for metric, one in report.metrics.items()}, report.calibration)


def identities(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Say of every row of ``pairs.csv`` which pair it is, whatever its id and wherever its files lie: a hash.

    Two runs mean the same pair when dataset, recordings and text agree. Rows that agree in all of them are numbered.
    Rows of result files, which name no recordings, bring their hash as ``identity``.
    """
    found: dict[str, str] = {}
    takes: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        if "identity" in row:
            found[row["pair"]] = row["identity"]
            continue
        recordings = tuple(row[name] for name in ("source", "prompts", "reference"))
        identity = (row["dataset"], *(recordings if any(recordings) else (row["pair"],)), row["transcript"])
        takes[identity] += 1
        words = json.dumps((*identity, str(takes[identity])), ensure_ascii=False)
        # Names of files may be no UTF-8
        found[row["pair"]] = hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return found


def differences(metric: str, first: Side, other: Side) -> Iterator[str]:
    """Say why the values of a metric, which both runs have, may not stand side by side; nothing where they may.

    They may where the signatures agree, and where calibrations on the same corpus are of the same trials and found the
    same threshold, up to :data:`SAME_THRESHOLD`.
    """
    ours, theirs = first.metrics.get(metric, "").split("|"), other.metrics.get(metric, "").split("|")
    if ours != theirs:
        only = ["|".join(part for part in one if part not in rest) for one, rest in ((ours, theirs), (theirs, ours))]
        yield f"signatures differ: {only[0] or '-'} in {first.name}, {only[1] or '-'} in {other.name}"
    learnt = [side.calibration.get(metric, {}) for side in (first, other)]
    for dataset in sorted(set(learnt[0]) & set(learnt[1])):
        facts = [one[dataset] for one in learnt]
        if facts[0].get("trials_sha256") != facts[1].get("trials_sha256"):
            yield f"calibrated on other trials of {dataset}: its natural speech is not the same"
        thresholds = [one.get("threshold") for one in facts]
        if not _same(*thresholds):
            yield (
                f"calibrated differently on {dataset}: threshold {thresholds[0]} in {first.name}, "
                f"{thresholds[1]} in {other.name}"
            )


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= SAME_THRESHOLD)
