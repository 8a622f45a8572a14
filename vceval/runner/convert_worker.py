"""What a worker process does with a batch of conversions: read, convert, write, say what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from vceval.converters.base import Converter, Outcome, Request, Unfinished, fitting
from vceval.errors import ItemError, NoRoomError, UnmetNeed, no_room, reason_of
from vceval.records import ConversionPair, System
from vceval.results.rundir import RunDirectory, seed_suffix
from vceval.runner.audio_cache import Reuse
from vceval.runner.audio_files import marks
from vceval.runner.batches import Fitting, free_device_memory, out_of_memory
from vceval.runner.factory import make_converter, pair_seed
from vceval.runner.journal import Take
from vceval.runner.progress import say
from vceval.runner.stopwatch import Gauge, Lap
from vceval.signal import audio
from vceval.signal.audio import USUAL, Reading, Waveform

__all__ = ["ConvertTask", "Converting"]

#: Batches that are read while another is on the GPU, and threads that finish and write what came of one: they wait for
#: the disk most of the time.
_AHEAD, _WRITERS = 2, 16


@dataclass(frozen=True, slots=True)
class ConvertTask:
    """Some pairs of one system, given to one worker.

    number: of the seed that they are converted with. deaths: how many workers died of it.
    """

    system: System
    pairs: tuple[ConversionPair, ...]
    seconds: tuple[float, ...]
    number: int = 0
    deaths: int = 0

    @property
    def take(self) -> Take:
        """System and number of the seed."""
        return Take(self.system.name, self.number)

    def parts(self) -> list[ConvertTask]:
        """One task for every pair."""
        return [
            ConvertTask(self.system, (pair,), (length,), self.number)
            for pair, length in zip(self.pairs, self.seconds, strict=True)
        ]

    def again(self) -> ConvertTask:
        """The same task, with one death more."""
        return replace(self, deaths=self.deaths + 1)


class _Converted(NamedTuple):
    """What came of a request, and the call that made it; None where no call ended."""

    outcome: Outcome | Unfinished
    lap: Lap | None = None


@dataclass(slots=True)
class _Batch:
    """A task on its way. By place in the task: what is to be converted, what came of it, hashes of what was taken.

    address: of the system's audio in the cache. seconds: spent so far. report: what there is to say of the converter.
    made: by place, seconds of audio, and of processor time to finish it. full: why nothing more can be written.
    """

    task: ConvertTask
    address: str | None
    requests: dict[int, Request] = field(default_factory=dict)
    outcomes: dict[int, _Converted] = field(default_factory=dict)
    taken: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)
    made: dict[int, tuple[float, float]] = field(default_factory=dict)
    full: str = ""


class Converting:
    """Does :class:`ConvertTask`; keeps one converter open at a time. Results are journal records.

    Args:
        root: of the run.
        device: ``cpu``, ``cuda`` or ``cuda:N``. On a GPU, recordings are read ahead and audio is written behind it.
        seed: of the run.
        cache: folder of earlier results; None for none.
        reading: how recordings are read.
        workers: how many work side by side; 0 where nobody knows.
    """

    def __init__(
        self,
        root: Path,
        device: str,
        seed: int,
        cache: Path | None = None,
        reading: Reading = USUAL,
        workers: int = 0,
    ) -> None:
        audio.use(reading)
        self._run = RunDirectory(root)
        self._device, self._seed = device, seed
        self._reuse, self._fitting = Reuse(cache, reading), Fitting(device, cache)
        self._gauge, self._said = Gauge(device, workers), dict[str, Any]()
        self._open: tuple[str, Converter] | None = None
        self.ahead = 0 if device == "cpu" else _AHEAD
        self._writers = ThreadPoolExecutor(_WRITERS if self.ahead else 1)

    def __call__(self, task: ConvertTask) -> list[dict[str, Any]] | NoRoomError:
        """Fetch, compute and store a batch, one after the other; its records, or why nothing more can be written."""
        return self.store(task, self.compute(task, self.fetch(task)))

    def fetch(self, task: ConvertTask) -> _Batch:
        """Take what was made before; on a GPU, read the recordings of the rest."""
        batch = _Batch(task, self._reuse.system(task.system, make_converter(task.system), self._device))
        scratch = self._run.root / "audio" / ".scratch"
        read: dict[Any, Any] = {}
        for place, pair in enumerate(task.pairs):
            seed = pair_seed(self._seed, pair.id, task.number)
            path = self._run.audio_path(task.system.name, pair.id, task.number)
            try:
                if digest := self._reuse.take(batch.address, pair, seed, path):
                    batch.taken[place] = digest
                    continue
            except OSError as error:
                batch.full = _told(error)
                break
            output = scratch / f"{task.system.name}-{pair.id}{seed_suffix(task.number)}.wav"
            request = Request(task.system.name, pair, seed, output, task.number)
            if self.ahead:
                _read_early(request, read)
            batch.requests[place] = request
        return batch

    def compute(self, task: ConvertTask, batch: _Batch) -> _Batch:
        """Convert what was not made before."""
        began = time.perf_counter()
        if batch.requests and not batch.full:
            try:
                converter = self._converter(task.system)
            except (Exception, SystemExit) as error:  # whatever keeps it from being opened costs its pairs only
                batch.outcomes.update(dict.fromkeys(batch.requests, _Converted(ItemError(self._reason(error)))))
            else:
                items = [(request, task.seconds[place]) for place, request in batch.requests.items()]
                outcomes = self._converted(task.system.converter, converter, items)
                batch.outcomes.update(zip(batch.requests, outcomes, strict=True))
                batch.report = self._gauge.report(converter)
        batch.seconds = time.perf_counter() - began
        return batch

    def store(self, task: ConvertTask, batch: _Batch) -> list[dict[str, Any]] | NoRoomError:
        """Write the audio of a batch; every record says when it was done and what a pair of its batch took in seconds.

        Records of what was converted here have a field ``speed``, see :func:`_speeds`, and the first of a batch says
        what is new of the converter (``worker``: :meth:`vceval.runner.stopwatch.Gauge.report`). A full disk is no fault
        of a pair: the error is the result then, and the run stops.
        """
        if batch.full:
            return NoRoomError(batch.full)
        began = time.perf_counter()
        try:
            records = list(self._writers.map(lambda place: self._store(batch, place), range(len(task.pairs))))
        except OSError as error:
            return NoRoomError(_told(error))
        spent = round((batch.seconds + time.perf_counter() - began) / max(1, len(batch.requests)), 4)
        at = round(time.time(), 3)
        speeds = _speeds(batch)
        if speeds and batch.report != self._said:
            records[0]["worker"] = self._said = batch.report
        return [
            {"at": at, **({} if "reused" in record else {"seconds": spent}), **record, **speeds.get(place, {})}
            for place, record in enumerate(records)
        ]

    def _converted(self, name: str, converter: Converter, items: list[tuple[Request, float]]) -> list[_Converted]:
        """Convert as much at a time as there is room for."""
        outcomes: list[_Converted] = []
        for part in self._fitting.parts(name, items, [length for _, length in items]):
            outcomes += self._together(name, converter, part)
        return outcomes

    def _together(self, name: str, converter: Converter, items: list[tuple[Request, float]]) -> list[_Converted]:
        """Convert some pairs; where there is no room, half of them at a time; where one throws, one by one."""
        seconds = sum(length for _, length in items)
        full, reason = False, ""
        running = self._gauge.timed(converter, len(items))
        try:
            outcomes: Sequence[Outcome | Unfinished] = converter.checked_outcomes([request for request, _ in items])
            lap = running.ended()
        except (Exception, SystemExit) as error:  # whatever a converter throws costs its pairs, not the run
            full, reason = out_of_memory(error), self._reason(error)
        # Only here, as an error that is being handled keeps all that its converter had in hand
        if full:
            converter.forget()
            free_device_memory()
        if reason and len(items) == 1:
            return [_Converted(ItemError(reason))]
        if full:
            self._fitting.too_much(name, seconds)
            return self._converted(name, converter, items)
        if reason:
            return [outcome for item in items for outcome in self._together(name, converter, [item])]
        self._fitting.went_well(name, seconds)
        return [_Converted(outcome, lap) for outcome in outcomes]

    def _reason(self, error: BaseException) -> str:
        """Put an error in words; only that of a device without room needs more than its own."""
        if out_of_memory(error):
            message = str(error).partition("\n")[0]
            return f"not enough memory on {self._device}, even for one pair: {message}; free some, or use --device cpu"
        return reason_of(error)

    def _converter(self, system: System) -> Converter:
        if self._open is None or self._open[0] != system.name:
            self.close()
            converter = make_converter(system)
            converter.encodes_alone, converter.finishes_later = self._device == "cpu", bool(self.ahead)
            self._gauge.opening()
            converter.open(self._device)
            self._open = (system.name, converter)
        return self._open[1]

    def _store(self, batch: _Batch, place: int) -> dict[str, Any]:
        take, pair = batch.task.take, batch.task.pairs[place]
        path = self._run.audio_path(take.system, pair.id, take.seed)
        record: dict[str, Any] = {**take.named(), "pair": pair.id, "status": "ok"}
        here = path.relative_to(self._run.root).as_posix()
        if place not in batch.requests:
            return {**record, "path": here, "reused": True, **marks(path, batch.taken[place])}
        began = time.thread_time()
        outcome = self._finished(batch.outcomes[place].outcome)
        finishing = time.thread_time() - began
        try:
            if isinstance(outcome, Path) and outcome == batch.requests[place].output:
                outcome = audio.load(outcome, allow_silence=True)  # the file is removed when the stage ends
            if isinstance(outcome, Waveform):
                gain, digest = audio.write_flac(path, outcome)
                batch.made[place] = outcome.seconds, finishing
                record |= {"path": here, **marks(path, digest)}
                if gain != 1.0:
                    record["gain"] = gain
                else:
                    self._reuse.keep(batch.address, pair, batch.requests[place].seed, path, digest)
            elif isinstance(outcome, Path):
                audio.duration(outcome)
                record |= {"path": str(outcome.resolve()), **marks(outcome)}
            elif isinstance(outcome, UnmetNeed):
                return {**record, "status": "skipped", "need": outcome.need, "reason": reason_of(outcome)}
            else:
                raise outcome
        except ItemError as error:
            return {**record, "status": "failed", "reason": reason_of(error)}
        return record

    def _finished(self, outcome: Outcome | Unfinished) -> Outcome:
        """Do what a converter left for the threads that write."""
        if not isinstance(outcome, Unfinished):
            return outcome
        try:
            return fitting(outcome.finish())
        except (Exception, SystemExit) as error:  # as of what a converter throws while it converts
            return ItemError(self._reason(error))

    def close(self) -> None:
        """Free the converter; that it can't be closed is said, and costs no pair of the next one."""
        if self._open is None:
            return
        (name, converter), self._open = self._open, None
        try:
            converter.close()
        except Exception as error:  # a plug-in may throw anything
            say(f"vceval: {name} can't be closed: {reason_of(error)}")


def _speeds(batch: _Batch) -> dict[int, dict[str, Any]]:
    """Share the time of every call out among the recordings that it made, by their lengths, by place.

    Seconds of wall-clock time (with those of the processor that finished a recording beside the next call), of
    processor time (None where nobody tells) and of audio; whose call it was, of how many pairs, and whether the
    converter warmed up in it. What the call spent on pairs that failed counts to the others.
    """
    lengths: dict[int, float] = {}
    calls = {place: lap for place in batch.made if (lap := batch.outcomes[place].lap) is not None}
    for place, lap in calls.items():
        lengths[id(lap)] = lengths.get(id(lap), 0.0) + batch.made[place][0]
    found: dict[int, dict[str, Any]] = {}
    for place, lap in calls.items():
        seconds, finishing = batch.made[place]
        share = seconds / lengths[id(lap)]
        with contextlib.suppress(RuntimeError):  # a device that failed: the pairs that it cost say so themselves
            wall = lap.seconds() * share + (finishing if isinstance(batch.outcomes[place].outcome, Unfinished) else 0.0)
            found[place] = {"speed": {
                "by": lap.by, "wall": round(wall, 6), "processor": lap.processor and round(lap.processor * share, 6),
                "audio": round(seconds, 6), "of": lap.of, **({"first": True} if lap.first else {}),
            }}  # fmt: skip
    return found


def _read_early(request: Request, read: dict[Any, Any]) -> None:
    """Read a request's audio, or take it from one that needs the same; what can't be read is told when it is used."""
    pair = request.pair
    source = pair.source.path if pair.source else None
    for name, key in (("source", source), ("prompts", tuple(prompt.path for prompt in pair.prompts))):
        with contextlib.suppress(ItemError):
            if (name, key) not in read:
                read[name, key] = getattr(request, name)
            request.__dict__[name] = read[name, key]


def _told(error: OSError) -> str:
    """Say where there is no room; other errors of the system are raised on."""
    if not no_room(error):
        raise error
    return f"{error.filename or 'the folder of the run'}: {error.strerror}"
