"""Makes run directories for tests of reports: a demo-like grid, 23 systems on other pairs each, one file, failures."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from made_runs import write_files

from vceval.records import ConversionPair, Failure, Gender, Score, Skip, Utterance
from vceval.results.outcomes import Outcomes
from vceval.results.ranking import ranked
from vceval.results.rundir import RunDirectory
from vceval.results.table import Tally
from vceval.results.views import SCHEMA, MeasureView
from vceval.signal.audio import Waveform, write_flac

HOSTILE = "<script>alert('1')</script>\"&' {x} $\\%_#~^ 名 😀"
MEASURES = [
    {"name": "mcd", "metric": "mcd", "label": "MCD", "unit": "dB", "better": "lower", "scale": 1.0, "decimals": 2},
    {"name": "wer", "metric": "wer", "label": "WER", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1,
     "question": "words"},
    {"name": "cer", "metric": "wer", "label": "CER", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1},
    {"name": "sv", "metric": "sv", "label": "SV accuracy", "unit": "%", "better": "higher", "scale": 100.0,
     "decimals": 1, "worst": 0.0, "question": "voice"},
    {"name": "cosine", "metric": "sv", "label": "Cosine", "unit": "", "better": "higher", "scale": 1.0, "decimals": 3},
    {"name": "fake", "metric": "fake", "label": "Real share", "unit": "%", "better": "higher", "scale": 100.0,
     "decimals": 1, "worst": 0.0},
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
GENDERS: dict[str, Gender] = {"p1": "F", "p2": "M", "p3": "F", "p4": "M"}


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
        found: list[dict[str, object]] = []
        for system in self.systems:
            for m in MEASURES:
                keys = [key for key in values if key[:2] == (system["name"], m["name"])]
                for key in keys or [(str(system["name"]), str(m["name"]), "all", "all")]:
                    got = values.get(key, [])
                    failed = int(str(system["failed"])) if key[2:] == ("all", "all") else 0
                    mean = float(np.mean(got)) if got else None
                    half = float(1.96 * np.std(got) / np.sqrt(len(got))) if len(got) > 2 else None
                    skipped = sum(s.system == key[0] and s.metric == m["metric"] for s in self.skips)
                    found.append({
                        "system": key[0], "measure": key[1], "dataset": key[2], "direction": key[3], "value": mean,
                        "low": None if half is None or mean is None else mean - half,
                        "high": None if half is None or mean is None else mean + 1.3 * half,
                        "n": len(got), "expected": len(got) + failed, "failed": failed,
                        "skipped": skipped if key[2:] == ("all", "all") else 0, "targets": 4, "sources": 4,
                    })  # fmt: skip
        return found

    def finish(self, **marks: object) -> RunDirectory:
        """Write all files of the run."""
        run = self.run
        calibration = {"sv": {"demo": {"encoder": "resemblyzer", "eer": 0.0213, "threshold": 0.7132,
                                       "eer_low": 0.0102, "eer_high": 0.0321,
                                       "same_gender": {"eer": 0.0311, "threshold": 0.7298},
                                       "target_trials": 100, "nontarget_trials": 1000, "speakers": 4, "utterances": 30,
                                       "unusable": 2, "trials_sha256": "ab" * 32},
                              "LibriTTS": {"unavailable": "only 1 speaker with two recordings"},
                              "VCC2020": {"encoder": "resemblyzer", "eer": 0.0, "threshold": 0.75,
                                          "same_gender": {"eer": None, "threshold": None,
                                                          "reason": "none is known"}}}}  # fmt: skip
        about = {
            "name": "test", "suite": "demo@1", "created": "2024-05-01T12:00:00Z", "command": ["vceval", "run", HOSTILE],
            "versions": {"vceval": "0.1.0", "python": "3.12.1"}, "device": "cpu", "seed": 0, "plan": "0" * 64,
            "systems": [{"name": s["name"], "converter": s["converter"], "options": {}} for s in self.systems],
            "metrics": {m["metric"]: m["signature"] for m in METRICS}, "git": {"commit": None, "dirty": False},
            "partial": False, "custom": False, "state": "finished",
        }  # fmt: skip
        tally = Tally({pair.id: pair for pair in self.pairs}, self.scores, self.failures, self.skips)
        outcomes = Outcomes.of_tally(tally, [str(s["name"]) for s in self.systems], {})
        rankings, comparisons = ranked(
            outcomes, [str(s["name"]) for s in self.systems if not s["control"]], [MeasureView.of(m) for m in MEASURES]
        )  # fmt: skip
        summary = {
            "schema": SCHEMA, "name": "test", "suite": "demo@1", "partial": False, "custom": False,
            "pairs": len(self.pairs), "systems": self.systems, "metrics": METRICS, "measures": MEASURES,
            "rankings": rankings, "comparisons": comparisons,
            "datasets": sorted({pair.dataset for pair in self.pairs}),
            "directions": sorted({pair.direction for pair in self.pairs if pair.direction}), "cells": self.cells(),
            "counts": {"failures": len(self.failures), "skips": len(self.skips), "missing": 0},
            "calibration": calibration, "published": [], **marks,
        }  # fmt: skip
        write_files(
            run, self.pairs, self.scores, {score.metric: "X|v:1" for score in self.scores}, about=about,
            summary=summary, audio=self.audio, failures=self.failures, skips=self.skips,
        )  # fmt: skip
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


def make(folder: Path, systems: dict[str, float], seed: int = 0, pairs: int = 24, offset: int = 0) -> RunDirectory:
    """A run of one suite; ids of pairs differ from run to run, recordings do not."""
    fake = FakeRun(folder, folder.parent / "corpus", rng_seed=seed)
    speakers = list(GENDERS)
    for number in range(pairs):
        fake.pair(f"{folder.name}-{number + offset}", speakers[number % 4], speakers[(number + 1 + number // 8) % 4])
    names = [pair.id for pair in fake.pairs]
    fake.rng = np.random.default_rng(7)  # the control has the same values in every run
    fake.system("source", names, "Source", control=True, level=0.2)
    fake.rng = np.random.default_rng(seed)
    for name, level in systems.items():
        fake.system(name, names, level=level, fail=(names[2],) if name == "shaky" else ())
    return fake.finish()


def change(run: RunDirectory, how: Callable[[dict[str, Any]], None]) -> RunDirectory:
    """Callable[[dict[str, Any]], None] the summary of a run."""
    summary = run.read_json("summary.json")
    how(summary)
    run.write_json("summary.json", summary)
    return run


def set_signature(summary: dict[str, Any]) -> None:
    summary["metrics"][0]["signature"] = "MCD|sp:world|order:13|dtw:exact|v:1.0"
