"""Made-up runs whose summary follows from their scores, as that of a real run does, for tests of what is published."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from made_runs import write_files

from vceval import registry
from vceval.protocol import suite as suites
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.results import views
from vceval.results.leakage import PairExposure
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import RunDirectory
from vceval.results.summary import figures_of, shown
from vceval.results.views import SCHEMA, MeasureView

#: Words of the transcripts, of which nothing may be in a file.
WORDS = "The walrus ponders"
SYSTEMS = {"source": True, "mine": False, "other": False}


def pairs_of(suite: str, private: bool = False) -> dict[str, ConversionPair]:
    """The pairs of a suite's list; private ones have other speakers and recordings."""
    made = {}
    for number, pair in enumerate(suites.frozen_pairs(suites.load(suite))):
        ids = [f"secret{one}" if private else one for one in (pair.source, pair.prompts[0], pair.reference or "")]
        source, prompt, reference = (
            Utterance(one, Path(f"/home/somebody/{one}.wav"), "d", one.partition("_")[0]) for one in ids
        )
        name = f"secret-{number}" if private else pair.pair
        made[name] = ConversionPair(
            name, "private corpus" if private else "corpus", source, (prompt,),
            reference if pair.reference and number % 7 else None, None,
            source.speaker, None, prompt.speaker, None, pair.direction, f"{WORDS} {ids[0].partition('_')[2]}", "en",
        )  # fmt: skip
    return made


def published_run(root: Path, suite: str = "demo", *, seed: int = 0, private: bool = False, limit: int = 0,
                  metrics: tuple[str, ...] = ("mcd", "sv", "wer", "fake", "sanity", "bandwidth"),
                  systems: dict[str, bool] = SYSTEMS, titles: dict[str, str] | None = None,
                  lost: int = 2) -> RunDirectory:  # fmt: skip
    """Write a finished run of made-up scores; ``lost``: conversions of each system but the first that failed."""
    rng = np.random.default_rng(seed)
    pairs = dict(list(pairs_of(suite, private).items())[: limit or None])
    kinds = {name: registry.load("metric", name) for name in metrics}
    measures = [{**asdict(one), "metric": name} for name, kind in kinds.items() for one in kind.measures]
    speakers = sorted({pair.target_speaker or "" for pair in pairs.values()})
    corpus = next(iter(pairs.values())).dataset
    scores, failures, skips, audio = list[Score](), list[Failure](), list[Skip](), list[tuple[str, str, str]]()
    effects = {name: rng.normal(0, 0.05) for name in speakers}
    for place, system in enumerate(systems):
        for number, (name, pair) in enumerate(pairs.items()):
            if place and number < lost:
                failures.append(Failure(system, name, "convert", "", f"/home/somebody/{name}.wav is empty"))
                continue
            audio.append((system, name, f"audio/{system}/{name}.flac"))
            for measure in measures:
                metric = str(measure["metric"])
                if metric == "mcd" and pair.reference is None:
                    skips.append(Skip(system, name, metric, str(measure["name"]), "reference", "it lacks one"))
                    continue
                above = float(rng.normal(0.6 + 0.1 * place, 0.1)) + effects[pair.target_speaker or ""]
                below = 1.0
                if measure["name"].startswith(("wer", "cer")):
                    above, below = float(rng.integers(0, 4)), 8.0 + number % 5
                elif measure["rate"]:
                    above = float(rng.random() < 0.3 + 0.2 * place)
                details = {"flags": ["clipped"] if number % 9 == 4 else []} if metric == "sanity" else {}
                if metric == "wer":
                    details = {"heard": WORDS, "said": WORDS}
                scores.append(Score(system, name, metric, str(measure["name"]), above / below, above, below, details))
    draws = {"threshold_draws": rng.normal(0.7, 0.01, 100).tolist(), "speakers": 6, "threshold": 0.7,
             "mean_draws": rng.normal([0.5, 0.8], 0.01, (100, 2)).tolist(), "impostor_mean": 0.5, "same_mean": 0.8,
             "encoder": "resemblyzer", "trials_sha256": "a" * 64, "eer": 0.05}  # fmt: skip
    natural = {name: rng.normal(0.9, 0.05, 12).tolist() for name in speakers}
    calibrations = {
        name: {corpus: {**draws, **({"natural_scores": natural} if name == "fake" else {})}}
        for name in ("sv", "fake") if name in metrics
    }  # fmt: skip
    rows = [
        {"name": name, "title": (titles or {}).get(name, name.title()), "converter": "source" if control else name,
         "kind": "any", "control": control, "sample_rate": 16000, "licence": "MIT", "paper": "",
         "expected": len(pairs), "failed": lost if place else 0, "converted": len(pairs) - (lost if place else 0)}
        for place, (name, control) in enumerate(systems.items())
    ]  # fmt: skip
    loaded = suites.load(suite)
    about: dict[str, Any] = {
        "name": "a run", "suite": "score" if private else loaded.label, "created": f"2026-01-01T00:00:{seed:02}+00:00",
        "command": ["vceval", "run", "/home/somebody/secret.txt"], "versions": {"vceval": "0.1.0", "numpy": "2"},
        "data": "/home/somebody", "pairs_sha256": "" if private else loaded.pairs_sha256, "state": "finished",
        "systems": [{"name": "mine", "converter": "command", "options": {"command": "python worker.py", "steps": 3},
                     "files": {"weights.pt": "b" * 64}, "editions": {"weights.pt": "published, version 2"}}],
    }  # fmt: skip
    summary: dict[str, Any] = {
        "schema": SCHEMA, "name": about["name"], "suite": about["suite"], "pairs": len(pairs), "systems": rows,
        "partial": bool(limit), "custom": False,
        "metrics": [{"metric": n, "title": k.title, "signature": f"{n.upper()}|v:1", "source": k.cites}
                    for n, k in kinds.items()],
        "measures": measures, "datasets": [corpus],
        "directions": sorted({pair.direction or "" for pair in pairs.values()}),
        "cells": [], "rankings": [], "comparisons": [], "calibration": shown(calibrations),
    }  # fmt: skip
    run = RunDirectory(root)
    write_files(run, pairs.values(), scores, {name: f"{name.upper()}|v:1" for name in metrics}, about=about,
                summary=summary, audio=audio, failures=failures, skips=skips)  # fmt: skip
    run.write_json("calibration.json", calibrations)
    exposures = [
        PairExposure(system, name, "unseen", "trained" if pair.target_speaker == speakers[0] else "unseen")
        for system, control in systems.items() if not control for name, pair in pairs.items()
    ]  # fmt: skip
    run.write_leakage((one.system, one.pair, one.source, one.target) for one in exposures)
    found = figures_of(
        Outcomes.of_report(views.load(run)), rows, [MeasureView.of(one) for one in measures],
        [(name, "") for name in metrics], {name: place for place, name in enumerate(pairs)}, exposures,
        {("mine", "sv"): "trained to please this encoder"},
    )  # fmt: skip
    run.write_json("summary.json", {**summary, **found})
    return run
