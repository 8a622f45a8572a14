"""The pages of a board: static files that ask nothing of other sites, and hold everything as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vceval.board.assemble import OLDER, Assembled
from vceval.board.feed import atom
from vceval.board.intake import Entry, fingerprint
from vceval.board.record import FORMAT, BoardFile, SuiteBoard, TableFacts
from vceval.board.tables import Row, Table
from vceval.board.views import (
    MARKS,
    agreement_table,
    day,
    heading,
    judge_of,
    label,
    published_tables,
    shown_columns,
    table_view,
    titled,
)
from vceval.errors import UsageError
from vceval.reports.page_data import Chunks, compact
from vceval.reports.templating import fill, read
from vceval.results.views import Cell, with_interval

__all__ = ["write"]

#: Rows that the page itself holds, and those of one chunk of data.
FEW, CHUNK = 50, 400
#: Files of each kind that the first page lists; board.json has all.
LISTED = 100
#: Style and script lie beside the pages; from disk a browser knows no 'self'.
_SOURCES = {"style": "'self' file:", "script": "'self' file:"}
_SCRIPTS = ("core.js", "board.js")


def write(found: Assembled, out: Path) -> Path:
    """Write all pages, and return the path of the first one; pages of an earlier board that are none now go.

    Args:
        found: the board.
        out: a folder that is empty, is not there yet, or holds a board.

    Raises:
        UsageError: the folder holds something else.
    """
    kept = {"index.html", "board.json", "board.css", "board.js", "feed.xml"}
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _is_board(out / "board.json"))):
        raise UsageError(f"{out}: holds something that is no board; give --out a new or an empty folder")
    board = found.board
    written = set[Path]()

    def put(name: str, text: str) -> None:
        written.add(out / name)
        write_text(out / name, text)

    out.mkdir(parents=True, exist_ok=True)
    # First, so that a board of which the rest was cut is known as one, and made again
    put("board.json", board.model_dump_json(exclude_defaults=True) + "\n")
    style, *scripts = "".join(read(("style.css", "board.css"))), *read(_SCRIPTS)
    put("board.css", style)
    put("board.js", '"use strict";\n(() => {\n' + "\n".join(scripts) + "\n})();\n")
    for number, suite in enumerate(board.suites):
        put(suite.page, _suite(found, suite, number, out, written))
    for name, page in _systems(found):
        put(name, page)
    put("feed.xml", atom(found))
    put("index.html", _index(board))
    for folder in (out, out / "systems", out / "data"):
        for path in folder.glob("*"):
            mine = folder != out or path.name.startswith("suite-")
            if mine and path.name not in kept and path not in written and path.suffix in (".html", ".js"):
                path.unlink()
    return out / "index.html"


def _is_board(path: Path) -> bool:
    """Whether a file is the board.json of a board, and not somebody else's of this name."""
    begin = f'{{"format":"{FORMAT}",'.encode()
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return stream.read(len(begin)) == begin


def write_text(path: Path, text: str) -> None:
    """Write a file of a board: many are written, and a board that was cut is made again."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _page(template: str, base: str, values: Mapping[str, Any]) -> str:
    return fill(template, "", "", _SOURCES, {"base": base, **values})


def _index(board: BoardFile) -> str:
    suites = [
        {
            "suite": suite,
            "systems": len({row.system for table in suite.tables for row in table.rows if not row.control}),
            "keys": len({row.key for table in suite.tables for row in table.rows}),
            "results": sum(1 + len(row.history) for table in suite.tables for row in table.rows),
            "newest": day(max((row.published for table in suite.tables for row in table.rows), default="")),
            "best": list(_leaders(board, suite)),
            "over": suite.tables[0].title,
        }
        for suite in board.suites
    ]
    values = {
        "board": board,
        "suites": suites,
        "listed": LISTED,
        "newest": day(board.newest),
        "print": fingerprint,
    }
    return _page("board.html.j2", "", values)


def _leaders(board: BoardFile, suite: SuiteBoard) -> Iterator[tuple[str, str]]:
    """Say who is best by the measures that answer a question, over the suite's first table."""
    table = suite.tables[0]
    titles = titled(board, table)
    columns = {one.id: one for one in shown_columns(table)}
    for ranking in table.rankings:
        column = columns.get(ranking.column)
        if column is not None and "~" not in column.id and column.measure.question and ranking.best:
            names = [titles[number] for number in ranking.best]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield label(column), ", ".join(names[:3]) + more


def _suite(found: Assembled, suite: SuiteBoard, number: int, out: Path, written: set[Path]) -> str:
    board = found.board
    chunks = Chunks(out / "data")
    tables, about = [], []
    for place, table in enumerate(suite.tables):
        view = table_view(board, table)
        name = f"rows-{number}-{place}"
        count = 0
        for count, start in enumerate(range(0, len(view.rows), CHUNK), 1):
            chunks.add(f"{name}-{count - 1}", list(view.rows[start : start + CHUNK]))
            written.add(out / "data" / f"{name}-{count - 1}.js")
        about.append(
            {
                "name": name,
                "chunks": count,
                "columns": view.columns,
                "few": FEW,
                "left": sum(not row[9] for row in view.rows) - FEW,
            }
        )
        titles = titled(board, table)
        tables.append({
            "view": view,
            "controls": [row for row in view.rows if row[9]][:FEW],
            "rows": [row for row in view.rows if not row[9]][:FEW],
            "of": sum(not row[9] for row in view.rows),
            "agreement": agreement_table(board, table),
            "apart": [
                {"metric": one.metric, "reasons": one.reasons, "count": len(one.rows),
                 "who": [titles[row] for row in one.rows[:8]]}
                for one in table.apart
            ],
        })  # fmt: skip
    from markupsafe import Markup

    values = {
        "board": board,
        "suite": suite,
        "tables": tables,
        "marks": MARKS,
        "published": list(published_tables(board, suite)),
        "about": Markup(compact({"tables": about})),  # noqa: S704 - inert: compact() leaves no "<"
    }
    return _page("board_suite.html.j2", "", values)


class _Place(NamedTuple):
    """Where a row of a system stands."""

    suite: SuiteBoard
    facts: TableFacts
    table: Table
    number: int

    @property
    def row(self) -> Row:
        """The row as it was arranged."""
        return self.table.rows[self.number]


def _systems(found: Assembled) -> Iterator[tuple[str, str]]:
    """Make the page of every system, whichever suites it is in: its name from the board's folder, and its text."""
    places: dict[str, list[_Place]] = defaultdict(list)
    for suite in found.board.suites:
        for facts, table in zip(suite.tables, found.tables[suite.name], strict=True):
            for number, row in enumerate(facts.rows):
                places[row.page].append(_Place(suite, facts, table, number))
    names = {one.key: one.name for one in found.board.keys}
    for page, mine in places.items():
        yield page, _system(found.board, names, mine)


def _system(board: BoardFile, names: Mapping[str, str], places: Sequence[_Place]) -> str:
    parts: dict[int, list[_Place]] = defaultdict(list)
    for place in places:
        parts[id(place.facts)].append(place)
    entries = [place.row.entry for place in places]
    newest = max(entries, key=lambda entry: entry.newness)
    values = {
        "board": board,
        "title": newest.system.title,
        "name": newest.system.name,
        "control": newest.system.control,
        "results": [_part(board, names, mine) for mine in parts.values()],
        "facts": [(names[entry.by.key], entry, _facts(entry)) for entry in _each_once(entries)],
        "publishers": sorted({names[entry.by.key] for entry in entries}),
        "count": sum(1 + len(place.row.history) for place in places),
    }
    return _page("board_system.html.j2", "../", values)


def _each_once(entries: Sequence[Entry]) -> list[Entry]:
    """The newest result of each publisher."""
    found: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda one: one.newness):
        found[entry.by.key] = entry
    return list(found.values())


def _part(board: BoardFile, names: Mapping[str, str], places: Sequence[_Place]) -> dict[str, Any]:
    """A system's results on some pairs: of each publisher the newest, and older ones below it."""
    facts = places[0].facts
    known = shown_columns(facts)
    columns = [column for column in known if any(column.id in facts.rows[p.number].figures for p in places)] or known
    rankings = {one.column: one for one in facts.rankings}
    rows = []
    for place in places:
        row = facts.rows[place.number]
        figures = []
        for column in columns:
            ranking = rankings.get(column.id)
            mark = ""
            if ranking:
                mark = "best" if place.number in ranking.best else "second" if place.number in ranking.second else ""
            figures.append((_figure(column.measure.text, row.figures.get(column.id)), mark))
        rows.append({"by": names[row.key], "day": day(row.published), "figures": figures, "older": False})
        for older in place.row.history[:OLDER]:
            signatures = {one.name: one.signature for one in older.metrics}
            figures = [
                (_figure(c.measure.text, older.figures.get(c.measure.name)), "")
                if signatures.get(c.measure.metric) == c.signature else (("–", ""), "")
                for c in columns
            ]  # fmt: skip
            rows.append({"by": names[row.key], "day": day(older.by.published), "figures": figures, "older": True})
    return {
        "suite": places[0].suite,
        "facts": facts,
        "columns": [(column, heading(column), judge_of(column)) for column in columns],
        "rows": rows,
        "left": sum(max(0, len(facts.rows[place.number].history) - OLDER) for place in places),
        "agreement": agreement_table(board, facts, facts.rows[places[0].number].system) if len(places) > 1 else None,
    }


def _figure(text: Any, cell: Cell | None) -> tuple[str, str]:
    """A figure and its interval, as texts."""
    if cell is None or cell.value is None:
        return "–", ""
    value, _, ends = with_interval(cell.value, cell.low, cell.high, text).partition(" ")
    return value, ends


def _facts(entry: Entry) -> list[tuple[str, str]]:
    """What a publisher says of a system."""
    system = entry.system
    options = "; ".join(f"{name}: {value}" for name, value in system.options.items())
    weights = "; ".join(f"{one.sha256[:16]}…{f' ({one.edition})' if one.edition else ''}" for one in system.weights)
    rates = [system.sample_rate] if system.sample_rate else system.sample_rates
    exposure = f"{entry.trained:,} of {entry.count:,} pairs" if entry.trained else "no speaker of the pairs"
    if entry.unknown:
        exposure += f"; not known for {entry.unknown:,}"
    found = [
        ("Converter", system.converter),
        ("Options", options),
        ("Weights (SHA-256)", weights),
        ("Licence", system.licence),
        ("Paper", system.paper),
        ("Parameters", "" if entry.parameters is None else f"{entry.parameters:,}"),
        ("Output", ", ".join(f"{rate:,} Hz" for rate in rates)),
        ("Seeds", str(system.seeds) if system.seeds > 1 else ""),
        ("Trained on", "" if system.control else exposure),
        ("Made with encoders", "; ".join(f"{name} ({use})" for name, use in system.encoders.items())),
        ("Not ranked by", "; ".join(f"{metric}: {reason}" for metric, reason in system.kin.items())),
        ("vceval", entry.vceval),
        ("Key", entry.by.key),
        ("File", f"{entry.file} (SHA-256 {entry.sha256})"),
        ("Notes", "; ".join(entry.notes)),
    ]
    return [(name, value) for name, value in found if value]
