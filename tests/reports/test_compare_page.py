"""The page of ``vceval compare``: what differs, what was refused, the largest changes with their recordings."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from pages import OpenPage
from report_pages import Page
from report_runs import HOSTILE, change, make, set_signature

from vceval.cli.main import main
from vceval.reports.compare_page import write
from vceval.results.compare import compare
from vceval.results.rundir import RunDirectory


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs of the same pairs: one system became much worse, one did not change at all, names are hostile."""
    systems = {HOSTILE: 1.0, "same": 1.0}
    one = make(tmp_path / "one", systems)
    two = make(tmp_path / "two", systems)
    scores = two.read_scores()
    worse = scores["system"] == HOSTILE
    scores.loc[worse, ["value", "numerator"]] *= 1.7
    scores.to_parquet(two.root / "scores.parquet", index=False)
    return [one.root, two.root]


def rows(page: Page, first: str) -> list[list[str]]:
    return [[text for _, text in row] for row in page.rows if row and row[0][1].startswith(first)]


def test_page_says_what_differs(runs: list[Path], tmp_path: Path) -> None:
    index = write(compare(runs), tmp_path / "page")
    page = Page(index)
    verdict = rows(page, "MCD")[0]
    assert verdict[1:] == ["–", "1", "1"]
    accuracy = rows(page, "SV accuracy")[0]
    assert accuracy[1:] == ["1", "–", "1"]  # higher is better
    line = rows(page, HOSTILE)[0]
    assert " worse" in line[4]
    assert "p < 0.001" in line[4]
    same = rows(page, "same")[0]
    assert same[4].startswith("0.00")
    assert "p = 1" in same[4]


def test_controls_are_shown_and_not_judged(runs: list[Path], tmp_path: Path) -> None:
    page = Page(write(compare(runs), tmp_path / "page"))
    assert rows(page, "Source")
    assert all(sum(int(text) for text in row[1:] if text != "–") == 2 for row in rows(page, "MCD")[:1])


def test_largest_changes_can_be_heard(runs: list[Path], tmp_path: Path) -> None:
    index = write(compare(runs), tmp_path / "page")
    page = Page(index)
    shown = [row for row in page.rows if row and "→" in " ".join(text for _, text in row)]
    assert len(shown) == 5 * 6  # measures; everything that changed, changed to one side
    assert all(row[0][1].startswith(HOSTILE) for row in shown)
    players = [attributes["src"] for tag, attributes in page.tags if tag == "audio"]
    assert len(players) == 4 * len(shown)
    for run in runs:
        shutil.rmtree(run / "audio")
    assert all((index.parent / unquote(str(player))).is_file() for player in players)


def test_page_is_inert(runs: list[Path], tmp_path: Path) -> None:
    index = write(compare(runs), tmp_path / "page")
    page = Page(index)
    assert sorted(tag for tag, _ in page.tags if tag in ("script", "style", "link", "iframe", "base")) == [
        "script", "style"
    ]  # fmt: skip
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], (tag, attributes)
        for key in ("src", "href"):
            assert re.fullmatch(r"#[\w-]+|audio/[0-9a-f]{16}\.\w+", attributes.get(key) or "#x")
    assert "<script>alert" not in index.read_text(encoding="utf-8")
    assert HOSTILE in " ".join(page.texts)


def test_command_prints_and_writes(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(RunDirectory(runs[1]), set_signature)
    assert main(["compare", *map(str, runs)]) == 1
    printed = capsys.readouterr().out
    assert "Not compared: mcd" in printed
    index = tmp_path / "compare-one-two" / "index.html"
    assert printed.strip().endswith(str(index))
    texts = Page(index).texts
    assert "Not compared: mcd" in texts
    assert any("order:13 in" in text for text in texts)
    shutil.rmtree(index.parent)
    assert main(["compare", *map(str, runs), "--no-page"]) == 1
    assert not index.parent.exists()


def test_page_loads_without_complaint(runs: list[Path], tmp_path: Path, open_page: OpenPage) -> None:
    page, seen = open_page(write(compare(runs), tmp_path / "page"))
    assert "Largest changes of MCD" in page.content()
    assert seen.errors == seen.outside == []
