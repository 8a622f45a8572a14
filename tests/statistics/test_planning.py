"""What is enough: figures that simulation agrees with, and plain words where no corpus is."""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np
import pytest

from vceval.statistics.components import Design
from vceval.statistics.inference import ELSEWHERE, Estimate, paired_estimate, paired_test, t_quantile
from vceval.statistics.planning import FEW, POWER, SHARES, USUAL, Precision, blurred, enough, expected, wanted


def crossed(targets: int, sources: int, each: int = 1) -> Design:
    """Every target meets every source so many times."""
    cells = list(itertools.product(range(targets), range(sources), range(each)))
    return Design([target for target, _, _ in cells], [source for _, source, _ in cells])


@pytest.mark.parametrize("freedom", [1.0, 2.5, 9.0, 200.0])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_what_is_called_caught_is_caught_in_eight_of_ten_cases(freedom: float, level: float) -> None:
    """Drawn by hand: a normal mean and an error that varies as a root of chi squared over its degrees of freedom."""
    generator = np.random.default_rng(0)
    caught = Precision(0.3, freedom, {"residual": 1.0}, {}, 50).caught(level)
    found = generator.normal(caught, 0.3, 200_000)
    errors = 0.3 * np.sqrt(generator.chisquare(freedom, 200_000) / freedom)
    assert np.mean(found > t_quantile(level, freedom) * errors) == pytest.approx(POWER, abs=0.005)


def test_the_expected_error_is_what_the_mean_of_such_noise_shows() -> None:
    design = crossed(6, 9, 2)
    share = 0.5
    now = expected(design, share)
    generator = np.random.default_rng(1)
    noise = sqrt(share / 2) * (
        generator.normal(size=(20_000, 6, 1, 1)) + generator.normal(size=(20_000, 1, 9, 1))
    ) + sqrt(1 - share) * generator.normal(size=(20_000, 6, 9, 2))
    assert now.error == pytest.approx(float(noise.mean(axis=(1, 2, 3)).std()), rel=0.02)
    assert now.levels == {"target": 6, "source": 9}
    assert expected(design, 0.0).error == pytest.approx(1 / sqrt(108))
    assert 5 < now.freedom < 16


def test_a_side_of_few_speakers_has_as_much_noise_as_there_may_be() -> None:
    """By chance they look alike in this night; nobody can know."""
    for targets in (2, FEW - 1, FEW):
        design = crossed(targets, 20, 2)
        night = Estimate(0.0, 1 / sqrt(design.items), 30.0, {"target": 0.0, "source": 0.0, "residual": 1.0}, 1.0)
        now = Precision.of(night, design)
        if targets < FEW:
            assert now.error**2 == pytest.approx(1 / design.items + SHARES[1] / targets)
            assert now.freedom < targets
        else:
            assert (now.error, now.freedom) == (night.error, night.freedom)


def test_more_speakers_make_it_surer_by_their_part_alone() -> None:
    now = Precision(1.0, 5.0, {"target": 0.5, "source": 0.3, "residual": 0.2}, {"target": 6, "source": 6}, 72)
    more = now.grown(2.0, ("target",))
    assert more.error**2 == pytest.approx(0.5 / 2 + 0.3 + 0.2 / 2)
    assert (more.levels, more.pairs) == ({"target": 12, "source": 6}, 144)
    assert more.freedom > 5.0
    both = now.grown(2.0, ("target", "source"))
    assert both.error**2 == pytest.approx(0.5 / 2 + 0.3 / 2 + 0.2 / 4)
    assert both.pairs == 288


def test_what_is_wanted_is_enough_and_no_more() -> None:
    now = Precision(1.0, 5.0, {"target": 0.05, "source": 0.9, "residual": 0.05}, {"target": 6, "source": 6}, 72)
    found = wanted(now, lambda there: there.error <= 0.5)
    assert found is not None
    assert found.grown == ("source",)
    count = found.levels["source"]
    assert now.grown(count / 6, ("source",)).error <= 0.5 < now.grown((count - 1) / 6, ("source",)).error
    assert found.pairs == 12 * count
    assert found.said() == f"about {12 * count} pairs of {count} source speakers"
    assert found.more(now.levels, 72) == f"about {count - 6} more source speakers"
    assert wanted(now, lambda there: False) is None
    assert wanted(now, lambda there: True) is None
    alone = wanted(Precision(1.0, 9.0, {"residual": 1.0}, {}, 10), lambda there: there.error <= 0.5)
    assert alone is not None
    assert alone.more({}, 10) == "about 30 more pairs"


# What a difference needs to be found


def drawn(generator: np.random.Generator, targets: int, sources: int, by: float = 0.4) -> np.ndarray:
    """Differences of two systems over a grid: half of their variance between speakers."""
    parts = (
        generator.normal(0, 0.5, (targets, 1)),
        generator.normal(0, 0.5, (1, sources)),
        generator.normal(0, sqrt(0.5), (targets, sources)),
    )
    return by + np.asarray(sum(parts)).reshape(-1)


@pytest.mark.parametrize("level", [0.975, 1 - 0.05 / 6])
def test_with_as_many_as_said_the_difference_is_found_in_eight_of_ten_repetitions(level: float) -> None:
    """What is measured here is the truth: a difference of 0.4 with the components that it has."""
    design = crossed(6, 8)
    parts = {name: 0.25 * design.contribution(name) for name in ("target", "source")} | {"residual": 0.5 / 48}
    error = sqrt(sum(parts.values()))
    freedom = expected(design, 0.5).freedom
    truth = Estimate(0.4, error, freedom, {name: part / error**2 for name, part in parts.items()}, 1.0)
    wish = enough(truth, design, level)
    assert wish is not None
    targets, sources = wish.levels["target"], wish.levels["source"]
    assert targets * sources == pytest.approx(wish.pairs, rel=0.2)
    generator, grid = np.random.default_rng(3), crossed(targets, sources)
    ones = np.ones(grid.items)
    found = [paired_test(drawn(generator, targets, sources), ones, 0 * ones, ones, grid).p_value for _ in range(150)]
    assert 0.7 <= np.mean([p < 2 * (1 - level) for p in found if p is not None]) <= 0.9


def test_what_no_corpus_has_is_not_asked_for() -> None:
    design = crossed(10, 10)
    close = Estimate(0.001, 0.2, 12.0, {"target": 0.6, "source": 0.3, "residual": 0.1}, 1.0)
    assert enough(close, design, 0.975) is None
    assert enough(close._replace(value=0.0), design, 0.975) is None
    assert enough(close._replace(value=0.4), design, 0.975) is not None
    elsewhere = close._replace(value=0.2, shares={"residual": 0.2, ELSEWHERE: 0.8})
    assert enough(elsewhere, design, 0.975) is None, "a threshold is not made surer by pairs"
    assert blurred(elsewhere, 0.975)
    assert not blurred(elsewhere._replace(shares={"residual": 1.0}), 0.975)
    wish = enough(close._replace(value=0.02), design, 0.975)
    assert wish is None or max(wish.levels.values()) <= USUAL


def test_a_difference_that_every_pair_shows_asks_for_speakers_only() -> None:
    """Four speakers of which all agree: a sign test at 0.05 needs six."""
    design = crossed(4, 12)
    ones, values = np.ones(48), np.full(48, 2.0)
    found = paired_estimate(values, ones, 0 * ones, ones, design)
    assert (found.error, found.shares) == (0.0, {})
    assert paired_test(values, ones, 0 * ones, ones, design).p_value == 0.125
    wish = enough(found, design, 0.975)
    assert wish is not None
    assert (wish.grown, wish.levels["target"], wish.pairs) == (("target",), 6, 72)
    more = crossed(6, 12)
    p = paired_test(np.full(72, 2.0), np.ones(72), np.zeros(72), np.ones(72), more).p_value
    assert p is not None
    assert p < 0.05


def test_what_does_not_come_from_pairs_keeps_its_part() -> None:
    ones, values = np.ones(48), np.random.default_rng(0).normal(0.5, 1.0, 48)
    alone = paired_estimate(values, ones, 0 * ones, ones, crossed(4, 12))
    found = paired_estimate(values, ones, 0 * ones, ones, crossed(4, 12), added_variance=3 * alone.error**2)
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert found.shares[ELSEWHERE] == pytest.approx(0.75)
    assert found.deviation == pytest.approx(values.std())
    now = Precision.of(found, crossed(4, 12))
    assert now.grown(1e6, ("target", "source")).error == pytest.approx(sqrt(3) * alone.error, rel=0.01)
