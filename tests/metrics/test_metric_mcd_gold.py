"""MCD and F0 recipes against what the tools' own code gave on real conversions.

Harvest is slow: recipes that need it are checked on part of the table, and on all of it where VCEVAL_GOLD is ``all``.
"""

from __future__ import annotations

import csv
import os

import pytest

from vceval import registry
from vceval.errors import ItemError
from vceval.metrics.parallel import Recording
from vceval.storage.cache import Cache

#: Recipe -> columns of the table in the order of its measures; how far they may be off; every how many rows.
COLUMNS = {
    "mcd:pymcd": (("pymcd_dtw",), (1e-4,), 1),
    "mcd:pymcd-sl": (("pymcd_dtw_sl",), (1e-4,), 1),
    "mcd:pymcd-plain": (("pymcd_plain",), (1e-4,), 1),
    "mcd:dsm": (("dsm",), (1e-4,), 1),
    "mcd:mel-cepstral-distance": (
        ("mel_cepstral_distance_default", "mel_cepstral_distance_penalty"),
        (1e-4, 1e-5),
        1,
    ),
    "mcd:s3prl": (("s3prl_16k",), (1e-4,), 6),
    "mcd:s3prl-24k": (("s3prl_24k",), (1e-4,), 15),
    "mcd:versa": (("versa_16k_nodtw",), (1e-4,), 6),
    "f0:s3prl": (("f0rmse_s3prl_hz", "f0corr_s3prl", "ddur_s3prl_16k"), (1e-3, 1e-5, 1e-5), 6),
    "f0:s3prl-24k": (("f0rmse_s3prl_24k_hz", "f0corr_s3prl_24k"), (1e-3, 1e-5), 15),
    "f0:freevc": (("freevc_f0_pcc",), (1e-5,), 1),
}


@pytest.fixture(scope="module")
def cache() -> Cache:
    """Keeps analyses for all tests here, as a run's cache does."""
    return Cache(None)


@pytest.mark.parametrize("name", COLUMNS)
def test_recipe_gives_the_figures_of_the_tool(name, shared, cache):
    columns, tolerances, share = COLUMNS[name]
    metric = registry.load("metric", name)()
    with open(shared / "gold" / "mcd.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows = rows if os.environ.get("VCEVAL_GOLD") == "all" else rows[::share]
    checked = refused = 0
    for row in rows:
        pair = [Recording(shared / "published_demos" / row[key], cache) for key in ("reference_file", "test_file")]
        if not row[columns[0]]:  # the tool's own check of lengths stopped it
            with pytest.raises(ItemError, match="mismatch"):
                metric.compare(*pair)
            refused += 1
            continue
        found = metric.compare(*pair).sums
        for measure, column, tolerance in zip(metric.measures, columns, tolerances, strict=False):
            above, below = found[measure.name]
            assert above / below == pytest.approx(float(row[column]), abs=tolerance), (row["test_file"], column)
        checked += 1
    assert checked + refused == len(rows)
    assert checked >= 4
    assert bool(refused) == (name == "mcd:versa")
