"""Holm's correction, by hand and against the closed test."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.statistics.holm import holm, holm_tested


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_holm_counts_only_what_was_tested():
    assert holm_tested([0.01, None, 0.04, 0.03, None, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, None, 0.02])
    assert holm_tested([None, 0.3]) == [None, 0.3]
    assert holm_tested([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_holm_rejects_what_the_closed_test_rejects(values):
    """Holm is the closed test of Bonferroni: the largest min(p) * size over all subsets that hold a hypothesis."""
    corrected = holm(values)
    for index in range(len(values)):
        closed = max(
            min(1.0, len(subset) * min(values[i] for i in subset))
            for size in range(1, len(values) + 1)
            for subset in itertools.combinations(range(len(values)), size)
            if index in subset
        )
        assert corrected[index] == pytest.approx(closed)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=6))
def test_weighted_holm_rejects_what_the_closed_weighted_test_rejects(pairs):
    values, weights = [p for p, _ in pairs], [weight for _, weight in pairs]
    corrected = holm(values, weights)
    for index in range(len(values)):
        closed = max(
            min(1.0, min(values[i] * sum(weights[j] for j in subset) / weights[i] for i in subset))
            for size in range(1, len(values) + 1)
            for subset in itertools.combinations(range(len(values)), size)
            if index in subset
        )
        assert corrected[index] == pytest.approx(closed)
    assert holm(values, [0.3] * len(values)) == pytest.approx(holm(values))


def test_weights_must_be_there_and_positive():
    for weights in ([1.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match="weight"):
            holm([0.1, 0.2], weights)


def test_a_p_value_outside_of_0_to_1_is_refused():
    with pytest.raises(ValueError, match="outside"):
        holm([0.5, 1.2])
