"""Streams a suite: each pair offline and chunk by chunk, both scored, and all that is measured of the streams.

The folder holds ``offline/`` and ``streamed/``, two runs of the same pairs; the streamed audio in ``audio/``; the
journal, by which the same command goes on where it was cut off; and what :mod:`vceval.streaming.figures` writes.
Systems are streamed one at a time, in this process or by their programs, with nothing else at work.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval.converters.base import Converter, Request
from vceval.converters.streams import Pace, Streaming, Timeline, WallClock, drive
from vceval.errors import ItemError, UsageError, reason_of
from vceval.protocol.systems import system_of
from vceval.records import Conversion, ConversionPair, Failure, System
from vceval.results.compare import Comparison, compare
from vceval.results.efficiency import Efficiency, Machine, SetUp
from vceval.results.efficiency import Spread as Taken
from vceval.results.rundir import RunDirectory
from vceval.runner.execute import locked
from vceval.runner.factory import make_converter, pair_seed
from vceval.runner.journal import Journal
from vceval.runner.options import Options
from vceval.runner.perform import perform
from vceval.runner.plan import GIVEN, Plan, check_same, fingerprint
from vceval.runner.plan_suite import plan_suite
from vceval.runner.progress import stage
from vceval.runner.request import SuiteRequest
from vceval.runner.stopwatch import Gauge
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.streaming import figures, lookahead
from vceval.streaming.figures import LookAhead, PairFigures, StreamFile

__all__ = ["StreamRequest", "Streamed", "stream"]

#: Milliseconds of source that are given at a time where neither the command nor the system says it.
_CHUNK = 40.0
#: A system whose first pairs fail one after the other, so many, is given up.
_GIVEN_UP = 3
#: Seconds of the source that look-ahead is measured on, and parts of it at which the source is changed.
_PROBED, _MOMENTS = 3.0, (0.5, 0.35, 0.65, 0.42, 0.58)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest(SuiteRequest):
    """What ``vceval stream`` is asked for: see its options."""

    pace: Pace = "real"
    chunk: float | None = None
    probes: int = 3


@dataclass(frozen=True, slots=True)
class Streamed:
    """What came of it: the files' content, and the comparison of streamed with offline where both have scores."""

    content: StreamFile
    comparison: Comparison | None
    failures: int


def stream(asked: StreamRequest, folder: Path | None, fresh: bool = False) -> tuple[Path, Streamed]:
    """Convert offline and in streams, score both, and write what was measured; returns the folder, and what it holds.

    Raises:
        UsageError: the request is wrong, a system does not stream, or the folder holds something else.
    """
    _check(asked)
    # No systems but those that are named: those of the suite do not stream
    named = [_named(one, asked.timeout) for one in asked.system]
    plan = plan_suite(dataclasses.replace(asked, system=named, converters=[""], seeds=1))
    systems = [system for system in plan.systems if not system.control]
    chunks = {system.name: _chunk(system, asked.chunk) for system in systems}
    folder = Path("runs") / f"{plan.name}-stream" if folder is None else folder
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "request.json").is_file():
        raise UsageError(f"{folder}: holds other files; give a new folder with --out")
    with locked(folder):
        facts = {**fingerprint(plan), "pace": asked.pace, "chunks": chunks, "probes": asked.probes}
        kept = RunDirectory(folder)
        if fresh:
            for name in ("offline", "streamed", "audio", "journal"):
                shutil.rmtree(folder / name, ignore_errors=True)
        elif (folder / "request.json").is_file():
            check_same(folder, kept.read_json("request.json", checked=False), facts)
        kept.write_json("request.json", facts)
        settings = asked.settings()
        whole = dataclasses.replace(plan, systems=[_offline(system) for system in plan.systems])
        offline = perform(whole, folder / "offline", settings)
        with Journal(folder / "journal" / "stream.jsonl") as journal:
            new = _Streaming(plan, folder, journal, asked, chunks, settings).all(systems)
            records = {(one["system"], one["pair"]): one for one in journal.records() if "look_ahead" not in one}
            probed = {one["system"]: LookAhead(**one["look_ahead"]) for one in journal.records() if "look_ahead" in one}
            reports = {one["system"]: one["worker"] for one in journal.records() if one.get("worker")}
        given = _given(plan, folder, systems, records, reports)
        comparison = None
        if given.given:
            streamed = perform(given, folder / "streamed", settings, fresh=new)
            comparison = compare([offline.run.root, streamed.run.root])
        content, pairs = _content(plan, asked.pace, systems, chunks, records, probed, reports, comparison)
        figures.write(folder, content, pairs)
    failures = sum(one.expected - one.streamed for one in content.systems)
    return folder, Streamed(content, comparison, failures + offline.failures)


def _named(given: str | System, timeout: float) -> System:
    """A system of the command line: a program is taken to speak protocol 2, as only that streams."""
    system = system_of(given, timeout=timeout) if isinstance(given, str) else given
    if system.converter != "command":
        return system
    return dataclasses.replace(system, options={"protocol": 2, **system.options})


def _check(asked: StreamRequest) -> None:
    if asked.chunk is not None and not 1.0 <= asked.chunk <= 10_000.0:
        raise UsageError(f"--chunk {asked.chunk:g}: must be from 1 to 10000 milliseconds")
    if not 0 <= asked.probes <= len(_MOMENTS):
        raise UsageError(f"--probes {asked.probes}: must be from 0 to {len(_MOMENTS)}")
    if not asked.system and asked.systems is None:
        raise UsageError("no system to stream; name one with --system or --systems")


def _chunk(system: System, asked: float | None) -> float:
    """Milliseconds of source at a time.

    Raises:
        UsageError: the system does not stream.
    """
    converter = make_converter(system)
    if not isinstance(converter, Streaming):
        raise UsageError(
            f"system {system.name!r}: {system.converter} does not stream; "
            f"try --system '{system.name}=chunked:{system.converter} hop=160 lookahead=80'"
        )
    if not converter.streams:
        raise UsageError(
            f"system {system.name!r}: its options say protocol 1, which can't stream; give protocol: 2 if the program "
            "speaks it"
        )
    return asked or converter.own_chunk or _CHUNK


def _offline(system: System) -> System:
    """What a system is when it has the whole source; a program is told that it has."""
    if system.converter != "chunked":
        return system
    return dataclasses.replace(system, converter=system.options["of"], options=system.options.get("options", {}))


class _Streaming:
    """Streams what the journal does not have yet."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        journal: Journal,
        asked: StreamRequest,
        chunks: Mapping[str, float],
        settings: Options,
    ) -> None:
        self._plan, self._folder, self._journal, self._asked = plan, folder, journal, asked
        self._chunks, self._device = chunks, settings.device
        self._offline = RunDirectory(folder / "offline")
        self._done = {(one["system"], one["pair"]) for one in journal.records() if one.get("status") == "ok"}
        self._probed = {one["system"] for one in journal.records() if "look_ahead" in one}
        self._clock = WallClock()

    def all(self, systems: Sequence[System]) -> bool:
        """Stream every pair through every system; whether anything was left to do."""
        work = {
            system.name: [pair for pair in self._plan.pairs.values() if (system.name, pair.id) not in self._done]
            for system in systems
        }
        left, total = sum(map(len, work.values())), len(systems) * len(self._plan.pairs)
        audio.use(self._plan.reading)
        with stage("stream", total, "streams", total - left) as advance:
            for system in systems:
                if not work[system.name] and (system.name in self._probed or not self._asked.probes):
                    continue
                for record in self._system(system, work[system.name]):
                    self._journal.append([record])
                    if "status" in record:
                        advance(1, record["status"] == "failed")
        return bool(left)

    def _system(self, system: System, pairs: Sequence[ConversionPair]) -> Iterator[dict[str, Any]]:
        """Open a system, stream its pairs, look how far it hears; the records."""
        converter = make_converter(system)
        gauge = Gauge(self._device, 1)
        gauge.opening()
        try:
            converter.open(self._device)
        except (Exception, SystemExit) as error:  # costs this system only
            yield from (self._failed(system, pair, reason_of(error)) for pair in pairs)
            return
        try:
            ready = {pair for name, pair in self._done if name == system.name}
            refused = 0
            for number, pair in enumerate(pairs):
                record = self._pair(system, converter, pair)
                if record["status"] == "ok":
                    ready.add(pair.id)
                    record["worker"] = gauge.report(converter)
                yield record
                refused = 0 if ready else refused + 1
                if refused >= _GIVEN_UP and number + 1 < len(pairs):
                    why = f"given up, as the first {refused} pairs failed; the last one: {record['reason']}"
                    yield from (self._failed(system, one, why) for one in pairs[number + 1 :])
                    return
            if ready and self._asked.probes and system.name not in self._probed:
                pair = next(one for one in self._plan.pairs.values() if one.id in ready)
                found = self._look_ahead(system, converter, pair)
                yield {"system": system.name, "look_ahead": found.model_dump(exclude_none=True)}
        finally:
            converter.close()

    def _failed(self, system: System, pair: ConversionPair, reason: str) -> dict[str, Any]:
        return {"system": system.name, "pair": pair.id, "status": "failed", "reason": reason}

    def _drive(
        self, system: System, converter: Converter, pair: ConversionPair, source: Waveform, pace: Pace,
        enough: int | None = None,
    ) -> Timeline:  # fmt: skip
        assert isinstance(converter, Streaming)
        request = Request(
            system.name,
            pair,
            pair_seed(self._plan.seed, pair.id),
            self._folder / "audio" / ".scratch" / f"{pair.id}.wav",
        )
        chunk = max(1, round(self._chunks[system.name] * source.sample_rate / 1000.0))
        return drive(converter, request, source, chunk, pace, self._clock, enough=enough)

    def _pair(self, system: System, converter: Converter, pair: ConversionPair) -> dict[str, Any]:
        try:
            source = _source(pair)
            line = self._drive(system, converter, pair, source, self._asked.pace)
        except (Exception, SystemExit) as error:  # whatever a converter throws costs its pair
            return self._failed(system, pair, reason_of(error))
        try:
            _, digest = audio.write_flac(_audio(self._folder, system.name, pair.id), line.audio)
        except ItemError as error:
            return self._failed(system, pair, reason_of(error))
        start, _ = converter.kept(source)
        found = figures.of_pair(pair.id, line, source, self._offline_audio(system, pair, start))
        known = found.model_dump(exclude_none=True)
        return {"system": system.name, "pair": pair.id, "status": "ok", "sha256": digest, "figures": known}

    def _offline_audio(self, system: System, pair: ConversionPair, start: float) -> Waveform | None:
        """The offline conversion, with silence for what was cut before ``start``, so that it is in its place."""
        import numpy as np

        try:
            made = audio.load(self._offline.audio_path(system.name, pair.id), allow_silence=True)
        except ItemError:  # it failed: the run says why
            return None
        return Waveform(np.pad(made.samples, (round(start * made.sample_rate), 0)), made.sample_rate)

    def _look_ahead(self, system: System, converter: Converter, pair: ConversionPair) -> LookAhead:
        """Measure what a system hears of the future on the beginning of one pair's source."""
        try:
            source = _source(pair)
            source = Waveform(source.samples[: round(_PROBED * source.sample_rate)], source.sample_rate)
            line, again = (self._drive(system, converter, pair, source, "fast") for _ in range(2))
            usual = line.audio.samples
            noise = lookahead.repeats(usual, again.audio.samples)
            if noise is None:
                return LookAhead(
                    pair=pair.id,
                    reason="two streams of the same source and seed differ: the system draws noise, or remembers what "
                    "it heard before",
                )

            def run(changed: Waveform, enough: int | None) -> Any:
                return self._drive(system, converter, pair, changed, "fast", enough).audio.samples

            moments = [round(part * len(source.samples)) for part in _MOMENTS[: self._asked.probes]]
            found = lookahead.horizons(run, source, usual, noise, moments)
            return figures.look_ahead(pair.id, line, found, self._delay(system, pair))
        except (Exception, SystemExit) as error:
            return LookAhead(pair=pair.id, reason=reason_of(error))

    def _delay(self, system: System, pair: ConversionPair) -> int:
        """Samples by which the streamed audio of a pair lies behind the offline one; 0 where nobody knows."""
        for record in self._journal.records():
            if (record["system"], record.get("pair")) == (system.name, pair.id) and record.get("status") == "ok":
                found = PairFigures(**record["figures"])
                return 0 if found.delay is None or found.delay_by != "waveform" else found.delay
        return 0


def _source(pair: ConversionPair) -> Waveform:
    if pair.source is None:
        raise ItemError(f"pair {pair.id} has no source recording")
    return audio.load(pair.source.path)


def _audio(folder: Path, system: str, pair: str) -> Path:
    return RunDirectory(folder).audio_path(system, pair)


def _given(
    plan: Plan,
    folder: Path,
    systems: Sequence[System],
    records: Mapping[tuple[str, str], Mapping[str, Any]],
    reports: Mapping[str, Mapping[str, Any]],
) -> Plan:
    """The plan of the run that scores what was streamed; what failed stands there with its reason."""
    names = {system.name for system in systems}
    conversions, broken = list[Conversion](), list[Failure]()
    for system in systems:
        for pair in plan.pairs.values():
            record = records[system.name, pair.id]
            if record["status"] == "ok":
                path = _audio(folder, system.name, pair.id)
                conversions.append(Conversion(
                    system.name, pair, path.resolve(), pair.transcript, pair.language, sha256=record["sha256"]
                ))  # fmt: skip
            else:
                broken.append(Failure(system.name, pair.id, "convert", "", record["reason"]))
    return dataclasses.replace(
        plan,
        name=f"{plan.name}-streamed",
        systems=[
            # What a converter was trained on holds for its streams, too
            dataclasses.replace(one, converter=GIVEN, options={"of": one.model} if one.model != "command" else {})
            if one.name in names
            else one
            for one in plan.systems
        ],
        given=conversions,
        broken=broken,
        rates={
            name: sorted({audio.sample_rate(one.path) for one in conversions if one.system == name}) for name in names
        },
        took=[_took(name, len(plan.pairs), _figures(name, records), report) for name, report in reports.items()],
    )


def _figures(system: str, records: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[PairFigures]:
    return [
        PairFigures(**record["figures"])
        for (name, _), record in records.items()
        if name == system and record["status"] == "ok"
    ]


def _took(system: str, expected: int, pairs: Sequence[PairFigures], report: Mapping[str, Any]) -> Efficiency:
    """What streaming a system took, for the table of efficiency."""
    import numpy as np

    def spread(values: Sequence[float]) -> Taken | None:
        if not values:
            return None
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
        return Taken(float(median), float(low), float(high))

    rtf = spread([float(np.mean(one.busy)) * one.seconds / one.converted for one in pairs])
    assert rtf is not None
    return Efficiency(
        system=system,
        machine=Machine(**report["machine"]),
        set_up=SetUp(report["torch"], report["threads"], report["precision"]),
        parameters=report["parameters"],
        counted=len(pairs),
        of=expected,
        warm=True,
        together=1,
        rtf=rtf,
        processor=None,
        memory=report["memory"],
        device_memory=report["device_memory"],
        first_audio=spread([one.first_audio for one in pairs if one.first_audio is not None]),
    )


def _content(
    plan: Plan,
    pace: Pace,
    systems: Sequence[System],
    chunks: Mapping[str, float],
    records: Mapping[tuple[str, str], Mapping[str, Any]],
    probed: Mapping[str, LookAhead],
    reports: Mapping[str, Mapping[str, Any]],
    comparison: Comparison | None,
) -> tuple[StreamFile, dict[str, list[PairFigures]]]:
    compared = {} if comparison is None else figures.qualities(comparison)
    pairs = {system.name: _figures(system.name, records) for system in systems}
    found = []
    for name, some in pairs.items():
        reasons = [
            one["reason"] for (system, _), one in records.items() if system == name and one["status"] == "failed"
        ]
        summed = figures.of_system(name, chunks[name], some, reasons, probed.get(name))
        found.append(summed.model_copy(update={"quality": compared.get(name, ())}))
    machine = next((Machine(**report["machine"]).text for report in reports.values()), "")
    return StreamFile(form=1, suite=plan.label, pace=pace, machine=machine, systems=tuple(found)), pairs
