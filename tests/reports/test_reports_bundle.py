"""The report as one file, chunks of data, spectrograms, and the reader of scores."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pages import OpenPage, wait_for
from report_runs import HOSTILE, demo, tone

from vceval.errors import UsageError
from vceval.reports import bundle as bundles
from vceval.reports import figures, spectrogram
from vceval.reports.build import make
from vceval.reports.bundle import bundle
from vceval.reports.page_data import compact, embedded
from vceval.results.rundir import RunDirectory
from vceval.results.scores import joined, read_scores
from vceval.signal.audio import Waveform, write_flac

PLAIN = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(JSON)
def test_chunks_are_inert_and_mean_the_same(value: Any) -> None:
    text = compact(value)
    assert not set(text) & set("<\u2028\u2029")
    assert json.loads(text) == value
    assert embedded("x", text).count("<") == 2
    with pytest.raises(ValueError, match="JSON"):
        compact([float("nan")])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setattr(figures, "draw", lambda *_: ([], []))
    made = demo(tmp_path)
    for place, path in enumerate(sorted(made.root.glob("audio/*/*.flac"))):
        tone(path, place, 2.0)
    return made


def blocks(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="data-([\w-]+)">(.*?)</script>', page, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


@pytest.mark.parametrize("codec", ["opus", "mp3"])
def test_recordings_lie_inside_as_they_are(run: RunDirectory, codec: str) -> None:
    said: list[str] = []
    path = bundle(make([run], run.report, spectrograms=0), said.append, pairs=3, codec=codec)  # type: ignore[arg-type]
    assert re.search(r"recordings, about \d+\.\d MB as (Opus|MP3)", said[0])
    assert re.search(r"bundle +\d+\.\d MB: ", said[1])
    found = blocks(path.read_text(encoding="utf-8"))
    assert found["about"]["total"] == 3
    names = [row["pair"] for row in run.read_pairs()]
    assert found["pairs"]["id"] == [names[0], names[24], names[47]]  # the middle of 48 is the 24th, rounded to even
    entry = next(e for e in found["samples-0"][0]["made"] if found["about"]["systems"][e["system"]]["title"] == HOSTILE)
    data = found[entry["src"].removeprefix("#")]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data["data"])))
    original, _ = soundfile.read(run.root / next(
        row["path"] for row in run.read_audio() if (row["system"], row["pair"]) == (HOSTILE, names[0])))  # fmt: skip
    assert rate == 16_000
    assert len(samples) == pytest.approx(len(original), abs=3000)
    spectra = [np.abs(np.fft.rfft(x[:32_000] * np.hanning(len(x[:32_000])), 32_000)) for x in (samples, original)]
    assert np.argmax(spectra[0]) == pytest.approx(np.argmax(spectra[1]), abs=4)  # the same tone


def test_one_file_plays_and_draws_anywhere(run: RunDirectory, open_page: OpenPage, tmp_path: Path) -> None:
    path = bundle(make([run], run.report), lambda _: None, pairs=4)
    moved = tmp_path / "elsewhere" / "mail.html"
    moved.parent.mkdir()
    path.rename(moved)
    page, seen = open_page(moved)
    page.evaluate("document.getElementById('samples').scrollIntoView()")
    wait_for(page, "document.querySelectorAll('article.sample').length === 4")
    page.locator("article.sample button.play").nth(1).click()
    wait_for(page, "document.querySelector('#player input').valueAsNumber > 0.2")
    page.click("article.sample button.plain")
    wait_for(page, "document.querySelectorAll('.spectrograms canvas').length > 3")
    page.select_option("#filter [name=order]", "worst")
    wait_for(page, "document.querySelectorAll('article.sample').length === 4")
    assert seen.errors == []
    assert {url.split(":")[0] for url in seen.requests} <= {"file", "blob"}
    assert [url for url in seen.requests if url.startswith("file:")] == [moved.as_uri()]


def test_what_opens_nowhere_is_refused_before_the_work(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"take about \d+ % of the pairs: --bundle-pairs N"):
        bundle(make([run], run.report, spectrograms=0), lambda _: None)
    assert not (run.report / "bundle.html").exists()


def test_spectrograms_show_where_the_sound_is(tmp_path: Path) -> None:
    time = np.arange(32_000) / 16_000
    wave = np.where(time < 1, np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 4000 * time)).astype(np.float32)
    write_flac(tmp_path / "a.flac", Waveform(0.5 * wave, 16_000))
    assert spectrogram.draw(tmp_path / "a.flac", tmp_path / "a.png")
    from PIL import Image

    shades = np.asarray(Image.open(tmp_path / "a.png"))
    assert shades.shape == (80, 201)
    low, high = (int(shades[:, column].argmax()) for column in (50, 150))
    assert low > high + 20  # low sounds lie at the bottom
    assert shades.max() == 255
    (tmp_path / "b.flac").write_bytes(b"no audio")
    assert not spectrogram.draw(tmp_path / "b.flac", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_spectrograms_are_drawn_of_as_many_recordings_as_asked_for(run: RunDirectory) -> None:
    make([run], run.report, spectrograms=0)
    assert not list(run.report.glob("pictures/*"))
    make([run], run.report, spectrograms=30)
    few = len(list(run.report.glob("pictures/*.png")))
    assert 0 < few <= 30
    make([run], run.report)
    assert len(list(run.report.glob("pictures/*.png"))) > few


def test_scores_are_read_as_they_were_written(run: RunDirectory) -> None:
    frame = run.read_scores()
    systems, pairs, measures = (sorted(set(frame[name])) for name in ("system", "pair", "measure"))
    found = read_scores(run.root / "scores.parquet", systems, pairs[1:], measures)
    for row in frame.itertuples():
        if row.pair == pairs[0]:
            continue
        at = (found.systems[row.system], found.pairs[row.pair], found.measures[row.measure])
        assert (found.values[at], found.numerators[at], found.denominators[at]) == (
            row.value,
            row.numerator,
            row.denominator,
        )
    assert int((~np.isnan(found.values)).sum()) == len(frame[frame["pair"] != pairs[0]])
    assert np.isnan(found.of("nobody", "mcd")).all()
    some = found.some([4, 2])
    assert list(some.pairs) == [pairs[5], pairs[3]]
    assert np.array_equal(some.of("good", "wer"), found.of("good", "wer")[[4, 2]])
    at = some.systems["good"]
    assert some.transcripts[at, 0] == found.transcripts[at, 4]


def test_scores_of_runs_are_put_together(run: RunDirectory) -> None:
    frame = run.read_scores()
    systems, pairs, measures = (sorted(set(frame[name])) for name in ("system", "pair", "measure"))
    one = read_scores(run.root / "scores.parquet", systems, pairs, measures)
    other = read_scores(run.root / "scores.parquet", systems, pairs[::-1], measures[::-1])
    found = joined(
        [(one, {"good": "good", "long": "l"}, {p: p for p in pairs}), (other, {"good": "2nd"}, {pairs[1]: pairs[0]})],
        pairs,
    )
    assert list(found.systems) == ["good", "l", "2nd"]
    assert np.array_equal(found.of("l", "wer"), one.of("long", "wer"), equal_nan=True)
    assert found.of("2nd", "wer")[0] == one.of("good", "wer")[1]
    assert np.isnan(found.of("2nd", "wer")[1:]).all()
    assert found.transcripts[found.systems["2nd"], 0] == one.transcripts[one.systems["good"], 1]


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(UsageError, match=r"scores\.parquet: can't be read as a table of scores"):
        read_scores(tmp_path / "scores.parquet", [], [], [])
