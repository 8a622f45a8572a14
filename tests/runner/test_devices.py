"""Which devices converters work on."""

from __future__ import annotations

import pytest
import torch

from vceval.errors import UsageError
from vceval.runner import devices as module
from vceval.runner.devices import devices


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(module, "_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_all_gpus_are_taken_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    assert devices("auto") == devices("cuda") == ("cuda:0", "cuda:1")
    assert devices("cuda:1") == ("cuda:1",)
    assert devices("cpu") == ("cpu",)
    with pytest.raises(UsageError, match="there are 2 GPUs"):
        devices("cuda:2")


@pytest.mark.parametrize("driver", [True, False])
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, driver: bool) -> None:
    gpus(monkeypatch, 0)
    monkeypatch.setattr(module, "_driver", lambda: driver)
    assert devices("auto") == ("cpu",)
    with pytest.raises(UsageError, match="finds no GPU"):
        devices("cuda")


@pytest.mark.parametrize("asked", ["tpu", "cuda:x", "cuda:-1"])
def test_other_devices_are_not_known(asked: str) -> None:
    with pytest.raises(UsageError, match="must be cpu, cuda"):
        devices(asked)
