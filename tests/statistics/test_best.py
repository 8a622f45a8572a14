"""Comparisons with the best: levels by hand, what holds for all input, and how often they hold in draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vceval.statistics.best import behind, corrected, level, opposite, shrunk
from vceval.statistics.inference import Difference, Estimate, Interval, judged


def difference(value: float, half: float, p_value: float = 0.5, freedom: float = 1e9) -> Difference:
    return Difference(value, Interval(value - half, value + half, 0.95, 5, 5, 0, freedom, "t"), p_value)


def test_levels_by_hand() -> None:
    """Ten: each test one-sided at 0.05 / 9; two and three: the usual two-sided test at 0.05."""
    assert level(10, 0.05) == pytest.approx(1.0 - 0.1 / 9)
    assert (level(2, 0.05), level(3, 0.05)) == (pytest.approx(0.95), pytest.approx(0.95))
    assert corrected(0.01, 10) == pytest.approx(0.045)
    assert corrected(0.04, 2) == corrected(0.04, 3) == pytest.approx(0.04)
    assert corrected(0.9, 10) == 1.0


@given(st.floats(-5, 5), st.floats(0.01, 5), st.integers(1, 50), st.sampled_from([0.05, 0.01, 0.05 / 3]))
def test_an_interval_holds_zero_exactly_where_the_corrected_p_says_so(
    value: float, error: float, count: int, alpha: float
) -> None:
    found = judged(Estimate(value, error, 12.0, {}), (5, 5, 0), 0.5, level(count, alpha))
    assert found.interval is not None
    assert found.p_value is not None
    p_value = corrected(found.p_value, count)
    if abs(p_value - alpha) > 1e-9:
        assert (found.interval.low <= 0.0 <= found.interval.high) == (p_value > alpha)


def test_behind_is_the_worst_that_can_be() -> None:
    assert behind([difference(-1.0, 3.0), difference(-2.0, 2.5)]) == pytest.approx(2.0)
    assert behind([difference(-5.0, 1.0)]) == 0.0
    assert behind([]) == 0.0
    assert behind([difference(-1.0, 3.0), Difference(0.0, None, None)]) is None


def test_figures_move_towards_their_mean_by_hand() -> None:
    """Spread 20, noise (1 / 1.96)² / 2: 1 - (5 - 3) · noise / 10 is kept."""
    values = {name: float(n) for n, name in enumerate("abcde")}
    found = shrunk(values, [difference(1.0, 1.0)] * 4)
    kept = 1.0 - 2.0 * (1.0 / 1.959964) ** 2 / 2.0 / 10.0
    assert found is not None
    assert found["e"] == pytest.approx(2.0 + kept * 2.0, rel=1e-6)
    assert found["c"] == pytest.approx(2.0)
    assert shrunk(dict.fromkeys("abcd", 1.0), [difference(0.0, 1.0)] * 3) == dict.fromkeys("abcd", 1.0)
    all_noise = shrunk(values, [difference(1.0, 100.0)] * 4)
    assert all_noise == pytest.approx(dict.fromkeys("abcde", 2.0))
    assert shrunk(dict.fromkeys("abc", 1.0), [difference(0.0, 1.0)] * 2) is None
    assert shrunk(values, [Difference(0.0, None, None)] * 4) is None


@given(st.floats(-9, 9), st.floats(0, 9))
def test_turned_twice_is_the_same(value: float, half: float) -> None:
    one = difference(value, half)
    assert opposite(opposite(one)) == one
    assert opposite(one).interval == one.interval._replace(low=-value - half, high=-value + half)  # type: ignore[union-attr]
    assert opposite(Difference(1.0, None, None)) == Difference(-1.0, None, None)


@pytest.mark.parametrize(("truths", "apart"), [([0.0] * 10, 2), ([0.0, 0.0], 2), ([0.0, 0.0, -9.0], 2)])
def test_the_best_is_held_and_no_winner_is_made_up(truths: list[float], apart: int) -> None:
    """Figures with a known error: nobody is alone in more than 5 % where the first two are equally good."""
    random = np.random.default_rng(1)
    count, draws = len(truths), 4000
    alone = held = 0
    for _ in range(draws):
        values = np.array(truths) + random.normal(size=count)
        first = int(values.argmax())
        p_values = [
            corrected(judged(Estimate(values[first] - value, 2.0**0.5, 1e9, {}), (9, 9, 0), 0.0).p_value or 0.0, count)
            for value in values
        ]
        left = [n for n in range(count) if n == first or p_values[n] >= 0.05]
        alone += len(left) == 1
        held += 0 in left
    assert alone <= 0.05 * draws + 3 * (0.05 * 0.95 * draws) ** 0.5
    assert held >= 0.95 * draws
