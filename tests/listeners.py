"""Runs to make listening tests from, and listeners whose opinions are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sounds import hum

from vceval.listen.answers import Answer, Session
from vceval.listen.key import Key
from vceval.listen.pages import PageFacts
from vceval.listen.plan import Trial
from vceval.listen.recordings import Pool, Recording
from vceval.records import ConversionPair, Gender, Score, Utterance
from vceval.results.rundir import RunDirectory
from vceval.results.views import SCHEMA
from vceval.signal.audio import Waveform, write_flac

SPEAKERS: Mapping[str, Gender] = {"ann": "F", "eva": "F", "bob": "M", "tom": "M"}
#: What listeners think of each row, on a scale from 1 to 5.
QUALITY = {"alpha": 3.6, "beta": 2.4, "source": 4.6, "target": 4.5, "anchor:mnru": 1.4, "anchor:natural": 4.6}
LIKENESS = {"alpha": 2.2, "beta": 3.6, "source": 1.5, "target": 4.6, "anchor:source": 1.5, "anchor:target": 4.6}


def grid(speakers: int = 4, repeats: int = 1) -> dict[str, dict[str, str]]:
    """Rows of pairs.csv: every speaker with every other, half of the speakers female."""
    rows = {}
    for one in range(speakers):
        for other in range(speakers):
            for take in range(repeats if one != other else 0):
                genders = ["FM"[one % 2], "FM"[other % 2]]
                name = f"p{one}-{other}-{take}"
                rows[name] = {
                    "pair": name, "dataset": "toy", "direction": "2".join(genders), "source_speaker": f"s{one}",
                    "target_speaker": f"s{other}", "transcript": name,
                }  # fmt: skip
    return rows


def make_pool(
    rows: Mapping[str, Mapping[str, str]], systems: tuple[str, ...], controls: tuple[str, ...] = (),
    missing: Callable[[str, str], bool] = lambda system, pair: False,
) -> Pool:  # fmt: skip
    """A pool of recordings that exist in name alone; ``missing`` says which conversions are not there."""
    audio = {
        (system, pair): Recording(f"/{system}/{pair}")
        for system in (*systems, *controls)
        for pair in rows
        if not missing(system, pair)
    }
    for pair in rows:
        audio["anchor:natural", pair] = Recording(f"/natural/{pair}")
        audio["anchor:mnru", pair] = Recording(f"/natural/{pair}", mnru=10.0)
        audio["anchor:source", pair] = Recording(f"/natural/{pair}")
        audio["anchor:target", pair] = Recording(f"/held/{pair}")
    return Pool(
        rows, (*systems, *controls), systems, audio, {pair: Recording(f"/prompt/{pair}") for pair in rows},
        {pair: Recording(f"/other/{pair}") for pair in rows}, {pair: Recording(f"/natural/{pair}") for pair in rows},
    )  # fmt: skip


def make_run(folder: Path, seconds: float = 0.5, controls: bool = True, natural: bool = True) -> RunDirectory:
    """A finished run of 12 pairs, systems alpha (24 kHz) and beta (16 kHz), with recordings that can be played."""
    run = RunDirectory(folder / "run")
    corpus = folder / "corpus"

    def recording(speaker: str, take: str, text: str | None = None) -> Utterance:
        path = corpus / f"{speaker}_{take}.flac"
        if not path.is_file():
            pitch = 120.0 if SPEAKERS[speaker] == "M" else 210.0
            write_flac(path, Waveform(hum(seconds, 16_000, pitch, seed=len(list(corpus.glob("*")))), 16_000))
        return Utterance(path.stem, path, "toy", speaker, SPEAKERS[speaker], "en", text)

    pairs = []
    for at, one in enumerate(SPEAKERS):
        for other in SPEAKERS:
            if one == other:
                continue
            text = f"Sentence {at}."
            prompt, held = recording(other, "prompt"), recording(other, f"says{at}", text)
            pairs.append(
                ConversionPair(
                    f"{one}-{other}", "toy", recording(one, f"says{at}", text) if natural else None,
                    (prompt,) if natural else (), held if natural else None, held if natural else None,
                    one, SPEAKERS[one], other, SPEAKERS[other], f"{SPEAKERS[one]}2{SPEAKERS[other]}", text, "en",
                )
            )  # fmt: skip
    audio, scores = [], []
    for place, (system, rate) in enumerate((("alpha", 24_000), ("beta", 16_000))):
        for at, pair in enumerate(pairs):
            path = run.audio_path(system, pair.id)
            level = 0.1 + 0.07 * at
            samples = hum(seconds, rate, 150.0 + 9 * at, seed=at + 50 * place) * np.float32(level)
            write_flac(path, Waveform(samples, rate))
            audio.append((system, pair.id, str(path.relative_to(run.root))))
            value = 5.0 + place + 0.1 * at
            scores.append(Score(system, pair.id, "mcd", "mcd", value, value, 1.0))
    names = ["alpha", "beta"]
    if controls and natural:
        names += ["source", "target"]
        for pair in pairs:
            assert pair.source
            assert pair.natural
            audio += [("source", pair.id, str(pair.source.path)), ("target", pair.id, str(pair.natural.path))]
    measure = {"name": "mcd", "metric": "mcd", "label": "MCD", "unit": "dB", "better": "lower", "scale": 1.0,
               "decimals": 2}  # fmt: skip
    run.write_json("run.json", {"name": "toy", "suite": "custom", "command": ["vceval", "run"], "state": "finished"})
    run.write_json("summary.json", {
        "schema": SCHEMA, "rankings": [], "comparisons": [],
        "name": "toy", "suite": "custom", "pairs": len(pairs), "datasets": ["toy"],
        "directions": ["F2F", "F2M", "M2F", "M2M"],
        "systems": [{"name": name, "title": name.title(), "control": name in ("source", "target"), "expected": 12,
                     "converted": 12, "failed": 0} for name in names],
        "metrics": [{"metric": "mcd", "title": "Mel-cepstral distortion", "signature": "MCD|v:1.0"}],
        "measures": [measure],
        "cells": [{"system": name, "measure": "mcd", "dataset": "all", "direction": "all", "value": 5.55 + place,
                   "low": 5.2 + place, "high": 5.9 + place, "n": 12, "expected": 12}
                  for place, name in enumerate(names[:2])],
    })  # fmt: skip
    run.write_pairs(pairs)
    run.write_audio(audio)
    run.write_scores(scores, {pair.id: pair for pair in pairs}, {"mcd": "MCD|v:1.0"})
    run.write_failures([])
    run.write_skips([])
    return run


def opinion(trial: Trial, rng: np.random.Generator, bias: float = 0.0, noise: float = 0.5) -> str:
    """What a listener answers who hears as :data:`QUALITY` and :data:`LIKENESS` say, and hears every beep."""
    if trial.kind == "check":
        return trial.answer
    if trial.test in ("mos", "smos"):
        wanted = (QUALITY if trial.test == "mos" else LIKENESS)[trial.conditions[0]]
        return str(int(np.clip(round(wanted + bias + noise * rng.standard_normal()), 1, 5)))
    if trial.test == "abx":
        heard_target = rng.random() < (LIKENESS[trial.conditions[0]] - 1) / 4
        return "a" if heard_target == trial.swapped else "b"
    draw = rng.random()
    if draw < 0.2:
        return "tie"
    return "ab"[trial.conditions.index("alpha" if draw < 0.7 else "beta")]


def listener(number: int, facts: PageFacts, key: Key, rng: np.random.Generator, **changes: object) -> Session:
    """One careful listener's session on the form with this number (counted on from 1, around and around)."""
    form = (number - 1) % len(facts.forms) + 1
    bias = 0.3 * float(rng.standard_normal())
    answers = [
        Answer(trial, opinion(key.trials[trial], rng, bias), key.seconds[trial] + 2.0 + 3 * rng.random(), 1)
        for trial in facts.forms[form - 1]
    ]
    given: dict[str, object] = {
        "id": f"{number:032x}", "form": form, "rater": "", "started": f"2026-01-01T10:{number % 60:02d}:00Z",
        "finished": "2026-01-01T11:00:00Z", "about": {"device": "headphones"}, "comment": "",
        "answers": tuple(answers),
    }  # fmt: skip
    return Session(**{**given, **changes})  # type: ignore[arg-type]


def saved(session: Session, plan: str) -> str:
    """The session as a browser saves it."""
    return json.dumps({
        "vceval_listening": 1, "plan": plan, "session": session.id, "form": session.form, "rater": session.rater,
        "started": session.started, "finished": session.finished, "about": dict(session.about),
        "comment": session.comment,
        "answers": [{"trial": a.trial, "answer": a.answer, "seconds": a.seconds, "plays": a.plays}
                    for a in session.answers],
    })  # fmt: skip
