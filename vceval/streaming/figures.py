"""What was measured of streams: of each pair, and of each system over its pairs; ``stream.json`` and its tables."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from vceval.converters.streams import Timeline
from vceval.errors import UsageError
from vceval.protocol.schema import Section, Text, read_document
from vceval.results.compare import Comparison
from vceval.results.rundir import write_atomically
from vceval.signal.audio import Waveform, resample
from vceval.storage.csv_files import CsvWriter
from vceval.streaming.alignment import drift, lag
from vceval.streaming.lookahead import Horizon
from vceval.streaming.playback import busy, first_audio, ran_dry, waited
from vceval.streaming.seams import seams

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FILE", "LookAhead", "PairFigures", "Quality", "Spread", "StreamFile", "SystemFigures", "look_ahead", "of_pair",
    "of_system", "qualities", "read", "write",
]  # fmt: skip

FILE = "stream.json"
Count = Annotated[int, Field(ge=0)]


class Spread(Section):
    """A median, and the bounds of nine tenths of the values (5 % and 95 % quantiles), with the largest of all."""

    median: float
    low: float
    high: float
    largest: float
    count: Count


class PairFigures(Section):
    """One stream; what could not be measured is left out."""

    pair: Text
    seconds: float
    """Of the source."""
    setup: float
    """Seconds until the system was ready for the source: start, weights where they are loaded late, prompts."""
    converted: float
    """Seconds of audio that came."""
    rate: Count
    busy: Annotated[tuple[float, ...], Field(strict=False)]
    """Real-time factor of each chunk."""
    pieces: Count
    first_audio: float | None = None
    """Seconds from the first audible sample of the source to the first audible one of its conversion."""
    latency: float | None = None
    """Algorithmic latency in milliseconds, of a stream as fast as it goes: see LookAhead."""
    misses: Count | None = None
    """Pieces that came after the player had run dry."""
    silent: float | None = None
    """Seconds for which it was."""
    delay: int | None = None
    """Samples by which the streamed audio lies behind the offline one."""
    delay_by: Literal["waveform", "loudness"] | None = None
    drift: float | None = None
    """Milliseconds a second by which that grows."""
    seams: Count | None = None
    """Seams that could be judged."""
    seams_counted: Count | None = None
    """Those that are heard: above 3 dB or 45 degrees, and above what the middles of pieces do."""
    seam_energy: float | None = None
    """Median of their jumps in dB."""
    seam_phase: float | None = None
    """The same in degrees."""
    within_energy: float | None = None
    """Median of the jumps in the middle of pieces in dB."""
    within_phase: float | None = None
    """The same in degrees."""


class LookAhead(Section):
    """What a system hears of the future, measured on one pair as fast as it goes."""

    pair: Text
    samples: float | None = None
    """Of the source, beyond the moment of a sample of the output: the most that was found."""
    milliseconds: float | None = None
    """The same."""
    latency: float | None = None
    """Milliseconds of the source that were given at most before a sample of the output came, beyond its moment: what
    waiting for a whole chunk, look-ahead and holding back amount to, without computing."""
    whole: bool = False
    """Whether a sample hears the end of the source, however far that is."""
    found: Annotated[tuple[float, ...], Field(strict=False)] = ()
    """The look-ahead at each moment that was tried, in samples of the source."""
    reason: str | None = None
    """Why it could not be measured."""


class Quality(Section):
    """One measure, streamed against offline on the same pairs."""

    measure: Text
    title: Text
    unit: str
    better: str
    pairs: Count
    wanted: Count
    offline: float | None = None
    streamed: float | None = None
    streamed_low: float | None = None
    streamed_high: float | None = None
    difference: float | None = None
    """Streamed minus offline; of the distances from the best value where a measure has one."""
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    """Corrected by Holm over the systems."""
    verdict: str
    primary: bool


class SystemFigures(Section):
    """One system over its pairs."""

    name: Text
    chunk: float
    """Milliseconds of the source that were given at a time."""
    streamed: Count
    expected: Count
    failure: str | None = None
    """Why the first pair that failed did."""
    rtf: Spread | None = None
    """Of chunks."""
    first_audio: Spread | None = None
    """In seconds, over pairs."""
    setup: Spread | None = None
    """In seconds, over pairs."""
    drift: Spread | None = None
    """In milliseconds a second, over pairs."""
    delay: Spread | None = None
    """In milliseconds, over pairs."""
    pieces: Count = 0
    misses: Count | None = None
    silent: float | None = None
    seams: Count | None = None
    seams_counted: Count | None = None
    seam_energy: float | None = None
    seam_phase: float | None = None
    within_energy: float | None = None
    within_phase: float | None = None
    latency: float | None = None
    """Algorithmic latency in milliseconds: the most that was found as fast as it goes."""
    look_ahead: LookAhead | None = None
    quality: Annotated[tuple[Quality, ...], Field(strict=False)] = ()


class StreamFile(Section):
    """What vceval stream writes: stream.json."""

    form: Literal[1]
    suite: Text
    pace: Literal["real", "fast"]
    machine: str
    """Where the systems were streamed, one at a time."""
    systems: Annotated[tuple[SystemFigures, ...], Field(strict=False)]


def of_pair(pair: str, line: Timeline, source: Waveform, offline: Waveform | None) -> PairFigures:
    """Measure one stream.

    Args:
        pair: its id.
        line: what came when.
        source: what was streamed.
        offline: the same system's offline conversion; None where there is none.
    """
    made = line.audio
    found: dict[str, Any] = {
        "pair": pair, "seconds": source.seconds, "setup": line.setup, "converted": made.seconds, "rate": line.rate,
        "busy": tuple(busy(line)), "pieces": len(line.pieces),
    }  # fmt: skip
    if line.pace == "real":
        dry = ran_dry(line)
        found |= {"misses": dry.misses, "silent": dry.seconds}
        found["first_audio"] = first_audio(line, source.samples, resample(source, line.rate).samples)
    delay = None
    if offline is not None:
        beside = resample(offline, line.rate).samples
        if (delay := lag(made.samples, beside, line.rate)) is not None:
            found |= {"delay": delay.samples, "delay_by": delay.by}
            found["drift"] = drift(made.samples, beside, line.rate)
            if (joints := seams(made.samples, beside, delay.samples, line.edges(), line.rate)) is not None:
                found |= {
                    "seams": joints.judged, "seams_counted": joints.counted,
                    "seam_energy": joints.usual.energy, "seam_phase": joints.usual.phase,
                    "within_energy": joints.within.energy, "within_phase": joints.within.phase,
                }  # fmt: skip
    if line.pace == "fast" and line.pieces:
        found["latency"] = 1000.0 * waited(line, delay.samples if delay and delay.by == "waveform" else 0)
    return PairFigures(**{key: value for key, value in found.items() if value is not None})


def look_ahead(pair: str, line: Timeline, found: Sequence[Horizon], delay: int) -> LookAhead:
    """Sum up what perturbing the source of one pair showed.

    Args:
        pair: its id.
        line: the stream of the source as it is, as fast as it goes.
        found: what was found at several moments.
        delay: samples of the output by which the streamed audio lies behind the offline one.
    """
    if not found:
        return LookAhead(pair=pair, reason="no change of the source changed the output")
    ahead = [one.ahead(line.source_rate, line.rate, delay) for one in found]
    return LookAhead(
        pair=pair, samples=max(ahead), milliseconds=1000.0 * max(ahead) / line.source_rate,
        latency=1000.0 * waited(line, delay), whole=any(one.whole for one in found), found=tuple(ahead),
    )  # fmt: skip


def of_system(
    name: str, chunk: float, pairs: Sequence[PairFigures], failures: Sequence[str], found: LookAhead | None
) -> SystemFigures:
    """Sum up the streams of one system; ``failures`` are the reasons of those that failed."""

    def spread(values: Iterable[float | None]) -> Spread | None:
        return _spread([value for value in values if value is not None])

    def total(part: Callable[[PairFigures], float | None]) -> Any:
        values = [value for one in pairs if (value := part(one)) is not None]
        return sum(values) if values else None

    def median(part: Callable[[PairFigures], float | None]) -> float | None:
        middle = spread(part(one) for one in pairs)
        return None if middle is None else middle.median

    known_waits = [*(one.latency for one in pairs), None if found is None else found.latency]
    waits = [wait for wait in known_waits if wait is not None]
    known: dict[str, Any] = {
        "name": name, "chunk": chunk, "streamed": len(pairs), "expected": len(pairs) + len(failures),
        "failure": failures[0] if failures else None,
        "rtf": spread(value for one in pairs for value in one.busy),
        "first_audio": spread(one.first_audio for one in pairs),
        "setup": spread(one.setup for one in pairs),
        "drift": spread(one.drift for one in pairs),
        "delay": spread(None if one.delay is None else 1000.0 * one.delay / one.rate for one in pairs),
        "pieces": sum(one.pieces for one in pairs),
        "misses": total(lambda one: one.misses), "silent": total(lambda one: one.silent),
        "seams": total(lambda one: one.seams), "seams_counted": total(lambda one: one.seams_counted),
        "seam_energy": median(lambda one: one.seam_energy), "seam_phase": median(lambda one: one.seam_phase),
        "within_energy": median(lambda one: one.within_energy), "within_phase": median(lambda one: one.within_phase),
        "look_ahead": found, "latency": max(waits, default=None),
    }  # fmt: skip
    return SystemFigures(**{key: value for key, value in known.items() if value is not None})


def _spread(values: Sequence[float]) -> Spread | None:
    import numpy as np

    if not values:
        return None
    low, middle, high = (float(value) for value in np.quantile(values, [0.05, 0.5, 0.95]))
    return Spread(median=middle, low=low, high=high, largest=float(max(values)), count=len(values))


def qualities(comparison: Comparison) -> dict[str, tuple[Quality, ...]]:
    """Take from a comparison of offline with streamed conversions what it says of each system; units as in tables."""
    found: dict[str, list[Quality]] = {}
    for line in comparison.lines:
        if line.system.control:
            continue
        measure, scale = line.measure, line.measure.scale
        offline, streamed = line.cells[0], line.cells[1]
        gap = line.differences[1]
        ends = gap.interval[:2] if gap and gap.interval else (None, None)
        values: dict[str, Any] = {
            "offline": offline and offline.value, "streamed": streamed and streamed.value,
            "streamed_low": streamed and streamed.low, "streamed_high": streamed and streamed.high,
            "difference": gap and gap.value, "low": ends[0], "high": ends[1],
        }  # fmt: skip
        known = {key: value * scale for key, value in values.items() if value is not None}
        if (p_value := line.corrected[1]) is not None:
            known["p_value"] = p_value
        found.setdefault(line.system.name, []).append(Quality(
            measure=measure.name, title=measure.title, unit=measure.unit, better=measure.better, pairs=line.pairs,
            wanted=line.wanted, verdict=line.verdict(1), primary=not measure.secondary and not measure.ranked_by,
            **known,
        ))  # fmt: skip
    return {name: tuple(some) for name, some in found.items()}


def write(folder: Path, content: StreamFile, pairs: Mapping[str, Sequence[PairFigures]]) -> None:
    """Write ``stream.json``, ``stream.csv`` (a row a system), ``quality.csv`` and ``pairs.csv`` (a row a stream)."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False)
    write_atomically(folder / FILE, text + "\n")
    _write_csv(folder / "stream.csv", [_flat(one, ("quality",)) for one in content.systems])
    rows = [{"system": one.name, **_flat(quality)} for one in content.systems for quality in one.quality]
    _write_csv(folder / "quality.csv", rows)
    _write_csv(
        folder / "pairs.csv",
        [{"system": name, **_flat(one, ("busy",))} for name, some in pairs.items() for one in some],
    )


def _flat(section: Section, without: Sequence[str] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            found |= {f"{key}_{name}": part for name, part in _flat(value).items()}
        elif key not in without:
            found[key] = " ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else value
    return found


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    CsvWriter(text).writerows([columns, *([row.get(column) for column in columns] for row in rows)])
    write_atomically(path, text.getvalue())


def read(folder: Path) -> StreamFile:
    """Read what ``vceval stream`` wrote.

    Raises:
        UsageError: it is not there, or malformed.
    """
    if not (folder / FILE).is_file():
        raise UsageError(f"{folder}: holds no {FILE}; 'vceval stream' writes it")
    return read_document(folder / FILE, StreamFile)
