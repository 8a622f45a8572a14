"""The cache: right answers whatever lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.cache import Cache, default_root, file_digest


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Mapping[str, Any]:
        self.calls += 1
        return {"vector": np.arange(3.0), "text": "na\u00efve", "count": 2}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    return path


@pytest.mark.parametrize("on_disk", [True, False])
def test_computed_once_and_given_back_whole(tmp_path: Path, recording: Path, on_disk: bool) -> None:
    compute, root = Counter(), tmp_path / "cache" if on_disk else None
    cache = Cache(root)
    for _ in range(2):
        found = cache.get("kind", recording, {"model": 1}, compute)
        assert found["text"] == "na\u00efve"
        np.testing.assert_array_equal(found["vector"], np.arange(3.0))
    assert compute.calls == 1
    Cache(root).get("kind", recording, {"model": 1}, compute)
    assert compute.calls == (1 if on_disk else 2)


def test_other_parameters_kinds_and_bytes_are_other_entries(tmp_path: Path, recording: Path) -> None:
    cache, compute = Cache(tmp_path / "cache"), Counter()
    cache.get("kind", recording, {"model": 1}, compute)
    cache.get("kind", recording, {"model": 2}, compute)
    cache.get("other", recording, {"model": 1}, compute)
    recording.write_bytes(b"three")
    cache.get("kind", recording, {"model": 1}, compute)
    assert compute.calls == 4


def test_equal_bytes_share_an_entry_whatever_their_name(tmp_path: Path, recording: Path) -> None:
    twin = tmp_path / "twin.bin"
    twin.write_bytes(recording.read_bytes())
    cache, compute = Cache(tmp_path / "cache"), Counter()
    cache.get("kind", recording, {}, compute)
    cache.get("kind", twin, {}, compute)
    assert compute.calls == 1
    assert file_digest(twin) == file_digest(recording)


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, recording: Path, damage: bytes | None) -> None:
    compute = Counter()
    Cache(tmp_path / "cache").get("kind", recording, {}, compute)
    [entry] = (tmp_path / "cache").rglob("*.npz")
    entry.write_bytes(entry.read_bytes()[:-20] if damage is None else damage)
    found = Cache(tmp_path / "cache").get("kind", recording, {}, compute)
    assert compute.calls == 2
    np.testing.assert_array_equal(found["vector"], np.arange(3.0))
    Cache(tmp_path / "cache").get("kind", recording, {}, compute)
    assert compute.calls == 2


def test_the_place_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.setenv("VCEVAL_CACHE", "off")
    assert default_root() is None
    monkeypatch.delenv("VCEVAL_CACHE")
    assert default_root() == Path.home() / ".cache" / "vceval"
