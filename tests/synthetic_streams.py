"""Made-up streaming converters whose look-ahead, delay, times and defects are known, and a clock that they turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vceval.converters.base import Request
from vceval.converters.streams import Clock, LocalStream, Pace, Streaming, Timeline, drive
from vceval.records import ConversionPair
from vceval.signal.audio import Waveform

RATE = 16_000
#: Samples of the source at a time: 40 ms.
CHUNK = 640
REQUEST = Request("made up", ConversionPair("p", "made up"), 1, Path("nowhere"))


class TurnedClock:
    """A clock that stands still unless somebody waits or works."""

    def __init__(self) -> None:
        self.moment = 100.0

    def now(self) -> float:
        return self.moment

    def wait_until(self, moment: float) -> None:
        self.moment = max(self.moment, moment)


@dataclass(frozen=True)
class Synthetic(Streaming):
    """Shifts the source in frequency; every sample hears what is ``ahead`` of it.

    block: samples that are given at a time. levelled: every block is also divided by its level, so that a sample hears
    all of it. delay: samples of silence that come first. zeros: seconds of them that are sent before anything was
    heard, on top of it. played: seconds of the source that are played instead of being converted. work: seconds that
    each chunk takes, and some by number. flipped, louder, gaps: numbers of pieces with a defect. lost: every so many
    pieces a sample is lost. rate: of the output, no lower than that of the source.
    """

    ahead: int = 0
    block: int = CHUNK
    levelled: bool = False
    delay: int = 0
    zeros: float = 0.0
    played: float = 0.0
    work: float = 0.01
    slow: Mapping[int, float] = field(default_factory=dict)
    flipped: frozenset[int] = frozenset()
    louder: frozenset[int] = frozenset()
    gaps: frozenset[int] = frozenset()
    lost: int = 0
    rate: int = RATE

    def begin(self, request: Request, rate: int, chunk: int, clock: Clock, whole: bool = False) -> LocalStream:
        assert isinstance(clock, TurnedClock)
        return LocalStream(Shifter(self, clock), clock)

    def offline(self, source: np.ndarray) -> np.ndarray:
        """What it makes of a whole source."""
        heard = np.concatenate([source, np.zeros(self.ahead, np.float32)])
        blocks = [
            self.part(heard, start, min(start + self.block, len(source))) for start in range(0, len(source), self.block)
        ]
        return np.concatenate(blocks)

    def part(self, heard: np.ndarray, start: int, end: int) -> np.ndarray:
        """What it makes of some samples of what it heard."""
        place = np.arange(start, end)
        made = heard[start:end] * np.cos(0.05 * place) + 0.5 * heard[start + self.ahead : end + self.ahead] * np.cos(
            0.08 * place
        )
        if self.levelled:
            made = made / (1.0 + np.abs(made).mean())
        first, last = (-(-at * self.rate // RATE) for at in (start, end))
        return made[np.arange(first, last) * RATE // self.rate - start].astype(np.float32)


class Shifter:
    """The engine of it: the offline result, given as far as what it hears has come."""

    def __init__(self, owner: Synthetic, clock: TurnedClock) -> None:
        self.rate = owner.rate
        self._owner, self._clock = owner, clock
        self._heard = np.zeros(0, np.float32)
        self._given = self._pieces = self._chunks = 0

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        owner = self._owner
        self._heard = np.concatenate([self._heard, samples])
        if not self._chunks and owner.zeros:
            yield np.zeros(round(owner.zeros * self.rate), np.float32)
        self._clock.moment += owner.work + owner.slow.get(self._chunks, 0.0)
        self._chunks += 1
        while self._given + owner.block + owner.ahead <= len(self._heard):
            yield self._piece(self._given + owner.block)

    def finish(self) -> Iterator[np.ndarray]:
        end = len(self._heard)
        self._heard = np.concatenate([self._heard, np.zeros(self._owner.ahead, np.float32)])
        while self._given < end:
            yield self._piece(min(end, self._given + self._owner.block))

    def _piece(self, end: int) -> np.ndarray:
        owner, number = self._owner, self._pieces
        made = owner.part(self._heard, self._given, end)
        copied = max(0, min(len(made), round(owner.played * RATE) - self._given))
        made[:copied] = 0.7 * self._heard[self._given : self._given + copied]
        if number in owner.flipped:
            made = -made
        if number in owner.louder:
            made = 2.0 * made
        if number in owner.gaps:
            made[: round(0.008 * self.rate)] = 0.0
        if owner.lost and number % owner.lost == owner.lost - 1:
            made = made[1:]
        if not number and owner.delay:
            made = np.concatenate([np.zeros(owner.delay, np.float32), made])
        self._given, self._pieces = end, number + 1
        return made


def streamed(worker: Synthetic, source: np.ndarray, pace: Pace = "real", enough: int | None = None) -> Timeline:
    """Stream a source through a worker, by a clock of its own."""
    return drive(worker, REQUEST, Waveform(source, RATE), CHUNK, pace, TurnedClock(), enough=enough)
