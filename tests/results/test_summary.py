"""Cells of the summary: ratios as before, and figures that compare with natural speech."""

from __future__ import annotations

import numpy as np
import pytest
from detector import Detector

from vceval.records import ConversionPair, Score
from vceval.results.summary import shown, summarise
from vceval.results.table import Tally
from vceval.statistics.eer import equal_error_rate


def results(systems: dict[str, float]) -> tuple[Tally, dict]:
    """Two datasets of four target speakers each; natural scores lie around 1, converted ones around a level."""
    generator = np.random.default_rng(0)
    pairs, scores, learnt = {}, [], {}
    for dataset in ("one", "two"):
        offset = 10.0 * (dataset == "two")
        learnt[dataset] = {
            "threshold": 0.5,
            "natural_scores": {f"s{n}": (offset + generator.normal(1.0, 1.0, 20)).tolist() for n in range(5)},
        }
        for number in range(40):
            name = f"{dataset}{number}"
            pairs[name] = ConversionPair(name, dataset, target_speaker=f"s{number % 4}", direction="F2F")
            for system, level in systems.items():
                value = offset + generator.normal(level, 1.0)
                scores += [Score(system, name, "detector", m.name, value, value, 1.0) for m in Detector.measures]
    found = Tally(pairs, scores)
    found.scores = scores  # to compare with
    return found, {"detector": learnt}


def cells(summary) -> dict:
    return {(c["system"], c["measure"], c["dataset"], c["direction"]): c for c in summary["cells"]}


def rows(*names: str) -> list[dict]:
    return [{"name": name, "expected": 80, "control": False} for name in names]


def test_figures_against_natural_speech():
    found, learnt = results({"bad": -2.0, "good": 1.0})
    summary = summarise(found, rows("bad", "good"), [Detector()], learnt)
    made = cells(summary)
    for dataset in ("one", "two"):
        # s4 is the target of no pair, and the other four have enough natural scores of their own
        natural = [v for n in range(4) for v in learnt["detector"][dataset]["natural_scores"][f"s{n}"]]
        for system in ("bad", "good"):
            mine = [
                s.value for s in found.scores if s.system == system and s.measure == "eer" and s.pair[:3] == dataset
            ]
            cell = made[system, "eer", dataset, "all"]
            assert cell["value"] == pytest.approx(equal_error_rate(natural, mine)[0], abs=1e-12)
            assert (cell["n"], cell["targets"]) == (40, 4)
            assert made[system, "eer", dataset, "F2F"] == {**cell, "direction": "F2F"}
    bad, good = (made[system, "eer", "one", "all"] for system in ("bad", "good"))
    assert bad["high"] < 0.3 < good["low"] < 0.5 < good["high"]
    assert made["bad", "auc", "one", "all"]["value"] > 0.95
    assert made["good", "auc", "one", "all"]["low"] < 0.5 < made["good", "auc", "one", "all"]["high"]


def test_cells_over_several_datasets_pool_scores():
    found, learnt = results({"good": 1.0})
    cell = cells(summarise(found, rows("good"), [Detector()], learnt))["good", "eer", "all", "all"]
    natural = [v for d in learnt["detector"].values() for n in range(4) for v in d["natural_scores"][f"s{n}"]]
    mine = [score.value for score in found.scores if score.measure == "eer"]
    assert cell["value"] == pytest.approx(equal_error_rate(natural, mine)[0], abs=1e-12)
    assert (cell["n"], cell["targets"]) == (80, 4)


def test_without_natural_scores_there_is_no_figure():
    found, _ = results({"good": 1.0})
    for learnt in (None, {}, {"detector": {"one": {"unavailable": "too few"}}}):
        made = cells(summarise(found, rows("good"), [Detector()], learnt))
        cell = made["good", "eer", "one", "all"]
        assert (cell["value"], cell["low"], cell["high"]) == (None, None, None)
        assert made["good", "mean", "one", "all"]["value"] is not None


def test_ratios_and_comparisons_are_as_before():
    found, learnt = results({"bad": -2.0, "good": 1.0})
    summary = summarise(found, rows("bad", "good"), [Detector()], learnt)
    mine = [score.value for score in found.scores if score.system == "bad" and score.measure == "mean"]
    assert cells(summary)["bad", "mean", "all", "all"]["value"] == pytest.approx(np.mean(mine))
    assert {entry["measure"] for entry in summary["comparisons"]} == {"mean", "eer", "auc"}
    assert [measure["reduction"] for measure in summary["measures"]] == ["ratio", "eer", "auc"]


def test_readers_are_spared_the_lists():
    _, learnt = results({"good": 1.0})
    assert shown(learnt) == {"detector": {"one": {"threshold": 0.5}, "two": {"threshold": 0.5}}}
    assert "natural_scores" in learnt["detector"]["one"]
