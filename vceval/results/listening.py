"""What a report reads of a listening test: rows of the same shape as those of ``summary.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vceval.errors import UsageError
from vceval.results.rundir import RunDirectory
from vceval.storage.cache import file_digest

__all__ = ["FILE", "RATINGS", "Heard", "changed", "heard", "listening", "rated", "with_listening"]

#: The files in a run directory that ``vceval listen import`` writes.
FILE, RATINGS = "listening.json", "listening.csv"
#: What of it stands beside the same parts of a summary.
_PARTS = ("metrics", "measures", "cells", "comparisons", "rankings")


def listening(run: RunDirectory) -> dict[str, Any] | None:
    """Read the results of a run's listening test; None where it has none.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    if not run.has(FILE):
        return None
    found = run.read_json(FILE)
    if any(not isinstance(found.get(part), list) for part in (*_PARTS, "pairs")):
        raise UsageError(f"{run.root / FILE}: not the results of a listening test; import the answers again")
    return found


class Heard(NamedTuple):
    """A recording that was rated, by the place that ``audio.csv`` gives it, and its SHA-256."""

    system: str
    pair: str
    path: str
    sha256: str


def heard(run: RunDirectory, rated: Collection[tuple[str, str]]) -> list[Heard]:
    """Write down the recordings of some systems and pairs, as far as they are there."""
    found = []
    for row in run.read_audio():
        place = _place(run, row["path"])
        if (row["system"], row["pair"]) in rated and place is not None:
            found.append(Heard(row["system"], row["pair"], row["path"], file_digest(place)))
    return found


def changed(run: RunDirectory, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name the recordings (system, pair) that are no longer what listeners heard; missing ones are passed over."""
    entries = (Heard(*entry) for entry in found.get("heard", ()))
    return [
        (one.system, one.pair)
        for one in entries
        if (place := _place(run, one.path)) is not None and file_digest(place) != one.sha256
    ]


def _place(run: RunDirectory, path: str) -> Path | None:
    return next((place for place in (run.root / path, Path(path)) if place.is_file()), None)


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
    found = listening(run)
    if found is None or changed(run, found):
        return []
    return [Rated(row["system"], row["pair"], row["measure"], float(row["value"])) for row in found["pairs"]]


def with_listening(run: RunDirectory, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Put what listeners said before what a run's summary says: metrics, measures, cells, comparisons, rankings.

    Where the run's recordings are no longer those that were heard, the summary stays as it is.

    Raises:
        UsageError: ``listening.json`` is there and can't be read.
    """
    found = listening(run)
    if found is None or changed(run, found):
        return dict(summary)
    return {**summary, **{part: [*found[part], *summary.get(part, ())] for part in _PARTS}}
