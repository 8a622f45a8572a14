"""Commands of vceval in processes of their own that start at once: each is forked from one that has imported the rest.

Two of these take turns, so that what two commands make alike was made under two orders of sets. A test of how a process
starts, or of what it imports, starts one with :mod:`subprocess`.
"""

from __future__ import annotations

import atexit
import importlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

#: What a run imports in its main process sooner or later.
MODULES = (
    "fontTools.subset", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.figure",
    "pandas", "pyarrow.parquet", "rich.console", "rich.progress", "rich.table", "scipy.special", "soundfile", "soxr",
    "yaml", "vceval.cli.main", "vceval.cli.report", "vceval.cli.run", "vceval.converters.controls",
    "vceval.corpora.demo", "vceval.metrics.sanity", "vceval.reports.build", "vceval.reports.spectrogram",
    "vceval.reports.terminal", "vceval.runner.perform", "vceval.runner.plan_score", "vceval.runner.plan_suite",
    "vceval.runner.pool",
)  # fmt: skip


class Command:
    """A running ``vceval ARGUMENTS``.

    Args:
        arguments: of the command.
        cwd: where it is given.
        environment: of its process.
    """

    def __init__(self, arguments: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read at its end
        self._ended, theirs = os.pipe()
        task = json.dumps([arguments, str(cwd), dict(environment)]).encode("utf-8", "surrogateescape")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as call:
            call.connect(next(_servers()))
            socket.send_fds(call, [b"%16d" % len(task)], [self._out.fileno(), self._err.fileno(), theirs])
            os.close(theirs)
            call.sendall(task)
            self.pid = int(call.makefile().readline())

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("vceval", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to stdout and stderr."""
        self.wait(timeout)
        return _text(self._out), _text(self._err)

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(os.read(self._ended, 16)))
            os.close(self._ended)
        return self.returncode


def run(
    arguments: list[str], cwd: Path, environment: Mapping[str, str], timeout: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Give a command and wait for its end."""
    command = Command(arguments, cwd, environment)
    try:
        out, err = command.communicate(timeout)
    except subprocess.TimeoutExpired:
        command.kill()
        raise
    return subprocess.CompletedProcess(arguments, command.wait(), out, err)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


@cache
def _servers() -> Iterator[str]:
    """Start the two; the places to call them, in turn."""
    folder = tempfile.mkdtemp(prefix="warm")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    places = []
    for number in range(2):
        ours, theirs = os.pipe()
        place = f"{folder}/{number}"
        command = [sys.executable, __file__, place, str(theirs)]
        server = subprocess.Popen(command, pass_fds=[theirs], stdin=subprocess.PIPE, start_new_session=True)
        os.close(theirs)
        atexit.register(server.communicate)  # closes stdin, which is the end of it
        os.read(ours, 1)
        os.close(ours)
        places.append(place)
    return itertools.cycle(places)


def _serve(place: str, ready: int) -> None:
    """Fork a process for each command, until stdin is closed."""
    for name in MODULES:
        importlib.import_module(name)
    importlib.import_module("vceval.reports.templating")._environment().get_template("report.html.j2")
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    running: dict[int, int] = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as calls:
        calls.bind(place)
        calls.listen()
        os.write(ready, b"1")
        os.close(ready)
        while True:
            found = select.select([calls, woken, 0], [], [])[0]
            if woken in found:
                os.read(woken, 4096)
                _bury(running)
            if calls in found:
                call, _ = calls.accept()
                with call:
                    head, fds, *_ = socket.recv_fds(call, 16, 3)
                    task = call.makefile("rb").read(int(head))
                    child = os.fork()
                    if not child:
                        for end in (woken, waker, fds[2], *running.values()):
                            os.close(end)
                        calls.close()
                        _give(*json.loads(task), fds[:2])
                    running[child] = fds[2]
                    for fd in fds[:2]:
                        os.close(fd)
                    call.sendall(b"%d\n" % child)
            if 0 in found:
                return


def _bury(running: dict[int, int]) -> None:
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        told = running.pop(child)
        os.write(told, b"%d" % status)
        os.close(told)


def _give(arguments: list[str], cwd: str, environment: dict[str, str], streams: list[int]) -> Any:
    """Give the command in this process, as ``python -m vceval`` does, and end it."""
    code: object = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        silence = os.open(os.devnull, os.O_RDONLY)
        for number, stream in enumerate((silence, *streams)):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        own = [str(Path(cwd).resolve()), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        sys.path[0:1] = own
        sys.argv = ["vceval", *arguments]
        from vceval.cli.main import main

        code = main(arguments)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        for last in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):  # type: ignore[attr-defined]
            last()
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
