"""Runs side by side: what may be compared is, the rest is refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from made_runs import write_files

from vceval.errors import UsageError
from vceval.metrics.base import Measure, Metric
from vceval.records import ConversionPair, Failure, Score, Skip, Utterance
from vceval.results.comparable import SAME_THRESHOLD
from vceval.results.compare import Line, compare, to_text
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import RunDirectory
from vceval.results.summary import summarise
from vceval.results.table import Tally
from vceval.results.views import SCHEMA, load

MEASURE = {"name": "mcd", "metric": "mcd", "label": "MCD", "unit": "dB", "better": "lower", "scale": 1.0, "decimals": 2}


def make_run(folder: Path, values: dict[str, list[float]], pairs: int = 8, offset: int = 0, **changes: Any) -> Path:
    """A finished run with one metric, 4 target speakers and made-up scores."""
    run = RunDirectory(folder)
    table = {}
    for number in range(offset, offset + pairs):
        source = Utterance(f"s{number}", Path(f"/{folder.name}/s{number}.wav"), "d")
        prompt = Utterance(f"t{number}", Path(f"/{folder.name}/t{number}.wav"), "d")
        pair = ConversionPair(f"{folder.name}-{number}", "d", source, (prompt,), target_speaker=f"v{number % 4}")
        table[pair.id] = pair
    scores = [
        Score(system, name, "mcd", "mcd", value, value, 1.0)
        for system, row in values.items()
        for name, value in zip(table, row, strict=True)
    ]
    signatures = {"mcd": changes.get("signature", "MCD|order:24|v:1.0")}
    controls = changes.get("controls", ())
    summary = {
        "schema": SCHEMA, "pairs": pairs, "cells": [], "rankings": [], "comparisons": [],
        "systems": [
            {"name": name, "control": name in controls, "expected": pairs, "converted": pairs, "failed": 0}
            for name in values
        ],
        "metrics": [{"metric": "mcd", "signature": signatures["mcd"]}],
        "measures": changes.get("measures", [MEASURE]),
        "calibration": changes.get("calibration", {}),
    }  # fmt: skip
    write_files(run, table.values(), scores, signatures, about={}, summary=summary, audio=())
    return folder


def test_a_run_against_itself_does_not_differ(tmp_path: Path) -> None:
    rows = {"A": list(np.random.default_rng(0).normal(6, 1, 8))}
    found = compare([make_run(tmp_path / "one", rows), make_run(tmp_path / "two", rows)])
    [line] = found.lines
    assert line.pairs == 8
    assert line.differences[1] is not None
    assert line.differences[1].value == 0
    assert line.differences[1].p_value == 1
    assert not found.refused


def test_only_common_pairs_count(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", {"A": [1.0, 2, 3, 4, 5, 6, 7, 8]})
    two = make_run(tmp_path / "two", {"A": [9.0, 9, 9, 9, 1, 1, 1, 1]}, offset=4)
    comparison = compare([one, two])
    [line] = comparison.lines
    assert ([len(one.pairs) for one in comparison.reports], comparison.common) == ([8, 8], 4)
    assert "8 pairs; 4 in common" in to_text(comparison, 200)
    assert line.pairs == 4
    assert [cell.value for cell in line.cells if cell] == [6.5, 9.0]
    assert line.differences[1] is not None
    assert line.differences[1].value == pytest.approx(2.5)


def test_other_signatures_are_refused_with_what_differs(tmp_path: Path) -> None:
    rows = {"A": [float(n) for n in range(8)]}
    one = make_run(tmp_path / "one", rows)
    two = make_run(tmp_path / "two", rows, signature="MCD|order:13|v:1.0")
    found = compare([one, two])
    assert found.lines == []
    [reason] = found.refused["mcd"]
    assert "order:24 in" in reason
    assert "order:13 in" in reason
    assert "v:1.0" not in reason
    assert "Not compared: mcd" in to_text(found, 200)


def test_another_calibration_is_refused(tmp_path: Path) -> None:
    rows = {"A": [float(n) for n in range(8)]}
    entries = [{"mcd": {"d": {"threshold": t, "trials_sha256": h}}} for t, h in ((0.7, "a"), (0.7, "b"), (0.8, "a"))]
    runs = [make_run(tmp_path / str(n), rows, calibration=entry) for n, entry in enumerate(entries)]
    assert len(compare(runs).refused["mcd"]) == 2
    assert not compare([runs[0], make_run(tmp_path / "same", rows, calibration=entries[0])]).refused
    # what another machine computes is the same threshold, here as for the gate
    near = {"mcd": {"d": {"threshold": 0.7 + 0.9 * SAME_THRESHOLD, "trials_sha256": "a"}}}
    assert not compare([runs[0], make_run(tmp_path / "near", rows, calibration=near)]).refused
    far = {"mcd": {"d": {"threshold": 0.7 + 1.1 * SAME_THRESHOLD, "trials_sha256": "a"}}}
    assert compare([runs[0], make_run(tmp_path / "far", rows, calibration=far)]).refused
    none = {"mcd": {"d": {"threshold": None, "trials_sha256": "a"}}}
    assert compare([runs[0], make_run(tmp_path / "none", rows, calibration=none)]).refused


def test_systems_that_only_one_run_has_stay_out(tmp_path: Path) -> None:
    row = [float(n) for n in range(8)]
    one = make_run(tmp_path / "one", {"A": row, "B": row})
    two = make_run(tmp_path / "two", {"A": row, "C": row})
    three = make_run(tmp_path / "three", {"B": row, "C": row})
    found = {line.system.name: line for line in compare([one, two, three]).lines}
    assert set(found) == {"A", "B", "C"}
    assert found["A"].cells[2] is None
    assert found["C"].cells[0] is None
    assert found["C"].differences == [None, None, None]
    assert compare([one, two]).alone == [["B"], ["C"]]
    assert "Only in two: C" in to_text(compare([one, two]), 200)
    assert re.search(r"^C +8 +– ", to_text(compare([one, two, three]), 200), re.MULTILINE)


def test_pairs_lost_by_another_limit_of_length_are_said(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, {"A": [1.0] * 8}) for name in ("one", "two")]
    assert "--max-seconds" not in to_text(compare(folders), 200)
    reason = "/x/long.wav: 700.0 s long; at most 5 s are read (--max-seconds), as more is no utterance"
    lost = [Failure("A", f"two-{n}", "score", metric, reason) for n in range(2) for metric in ("mcd", "f0")]
    for folder, limit in zip(folders, (600.0, 5.0), strict=True):
        RunDirectory(folder).write_json("run.json", {"max_seconds": limit})
    assert "--max-seconds" not in to_text(compare(folders), 200)  # nothing was lost by it
    RunDirectory(folders[1]).write_failures(lost)
    words = "Recordings are read up to (--max-seconds): 600 s in one, 5 s in two, where 2 conversions failed by it"
    assert words in " ".join(to_text(compare(folders), 200).split())


def test_what_has_nothing_in_common_is_wrong_use(tmp_path: Path) -> None:
    rows = {"A": [float(n) for n in range(8)]}
    one = make_run(tmp_path / "one", rows)
    with pytest.raises(UsageError, match="no conversion pair in common"):
        compare([one, make_run(tmp_path / "far", rows, offset=100)])
    with pytest.raises(UsageError, match="at least two"):
        compare([one])
    other = make_run(tmp_path / "other", rows)
    summary = json.loads((other / "summary.json").read_text())
    summary["metrics"][0]["metric"] = "wer"
    (other / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(UsageError, match="no metric in common"):
        compare([one, other])


def test_pairs_without_recordings_are_told_apart(tmp_path: Path) -> None:
    """Tables with converted files alone: each row is a pair of its own."""
    for name in ("one", "two"):
        run = RunDirectory(make_run(tmp_path / name, {"A": [float(n) for n in range(8)]}))
        pairs = {f"row{n}": ConversionPair(f"row{n}", "unnamed") for n in range(8)}
        run.write_pairs(pairs.values())
        run.write_scores(
            [Score("A", pair, "mcd", "mcd", 1.0, float(n), 1.0) for n, pair in enumerate(pairs)], pairs, {"mcd": ""}
        )
    [line] = compare([tmp_path / "one", tmp_path / "two"]).lines
    assert line.pairs == 8


def test_p_values_are_corrected_over_converters_and_not_by_controls(tmp_path: Path) -> None:
    base = list(np.random.default_rng(1).normal(6, 1, 8))
    shift = [value + 1 + 0.1 * (n % 3) for n, value in enumerate(base)]
    rows = {"one": base, "two": shift}
    folders = [
        make_run(tmp_path / name, {"A": row, "B": base, "target": base}, controls=["target"])
        for name, row in rows.items()
    ]
    lines = {line.system.name: line for line in compare(folders).lines}
    changed = lines["A"].differences[1]
    assert changed is not None
    assert changed.p_value is not None
    assert lines["A"].corrected == [None, pytest.approx(2 * changed.p_value)]
    assert lines["B"].corrected[1] == lines["target"].corrected[1] == 1


THRESHOLD = np.random.default_rng(5).normal(0.5, 0.05, 50)
NATURAL = np.random.default_rng(6).normal(0.7, 0.1, (5, 8))
CALIBRATION = {
    "threshold": 0.5, "threshold_draws": THRESHOLD.tolist(), "speakers": 8, "trials_sha256": "t",
    "natural_scores": {f"v{number}": row.tolist() for number, row in enumerate(NATURAL)},
}  # fmt: skip
SV = SimpleNamespace(
    encoder_kin={},
    name="sv", title="SV", source="", cites="", judge="", needs=frozenset(),
    signature=lambda: "SV", long_signature=lambda: "SV",
    measures=[
        Measure("cosine", "Cosine", "", "higher"),
        Measure("accept", "SV acc.", "%", "higher", 100.0, 1, rate=True, worst=0.0, thresholded="cosine"),
        Measure("eer", "EER", "%", "higher", 100.0, 1, "eer", best=0.5),
        Measure("auc", "AUC", "", "higher", 1.0, 3, "auc"),
        Measure("wer", "WER", "%", "lower", 100.0, 1, ranked_by="capped"),
        Measure("capped", "WER cap.", "%", "lower", 100.0, 1, rate=True, worst=1.0),
    ],
)  # fmt: skip
PAIRS = {
    f"p{n}": ConversionPair(f"p{n}", "d", source_speaker=f"s{n // 5}", target_speaker=f"v{n % 5}") for n in range(30)
}
#: By system: mean cosine, pairs that fail to convert, that can't be scored, that lack what WER needs.
SYSTEMS = {"A": (0.55, {3}, {7}, {11}), "B": (0.45, {3, 4}, {9}, {11, 12})}


def given(name: str) -> tuple[list[Score], list[Failure], list[Skip]]:
    """What one system did on all pairs."""
    generator = np.random.default_rng(len(name) + ord(name[0]))
    mean, unconverted, unscored, unmet = SYSTEMS[name]
    scores, failures, skips = list[Score](), list[Failure](), list[Skip]()
    for number, pair in enumerate(PAIRS):
        cosine, errors, words = float(generator.normal(mean, 0.1)), int(generator.integers(0, 9)), 4.0 + number % 3
        sums = {
            "cosine": (cosine, 1.0), "accept": (float(cosine >= 0.5), 1.0), "auc": (cosine, 1.0),
            "eer": (cosine + 0.1 * (name == "A"), 1.0),
            "wer": (errors, words), "capped": (min(errors, words), words),
        }  # fmt: skip
        if number in unconverted:
            failures.append(Failure(name, pair, "convert", "", "why"))
        elif number in unscored:
            failures.append(Failure(name, pair, "score", "sv", "why"))
        else:
            for measure, (above, below) in sums.items():
                if number in unmet and measure in ("wer", "capped"):
                    skips.append(Skip(name, pair, "sv", measure, "transcript", "why"))
                else:
                    scores.append(Score(name, pair, "sv", measure, above / below, above, below))
    return scores, failures, skips


def finished(folder: Path, systems: dict[str, str], draws: Sequence[float] = THRESHOLD) -> Path:
    """A run with failures, skips and a threshold of its own corpus: its systems by name, each one of SYSTEMS."""
    parts = [[replace(one, system=name) for one in made] for name, kind in systems.items() for made in given(kind)]
    scores, failures, skips = ([one for part in parts[at::3] for one in part] for at in range(3))
    calibration = {"sv": {"d": {**CALIBRATION, "threshold_draws": list(draws)}}}
    rows = [{"name": name, "expected": len(PAIRS), "control": False} for name in systems]
    found = summarise(Tally(PAIRS, scores, failures, skips), rows, [cast(Metric, SV)], calibration)
    summary = {**found, "calibration": calibration}
    write_files(RunDirectory(folder), PAIRS.values(), scores, {"sv": "SV"}, about={}, summary=summary, audio=(),
                failures=failures, skips=skips)  # fmt: skip
    return folder


def test_a_run_beside_itself_has_the_figures_of_its_summary(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", {"A": "A", "B": "B"})
    summary = load(RunDirectory(run), listened=False)
    lines = compare([run, run]).lines
    assert len(lines) == 2 * len(SV.measures)
    for line in lines:
        cell = summary.cell(line.system.name, line.measure.name)
        assert cell is not None
        for found in line.cells:
            assert found is not None
            assert (found.value, found.low, found.high, found.n) == pytest.approx(
                (cell.value, cell.low, cell.high, cell.n), abs=1e-12
            )
            assert found.method == cell.method != ""
        assert line.differences[1] is not None
        assert (line.differences[1].value, line.verdict(1) in ("same", "")) == (0.0, True)


def test_two_runs_differ_as_two_systems_of_one_run(tmp_path: Path) -> None:
    both = load(RunDirectory(finished(tmp_path / "both", {"A": "A", "B": "B"})), listened=False)
    found = compare([finished(tmp_path / "one", {"X": "A"}), finished(tmp_path / "two", {"X": "B"})])
    outcomes = Outcomes.of_report(both)
    lines = {line.measure.name: line for line in found.lines}
    for measure in both.measures:
        wanted, common = outcomes.shared(["A", "B"], measure, np.ones(len(PAIRS), dtype=bool))
        line, expected = lines[measure.name], outcomes.difference("B", "A", measure, common)
        assert (line.pairs, line.wanted) == (common.sum(), wanted.sum())
        difference = line.differences[1]
        assert difference is not None
        assert difference.interval is not None
        assert expected.interval is not None
        assert (difference.value, difference.p_value, *difference.interval[:2]) == pytest.approx(
            (expected.value, expected.p_value, *expected.interval[:2]), abs=1e-12
        )
        for system, cell in zip(("A", "B"), line.cells, strict=True):
            assert cell == outcomes.cell(system, measure, common)
    # Four pairs failed in a run: an acceptance has 0 there, a cosine has nothing
    assert (lines["accept"].count, lines["cosine"].count) == ("30", "26 of 30")
    assert re.search(r"^X +26 of 30 ", to_text(found, 200), re.MULTILINE)
    assert [lines[name].verdict(1) for name in ("cosine", "wer")] == ["worse", ""]
    assert ", judged by WER cap." in to_text(found, 200)


def test_a_threshold_of_both_runs_widens_figures_and_no_difference(tmp_path: Path) -> None:
    def accepted(name: str, draws: Sequence[float]) -> Line:
        runs = [finished(tmp_path / f"{name}{n}", {"X": "A"}, draws) for n in range(2)]
        return next(line for line in compare(runs).lines if line.measure.name == "accept")

    exact, unsure = accepted("exact", [0.5, 0.5]), accepted("unsure", THRESHOLD)
    widths = [[cell.high - cell.low for cell in line.cells if cell and cell.low is not None and cell.high is not None]
              for line in (exact, unsure)]  # fmt: skip
    assert widths[1][0] > 1.05 * widths[0][0]
    assert exact.differences == unsure.differences


def test_closer_to_the_best_value_is_better(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, {"X": kind}) for name, kind in (("one", "A"), ("two", "B"))]
    for line in compare(runs).lines:
        if line.measure.name == "eer":
            distances = [abs(cell.value - 0.5) for cell in line.cells if cell and cell.value is not None]
            assert line.differences[1] is not None
            assert line.differences[1].value == pytest.approx(distances[1] - distances[0])
            assert line.verdict(1) == "worse"
    assert "the distances from it are compared" in to_text(compare(runs), 200)
