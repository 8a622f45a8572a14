"""Time, memory and first paint of a large report, made from a run that nobody had to compute.

    python benchmarks/speed/report.py [--pairs 10000] [--systems 8] [--keep FOLDER]

Writes a finished run with made-up scores: every file that ``vceval run`` leaves, a real recording behind every link
(hard links to a few recordings of the demo corpus). Then ``vceval report`` makes its page in a process of its own, of
which wall-clock time and the largest resident memory are printed, and headless Chromium, where it is installed, opens
the page from disk: first paint, and the time to the first samples and to another order of all pairs.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.benchmarks.speed.painting import painted
from vceval.records import DIRECTIONS
from vceval.results.ranking import decided
from vceval.results.rundir import (
    AUDIO_COLUMNS,
    FAILURE_COLUMNS,
    LEAKAGE_COLUMNS,
    PAIR_COLUMNS,
    SKIP_COLUMNS,
    RunDirectory,
)
from vceval.results.views import SCHEMA, MeasureView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["main", "write_run"]

#: Measures: name, metric, label, unit, better, scale, decimals, middle, spread; all or nothing where spread is 0.
MEASURES = (
    ("mcd", "mcd", "MCD", "dB", "lower", 1.0, 2, 6.5, 0.8),
    ("sv_accept", "sv", "SV acc.", "%", "higher", 100.0, 1, 0.8, 0.0),
    ("sv_cosine", "sv", "SV cos.", "", "higher", 1.0, 3, 0.78, 0.05),
    ("sv_source", "sv", "Src. acc.", "%", "lower", 100.0, 1, 0.1, 0.0),
    ("wer", "wer", "WER", "%", "lower", 100.0, 1, 0.2, 0.08),
    ("wer_capped", "wer", "WER cap.", "%", "lower", 100.0, 1, 0.2, 0.08),
    ("cer", "cer", "CER", "%", "lower", 100.0, 1, 0.1, 0.04),
    ("cer_capped", "cer", "CER cap.", "%", "lower", 100.0, 1, 0.1, 0.04),
    ("fake_score", "fake", "Fake score", "", "higher", 1.0, 3, 0.8, 0.05),
    ("fake_accept", "fake", "Real at 0.84", "%", "higher", 100.0, 1, 0.4, 0.0),
    ("fake_accept_calibrated", "fake", "Real (cal.)", "%", "higher", 100.0, 1, 0.5, 0.0),
    ("fake_target", "fake", "Target side", "%", "higher", 100.0, 1, 0.9, 0.0),
    ("sanity_flags", "sanity", "Flagged", "%", "lower", 100.0, 1, 0.05, 0.0),
    ("duration_deviation", "sanity", "Dur. dev.", "%", "lower", 100.0, 1, 0.05, 0.02),
)
SECONDARY = {"fake_accept", "fake_target", "duration_deviation"}
SENTENCE = "please call stella and ask her to bring these things with her from the store number {}"
#: Recordings behind the links; a file system allows some tens of thousands of links to one file.
TEMPLATES = 24
SPEAKERS = 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the run, time its report, print."""
    parser = argparse.ArgumentParser(description="Time, memory and first paint of a large report.")
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--systems", type=int, default=8)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the run here and leave it")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary) / "run"
        write_run(folder, options.pairs, options.systems)
        print(f"{options.pairs} pairs x {options.systems} systems and 2 controls, {len(MEASURES)} measures")
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "vceval", "report", str(folder)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"report {seconds:.1f} s, {memory:.0f} MB, page {_size(folder / 'report' / 'index.html'):.2f} MB, "
              f"data {sum(map(_size, (folder / 'report' / 'data').iterdir())):.1f} MB")  # fmt: skip
        _paint(folder / "report" / "index.html")


def _size(path: Path) -> float:
    return path.stat().st_size / 1e6


def _paint(page: Path) -> None:
    """Open the page in headless Chromium and time what a reader waits for."""
    with painted(page) as found:
        if found is None:
            return
        tab, seen, wait_for = found
        start = time.perf_counter()
        tab.evaluate("document.getElementById('samples').scrollIntoView()")
        wait_for(tab, "document.querySelectorAll('article.sample').length", 30)
        print(f"first samples {time.perf_counter() - start:.2f} s")
        first = tab.inner_text("article.sample h3")
        start = time.perf_counter()
        tab.select_option("#filter [name=order]", "worst")
        wait_for(tab, f"document.querySelector('article.sample h3').innerText !== {json.dumps(first)}", 30)
        print(f"worst first {time.perf_counter() - start:.2f} s; errors: {seen.errors or 'none'}")


def write_run(folder: Path, pairs: int, systems: int, seed: int = 0) -> RunDirectory:
    """Write a finished run with made-up scores of ``systems`` converters and two controls on ``pairs`` pairs.

    No audio is computed: recordings are links to some of the demo corpus. Equal arguments give equal scores.
    """
    import numpy as np

    run, random = RunDirectory(folder), np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"system-{number}" for number in range(1, systems + 1)]
    rows = _pairs(folder, pairs)
    _write(folder / "pairs.csv", PAIR_COLUMNS, [[row[name] for name in PAIR_COLUMNS] for row in rows])
    _audio(folder, names, rows)
    level = {name: 0.85 + 0.3 * number / max(1, systems - 1) for number, name in enumerate(names)}
    level |= {"source": 0.5, "target": 0.4}
    values = {
        name: np.stack([_drawn(random, middle * factor, spread, pairs) for *_, middle, spread in MEASURES], axis=1)
        for name, factor in level.items()
    }
    _scores(folder, rows, values)
    _write(folder / "failures.csv", FAILURE_COLUMNS, [])
    skips = [["target", row["pair"], "mcd", "mcd", "other", f"{row['pair']} is the reference itself"] for row in rows]
    _write(folder / "skipped.csv", SKIP_COLUMNS, skips)
    leaks = [[name, row["pair"], "unknown", "trained" if int(row["target_speaker"][1:]) % 3 == 0 else "unseen"]
             for name in names[:2] for row in rows]  # fmt: skip
    _write(folder / "leakage.csv", LEAKAGE_COLUMNS, leaks)
    calibration = {"sv": {"made up": {"encoder": "none", "eer": 0.02, "threshold": 0.75, "target_trials": 1000,
                                      "nontarget_trials": 1000, "speakers": SPEAKERS}}}  # fmt: skip
    run.write_json("calibration.json", calibration)
    run.write_json("summary.json", _summary(rows, values, names) | {"calibration": calibration, "published": []})
    run.write_json("run.json", {"name": "large", "suite": "custom", "created": "2024-01-01T00:00:00+00:00",
                                "command": ["vceval", "run"], "state": "finished", "metrics": {}})  # fmt: skip
    return run


def _drawn(random: Any, middle: float, spread: float, count: int) -> NDArray[np.float64]:
    if not spread:
        found: NDArray[np.float64] = (random.random(count) < min(middle, 0.97)).astype(float)
        return found
    drawn: NDArray[np.float64] = abs(random.normal(middle, spread, count))
    return drawn


def _pairs(folder: Path, count: int) -> list[dict[str, str]]:
    """Make up pairs, each with recordings of its own name."""
    templates = sorted((Path(__file__).parents[1] / "demo" / "audio").glob("*/*.flac"))[:TEMPLATES]
    rows = []
    for number in range(count):
        source, target = f"p{number % SPEAKERS:03d}", f"p{(number * 7 + number // SPEAKERS + 1) % SPEAKERS:03d}"
        genders = ["FM"[int(name[1:]) % 2] for name in (source, target)]
        row = dict.fromkeys(PAIR_COLUMNS, "")
        pair = f"{source}_{number:05d}-{target}_{number:05d}"
        row |= {"pair": pair, "dataset": "made up", "direction": f"{genders[0]}2{genders[1]}", "language": "en",
                "source_speaker": source, "target_speaker": target, "source_gender": genders[0],
                "target_gender": genders[1], "transcript": SENTENCE.format(number)}  # fmt: skip
        for kind, speaker in (("source", source), ("natural", target)):
            path = folder / "corpus" / speaker / f"{kind}_{number:05d}.flac"
            _link(templates[number % len(templates)], path)
            row |= {kind: path.stem, f"{kind}_path": str(path.relative_to(folder))}
        rows.append(row | {"prompts": row["natural"], "prompt_paths": row["natural_path"]})
    return rows


def _audio(folder: Path, names: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    templates = sorted((Path(__file__).parents[1] / "demo" / "audio").glob("*/*.flac"))[:TEMPLATES]
    found = [["source", row["pair"], row["source_path"], ""] for row in rows]
    found += [["target", row["pair"], row["natural_path"], ""] for row in rows]
    for name in names:
        for number, row in enumerate(rows):
            path = folder / "audio" / name / f"{row['pair']}.flac"
            _link(templates[number % len(templates)], path)
            found.append([name, row["pair"], str(path.relative_to(folder)), ""])
    _write(folder / "audio.csv", AUDIO_COLUMNS, sorted(found))


def _link(template: Path, path: Path) -> None:
    """Link to a copy of the template that lies in the run's own folder, for each folder one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.parent / f".{template.name}"
    if not own.is_file():
        own.write_bytes(template.read_bytes())
    path.unlink(missing_ok=True)
    os.link(own, path)


def _scores(folder: Path, rows: Sequence[dict[str, str]], values: dict[str, NDArray[np.float64]]) -> None:
    """Write ``scores.parquet`` system by system, in the layout and with details as long as real ones."""
    import pyarrow
    from pyarrow import parquet

    texts = ("system", "pair", "metric", "measure", "dataset", "direction", "source_speaker", "target_speaker",
             "details", "signature")  # fmt: skip
    schema = pyarrow.schema([(name, pyarrow.string()) for name in texts[:4]]
                            + [(name, pyarrow.float64()) for name in ("value", "numerator", "denominator")]
                            + [(name, pyarrow.string()) for name in texts[4:]])  # fmt: skip
    with parquet.ParquetWriter(folder / "scores.parquet", schema) as writer:
        for system, figures in sorted(values.items()):
            columns: dict[str, list[Any]] = {name: [] for name in schema.names}
            for place, row in enumerate(rows):
                for (name, metric, *_), value in zip(MEASURES, figures[place], strict=True):
                    if (system, name) == ("target", "mcd"):
                        continue
                    found = {"system": system, "metric": metric, "measure": name, "value": value, "numerator": value,
                             "denominator": 1.0, "details": _details(metric, row["transcript"], value),
                             "signature": _signature(metric)}  # fmt: skip
                    for column in schema.names:
                        columns[column].append(found[column] if column in found else row[column])
            writer.write_table(pyarrow.table(columns, schema=schema))


def _signature(metric: str) -> str:
    return f"{metric.upper()}|made-up:yes|v:1.0"


def _details(metric: str, said: str, value: float) -> str:
    if metric in ("wer", "cer"):
        heard = said.replace("stella", "still a") if value > 0.2 else said
        return json.dumps({"deletions": 1, "heard": heard, "hits": 9, "said": said, "said_normalised": said})
    if metric == "sanity":
        return json.dumps({"clipped_share": 0.0, "end_db": -20.0, "flags": ["cut off"] if value == 1 else [],
                           "offset": 1e-6, "peak": 0.5, "sample_rate": 16000, "seconds": 2.5})  # fmt: skip
    return json.dumps({"references": ["a_001", "a_002", "a_003", "a_004"], "threshold": 0.83})


def _summary(
    rows: Sequence[dict[str, str]], values: dict[str, NDArray[np.float64]], names: Sequence[str]
) -> dict[str, Any]:
    import numpy as np

    ways = np.array([row["direction"] for row in rows])
    directions = [way for way in DIRECTIONS if way in ways]  # few pairs are not of all
    keys = ("name", "metric", "label", "unit", "better", "scale", "decimals")
    measures = [dict(zip(keys, entry, strict=False)) | {"secondary": entry[0] in SECONDARY} for entry in MEASURES]
    cells, comparisons, rankings = [], [], []
    for system, figures in values.items():
        for number, measure in enumerate(measures):
            for direction in ("all", *directions):
                some = figures[(ways == direction) | (direction == "all"), number]
                known = (system, measure["name"]) != ("target", "mcd")
                half = 1.96 * float(some.std()) / max(1, len(some)) ** 0.5
                mean = float(some.mean())
                cells += [
                    {"system": system, "measure": measure["name"], "dataset": dataset, "direction": direction,
                     "value": mean if known else None, "low": mean - half if known else None,
                     "high": mean + half if known else None, "n": len(some) if known else 0,
                     "expected": len(some) if known else 0, "skipped": 0 if known else len(some)}
                    for dataset in ("all", "made up")
                ]  # fmt: skip
    for number, measure in enumerate(measures):
        for dataset, direction in itertools.product(("all", "made up"), ("all", *directions)):
            some = (ways == direction) | (direction == "all")
            means = {name: float(values[name][some, number].mean()) for name in names}
            place = {"measure": measure["name"], "dataset": dataset, "direction": direction}
            tests = [
                {**place, "first": first, "second": second, "n": int(some.sum()),
                 "difference": means[first] - means[second], "low": means[first] - means[second] - 0.01,
                 "high": means[first] - means[second] + 0.01, "p_value": 0.01, "p_holm": 0.01}
                for first, second in itertools.combinations(names, 2)
            ]  # fmt: skip
            comparisons += tests
            rankings.append({**place, "pairs": int(some.sum()), "left_out": 0, "counted": {}, "unranked": {},
                             **decided(means, MeasureView.of(measure), tests)})  # fmt: skip
    systems = [
        {"name": name, "title": name.capitalize(), "converter": name, "kind": "made up", "control": name not in names,
         "sample_rate": 16000, "licence": "", "paper": "", "expected": len(rows), "converted": len(rows), "failed": 0}
        for name in values
    ]  # fmt: skip
    metrics = [{"metric": metric, "title": metric.upper(), "signature": _signature(metric), "source": ""}
               for metric in dict.fromkeys(entry[1] for entry in MEASURES)]  # fmt: skip
    return {"schema": SCHEMA, "name": "large", "suite": "custom", "pairs": len(rows), "systems": systems,
            "metrics": metrics, "measures": measures, "datasets": ["made up"], "directions": directions,
            "cells": cells, "comparisons": comparisons, "rankings": rankings, "counts": {},
            "training": None}  # fmt: skip


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
