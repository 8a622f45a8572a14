"""What a report reads of a listening test: rows of the same shape as those of ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vceval.errors import UsageError
from vceval.rundir import RunDirectory

__all__ = ["FILE", "RATINGS", "listening", "rated", "with_listening"]

#: The files in a run directory that ``vceval listen import`` writes.
FILE, RATINGS = "listening.json", "listening.csv"
#: What of it stands beside the same parts of a summary.
_PARTS = ("metrics", "measures", "cells", "comparisons")


def listening(run: RunDirectory) -> dict[str, Any] | None:
    """Read the results of a run's listening test; None where it has none.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    if not (run.root / FILE).is_file():
        return None
    found = run.read_json(FILE)
    if any(not isinstance(found.get(part), list) for part in (*_PARTS, "pairs")):
        raise UsageError(f"{run.root / FILE}: not the results of a listening test; import the answers again")
    return found


class Rated(NamedTuple):
    """What listeners said of one recording, on average."""

    system: str
    pair: str
    measure: str
    value: float


def rated(run: RunDirectory) -> list[Rated]:
    """List the mean ratings of single recordings; none where the run has no listening test.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    found = listening(run) or {"pairs": []}
    return [Rated(row["system"], row["pair"], row["measure"], float(row["value"])) for row in found["pairs"]]


def with_listening(run: RunDirectory, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Put what listeners said before what a run's summary says: metrics, measures, cells, comparisons.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    found = listening(run)
    if found is None:
        return dict(summary)
    return {**summary, **{part: [*found[part], *summary.get(part, ())] for part in _PARTS}}
