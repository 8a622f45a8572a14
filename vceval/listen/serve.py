"""Serves a listening test and takes its answers: the standard library's HTTP server, by default for this machine alone.

What can be asked for is a table made at the start: the page, its recordings, four addresses of the test itself. No
path is ever made from a request, so nothing else of the disk can be reached.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from vceval.errors import UsageError
from vceval.listen.answers import CODE, COMMENT, checked_about, checked_answers, plain
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.store import Full, Store

__all__ = ["BODY_LIMIT", "TestServer", "make_server"]

#: Bytes that one request may send: all answers of a long form take a tenth of it.
BODY_LIMIT = 256 << 10
#: Requests that are answered at the same time, and seconds that a connection may stay silent.
_CONNECTIONS, _SILENCE = 64, 30.0
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}


class Refused(Exception):
    """A request that is not answered as asked: status and reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class TestServer(ThreadingHTTPServer):
    """The server of one test.

    files: what may be fetched, by path of the URL: a file and its media type.
    hosts: names by which it may be called; None for any.
    """

    daemon_threads = True
    __test__ = False  # no test class, whatever pytest thinks of its name

    def __init__(
        self,
        address: tuple[str, int],
        facts: PageFacts,
        store: Store,
        files: Mapping[str, tuple[Path, str]],
        hosts: frozenset[str] | None,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(address, _Handler)
        self.facts, self.store, self.files, self.hosts, self.say = facts, store, files, hosts, say
        self._places = threading.BoundedSemaphore(_CONNECTIONS)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host, port = self.server_address[:2]
        name = "127.0.0.1" if str(host) in ("0.0.0.0", "::") else str(host)  # noqa: S104 - compared, not bound
        return f"http://{name}:{port}/"

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer in a thread of its own, or hang up where too many are at work."""
        if self._places.acquire(timeout=5.0):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer, then make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Say what went wrong, unless a browser merely hung up."""
        import sys
        import traceback

        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self.say("".join(traceback.format_exception(error)))


def make_server(
    folder: Path,
    answers: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    names: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> TestServer:
    """Make the server of a test; ``serve_forever`` starts it.

    Args:
        folder: of the test, as :func:`vceval.listen.export.export` made it.
        answers: the SQLite file that takes the answers.
        host: address to listen at.
        port: 0 for any that is free.
        names: further names by which a proxy calls it, where ``host`` is an address of this machine alone.
        say: prints one line when a listener begins or finishes.

    Raises:
        UsageError: there is no test in the folder, the file holds answers to another one, or the port is taken.
    """
    page = folder / "page" / "index.html"
    facts = page_facts(page)
    files = {"/": (page, "text/html; charset=utf-8"), "/index.html": (page, "text/html; charset=utf-8")}
    for path in (folder / "page" / "audio").iterdir():
        if re.fullmatch(r"[0-9a-f]{12}\.flac", path.name) and path.is_file() and not path.is_symlink():
            files[f"/audio/{path.name}"] = (path, "audio/flac")
    store = Store(answers, facts.plan, len(facts.forms))
    hosts = _LOCAL | {name.lower() for name in names} if _is_local(host) else None
    try:
        return TestServer((host, port), facts, store, files, hosts, say)
    except (OSError, OverflowError) as error:
        store.close()
        raise UsageError(f"{host}:{port}: can't be listened at ({error}); give another --port or --host") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server: TestServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "vceval", ""
    timeout = _SILENCE

    def do_GET(self) -> None:
        self._answered(self._get)

    do_HEAD = do_GET  # noqa: N815 - the name of the method in the protocol

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what matters is said when a listener begins and finishes."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses (a broken request line, a method) without repeating any of it."""
        self.close_connection = True
        self._json(HTTPStatus(code), {"error": HTTPStatus(code).phrase})

    def _answered(self, answer: Callable[[], None]) -> None:
        try:
            self._check_host()
            answer()
        except Refused as error:
            self.close_connection = True  # a body that was not read would be taken for the next request
            self._json(error.status, {"error": str(error)})

    def _check_host(self) -> None:
        """Refuse names that are not ours: a page elsewhere could have its own name point at this machine."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if self.server.hosts is not None and _name(host) not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "called by an unknown name")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Refused(HTTPStatus.FORBIDDEN, "called from another site")

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/test":
            self._json(HTTPStatus.OK, {"plan": self.server.facts.plan})
            return
        if path not in self.server.files:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        file, kind = self.server.files[path]
        try:
            content = file.read_bytes()
        except OSError:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file") from None
        span = _span(self.headers.get("Range"), len(content)) if kind.startswith("audio/") else None
        if span is not None and span[0] >= span[1]:
            self._send(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", kind, {"Content-Range": f"bytes */{len(content)}"}
            )
            return
        extra = {"Accept-Ranges": "bytes"} if kind.startswith("audio/") else {}
        cache = {"Cache-Control": "private, max-age=86400" if kind.startswith("audio/") else "no-store"}
        if span is None:
            self._send(HTTPStatus.OK, content, kind, extra | cache)
        else:
            extra["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{len(content)}"
            self._send(HTTPStatus.PARTIAL_CONTENT, content[span[0] : span[1]], kind, extra | cache)

    def _post(self) -> None:
        actions = {"/api/start": self._start, "/api/answers": self._take}
        action = actions.get(self.path.partition("?")[0])
        if action is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such address")
        self._json(HTTPStatus.OK, action(self._body()))

    def _body(self) -> Mapping[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are sent as application/json")
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not re.fullmatch(r"[0-9]{1,12}", length):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length must be said")
        if int(length) > BODY_LIMIT:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_LIMIT} bytes")
        try:
            value = json.loads(self.rfile.read(int(length)).decode("utf-8"))
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "not JSON") from None
        if not isinstance(value, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "not a JSON object")
        return value

    def _start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("plan") != self.server.facts.plan:
            raise Refused(HTTPStatus.CONFLICT, "another test is served here by now; load the page again")
        try:
            session, form = self.server.store.begin(plain(asked.get("rater"), CODE))
        except Full:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no more listeners are taken") from None
        self.server.say(f"form {form}: a listener begins")
        return {"session": session, "form": form}

    def _take(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        session = sent.get("session")
        form = self.server.store.form(session) if isinstance(session, str) else None
        if not isinstance(session, str) or form is None:
            raise Refused(HTTPStatus.FORBIDDEN, "there is no such session")
        try:
            answers = checked_answers(sent.get("answers"), form, self.server.facts)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        added = self.server.store.add(session, answers, checked_about(sent.get("about")))
        finished = sent.get("finished")
        if isinstance(finished, Mapping) and self.server.store.finish(session, plain(finished.get("comment"), COMMENT)):
            begun, done, count = self.server.store.counts()
            self.server.say(f"form {form}: finished; so far {done} of {begun} listeners, {count:,} answers")
        return {"stored": len(answers), "new": added}

    def _json(self, status: HTTPStatus, value: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", {"Cache-Control": "no-store"})

    def _send(self, status: HTTPStatus, content: bytes, kind: str, extra: Mapping[str, str]) -> None:
        self.send_response(status)
        length = {"Content-Type": kind, "Content-Length": str(len(content))}
        closing = {"Connection": "close"} if self.close_connection else {}
        for name, value in {**_HEADERS, **length, **extra, **closing}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _span(asked: str | None, size: int) -> tuple[int, int] | None:
    """Read a request for a part of a file; None where all of it is asked for, or several parts, or nonsense."""
    found = re.fullmatch(r"bytes=([0-9]{0,15})-([0-9]{0,15})", asked or "")
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
