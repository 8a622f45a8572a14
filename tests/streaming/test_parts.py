"""Alignment, playback and seams on sounds whose answer is known; the file and the page that say what was found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from places import ROOT
from sounds import buzz, hum

from vceval.converters.streams import Chunk, Piece, Timeline
from vceval.errors import UsageError
from vceval.reports import stream_page
from vceval.streaming import figures
from vceval.streaming.alignment import drift, lag
from vceval.streaming.figures import LookAhead, PairFigures, Quality, Spread, StreamFile, SystemFigures
from vceval.streaming.lookahead import perturbed, repeats
from vceval.streaming.playback import busy, first_audible, first_converted, ran_dry
from vceval.streaming.seams import jump, seams

RATE = 16_000


@pytest.mark.parametrize("shift", [-700, -1, 0, 1, 333, 16_000])
def test_the_lag_is_that_of_the_waveform(shift: int) -> None:
    sound = hum(3.0)
    late = np.concatenate([np.zeros(max(0, shift), np.float32), sound[max(0, -shift) :]])
    assert lag(late, sound, RATE) == (shift, "waveform")
    assert lag(0.1 * late, sound, RATE) == (shift, "waveform")


def test_the_lag_of_other_waveforms_is_that_of_their_loudness() -> None:
    rng = np.random.default_rng(1)
    swell = np.repeat(rng.random(60), 800)
    one, other = (rng.standard_normal(48_000) * swell for _ in range(2))
    found = lag(np.concatenate([np.zeros(1_600), one])[:48_000], other, RATE)
    assert found is not None
    assert found.by == "loudness"
    assert abs(found.samples - 1_600) <= 5 * 16
    assert lag(np.zeros(0, np.float32), hum(), RATE) is None
    assert lag(np.zeros(16_000, np.float32), hum(), RATE) is None


def test_drift_is_that_of_the_ends() -> None:
    sound = hum(4.0)
    slow = np.interp(np.arange(0, 63_000) / 1.0001, np.arange(len(sound)), sound)
    found = drift(slow, sound, RATE)
    assert found == pytest.approx(0.1, abs=0.03)
    assert drift(sound[:10_000], sound[:10_000], RATE) is None
    assert drift(buzz(3.0, seed=3), sound, RATE) is None


def test_a_copy_of_the_source_is_no_conversion() -> None:
    source, other = hum(2.0), buzz(2.0, seed=2)
    assert first_audible(np.zeros(100, np.float32)) is None
    assert first_converted(np.zeros(100, np.float32), source, RATE) is None
    assert first_converted(-0.3 * source, source, RATE) is None
    # Played late, and the conversion comes in the middle of a block
    played = np.concatenate([np.zeros(500, np.float32), source[:9_777], other[9_777:]])
    place = first_converted(played, source, RATE)
    assert place is not None
    assert 500 + 9_777 <= place <= 500 + 9_777 + 40
    assert first_converted(other, source, RATE) == first_audible(other)


def line_of(arrivals: list[float], size: int = 640) -> Timeline:
    line = Timeline(RATE, RATE, "real")
    for number, at in enumerate(arrivals):
        spoken = (number + 1) * size / RATE
        line.chunks.append(Chunk(number * size, (number + 1) * size, spoken, at))
        line.pieces.append(Piece(at, number * size, np.zeros(size, np.float32)))
    return line


def test_deadlines_and_busy_times_of_known_arrivals() -> None:
    # Chunks of 40 ms are given at 0.04, 0.08, ...; the player begins at 0.05 + 0.04
    line = line_of([0.05, 0.09, 0.20, 0.21, 0.26, 0.25 + 0.2])
    assert ran_dry(line) == (2, 6, pytest.approx((0.20 - 0.17) + (0.45 - 0.32)))
    assert busy(line) == pytest.approx([0.25, 0.25, 2.0, 0.25, 1.25, 4.75])
    exact = line_of([0.05 + 0.04 * number + 0.04 * (number > 2) for number in range(9)])
    assert ran_dry(exact) == (0, 9, 0.0)


def test_seams_are_told_from_what_is_between_them() -> None:
    sound = hum(2.0)
    edges = list(range(1_600, 32_000, 1_600))
    clean = seams(sound, sound, 0, edges, RATE)
    assert clean is not None
    assert (clean.judged, clean.counted) == (19, 0)
    assert clean.usual == pytest.approx((0.0, 0.0), abs=1e-6)
    turned = sound.copy()
    turned[8_000:9_600] *= -1
    found = seams(turned, sound, 0, edges, RATE)
    assert found is not None
    assert (found.judged, found.counted) == (19, 2)
    one = jump(turned, sound, 0, 8_000, RATE)
    assert one is not None
    assert one.phase == pytest.approx(180.0, abs=1.0)
    # A converter whose phases are its own everywhere has no seams for that
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(sound)
    own = np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(len(spectrum)))).astype(np.float32)
    other = seams(own, sound, 0, edges, RATE)
    assert other is not None
    assert other.within.phase > 30.0
    assert other.counted <= 4
    assert seams(np.zeros(32_000, np.float32), np.zeros(32_000, np.float32), 0, edges, RATE) is None


def test_every_sample_from_a_moment_on_is_changed() -> None:
    from vceval.signal.audio import Waveform

    source = Waveform(np.concatenate([hum(0.5), np.zeros(800, np.float32)]), RATE)
    changed = perturbed(source, 5_000)
    gap = np.abs(changed.samples - source.samples)
    assert not gap[:5_000].any()
    assert gap[5_000:].min() >= 0.25 - 1e-6
    assert np.abs(changed.samples).max() <= 1.0


def test_two_streams_of_one_source_are_the_same_or_nothing_is_known() -> None:
    sound = hum()
    assert repeats(sound, sound) == 0.0
    assert repeats(sound, sound + np.float32(1e-6)) == pytest.approx(1e-6, rel=0.1)
    assert repeats(sound, sound + np.float32(0.01)) is None
    assert repeats(sound, sound[:-1]) is None


HOSTILE = '<script>alert("x")</script>&'


def content(pace: str = "real") -> StreamFile:
    spread = Spread(median=0.21, low=0.2, high=0.25, largest=0.3, count=4)
    quality = Quality(
        measure="mcd", title="MCD (dB)", unit="dB", better="lower", pairs=4, wanted=4, offline=6.5, streamed=7.0,
        streamed_low=6.8, streamed_high=7.2, difference=0.5, low=0.1, high=0.9, p_value=0.01, verdict="worse",
        primary=True,
    )  # fmt: skip
    ahead = LookAhead(pair="a", samples=3_840.0, milliseconds=240.0, latency=400.0, found=(3_840.0,))
    streamed = SystemFigures(
        name=HOSTILE, chunk=160.0, streamed=4, expected=5, failure=f"stalled {HOSTILE}", rtf=spread, first_audio=spread,
        setup=spread, drift=spread, delay=spread, pieces=40, misses=3, silent=0.2, seams=36, seams_counted=5,
        seam_energy=1.0, seam_phase=20.0, within_energy=0.5, within_phase=10.0, latency=400.0,
        look_ahead=ahead, quality=(quality,),
    )  # fmt: skip
    lost = SystemFigures(name="lost", chunk=40.0, streamed=0, expected=5, failure="the worker stalled")
    return StreamFile(form=1, suite="demo@1", pace=pace, machine="here", systems=(streamed, lost))  # type: ignore[arg-type]


def test_the_file_is_read_as_it_was_written_and_of_its_schema(tmp_path: Path) -> None:
    pair = PairFigures(pair="a", seconds=1.0, setup=0.1, converted=1.0, rate=RATE, busy=(0.1, 0.2), pieces=2)
    figures.write(tmp_path, content(), {"mine": [pair]})
    assert figures.read(tmp_path) == content()
    schema = json.loads((ROOT / "benchmarks" / "schemas" / "stream.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((tmp_path / "stream.json").read_text(encoding="utf-8")), schema)
    assert (tmp_path / "pairs.csv").read_text().splitlines()[1].startswith("mine,a,1.0,0.1,1.0,16000,2")
    assert "look_ahead_samples" in (tmp_path / "stream.csv").read_text()
    assert len((tmp_path / "quality.csv").read_text().splitlines()) == 2
    with pytest.raises(UsageError, match=r"holds no stream\.json"):
        figures.read(tmp_path / "other")
    (tmp_path / "stream.json").write_text('{"form": 2}')
    with pytest.raises(UsageError, match="form"):
        figures.read(tmp_path)


@pytest.mark.parametrize("pace", ["real", "fast"])
def test_the_page_escapes_what_it_shows(tmp_path: Path, pace: str) -> None:
    page = stream_page.write(content(pace), tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert" in page
    [figure] = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    at = {"real": "210 ms", "fast": "400 ms"}[pace]
    assert f"7 at {at}, offline 6.5" in figure
    assert "1 of 5 pairs failed" in page
    assert "3/40" in page
    assert "the worker stalled" in page


def test_a_panel_stands_where_its_values_are() -> None:
    [panel] = stream_page.panels(content())
    [point] = panel.points
    left, right = stream_page.MARGINS[0], stream_page.MARGINS[2]
    assert left < point.x < stream_page.WIDTH - right
    assert point.offline is not None
    assert point.offline[0] == left
    assert point.offline[1] > point.y  # 6.5 dB lies below 7
    assert point.ends is not None
    assert point.ends[0] > point.y > point.ends[1]
    assert [text for _, text in panel.across] == ["0", "50", "100", "150", "200", "250"]


def test_a_terminal_gets_the_same_tables() -> None:
    text = stream_page.to_text(content())
    assert "3/40" in text
    assert "240.0" in text
    assert "worse" in text
