"""The converter ``command``: any program in any environment, as a long-lived worker speaking JSON lines.

vceval writes one JSON object a line to the worker's standard input:

    {"id": "p1", "source": "/…/a.flac", "prompts": ["/…/b.flac"], "output": "/…/p1.wav", "seed": 123, ...}

The worker writes the converted audio to ``output`` (WAV or FLAC) and answers with one line on standard output:
``{"id": "p1"}``, or ``{"id": "p1", "error": "what went wrong"}``. What it writes to standard error is kept for
error messages. End of input means: stop.

That is protocol 1. By protocol 2 (the option ``protocol``) the audio itself goes through the pipes, chunk by chunk, as
base64 of little-endian float32 samples, full scale 1, so that a program which converts while somebody speaks can be
measured as such. vceval writes

    {"protocol": 2, "id": "p1", "rate": 16000, "chunk": 640, "whole": false, "prompts": [...], "seed": 123, ...}
    {"id": "p1", "chunk": 0, "start": 0, "at": 0.04, "samples": "…"}        at: when its last sample was spoken
    {"id": "p1", "end": true}

and the worker ``{"id": "p1", "protocol": 2, "rate": 24000}`` once it is ready, ``{"id": "p1", "start": 0, "samples":
"…"}`` whenever it has audio (start: samples given before), ``{"id": "p1", "heard": 0}`` for every chunk as soon as it
is done with it, and ``{"id": "p1", "end": true}`` at the end; one line may say several of these. ``whole`` says that
the source comes in one chunk, to be converted as offline.

Any answer may hold ``report``, what the program says of itself, for the table of efficiency: ``parameters`` (their
number, or numbers by network), ``precision``, ``torch``, ``device`` (texts), ``threads``, ``memory`` and
``device_memory`` (the most so far, in bytes); each may be left out, and the last one said counts.
"""

from __future__ import annotations

import base64
import binascii
import collections
import contextlib
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from vceval.converters.base import Converter, ConverterInfo, Footprint, Outcome, Request
from vceval.converters.streams import Clock, Ended, Event, Heard, Piece, Stream, Streaming, heard_whole
from vceval.declared import is_text, is_whole
from vceval.errors import ItemError, UsageError
from vceval.signal import audio
from vceval.signal.audio import MAX_RATE, MIN_RATE
from vceval.storage.processes import LONGEST_WAIT, die_with_parent, is_wait, signal_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Command"]

#: Bytes of the longest answer, answers that wait to be looked at, and bytes of standard error that are kept of a line.
_LONGEST, _UNASKED, _WORDS = 1 << 20, 100, 4096
#: Characters of the longest name that a report gives.
_NAME = 200


class Command(Converter, Streaming):
    """Talks to a worker program. A worker that crashes, hangs, prints rubbish or writes no file costs its pair.

    After any of these the worker is stopped with all its children and started again for the next pair. One that answers
    more lines than it was asked is stopped too, and the next pair asked anew: it is not at fault.

    Args:
        command: the program and its arguments, as a list.
        timeout: seconds that one pair may take, the first one including the start; of a stream, any answer.
        cwd: folder to start it in.
        draws_noise: whether the program's audio depends on the ``seed`` that it is told.
        protocol: 1, or 2 for a program that converts chunk by chunk.

    Raises:
        UsageError: the command is no list of words, there is no such program, folder or protocol.
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
        self,
        *,
        command: Sequence[str],
        timeout: float = 600.0,
        cwd: str | None = None,
        draws_noise: bool = False,
        protocol: int = 1,
    ) -> None:
        words = isinstance(command, Sequence) and not isinstance(command, str)
        if not words or not command or not all(isinstance(word, str) for word in command):
            raise UsageError(f"command converter: {command!r} is not a list of words such as ['python', 'worker.py']")
        if not is_wait(timeout):
            raise UsageError(f"command converter: timeout {timeout} is not positive, or above {LONGEST_WAIT:,} s")
        if shutil.which(command[0]) is None:
            raise UsageError(f"command converter: no program {command[0]!r} on the path; is its environment active?")
        if cwd is not None and not (isinstance(cwd, str) and Path(cwd).is_dir()):
            raise UsageError(f"command converter: cwd {cwd!r} is no folder to start the program in")
        if protocol not in (1, 2):
            raise UsageError(f"command converter: protocol {protocol!r} is not known; give 1, or 2 for streams")
        self.command, self.timeout, self.cwd = list(command), float(timeout), cwd
        self.streams = protocol == 2
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

    def begin(self, request: Request, rate: int, chunk: int, clock: Clock, whole: bool = False) -> Stream:
        """Have the worker make ready for a source; what comes from it is timed by the clock of the machine."""
        asked = {**_told(request), "protocol": 2, "rate": rate, "chunk": chunk, "whole": whole}
        try:
            reply = self._asked(asked)
        except ItemError:
            self.close()
            raise
        if "report" in reply:
            self._take(reply["report"])
        if reply.get("error"):
            raise ItemError(f"the worker says: {str(reply['error'])[:1000]}")
        if reply.get("protocol") != 2:
            self.close()
            raise ItemError("the worker did not say that it speaks protocol 2, so it can't be given chunks")
        given: Any = reply.get("rate")
        if not is_whole(given, MIN_RATE) or given > MAX_RATE:
            self.close()
            raise ItemError(f"the worker gives {given!r} as its sample rate; {MIN_RATE} to {MAX_RATE} Hz are taken")
        assert self._worker is not None
        talk = _Talk(self, self._worker, request.pair.id, given)
        if reply.keys() & {"samples", "heard", "end"}:
            try:
                talk.understand(clock.now(), {key: value for key, value in reply.items() if key != "report"})
            except ItemError:
                self.close()
                raise
        return talk

    def _one(self, request: Request) -> Outcome:
        if self.streams:
            try:
                return heard_whole(self, request, request.source)
            except ItemError as error:
                return error
        _discard(request.output)  # an earlier try may have left it
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
            _discard(request.output)

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


def _discard(path: Path) -> None:
    """Remove what a worker wrote, be it a file or, by mistake, a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_count(value: object) -> bool:
    return is_whole(value) and isinstance(value, int) and value < 1 << 63


def _is_name(value: object) -> bool:
    return is_text(value) and len(str(value)) <= _NAME


def _are_counts(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and len(key) <= _NAME and _is_count(one) for key, one in value.items()
    )


#: What a program may report of itself, and what tells whether a value is of the form.
_REPORTED: Mapping[str, Callable[[object], bool]] = {
    "parameters": _are_counts, "precision": _is_name, "torch": _is_name, "device": _is_name, "threads": _is_count,
    "memory": _is_count, "device_memory": _is_count,
}  # fmt: skip


class _Stray(ItemError):
    """The worker printed what is no answer to what it was asked, or left before it was asked."""


def _message(request: Request) -> dict[str, Any]:
    pair = request.pair
    if pair.source is None:
        raise ItemError(f"pair {pair.id} has no source or no prompt recording")
    request.output.parent.mkdir(parents=True, exist_ok=True)
    files = {"source": str(request.heard(pair.source)), "output": str(request.output.resolve())}
    return {**_told(request), **files}


def _told(request: Request) -> dict[str, Any]:
    """What a worker is told of a pair, whatever the protocol."""
    pair = request.pair
    if not pair.prompts:
        raise ItemError(f"pair {pair.id} has no source or no prompt recording")
    return {
        "id": pair.id,
        "prompts": [str(request.heard(prompt)) for prompt in pair.prompts],
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
        #: When each line came, by time.perf_counter(), and the line; None for the end.
        self._lines: queue.Queue[tuple[float, bytes | None]] = queue.Queue()
        self._flooded = False
        self._errors: collections.deque[str] = collections.deque(maxlen=20)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def _read(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_LONGEST + 1):
            self._lines.put((time.perf_counter(), line))
            if len(line) > _LONGEST:
                return  # it is stopped as soon as this is looked at
            if self._lines.qsize() > _UNASKED:
                self._flooded = True
                break
        self._lines.put((time.perf_counter(), None))

    def _listen(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_WORDS):
            self._errors.append(line.decode("utf-8", "replace").rstrip())

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, message: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Ask something new, and wait for the answer."""
        with contextlib.suppress(queue.Empty):
            _, line = self._lines.get_nowait()
            raise _Stray(self.ended() if line is None else f"the worker printed {line[:80]!r} beside its answer")
        try:
            self.tell(message, timeout)
        except BrokenPipeError:  # it had left before it was asked
            raise _Stray(self.ended()) from None
        found = self.hear(message["id"], timeout)
        if found is None:
            raise ItemError(f"the worker did not answer within {timeout:g} s{self.said()}")
        return found[1]

    def tell(self, message: dict[str, Any], timeout: float) -> None:
        """Write a line.

        Raises:
            BrokenPipeError: the worker has left.
            ItemError: it does not read.
        """
        assert self._process.stdin is not None
        pipe, left = self._process.stdin.fileno(), memoryview(json.dumps(message).encode() + b"\n")
        room = select.poll()
        room.register(pipe, select.POLLOUT)
        deadline = time.perf_counter() + timeout
        while left:
            if not room.poll(max(0.0, deadline - time.perf_counter()) * 1000.0):
                raise ItemError(f"the worker did not read what it was told within {timeout:g} s{self.said()}")
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(pipe, left) :]

    def hear(self, name: str, timeout: float) -> tuple[float, dict[str, Any]] | None:
        """Wait for the next line, which is about a pair; None where none comes in time.

        Returns:
            When it came, by ``time.perf_counter()``, and what it says.
        """
        try:
            at, line = self._lines.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None
        if line is None:
            raise ItemError(self.ended())
        if len(line) > _LONGEST:
            raise ItemError(f"the worker printed {line[:80]!r} and more than {_LONGEST:,} bytes in one line")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            raise _Stray(f"the worker printed {line[:80]!r}, which is no JSON; logs belong on standard error") from None
        if not isinstance(reply, dict):
            raise _Stray(f"the worker printed {line[:80]!r}, which is no JSON object")
        if reply.get("id") != name:
            raise _Stray(f"the worker answered for {reply.get('id')!r} when asked for {name!r}")
        return at, reply

    def ended(self) -> str:
        """Say how it came to its end."""
        if self._flooded:
            return f"the worker printed more than {_UNASKED} lines at once{self.said()}"
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return f"the worker closed its output without an answer{self.said()}"
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"the worker {how}{self.said()}"

    def said(self) -> str:
        """Its last words, to be added to a message."""
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


class _Talk(Stream):
    """A stream that a worker computes, by protocol 2."""

    def __init__(self, owner: Command, worker: _Worker, name: str, rate: int) -> None:
        self.rate = rate
        self._owner, self._worker, self._name = owner, worker, name
        self._events: collections.deque[Event] = collections.deque()
        self._chunks = self._given = 0

    def give(self, samples: NDArray[np.float32], at: float) -> None:
        """Write a chunk."""
        data = base64.b64encode(samples.astype("<f4").tobytes()).decode()
        self._tell({"id": self._name, "chunk": self._chunks, "start": self._given, "at": at, "samples": data})
        self._chunks += 1
        self._given += len(samples)

    def finish(self) -> None:
        """Write that there is no more."""
        self._tell({"id": self._name, "end": True})

    def drop(self) -> None:
        """Stop the worker, as nobody knows what else it has to say."""
        self._owner.close()

    def take(self, until: float | None) -> Event | None:
        """Read until something came."""
        while not self._events:
            timeout = self._owner.timeout if until is None else until - time.perf_counter()
            found = self._worker.hear(self._name, timeout)
            if found is None and until is not None:
                return None
            if found is None:
                raise ItemError(f"the worker stalled: nothing came for {timeout:g} s{self._worker.said()}")
            self.understand(*found)
        return self._events.popleft()

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._worker.tell(message, self._owner.timeout)
        except BrokenPipeError:
            raise ItemError(self._worker.ended()) from None

    def understand(self, at: float, line: dict[str, Any]) -> None:
        """Take apart what a line says."""
        if "report" in line:
            self._owner._take(line["report"])
        if line.get("error"):
            raise ItemError(f"the worker says: {str(line['error'])[:1000]}")
        if line.get("rate", self.rate) != self.rate:
            raise ItemError(f"the worker gives {line['rate']!r} Hz amid a stream that it began with {self.rate} Hz")
        known = len(self._events)
        if "samples" in line:
            if not is_whole(line.get("start")):
                raise ItemError(f"the worker gave samples with the start {line.get('start')!r}, which is no number")
            self._events.append(Piece(at, line["start"], _samples(line["samples"])))
        if "heard" in line:
            if not is_whole(line["heard"]):
                raise ItemError(f"the worker says that it has heard chunk {line['heard']!r}, which is no number")
            self._events.append(Heard(at, line["heard"]))
        if line.get("end"):
            self._events.append(Ended(at))
        elif len(self._events) == known and "report" not in line:
            raise ItemError(f"the worker printed {json.dumps(line)[:80]}: neither samples, heard, end nor error")


def _samples(text: Any) -> NDArray[np.float32]:
    """Read samples.

    Raises:
        ItemError: they are none.
    """
    import numpy as np

    try:
        data = base64.b64decode(text, validate=True)
        return np.frombuffer(data, "<f4").astype(np.float32)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ItemError(f"the worker gave samples that are no base64 of float32: {error}") from None
