"""Kendall's tau of two judges over systems, and its interval over speakers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from vceval.statistics.rank_correlation import kendall, kendall_agreement


def test_tau_is_that_of_scipy_ties_included() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        first, second = generator.integers(0, 5, (2, 8)).astype(float)
        assert kendall(first[:, None], second[:, None])[0] == pytest.approx(kendalltau(first, second).statistic)


def _sums(means: list[float], pairs: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([[generator.normal(mean, 0.3, pairs), np.ones(pairs)] for mean in means])


def test_judges_that_agree_and_judges_that_do_not() -> None:
    speakers = [f"s{n % 20}" for n in range(200)]
    first = _sums([0.0, 1.0, 2.0, 3.0], 200, 0)
    value, low, high = kendall_agreement(first, _sums([0.0, 1.0, 2.0, 3.0], 200, 1), speakers)
    assert (value, low, high) == (1.0, 1.0, 1.0)
    value, low, high = kendall_agreement(first, _sums([3.0, 2.0, 1.0, 0.0], 200, 1), speakers)
    assert (value, low, high) == (-1.0, -1.0, -1.0)
    value, low, high = kendall_agreement(first, _sums([1.0, 1.0, 1.0, 1.0], 200, 2), speakers)
    assert value is not None
    assert low is not None
    assert high is not None
    assert low < value < high
    assert high - low > 0.5


def test_what_has_no_tau() -> None:
    one = _sums([0.0], 10, 0)
    assert kendall_agreement(one, one, ["s"] * 10) == (None, None, None)
    flat = np.stack([[np.ones(10), np.ones(10)]] * 3)
    assert kendall_agreement(flat, _sums([0.0, 1.0, 2.0], 10, 0), list("abcdefghij")) == (None, None, None)
    two = _sums([0.0, 5.0], 10, 0)
    assert kendall_agreement(two, two, list("abcdefghij")) == (1.0, None, None)
    three = _sums([0.0, 5.0, 9.0], 10, 0)
    assert kendall_agreement(three, three, ["s"] * 10) == (1.0, None, None)
