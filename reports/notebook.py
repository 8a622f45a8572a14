"""Results as a part of a notebook's page: verdicts, the first table, and a few samples to listen to, all in one text.

Nothing is loaded from elsewhere, nothing runs, and everything is escaped; colours are those of the notebook.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vceval.errors import ItemError
from vceval.reports.audio_links import AudioLinks
from vceval.reports.tables import Column, Table, results, suite_label, without_empty
from vceval.reports.templating import fragment, read
from vceval.results.verdicts import ASKED, Verdict, verdicts
from vceval.results.views import Report, SystemView
from vceval.signal import audio
from vceval.signal.audio import Waveform

__all__ = ["notebook", "short_table"]

#: Pairs that are heard, systems of each, and seconds of a recording.
PAIRS, SYSTEMS, SECONDS = 2, 3, 6.0
#: Columns of the table.
MOST = 6
#: Rate of what is heard, which speech needs and MP3 has.
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair: who speaks to whom, what is said, and recordings by name, as data URLs."""

    title: str
    text: str
    recordings: Sequence[tuple[str, str]]


def notebook(report: Report) -> str:
    """Make the part of a page."""
    found = verdicts(report)
    table, left = short_table(report, found)
    return fragment(
        "notebook.html.j2",
        style=read(["notebook.css"])[0],
        name=report.name,
        suite=suite_label(report),
        pairs=report.pair_count,
        failures=len(report.failures),
        asked=ASKED,
        verdicts=found,
        table=table,
        left=left,
        samples=list(_samples(report, found)),
    )


def short_table(report: Report, found: Sequence[Verdict], most: int = MOST) -> tuple[Table | None, int]:
    """The first table, of few measures: those that verdicts rest on, and the first of the others.

    Returns:
        The table, None where nobody has a figure; and how many measures of the report it leaves out.
    """
    deciding = [one.measure for one in found if one.measure is not None]
    chosen = list(dict.fromkeys([*deciding, *report.primary_measures]))[:most]
    columns = [Column(m.label, m.unit, m.better, m) for m in report.measures if m in chosen]
    table = without_empty(results(report, "main", "Results", columns))
    return table, len(report.measures) - (len(table.columns) if table else 0)


def _samples(report: Report, found: Sequence[Verdict]) -> Iterator[Sample]:
    """The first pairs that have something to hear, spread over the list."""
    links = AudioLinks(report.root, report.root / "report")
    shown = _shown(report, found)
    have = [row for row in report.pairs if any((system.name, row["pair"]) in report.audio for system in shown)]
    for row in have[:: max(1, -(-len(have) // PAIRS))]:
        own = [("source", row["source_path"]), ("target, natural", row["natural_path"])]
        made = [(system.title, report.audio.get((system.name, row["pair"]), "")) for system in shown]
        heard = [(name, sound) for name, path in [*own, *made] if (sound := _sound(links.file(path) if path else None))]
        who = " → ".join(filter(None, (row["source_speaker"], row["target_speaker"])))
        if heard:
            yield Sample(" · ".join(filter(None, (who, row["direction"]))) or row["pair"], row["transcript"], heard)


def _shown(report: Report, found: Sequence[Verdict]) -> list[SystemView]:
    """The first systems by the first verdict that has an order."""
    order = next((list(one.ranking.order) for one in found if one.ranking.order), [])
    places = {name: place for place, name in enumerate(order)}
    return sorted(report.converters, key=lambda system: places.get(system.name, len(places)))[:SYSTEMS]


def _sound(path: Path | None) -> str:
    """The beginning of a recording as MP3 in a data URL; empty where it can't be read."""
    import soundfile

    if path is None:
        return ""
    try:
        wave = audio.load(path)
    except ItemError:
        return ""  # the table counts it
    cut = audio.resample(Waveform(wave.samples[: int(SECONDS * wave.sample_rate)], wave.sample_rate), RATE)
    stream = io.BytesIO()
    soundfile.write(stream, cut.samples, RATE, format="MP3")
    return f"data:audio/mpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
