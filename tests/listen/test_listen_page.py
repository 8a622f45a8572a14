"""A listening test in the browser: from its first page to imported scores, with and without a server."""

from __future__ import annotations

import csv
import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest
from listener_pages import FASTER, PACE, Listener, sensible, serving
from listeners import make_run
from pages import OpenPage, wait_for

from vceval.cli.main import main
from vceval.listen import serve
from vceval.listen.export import Exported, Look, export
from vceval.listen.key import read_key
from vceval.listen.plan import Settings
from vceval.results.rundir import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_run(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def made(run: RunDirectory) -> Exported:
    wanted = Settings(("mos", "smos", "abx", "ab"), forms=2, pairs=4, each=1, checks=1)
    return export(run, run.root / "listening", wanted, Look(title="Voices <i>", intro="Who asks: the lab & co."))


@pytest.fixture(scope="module")
def short(run: RunDirectory) -> Exported:
    return export(run, run.root / "short", Settings(("mos",), forms=2, pairs=4, each=1, checks=1), Look())


def values(run: RunDirectory) -> dict[tuple[str, str], float]:
    found = run.read_json("listening.json")
    return {
        (cell["system"], cell["measure"].removeprefix("listening_")): cell["value"]
        for cell in found["cells"]
        if (cell["dataset"], cell["direction"]) == ("all", "all")
    }


TRUTH = {
    ("alpha", "mos"): 4, ("beta", "mos"): 2, ("source", "mos"): 5, ("target", "mos"): 5,
    ("alpha", "smos"): 4, ("beta", "smos"): 2, ("source", "smos"): 1, ("target", "smos"): 5,
    ("alpha", "abx"): 0, ("beta", "abx"): 1, ("source", "abx"): 0, ("target", "abx"): 1,
    ("alpha", "ab"): 1, ("beta", "ab"): 0,
}  # fmt: skip


def test_from_the_first_page_to_imported_scores_by_keyboard(
    open_page: OpenPage, run: RunDirectory, made: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(made.folder, made.folder / "answers.sqlite") as server:
        page, seen = open_page(server.url)
        listener = Listener(page, read_key(made.folder / "key.json"), made.folder, sensible)
        wait_for(listener.page, "!!document.querySelector('#next')")
        assert listener.heading == "Voices <i>"
        assert "the lab & co." in page.inner_text("main")
        listener.begin("P07")
        listener.set_up()
        listener.all()
        listener.finish()
        wait_for(page, "document.querySelector('#saved').innerText.includes('have been saved')")
        assert server.store.counts()[:2] == (1, 1)
        assert seen.errors == seen.outside == []
    assert main(["listen", "import", str(run.root)]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 listeners count" in said
    found = run.read_json("listening.json")
    assert values(run) == {(s, "preference" if m == "ab" else m): v for (s, m), v in TRUTH.items()}
    [preference] = found["preferences"]
    assert (preference["first_preferred"], preference["ties"], preference["second_preferred"]) == (1, 0, 0)
    [one] = found["listeners"]
    assert (one["finished"], one["right"], one["checks"], one["fast"]) == (True, 4, 4, 0)
    assert "listener 1 says: =Nice <b>voices</b>." in said
    assert (one["device"], one["language"]) == ("headphones", "native")
    # It stands in the report as any other metric does
    report = (run.root / "report" / "index.html").read_text(encoding="utf-8")
    assert "Listening test" in report
    assert "<b>voices" not in report
    table = (run.root / "report" / "tables" / "main.md").read_text(encoding="utf-8")
    assert "MOS" in table
    assert "SMOS" in table
    assert "LISTEN-MOS|scale:acr5" in table
    shown, in_report = open_page(run.root / "report" / "index.html")
    assert "Preference" in shown.inner_text("#listening")
    assert "Listeners" in shown.inner_text("#listening")
    assert in_report.errors == in_report.outside == []


def test_from_disk_by_mouse_and_a_saved_file(
    open_page: OpenPage, run: RunDirectory, short: Exported, tmp_path: Path
) -> None:
    page, seen = open_page(short.folder / "page" / "index.html")
    listener = Listener(page, read_key(short.folder / "key.json"), short.folder, sensible, mouse=True)
    wait_for(page, "!!document.querySelector('#number')")
    page.fill("#number", "7")
    page.click("#next")
    assert "between 1 and 2" in page.inner_text(".warn")
    page.fill("#number", "2")
    listener.begin("P08")
    listener.set_up()
    listener.all()
    listener.finish()
    for kind in ("json", "csv"):
        with page.expect_download() as download:
            page.click(f"#save-{kind}")
        assert re.fullmatch(rf"answers-.*\.{kind}", download.value.suggested_filename)
        download.value.save_as(tmp_path / download.value.suggested_filename)
    assert seen.errors == seen.outside == []
    assert not [url for url in seen.requests if url.startswith("http")]
    [document] = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert (document["form"], document["rater"], document["comment"]) == (2, "P08", "=Nice <b>voices</b>.")
    rows = list(csv.DictReader(next(tmp_path.glob("*.csv")).open(newline="")))
    assert [row["answer"] for row in rows] == [one["answer"] for one in document["answers"]]
    assert [row["device"] for row in rows] == ["headphones"] * len(rows)
    assert {row["comment"] for row in rows} == {"'=Nice <b>voices</b>."}  # no spreadsheet calculates it
    for kind in ("json", "csv"):
        [path] = tmp_path.glob(f"*.{kind}")
        assert main(["listen", "import", str(run.root), str(path), "--test", str(short.folder)]) == 0
        assert values(run) == {key: value for key, value in TRUTH.items() if key[1] == "mos"}
    # Both files are the same listener, who counts once
    assert main(["listen", "import", str(run.root), str(tmp_path), "--test", str(short.folder)]) == 0
    assert len(run.read_json("listening.json")["listeners"]) == 1
    page.evaluate("localStorage.clear()")


def test_nobody_answers_before_all_has_been_heard_and_the_practice_check_must_be_right(
    open_page: OpenPage, short: Exported
) -> None:
    page, _ = open_page(short.folder / "page" / "index.html")
    listener = Listener(page, read_key(short.folder / "key.json"), short.folder, sensible)
    listener.begin()
    assert page.evaluate("document.querySelector('#next').disabled")
    for name in ("device", "hearing", "language"):
        page.click(f'input[name="{name}"]')
    page.click('input[name="beeps"]', force=True)
    assert page.evaluate("document.querySelector('#next').disabled")  # nothing heard yet
    page.click(".player button")
    wait_for(page, "!document.querySelector('fieldset:disabled')")
    page.locator('input[name="beeps"]').nth(3).click()
    page.click("#next")
    assert "not the number of beeps" in page.inner_text(".warn")
    listener.set_up()
    listener.step()
    assert "Practice 1 of 3" in page.inner_text("#where")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.click(".option input", force=True)
    assert page.evaluate("!document.querySelector('.option input:checked') && document.querySelector('#next').disabled")
    page.evaluate("window.pace = 0.1")  # so slow that it can be stopped before its end
    page.keyboard.press(" ")
    wait_for(page, "document.querySelector('.state').innerText === 'playing'")
    page.keyboard.press(" ")
    wait_for(page, "document.querySelector('.state').innerText === 'not heard to its end yet'")
    page.evaluate(f"window.pace = {PACE}")
    assert page.evaluate("document.querySelector('fieldset').disabled")
    listener.step()
    listener.step()
    assert "Practice 3 of 3" in page.inner_text("#where")
    page.keyboard.press(" ")
    wait_for(page, "!!document.querySelector('.player.heard')")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    assert "There were 3 beeps" in page.inner_text(".warn")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for(page, "document.querySelector('h1').innerText.includes('practice')")
    page.evaluate("localStorage.clear()")


def test_a_reload_goes_on_where_it_was(open_page: OpenPage, short: Exported, tmp_path: Path) -> None:
    with serving(short.folder, tmp_path / "answers.sqlite") as server:
        page, seen = open_page(server.url)
        listener = Listener(page, read_key(short.folder / "key.json"), short.folder, sensible)
        listener.begin()
        listener.set_up()
        while " of 6" not in page.inner_text("#where") or "Practice" in page.inner_text("#where"):
            listener.step()
        listener.step()
        listener.step()
        before = page.inner_text("#where")
        page.goto(server.url)
        wait_for(page, "!!document.querySelector('#back')")
        assert "answered 2 of 6 questions" in page.inner_text("#back")
        page.click("#next")
        wait_for(page, "!!document.querySelector('.player')")
        assert page.inner_text("#where") == before
        page.evaluate(FASTER)
        listener.all()
        listener.finish()
        wait_for(page, "document.querySelector('#saved').innerText.includes('have been saved')")
        assert server.store.counts() == (1, 1, 6)
        # The next listener on this computer starts anew
        page.click("#again")
        wait_for(page, "!!document.querySelector('#rater')")
        assert seen.errors == []


def test_answers_survive_a_server_that_goes_away(open_page: OpenPage, short: Exported, tmp_path: Path) -> None:
    answers = tmp_path / "answers.sqlite"
    with serving(short.folder, answers) as server:
        port = server.server_address[1]
        page, _ = open_page(server.url)
        listener = Listener(page, read_key(short.folder / "key.json"), short.folder, sensible)
        listener.begin()
        listener.set_up()
        while "1 of 6" not in page.inner_text("#where") or "Practice" in page.inner_text("#where"):
            listener.step()
        wait_for(
            page,
            "[...performance.getEntriesByType('resource')].filter((one) => one.name.includes('/audio/')).length > 4",
        )
    listener.hear(1)  # the recording is there already
    page.keyboard.press("Enter")
    wait_for(page, "document.querySelector('#status').innerText.includes('Not saved')")
    with serving(short.folder, answers, port) as server:
        listener.all()
        listener.finish()
        wait_for(page, "document.querySelector('#saved').innerText.includes('have been saved')")
        assert server.store.counts() == (1, 1, 6)


def test_one_failed_request_at_the_start_does_not_lose_the_server(
    open_page: OpenPage, short: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is too busy, or hangs up, when the page asks for it first: the page asks again."""
    real, asked = serve._Request._get, []

    def get(request: serve._Request) -> None:
        if request.path == "/api/test" and len(asked) < 2:
            asked.append(request.path)
            raise serve.Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy") if len(asked) < 2 else RuntimeError("hung up")
        real(request)

    monkeypatch.setattr(serve._Request, "_get", get)
    with serving(short.folder, tmp_path / "answers.sqlite") as server:
        page, _ = open_page(server.url)
        wait_for(page, "!!document.querySelector('#rater')")
        assert len(asked) == 2
        assert page.inner_text("#status") == ""
        Listener(page, read_key(short.folder / "key.json"), short.folder, sensible).begin()
        assert page.evaluate("JSON.parse(Object.values(localStorage)[0]).served") is True


def test_last_answers_are_sent_by_an_open_page_when_the_server_is_back(
    open_page: OpenPage, short: Exported, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.sqlite"
    with serving(short.folder, answers) as server:
        port = server.server_address[1]
        page, _ = open_page(server.url)
        listener = Listener(page, read_key(short.folder / "key.json"), short.folder, sensible)
        listener.begin()
        listener.set_up()
        listener.all()
    listener.finish()
    wait_for(page, "document.querySelector('#saved').innerText.includes('tries again')")
    assert page.evaluate("!!document.querySelector('#save-json')")
    with serving(short.folder, answers, port) as server:
        wait_for(page, "document.querySelector('#saved').innerText.includes('have been saved')")
        assert server.store.counts() == (1, 1, 6)
