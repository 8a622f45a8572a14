"""Where tests of torch run: on the processor, and, marked ``gpu``, on what ``VCEVAL_TEST_DEVICE`` names (``cuda``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")

DEVICE = os.environ.get("VCEVAL_TEST_DEVICE") or "cuda"
#: Marks of a test that runs on the device only.
ON_DEVICE = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="torch finds no GPU"),
]
DEVICES = ["cpu", pytest.param(DEVICE, marks=ON_DEVICE, id="device")]


@contextmanager
def reference_device() -> Iterator[str]:
    """The processor; where it is under test itself, with oneDNN off, whose sums round otherwise."""
    with torch.backends.mkldnn.flags(enabled=DEVICE != "cpu"):
        yield "cpu"
