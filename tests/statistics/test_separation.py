"""EER and AUC of natural against converted scores, and their intervals over speakers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.statistics.eer import equal_error_rate
from vceval.statistics.separation import ENOUGH, paired_separation, separation

lists = st.lists(st.integers(-9, 9), min_size=1, max_size=25)


@given(natural=lists, converted=lists)
def test_values_are_those_of_the_plain_definitions(natural, converted):
    speakers = ["a"] * len(converted)
    found = separation("eer", {"a": natural}, converted, speakers)
    assert found is not None
    assert found.value == pytest.approx(equal_error_rate(natural, converted)[0], abs=1e-12)
    found = separation("auc", {"a": natural}, converted, speakers)
    assert found is not None
    one, other = np.array(natural)[:, None], np.array(converted)[None, :]
    assert found.value == pytest.approx(np.mean((one > other) + 0.5 * (one == other)), abs=1e-12)
    assert found.interval() is None  # one speaker says nothing about others


def population(generator, speakers=8, shift=1.0):
    """Scores of natural and converted speech, the latter lower by ``shift``; speakers differ."""
    level = generator.normal(0.0, 0.5, speakers)
    natural = {f"s{n}": generator.normal(level[n], 1.0, 25) for n in range(speakers)}
    labels = [f"s{n}" for n in range(speakers) for _ in range(25)]
    scores = np.concatenate([generator.normal(level[n] - shift, 1.0, 25) for n in range(speakers)])
    return natural, scores, labels


@pytest.mark.parametrize(("kind", "nothing"), [("eer", 0.5), ("auc", 0.5)])
def test_intervals(kind, nothing):
    natural, scores, labels = population(np.random.default_rng(3))
    found = separation(kind, natural, scores, labels)
    assert found.interval().low < found.value < found.interval().high
    assert not found.interval().low <= nothing <= found.interval().high
    again = separation(kind, natural, scores, labels)
    assert (found.value, found.interval()) == (again.value, again.interval())
    same = separation(kind, *population(np.random.default_rng(4), shift=0.0))
    assert same.interval().low < nothing < same.interval().high


def test_interval_covers_the_truth():
    """Where natural and converted scores are alike the area is one half, whatever the levels of the speakers."""
    generator = np.random.default_rng(5)
    truth = 0.5
    hits = sum(
        (ends := found.interval()).low <= truth <= ends.high
        for found in (separation("auc", *population(generator, shift=0.0), resamples=300) for _ in range(200))
    )
    assert 0.9 * 200 <= hits <= 200


def test_weighting_is_repeating():
    """A bootstrap draw gives what the repeated scores give: the vectorised way against a loop."""
    natural, scores, labels = population(np.random.default_rng(6), speakers=4)
    drawn = np.random.default_rng(12_345).integers(4, size=(50, 4))
    names = list(natural)
    for kind in ("eer", "auc"):
        values = []
        for numbers in drawn:
            real = np.concatenate([natural[names[n]] for n in numbers])
            fake = np.concatenate([scores[25 * n : 25 * n + 25] for n in numbers])
            values.append(separation(kind, {"x": real}, fake, ["x"] * len(fake)).value)
        interval = separation(kind, natural, scores, labels, resamples=50).interval()
        assert min(values) - 1e-12 <= interval.low < interval.high <= max(values) + 1e-12
        assert interval.high == pytest.approx(max(values), abs=0.03)


def test_natural_scores_of_the_speakers_concerned():
    """Those of other speakers count only where there are too few of their own."""
    enough = {"a": np.full(ENOUGH, 1.0), "b": np.full(500, -1.0)}
    assert separation("auc", enough, [0.0, 0.0], ["a", "a"]).value == 1.0
    few = {"a": np.full(ENOUGH - 1, 1.0), "b": np.full(ENOUGH - 1, -1.0)}
    assert separation("auc", few, [0.0, 0.0], ["a", "a"]).value == 0.5
    assert separation("auc", few, [0.0], ["c"]).value == 0.5


def test_nothing_to_compare():
    assert separation("eer", {}, [0.5], ["a"]) is None
    assert separation("eer", {"a": [0.5]}, [], []) is None
    apart = separation("eer", {"a": [0.9] * 40, "b": [0.9] * 40}, [0.1, 0.1], ["a", "b"])
    assert (apart.value, apart.interval()) == (0.0, None)
    with pytest.raises(ValueError, match="lengths differ"):
        separation("eer", {"a": [0.5]}, [0.5], [])
    with pytest.raises(ValueError, match="NaN"):
        separation("auc", {"a": [0.5]}, [np.nan], ["a"])


def systems(generator, shifts, speakers=8):
    """Systems on the same pairs: scores of natural speech, and of each system, lower by its shift."""
    level = generator.normal(0.0, 0.5, speakers)
    labels = [f"s{n}" for n in range(speakers) for _ in range(25)]
    natural = {f"s{n}": generator.normal(level[n], 1.0, 25) for n in range(speakers)}
    common = np.repeat(level, 25)
    return [
        separation("auc", natural, common - shift + generator.normal(0.0, 1.0, len(labels)), labels) for shift in shifts
    ]


def test_the_one_that_is_closer_to_the_best_is_ahead():
    """An area of .70 and one of .30 are as far from one half; one of .5 is closer than either."""
    above, below, half = systems(np.random.default_rng(8), [0.75, -0.75, 0.0], speakers=20)
    assert above.value > 0.6
    assert below.value < 0.4
    for far in (above, below):
        found = paired_separation(half, far, 0.5)
        assert found.value == pytest.approx(abs(half.value - 0.5) - abs(far.value - 0.5))
        assert found.interval.high < 0.0
        assert found.p_value < 0.001
        turned = paired_separation(far, half, 0.5)
        assert (turned.value, turned.p_value) == (-found.value, found.p_value)
    assert paired_separation(above, below, 0.5).p_value > 0.05
    assert paired_separation(above, below).value == pytest.approx(above.value - below.value)


def test_systems_alike_are_seldom_told_apart():
    generator = np.random.default_rng(9)
    found = [paired_separation(*systems(generator, [0.5, 0.5]), 0.5).p_value < 0.05 for _ in range(100)]
    assert sum(found) <= 11  # of a binomial with 5 %, more has a chance of 0.4 %


def test_nothing_is_tested_without_speakers_or_spread():
    apart = separation("eer", {"a": [0.9] * 40, "b": [0.9] * 40}, [0.1, 0.1], ["a", "b"])
    alone = separation("eer", {"a": [0.9] * 40}, [0.1, 0.1], ["a", "a"])
    assert paired_separation(alone, alone, 0.5) == (0.0, None, None)
    assert paired_separation(apart, apart, 0.5).p_value == 1.0
    with pytest.raises(ValueError, match="draws differ: of 2 and of 1 speakers"):
        paired_separation(apart, alone)
