"""Which results stand in one table, and which figures in one column: the same pairs, signatures and calibrations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vceval.board.intake import Entry
from vceval.publish.extract import UNPUBLISHED
from vceval.results.comparable import Side, differences
from vceval.results.views import MeasureView, MetricView

__all__ = ["Alike", "Row", "Table", "same_system", "tables_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """A system of one publisher: the newest result of the same pairs, and older ones, the newest first."""

    entry: Entry
    history: Sequence[Entry] = ()

    @property
    def control(self) -> bool:
        """Whether it converts nothing."""
        return self.entry.system.control


@dataclass(slots=True)
class Alike:
    """Figures of one metric that may stand in one column: numbers of the rows that have them.

    apart: why they do not stand beside those of the first column of the metric; empty for that one.
    """

    metric: MetricView
    measures: Sequence[MeasureView]
    side: Side
    rows: list[int] = field(default_factory=list)
    apart: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The results of a suite on the same pairs. listed: pairs on the suite's list; None where there is none."""

    suite: str
    count: int
    listed: int | None
    custom: bool
    rows: Sequence[Row]
    alike: Sequence[Alike]

    @property
    def whole(self) -> bool:
        """Whether its pairs are all of the suite's."""
        return not self.custom and self.count == self.listed

    @property
    def title(self) -> str:
        """Which pairs these are, in words."""
        pairs = f"{self.count:,} pair{'s' if self.count != 1 else ''}"
        if self.custom:
            return f"{pairs} of somebody’s own"
        if self.whole:
            return f"All {pairs}"
        return f"{self.count:,} of {self.listed:,} pairs" if self.listed else pairs


def tables_of(entries: Iterable[Entry]) -> dict[str, list[Table]]:
    """Arrange results by suite, and in tables of the same pairs: whole suites first, then those with most results."""
    found: dict[str, dict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        found[entry.suite.name][entry.pairs].append(entry)
    return {
        suite: sorted(
            (_table(suite, mine) for mine in by_pairs.values()),
            key=lambda table: (not table.whole, table.custom, -len(table.rows), -table.count),
        )
        for suite, by_pairs in sorted(found.items())
    }


def _table(suite: str, entries: Sequence[Entry]) -> Table:
    published: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda one: one.newness, reverse=True):
        published[entry.row].append(entry)
    rows = [Row(first, older) for first, *older in published.values()]
    rows.sort(key=lambda row: (row.control, row.entry.system.title.casefold(), row.entry.by.published))
    listed = next((entry.suite.listed for entry in entries if entry.suite.listed is not None), None)
    if listed is None:  # a suite that is not known here
        listed = max((entry.suite.pairs for entry in entries if not entry.suite.partial), default=None)
    custom = all(entry.suite.custom for entry in entries)
    return Table(suite, entries[0].count, listed, custom, rows, _alike(rows))


def _alike(rows: Sequence[Row]) -> list[Alike]:
    """Find which rows have figures that may stand in one column; the first of a metric is that of most rows."""
    found: dict[str, list[Alike]] = defaultdict(list)
    known: dict[tuple[str, str, Sequence[MeasureView], str], Alike] = {}
    for number, row in enumerate(rows):
        entry = row.entry
        side = Side(
            f"{entry.system.title} of {entry.by.name}", {one.name: one.signature for one in entry.metrics}, entry.learnt
        )
        for metric in entry.metrics:
            measures = tuple(one for one in entry.measures if one.metric == metric.name)
            key = metric.name, metric.signature, measures, repr(entry.learnt.get(metric.name))
            if key not in known:
                known[key] = next(
                    (one for one in found[metric.name] if one.measures == measures and not _apart(one, side)), None
                ) or _opened(found[metric.name], Alike(metric, measures, side))
            known[key].rows.append(number)
    for mine in found.values():
        mine.sort(key=lambda one: -len(one.rows))
        for other in mine[1:]:
            reasons = _apart(mine[0], other.side)
            other.apart = reasons or (f"{other.side.name} tells its measures otherwise than {mine[0].side.name}",)
    return [one for mine in found.values() for one in mine]


def _opened(known: list[Alike], one: Alike) -> Alike:
    known.append(one)
    return one


def _apart(one: Alike, side: Side) -> Sequence[str]:
    return tuple(differences(one.metric.name, one.side, side))


def same_system(one: Entry, other: Entry) -> str:
    """Say in what two results of one name are not of the same system; empty where nothing tells them apart."""
    ours, theirs = one.system, other.system
    if not ours.converter or not theirs.converter or "given" in (ours.kind, theirs.kind):
        return "audio from elsewhere: nobody says which converter made it"
    if ours.converter != theirs.converter:
        return f"other converters: {ours.converter or 'none'} and {theirs.converter or 'none'}"
    if {file.sha256 for file in ours.weights} != {file.sha256 for file in theirs.weights}:
        return "other weight files"
    if ours.options != theirs.options:
        return "other options"
    if not ours.weights and UNPUBLISHED in map(str, ours.options.values()):
        return "no weight files, and an option that is not published"
    return "" if ours.seeds == theirs.seeds else f"{ours.seeds} and {theirs.seeds} seeds"
