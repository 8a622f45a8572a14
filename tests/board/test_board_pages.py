"""The pages of a board as a browser shows them: inert whatever names say, and filters, columns and order that work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pages import OpenPage, wait_for
from published_boards import METRICS, changed, put, site_of
from published_runs import published_run
from report_pages import Page
from report_runs import HOSTILE

from vceval.publish import keys

SYSTEMS = {"source": True, HOSTILE: False, "other": False}
NAMED = f"{HOSTILE}<img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    key = keys.make(NAMED, folder / "key.json")
    run = published_run(
        folder / "run", metrics=METRICS, systems=SYSTEMS, titles={HOSTILE: NAMED, "other": "Other"}, limit=12, lost=0
    )
    files = put(run.root, key, folder / "results")

    def bad(content: dict[str, Any]) -> None:
        content["system"].update(licence=NAMED, paper=f"{NAMED} 2021", converter=NAMED, options={NAMED: NAMED})
        content["system"]["weights"] = [{"sha256": "c" * 64, "edition": NAMED}]
        content["efficiency"] = [{
            "system": HOSTILE, "machine": {"processor": NAMED, "cores": 1, "device": "", "workers": 1},
            "set_up": {"torch": "", "threads": 1, "precision": ""}, "parameters": {"": 5_000_000}, "counted": 1,
            "of": 1, "warm": True, "together": 1, "rtf": {"median": 1.0, "low": 1.0, "high": 1.0}, "processor": None,
            "memory": None, "device_memory": None,
        }]  # fmt: skip
        for metric in content["metrics"]:
            metric.update(title=NAMED, signature=f"{metric['signature']}|{NAMED}")

    changed(files[HOSTILE], key, files[HOSTILE], bad)
    (folder / "results" / "<img src=x onerror=alert(3)>.json").write_text("<script>alert(4)</script>")
    changed(files["other"], key, folder / "results" / "suite.json",
            lambda content: content["suite"].update(name=NAMED, custom=True, public=False))  # fmt: skip
    site_of(folder / "results", folder / "site")
    return folder / "site"


def test_pages_are_inert_whatever_names_say(site: Path, open_page: OpenPage) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 1 + 2 + 3
    for path in pages:
        parsed = Page(path)
        assert not [attributes for tag, attributes in parsed.tags if tag == "img"]
        assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
        assert "".join(parsed.scripts).strip() == ""
        page, seen = open_page(path)
        page.wait_for_timeout(50)
        assert seen.errors == seen.outside == []
        assert page.evaluate("document.images.length") == 0
    assert HOSTILE in "".join(Page(site / "index.html").texts)


def suite_page(site: Path) -> Path:
    return next(site.glob("suite-demo*.html"))


def names(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        "table.results tr:not(.control) a.name", "all => all.map((one) => one.textContent)"
    )
    return found


def test_filters_columns_and_order_show_what_they_say(site: Path, open_page: OpenPage) -> None:
    page, seen = open_page(suite_page(site))
    page.fill("[name=text]", "other")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 1")
    assert names(page) == ["Other"]
    assert "1 of 2 systems" in page.inner_text(".state")
    page.fill("[name=text]", "")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 2")
    texts = page.inner_text("table.results")
    assert page.evaluate("document.images.length") == 0
    page.select_option("[name=licence]", NAMED)
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 1")
    assert names(page) == [NAMED]
    page.click("button[type=reset]")
    page.select_option("[name=parameters]", "10")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 1")
    page.select_option("[name=parameters]", "1")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 0")
    page.click("button[type=reset]")
    page.select_option("[name=year]", "2021")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 1")
    page.click("button[type=reset]")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 2")
    assert page.inner_text("table.results") == texts
    page.select_option("[name=speakers]", "unseen")
    wait_for(page, "document.querySelector('.words').textContent.startsWith('Without pairs')")
    assert page.query_selector("td.best, td.second") is None
    assert "12/12" not in page.inner_text("table.results tbody")
    page.select_option("[name=speakers]", "never")
    wait_for(page, "document.querySelectorAll('table.results tr:not(.control) a.name').length === 0")
    page.click("button[type=reset]")
    before = len(page.query_selector_all("thead th"))
    page.uncheck(".choices input >> nth=0")
    wait_for(page, f"document.querySelectorAll('thead th').length === {before - 1}")
    page.click("thead th >> nth=0 >> button")
    wait_for(page, "document.querySelector('thead th').getAttribute('aria-sort') === 'ascending'")
    up = names(page)
    page.click("thead th >> nth=0 >> button")
    wait_for(page, "document.querySelector('thead th').getAttribute('aria-sort') === 'descending'")
    assert names(page) == up[::-1]
    assert seen.errors == seen.outside == []


def test_the_script_draws_what_the_page_held(site: Path, open_page: OpenPage) -> None:
    page, seen = open_page(suite_page(site))
    before = page.inner_text("table.results")
    page.click("button[type=reset]")
    page.wait_for_timeout(200)
    wait_for(page, "!document.querySelector('table.results button:disabled')")
    assert page.inner_text("table.results") == before
    assert seen.errors == []


@pytest.mark.parametrize("phone", [False, True])
def test_nothing_sticks_out_of_the_page(site: Path, open_page: OpenPage, phone: bool) -> None:
    for path in sorted(site.rglob("*.html")):
        page, _ = open_page(path, phone=phone)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_published_figures_stand_apart(tmp_path: Path) -> None:
    key = keys.make("Somebody", tmp_path / "key.json")
    run = published_run(tmp_path / "run", "vctk_unseen", metrics=METRICS, systems={"mine": False}, limit=24, lost=0)
    [file] = put(run.root, key, tmp_path / "results").values()
    changed(file, key, file, lambda content: content["pairs"].update(dataset_names=["VCTK"]))
    site_of(tmp_path / "results", tmp_path / "site")
    page = Page(next((tmp_path / "site").glob("suite-*.html")))
    rows = [[text for _, text in row] for row in page.rows]
    assert any("Published results" in text for text in page.texts)
    apart = next(place for place, row in enumerate(rows) if row[:2] == ["Paper", "Table"])
    assert len(rows) > apart + 5
    # Measured systems stand in tables of measured ones, and beside published ones only below a heading that says so
    measured = [place for place, row in enumerate(rows) if row and row[0].startswith("Mine")]
    assert measured[0] < apart
    beside = [place for place, row in enumerate(rows) if len(row) == 1 and row[0].startswith("Published: ")]
    headed = [place for place, row in enumerate(rows) if len(row) == 1 and row[0].startswith("Measured: ")]
    assert beside
    assert headed
    assert all(place in (measured[0], *(start + 1 for start in headed)) for place in measured)
    text = (tmp_path / "site" / "board.json").read_text(encoding="utf-8")
    assert rows[apart + 1][0] not in text
