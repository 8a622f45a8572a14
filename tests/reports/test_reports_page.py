"""The page of a report in headless Chromium: it loads in peace, sorts, filters, plays; hostile names stay text."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pages import OpenPage, first_paint, wait_for
from report_pages import chunk
from report_runs import HOSTILE, MEASURES, RUNS, demo, tone

from vceval.reports import figures
from vceval.reports.build import build
from vceval.results.rundir import RunDirectory
from vceval.results.views import load

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG = "long_name_" * 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    found = {name: make(tmp_path_factory.mktemp(name)) for name, make in RUNS.items()}
    for place, path in enumerate(sorted(found["demo"].root.glob("audio/*/*.flac"))):
        tone(path, place, 3.0)  # long enough to be listened to
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda *_: ([], []))
        for run in found.values():
            build(run)
    return found


@pytest.fixture
def page(runs: dict[str, RunDirectory], open_page: OpenPage) -> Iterator[Page]:
    """The demo run's page with its samples shown; whatever a test did, nothing may have gone wrong."""
    found, seen = open_page(runs["demo"].report / "index.html")
    found.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(found, "document.querySelectorAll('article.sample').length === 10")
    yield found
    assert seen.errors == []
    assert seen.outside == []


def rows(page: Page, table: str = "#results table.results") -> list[str]:
    """Titles down the first column of a table, controls left out."""
    heads = f"document.querySelectorAll('{table} tbody:first-of-type th[scope=row]')"
    return [str(name) for name in page.evaluate(f"[...{heads}].map((head) => head.textContent.trim())")]


def pairs(page: Page) -> list[str]:
    """Names of the pairs on the page."""
    heads = "[...document.querySelectorAll('article.sample h3')].map((head) => head.textContent)"
    return [str(name) for name in page.evaluate(heads)]


def choose(page: Page, name: str, value: str) -> None:
    """Set a field of the samples' filter and wait for the page that follows."""
    page.evaluate("document.querySelector('#shown').firstElementChild?.setAttribute('data-old', '')")
    page.select_option(f"#filter [name={name}]", value)
    wait_for(page, "!document.querySelector('[data-old]')")


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("phone", [False, True])
def test_loads_without_errors_and_asks_nobody(
    runs: dict[str, RunDirectory], open_page: OpenPage, name: str, phone: bool
) -> None:
    page, seen = open_page(runs[name].report / "index.html", phone=phone, dark=phone)
    for part in page.evaluate("[...document.querySelectorAll('section')].map((section) => section.id)"):
        page.evaluate(f"document.getElementById({json.dumps(part)}).scrollIntoView()")
    page.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(page, "document.querySelectorAll('article.sample').length")
    assert seen.errors == []
    assert seen.outside == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page itself scrolls sideways"
    assert first_paint(page) > 0


def test_headings_sort_best_first_worst_first_and_back(page: Page) -> None:
    given = rows(page)
    figures = page.evaluate(
        "[...document.querySelectorAll('#results tbody:first-of-type tr')].map((row) =>"
        "[row.cells[0].textContent.trim(), parseFloat(row.cells[2].dataset.value)])"
    )
    best = [name for name, _ in sorted(figures, key=lambda row: row[1])]
    head = "#results table.results th:nth-child(3)"
    for order, names in (("ascending", best), ("descending", best[::-1]), (None, given)):
        page.click(f"{head} button.sort")
        assert rows(page) == names
        assert page.evaluate(f"document.querySelector('{head}').getAttribute('aria-sort')") == order
    page.evaluate(f"document.querySelector('{head} button.sort').focus()")
    page.keyboard.press("Enter")
    assert rows(page) == best


def test_a_filter_shows_the_figures_of_the_summary(page: Page, runs: dict[str, RunDirectory]) -> None:
    page.select_option("#result-filter [name=direction]", "1")
    wait_for(page, "document.getElementById('result-state').textContent.includes('F2M')")
    summary = runs["demo"].read_json("summary.json")
    expected = {
        (cell["system"], cell["measure"]): cell
        for cell in summary["cells"]
        if (cell["dataset"], cell["direction"]) == ("all", "F2M")
    }
    shown = page.evaluate(
        "[...document.querySelectorAll('#results table.results tr[data-system]')].map((row) =>"
        "[...row.cells].slice(1).map((cell) => [cell.querySelector('.v').firstChild.textContent,"
        " cell.querySelector('.n').textContent, cell.className]))"
    )
    report = load(runs["demo"])
    assert page.inner_text("#marks-main") == chunk(runs["demo"], "cells")["said"]["main"]["-1,1"]
    names = [system["name"] for system in summary["systems"] if not system["control"]] + ["source"]
    for name, cells in zip(names, shown, strict=True):
        for measure, (value, count, kind) in zip(MEASURES, cells, strict=True):
            mark = report.ranking(str(measure["name"]), direction="F2M").mark(name)
            assert kind.split() == ["num", *([mark] if mark else [])]
            cell = expected[name, str(measure["name"])]
            assert value == f"{cell['value'] * measure['scale']:.{measure['decimals']}f}"
            assert count.startswith(f"{cell['n']}/{cell['expected']}")
    page.click("#result-filter [type=reset]")
    wait_for(page, "document.getElementById('result-state').textContent === ''")


def test_one_measure_is_split_by_direction(page: Page, runs: dict[str, RunDirectory]) -> None:
    page.evaluate("document.getElementById('directions').scrollIntoView()")
    wait_for(page, "document.querySelector('#split-direction table')")
    heads = "[...document.querySelectorAll('#split-direction thead th')].map((head) => head.textContent)"
    assert page.evaluate(heads)[:2] == ["System", "All"]
    first = page.inner_text("#split-direction tbody")
    page.select_option("select.split-measure", "1")
    wait_for(page, f"document.querySelector('#split-direction tbody').innerText !== {json.dumps(first)}")
    assert "WER" in page.inner_text("#split-direction caption")
    report = load(runs["demo"])
    ways = ["all", *report.directions]
    classes = (
        "[...document.querySelectorAll('#split-direction tbody:first-of-type tr')].map((row) =>"
        " [...row.cells].slice(1).map((cell) => cell.className.replace('num', '').trim()))"
    )
    assert page.evaluate(classes) == [
        [report.ranking("wer", direction=way).mark(system.name) for way in ways] for system in report.converters
    ]
    assert page.inner_text("#split-direction .note") == chunk(runs["demo"], "cells")["said"]["direction"]["1"]


def test_signatures_are_one_click_away(page: Page) -> None:
    box = "document.querySelector('.signature-box:popover-open')"
    page.click("#results button.signature")
    assert "MCD|sp:world|order:24|dtw:exact|v:1.0" in page.evaluate(f"{box}.textContent")
    page.keyboard.press("Escape")
    wait_for(page, f"!{box}")


def test_one_sounds_at_a_time_and_the_next_goes_on_from_there(page: Page) -> None:
    page.evaluate(  # players are made by the page's script and never put into the page
        "(() => { window.made = []; const play = HTMLMediaElement.prototype.play;"
        "HTMLMediaElement.prototype.play = function () { if (!made.includes(this)) made.push(this);"
        "return play.call(this); }; })()"
    )
    buttons = page.evaluate("[...document.querySelectorAll('article.sample:first-of-type button.play')].length")
    assert buttons >= 4
    systems = [buttons - 2, buttons - 1]
    page.locator("article.sample button.play").nth(systems[0]).click()
    wait_for(page, "window.made.length === 1 && made[0].currentTime > 0.5")
    page.locator("article.sample button.play").nth(systems[1]).click()
    wait_for(page, "window.made.length === 2 && !made[1].paused")
    assert page.evaluate("made[0].paused")
    assert page.evaluate("made[1].currentTime >= made[0].currentTime - 0.05")
    wait_for(page, "made[1].currentTime > made[0].currentTime + 0.2")
    pressed = "[...document.querySelectorAll('button.play[aria-pressed=true]')].length"
    wait_for(page, f"{pressed} === 1")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    wait_for(page, "made[1].paused")
    wait_for(page, f"{pressed} === 0")
    page.keyboard.press(str(systems[0] + 1))
    wait_for(page, "!made[0].paused")
    assert page.evaluate("made[0].currentTime >= made[1].currentTime - 0.05")
    page.click("article.sample:nth-of-type(2) button.play")  # another pair starts anew
    wait_for(page, "made.length === 3 && !made[2].paused")
    assert page.evaluate("made[2].currentTime") < 0.3


def test_search_filters_and_pages(page: Page, runs: dict[str, RunDirectory]) -> None:
    names = [row["pair"] for row in runs["demo"].read_pairs()]
    assert pairs(page) == names[:10]
    page.click(".pager button[data-step='1']")
    wait_for(page, f"document.querySelector('article.sample h3').textContent === {json.dumps(names[10])}")
    page.fill("#filter [name=text]", "PAIR07; p4")
    wait_for(page, "document.getElementById('found').textContent.startsWith('1 of 48')")
    assert pairs(page) == [names[7]]
    page.click("#filter [type=reset]")
    wait_for(page, "document.getElementById('found').textContent === '48 pairs'")
    choose(page, "flag", "failed")
    assert pairs(page) == names[2:5]
    assert "holds 12 NaN samples" in page.inner_text("article.sample")


@pytest.mark.parametrize("order", ["worst", "best"])
def test_order_by_a_measure(page: Page, runs: dict[str, RunDirectory], order: str) -> None:
    scores = runs["demo"].read_scores()
    mine = scores[(scores["measure"] == "sv") & (scores["system"] != "source")]
    found = (mine["value"] * 1000).round().groupby(mine["pair"]).agg(min if order == "worst" else max)
    number = [m["name"] for m in MEASURES].index("sv")
    choose(page, "order", order)
    choose(page, "measure", str(number))
    expected = sorted(found.items(), key=lambda item: item[1] if order == "worst" else -item[1])
    values = dict(expected)
    assert [values[pair] for pair in pairs(page)] == [value for _, value in expected[:10]]
    choose(page, "of", "0")
    good = mine[mine["system"] == "good"].set_index("pair")["value"]
    shown = [good[pair] for pair in pairs(page)]
    assert shown == sorted(shown, reverse=order == "best")


def test_random_order_stays_until_it_is_shuffled(page: Page, runs: dict[str, RunDirectory]) -> None:
    choose(page, "order", "random")
    first = pairs(page)
    assert first != [row["pair"] for row in runs["demo"].read_pairs()][:10]
    choose(page, "order", "")
    choose(page, "order", "random")
    assert pairs(page) == first
    page.click("#filter [name=shuffle]")
    wait_for(page, f"document.querySelector('article.sample h3').textContent !== {json.dumps(first[0])}")
    assert pairs(page) != first


def test_hostile_names_are_text(page: Page, open_page: OpenPage, runs: dict[str, RunDirectory]) -> None:
    assert HOSTILE in rows(page)
    assert LONG in rows(page)
    heads = "[...document.querySelectorAll('.recordings thead .name')].map((head) => head.textContent)"
    assert HOSTILE in page.evaluate(heads)
    assert page.evaluate("document.querySelectorAll('main script, main b b, main i, img[src=x]').length") == 0
    assert "Sentence 0 & <b>more</b>." in page.inner_text("article.sample .said")
    heard = page.evaluate("[...document.querySelectorAll('.words ins')].map((one) => one.textContent)")
    assert any(word.startswith("<i>") for word in heard)
    phone, on_phone = open_page(runs["demo"].report / "index.html", phone=True)
    phone.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(phone, "document.querySelector('ol.recordings')")
    names = phone.evaluate("[...document.querySelectorAll('ol.recordings .name')].map((one) => one.textContent)")
    assert {HOSTILE, LONG, "Good system", "Source"} <= set(names)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert on_phone.errors == []


def test_what_was_heard_is_compared_word_by_word(page: Page, open_page: OpenPage, tmp_path: Path) -> None:
    run = demo(tmp_path)
    frame = run.read_scores()
    details = json.dumps({"heard": "the cat sat mat oh", "said": "The cat sat on the mat", "said_normalised":
                          "the cat sat on the mat"})  # fmt: skip
    frame["details"] = frame["details"].where(frame["measure"] != "wer", details)
    frame.to_parquet(run.root / "scores.parquet", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda *_: ([], []))
        build(run)
    found, _ = open_page(run.report / "index.html")
    found.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(found, "document.querySelector('.heard')")
    marked = (
        "[...document.querySelector('.heard').children].map((one) => [one.tagName, one.className, one.textContent])"
    )
    assert found.evaluate(marked) == [["DEL", "", "on"], ["DEL", "", "the"], ["INS", "", "oh"]]
    assert found.inner_text(".heard") == "the cat sat on the mat oh"


def test_pictures_of_spectrograms_are_shown_from_disk(page: Page) -> None:
    page.click("article.sample button.plain")
    count = page.evaluate("document.querySelectorAll('article.sample:first-of-type button.play').length")
    loaded = "[...document.querySelectorAll('.spectrograms img')].filter((one) => one.naturalHeight === 80).length"
    wait_for(page, f"{loaded} === {count}")
    assert page.evaluate("document.querySelector('.spectrograms img').alt").startswith("Spectrogram of ")


@pytest.fixture
def served(runs: dict[str, RunDirectory]) -> Iterator[str]:
    """The demo run behind a web server on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(runs["demo"].root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/report/index.html"
        server.shutdown()


def test_spectrograms_are_computed_where_the_page_may_read(
    open_page: OpenPage, runs: dict[str, RunDirectory], served: str
) -> None:
    pictures = runs["demo"].report / "data" / "samples-0.js"
    text = pictures.read_text(encoding="utf-8")
    pictures.write_text(text.replace('"picture":', '"none":'), encoding="utf-8")
    try:
        page, seen = open_page(served)
        page.evaluate("document.getElementById('samples').scrollIntoView()")
        wait_for(page, "document.querySelectorAll('article.sample').length")
        page.click("article.sample button.plain")
        wait_for(page, "document.querySelectorAll('.spectrograms canvas').length >= 4")
        shape, colours = page.evaluate(
            "(() => { const all = [...document.querySelectorAll('.spectrograms canvas')]; const one = all.at(-1);"
            "const data = one.getContext('2d').getImageData(0, 0, one.width, one.height).data;"
            "return [[one.width, one.height], new Set(data).size]; })()"
        )
        assert 290 <= shape[0] <= 300  # three seconds
        assert shape[1] == 80
        assert colours > 50
        assert [error for error in seen.errors if "favicon" not in error] == []  # the browser asks for one by itself
        assert seen.outside == []
    finally:
        pictures.write_text(text, encoding="utf-8")
