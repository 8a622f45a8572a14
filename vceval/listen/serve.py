"""Serves a listening test and takes its answers: one loop of the standard library, by default for this machine alone.

What can be asked for is a table made at the start: the page, its recordings, four addresses of the test itself. No
path is ever made from a request, so nothing else of the disk can be reached.

A connection that asks for nothing costs a few kilobytes and no thread. What it asks must arrive within a deadline, and
what it is sent must be taken within another. Where connections run out, the one that has waited longest makes room.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import resource
import socket
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from vceval.errors import UsageError
from vceval.listen.answers import CODE, COMMENT, checked_about, checked_answers, checked_link, plain
from vceval.listen.completion import own_code
from vceval.listen.key import KEY, read_key
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.store import Full, Progress, Store

__all__ = ["BODY_LIMIT", "Deadlines", "TestServer", "make_server"]

#: Bytes that one request may send: all answers of a long form take a tenth of it.
BODY_LIMIT = 256 << 10
#: Bytes of the lines before a body, requests that are answered at the same time, and connections that wait to be taken.
_HEAD_LIMIT, _PLACES, _BACKLOG = 64 << 10, 8, 128
#: Connections at the same time; as many as files may be open, where that is fewer.
_CONNECTIONS = 4096
#: Bytes of a refused request that are thrown away.
_THROWN_AWAY = 1 << 20
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


class Deadlines:
    """Seconds that a connection may ask for nothing, and that the lines of a request, its body and an answer may take.

    A long answer may take longer: as long as it takes at ``slowest`` bytes a second.
    """

    idle, head, body, answer, slowest = 60.0, 10.0, 20.0, 30.0, 8 << 10


class TestServer:
    """The server of one test.

    files: what may be fetched, by path of the URL: a file and its media type.
    hosts: names by which it may be called; None for any.
    most: connections at the same time; fewer where fewer files may be open.
    secret: from which listeners' own codes follow; empty where they have none.
    """

    __test__ = False  # no test class, whatever pytest thinks of its name

    def __init__(
        self,
        address: tuple[str, int],
        facts: PageFacts,
        store: Store,
        files: dict[str, tuple[Path, str]],
        hosts: frozenset[str] | None,
        say: Callable[[str], None],
        secret: str = "",
    ) -> None:
        self.facts, self.store, self.files, self.hosts, self.say = facts, store, files, hosts, say
        self.secret = secret
        self.deadlines = Deadlines()
        self._socket = socket.create_server(address, backlog=_BACKLOG)
        self.server_address: tuple[str, int] = self._socket.getsockname()[:2]
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self.most = _CONNECTIONS
        self._count = 0
        #: Connections that no answer is being made for, by when they began to wait.
        self._waiting: dict[asyncio.StreamWriter, None] = {}

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host, port = self.server_address
        name = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        return f"http://{name}:{port}/"

    def serve_forever(self) -> None:
        """Answer until :meth:`shutdown` is called from another thread."""
        asyncio.run(self._serve())

    def shutdown(self) -> None:
        """Have :meth:`serve_forever` end."""
        self._begun.wait()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)

    def server_close(self) -> None:
        """Close the address."""
        self._socket.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda loop, context: self.say(str(context.get("message"))))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = max(soft, 2 * _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * _CONNECTIONS))
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self.most = max(1, min(self.most, wanted // 2 - 8))  # a recording that is sent is a second open file
        with ThreadPoolExecutor(_PLACES, "listener") as self._pool:
            listener = await asyncio.start_server(
                self._connected, sock=self._socket, limit=_HEAD_LIMIT, backlog=_BACKLOG
            )
            self._begun.set()
            await self._stop.wait()
            listener.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        if self._count >= self.most:
            longest = next(iter(self._waiting), writer)
            self._waiting.pop(longest, None)
            longest.transport.abort()
        self._count += 1
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()  # the browser hung up, or took too long
        except Exception as error:
            import traceback

            self.say("".join(traceback.format_exception(error)))
            writer.transport.abort()
        finally:
            self._count -= 1
            self._waiting.pop(writer, None)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; True where the connection stays open for another."""
        self._waiting[writer] = None
        async with asyncio.timeout(self.deadlines.idle):
            begin = await reader.read(1)
        if not begin:
            return False
        asked = _Request(self)
        try:
            async with asyncio.timeout(self.deadlines.head):
                head = begin + await reader.readuntil(b"\r\n\r\n")
            length = asked.read(head)
            writer.write(asked.continued)
            async with asyncio.timeout(self.deadlines.body):
                body = await reader.readexactly(length)
        except asyncio.LimitOverrunError:
            asked.refuse(Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "more than a request needs"))
        except TimeoutError:
            asked.refuse(Refused(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time"))
        except Refused as error:
            asked.refuse(error)
        else:
            self._waiting.pop(writer, None)
            await asyncio.get_running_loop().run_in_executor(self._pool, asked.answer, body)
        self._waiting.pop(writer, None)
        await self._send(asked, writer)
        if asked.refused:  # hanging up on what is still on its way would take the answer from its reader
            writer.write_eof()
            async with asyncio.timeout(1.0):
                left = _THROWN_AWAY
                while left > 0 and (piece := await reader.read(_HEAD_LIMIT)):
                    left -= len(piece)
        return not asked.close_connection

    async def _send(self, asked: _Request, writer: asyncio.StreamWriter) -> None:
        place, start, count = asked.file or (None, 0, 0)
        async with asyncio.timeout(self.deadlines.answer + count / self.deadlines.slowest):
            writer.write(asked.wfile.getvalue())
            await writer.drain()
            if place is not None and count:
                with open(place, "rb") as file:
                    sent = await asyncio.get_running_loop().sendfile(writer.transport, file, start, count)
                if sent < count:
                    raise ConnectionError(f"{place}: was cut short while it was sent")


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
    secret = ""
    if facts.own_codes:
        key = read_key(folder / KEY)
        secret = key.completion.secret
        if key.plan != facts.plan or not secret:
            raise UsageError(f"{folder / KEY}: holds no codes of this page's listeners; export again")
    store = Store(answers, facts.plan, len(facts.forms))
    hosts = _LOCAL | {name.lower() for name in names} if _is_local(host) else None
    try:
        return TestServer((host, port), facts, store, files, hosts, say, secret)
    except (OSError, OverflowError) as error:
        store.close()
        raise UsageError(f"{host}:{port}: can't be listened at ({error}); give another --port or --host") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Request(BaseHTTPRequestHandler):
    """One request, and what is answered: the standard library's reader of HTTP, on bytes that have arrived already."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "vceval", ""

    def __init__(self, server: TestServer) -> None:
        self.test = server
        self.wfile: BytesIO = BytesIO()
        #: What follows the answer's lines: a file, its first byte, and how many.
        self.file: tuple[Path, int, int] | None = None
        #: What is sent before the body is read, where the browser waits for it.
        self.continued = b""
        self.refused = False
        self.close_connection = True
        self.command, self.request_version, self.requestline = "", "HTTP/1.1", ""

    def read(self, head: bytes) -> int:
        """Read the lines of a request; returns the bytes of the body that follows.

        Raises:
            Refused: it is none, or nothing that is answered here.
        """
        self.rfile = BytesIO(head)
        self.raw_requestline = self.rfile.readline(_HEAD_LIMIT + 1)
        if not self.parse_request():
            raise Refused(HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST.phrase)
        self._check_host()
        if self.command in ("GET", "HEAD"):
            if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
                self.close_connection = True  # what follows is not taken for the next request
            return 0
        if self.command != "POST":
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.NOT_IMPLEMENTED.phrase)
        return self._length()

    def handle_expect_100(self) -> bool:
        """Have the browser send its body."""
        self.continued = b"HTTP/1.1 100 Continue\r\n\r\n"
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what matters is said when a listener begins and finishes."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what the base class refuses (a broken request line) without repeating any of it."""
        raise Refused(HTTPStatus(code), HTTPStatus(code).phrase)

    def refuse(self, why: Refused) -> None:
        """Answer with a reason, and hang up: a body that was not read would be taken for the next request."""
        self.close_connection = self.refused = True
        self._json(why.status, {"error": str(why)})

    def answer(self, body: bytes) -> None:
        """Answer the request that was read."""
        try:
            self._post(body) if self.command == "POST" else self._get()
        except Refused as error:
            self.refuse(error)
        except (OSError, sqlite3.Error) as error:
            self.test.say(f"a request could not be answered: {error}")
            self.refuse(Refused(HTTPStatus.SERVICE_UNAVAILABLE, "answers can't be kept just now; try again"))

    def _check_host(self) -> None:
        """Refuse names that are not ours: a page elsewhere could have its own name point at this machine."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if self.test.hosts is not None and _name(host) not in self.test.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "called by an unknown name")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Refused(HTTPStatus.FORBIDDEN, "called from another site")

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/test":
            self._json(HTTPStatus.OK, {"plan": self.test.facts.plan})
            return
        if path not in self.test.files:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        file, kind = self.test.files[path]
        try:
            size = file.stat().st_size
        except OSError:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file") from None
        span = _span(self.headers.get("Range"), size) if kind.startswith("audio/") else None
        if span is not None and span[0] >= span[1]:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, kind, {"Content-Range": f"bytes */{size}"})
            return
        extra = {"Accept-Ranges": "bytes"} if kind.startswith("audio/") else {}
        extra["Cache-Control"] = "private, max-age=86400" if kind.startswith("audio/") else "no-store"
        start, end = span or (0, size)
        if span is not None:
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._head(HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT, end - start, kind, extra)
        if self.command != "HEAD":
            self.file = file, start, end - start

    def _post(self, body: bytes) -> None:
        action = self._ACTIONS[self.path.partition("?")[0]]
        self._json(HTTPStatus.OK, action(self, _object(body)))

    def _length(self) -> int:
        if self.path.partition("?")[0] not in self._ACTIONS:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such address")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers are sent as application/json")
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not re.fullmatch(r"[0-9]{1,12}", lengths[0]):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length must be said")
        if int(lengths[0]) > BODY_LIMIT:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_LIMIT} bytes")
        return int(lengths[0])

    def _start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("plan") != self.test.facts.plan:
            raise Refused(HTTPStatus.CONFLICT, "another test is served here by now; load the page again")
        if "session" in asked:
            return self._progress(self._known(asked))
        try:
            begun = self.test.store.begin(plain(asked.get("rater"), CODE), checked_link(asked.get("link")))
        except Full:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no more listeners are taken") from None
        self.test.say(f"form {begun.form}: a listener {'goes on' if begun.answered else 'begins'}")
        return self._progress(begun)

    def _known(self, asked: Mapping[str, Any]) -> Progress:
        session = asked.get("session")
        found = self.test.store.progress(session) if isinstance(session, str) else None
        if found is None:
            raise Refused(HTTPStatus.FORBIDDEN, "there is no such session")
        return found

    def _progress(self, found: Progress) -> dict[str, Any]:
        """What a browser needs to go on where a listener was."""
        return {**asdict(found), **self._code(found)}

    def _code(self, found: Progress) -> dict[str, str]:
        """The code of a listener who has answered all and finished."""
        whole = found.finished and set(found.answered) >= set(self.test.facts.forms[found.form - 1])
        return {"code": own_code(found.session, self.test.secret)} if whole and self.test.secret else {}

    def _take(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        known = self._known(sent)
        session, form = known.session, known.form
        try:
            answers = checked_answers(sent.get("answers"), form, self.test.facts)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        added = self.test.store.add(session, answers, checked_about(sent.get("about")))
        finished = sent.get("finished")
        reply: dict[str, Any] = {"stored": len(answers), "new": added}
        if isinstance(finished, Mapping):
            if self.test.store.finish(session, plain(finished.get("comment"), COMMENT)):
                begun, done, count = self.test.store.counts()
                self.test.say(f"form {form}: finished; so far {done} of {begun} listeners, {count:,} answers")
            reply |= self._code(self._known(sent))
        return reply

    _ACTIONS: ClassVar[Mapping[str, Callable[[_Request, Mapping[str, Any]], dict[str, Any]]]] = {
        "/api/start": _start,
        "/api/answers": _take,
    }

    def _json(self, status: HTTPStatus, value: Mapping[str, Any]) -> None:
        content = json.dumps(value).encode()
        self._head(status, len(content), "application/json", {"Cache-Control": "no-store"})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, size: int, kind: str, extra: Mapping[str, str]) -> None:
        self.send_response(status)
        length = {"Content-Type": kind, "Content-Length": str(size)}
        closing = {"Connection": "close"} if self.close_connection else {}
        for name, value in {**_HEADERS, **length, **extra, **closing}.items():
            self.send_header(name, value)
        self.end_headers()


def _object(body: bytes) -> Mapping[str, Any]:
    """Read the object that a browser sends.

    Raises:
        Refused: it is none.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "not JSON") from None
    if not isinstance(value, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "not a JSON object")
    return value


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
