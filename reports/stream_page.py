"""The page of ``vceval stream``: what streaming takes and costs, as tables, and quality against latency, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vceval.reports.figure_style import SERIES
from vceval.reports.tables import PlainTable
from vceval.reports.templating import fill, read
from vceval.results.marks import p_text
from vceval.results.rundir import write_atomically
from vceval.results.terminal import Cell as TextCell
from vceval.results.terminal import clean, grid, paragraph, width
from vceval.streaming.figures import Quality, Spread, StreamFile, SystemFigures

__all__ = ["Panel", "Point", "panels", "tables", "to_text", "write"]

#: Size of a panel in units of its picture, and what is left free for its axes: left, top, right, bottom.
WIDTH, HEIGHT, MARGINS = 460.0, 260.0, (64.0, 16.0, 16.0, 44.0)
#: Room that a label needs, across and up.
_LABEL = 90.0, 12.0


@dataclass(frozen=True, slots=True)
class Point:
    """One system in a panel: where it, its label and its offline figure stand, ends of its interval, colour, words."""

    name: str
    x: float
    y: float
    label: tuple[float, float]
    ends: tuple[float, float] | None
    offline: tuple[float, float] | None
    colour: str
    words: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure against latency: its points, and ticks as (place, text)."""

    title: str
    better: str
    axis: str
    points: Sequence[Point]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]


def write(content: StreamFile, path: Path) -> Path:
    """Write the page, and return its path."""
    (style,) = read(("style.css",))
    values = {
        "content": content, "tables": tables(content), "panels": panels(content), "width": WIDTH, "height": HEIGHT,
        "margins": MARGINS,
    }  # fmt: skip
    write_atomically(path, fill("stream.html.j2", style, "", {}, values))
    return path


def to_text(content: StreamFile) -> str:
    """Write the tables for a terminal, of quality the measures that decide."""
    decisive = [
        one.model_copy(update={"quality": tuple(q for q in one.quality if q.primary)}) for one in content.systems
    ]
    content = content.model_copy(update={"systems": tuple(decisive)})
    parts = [f"Streamed: {content.suite}, pace {content.pace}" + (f", on {content.machine}" if content.machine else "")]
    for table in tables(content):
        rows: list[list[str | TextCell]] = [[clean(cell) for cell in row] for row in table.rows]
        parts += [grid(list(table.headings), [rows], sorted(table.numeric), width()), paragraph(table.caption)]
    return "\n\n".join(parts)


def tables(content: StreamFile) -> list[PlainTable]:
    """Build the tables of latencies, deadlines, seams and quality."""
    found = [_latency(content), _deadlines(content), _seams(content)]
    if any(one.quality for one in content.systems):
        found.append(_quality(content))
    return found


def _latency(content: StreamFile) -> PlainTable:
    headings = (
        "System", "Chunk (ms)", "Look-ahead (ms)", "Algorithmic (ms)", "First audio (ms)", "Set-up (s)", "Streams",
    )  # fmt: skip
    rows = [
        [
            one.name,
            f"{one.chunk:g}",
            _ahead(one),
            "–" if one.latency is None else f"{one.latency:,.1f}",
            _spread(one.first_audio, 1000.0, 0),
            _spread(one.setup, 1.0, 2),
            f"{one.streamed:,}/{one.expected:,}",
        ]
        for one in content.systems
    ]
    caption = (
        f"Suite {content.suite}. Look-ahead: how far beyond its own moment a sample of the output hears, found by "
        "changing the source. Algorithmic: that with waiting for whole chunks and holding back, without computing. "
        "First audio: from when the source is first heard to when its conversion is. Set-up: until a system was ready "
        "for a source. Medians, with 5 % and 95 % of pairs. Streams: pairs that did not fail."
    )
    if content.pace == "fast":
        caption += " Streamed as fast as it goes: first audio is only measured at the pace of speech."
    looked = [(one.name, one.look_ahead) for one in content.systems if one.look_ahead is not None]
    reasons = [f"{name}: {found.reason}" for name, found in looked if found.reason]
    if reasons:
        caption += f" Look-ahead not measured: {'; '.join(reasons)}."
    return PlainTable("latencies", "Latency", caption, headings, rows, frozenset(range(1, len(headings))))


def _deadlines(content: StreamFile) -> PlainTable:
    headings = ("System", "RTF of chunks", "Largest", "Missed", "Silent (s)", "Delay (ms)", "Drift (ms/s)")
    rows = [
        [
            one.name,
            _spread(one.rtf, 1.0, 3),
            "–" if one.rtf is None else f"{one.rtf.largest:.3f}",
            "–" if one.misses is None else f"{one.misses:,}/{one.pieces:,}",
            "–" if one.silent is None else f"{one.silent:.2f}",
            _spread(one.delay, 1.0, 1),
            _spread(one.drift, 1.0, 2),
        ]
        for one in content.systems
    ]
    caption = (
        "RTF of chunks: seconds until a chunk was done with, over its own; median, with 5 % and 95 %. Missed: pieces "
        "that came after a player that waits for one chunk had run dry, at the pace of speech; silent: for how long it "
        "was. Delay: by which the streamed audio lies behind the offline conversion; drift: by which that grows."
    )
    return PlainTable("deadlines", "Deadlines", caption, headings, rows, frozenset(range(1, len(headings))))


def _ahead(one: SystemFigures) -> str:
    if one.look_ahead is None or one.look_ahead.milliseconds is None:
        return "–"
    return "all" if one.look_ahead.whole else f"{one.look_ahead.milliseconds:,.1f}"


def _seams(content: StreamFile) -> PlainTable:
    headings = ("System", "Seams heard", "At seams (dB)", "Within (dB)", "At seams (°)", "Within (°)")
    rows = [
        [
            one.name,
            "–" if one.seams is None else f"{one.seams_counted:,}/{one.seams:,}",
            *(
                "–" if value is None else f"{value:.1f}"
                for value in (one.seam_energy, one.within_energy, one.seam_phase, one.within_phase)
            ),
        ]
        for one in content.systems
    ]
    caption = (
        "At a seam, level and phase jump from one piece to the next, beyond what they do in the offline conversion "
        "(medians); within: the same in the middle of pieces. Heard: more than 3 dB or 45°, and more than within."
    )
    return PlainTable("seams", "Seams", caption, headings, rows, frozenset(range(1, len(headings))))


def _quality(content: StreamFile) -> PlainTable:
    rows = [
        [
            f"{quality.title}",
            one.name,
            _number(quality.offline),
            _number(quality.streamed),
            _signed(quality.difference)
            + ("" if None in (quality.low, quality.high) else f" [{_signed(quality.low)}, {_signed(quality.high)}]"),
            p_text(quality.p_value).removeprefix("p").removeprefix(" = ").strip() or "–",
            {"same": "not told apart"}.get(quality.verdict, quality.verdict) or "–",
            f"{quality.pairs:,}" + (f" of {quality.wanted:,}" if quality.pairs < quality.wanted else ""),
        ]
        for title in dict.fromkeys(quality.title for one in content.systems for quality in one.quality)
        for one in content.systems
        for quality in one.quality
        if quality.title == title
    ]
    caption = (
        "Streamed against offline on the same pairs: difference with its 95 % interval, and p corrected by Holm over "
        "the systems; of a measure with a best value, the distances from it are compared."
    )
    headings = ("Measure", "System", "Offline", "Streamed", "Difference", "p", "Streamed is", "Pairs")
    return PlainTable("quality", "Quality", caption, headings, rows, frozenset({2, 3, 4, 5, 7}))


def latency_of(one: SystemFigures, pace: str) -> float | None:
    """Milliseconds that a system stands at in the figure: first audio, or at no pace of speech the algorithmic ones."""
    if pace == "real":
        return None if one.first_audio is None else 1000.0 * one.first_audio.median
    return one.latency


def panels(content: StreamFile) -> list[Panel]:
    """Draw each measure that decides against latency."""
    placed = [(one, at) for one in content.systems if (at := latency_of(one, content.pace)) is not None]
    measures = dict.fromkeys((q.measure, q.title, q.better) for one, _ in placed for q in one.quality if q.primary)
    axis = "first audio (ms)" if content.pace == "real" else "algorithmic latency (ms)"
    found = []
    for name, title, better in measures:
        entries = [
            (one, at, quality)
            for one, at in placed
            for quality in one.quality
            if quality.measure == name and quality.streamed is not None
        ]
        if entries:
            found.append(_panel(title, better, axis, entries, [one.name for one in content.systems]))
    return found


def _panel(
    title: str,
    better: str,
    axis: str,
    entries: Sequence[tuple[SystemFigures, float, Quality]],
    names: Sequence[str],
) -> Panel:
    left, top, right, bottom = MARGINS
    values = [
        value
        for _, _, quality in entries
        for value in (quality.streamed, quality.offline, quality.streamed_low, quality.streamed_high)
        if value is not None
    ]
    across, up = _ticks(0.0, max(at for _, at, _ in entries)), _ticks(min(values), max(values))

    def x(value: float) -> float:
        return round(left + (value - across[0]) / (across[-1] - across[0]) * (WIDTH - left - right), 1)

    def y(value: float) -> float:
        return round(HEIGHT - bottom - (value - up[0]) / (up[-1] - up[0]) * (HEIGHT - top - bottom), 1)

    points: list[Point] = []
    for one, at, quality in entries:
        assert quality.streamed is not None
        ends = None
        if quality.streamed_low is not None and quality.streamed_high is not None:
            ends = y(quality.streamed_low), y(quality.streamed_high)
        offline = None if quality.offline is None else (x(0.0), y(quality.offline))
        words = f"{one.name}: {_number(quality.streamed)} at {at:,.0f} ms, offline {_number(quality.offline)}"
        colour = SERIES[list(names).index(one.name) % len(SERIES)]
        place = x(at), y(quality.streamed)
        points.append(Point(one.name, *place, _label(place, [p.label for p in points]), ends, offline, colour, words))
    return Panel(
        title,
        better,
        axis,
        points,
        [(x(tick), f"{tick:g}") for tick in across],
        [(y(tick), f"{tick:g}") for tick in up],
    )


def _label(place: tuple[float, float], taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Find a place for a label above its point, on the side that has room, and above labels that are there already."""
    across = place[0] - 7.0 if place[0] > WIDTH * 0.7 else place[0] + 7.0
    up = place[1] - 6.0
    while any(abs(x - across) < _LABEL[0] and abs(y - up) < _LABEL[1] for x, y in taken):
        up -= _LABEL[1]
    return across, round(up, 1)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, about five, from below the lowest value to above the highest."""
    from math import ceil, floor, log10

    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** floor(log10(span / 4.0))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0) if span / (step * factor) <= 5.0)
    first, last = floor(low / step), ceil(high / step)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _spread(found: Spread | None, scale: float, digits: int) -> str:
    if found is None:
        return "–"
    median, low, high = (f"{scale * value:,.{digits}f}" for value in (found.median, found.low, found.high))
    return median if low == high else f"{median} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3g}"
