"""Resampling whole clusters."""

from __future__ import annotations

import numpy as np
import pytest

from vceval.statistics.bootstrap import percentile_levels, resample


def test_whole_clusters_are_drawn():
    values = np.arange(6.0)
    totals, drawn, count = resample([values, np.ones(6)], ["a", "a", "b", "b", "c", "c"], 200)
    assert totals == pytest.approx([15.0, 6.0])
    assert count == 3
    assert (drawn[1] == 6.0).all()  # clusters are of one size
    sums = {a + b + c for a in (1.0, 5.0, 9.0) for b in (1.0, 5.0, 9.0) for c in (1.0, 5.0, 9.0)}
    assert set(drawn[0].tolist()) <= sums
    assert drawn[0].std(ddof=1) == pytest.approx(np.std([1, 5, 9]) * np.sqrt(3), rel=0.15)


@pytest.mark.parametrize(
    ("labels", "clusters"),
    [([None] * 4, 4), (["a", "a", "b", None], 3), (["a", "a", None, None], 2), (["a", "b", "c", "d"], 4)],
)
def test_items_without_a_label(labels, clusters):
    assert resample([[1.0, 2.0, 3.0, 5.0]], labels)[2] == clusters


def test_one_cluster_can_not_be_drawn():
    totals, drawn, count = resample([[1.0, 2.0]], ["a", "a"])
    assert (totals.tolist(), drawn.shape, count) == ([3.0], (1, 0), 1)


def test_seed_and_labels_decide_and_blocks_do_not(monkeypatch):
    values, labels = np.random.default_rng(6).normal(size=50), [place // 2 for place in range(50)]
    whole = resample([values], labels, 300)[1]
    order = np.random.default_rng(1).permutation(50)
    assert resample([values[order]], [labels[place] for place in order], 300)[1] == pytest.approx(whole)
    assert not np.array_equal(resample([values], labels, 300, seed=1)[1], whole)
    monkeypatch.setattr("vceval.statistics.bootstrap._BLOCK", 700)
    assert resample([values], labels, 300)[1] == pytest.approx(whole)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="lengths differ: 1 values, 2 cluster labels"):
        resample([[1.0]], ["a", "b"])
    with pytest.raises(ValueError, match="NaN"):
        resample([[np.nan, 1.0]], ["a", "b"])


def test_levels_tend_to_the_plain_ones():
    assert percentile_levels(100_000)[0] == pytest.approx(0.025, abs=1e-4)
    lows = [percentile_levels(count)[0] for count in (3, 5, 10, 50, 1000)]
    assert lows == sorted(lows)
    assert lows[-1] < 0.025
