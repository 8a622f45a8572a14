"""Figures of a report: what is drawn of which run, in which formats, and the words for those who can't see them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import report_runs
from report_runs import HOSTILE, MEASURES, METRICS, demo, single

from vceval.reports import figures
from vceval.reports.audio_links import AudioLinks
from vceval.reports.figure_speakers import speaker_map
from vceval.reports.figure_style import Drawing
from vceval.results import views
from vceval.results.rundir import RunDirectory
from vceval.results.verdicts import verdicts
from vceval.storage.cache import Cache, default_root
from vceval.storage.embeddings import known, parameters

ENCODER = "resemblyzer-0.1.4-39373b86"
SIGNATURES = {"sv": f"SV|enc:{ENCODER}|v:1.0", "fake": f"FAKE|enc:{ENCODER}|refs:6|v:1.0"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """The demo-like run with the measures that figures look for, an error curve, and natural scores."""
    names = {"fake": "fake_score", "cosine": "sv_cosine", "cer": "fake_target"}
    found = [{**m, "name": names.get(str(m["name"]), m["name"])} for m in MEASURES]
    for measure in found:
        if measure["name"] in ("fake_score", "fake_target"):
            measure["metric"] = "fake"
    monkeypatch.setattr(report_runs, "MEASURES", found)
    monkeypatch.setattr(
        report_runs,
        "METRICS",
        [{**m, "signature": SIGNATURES.get(str(m["metric"]), m["signature"])} for m in METRICS],
    )
    made = demo(tmp_path)
    curve = {"thresholds": [1.9, 0.9, 0.7, 0.5], "false_alarms": [0, 0, 0.1, 1.0], "misses": [1.0, 0.4, 0.1, 0]}
    facts = {"encoder": ENCODER, "eer": 0.1, "threshold": 0.7, "target_trials": 50, "nontarget_trials": 90}
    scores = {"p1": [0.8, 0.9], "p2": [0.85]}
    made.write_json("calibration.json", {
        "sv": {"demo $x$": {**facts, "curve": curve}, "other": {"unavailable": "too little"}},
        "fake": {"demo $x$": {**facts, "natural_scores": scores}},
    })  # fmt: skip
    return made


def draw(run: RunDirectory) -> tuple[dict[str, Drawing], list[str]]:
    folder = run.report / "figures"
    drawings, notes = figures.draw(views.load(run), folder, AudioLinks(run.root, run.report).file)
    return {drawing.stem: checked(folder, drawing) for drawing in drawings}, notes


def draw_voices(run: RunDirectory) -> Drawing | None:
    """Draw that figure alone."""
    folder = run.report / "figures"
    drawing, reason = speaker_map(views.load(run), folder, AudioLinks(run.root, run.report).file)
    assert (drawing is None) == bool(reason)
    return drawing and checked(folder, drawing)


def checked(folder: Path, drawing: Drawing) -> Drawing:
    assert (folder / f"{drawing.stem}.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / f"{drawing.stem}.pdf").read_bytes().startswith(b"%PDF")
    assert drawing.alternative
    assert 500 < drawing.width < 1200
    return drawing


def test_a_run_with_everything(run: RunDirectory) -> None:
    drawings, notes = draw(run)
    assert set(drawings) == {
        "differences", "overview", "distribution_mcd", "distribution_wer", "distribution_sv", "distribution_sv_cosine",
        "distribution_fake_score", "distribution_fake_target", "mcd_against_sv_cosine", "wer_against_sv_cosine",
        "fake", "source_or_target", "calibration_sv",
    }  # fmt: skip
    summary = run.read_json("summary.json")
    value = next(c["value"] for c in summary["cells"] if (c["system"], c["measure"], c["dataset"], c["direction"]) == (
        "good", "mcd", "all", "all"))  # fmt: skip
    assert f"MCD in dB with 95 % intervals: Good system {value:.2f}," in drawings["overview"].alternative
    assert HOSTILE in drawings["overview"].alternative
    [voice, words, _] = verdicts(views.load(run))
    assert voice.sentence in drawings["differences"].alternative
    assert words.sentence in drawings["differences"].alternative
    assert (
        f"{HOSTILE} +" in drawings["differences"].alternative or f"{HOSTILE} -" in drawings["differences"].alternative
    )
    assert "EER 10.00 %, threshold 0.7000, 50 + 90 trials" in drawings["calibration_sv"].alternative
    assert notes
    assert "the cache does not hold the speaker embeddings" in notes[0]


@pytest.mark.filterwarnings("error")
def test_a_system_of_which_nothing_was_scored_has_no_median(run: RunDirectory) -> None:
    """Its figure may be there all the same: conversions that failed count as the worst value."""
    report = views.load(run)
    [measure] = [one for one in report.primary_measures if one.name == "mcd"]
    first = report.converters[0]
    report.scores.of(first.name, measure.name)[:] = np.nan
    words = figures._distribution(report, measure, run.report / "figures", "failed").alternative
    assert f"{first.title} n 0;" in words
    assert f"{report.converters[1].title} median" in words


def test_nothing_is_drawn_of_what_is_not_compared(tmp_path: Path) -> None:
    run = single(tmp_path)
    drawings, notes = figures.draw(views.load(run), run.report / "figures", AudioLinks(run.root, run.report).file)
    assert drawings == []
    assert notes == ["No map of voices: it needs recordings of at least two target speakers whose names are known."]


def test_the_map_of_voices_comes_from_the_cache_and_is_kept(run: RunDirectory, tmp_path: Path) -> None:
    report, links = views.load(run), AudioLinks(run.root, run.report)
    cache, random = Cache(default_root()), np.random.default_rng(0)
    voices = {name: random.normal(size=64) for name in ("p1", "p2", "p3", "p4")}
    given = [(row["target_speaker"], row[name]) for row in report.pairs for name in ("prompt_paths", "natural_path")]
    given += [(row["source_speaker"], row["source_path"]) for row in report.pairs]
    of = {row["pair"]: row["target_speaker"] for row in report.pairs}
    given += [(of[pair], path) for (_, pair), path in report.audio.items()]
    for number, (speaker, path) in enumerate(dict.fromkeys(given)):
        if (found := links.file(path)) is not None:
            report_runs.tone(found, number, 0.3 + 0.001 * number)  # every recording of its own
            vector = (voices[speaker] + 0.1 * random.normal(size=64)).astype(np.float32)
            cache.get("resemblyzer", found, parameters(ENCODER), lambda vector=vector: {"embedding": vector})
    drawing = draw_voices(run)
    assert drawing is not None
    assert drawing.stem == "speakers"
    assert "4 target speakers (p1, p2, p3, p4)" in drawing.alternative
    kept = run.report / "figures" / "speakers.csv"
    with open(kept, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["system"] for row in rows} == {"", "good", HOSTILE, report.converters[2].name}
    places = {name: np.array([[float(r["x"]), float(r["y"])] for r in rows if r["speaker"] == name]) for name in voices}
    spread = max(float(np.linalg.norm(xy - xy.mean(axis=0), axis=1).mean()) for xy in places.values())
    middles = [xy.mean(axis=0) for xy in places.values()]
    apart = min(float(np.linalg.norm(a - b)) for n, a in enumerate(middles) for b in middles[:n])
    assert apart > 2 * spread, "voices that are far apart must lie apart on the map"
    text = kept.read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:  # the same figure without the cache, as long as recordings are the same
        patch.setenv("VCEVAL_CACHE", str(tmp_path / "empty"))
        assert draw_voices(run) == drawing
        assert kept.read_text(encoding="utf-8") == text
        first = links.file(given[0][1])
        assert first is not None
        report_runs.tone(first, 99, 0.5)
        assert draw_voices(run) is None


def test_embeddings_are_looked_up_and_never_computed(tmp_path: Path) -> None:
    recording = report_runs.tone(tmp_path / "a.flac", 1)
    cache = Cache(tmp_path / "cache")
    assert known(cache, ENCODER, recording) is None
    cache.get("resemblyzer", recording, parameters(ENCODER), lambda: {"embedding": np.array([3.0, 4.0])})
    assert known(cache, ENCODER, recording) == pytest.approx([0.6, 0.8])
    assert known(cache, "ecapa-12345678", recording) is None
    assert known(cache, ENCODER, tmp_path / "none.flac") is None
