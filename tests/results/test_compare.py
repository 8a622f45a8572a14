"""Runs side by side: what may be compared is, the rest is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.errors import UsageError
from vceval.records import ConversionPair, Score, Utterance
from vceval.results.comparable import SAME_THRESHOLD
from vceval.results.compare import compare, to_markdown
from vceval.results.rundir import RunDirectory

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
    run.write_pairs(table.values())
    scores = [
        Score(system, name, "mcd", "mcd", value, value, 1.0)
        for system, row in values.items()
        for name, value in zip(table, row, strict=True)
    ]
    summary = {
        "metrics": [{"metric": "mcd", "signature": changes.get("signature", "MCD|order:24|v:1.0")}],
        "measures": [MEASURE],
        "calibration": changes.get("calibration", {}),
    }
    run.write_scores(scores, table, {"mcd": summary["metrics"][0]["signature"]})
    run.write_json("summary.json", summary)
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
    assert (comparison.pairs, comparison.common) == ([8, 8], 4)
    assert "8 pairs; 4 in common" in to_markdown(comparison)
    assert line.pairs == 4
    assert [value[0] for value in line.values if value] == [6.5, 9.0]
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
    assert "Not compared: mcd" in to_markdown(found)


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
    found = {line.system: line for line in compare([one, two, three]).lines}
    assert set(found) == {"A", "B", "C"}
    assert found["A"].values[2] is None
    assert found["C"].values[0] is None
    assert found["C"].differences == [None, None, None]
    assert compare([one, two]).alone == [["B"], ["C"]]
    assert "Only in (2): C" in to_markdown(compare([one, two]))
    assert "| C | 8 | – |" in to_markdown(compare([one, two, three]))


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
    folders = [
        make_run(tmp_path / name, {"A": base, "B": base, "target": base} if name == "one" else
                 {"A": shift, "B": base, "target": base})
        for name in ("one", "two")
    ]  # fmt: skip
    for folder in folders:
        summary = json.loads((folder / "summary.json").read_text())
        summary["systems"] = [{"name": "A"}, {"name": "B"}, {"name": "target", "control": True}]
        (folder / "summary.json").write_text(json.dumps(summary))
    lines = {line.system: line for line in compare(folders).lines}
    changed = lines["A"].differences[1]
    assert changed is not None
    assert changed.p_value is not None
    assert lines["A"].corrected == [None, pytest.approx(2 * changed.p_value)]
    assert lines["B"].corrected[1] == lines["target"].corrected[1] == 1


def test_measures_without_a_value_per_pair_are_named(tmp_path: Path) -> None:
    rows = {"A": [float(n) for n in range(8)]}
    folders = [make_run(tmp_path / name, rows) for name in ("one", "two")]
    summary = json.loads((folders[0] / "summary.json").read_text())
    summary["measures"].append({**MEASURE, "name": "auc", "label": "AUC", "reduction": "auc"})
    (folders[0] / "summary.json").write_text(json.dumps(summary))
    found = compare(folders)
    assert found.whole == ["AUC"]
    assert "not compared: AUC" in to_markdown(found)
