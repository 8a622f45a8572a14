"""From a folder of result files to a board: checked, arranged, ranked."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vceval import registry
from vceval.board.intake import Entry, Intake, Refused, batches, files_of, judged, proved, sorted_out
from vceval.board.record import (
    FORMAT,
    VERSION,
    AgreementFacts,
    ApartFacts,
    BoardFile,
    ColumnFacts,
    ComparisonFacts,
    HistoryFacts,
    KeyFacts,
    Left,
    RankingFacts,
    RowFacts,
    SuiteBoard,
    TableFacts,
)
from vceval.board.standing import Contest, Figures, Standing, figures, lean, stand
from vceval.board.tables import Alike, Row, Table, same_system, tables_of
from vceval.board.workers import Doing, workers
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.records import System
from vceval.results.encoder_audit import kin
from vceval.version import VERSION as VCEVAL

__all__ = ["OLDER", "Assembled", "assembled", "page_name"]

_BATCH = 50
#: Older results of a row that are checked in full, and shown.
OLDER = 5
_UNSAFE, _LONGEST = re.compile(r"[^A-Za-z0-9._+-]+|^[.]"), 60
_YEAR = re.compile(r"\b(19|20)\d\d\b")


class Assembled(NamedTuple):
    """A board, what was read for it, and its tables by suite as they were arranged."""

    board: BoardFile
    intake: Intake
    tables: Mapping[str, Sequence[Table]]


class _Judge(NamedTuple):
    """What the processes that check files are given."""

    folder: Path
    paths: Sequence[Path]
    trusted: frozenset[str] | None


def _judge(job: _Judge) -> list[Entry | Refused]:
    return judged(*job)


def assembled(folder: Path, trusted: Mapping[str, str] | None = None, out: Path | None = None) -> Assembled:
    """Read, check and rank the results in a folder.

    Args:
        folder: of result files, and of folders of such.
        trusted: keys whose results are shown, to the names that their owners have on the board; None for all keys.
        out: where the pages go, if that is known.

    Raises:
        UsageError: there is no such folder, or no JSON file in it.
    """
    paths = files_of(folder, out)
    known = None if trusted is None else frozenset(trusted)
    with workers(len(paths)) as each:
        jobs = (_Judge(folder, some, known) for some in batches(paths, _BATCH))
        intake = _proved(sorted_out(itertools.chain.from_iterable(each(_judge, jobs)), trusted), each)
        tables = tables_of(intake.entries)
        suites = [
            SuiteBoard(
                name=suite,
                page=f"suite-{page_name(suite)}.html",
                tables=[_table(table, each) for table in mine],
            )
            for suite, mine in tables.items()
        ]
    board = BoardFile(
        format=FORMAT,
        version=VERSION,
        vceval=VCEVAL,
        newest=max((entry.by.published for entry in intake.entries), default=""),
        keys_trusted=trusted is not None,
        keys=[
            KeyFacts(key=key, name=name, trusted=key in (trusted or {})) for key, name in sorted(intake.keys.items())
        ],
        suites=suites,
        untrusted=[_left(one) for one in intake.untrusted],
        refused=[_left(one) for one in intake.refused],
    )
    return Assembled(board, intake, tables)


def _proved(intake: Intake, each: Doing) -> Intake:
    """Check in full what the pages show: the newest of each row, and some older ones; the rest states no figures."""
    rows: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in sorted(intake.entries, key=lambda one: one.newness, reverse=True):
        rows[entry.row].append(entry)
    fine, refused = dict[str, Entry](), list[Refused]()
    while wanted := [one for mine in rows.values() for one in mine[: 1 + OLDER] if one.sha256 not in fine]:
        found = itertools.chain.from_iterable(each(proved, batches(wanted, _BATCH)))
        for before, after in zip(wanted, found, strict=True):
            if isinstance(after, Entry):
                fine[after.sha256] = after
            else:
                refused.append(after)
                rows[before.row].remove(before)
    kept = {entry.sha256 for mine in rows.values() for entry in mine}
    entries = [fine.get(one.sha256) or replace(one, figures={}) for one in intake.entries if one.sha256 in kept]
    return replace(intake, entries=entries, refused=sorted([*intake.refused, *refused], key=lambda one: one.file))


def page_name(name: str) -> str:
    """Make a name of a file of any name: readable, and another one for every name."""
    words = _UNSAFE.sub("_", name)[:_LONGEST]
    return f"{words}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _left(one: Refused) -> Left:
    return Left(file=one.file, system=one.system, suite=one.suite, by=one.by, reasons=list(one.reasons))


def _table(table: Table, each: Doing) -> TableFacts:
    made: list[Figures] = list(each(figures, (row.entry for row in table.rows)))
    contests = [
        (ids, alike, contest)
        for ids, alike in _columns(table.alike)
        if (contest := _contest(table, alike, made)) is not None
    ]
    standings = each(stand, (contest for _, _, contest in contests))
    columns, rankings, found = list[ColumnFacts](), list[RankingFacts](), list[AgreementFacts]()
    cells: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)
    for (ids, alike, _), standing in zip(contests, standings, strict=True):
        for measure in alike.measures:
            column = ids[measure.name]
            columns.append(
                ColumnFacts(id=column, measure=measure, signature=alike.metric.signature, encoder=alike.metric.encoder)
            )
            for number in alike.rows:
                cells[number][column] = measure.name, alike.metric.name
        rankings += _rankings(standing, ids)
        found += _agreements(standing, ids)
    # A measure that nobody of the table has a value for is no column
    lacking = {
        column.id for column in columns
        if all(_value(made[n], cells[n].get(column.id)) is None for n in range(len(table.rows)))
    }  # fmt: skip
    return TableFacts(
        title=table.title,
        pairs=table.count,
        listed=table.listed,
        custom=table.custom,
        datasets=sorted({name for one in made for name in one.datasets}),
        columns=[column for column in columns if column.id not in lacking],
        rows=[_row(row, made[number], cells[number]) for number, row in enumerate(table.rows)],
        rankings=[one for one in rankings if one.column not in lacking],
        agreements=found,
        apart=[
            ApartFacts(metric=one.metric.title, rows=one.rows, reasons=list(one.apart))
            for one in table.alike
            if one.apart
        ],
    )


def _value(made: Figures, cell: tuple[str, str] | None) -> float | None:
    found = made.cells.get(cell[0]) if cell else None
    return found.value if found else None


def _columns(alike: Sequence[Alike]) -> Iterator[tuple[dict[str, str], Alike]]:
    """Name the column of each measure."""
    taken: dict[str, int] = defaultdict(int)
    for one in alike:
        ids = {}
        for measure in one.measures:
            taken[measure.name] += 1
            number = taken[measure.name]
            ids[measure.name] = measure.name if number == 1 else f"{measure.name}~{number}"
        yield ids, one


def _contest(table: Table, alike: Alike, made: Sequence[Figures]) -> Contest | None:
    """Have the rows of a column stand against each other; None where it has no measure."""
    if not alike.measures:
        return None
    rows = {str(number): table.rows[number] for number in alike.rows}
    metric = alike.metric.name
    return Contest(
        measures=alike.measures,
        names=list(rows),
        compared=[name for name, row in rows.items() if not row.control],
        natural=next((name for name, row in rows.items() if _natural(row)), ""),
        kin={name: own[metric] for name, row in rows.items() if metric in (own := _kin(row.entry))},
        twice=_twice(rows),
        figures=[lean(made[number], metric, alike.measures) for number in alike.rows],
    )


def _kin(entry: Entry) -> dict[str, str]:
    """Metrics whose encoder must not rank a system, with the reason: as its file says, and as is known here."""
    known, system = dict(entry.system.kin), entry.system
    asked = System(system.name, system.converter, system.options, encoders=tuple(system.encoders) or None)
    for metric in entry.metrics:
        if metric.encoder and not system.control and (judge := _judging(metric.name, metric.encoder)):
            for (_, name), reason in kin([asked], [judge]).items():
                known.setdefault(name, reason)
    return known


@cache
def _judging(metric: str, encoder: str) -> Metric | None:
    """The metric of a name, where it is known here and an encoder of this title judges in it."""
    with suppress(UsageError, TypeError):  # one that needs options
        found: Metric = registry.load("metric", metric)()
        return found if next(iter(found.encoder_kin.values()), "") == encoder else None
    return None


def _natural(row: Row) -> bool:
    return row.control and row.entry.system.converter == "source"


def _twice(rows: Mapping[str, Row]) -> list[tuple[str, str]]:
    """Find the rows of one system by two publishers: the first to publish it, and each of the others."""
    named: dict[str, list[str]] = defaultdict(list)
    for name, row in rows.items():
        named[row.entry.system.name].append(name)
    found = []
    for mine in named.values():
        first, *others = sorted(mine, key=lambda name: _since(rows[name]))
        found += [(first, other) for other in others if not same_system(rows[first].entry, rows[other].entry)]
    return found


def _since(row: Row) -> str:
    return min(entry.by.published for entry in (row.entry, *row.history))


def _rankings(standing: Standing, ids: Mapping[str, str]) -> Iterator[RankingFacts]:
    for measure, ranking in standing.rankings.items():
        yield RankingFacts(
            column=ids[measure],
            order=[int(name) for name in ranking.order],
            pairs=ranking.pairs,
            left_out=ranking.left_out,
            best=sorted(int(name) for name in ranking.best),
            second=sorted(int(name) for name in ranking.second),
            unranked={int(name): reason for name, reason in ranking.unranked.items()},
            reason=ranking.reason,
            comparisons=[
                ComparisonFacts(
                    first=int(one.first), second=int(one.second), pairs=one.n, difference=one.difference, low=one.low,
                    high=one.high, p_value=one.p_value,
                )
                for one in ranking.comparisons
            ],
        )  # fmt: skip


def _agreements(standing: Standing, ids: Mapping[str, str]) -> Iterator[AgreementFacts]:
    for one in standing.agreements:
        ends = one.difference.interval
        yield AgreementFacts(
            column=ids[one.measure.name], first=int(one.first), second=int(one.second), pairs=one.pairs,
            values=[cell.value for cell in one.cells], difference=one.difference.value,
            low=ends.low if ends else None, high=ends.high if ends else None, p_value=one.difference.p_value,
            agrees=one.agrees,
        )  # fmt: skip


def _row(row: Row, made: Figures, cells: Mapping[str, tuple[str, str]]) -> RowFacts:
    entry = row.entry
    system, year = entry.system, _YEAR.search(entry.system.paper)
    return RowFacts(
        file=entry.file,
        sha256=entry.sha256,
        system=system.name,
        title=system.title,
        page=f"systems/{page_name(system.name)}.html",
        control=system.control,
        key=entry.by.key,
        published=entry.by.published,
        licence=system.licence,
        paper=system.paper,
        year=int(year[0]) if year else None,
        parameters=entry.parameters,
        converter=system.converter,
        trained=entry.trained,
        unknown=entry.unknown,
        figures={column: made.cells[name] for column, (name, _) in cells.items() if name in made.cells},
        unseen={column: made.unseen[name] for column, (name, _) in cells.items() if name in made.unseen},
        kin=_kin(entry),
        history=[
            HistoryFacts(file=one.file, sha256=one.sha256, published=one.by.published, figures=dict(one.figures))
            for one in row.history
        ],
        notes=list(entry.notes),
    )
