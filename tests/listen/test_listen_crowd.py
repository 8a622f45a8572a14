"""Listeners of crowd platforms: who they are by their link, going on elsewhere, and codes that can be checked."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from listener_pages import Listener, sensible, serving
from listeners import listener, make_run, saved
from pages import OpenPage, wait_for

from vceval.cli.main import main
from vceval.errors import UsageError
from vceval.listen.answers import Answer, read_answers
from vceval.listen.completion import Completion, make_completion, own_code
from vceval.listen.export import Exported, Look, export
from vceval.listen.key import Key, read_key
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.plan import Settings
from vceval.listen.serve import make_server
from vceval.listen.store import Progress, Store
from vceval.results.rundir import RunDirectory

URL = "https://app.prolific.com/submissions/complete?cc={code}&x=1%202"
SETTINGS = Settings(("mos",), forms=3, pairs=4, each=1, checks=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_run(tmp_path_factory.mktemp("crowd"))


@pytest.fixture(scope="module")
def made(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    look = Look(completion=make_completion(URL, each=True))
    return export(run, tmp_path_factory.mktemp("own") / "test", SETTINGS, look)


@pytest.fixture(scope="module")
def facts(made: Exported) -> PageFacts:
    return page_facts(made.folder / "page" / "index.html")


@pytest.fixture(scope="module")
def key(made: Exported) -> Key:
    return read_key(made.folder / "key.json")


def answers(facts: PageFacts, form: int) -> list[Answer]:
    return [Answer(trial, "4", 5.0, 1) for trial in facts.forms[form - 1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--page-language", "germn"], "did you mean 'german' (de)?"),
        (["--page-language", "nl"], "no texts in 'nl'; there are de, en"),
        (["--completion-url", "javascript:alert(1)"], "must be an address such as https://"),
        (["--completion-url", "ftp://example.org/"], "must be an address such as https://"),
        (["--completion-url", "//example.org/"], "must be an address such as https://"),
        (["--completion-url", "https:///done"], "must be an address such as https://"),
        (["--completion-url", "https://me:secret@example.org/"], "must be an address such as https://"),
        (["--completion-url", "https://example.org:port/"], "must be an address such as https://"),
        (["--completion-url", "https://[::1/"], "must be an address such as https://"),
        (["--completion-url", "https://example.org/a b"], "write such characters as %20"),
        (["--completion-url", 'https://example.org/"><script>'], "write such characters as %20"),
        (["--completion-url", "https://example.org/ü"], "write such characters as %20"),
        (["--completion-url", "https://example.org/?cc={code}"], "--completion-code or --own-codes"),
        (["--completion-url", "https://{code}.example.org/", "--own-codes"], "must be an address"),
        (["--completion-url", "https://example.org/{code}", "--own-codes"], "after the question mark"),
        (["--completion-url", "https://example.org/?id={id}", "--own-codes"], "braces stand for {code} alone"),
        (["--completion-code", "A B"], "1 to 64 letters, digits"),
        (["--completion-code", "Ä1"], "1 to 64 letters, digits"),
        (["--completion-code", "<b>"], "1 to 64 letters, digits"),
        (["--completion-code", "A" * 65], "1 to 64 letters, digits"),
        (["--participant-parameter", "a&b"], "is no name of a parameter"),
        (["--texts", "/nowhere/mine.yaml"], "mine.yaml: no such file"),
    ],
)
def test_wrong_use_is_said_and_nothing_written(
    run: RunDirectory, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", "export", str(run.root), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_codes_are_those_of_hmac_and_of_the_page() -> None:
    # HMAC-SHA256 by another program: printf 'completion:SESSION' | openssl dgst -sha256 -mac HMAC -macopt hexkey:SECRET
    session, secret = "00010203040506070809" + "ff" * 6, "0b" * 32
    assert own_code(session, secret) == "34S2Z-XK4XE"
    assert own_code(session) == "01234-56789"
    assert own_code("ff" * 16) == "ZZZZZ-ZZZZZ"
    assert own_code("made up") == ""
    assert len(bytes.fromhex(make_completion(each=True).secret)) == 32
    assert make_completion(each=True) != make_completion(each=True)


def test_a_participant_has_one_session_and_goes_on_with_it(facts: PageFacts, tmp_path: Path) -> None:
    store = Store(tmp_path / "answers.sqlite", facts.plan, len(facts.forms))
    first = store.begin("P1", {"STUDY_ID": "s"})
    assert first == Progress(first.session, 1, (), False)
    given = answers(facts, 1)
    store.add(first.session, given[:2], {})
    assert store.begin("P2", {}).form == 2
    assert store.begin("P1", {}) == Progress(first.session, 1, tuple(one.trial for one in given[:2]), False)
    store.finish(first.session, "")
    assert store.begin("P1", {}).finished
    assert store.begin("", {}).session != store.begin("", {}).session  # who has no code is somebody new
    store.close()
    found = next(one for one in read_answers(tmp_path / "answers.sqlite", facts) if one.rater == "P1")
    assert (found.link, found.served) == ({"STUDY_ID": "s"}, True)


def test_answers_of_before_are_read_and_gone_on_with(facts: PageFacts, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    store = Store(path, facts.plan, len(facts.forms))
    begun = store.begin("P1", {})
    store.add(begun.session, answers(facts, 1)[:1], {})
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE sessions DROP COLUMN link")
        database.commit()
    assert read_answers(path, facts)[0].link == {}
    store = Store(path, facts.plan, len(facts.forms))
    assert store.begin("P1", {"hitId": "h"}).session == begun.session
    assert store.begin("P9", {"hitId": "h"}).form == 2
    store.close()
    assert [one.link for one in read_answers(path, facts)] == [{}, {"hitId": "h"}]


def test_a_server_without_the_key_of_its_codes_does_not_start(made: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "test"
    (folder / "page" / "audio").mkdir(parents=True)
    page = (made.folder / "page" / "index.html").read_text(encoding="utf-8")
    (folder / "page" / "index.html").write_text(page, encoding="utf-8")
    with pytest.raises(UsageError, match=r"key\.json: no such file"):
        make_server(folder, tmp_path / "answers.sqlite")
    content = json.loads((made.folder / "key.json").read_text(encoding="utf-8"))
    content["completion"] = asdict(Completion(url=URL))
    (folder / "key.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match="holds no codes of this page's listeners"):
        make_server(folder, tmp_path / "answers.sqlite")
    content["completion"]["secret"] = "no hex"
    (folder / "key.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match="not the key of a listening test"):
        make_server(folder, tmp_path / "answers.sqlite")


def test_no_secret_is_on_the_page(made: Exported, key: Key) -> None:
    assert key.completion.secret not in (made.folder / "page" / "index.html").read_text(encoding="utf-8")


def test_import_says_who_has_finished_and_which_codes_are_valid(
    run: RunDirectory, made: Exported, facts: PageFacts, key: Key, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    sessions = [
        listener(number, facts, key, rng, rater=f"p{number}", served=number != 3, link={"hitId": f"h{number}"})
        for number in range(1, 4)
    ]
    for session in sessions:
        document = json.loads(saved(session, facts.plan))
        if session.rater == "p2":
            document["answers"] = document["answers"][:-1]
        (tmp_path / f"answers-{session.rater}.json").write_text(
            json.dumps({**document, "served": session.served, "link": dict(session.link)})
        )
    codes = [own_code(sessions[0].id, key.completion.secret), own_code(sessions[2].id)]
    hidden = own_code(sessions[1].id, key.completion.secret)
    (tmp_path / "platform.txt").write_text(f'Participant,"Code"\np1,"{codes[0].lower()}"\np2,{hidden}\nx,AAAAA-00000\n')
    command = ["listen", "import", str(run.root), str(tmp_path), "--test", str(made.folder), "--keep-all"]
    assert main([*command, "--codes", str(tmp_path / "platform.txt")]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 listeners have finished" in out
    assert "1 of 3 codes reported are valid; 1 were not reported" in out
    assert f"code {hidden} is of nobody who has finished" in out
    rows = (made.folder / "completion.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[1:8] for row in rows[1:]] == [
        ["p1", "", "", "", "h1", codes[0], "yes"],
        ["p2", "", "", "", "h2", "", "no"],
        ["p3", "", "", "", "h3", codes[1], "yes"],
    ]
    assert [row.split(",")[-1] for row in rows] == ["code_reported", "yes", "no", "no"]
    # The run names nobody
    for path in (run.root / "listening.json", run.root / "listening.csv", *run.report.rglob("*.*")):
        content = path.read_bytes()
        assert b"p1" not in content.replace(b"/p1", b"") or path.suffix not in (".json", ".csv"), path
        assert codes[0].encode() not in content, path
    assert "|texts:en|" in run.read_json("listening.json")["metrics"][0]["signature"]


def test_codes_where_there_are_none_are_refused(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = export(run, tmp_path / "test", SETTINGS, Look(completion=make_completion(URL, "C1")))
    (tmp_path / "codes.txt").write_text("C1")
    (test.folder / "answers.json").write_text("{}")
    command = ["listen", "import", str(run.root), "--test", str(test.folder), "--codes", str(tmp_path / "codes.txt")]
    assert main(command) == 2
    assert "--own-codes" in capsys.readouterr().err


def test_another_browser_goes_on_where_the_first_was_left(
    open_page: OpenPage, made: Exported, key: Key, tmp_path: Path
) -> None:
    with serving(made.folder, tmp_path / "answers.sqlite") as server:
        link = f"{server.url}?PROLIFIC_PID=5f%3Cb%3E&STUDY_ID=s1&SESSION_ID=x1"
        page, seen = open_page(link)
        one = Listener(page, key, made.folder, sensible)
        wait_for(page, "!!document.querySelector('#participant')")
        assert page.inner_text("#participant") == "Your participant code: 5f<b>"
        assert "number of the study" in page.inner_text("main")
        assert not page.evaluate("!!document.querySelector('#rater, #number')")
        one.begin()
        one.set_up()
        while "3 of 6" not in page.inner_text("#where") or "Practice" in page.inner_text("#where"):
            one.step()
        place, trial = one.where(), one.trial()
        wait_for(page, "JSON.parse(Object.values(localStorage)[0]).sent === 2")
        other, seen_there = open_page(link, phone=True)
        two = Listener(other, key, made.folder, sensible)
        two.begin()
        assert "answered 2 of 6 questions" in other.inner_text("#back")
        assert not other.evaluate("!!document.querySelector('#other')")  # the link says who it is
        other.click("#next")
        two.set_up()  # other headphones, another volume
        assert (two.where(), two.trial()) == (place, trial)
        two.all()
        two.finish()
        wait_for(other, "!!document.querySelector('#code')")
        session = other.evaluate("JSON.parse(Object.values(localStorage)[0]).session")
        assert other.inner_text("#code") == own_code(session, key.completion.secret)
        shown = URL.replace("{code}", own_code(session, key.completion.secret))
        assert other.get_attribute("#return", "href") == shown
        assert other.get_attribute("#return", "rel") == "noreferrer"
        assert other.inner_text("#return") == "Return to app.prolific.com"
        # The first browser has nothing left to ask
        page.goto(link)
        wait_for(page, "!!document.querySelector('#code')")
        assert server.store.counts() == (1, 1, 6)
        assert seen.errors == seen.outside == seen_there.errors == seen_there.outside == []


def test_two_tabs_never_ask_the_same(open_page: OpenPage, made: Exported, key: Key, tmp_path: Path) -> None:
    with serving(made.folder, tmp_path / "answers.sqlite") as server:
        page, _ = open_page(server.url)
        one = Listener(page, key, made.folder, sensible)
        one.begin()
        one.set_up()
        second = page.context.new_page()
        second.goto(server.url)
        wait_for(page, "document.querySelector('h1').innerText.includes('another tab')")
        wait_for(second, "!!document.querySelector('#back')")
        page.click("#next")
        wait_for(page, "!!document.querySelector('#back')")
        wait_for(second, "document.querySelector('h1').innerText.includes('another tab')")


def test_from_disk_a_closed_tab_is_gone_on_with_and_the_code_follows_the_file(
    open_page: OpenPage, made: Exported, key: Key, facts: PageFacts, tmp_path: Path
) -> None:
    where = (made.folder / "page" / "index.html").resolve().as_uri()
    page, seen = open_page(f"{where}?workerId=W1&assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE")
    wait_for(page, "document.querySelector('.warn').innerText.includes('preview')")
    assert page.evaluate("document.querySelector('#next').disabled")
    link = f"{where}?workerId=W1&assignmentId=A1"
    page.goto(link)
    one = Listener(page, key, made.folder, sensible)
    one.begin()
    one.set_up()
    while "2 of 6" not in page.inner_text("#where") or "Practice" in page.inner_text("#where"):
        one.step()
    place, trial, context = one.where(), one.trial(), page.context
    page.close()
    page = context.new_page()
    page.goto(f"{where}?workerId=W2")  # somebody else on the same computer
    wait_for(page, "document.querySelector('#participant').innerText.includes('W2')")
    page.goto(link)
    one = Listener(page, key, made.folder, sensible)
    wait_for(page, "!!document.querySelector('#back')")
    page.click("#next")
    wait_for(page, "!!document.querySelector('.player')")
    assert (one.where(), one.trial()) == (place, trial)
    one.all()
    one.finish()
    assert not page.evaluate("!!document.querySelector('#code, #return')")
    with page.expect_download() as download:
        page.click("#save-json")
    download.value.save_as(tmp_path / "answers.json")
    [session] = read_answers(tmp_path / "answers.json", facts)
    assert (session.rater, session.link, session.served) == ("W1", {"assignmentId": "A1"}, False)
    assert page.inner_text("#code") == own_code(session.id) == key.completion.of(session)
    with page.expect_download() as download:
        page.click("#save-csv")
    download.value.save_as(tmp_path / "answers.csv")
    [again] = read_answers(tmp_path / "answers.csv", facts)
    assert (again.link, again.served, again.answers) == (session.link, False, session.answers)
    assert seen.errors == seen.outside == []
