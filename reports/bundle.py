"""The report as one file with the recordings inside: to send by mail, to put beside a paper, to open anywhere."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vceval.errors import ItemError, UsageError
from vceval.reports import filter_data, problems, report_page, samples
from vceval.reports.audio_links import AudioLinks
from vceval.reports.build import Made
from vceval.reports.figure_style import Drawing
from vceval.reports.page_data import Chunks, compact, embedded
from vceval.results.rundir import write_atomically
from vceval.results.views import Report
from vceval.signal import audio
from vceval.signal.audio import Waveform

__all__ = ["CODECS", "bundle"]

Codec = Literal["opus", "mp3"]


@dataclass(frozen=True, slots=True)
class _Coding:
    """How libsndfile writes one codec: its names, how hard it compresses (0 to 1), the sample rates it takes."""

    title: str
    media_type: str
    container: str
    subtype: str
    compression: float
    rates: Sequence[int]


CODECS = {
    "opus": _Coding("Opus", "audio/ogg; codecs=opus", "OGG", "OPUS", 0.85, (8_000, 12_000, 16_000, 24_000, 48_000)),
    "mp3": _Coding("MP3", "audio/mpeg", "MP3", "MPEG_LAYER_III", 0.4,
                   (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)),
}  # fmt: skip
#: Larger pages than this open nowhere.
MOST_BYTES = 250_000_000
#: Recordings that are encoded to learn how large all will be.
PROBES = 12


def bundle(made: Made, say: Callable[[str], None], *, pairs: int | None = None, codec: Codec = "opus") -> Path:
    """Write ``bundle.html`` beside a report's page: page, figures, data and recordings in one file; returns its path.

    Args:
        made: the report.
        say: told how large the file will be, before the work.
        pairs: samples of only so many pairs, evenly over the list.
        codec: of the recordings. Opus sounds better at the same size, MP3 plays in older browsers.

    Raises:
        UsageError: the page would be larger than browsers open.
    """
    report, links, coding = made.report, made.links, CODECS[codec]
    shown = report if pairs is None or pairs >= len(report.pairs) else _some(report, pairs)
    wanted = _wanted(shown, links)
    _announce(wanted, coding, say)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # libsndfile works outside of the interpreter's lock
        encoded = dict(zip(wanted, pool.map(lambda path: _encoded(path, coding), wanted), strict=True))
    names = {path: f"audio-{number}" for number, (path, found) in enumerate(encoded.items()) if found is not None}
    chunks = Chunks(None)
    chunks.add("cells", filter_data.cells(report))
    flag_names = problems.flag_names(report, report.converters)
    samples.add_samples(shown, chunks, _Inside(links, names), flag_names)
    blocks = [*chunks.blocks]
    for path, name in names.items():
        text = base64.b64encode(encoded[path] or b"").decode()
        blocks.append(embedded(name, compact({"type": coding.media_type, "data": text})))
    note = f"Recordings are compressed here ({coding.title}); those of the run are as the systems wrote them."
    if shown is not report:
        note += f" Samples: {len(shown.pairs):,} of {len(report.pairs):,} pairs, evenly over the list."
    pictures = _pictures(made.drawings, made.index.parent / "figures")
    page = report_page.page(
        report, made.drawings, figure_notes=made.notes, pictures=pictures, blocks=blocks, audio_note=note, shown=shown
    )
    path = made.index.with_name("bundle.html")
    write_atomically(path, page)
    say(f"bundle    {path.stat().st_size / 1e6:.1f} MB: {path}")
    return path


def _some(report: Report, pairs: int) -> Report:
    """Keep some pairs, evenly over the list."""
    count = max(1, pairs)
    places = sorted({round(number * (len(report.pairs) - 1) / max(1, count - 1)) for number in range(count)})
    return replace(report, pairs=[report.pairs[place] for place in places], scores=report.scores.some(places))


class _Inside:
    """Gives samples the chunks that hold their recordings, and keeps in ``found`` which recordings they ask for."""

    def __init__(self, links: AudioLinks, names: Mapping[Path, str]) -> None:
        self._links, self._names, self.found = links, names, dict[Path, None]()

    def href(self, path: str) -> str | None:
        if not path or (found := self._links.file(path)) is None:
            return None
        self.found[found] = None
        return f"#{self._names[found]}" if found in self._names else None

    def picture(self, path: str) -> str | None:
        return None


def _wanted(report: Report, links: AudioLinks) -> list[Path]:
    listing = _Inside(links, {})
    samples.add_samples(report, Chunks(None), listing, ())
    return list(listing.found)


def _announce(wanted: Collection[Path], coding: _Coding, say: Callable[[str], None]) -> None:
    """Say how large the recordings will be, by encoding some of them.

    Raises:
        UsageError: too large for a browser.
    """
    paths = sorted(wanted)
    probes = paths[:: max(1, len(paths) // PROBES)][:PROBES]
    sizes = [len(found) for path in probes if (found := _encoded(path, coding)) is not None]
    total = 4 / 3 * sum(sizes) / max(1, len(sizes)) * len(paths)
    say(f"bundle    {len(paths):,} recordings, about {total / 1e6:.1f} MB as {coding.title}")
    if total > MOST_BYTES:
        fitting = MOST_BYTES / total
        raise UsageError(
            f"the page would hold about {total / 1e6:,.0f} MB of recordings and open in no browser; "
            f"take about {100 * fitting:.0f} % of the pairs: --bundle-pairs N"
        )


def _encoded(path: Path, coding: _Coding) -> bytes | None:
    """Encode a recording; None where it can't be read."""
    import soundfile

    try:
        wave = audio.load(path, allow_silence=True)
    except ItemError:
        return None
    rate = next((known for known in coding.rates if known >= wave.sample_rate), coding.rates[-1])
    wave = wave if rate == wave.sample_rate else audio.resample(Waveform(wave.samples, wave.sample_rate), rate)
    buffer = io.BytesIO()
    soundfile.write(
        buffer, wave.samples, rate, format=coding.container, subtype=coding.subtype,
        compression_level=coding.compression,
    )  # fmt: skip
    return buffer.getvalue()


def _pictures(drawings: Sequence[Drawing], folder: Path) -> dict[str, str]:
    """Figures as data URLs by their stem."""
    return {
        drawing.stem: "data:image/png;base64,"
        + base64.b64encode((folder / f"{drawing.stem}.png").read_bytes()).decode()
        for drawing in drawings
    }
