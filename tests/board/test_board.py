"""A board: the same figures as of the runs, every file judged, and nothing side by side that may not be compared."""

from __future__ import annotations

import json
import os
import re
from dataclasses import astuple
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from places import ROOT
from published_boards import METRICS, board_of, changed, put, site_of, table_of
from published_runs import published_run
from report_pages import Page

from vceval.board import site
from vceval.board.assemble import assembled, page_name
from vceval.board.record import BoardFile, RowFacts, TableFacts
from vceval.cli.main import main
from vceval.cli.schema import schema_of
from vceval.errors import UsageError
from vceval.publish import keys
from vceval.publish.columns import pack
from vceval.publish.extract import UNPUBLISHED
from vceval.publish.record import LARGEST
from vceval.results import views
from vceval.results.compare import compare
from vceval.results.rundir import RunDirectory

SYSTEMS = {"source": True, "mine": False, "other": False, "third": False}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> list[keys.Key]:
    folder = tmp_path_factory.mktemp("keys")
    return [keys.make(name, folder / f"{name}.json") for name in ("First", "Second")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return published_run(tmp_path_factory.mktemp("run") / "demo", metrics=METRICS, systems=SYSTEMS)


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return published_run(tmp_path_factory.mktemp("run") / "again", metrics=METRICS, systems=SYSTEMS, seed=1, lost=3)


@pytest.fixture(scope="module")
def results(
    run: RunDirectory, again: RunDirectory, labs: list[keys.Key], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("board") / "results"
    put(run.root, labs[0], folder)
    put(again.root, labs[1], folder, ("mine",))
    return folder


def row_of(table: TableFacts, name: str, key: keys.Key | None = None) -> tuple[int, RowFacts]:
    found = [(n, row) for n, row in enumerate(table.rows) if row.system == name and key in (None, _keyed(row, key))]
    assert len(found) == 1
    return found[0]


def _keyed(row: RowFacts, key: keys.Key | None) -> keys.Key | None:
    return key if key and row.key == key.public else None


def test_figures_marks_and_p_values_are_those_of_the_run(labs: list[keys.Key], tmp_path: Path) -> None:
    run = published_run(tmp_path / "run", metrics=("mcd", "sv", "wer", "fake"), systems=SYSTEMS)
    put(run.root, labs[0], tmp_path / "results")
    report, table = views.load(run), table_of(tmp_path / "results")
    names = [row.system for row in table.rows]
    assert sorted(names) == sorted(SYSTEMS)
    figures = compared = marked = 0
    for column in table.columns:
        for row in table.rows:
            cell, ours = report.cell(row.system, column.measure.name), row.figures[column.id]
            assert cell is not None
            assert astuple(ours)[:3] == pytest.approx(astuple(cell)[:3], rel=1e-9)
            assert astuple(ours)[3:] == astuple(cell)[3:]
            figures += 1
    for found in table.rankings:
        theirs = report.ranking(found.column)
        assert [names[number] for number in found.order] == list(theirs.order)
        assert {names[number] for number in found.best} == theirs.best
        assert {names[number] for number in found.second} == theirs.second
        assert {names[number]: why for number, why in found.unranked.items()} == theirs.unranked
        assert (found.reason, found.pairs, found.left_out) == (theirs.reason, theirs.pairs, theirs.left_out)
        for one in found.comparisons:
            other = theirs.between(names[one.first], names[one.second])
            assert other is not None
            ours_too = one.difference, one.low, one.high, one.p_value, one.pairs
            assert ours_too == pytest.approx(
                (other.difference, other.low, other.high, other.p_value, other.n), rel=1e-9, abs=1e-12
            )
            compared += 1
        marked += len(found.best)
    assert min(figures, compared, marked) > 3
    assert any("encoder" in why for found in table.rankings for why in found.unranked.values())


def test_two_laboratories_differ_as_their_runs_do(
    run: RunDirectory, again: RunDirectory, results: Path, labs: list[keys.Key]
) -> None:
    table = table_of(results)
    first, second = (row_of(table, "mine", key)[0] for key in labs)
    lines = {line.measure.name: line for line in compare([run.root, again.root]).lines if line.system.name == "mine"}
    assert {one.column for one in table.agreements} == set(lines)
    for one in table.agreements:
        assert {one.first, one.second} == {first, second}
        line, sign = lines[one.column], 1 if one.second == second else -1
        found = line.differences[1]
        assert found is not None
        assert found.interval is not None
        assert sign * one.difference == pytest.approx(found.value, rel=1e-9, abs=1e-12)
        ends = sorted(sign * end for end in (one.low or 0.0, one.high or 0.0))
        assert ends == pytest.approx(list(found.interval[:2]), rel=1e-9, abs=1e-12)
        assert one.p_value == pytest.approx(found.p_value, rel=1e-9)
        assert one.pairs == line.pairs
        cells = [cell.value for cell in line.cells if cell]
        assert sorted(one.values) == pytest.approx(sorted(cells), rel=1e-9)
        assert one.agrees is (found.interval.low <= 0 <= found.interval.high)


def test_the_newest_by_one_key_counts_and_older_ones_are_its_history(
    run: RunDirectory, again: RunDirectory, labs: list[keys.Key], tmp_path: Path
) -> None:
    older = put(run.root, labs[0], tmp_path / "a")["mine"]
    newer = put(again.root, labs[0], tmp_path / "b")["mine"]
    folder = tmp_path / "results"
    folder.mkdir()
    changed(newer, labs[0], folder / "1.json", lambda content: content["by"].update(published="2026-03-01T00:00:00Z"))
    changed(older, labs[0], folder / "2.json", lambda content: content["by"].update(published="2026-02-01T00:00:00Z"))
    [row] = table_of(folder).rows
    assert (row.file, [one.file for one in row.history]) == ("1.json", ["2.json"])
    assert row.history[0].figures["mcd"].value == pytest.approx(
        views.load(run).cells["mine", "mcd", "all", "all"].value
    )


def test_one_name_with_other_weights_is_not_one_system(run: RunDirectory, labs: list[keys.Key], tmp_path: Path) -> None:
    mine = put(run.root, labs[0], tmp_path, ("mine",))["mine"]
    changed(mine, labs[1], tmp_path / "same.json", lambda content: None)
    assert table_of(tmp_path).agreements
    changed(mine, labs[1], tmp_path / "same.json", lambda content: content["system"].update(weights=[]))
    table = table_of(tmp_path)
    assert len(table.rows) == 2
    assert table.agreements == []


def test_nobody_knows_whether_two_are_the_same_where_nothing_published_says_so(
    run: RunDirectory, labs: list[keys.Key], tmp_path: Path
) -> None:
    mine = put(run.root, labs[0], tmp_path, ("mine",))["mine"]
    other = tmp_path / "other.json"

    def both(**system: Any) -> list[Any]:
        for path, key in ((mine, labs[0]), (other, labs[1])):
            changed(mine, key, path, lambda content: content["system"].update(system))
        return table_of(tmp_path).agreements

    assert both(options={"command": UNPUBLISHED})
    assert both(options={"steps": 3}, weights=[])
    assert not both(options={"command": UNPUBLISHED}, weights=[])
    assert not both(options={}, weights=[], converter="")
    assert not both(options={}, weights=[], converter="given", kind="given")


def test_who_speaks_is_not_what_the_first_row_of_a_table_says(
    run: RunDirectory, labs: list[keys.Key], tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    files = put(run.root, labs[0], folder)
    before = table_of(folder)

    def alone(content: dict[str, Any]) -> None:
        content["system"]["title"] = "A first row"
        content["pairs"]["targets"] = pack(np.full(48, len(content["pairs"]["speakers"])))

    def named(content: dict[str, Any]) -> None:
        content["pairs"]["speakers"] = [f"speaker {name}" for name in content["pairs"]["speakers"]]

    changed(files["other"], labs[1], folder / "a.json", alone)
    [suite] = board_of(folder).suites
    assert [len(table.rows) for table in suite.tables] == [4, 1]
    assert suite.tables[0].rankings == before.rankings
    changed(files["other"], labs[1], folder / "a.json", named)
    assert len(table_of(folder).rows) == 5


def test_other_signatures_stand_in_columns_of_their_own(results: Path, labs: list[keys.Key], tmp_path: Path) -> None:
    def other(content: dict[str, Any]) -> None:
        next(one for one in content["metrics"] if one["name"] == "mcd")["signature"] = "MCD|v:2"

    for path in results.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    [mine] = tmp_path.glob("*other*")
    changed(mine, labs[1], tmp_path / "changed.json", other)
    table = table_of(tmp_path)
    number, row = row_of(table, "other", labs[1])
    assert "mcd" not in row.figures
    assert row.figures["mcd~2"].value == row_of(table, "other", labs[0])[1].figures["mcd"].value
    rankings = {one.column: one for one in table.rankings}
    assert number not in rankings["mcd"].order
    assert rankings["mcd~2"].order == [number]
    assert number in rankings["wer"].order
    [apart] = table.apart
    assert apart.rows == [number]
    assert re.search(r"signatures differ: v:1 in .*, v:2 in ", apart.reasons[0])


def test_other_pairs_have_a_table_of_their_own(results: Path, labs: list[keys.Key], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    put(published_run(tmp_path / "part", metrics=METRICS, limit=12).root, labs[1], folder, ("other",))
    for path in results.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    [suite] = board_of(folder).suites
    assert [(table.title, len(table.rows)) for table in suite.tables] == [("All 48 pairs", 5), ("12 of 48 pairs", 1)]
    other = Page(site_of(folder, tmp_path / "site").parent / row_of(suite.tables[1], "other")[1].page)
    links = [attributes.get("href") for tag, attributes in other.tags if tag == "a"]
    assert links.count(f"../{suite.page}") == 1


def test_nobody_is_ranked_by_an_encoder_of_its_own_though_its_file_is_silent(
    labs: list[keys.Key], tmp_path: Path
) -> None:
    run = published_run(tmp_path / "run", metrics=("sv",), limit=12, lost=0)
    files = put(run.root, labs[0], tmp_path / "results")

    def silent(content: dict[str, Any]) -> None:
        content["system"].update(converter="yourtts", kin={}, encoders={"resemblyzer": "conditioned on"})
        content["metrics"][0]["encoder"] = "Resemblyzer"

    changed(files["mine"], labs[0], files["mine"], silent)
    changed(
        files["other"], labs[0], files["other"], lambda content: content["metrics"][0].update(encoder="Resemblyzer")
    )
    table = table_of(tmp_path / "results")
    number, row = row_of(table, "mine")
    assert row.kin == {"sv": "made with this encoder"}
    assert all(number in found.unranked and number not in found.order for found in table.rankings)


def test_only_trusted_keys_stand_in_tables(results: Path, labs: list[keys.Key], tmp_path: Path) -> None:
    board = board_of(results, {labs[0].public: "The house"})
    [table] = board.suites[0].tables
    assert {row.key for row in table.rows} == {labs[0].public}
    assert [(one.key, one.name, one.trusted) for one in board.keys] == [(labs[0].public, "The house", True)]
    [left] = board.untrusted
    assert left.system == "mine"
    assert labs[1].public in left.by
    assert board.refused == []
    # What nobody shows moves no mark
    only = tmp_path / "only"
    only.mkdir()
    for path in results.iterdir():
        if labs[1].public not in path.read_text():
            (only / path.name).write_bytes(path.read_bytes())
    assert board_of(only).suites[0].tables[0].rankings == table.rankings


@pytest.mark.parametrize("name", ["First", "first ", "Fi\u200brst", "\uff26irst", "FIRST"])
def test_names_that_look_alike_are_told_apart(
    run: RunDirectory, labs: list[keys.Key], tmp_path: Path, name: str
) -> None:
    mine = put(run.root, labs[0], tmp_path, ("mine",))["mine"]
    changed(mine, labs[1], tmp_path / "other.json", lambda content: content["by"].update(name=name))
    assert {one.key: one.name for one in board_of(tmp_path).keys} == {
        labs[0].public: f"First ({labs[0].public[8:16]})",
        labs[1].public: f"{name} ({labs[1].public[8:16]})",
    }


def test_what_fails_the_check_is_listed_and_no_result(results: Path, labs: list[keys.Key], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (folder / "deep").mkdir(parents=True)
    good, data = next(results.glob("*mine*")), next(results.glob("*third*")).read_bytes()
    (folder / "deep" / "good.json").write_bytes(good.read_bytes())
    (folder / "twice.json").write_bytes(good.read_bytes())
    (folder / "digit.json").write_bytes(data.replace(b'"n":4', b'"n":3', 1))
    (folder / "cut.json").write_bytes(data[:-300])
    (folder / "none.json").write_text("[]")
    (folder / "empty.json").write_bytes(b"")
    with open(folder / "huge.json", "wb") as stream:
        stream.truncate(1 << 30)
    changed(good, labs[0], folder / "tomorrow.json", lambda content: content.update(version=2))
    changed(good, labs[0], folder / "sums.json", lambda content: content["figures"][0]["cell"].update(value=0.1))
    changed(good, labs[1], folder / "claimed.json", lambda content: content["by"].update(key=labs[0].public))
    (folder / ".hidden.json").write_text("{}")
    os.mkfifo(folder / "pipe.json")
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "folder.json").mkdir()
    board = assembled(folder, out=tmp_path / "site").board
    assert [row.file for row in board.suites[0].tables[0].rows] == ["deep/good.json"]
    found = {one.file: " ".join(one.reasons) for one in board.refused}
    bad = ("twice", "digit", "cut", "none", "empty", "huge", "tomorrow", "sums", "pipe", "claimed", "loop")
    assert set(found) == {f"{name}.json" for name in bad}
    said = {
        "twice": "same file as deep/good.json", "digit": "signature does not fit", "cut": "cut",
        "none": "no result file", "huge": f"no result file has more than {LARGEST:,}", "tomorrow": "version 2",
        "loop": "symbolic links", "pipe": "no file", "claimed": "another key signed it",
        "sums": "sums do not give the figure",
    }  # fmt: skip
    assert [name for name, words in said.items() if words not in found[f"{name}.json"]] == []


def test_board_json_is_as_its_schema_says_and_the_same_again(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "board"]) == 0
    kept = (ROOT / "benchmarks" / "schemas" / "board.json").read_text(encoding="utf-8")
    assert capsys.readouterr().out == schema_of("board") == kept
    assert main(["board", str(results), "--out", str(tmp_path / "site")]) == 0
    assert "5 files: 5 fine" in capsys.readouterr().out
    text = (tmp_path / "site" / "board.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(kept)).validate(json.loads(text))
    assert BoardFile.model_validate_json(text, strict=False) == board_of(results)
    before = {path.relative_to(tmp_path / "site"): path.read_bytes() for path in (tmp_path / "site").rglob("*.*")}
    (tmp_path / "site" / "systems" / "gone.html").write_text("of an earlier board")
    site_of(results, tmp_path / "site")
    assert before == {p.relative_to(tmp_path / "site"): p.read_bytes() for p in (tmp_path / "site").rglob("*.*")}


def test_a_folder_of_something_else_is_left_alone(results: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds something that is no board"):
        site_of(results, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="no result file"):
        assembled(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        assembled(tmp_path / "nothing")


def test_a_board_that_was_cut_is_made_again(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> str:
        raise OSError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(site, "atom", cut)
        with pytest.raises(OSError, match="full"):
            site_of(results, tmp_path / "site")
    assert not (tmp_path / "site" / "index.html").exists()
    site_of(results, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").exists()


def test_another_board_json_is_no_board(results: Path, tmp_path: Path) -> None:
    (tmp_path / "board.json").write_text('{"columns": ["to do", "done"]}')
    (tmp_path / "index.html").write_text("somebody's own")
    with pytest.raises(UsageError, match="holds something that is no board"):
        site_of(results, tmp_path)
    assert (tmp_path / "index.html").read_text() == "somebody's own"


def test_pages_among_the_results_are_no_results(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".kept" / "results"
    folder.mkdir(parents=True)
    for path in results.glob("*mine*"):
        (folder / path.name).write_bytes(path.read_bytes())
    for _ in range(2):
        assert main(["board", str(folder), "--out", str(folder / "site")]) == 0
        board = BoardFile.model_validate_json((folder / "site" / "board.json").read_bytes(), strict=False)
        assert (len(board.suites[0].tables[0].rows), board.refused) == (2, [])


def test_the_feed_has_the_newest_results(results: Path, tmp_path: Path) -> None:
    site_of(results, tmp_path / "site")
    feed = ElementTree.parse(tmp_path / "site" / "feed.xml").getroot()
    atom = "{http://www.w3.org/2005/Atom}"
    entries = feed.findall(f"{atom}entry")
    assert len(entries) == 4
    for entry in entries:
        link = entry.find(f"{atom}link")
        assert link is not None
        assert (tmp_path / "site" / link.attrib["href"]).is_file()
        assert {part.tag.removeprefix(atom) for part in entry} >= {"title", "id", "updated", "author"}
    moments = [entry.findtext(f"{atom}updated") or "" for entry in entries]
    assert moments == sorted(moments, reverse=True)
    assert feed.findtext(f"{atom}updated") == moments[0]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 300, "", ".hidden", "Ünïcode/名", "CON", "a?b#c%2f"])
def test_names_of_pages_are_plain(name: str) -> None:
    made = page_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*|[._+-]*-[0-9a-f]{8}", made)
    assert ".." not in made.partition("-")[0] or "/" not in made
    assert len(made) < 80
    assert page_name(name) != page_name(f"{name} ")
