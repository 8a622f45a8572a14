"""Made-up runs: what a finished run holds on disk, and runs for the gate by a few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.results.rundir import RunDirectory
from vceval.results.views import SCHEMA

MEASURES = {
    "sv_accept": {"metric": "sv", "label": "SV acc.", "unit": "%", "better": "higher", "scale": 100.0, "decimals": 1},
    "mcd": {"metric": "mcd", "label": "MCD", "unit": "dB", "better": "lower", "scale": 1.0, "decimals": 2},
    "wer": {"metric": "wer", "label": "WER", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1},
    "sanity_flags": {
        "metric": "sanity", "label": "Flagged", "unit": "%", "better": "lower", "scale": 100.0, "decimals": 1,
    },
}  # fmt: skip

#: Rules under which the gate sees on 64 made-up pairs; those for a point of acceptance are blind there.
RULES = """\
schema: 1
rules:
  - {measure: sv_accept, worsening: 0.1}
  - {measure: mcd, worsening: 0.1, confidence: 0.995}
  - {measure: wer, worsening: 0.1, confidence: 0.995, cap: 1.0}
  - {new: failures}
  - {new: flags}
"""


def write_rules(folder: Path, text: str = RULES) -> Path:
    """Write a rules file."""
    path = folder / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class MadeRun:
    """What a run shall hold; change it, then write it."""

    targets: int = 8
    sources: int = 8
    systems: Mapping[str, bool] = field(default_factory=lambda: {"target": True, "A": False})
    sums: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)
    flags: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    suite: str = "made@1"
    signatures: dict[str, str] = field(
        default_factory=lambda: {"sv": "SV|enc:a|v:1", "mcd": "MCD|order:24|v:1", "wer": "WER|asr:p|v:1", "sanity": "S"}
    )
    calibration: dict[str, Any] = field(
        default_factory=lambda: {"sv": {"d": {"threshold": 0.7, "trials_sha256": "t", "encoder": "a", "eer": 0.1}}}
    )
    text: str = "text"
    seeds: int = 1
    created: str = "2026-01-01"

    @property
    def pairs(self) -> dict[str, ConversionPair]:
        """Every source to every target, once."""
        made = {}
        for t in range(self.targets):
            for s in range(self.sources):
                source = Utterance(f"s{s}-{t}", Path(f"/x/s{s}-{t}.wav"), "d")
                prompt = Utterance(f"t{t}", Path(f"/x/t{t}.wav"), "d")
                pair = ConversionPair(
                    f"s{s}-t{t}", "d", source, (prompt,), source_speaker=f"s{s}", target_speaker=f"t{t}",
                    direction="F2F" if t % 2 else "F2M", transcript=f"{self.text} {s}",
                )  # fmt: skip
                made[pair.id] = pair
        return made

    def fill(self, seed: int = 0) -> MadeRun:
        """Scores of every system, measure and pair: the same ones for the same seed."""
        generator = np.random.default_rng(seed)
        for system in self.systems:
            for pair in self.pairs:
                self.sums[system, pair, "sv_accept"] = (float(generator.random() < 0.8), 1.0)
                self.sums[system, pair, "mcd"] = (float(generator.normal(6, 1)), 1.0)
                self.sums[system, pair, "wer"] = (float(generator.integers(0, 4)), 10.0)
                self.sums[system, pair, "sanity_flags"] = (0.0, 1.0)
        return self

    def worsen(self, measure: str, by: float, noise: float = 0.0, system: str = "A", seed: int = 1) -> MadeRun:
        """Add to every numerator of a measure."""
        generator = np.random.default_rng(seed)
        for key, (numerator, denominator) in self.sums.items():
            if key[0] == system and key[2] == measure:
                self.sums[key] = (numerator + by + float(generator.normal(0, noise)), denominator)
        return self

    def write(self, folder: Path) -> Path:
        """Write the run's files."""
        run, pairs = RunDirectory(folder), self.pairs
        scores = []
        for (system, pair, measure), (numerator, denominator) in self.sums.items():
            flags = list(self.flags.get((system, pair), ()))
            details = {"flags": flags} if measure == "sanity_flags" else {}
            value = float(bool(flags)) if measure == "sanity_flags" else numerator
            metric = str(MEASURES[measure]["metric"])
            scores.append(
                Score(system, pair, metric, measure, value / denominator, value, denominator, details)
            )  # fmt: skip
        write_files(
            run, pairs.values(), scores, self.signatures, failures=self.failures,
            audio=((s, p, f"audio/{s}/{p}.flac") for s in self.systems for p in pairs),
            about={"suite": self.suite, "created": self.created, "versions": {"numpy": "2"}, "pairs_sha256": "h",
                   "state": "finished"},
            summary={
                "schema": SCHEMA, "pairs": len(pairs), "cells": [], "rankings": [], "comparisons": [],
                "systems": [
                    {"name": n, "title": n, "control": control, "expected": len(pairs), "converted": len(pairs),
                     "failed": 0, "seeds": self.seeds}
                    for n, control in self.systems.items()
                ],
                "metrics": [{"metric": name, "signature": text} for name, text in self.signatures.items()],
                "measures": [{"name": name, **facts} for name, facts in MEASURES.items()],
                "calibration": self.calibration,
            },
        )  # fmt: skip
        return folder


def write_files(
    run: RunDirectory,
    pairs: Iterable[ConversionPair],
    scores: Sequence[Score],
    signatures: Mapping[str, str],
    *,
    about: Mapping[str, Any],
    summary: Mapping[str, Any],
    audio: Iterable[tuple[str, str, str]],
    failures: Sequence[Failure] = (),
    skips: Sequence[Skip] = (),
) -> None:
    """Write what a finished run holds; its calibration is that of the summary."""
    known = {pair.id: pair for pair in pairs}
    run.write_pairs(known.values())
    run.write_scores(scores, known, signatures)
    run.write_failures(failures)
    run.write_skips(skips)
    run.write_audio(audio)
    run.write_json("run.json", about)
    run.write_json("calibration.json", summary["calibration"])
    run.write_json("summary.json", summary)
