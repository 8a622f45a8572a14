"""The server of a listening test: it gives what listeners need and nothing else, and takes answers and nothing else."""

from __future__ import annotations

import http.client
import json
import math
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from listeners import make_run

from vceval.errors import UsageError
from vceval.listen.answers import read_answers
from vceval.listen.export import Exported, Look, export
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.plan import Settings
from vceval.listen.serve import BODY_LIMIT, TestServer, make_server
from vceval.listen.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("serve")
    return export(make_run(folder), folder / "test", Settings(("mos", "ab"), forms=3, pairs=4, each=2), Look())


@pytest.fixture
def facts(made: Exported) -> PageFacts:
    return page_facts(made.folder / "page" / "index.html")


@pytest.fixture
def server(made: Exported, tmp_path: Path) -> Iterator[TestServer]:
    said: list[str] = []
    found = make_server(made.folder, tmp_path / "answers.sqlite", say=said.append)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()
    found.store.close()
    assert not [line for line in said if "Traceback" in line]


def ask(
    server: TestServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = link.getresponse()
    content = answer.read()
    link.close()
    kind = answer.headers.get_content_type()
    return answer.status, json.loads(content) if kind == "application/json" else content, dict(answer.headers)


def raw(server: TestServer, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=5) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        parts = []
        while part := link.recv(65536):
            parts.append(part)
    return b"".join(parts)


def begin(server: TestServer, rater: str = "") -> tuple[str, int]:
    status, found, _ = ask(server, "POST", "/api/start", {"plan": server.facts.plan, "rater": rater})
    assert status == 200
    return found["session"], found["form"]


def answer(trial: str, value: str) -> dict[str, Any]:
    return {"trial": trial, "answer": value, "seconds": 4.5, "plays": 1}


def rows(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute("SELECT session, trial, answer FROM answers").fetchall()


def test_page_and_recordings_are_served(server: TestServer, made: Exported) -> None:
    status, content, headers = ask(server, "GET", "/")
    assert (status, content) == (200, (made.folder / "page" / "index.html").read_bytes())
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    one = next((made.folder / "page" / "audio").iterdir())
    status, content, headers = ask(server, "GET", f"/audio/{one.name}?again=1")
    assert (status, content, headers["Content-Type"]) == (200, one.read_bytes(), "audio/flac")
    status, content, headers = ask(server, "HEAD", f"/audio/{one.name}")
    assert (status, content, headers["Content-Length"]) == (200, b"", str(one.stat().st_size))


@pytest.mark.parametrize(
    ("asked", "status", "cut"),
    [
        ("bytes=0-9", 206, slice(0, 10)), ("bytes=5-", 206, slice(5, None)), ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-99999999", 206, slice(0, None)), ("bytes=99999999-", 416, slice(0, 0)),
        ("bytes=9-5", 416, slice(0, 0)),
        ("bytes=-", 200, slice(None)), ("bytes=0-1,4-5", 200, slice(None)), ("lines=1-2", 200, slice(None)),
        ("bytes=" + "9" * 5000 + "-", 200, slice(None)),
    ],
)  # fmt: skip
def test_parts_of_recordings(server: TestServer, made: Exported, asked: str, status: int, cut: slice) -> None:
    one = next((made.folder / "page" / "audio").iterdir())
    found = ask(server, "GET", f"/audio/{one.name}", Range=asked)
    assert found[:2] == (status, one.read_bytes()[cut])


@pytest.mark.parametrize(
    "path",
    [
        "/key.json", "/plan.csv", "/../key.json", "/audio/../../key.json", "/audio/..%2f..%2fkey.json", "//key.json",
        "/%2e%2e/key.json", "/audio/%2e%2e/%2e%2e/key.json", "/..\\key.json", "/audio/", "/audio", "/answers.sqlite",
        "/etc/passwd", "/audio//etc/passwd", "/audio/\x00", "/api", "/api/answers", "/page/index.html", "file:///etc/passwd",
        "http://127.0.0.1/key.json", "http://[", "//[::1", "*",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server: TestServer, path: str) -> None:
    data = raw(server, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert data.split(b" ", 2)[1] in (b"400", b"404")
    assert b"alpha" not in data


def test_answers_are_stored_once_and_the_first_one_counts(server: TestServer, facts: PageFacts, tmp_path: Path) -> None:
    session, form = begin(server, "P07")
    one, two = facts.forms[form - 1][:2]
    sent = {"session": session, "answers": [answer(one, "4")], "about": {"device": "headphones", "more": "x"}}
    assert ask(server, "POST", "/api/answers", sent)[:2] == (200, {"stored": 1, "new": 1})
    assert ask(server, "POST", "/api/answers", sent)[:2] == (200, {"stored": 1, "new": 0})
    changed = {"session": session, "answers": [answer(one, "1"), answer(two, "2")], "finished": {"comment": "fine\x00"}}
    assert ask(server, "POST", "/api/answers", changed)[1] == {"stored": 2, "new": 1}
    assert rows(tmp_path / "answers.sqlite") == [(session, one, "4"), (session, two, "2")]
    [found] = read_answers(tmp_path / "answers.sqlite", facts)
    assert (found.rater, found.form, found.about) == ("P07", form, {"device": "headphones"})
    assert found.comment == "fine"
    assert found.finished
    assert server.store.counts() == (1, 1, 2)


def test_forms_are_given_out_evenly(server: TestServer) -> None:
    assert [begin(server)[1] for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"trial": "t0000000000"}, {"trial": None}, {"trial": ["x"]}, {"answer": "6"}, {"answer": 4}, {"answer": "a"},
        {"answer": "<script>"}, {"seconds": -1}, {"seconds": "4"}, {"seconds": None}, {"seconds": True},
        {"plays": -1}, {"plays": 1.5}, {"plays": 1e300}, {"plays": math.inf}, {"plays": math.nan}, {"plays": 10**400},
        {"seconds": math.inf}, {"seconds": math.nan}, {"seconds": 10**400},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_as_a_whole(
    server: TestServer, facts: PageFacts, tmp_path: Path, change: dict[str, Any]
) -> None:
    session, form = begin(server)
    trials = [name for name in facts.forms[form - 1] if facts.trials[name] == "mos"]
    sent = {"session": session, "answers": [answer(trials[0], "3"), {**answer(trials[1], "3"), **change}]}
    assert ask(server, "POST", "/api/answers", sent)[0] == 400
    assert rows(tmp_path / "answers.sqlite") == []


def test_answers_to_another_form_are_refused(server: TestServer, facts: PageFacts) -> None:
    session, form = begin(server)
    foreign = set(facts.forms[form % 3]) - set(facts.forms[form - 1])
    sent = {"session": session, "answers": [answer(foreign.pop(), "3")]}
    assert ask(server, "POST", "/api/answers", sent)[0] == 400


@pytest.mark.parametrize("session", ["", "x" * 32, None, 7, ["a"], "' OR 1=1 --"])
def test_unknown_sessions_are_refused(server: TestServer, session: Any) -> None:
    assert ask(server, "POST", "/api/answers", {"session": session, "answers": []})[0] == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"not json", "application/json", 400), (b"[]", "application/json", 400), (b"", "application/json", 400),
        (b'"text"', "application/json", 400), (b"\xff\xfe{}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400), (b"1" * 10_000, "application/json", 400),
        (b"{}", "text/plain", 415), (b"{}", "application/x-www-form-urlencoded", 415),
        (b" " * (BODY_LIMIT + 1), "application/json", 413), (b'{"plan": "other"}', "application/json", 409),
    ],
)  # fmt: skip
def test_bodies_that_are_no_request_are_refused(server: TestServer, body: bytes, kind: str, status: int) -> None:
    assert ask(server, "POST", "/api/start", body, Content_Type=kind)[0] == status


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Type: application/json\r\n", b"411"),
        ("Content-Type: application/json\r\nContent-Length: -5\r\n", b"411"),
        ("Content-Type: application/json\r\nContent-Length: 5x\r\n", b"411"),
        ("Content-Type: application/json\r\nContent-Length: 99999999999\r\n", b"413"),
        ("Content-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 5\r\n", b"411"),
        ("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"411"),
    ],
)
def test_lengths_that_are_none_are_refused_before_anything_is_read(
    server: TestServer, head: str, status: bytes
) -> None:
    data = raw(server, f"POST /api/start HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{{}}".encode())
    assert data.split(b" ", 2)[1] == status
    assert data.count(b"HTTP/1.1") == 1  # the body is not taken for another request


@pytest.mark.parametrize(
    "line",
    [
        b"GARBAGE\r\n\r\n", b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)  # fmt: skip
def test_broken_requests_are_answered_without_repeating_them(server: TestServer, line: bytes) -> None:
    data = raw(server, line)
    assert b"alpha" not in data
    assert b"GARBAGE" not in data
    assert b" 4" in data[:20] or b" 5" in data[:20] or b'"error"' in data
    assert ask(server, "GET", "/api/test")[0] == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "[::1", "a]b"])
def test_a_page_elsewhere_can_not_reach_a_local_test(server: TestServer, name: str) -> None:
    data = raw(server, f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
    assert data.split(b" ", 2)[1] == b"403"
    assert ask(server, "POST", "/api/start", {"plan": server.facts.plan}, Origin="https://evil.example")[0] == 403
    assert ask(server, "POST", "/api/start", {"plan": server.facts.plan}, Origin="null")[0] == 403


def test_many_listeners_at_once(server: TestServer, facts: PageFacts) -> None:
    def listen(_: int) -> str:
        session, form = begin(server)
        for trial in facts.forms[form - 1]:
            value = "3" if facts.trials[trial] == "mos" else "tie"
            sent = {"session": session, "answers": [answer(trial, value)]}
            assert ask(server, "POST", "/api/answers", sent)[0] == 200
        return session

    with ThreadPoolExecutor(8) as pool:
        sessions = set(pool.map(listen, range(24)))
    assert len(sessions) == 24
    assert server.store.counts() == (24, 0, sum(len(facts.forms[at % 3]) for at in range(24)))


def test_the_file_of_answers_is_private_and_belongs_to_one_plan(made: Exported, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.sqlite"
    Store(path, made.plan.id, 3).close()
    assert path.stat().st_mode & 0o777 == 0o600
    Store(path, made.plan.id, 3).close()
    with pytest.raises(UsageError, match="holds answers to plan"):
        Store(path, "another", 3)
    (tmp_path / "text.sqlite").write_text("no database at all, whatever its name says")
    with pytest.raises(UsageError, match="can't hold answers"):
        Store(tmp_path / "text.sqlite", made.plan.id, 3)


def test_a_taken_port_is_said(server: TestServer, made: Exported, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--port"):
        make_server(made.folder, tmp_path / "other.sqlite", port=server.server_address[1])


def test_by_default_only_this_machine_is_listened_to(server: TestServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.hosts == {"127.0.0.1", "localhost", "::1"}


def test_the_body_of_a_request_that_has_none_is_not_taken_for_the_next(server: TestServer) -> None:
    data = raw(
        server,
        b"GET /api/test HTTP/1.1\r\nHost: localhost\r\nContent-Length: 38\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    )
    assert data.count(b"HTTP/1.1 ") == 1


def test_two_requests_sent_together_are_both_answered(server: TestServer) -> None:
    one = b"GET /api/test HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(server, one + one).count(b"HTTP/1.1 200") == 2


def test_a_browser_that_asks_before_it_sends_is_told_to(server: TestServer) -> None:
    body = json.dumps({"plan": server.facts.plan}).encode()
    head = (
        f"POST /api/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    with socket.create_connection(server.server_address, timeout=5) as link:
        link.sendall(f"{head}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert link.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.sendall(body)
        assert link.recv(1000).startswith(b"HTTP/1.1 200")


def held(server: TestServer, count: int, data: bytes = b"") -> list[socket.socket]:
    """Connections that stay open."""
    links = [socket.create_connection(server.server_address, timeout=10) for _ in range(count)]
    for link in links:
        link.sendall(data)
    return links


def test_a_newcomer_is_answered_beside_many_who_ask_for_nothing(server: TestServer) -> None:
    idle = held(server, 100, b"GET /api/test HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for link in idle:
        assert link.recv(10).startswith(b"HTTP/1.1")
    slow = held(server, 100, b"GET / HTTP/1.1\r\nHost: loc")
    silent = held(server, 50)
    before = threading.active_count()
    assert ask(server, "GET", "/")[0] == 200
    assert begin(server)
    assert threading.active_count() - before <= 8
    for link in (*idle, *slow, *silent):
        link.close()


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("head", b"GET / HT"),
        (
            "body",
            b"POST /api/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 9\r\n\r\n{",
        ),
    ],
)
def test_a_request_that_does_not_arrive_is_answered_and_hung_up_on(server: TestServer, kind: str, sent: bytes) -> None:
    setattr(server.deadlines, kind, 0.1)
    [link] = held(server, 1, sent)
    with link:
        assert link.recv(1000).startswith(b"HTTP/1.1 408")
        while link.recv(1000):
            pass  # until it is hung up on


def test_who_asks_for_nothing_is_hung_up_on(server: TestServer) -> None:
    server.deadlines.idle = 0.1
    [link] = held(server, 1)
    with link, suppress(ConnectionResetError):
        assert link.recv(10) == b""


def test_who_takes_nothing_is_hung_up_on(server: TestServer, tmp_path: Path) -> None:
    large = tmp_path / "large.flac"
    with large.open("wb") as file:
        file.truncate(64 << 20)
    server.files["/audio/large.flac"] = (large, "audio/flac")
    assert len(ask(server, "GET", "/audio/large.flac")[1]) == 64 << 20  # who takes it is given all
    server.deadlines.answer, server.deadlines.slowest = 0.1, 1 << 40
    [link] = held(server, 1, b"GET /audio/large.flac HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert link.recv(10) == b"HTTP/1.1 2"
    time.sleep(0.3)
    with link, suppress(ConnectionResetError):
        total = 0
        while piece := link.recv(1 << 20):
            total += len(piece)
        assert total < 64 << 20


def test_where_connections_run_out_who_waited_longest_makes_room(server: TestServer) -> None:
    server.most = 5
    links = held(server, 20)
    for _ in range(3):
        assert ask(server, "GET", "/api/test")[0] == 200
    with suppress(ConnectionResetError):
        assert links[0].recv(10) == b""
    for link in links:
        link.close()


def test_answers_that_can_not_be_kept_are_asked_for_again(server: TestServer, facts: PageFacts, tmp_path: Path) -> None:
    session, form = begin(server)
    sent = {"session": session, "answers": [answer(facts.forms[form - 1][0], "3")]}
    with closing(sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)) as other:
        server.store._database.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        assert ask(server, "POST", "/api/answers", sent)[0] == 503
        other.execute("ROLLBACK")
    assert ask(server, "POST", "/api/answers", sent)[:2] == (200, {"stored": 1, "new": 1})
