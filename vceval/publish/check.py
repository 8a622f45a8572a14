"""Judges a result file that somebody else wrote: its signature, its arithmetic, and what its suite allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval import registry
from vceval.errors import UsageError
from vceval.publish import keys
from vceval.publish.columns import places
from vceval.publish.extract import suite_list
from vceval.publish.rebuild import unpacked
from vceval.publish.record import Figure, Result, read
from vceval.results.outcomes import Outcomes
from vceval.results.views import ALL, Cell, Report
from vceval.version import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.protocol.pairlist import FrozenPair

__all__ = ["Checked", "check"]

#: How far a figure may lie from what its sums give, as a part of it: computers round.
_ROUNDING = 1e-9
#: How far the clock of a publisher may be ahead.
_AHEAD = timedelta(days=1)
_COUNTS = ("n", "expected", "failed", "skipped", "targets", "sources", "method")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of a file. result, sha256: None and empty where it could not be read.

    problems: why it is refused; none where it is fine. notes: what could not be judged here.
    """

    path: Path
    result: Result | None = None
    sha256: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether the file may be shown as a result."""
        return not self.problems


def check(path: Path, trusted: Collection[str] | None = None, *, intervals: bool = True) -> Checked:
    """Judge a result file.

    Args:
        path: of the file.
        trusted: public keys that may have signed it; None for any.
        intervals: whether intervals are made again too, which takes seconds where there are many measures; figures
            and counts always are.

    Raises:
        UsageError: the package for signatures is missing.
    """
    try:
        result, message, signature, digest = read(path)
    except UsageError as error:
        return Checked(path, problems=[str(error).removeprefix(f"{path}: ")])
    found = Checked(path, result, digest)
    if not keys.valid(result.by.key, message, signature):
        found.problems.append(keys.CHANGED)
        return found
    if trusted is not None and result.by.key not in trusted:
        found.problems.append(f"signed by {result.by.key}, which is none of the trusted keys")
    try:
        report = unpacked([result], path)
        found.problems.extend(_contradictions(result, report))
        found.problems.extend(_implausible(result, found.notes))
        wrong, old = _wrong_figures(result, report, intervals)
    except ValueError as error:
        found.problems.append(f"damaged: {error}")
    else:
        found.problems.extend(wrong)
        found.notes.extend(old)
    return found


def _contradictions(result: Result, report: Report) -> Iterator[str]:
    """Where a file contradicts itself."""
    import numpy as np

    system = result.system
    given = system.seeds * result.pairs.count
    if system.expected > given:
        yield f"{system.expected} conversions expected of {result.pairs.count} pairs and {system.seeds} seed(s)"
    if system.failed > system.expected:
        yield f"{system.failed} conversions failed of {system.expected}"
    if len({row["identity"] for row in report.pairs}) < len(report.pairs):
        yield "two pairs are the same"
    if unknown := result.sums.keys() ^ {measure.name for measure in result.measures}:
        yield f"sums and measures are not the same: {', '.join(sorted(unknown))}"
    if unknown := {measure.metric for measure in result.measures} - {metric.name for metric in result.metrics}:
        yield f"measures of metrics that are not there: {', '.join(sorted(unknown))}"
    for place, measure in enumerate(report.measures):
        above, below = report.scores.numerators[0, :, place], report.scores.denominators[0, :, place]
        scored = np.isfinite(above)
        if not bool(np.all(below[scored] >= 0.0)):
            yield f"{measure.name}: a value has a denominator below zero, or none"
        elif measure.rate and not bool(np.all((above[scored] >= 0.0) & (above[scored] <= below[scored] + _ROUNDING))):
            yield f"{measure.name}: a rate is below 0 or above 1"
    when = datetime.fromisoformat(result.by.published)
    if when > datetime.now(UTC) + _AHEAD:
        yield f"published in the future: {result.by.published}"
    with suppress(ValueError, TypeError):
        if datetime.fromisoformat(result.run.created) > when + _AHEAD:
            yield f"published {result.by.published}, before the run began: {result.run.created}"


def _implausible(result: Result, notes: list[str]) -> Iterator[str]:
    """Where a file contradicts its suite, or what vceval knows of its metrics; notes: what is not known here."""
    suite, pairs = result.suite, result.pairs
    if pairs.count > suite.pairs:
        yield f"{pairs.count} pairs of a run of {suite.pairs}"
    known = None if suite.custom else suite_list(suite.name)
    if known is None:
        notes.append(f"suite {suite.name} is not known here, or pairs are none of it: counts are not held against it")
        if suite.public:
            yield f"says that suite {suite.name} comes with vceval"
    else:
        if known.sha256 and suite.pairs_sha256 != known.sha256:
            yield f"the pair list has another hash than that of {suite.name}"
        if suite.pairs > known.length or suite.listed not in (None, known.length):
            yield f"{suite.pairs} pairs of {suite.listed}, but {suite.name} has {known.length}"
        elif not suite.partial and suite.pairs != known.length:
            yield f"{suite.pairs} pairs, but {suite.name} has {known.length}, and it is not said to be partial"
        if known.pairs and pairs.listed is not None:
            yield from _off_list(result, known.pairs)
        elif known.pairs:
            yield f"does not say which pairs of {suite.name} it is of"
    for measure in result.measures:
        ours = _measures(measure.metric)
        mine = None if ours is None else ours.get(measure.name)
        if mine is None:
            unknown = f"metric {measure.metric}" if ours is None else f"{measure.name} of metric {measure.metric}"
            told = f"{unknown} is not known here: what its figures mean is what the file says"
            if told not in notes:
                notes.append(told)
            continue
        what = ("better", "unit", "scale", "reduction", "worst", "best", "rate", "thresholded", "placed", "ranked_by")
        if wrong := [one for one in what if getattr(mine, one) != getattr(measure, one)]:
            yield f"{measure.name} is told otherwise than vceval has it: {', '.join(wrong)}"


def _off_list(result: Result, listed: Sequence[FrozenPair]) -> Iterator[str]:
    """Where pairs are not as they stand on the list of the suite."""
    pairs = result.pairs
    at = places(pairs.listed or "", len(listed), pairs.count).tolist()
    if len(set(at)) < len(at):
        yield "a pair of the list is there twice"
    names = [*pairs.direction_names, ""]
    directions = [names[code] for code in places(pairs.directions, len(names), pairs.count).tolist()]
    if wrong := sum((listed[place].direction or "") != name for place, name in zip(at, directions, strict=True)):
        yield f"{wrong} pairs have another direction than on the list of {result.suite.name}"
    for side, codes in (("source", pairs.sources), ("target", pairs.targets)):
        heard: dict[str, int] = {}
        for place, code in zip(at, places(codes, len(pairs.speakers) + 1, pairs.count).tolist(), strict=True):
            recording = listed[place].source if side == "source" else listed[place].prompts[0]
            if heard.setdefault(recording, code) != code:
                yield f"{recording} is of two {side} speakers"
                break


def _wrong_figures(result: Result, report: Report, intervals: bool) -> tuple[list[str], list[str]]:
    """Figures that are not what the sums give, and what other versions may have computed otherwise."""
    import numpy as np

    outcomes, name = Outcomes.of_report(report), result.system.name
    measures = {measure.name: (measure, outcomes.outcome(name, measure)) for measure in report.measures}
    datasets, directions = (np.array([row[one] for row in report.pairs]) for one in ("dataset", "direction"))
    groups: dict[tuple[str, str], NDArray[np.bool_]] = {(ALL, ALL): outcomes.everything}
    wrong, old = list[str](), list[str]()
    stated = {(one.measure, one.dataset, one.direction) for one in result.figures}
    for measure, found in measures.values():
        if (measure.name, ALL, ALL) not in stated and found.given.any():
            wrong.append(f"{measure.name} has sums, and no figure")
    for figure in result.figures:
        if figure.measure not in measures:
            wrong.append(f"a figure of {figure.measure}, which is no measure of the file")
            continue
        (measure, found), place = measures[figure.measure], (figure.dataset, figure.direction)
        if place not in groups:
            groups[place] = groups[ALL, ALL]
            for label, of_pair in zip(place, (datasets, directions), strict=True):
                groups[place] = groups[place] if label == ALL else groups[place] & (of_pair == label)
        chosen = groups[place]
        if intervals:
            cell = outcomes.cell(name, measure, chosen)
        else:
            n, failed, skipped = (
                int(np.count_nonzero(chosen & mask)) for mask in (found.scored, found.failed, found.skipped)
            )
            value = outcomes.value(name, measure, chosen)
            cell = Cell(value, figure.cell.low, figure.cell.high, n, n + failed, failed, skipped)
        different = _different(figure, cell, intervals)
        if not different:
            continue
        if set(different) <= {"low", "high", "method"} and result.by.vceval != VERSION:
            old.append(f"intervals are not those that vceval {VERSION} gives")
        else:
            what = ", ".join(f"{one} {getattr(figure.cell, one)!r}, not {getattr(cell, one)!r}" for one in different)
            where = " ".join(label for label in place if label != ALL)
            wrong.append(f"sums do not give the figure of {figure.measure}{where and ' ' + where}: {what}")
    return wrong, list(dict.fromkeys(old))


def _different(figure: Figure, cell: Cell, intervals: bool) -> list[str]:
    counts = _COUNTS if intervals else _COUNTS[:4]
    found = [one for one in counts if getattr(figure.cell, one) != getattr(cell, one)]
    for one in ("value", "low", "high"):
        stated, ours = getattr(figure.cell, one), getattr(cell, one)
        alike = None not in (stated, ours) and isclose(stated, ours, rel_tol=_ROUNDING, abs_tol=1e-12)
        if not alike and stated is not ours:
            found.append(one)
    return found


@cache
def _measures(metric: str) -> dict[str, Any] | None:
    """The measures of a metric that is known here, by name; None of one that is not."""
    with suppress(UsageError):
        return {measure.name: measure for measure in registry.load("metric", metric).measures}
    return None
