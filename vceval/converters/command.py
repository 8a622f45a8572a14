"""The converter ``command``: any program in any environment, as a long-lived worker speaking JSON lines.

vceval writes one JSON object a line to the worker's standard input:

    {"id": "p1", "source": "/…/a.flac", "prompts": ["/…/b.flac"], "output": "/…/p1.wav", "seed": 123, ...}

The worker writes the converted audio to ``output`` (WAV or FLAC) and answers with one line on standard output:
``{"id": "p1"}``, or ``{"id": "p1", "error": "what went wrong"}``. What it writes to standard error is kept for
error messages. End of input means: stop.

Any answer may hold ``report``, what the program says of itself, for the table of efficiency: ``parameters`` (their
number, or numbers by network), ``precision``, ``torch``, ``device`` (texts), ``threads``, ``memory`` and
``device_memory`` (the most so far, in bytes); each may be left out, and the last one said counts.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, ClassVar

from vceval.converters.base import Converter, ConverterInfo, Footprint, Outcome, Request
from vceval.declared import is_text, is_whole
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.storage.processes import die_with_parent

__all__ = ["Command"]

#: Bytes of the longest answer, answers that wait to be looked at, and bytes of standard error that are kept of a line.
_LONGEST, _UNASKED, _WORDS = 1 << 20, 100, 4096


class Command(Converter):
    """Talks to a worker program. A worker that crashes, hangs, prints rubbish or writes no file costs its pair.

    After any of these the worker is stopped with all its children and started again for the next pair. One that answers
    more lines than it was asked is stopped too, and the next pair asked anew: it is not at fault.

    Args:
        command: the program and its arguments, as a list.
        timeout: seconds that one pair may take, the first one including the start.
        cwd: folder to start it in.
        draws_noise: whether the program's audio depends on the ``seed`` that it is told.

    Raises:
        UsageError: the command is no list of words, or there is no such program.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="command",
        title="External program",
        sample_rate=None,
        licence="that of its authors",
        paper="",
        kind="command",
        trained_on=None,
    )
    batch_size = 1

    def __init__(
        self, *, command: Sequence[str], timeout: float = 600.0, cwd: str | None = None, draws_noise: bool = False
    ) -> None:
        if isinstance(command, str) or not command or not all(isinstance(word, str) for word in command):
            raise UsageError(f"command converter: {command!r} is not a list of words such as ['python', 'worker.py']")
        if timeout <= 0:
            raise UsageError(f"command converter: timeout {timeout} is not positive")
        if shutil.which(command[0]) is None:
            raise UsageError(f"command converter: no program {command[0]!r} on the path; is its environment active?")
        self.command, self.timeout, self.cwd = list(command), float(timeout), cwd
        self.declare_noise(draws_noise)
        self._worker: _Worker | None = None
        self._device = "cpu"
        self._told: dict[str, Any] = {}
        self._refused: set[str] = set()

    def open(self, device: str) -> None:
        """Remember the device, which the worker finds in its variable VCEVAL_DEVICE."""
        self._device = device

    def close(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def footprint(self) -> Footprint:
        """Tell what the program reported of itself."""
        return Footprint(**self._told, program=0 if self._worker is None else self._worker.number)

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Convert one by one."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Outcome:
        try:
            message = _message(request)
            reply = self._asked(message)
        except ItemError as error:
            self.close()
            return error
        if "report" in reply:
            self._take(reply["report"])
        if reply.get("error"):
            return ItemError(f"the worker says: {str(reply['error'])[:1000]}")
        try:
            return audio.load(request.output, allow_silence=True)
        except ItemError as error:
            self.close()
            return ItemError(f"the worker reported success, but {error}")
        finally:
            request.output.unlink(missing_ok=True)

    def _take(self, report: Any) -> None:
        """Note what the program says of itself; what is not of the form is named once."""
        known = dict(self._told)
        for key, value in (report if isinstance(report, dict) else {"": report}).items():
            given = {"": value} if key == "parameters" and is_whole(value) else value
            if key in _REPORTED and _REPORTED[key](given):
                known[key] = given
            elif key not in self._refused:
                self._refused.add(key)
                print(f"vceval: the worker reports {f'{key}: ' if key else ''}{value!r:.200}, which is left out; "
                      f"known are {', '.join(_REPORTED)}", file=sys.stderr)  # fmt: skip
        self._told = known

    def _asked(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask the worker; one that has more to say of what it was asked before is started again and asked once more."""
        if self._worker is not None:
            try:
                return self._worker.ask(message, self.timeout)
            except _Stray as error:
                print(f"vceval: {error}; it is started again, as it shall print one line a pair", file=sys.stderr)
                self.close()
        self._worker = _Worker(self.command, self.cwd, self._device)
        return self._worker.ask(message, self.timeout)


def _are_counts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and is_whole(one) for key, one in value.items())


#: What a program may report of itself, and what tells whether a value is of the form.
_REPORTED: Mapping[str, Callable[[object], bool]] = {
    "parameters": _are_counts, "precision": is_text, "torch": is_text, "device": is_text, "threads": is_whole,
    "memory": is_whole, "device_memory": is_whole,
}  # fmt: skip


class _Stray(ItemError):
    """The worker printed what is no answer to what it was asked, or left before it was asked."""


def _message(request: Request) -> dict[str, Any]:
    pair = request.pair
    if pair.source is None or not pair.prompts:
        raise ItemError(f"pair {pair.id} has no source or no prompt recording")
    request.output.parent.mkdir(parents=True, exist_ok=True)
    return {
        "id": pair.id,
        "source": str(request.heard(pair.source)),
        "prompts": [str(request.heard(prompt)) for prompt in pair.prompts],
        "output": str(request.output.resolve()),
        "seed": request.seed,
        "source_speaker": pair.source_speaker,
        "target_speaker": pair.target_speaker,
        "language": pair.language,
    }


class _Worker:
    """The running program, with threads that read what it prints."""

    def __init__(self, command: list[str], cwd: str | None, device: str) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "VCEVAL_DEVICE": device},
                start_new_session=True,
                preexec_fn=die_with_parent,  # a worker that is killed can't stop it
            )
        except (OSError, ValueError) as error:
            raise ItemError(f"the worker {command[0]!r} can't be started: {error}") from error
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: collections.deque[str] = collections.deque(maxlen=20)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def _read(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_LONGEST + 1):
            self._lines.put(line)
            if len(line) > _LONGEST or self._lines.qsize() > _UNASKED:
                return  # it is stopped as soon as this is looked at
        self._lines.put(None)

    def _listen(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_WORDS):
            self._errors.append(line.decode("utf-8", "replace").rstrip())

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, message: dict[str, Any], timeout: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(queue.Empty):
            line = self._lines.get_nowait()
            raise _Stray(self._ended() if line is None else f"the worker printed {line[:80]!r} beside its answer")
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:  # it had left before it was asked
            raise _Stray(self._ended()) from None
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise ItemError(f"the worker did not answer within {timeout:g} s{self._said()}") from None
        if line is None:
            raise ItemError(self._ended())
        if len(line) > _LONGEST:
            raise ItemError(f"the worker printed {line[:80]!r} and more than {_LONGEST:,} bytes in one line")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            raise _Stray(f"the worker printed {line[:80]!r}, which is no JSON; logs belong on standard error") from None
        if not isinstance(reply, dict):
            raise _Stray(f"the worker printed {line[:80]!r}, which is no JSON object")
        if reply.get("id") != message["id"]:
            raise _Stray(f"the worker answered for {reply.get('id')!r} when asked for {message['id']!r}")
        return reply

    def _ended(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"the worker closed its output without an answer{self._said()}"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"the worker {how}{self._said()}"

    def _said(self) -> str:
        self._listener.join(timeout=0.5)
        return f"; its last words: {self._errors[-1][:300]}" if self._errors else ""

    def stop(self) -> None:
        """Close its input; kill it and all its children if it does not leave at once."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            self._process.kill()  # its end of the pipe is gone already
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # children that it left behind
        except ProcessLookupError:
            return
        finally:
            self._process.wait()
