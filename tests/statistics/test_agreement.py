"""Agreement of judges: coefficients against scipy, intervals that hold a known truth, noise that is counted once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vceval.benchmarks.ratings.simulated import Simulated, study
from vceval.statistics.agreement import Draws, Figures, Panel, agreement, lengthened
from vceval.statistics.rank_correlation import kendall, pearson, spearman


def test_coefficients_are_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    one, other = random.integers(0, 6, (2, 15, 3)).astype(float)
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)):
        expected = [theirs(one[:, k], other[:, k]).statistic for k in range(3)]
        np.testing.assert_allclose(ours(one, other), expected, atol=1e-12)


def test_what_a_judge_does_not_know_does_not_count() -> None:
    one, other = np.array([[1.0], [2], [np.nan], [4], [3]]), np.array([[1.0], [3], [9], [4], [np.nan]])
    for function, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)):
        assert function(one, other)[0] == pytest.approx(theirs([1.0, 2, 4], [1.0, 3, 4]).statistic)
    assert np.isnan(pearson(np.ones((4, 1)), np.arange(4.0)[:, None])[0])


def _panel(random: np.random.Generator, systems: int = 8, files: int = 5) -> tuple[Panel, Figures]:
    panel, metric = Simulated(systems, files, 10, 4, 0.9).draw(random)
    return panel, metric


def test_levels_are_what_their_names_say() -> None:
    panel, metric = _panel(np.random.default_rng(1))
    found = agreement(Draws(panel), metric)
    opinions, says = panel.all.files[:, 0], metric.files[:, 0]
    assert found["files"]["pearson"].value == pytest.approx(stats.pearsonr(opinions, says).statistic)
    assert found["files"]["spearman"].value == pytest.approx(stats.spearmanr(opinions, says).statistic)
    rest = [one - one.reshape(8, 5).mean(axis=1).repeat(5) for one in (opinions, says)]
    assert found["within"]["pearson"].value == pytest.approx(stats.pearsonr(*rest).statistic)
    means = [one.reshape(8, 5).mean(axis=1) for one in (opinions, says)]  # every file has four ratings
    assert found["systems"]["kendall"].value == pytest.approx(stats.kendalltau(*means).statistic)


def test_the_sign_is_that_of_the_better_side() -> None:
    panel, metric = _panel(np.random.default_rng(2))
    up = agreement(Draws(panel), metric)["systems"]["pearson"]
    down = agreement(Draws(panel), Figures(-metric.files, -metric.systems), -1.0)["systems"]["pearson"]
    assert down == pytest.approx(up)
    assert up.value is not None
    assert up.value > 0


@pytest.mark.filterwarnings("error")
def test_a_judge_that_knows_no_file_is_only_compared_over_systems() -> None:
    """A measure such as an AUC has figures of systems, and none of files."""
    panel, metric = _panel(np.random.default_rng(2))
    found = agreement(Draws(panel), Figures(np.full_like(metric.files, np.nan), metric.systems))
    assert found["systems"] == agreement(Draws(panel), metric)["systems"]
    assert {one.value for level in ("files", "within") for one in found[level].values()} == {None}


def test_few_or_equal_systems_have_no_interval() -> None:
    panel, metric = _panel(np.random.default_rng(3), systems=3)
    found = agreement(Draws(panel), metric)
    assert found["systems"]["pearson"].value is not None
    assert found["systems"]["pearson"].low is None
    two, metric = _panel(np.random.default_rng(3), systems=2)
    assert agreement(Draws(two), metric)["systems"]["pearson"].value is None
    flat = Figures(np.ones_like(metric.files), np.ones_like(metric.systems))
    assert all(one.value is None for of in agreement(Draws(two), flat).values() for one in of.values())


def test_few_listeners_make_the_interval_wider() -> None:
    def width(listeners: int) -> float:
        random = np.random.default_rng(4)
        of_file = np.repeat(np.arange(12), 10)
        quality = np.linspace(1, 5, 12)
        tastes = random.normal(0, 1.5, (listeners, 2)) @ np.array([np.arange(12) % 2, np.arange(12) % 3])
        files = np.tile(np.arange(120), listeners)
        who = np.repeat(np.arange(listeners), 120)
        scores = quality[of_file[files]] + tastes[who, of_file[files]] + random.normal(0, 0.1, len(files))
        metric = quality + random.normal(0, 0.3, 12)
        one = agreement(Draws(Panel(files, who, scores, of_file)), Figures(metric[of_file][:, None], metric[:, None]))
        low, high = one["systems"]["pearson"].low, one["systems"]["pearson"].high
        assert low is not None
        assert high is not None
        return float(np.arctanh(high) - np.arctanh(low))

    assert width(4) > 1.25 * width(64)


def test_two_panels_of_one_opinion_agree_as_spearman_and_brown_say() -> None:
    """On average over panels: a single one has 40 systems, and its own spread of opinions."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(25):
        panel = Simulated(40, 10, 20, 4, 0.5).draw(random)[0]
        one, other = panel.halves(10)
        found.append(lengthened(float(np.nanmean(pearson(one.files, other.files))), panel.growth(10)))
    truth = Simulated(40, 10, 20, 4, 1.0).truth()["files", "pearson"] ** 2
    assert np.mean(found) == pytest.approx(truth, abs=0.03)


def test_a_known_correlation_lies_in_its_interval_as_often_as_promised() -> None:
    """The reduced form of the table in the documentation: 60 runs can't leave 85 to 100 % by chance."""
    for (level, name), row in study(Simulated(20, 10, 60, 6, 0.8), 60).items():
        assert 0.85 <= row.coverage <= 1.0, (level, name, row)
        assert row.mean == pytest.approx(row.truth, abs=0.06), (level, name)
