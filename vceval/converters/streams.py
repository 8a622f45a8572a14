"""Conversions that are given their source chunk by chunk, and what is noted of one: what came when.

A stream is driven by :func:`drive`, at the pace of speech or as fast as it goes. Whatever it does wrongly (nothing for
too long, too much, too little, out of order) ends this stream, in words. Times are seconds since the first sample of
the source was spoken, by a clock that tests replace.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from vceval.converters.base import Request
from vceval.errors import ItemError
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "LEAST", "MOST", "SPARE", "Chunk", "Clock", "Ended", "Engine", "Event", "Heard", "LocalStream", "Pace", "Piece",
    "Stream", "Streaming", "Timeline", "WallClock", "drive", "heard_whole",
]  # fmt: skip

#: ``real``: as somebody speaks. ``fast``: a chunk as soon as the one before it is done with.
Pace = Literal["real", "fast"]
#: Converted audio lasts so much of its source at least and at most, and so many seconds more.
LEAST, MOST, SPARE = 0.5, 1.5, 1.0


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since any moment."""
        ...

    def wait_until(self, moment: float) -> None:
        """Return at a moment, at once where it has passed."""
        ...


class WallClock:
    """That of the machine."""

    def now(self) -> float:
        """Seconds since any moment."""
        return time.perf_counter()

    def wait_until(self, moment: float) -> None:
        """Return at a moment, at once where it has passed."""
        time.sleep(max(0.0, moment - self.now()))


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Converted audio: samples (n,) of full scale 1, the place of the first one, and when they came."""

    at: float
    start: int
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heard:
    """The stream is done with a chunk of the source."""

    at: float
    chunk: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream has given all that it had to give."""

    at: float


Event = Piece | Heard | Ended


class Stream(ABC):
    """One conversion under way. ``rate`` is that of what it gives, in Hz."""

    rate: int

    @abstractmethod
    def give(self, samples: NDArray[np.float32], at: float) -> None:
        """Hand over the next chunk of the source, which was spoken to its end ``at`` seconds after the first sample.

        Raises:
            ItemError: the stream does not take it.
        """

    @abstractmethod
    def finish(self) -> None:
        """Say that the source is over.

        Raises:
            ItemError: the stream does not take it.
        """

    @abstractmethod
    def take(self, until: float | None) -> Event | None:
        """Give what came next, waiting for it until a moment of the clock; None where nothing came.

        Args:
            until: None to wait as long as the stream may take.

        Raises:
            ItemError: the stream went wrong, or took too long.
        """

    def drop(self) -> None:  # noqa: B027 - most have nothing to give up
        """Give a stream up that went wrong."""


class Streaming(ABC):
    """A converter that can also convert chunk by chunk."""

    #: Whether this very one does; its options may say no.
    streams: bool = True
    #: Milliseconds of source that it takes at a time where nobody says another number; None where it does not matter.
    own_chunk: float | None = None

    @abstractmethod
    def begin(self, request: Request, rate: int, chunk: int, clock: Clock, whole: bool = False) -> Stream:
        """Make ready for a source: whatever the prompts need is done when this returns.

        Args:
            request: the pair, whose source is given to the stream and not read.
            rate: of the source, in Hz.
            chunk: samples of the source that will come at a time; the last ones may be fewer.
            clock: by which the stream notes what came when.
            whole: the source will come in one chunk, to be converted as offline.

        Raises:
            ItemError: the pair can't be converted.
        """


class Engine(Protocol):
    """What computes a stream in this process."""

    rate: int

    def push(self, samples: NDArray[np.float32]) -> Iterable[NDArray[np.float32]]:
        """Take a chunk, and give what can be given now, one after the other."""
        ...

    def finish(self) -> Iterable[NDArray[np.float32]]:
        """Give the rest."""
        ...


class LocalStream(Stream):
    """A stream that an engine in this process computes as soon as it is given something."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.rate = engine.rate
        self._engine, self._clock = engine, clock
        self._events: deque[Event] = deque()
        self._chunks = self._samples = 0

    def give(self, samples: NDArray[np.float32], at: float) -> None:
        """Compute what follows from a chunk."""
        self._note(self._engine.push(samples))
        self._events.append(Heard(self._clock.now(), self._chunks))
        self._chunks += 1

    def finish(self) -> None:
        """Compute the rest."""
        self._note(self._engine.finish())
        self._events.append(Ended(self._clock.now()))

    def take(self, until: float | None) -> Event | None:
        """Give what was computed."""
        if self._events:
            return self._events.popleft()
        if until is None:
            raise ItemError("the stream gave no answer")
        self._clock.wait_until(until)
        return None

    def _note(self, pieces: Iterable[NDArray[np.float32]]) -> None:
        for samples in pieces:
            if len(samples):
                self._events.append(Piece(self._clock.now(), self._samples, samples))
                self._samples += len(samples)


@dataclass(slots=True)
class Chunk:
    """A chunk of the source: its first sample and the one behind it, when it was given and when it was done with."""

    start: int
    end: int
    sent: float
    heard: float | None = None


@dataclass(slots=True)
class Timeline:
    """What was given to a stream and what it gave, with times in seconds since the first sample was spoken.

    sent: for each piece, samples of the source that were given before it came. setup: seconds that the stream took to
    make ready. ended: when all was there.
    """

    source_rate: int
    rate: int
    pace: Pace
    setup: float = 0.0
    chunks: list[Chunk] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    ended: float = 0.0
    samples: int = 0

    @property
    def source_samples(self) -> int:
        """Samples of the source that were given."""
        return self.chunks[-1].end if self.chunks else 0

    @property
    def audio(self) -> Waveform:
        """All that the stream gave."""
        import numpy as np

        parts = [piece.samples for piece in self.pieces]
        return Waveform(np.concatenate(parts) if parts else np.zeros(0, np.float32), self.rate)

    def edges(self) -> list[int]:
        """Places in the output at which one piece ends and another begins."""
        return [piece.start for piece in self.pieces[1:]]


def drive(
    streaming: Streaming,
    request: Request,
    source: Waveform,
    chunk: int,
    pace: Pace,
    clock: Clock,
    *,
    whole: bool = False,
    enough: int | None = None,
) -> Timeline:
    """Stream one source through a converter.

    Args:
        streaming: the converter, open.
        request: the pair; what its source file holds is not read.
        source: what is given.
        chunk: samples at a time.
        pace: when they are given.
        clock: what tells the time.
        whole: see :meth:`Streaming.begin`.
        enough: stop when so many samples have come; what the source still holds is not given then.

    Raises:
        ItemError: the stream failed, stalled, or gave what no conversion of this source can be.
    """
    began = clock.now()
    stream = streaming.begin(request, source.sample_rate, chunk, clock, whole)
    first = clock.now()
    line = Timeline(source.sample_rate, stream.rate, pace, setup=first - began)
    try:
        _feed(line, stream, source.samples, chunk, clock, first, enough)
        if enough is None:
            _check_length(line, len(source.samples))
    except BaseException:
        stream.drop()
        raise
    return line


def _feed(
    line: Timeline,
    stream: Stream,
    samples: NDArray[np.float32],
    chunk: int,
    clock: Clock,
    first: float,
    enough: int | None,
) -> None:
    total, rate = len(samples), line.source_rate

    def take(until: float | None) -> None:
        if (event := stream.take(until)) is not None:
            _note(line, event, first, total)

    for start in range(0, total, chunk):
        end = min(start + chunk, total)
        while line.pace == "real" and clock.now() < first + end / rate:
            take(first + end / rate)
            if line.ended:
                raise ItemError(
                    f"the stream ended when {(total - start) / rate:.2f} s of the source were still to come"
                )
        line.chunks.append(Chunk(start, end, clock.now() - first))
        stream.give(samples[start:end], end / rate)
        while line.pace == "fast" and line.chunks[-1].heard is None:
            take(None)
        if enough is not None and line.samples >= enough:
            break
    stream.finish()
    while not line.ended:
        take(None)


def _note(line: Timeline, event: Event, first: float, total: int) -> None:
    """Write an event down.

    Raises:
        ItemError: it can't be.
    """
    import numpy as np

    if isinstance(event, Ended):
        unheard = sum(chunk.heard is None for chunk in line.chunks)
        if unheard:
            raise ItemError(f"the stream ended before it said that it had heard {unheard} of {len(line.chunks)} chunks")
        line.ended = event.at - first or 1e-9
    elif isinstance(event, Heard):
        due = next((number for number, chunk in enumerate(line.chunks) if chunk.heard is None), None)
        if event.chunk != due:
            wanted = "it has heard all" if due is None else f"chunk {due} is next"
            raise ItemError(f"out of order: the stream says that it has heard chunk {event.chunk} when {wanted}")
        line.chunks[event.chunk].heard = event.at - first
    else:
        if event.start != line.samples:
            raise ItemError(f"out of order: samples from {event.start:,} on came when {line.samples:,} were next")
        if not len(event.samples):
            return  # nothing is heard of it: no piece, no seam, no deadline
        if not np.isfinite(event.samples).all():
            raise ItemError(f"the stream gave NaN or infinite samples after {line.samples / line.rate:.3f} s")
        at = event.at - first
        line.pieces.append(Piece(at, event.start, event.samples))
        # By when it came, as it may have waited to be looked at
        line.sent.append(next((chunk.end for chunk in reversed(line.chunks) if chunk.sent <= at), 0))
        line.samples += len(event.samples)
        seconds = total / line.source_rate
        if line.samples > (MOST * seconds + SPARE) * line.rate:
            raise ItemError(
                f"too much: more than {MOST * seconds + SPARE:.2f} s of audio at {line.rate} Hz came for a source of "
                f"{seconds:.2f} s; is that the right rate?"
            )


def _check_length(line: Timeline, total: int) -> None:
    seconds = total / line.source_rate
    if line.samples < LEAST * seconds * line.rate:
        raise ItemError(
            f"too little: {line.samples / line.rate:.2f} s of audio at {line.rate} Hz came for a source of "
            f"{seconds:.2f} s; is that the right rate?"
        )


def heard_whole(streaming: Streaming, request: Request, source: Waveform, chunk: int | None = None) -> Waveform:
    """Convert a source through a stream where nobody waits for it: in one chunk, or in chunks as fast as it goes.

    Raises:
        ItemError: as :func:`drive`.
    """
    size = len(source.samples) if chunk is None else chunk
    return drive(streaming, request, source, size, "fast", WallClock(), whole=chunk is None).audio
