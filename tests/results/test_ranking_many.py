"""Marks of more systems than are tested two by two: the tests that decide them, and nobody worse than all tests say."""

from __future__ import annotations

import numpy as np
import pytest

from vceval.results.outcomes import Outcomes, Speakers
from vceval.results.ranking import ranked
from vceval.results.views import MeasureView

LOWER = MeasureView("made", "made", "Made", "", "lower", 1.0, 2)
HIGHER = MeasureView("made", "made", "Made", "", "higher", 1.0, 2)
NEAR = MeasureView("made", "made", "Made", "", "", 1.0, 2, best=5.0)


def outcomes(levels: list[float], seed: int = 0) -> Outcomes:
    rng, count = np.random.default_rng(seed), 60
    speakers = Speakers(
        [f"t{n % 10}" for n in range(count)], [f"s{n % 6}" for n in range(count)], [None] * count, ["d"] * count,
        [""] * count,
    )  # fmt: skip
    shared = rng.normal(0.0, 0.5, 10)[np.arange(count) % 10]
    values = np.array([level + shared + rng.normal(0.0, 0.3, count) for level in levels])
    sums = np.stack([values, np.ones_like(values)], axis=-1)[:, :, None, :]
    return Outcomes.of_sums(speakers, [f"system {n}" for n in range(len(levels))], ["made"], sums)


@pytest.mark.parametrize("measure", [LOWER, HIGHER, NEAR])
@pytest.mark.parametrize("seed", range(3))
def test_few_tests_mark_no_fewer_as_best(measure: MeasureView, seed: int) -> None:
    levels = np.random.default_rng(seed).choice([4.0, 4.6, 4.9, 5.0, 5.05, 6.0], 9).tolist()
    found = outcomes(levels, seed)
    names = [str(name) for name in found.systems]
    [every], tests = ranked(found, names, [measure], {("all", "all"): found.everything})
    [few], made = ranked(found, names, [measure], {("all", "all"): found.everything}, most=4)
    assert len(tests) == 36
    assert len(made) <= 15
    assert few["order"] == every["order"]
    assert set(every["best"]) <= set(few["best"]) or few["reason"]
    by_pair = {frozenset((one["first"], one["second"])): one for one in tests}
    for one in made:
        other = by_pair[frozenset((one["first"], one["second"]))]
        assert abs(one["difference"]) == pytest.approx(abs(other["difference"]))
        assert one["p_value"] == pytest.approx(other["p_value"])
        assert one["p_holm"] >= other["p_holm"] - 1e-12
        assert one["p_holm"] == pytest.approx(min(1.0, 36 * one["p_value"]))


def test_clear_marks_are_the_same_by_few_tests() -> None:
    found = outcomes([3.0, 3.0, 6.0, 6.0, 9.0, 9.0])
    names = [str(name) for name in found.systems]
    [every], _ = ranked(found, names, [LOWER], {("all", "all"): found.everything})
    [few], made = ranked(found, names, [LOWER], {("all", "all"): found.everything}, most=2)
    assert sorted(few["best"]) == sorted(every["best"]) == ["system 0", "system 1"]
    assert sorted(few["second"]) == sorted(every["second"]) == ["system 2", "system 3"]
    assert len(made) == 4
    assert (few["reason"], every["reason"]) == ("", "")


def test_up_to_the_limit_all_are_tested() -> None:
    found = outcomes([3.0, 4.0, 5.0])
    names = [str(name) for name in found.systems]
    every = ranked(found, names, [LOWER], {("all", "all"): found.everything})
    assert ranked(found, names, [LOWER], {("all", "all"): found.everything}, most=3) == every
