"""Where tests of torch run: on the processor, and, marked ``gpu``, on what ``VCEVAL_TEST_DEVICE`` names (``cuda``)."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

DEVICE = os.environ.get("VCEVAL_TEST_DEVICE") or "cuda"
DEVICES = [
    "cpu",
    pytest.param(
        DEVICE,
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="torch finds no GPU"),
        ],
        id="device",
    ),
]
