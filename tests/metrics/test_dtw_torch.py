"""Exact dynamic time warping in batches: the values of the pairs one by one.

``VCEVAL_TEST_DEVICE=cpu`` runs the test marked ``gpu`` on the processor.
"""

from __future__ import annotations

import numpy as np
import pytest
from devices import DEVICES

from vceval.metrics import dtw_torch
from vceval.metrics.dtw import dtw


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_gives_what_its_pairs_give(device, monkeypatch):
    generator = np.random.default_rng(0)
    firsts = [generator.normal(size=(int(generator.integers(1, 120)), 5)) for _ in range(12)]
    seconds = [generator.normal(size=(int(generator.integers(1, 120)), 5)) for _ in range(12)]
    firsts[0], seconds[0] = firsts[0][:1], seconds[0][:1]
    firsts[1] = seconds[1].copy()
    # Whole numbers: sums are exact, and many paths tie
    firsts[2], seconds[2] = (
        generator.integers(0, 2, (70, 5)).astype(float),
        generator.integers(0, 2, (50, 5)).astype(float),
    )
    firsts[3], seconds[3] = np.zeros((40, 5)), np.zeros((90, 5))
    monkeypatch.setattr(dtw_torch, "_LARGEST", 60_000)  # several batches
    found = dtw_torch.dtw_batch(firsts, seconds, device)
    for one, (first, second) in zip(found, zip(firsts, seconds, strict=True), strict=True):
        total, length = dtw(first, second)
        assert one[0] == pytest.approx(total, rel=1e-12)
        assert one[1] == length
