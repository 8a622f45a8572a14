"""Reports of whole runs: a demo-like grid, 23 systems on other pairs each, one file, nothing but failures."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shutil
import subprocess
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from vceval.audio import Waveform, write_flac
from vceval.errors import UsageError
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.reports.build import build
from vceval.rundir import RunDirectory

HOSTILE = "<script>alert('1')</script>\"&' {x} $\\%_#~^ 名 😀"
MEASURES = [
    {"name": "mcd", "metric": "mcd", "label": "MCD", "unit": "dB", "better": "lower", "scale": 1.0, "decimals": 2},
    {"name": "wer", "metric": "wer", "label": "WER", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1},
    {"name": "cer", "metric": "wer", "label": "CER", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1},
    {"name": "sv", "metric": "sv", "label": "SV accuracy", "unit": "%", "better": "higher", "scale": 100.0,
     "decimals": 1},
    {"name": "cosine", "metric": "sv", "label": "Cosine", "unit": "", "better": "higher", "scale": 1.0, "decimals": 3},
    {"name": "fake", "metric": "fake", "label": "Real share", "unit": "%", "better": "higher", "scale": 100.0,
     "decimals": 1},
]  # fmt: skip
METRICS = [
    {"metric": "mcd", "title": "Mel-cepstral distortion", "signature": "MCD|sp:world|order:24|dtw:exact|v:1.0",
     "source": "Kubichek 1993", "needs": ["reference"]},
    {"metric": "wer", "title": "Word error rate", "signature": "WER|asr:tiny.en|text:basic|v:1.0", "source": "",
     "needs": ["transcript"]},
    {"metric": "sv", "title": "Speaker verification", "signature": "SV|enc:resemblyzer|v:1.0", "source": "",
     "needs": ["calibration"]},
    {"metric": "fake", "title": "Fake detection", "signature": "FAKE|enc:resemblyzer|refs:6|v:1.0", "source": "",
     "needs": ["natural"]},
]  # fmt: skip
GENDERS = {"p1": "F", "p2": "M", "p3": "F", "p4": "M"}


def tone(path: Path, seed: int, seconds: float = 0.3) -> Path:
    """Write a short real recording: a few harmonics with an envelope."""
    time = np.arange(int(16000 * seconds)) / 16000
    voice = sum(np.sin(2 * np.pi * (90 + 7 * (seed % 40)) * k * time) / k for k in range(1, 6))
    write_flac(path, Waveform((0.2 * voice * np.hanning(len(time))).astype(np.float32), 16000))
    return path


class FakeRun:
    """Makes a finished run directory with invented scores and real recordings."""

    def __init__(self, root: Path, corpus: Path, rng_seed: int = 0) -> None:
        self.run, self.corpus = RunDirectory(root), corpus
        self.rng = np.random.default_rng(rng_seed)
        self.pairs: list[ConversionPair] = []
        self.systems: list[dict[str, object]] = []
        self.scores: list[Score] = []
        self.failures: list[Failure] = []
        self.skips: list[Skip] = []
        self.audio: list[tuple[str, str, str]] = []

    def pair(self, identity: str, source: str, target: str, dataset: str = "demo", bare: bool = False) -> None:
        """Add a pair; a bare one has no metadata, only converted audio."""
        if bare:
            self.pairs.append(ConversionPair(identity, dataset))
            return
        number = len(self.pairs)

        def recording(speaker: str, kind: str) -> Utterance:
            path = tone(self.corpus / f"{speaker} {kind};&#%.flac", number % 7 + len(kind)) if number < 30 else (
                self.corpus / "none.wav")  # fmt: skip
            return Utterance(
                f"{speaker}_{kind}", path, dataset, speaker, transcript=f"Sentence {number} & <b>more</b>."
            )

        gender_a, gender_b = GENDERS.get(source), GENDERS.get(target)
        self.pairs.append(
            ConversionPair(
                identity, dataset, recording(source, "source"), (recording(target, "prompt"),),
                recording(target, "reference") if number % 3 else None, recording(target, "reference"),
                source, gender_a, target, gender_b, f"{gender_a}2{gender_b}", f"Sentence {number} & <b>more</b>.", "en",
            )
        )  # fmt: skip

    def system(self, name: str, pairs: list[str], title: str = "", control: bool = False, fail: tuple[str, ...] = (),
               skip: bool = True, level: float = 1.0) -> None:  # fmt: skip
        """Score a system on some pairs."""
        known = {pair.id: pair for pair in self.pairs}
        for pair in pairs:
            if pair in fail:
                reason = f"/x/{pair}.flac: holds {len(pair)} NaN samples"
                self.failures.append(Failure(name, pair, "convert", "", reason))
                continue
            path = tone(self.run.audio_path("s" + hashlib.sha1(name.encode()).hexdigest()[:6], pair), len(self.audio))
            self.audio.append((name, pair, str(path.relative_to(self.run.root))))
            for m in MEASURES:
                if skip and m["metric"] == "mcd" and known[pair].reference is None:
                    self.skips.append(
                        Skip(name, pair, "mcd", "mcd", "reference", f"pair {pair} has no parallel recording")
                    )
                    continue
                value = float(self.rng.gamma(20, 0.05)) * level * (6 if m["name"] == "mcd" else 0.3)
                details = {"heard": f"sentence & <i>{len(self.audio)}</i>", "said": "x"} if m["name"] == "wer" else {}
                self.scores.append(Score(name, pair, str(m["metric"]), str(m["name"]), value, value, 1.0, details))
        failed = len(set(fail) & set(pairs))
        self.systems.append({
            "name": name, "title": title or name, "converter": "precomputed", "kind": "control" if control else "any",
            "control": control, "sample_rate": 16000, "licence": "MIT", "paper": "", "expected": len(pairs),
            "converted": len(pairs) - failed, "failed": failed,
        })  # fmt: skip

    def cells(self) -> list[dict[str, object]]:
        """Sum scores up the way a summary does."""
        known = {pair.id: pair for pair in self.pairs}
        values: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
        for score in self.scores:
            pair = known[score.pair]
            for dataset in ("all", pair.dataset):
                for direction in ("all", pair.direction):
                    if direction:
                        values[score.system, score.measure, dataset, direction].append(score.value)
        found = []
        for system in self.systems:
            for m in MEASURES:
                keys = [key for key in values if key[:2] == (system["name"], m["name"])]
                for key in keys or [(system["name"], m["name"], "all", "all")]:
                    got = values.get(key, [])  # type: ignore[call-overload]
                    failed = int(str(system["failed"])) if key[2:] == ("all", "all") else 0
                    mean = float(np.mean(got)) if got else None
                    half = float(1.96 * np.std(got) / np.sqrt(len(got))) if len(got) > 2 else None
                    skipped = sum(s.system == key[0] and s.metric == m["metric"] for s in self.skips)
                    found.append({
                        "system": key[0], "measure": key[1], "dataset": key[2], "direction": key[3], "value": mean,
                        "low": None if half is None or mean is None else mean - half,
                        "high": None if half is None or mean is None else mean + 1.3 * half,
                        "n": len(got), "expected": len(got) + failed, "failed": failed,
                        "skipped": skipped if key[2:] == ("all", "all") else 0, "clusters": 4,
                    })  # fmt: skip
        return found

    def finish(self, **marks: object) -> RunDirectory:
        """Write all files of the run."""
        run = self.run
        calibration = {"sv": {"demo": {"encoder": "resemblyzer", "eer": 0.0213, "threshold": 0.7132,
                                       "target_trials": 100, "nontarget_trials": 1000},
                              "LibriTTS": {"unavailable": "only 1 speaker with two recordings"}}}  # fmt: skip
        run.write_json("run.json", {
            "name": "test", "suite": "demo@1", "created": "2024-05-01T12:00:00Z", "command": ["vceval", "run", HOSTILE],
            "versions": {"vceval": "0.1.0", "python": "3.12.1"}, "device": "cpu", "seed": 0, "plan": "0" * 64,
            "systems": [{"name": s["name"], "converter": s["converter"], "options": {}} for s in self.systems],
            "metrics": {m["metric"]: m["signature"] for m in METRICS}, "git": {"commit": None, "dirty": False},
            "partial": False, "custom": False, "state": "finished",
        })  # fmt: skip
        run.write_json("summary.json", {
            "schema": 1, "name": "test", "suite": "demo@1", "partial": False, "custom": False, "pairs": len(self.pairs),
            "systems": self.systems, "metrics": METRICS, "measures": MEASURES,
            "datasets": sorted({pair.dataset for pair in self.pairs}),
            "directions": sorted({pair.direction for pair in self.pairs if pair.direction}), "cells": self.cells(),
            "counts": {"failures": len(self.failures), "skips": len(self.skips), "missing": 0},
            "calibration": calibration, "published": [], **marks,
        })  # fmt: skip
        run.write_json("calibration.json", calibration)
        run.write_pairs(self.pairs)
        run.write_scores(self.scores, {pair.id: pair for pair in self.pairs})
        run.write_failures(self.failures)
        run.write_skips(self.skips)
        run.write_audio(self.audio)
        return run


def demo(folder: Path) -> RunDirectory:
    """48 pairs × 2 systems and 2 controls; one name is hostile; three conversions failed."""
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(GENDERS)
    for number in range(48):
        fake.pair(f"pair{number:02d};&#% é", speakers[number % 4], speakers[(number + 1 + number // 16) % 4])
    names = [pair.id for pair in fake.pairs]
    fake.system("good", names, "Good system", level=0.8)
    fake.system(HOSTILE, names, fail=tuple(names[2:5]))
    fake.system("source", names, "Source (unconverted)", control=True, level=0.1)
    fake.system("long", names, "long_name_" * 20, level=1.3)
    return fake.finish(published=[{
        "paper": "Doe 2022", "table": "2", "task": "unseen", "system": HOSTILE, "metric": "WER", "value": 12.34,
        "plus_minus": 0.5, "unit": "%", "notes": "own test set",
    }])  # fmt: skip


def scattered(folder: Path) -> RunDirectory:
    """433 conversions of 23 systems over 7 datasets, each system with other pairs."""
    fake = FakeRun(folder / "run", folder / "corpus")
    speakers = list(GENDERS)
    for number in range(433):
        fake.pair(f"p{number:03d}", speakers[number % 4], speakers[number // 4 % 4], f"Dataset-{number % 7}")
    for index in range(23):
        fake.system(f"System-{index:02d}", [f"p{n:03d}" for n in range(index, 433, 23)], level=1 + index / 50)
    return fake.finish(suite="score")


def single(folder: Path) -> RunDirectory:
    """One converted file of which nothing else is known."""
    fake = FakeRun(folder / "run", folder / "corpus")
    fake.pair("only", "", "", "files", bare=True)
    fake.system("mine", ["only"])
    return fake.finish(suite="score")


def broken(folder: Path) -> RunDirectory:
    """Every conversion failed, and the corpus is not all there."""
    fake = FakeRun(folder / "run", folder / "corpus")
    for number in range(6):
        fake.pair(f"p{number}", "p1", "p2")
    names = [pair.id for pair in fake.pairs]
    fake.system("one", names, fail=tuple(names))
    fake.system("two", names, fail=tuple(names))
    return fake.finish(partial=True, custom=True, counts={"missing": 37})


RUNS = {"demo": demo, "scattered": scattered, "single": single, "broken": broken}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """Every kind of run with its report."""
    runs = {}
    for name, make in RUNS.items():
        runs[name] = make(tmp_path_factory.mktemp(name))
        build(runs[name])
    return runs


class Page(HTMLParser):
    """What a browser would make of the page: tags with attributes, text, and tables as rows of texts."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.open = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append((dict(attrs).get("class") or "", ""))

    def handle_data(self, data: str) -> None:
        if self.open in ("script", "style"):
            self.scripts.append(data)
            return
        self.texts.append(data)
        if self.rows and self.rows[-1]:
            kind, text = self.rows[-1][-1]
            self.rows[-1][-1] = (kind, f"{text} {data.strip()}".strip())

    def handle_endtag(self, tag: str) -> None:
        self.open = ""


@pytest.mark.parametrize("name", RUNS)
def test_page_is_inert_and_loads_nothing_from_elsewhere(built: dict[str, RunDirectory], name: str) -> None:
    index = built[name].report / "index.html"
    page = Page(index)
    counted = [tag for tag, _ in page.tags if tag in ("script", "style", "link", "iframe", "object", "embed", "base")]
    assert sorted(counted) == ["script", "style"]
    links = []
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], (tag, attributes)
        links += [value for key, value in attributes.items() if key in ("src", "href")]
    assert all(re.fullmatch(r"#[a-z]+|(\.\./)?[\w./%~-]+", link or "") for link in links), links
    for link in links:
        if link and not link.startswith("#"):
            assert (index.parent / unquote(link)).is_file(), link


@pytest.mark.parametrize("name", RUNS)
def test_policy_allows_just_the_style_and_script_of_the_page(built: dict[str, RunDirectory], name: str) -> None:
    page = Page(built[name].report / "index.html")
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for text in page.scripts:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy


def test_hostile_name_is_shown_as_text(built: dict[str, RunDirectory]) -> None:
    page = Page(built["demo"].report / "index.html")
    assert HOSTILE in page.texts
    assert "<script>alert" not in (built["demo"].report / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_main_table_shows_every_figure_with_its_counts(built: dict[str, RunDirectory], name: str) -> None:
    run = built[name]
    summary = run.read_json("summary.json")
    page = Page(run.report / "index.html")
    rows = {row[0][1]: row[1:] for row in reversed(page.rows) if len(row) == len(MEASURES) + 1}
    for system in summary["systems"]:
        shown = dict(zip((m["name"] for m in MEASURES), (text for _, text in rows[system["title"]]), strict=True))
        for cell in summary["cells"]:
            if (cell["system"], cell["dataset"], cell["direction"]) != (system["name"], "all", "all"):
                continue
            m = next(m for m in MEASURES if m["name"] == cell["measure"])
            text = shown[cell["measure"]]
            if cell["value"] is None:
                assert text.startswith("–")
            else:
                assert text.split()[0] == f"{cell['value'] * m['scale']:.{m['decimals']}f}"
            if cell["low"] is not None:
                low, high = (f"{cell[key] * m['scale']:.{m['decimals']}f}" for key in ("low", "high"))
                assert f"[{low}, {high}]" in text
            assert f"{cell['n']}/{cell['expected']}" in text


def test_controls_are_never_best(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    page = Page(report / "index.html")
    bold = [row[0][1] for row in page.rows for kind, _ in row if "best" in kind.split()]
    assert "Good system" in bold
    assert "Source (unconverted)" not in bold
    tex, markdown = ((report / "tables" / f"main.{kind}").read_text(encoding="utf-8") for kind in ("tex", "md"))
    assert not [line for line in tex.splitlines() if "unconverted" in line and "textbf" in line]
    assert [line for line in tex.splitlines() if line.startswith("Good system") and "textbf" in line]
    assert not [line for line in markdown.splitlines() if "unconverted" in line and "**" in line]


def test_headlines(built: dict[str, RunDirectory]) -> None:
    texts = {name: " | ".join(Page(run.report / "index.html").texts) for name, run in built.items()}
    assert "3 of 192 conversions failed" in texts["demo"]
    skipped = len(built["demo"].read_skips())
    assert f"{skipped} values could not be made because pairs lack a parallel recording" in texts["demo"]
    assert "433 pairs · 23 systems · 7 datasets · 433 conversions, none failed" in texts["scattered"]
    assert "1 pair · 1 system · 1 conversion, none failed" in texts["single"]
    assert "All 12 conversions failed" in texts["broken"]
    assert "37 utterances of the suite’s list missing on disk" in texts["broken"]
    assert "different pairs" in texts["scattered"]
    assert "different pairs" not in texts["demo"]
    for mark in ("PARTIAL", "CUSTOM"):
        assert f"| {mark} |" in texts["broken"]
        assert f"| {mark} |" not in texts["demo"]


@pytest.mark.parametrize("name", RUNS)
def test_csv_holds_the_figures_of_the_summary(built: dict[str, RunDirectory], name: str) -> None:
    run = built[name]
    cells = {
        (c["system"], c["measure"], c["dataset"], c["direction"]): c for c in run.read_json("summary.json")["cells"]
    }
    seen = set()
    for path in sorted(run.report.glob("tables/main*.csv")):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                key = (row["system"], row["measure"], row["dataset"], row["direction"])
                seen.add(key)
                m = next(m for m in MEASURES if m["name"] == row["measure"])
                for column in ("value", "low", "high"):
                    stored = cells[key][column]
                    assert (float(row[column]) / float(str(m["scale"])) if row[column] else None) == (
                        None if stored is None else pytest.approx(stored, rel=1e-9)
                    )
                assert [int(row[c]) for c in ("n", "expected", "failed", "skipped")] == [
                    cells[key][c] for c in ("n", "expected", "failed", "skipped")
                ]
                assert (row["unit"], row["better"]) == (m["unit"], m["better"])
    assert {key for key in cells if key[2:] == ("all", "all")} <= seen
    if name == "scattered":
        assert {key for key in cells if "all" in key[2:]} == seen


def test_signatures_stand_under_every_results_table(built: dict[str, RunDirectory]) -> None:
    report = built["demo"].report
    for metric in METRICS:
        assert str(metric["signature"]) in (report / "tables" / "main.md").read_text(encoding="utf-8")
        assert str(metric["signature"]) in Page(report / "index.html").texts
    directions = (report / "tables" / "main_directions.md").read_text(encoding="utf-8")
    assert directions.count("MCD|sp:world|order:24|dtw:exact|v:1.0") == 1
    assert directions.count("WER|asr:tiny.en|text:basic|v:1.0") == 2  # WER and CER


def test_report_survives_moving_the_run_without_its_corpus(tmp_path: Path) -> None:
    run = demo(tmp_path)
    build(run)
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    shutil.move(run.root, moved)
    shutil.rmtree(tmp_path / "corpus")
    players = [a["src"] for tag, a in Page(moved / "report" / "index.html").tags if tag == "audio"]
    assert len(players) > 48 * 4
    assert [p for p in players if p and p.startswith("audio/")]
    assert all((moved / "report" / unquote(str(player))).is_file() for player in players)


def test_building_again_gives_the_same_page_and_leaves_nothing_old(tmp_path: Path) -> None:
    run = single(tmp_path)
    first = build(run).read_bytes()
    for name in ("tables/old.tex", "figures/old.png", "audio/0123456789abcdef.wav"):
        (run.report / name).parent.mkdir(exist_ok=True)
        (run.report / name).write_text("left from an earlier report")
    assert build(run).read_bytes() == first
    assert not [*run.report.rglob("old.*"), *run.report.rglob("0123456789abcdef.wav")]


def test_only_recordings_are_linked_into_a_report(tmp_path: Path) -> None:
    run = single(tmp_path)
    (tmp_path / "secret.key").write_text("private")
    run.write_audio([("mine", "only", "../secret.key")])
    build(run)
    assert not (run.report / "audio").exists()
    assert "not found: secret.key" in " ".join(Page(run.report / "index.html").texts)


@pytest.mark.parametrize("name", ["summary.json", "pairs.csv", "audio.csv", "scores.parquet", "failures.csv"])
def test_unfinished_run_is_refused(tmp_path: Path, name: str) -> None:
    run = single(tmp_path)
    (run.root / name).unlink()
    with pytest.raises(UsageError, match=re.escape(name)):
        build(run)


def test_malformed_summary_is_refused(tmp_path: Path) -> None:
    run = single(tmp_path)
    run.write_json("summary.json", {"systems": [{"name": "x"}]})
    with pytest.raises(UsageError, match=r"summary\.json: not the summary of a run"):
        build(run)


@pytest.mark.parametrize("name", RUNS)
def test_figures_exist_in_both_formats_with_words(built: dict[str, RunDirectory], name: str) -> None:
    report = built[name].report
    pictures = [a for tag, a in Page(report / "index.html").tags if tag == "img"]
    expected = {"demo": 6, "scattered": 6, "single": 5, "broken": 0}[name]  # one file alone has no MCD
    assert len(pictures) == expected
    for picture in pictures:
        assert "with 95 % intervals" in str(picture["alt"])
        path = report / str(picture["src"])
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", RUNS)
def test_latex_compiles_and_fits_the_line(built: dict[str, RunDirectory], tmp_path: Path, name: str) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    tables = sorted(built[name].report.glob("tables/*.tex"))
    assert {"main.tex", "calibration.tex"} <= {path.name for path in tables}
    inputs = "".join(f"\\input{{{path.name}}}\\clearpage\n" for path in tables)
    for path in tables:
        shutil.copy(path, tmp_path)
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + inputs + "\\end{document}\n"
    )
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    log = (tmp_path / "all.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-2000:]
    assert not re.findall(r"Overfull \\[hv]box.*", log)
    assert not re.findall(r"Float too large.*", log)


def test_json_of_the_run_is_listed(built: dict[str, RunDirectory]) -> None:
    texts = Page(built["demo"].report / "index.html").texts
    assert "0" * 64 in texts
    assert json.dumps(["vceval", "run", HOSTILE], ensure_ascii=False) in texts or HOSTILE in texts
