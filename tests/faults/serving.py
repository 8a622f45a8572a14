"""The listening server under load: many who ask for nothing, many who are slow, many listeners, kills in mid-write."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults.table import Row
from listeners import make_run

from vceval.listen.export import Look, export
from vceval.listen.pages import PageFacts, page_facts
from vceval.listen.plan import Settings

__all__ = ["Served", "kills", "listeners", "newcomer"]


class Served:
    """A listening test with the command that serves it."""

    def __init__(self, folder: Path) -> None:
        made = export(make_run(folder / "heard"), folder / "test", Settings(("mos",), forms=4, pairs=8, each=4), Look())
        self.folder = made.folder
        self.facts: PageFacts = page_facts(made.folder / "page" / "index.html")
        self.recording = next((made.folder / "page" / "audio").iterdir()).name

    @contextlib.contextmanager
    def at_work(self, answers: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """Start the server; its process and its port."""
        command = [sys.executable, "-m", "vceval", "listen", "serve", str(self.folder), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--answers", str(answers)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found is not None
        said = threading.Thread(target=process.stdout.read, daemon=True)  # so that it never waits for a reader
        said.start()
        try:
            yield process, int(found[1])
        finally:
            process.terminate()
            process.wait(timeout=20)


def ask(port: int, method: str, path: str, body: Any = None, timeout: float = 30.0) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(link):
        text = None if body is None else json.dumps(body).encode()
        link.request(method, path, text, {"Content-Type": "application/json"} if body is not None else {})
        answer = link.getresponse()
        return answer.status, answer.read()


def newcomer(served: Served, folder: Path, idle: int = 500, slow: int = 200) -> Row:
    """How long a newcomer waits for page, recording and start beside many idle and many slow connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    row = Row(f"a newcomer beside {idle} idle and {slow} slow connections")
    with served.at_work(folder / f"idle{idle}.sqlite") as (process, port):
        links = []
        for number in range(idle + slow):
            link = socket.create_connection(("127.0.0.1", port), timeout=20)
            links.append(link)
            if number < idle:
                link.sendall(b"GET /api/test HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for link in links[:idle]:
            assert link.recv(20).startswith(b"HTTP/1.1 200")
        stop = threading.Event()

        def drip() -> None:
            """Each slow one sends a byte of its request a second."""
            for letter in b"GET /index.html HTTP/1.1\r\nX-" + b"y" * 1000:
                for link in links[idle:]:
                    with contextlib.suppress(OSError):
                        link.send(bytes([letter]))
                if stop.wait(1.0):
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        waits = []
        for _ in range(10):
            for method, path, body in (
                ("GET", "/", None),
                ("GET", f"/audio/{served.recording}", None),
                ("POST", "/api/start", {"plan": served.facts.plan}),
            ):
                began = time.monotonic()
                status, _ = ask(port, method, path, body)
                waits.append(time.monotonic() - began)
                row.add(
                    "answered" if status == 200 and waits[-1] < 1.0 else "lost", f"{path}: {status}, {waits[-1]:.2f} s"
                )
            time.sleep(1.5)  # longer than a deadline in all
        stop.set()
        dripping.join()
        status = Path(f"/proc/{process.pid}/status").read_text()
        for link in links:
            link.close()
    memory, threads = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "Threads"))  # type: ignore[index]
    row.note = f"Longest wait {max(waits):.2f} s; the server took {memory / 1024:.0f} MB and {threads} threads"
    return row


def listeners(served: Served, folder: Path, count: int = 50, answers: int = 16) -> Row:
    """Listeners who answer at the same time, each answer a request on a new connection."""
    row = Row(f"{count} listeners at once, {answers} answers each")
    place = folder / f"many{count}.sqlite"
    with served.at_work(place) as (_, port):
        together = threading.Barrier(count)

        def listen(_: int) -> list[str]:
            together.wait()
            done = []
            session, trials = _begun(served, port)
            for number in range(answers):
                try:
                    status, _ = ask(port, "POST", "/api/answers", _answer(session, trials[number % len(trials)]))
                    done.append("stored" if status == 200 else "lost")
                except OSError:
                    done.append("lost")
            return done

        with ThreadPoolExecutor(count) as pool:
            for found in pool.map(listen, range(count)):
                for what in found:
                    row.add(what, "an answer")
    with contextlib.closing(sqlite3.connect(place)) as database:
        [kept] = database.execute("SELECT count(*) FROM answers").fetchone()
    most = count * min(answers, min(map(len, served.facts.forms)))
    if kept < most:
        row.add("lost", f"{kept} of {most} in the file")
    return row


def kills(served: Served, folder: Path, times: int = 5, count: int = 8, seed: int = 15) -> Row:
    """Kills of the server while listeners answer: what was acknowledged must be in the file."""
    row = Row(f"{times} kills while {count} listeners answer")
    drawn = random.Random(seed)
    for number in range(times):
        place = folder / f"killed{number}.sqlite"
        acknowledged: set[tuple[str, str]] = set()
        with served.at_work(place) as (process, port):

            def listen(_: int, port: int = port, acknowledged: set[tuple[str, str]] = acknowledged) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    while True:
                        session, trials = _begun(served, port)
                        for trial in trials:
                            status, _ = ask(port, "POST", "/api/answers", _answer(session, trial))
                            if status == 200:
                                acknowledged.add((session, trial))

            with ThreadPoolExecutor(count) as pool:
                working = [pool.submit(listen, one) for one in range(count)]
                time.sleep(0.5 + drawn.random())
                os.kill(process.pid, signal.SIGKILL)
                for one in working:
                    one.result()
        with contextlib.closing(sqlite3.connect(place)) as database:
            kept = set(database.execute("SELECT session, trial FROM answers"))
            [sound] = database.execute("PRAGMA integrity_check").fetchone()
        for one in sorted(acknowledged):
            row.add("acknowledged and there" if one in kept else "lost", f"kill {number}")
        if sound != "ok" or not acknowledged:
            row.add("lost", f"kill {number}: {sound}, {len(acknowledged)} acknowledged")
    return row


def _begun(served: Served, port: int) -> tuple[str, tuple[str, ...]]:
    _, text = ask(port, "POST", "/api/start", {"plan": served.facts.plan})
    begun = json.loads(text)
    return begun["session"], tuple(served.facts.forms[begun["form"] - 1])


def _answer(session: str, trial: str) -> dict[str, Any]:
    return {"session": session, "answers": [{"trial": trial, "answer": "3", "seconds": 1.0, "plays": 1}]}
