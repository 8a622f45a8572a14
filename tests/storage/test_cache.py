"""The cache: right answers whatever lies on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval import registry
from vceval.errors import UsageError
from vceval.storage import cache
from vceval.storage.cache import Cache, default_root, file_digest
from vceval.storage.code_identity import code_identity


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


def test_another_version_of_a_package_is_another_entry(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, installed = Counter(), dict(cache._versions())
    assert {"numpy", "pyworld", "soxr", "torch"} <= installed.keys()
    for versions in (installed, installed | {"torch": "99.0"}, installed):
        monkeypatch.setattr(cache, "_versions", lambda versions=versions: versions)
        Cache(tmp_path / "cache").get("kind", recording, {"model": 1}, compute)
    assert compute.calls == 2


def test_the_packages_of_all_metrics_are_known() -> None:
    modules = [registry.origin("metric", name).partition(":")[0] for name in registry.names("metric")]
    used = {package.lower() for module in modules for package in code_identity(module)["packages"]}
    # Their results are compared, written or fetched, not kept
    assert {name for name in used if name not in cache.PACKAGES} <= {
        "huggingface_hub", "jiwer", "opencc", "rich", "safetensors"
    }  # fmt: skip
    assert {"numba", "onnxruntime", "openai-whisper", "pyworld", "scipy", "torch"} <= used


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


def test_a_flip_anywhere_in_an_entry_is_found(tmp_path: Path, recording: Path) -> None:
    compute = Counter()
    Cache(tmp_path / "cache").get("kind", recording, {}, compute)
    [entry] = (tmp_path / "cache").rglob("*.npz")
    whole = entry.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        entry.write_bytes(flipped)
        found = Cache(tmp_path / "cache").get("kind", recording, {}, compute)
        np.testing.assert_array_equal(found["vector"], np.arange(3.0))
        assert (found["text"], found["count"]) == ("na\u00efve", 2)
    assert compute.calls > len(whole) / 2
    flipped = bytearray(whole)
    flipped[whole.rindex(b"PK\x01\x02") + 10] ^= 1  # a kind of compression that nobody knows
    entry.write_bytes(flipped)
    before = compute.calls
    Cache(tmp_path / "cache").get("kind", recording, {}, compute)
    assert compute.calls == before + 1
    assert entry.read_bytes() == whole


def test_an_entry_in_the_place_of_another_is_not_taken(tmp_path: Path, recording: Path) -> None:
    cache = Cache(tmp_path / "cache")
    for number in (1, 2):
        cache.get("kind", recording, {"model": number}, lambda number=number: {"model": number})
    one, other = (tmp_path / "cache").rglob("*.npz")
    whole = one.read_bytes(), other.read_bytes()
    one.write_bytes(whole[1])
    other.write_bytes(whole[0])
    for number in (1, 2):
        found = Cache(tmp_path / "cache").get(
            "kind", recording, {"model": number}, lambda number=number: {"model": number}
        )
        assert found["model"] == number
    assert (one.read_bytes(), other.read_bytes()) == whole


def test_the_place_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VCEVAL_CACHE", "here")
    assert default_root() == tmp_path / "here"
    monkeypatch.setenv("VCEVAL_CACHE", "off")
    assert default_root() is None
    monkeypatch.delenv("VCEVAL_CACHE")
    assert default_root() == Path.home() / ".cache" / "vceval"


def test_a_relative_place_is_that_of_the_process_that_named_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_sound
) -> None:
    """A worker opens it anew by its name, perhaps in another working directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    named = Cache(Path("cache")).root
    monkeypatch.chdir(tmp_path / "elsewhere")
    Cache(named).get("kind", make_sound("a.wav"), {}, lambda: {"x": 1})
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, make_sound) -> None:
    root = tmp_path / "cache"
    held = Cache(root, limit=10**9)
    sounds = [make_sound(f"{k}.wav", seed=k) for k in range(5)]
    for sound in sounds:
        held.get("thing", sound, {}, lambda: {"x": np.zeros(1000)})
    entries = {path: path.stat().st_size for path in root.rglob("*.npz")}
    for age, path in enumerate(sorted(entries)):
        os.utime(path, ns=(10**18 - age, 10**18 - age))
    oldest = sorted(entries)[-1]
    key = next(s for s in sounds if _entry_of(root, s) == oldest)
    Cache(root).get("thing", key, {}, lambda: pytest.fail("it is there"))
    (root / "rates.json").write_text("{}")
    left = cache.trim(root, 3 * max(entries.values()))
    there = list(root.rglob("*.npz"))
    assert left == sum(path.stat().st_size for path in there) <= 3 * max(entries.values())
    assert oldest in there, "it was used just now"
    assert (root / "rates.json").exists()


def _entry_of(root: Path, sound: Path) -> Path:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.npz")}
    Cache(root).get("thing", sound, {}, lambda: pytest.fail("it is there"))
    [entry] = [path for path, at in before.items() if path.stat().st_mtime_ns != at]
    os.utime(entry, ns=(before[entry], before[entry]))
    return entry


def test_a_cache_keeps_to_its_limit_while_it_is_filled(tmp_path: Path, make_sound) -> None:
    held = Cache(tmp_path / "cache", limit=50_000)
    for number in range(60):
        held.get("thing", make_sound("a.wav"), {"n": number}, lambda: {"x": np.zeros(1000)})
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.npz")) < 60_000


def test_a_full_disk_costs_no_result(tmp_path: Path, make_sound, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    assert Cache(tmp_path / "cache").get("thing", make_sound("a.wav"), {}, lambda: {"x": 1}) == {"x": 1}


@pytest.mark.parametrize("place", ["file", "file/cache", "/proc/none"])
def test_a_cache_that_can_not_be_written_costs_no_result(tmp_path: Path, make_sound, place: str) -> None:
    (tmp_path / "file").write_text("no folder")
    root = tmp_path / place
    assert Cache(root).get("thing", make_sound("a.wav"), {}, lambda: {"x": 1}) == {"x": 1}
    assert cache.trim(root, 1) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write where others may not")
def test_a_cache_of_somebody_else_costs_no_result(tmp_path: Path, make_sound) -> None:
    held = Cache(tmp_path / "cache")
    sound = make_sound("a.wav")
    assert held.get("thing", sound, {"n": 1}, lambda: {"x": 1}) == {"x": 1}
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        other = Cache(tmp_path / "cache")
        assert other.get("thing", sound, {"n": 1}, lambda: {"x": 2}) == {"x": 1}  # it may be read
        assert other.get("thing", sound, {"n": 2}, lambda: {"x": 3}) == {"x": 3}
        assert cache.trim(tmp_path / "cache", 1) == 0
    finally:
        os.seteuid(0)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1


@pytest.mark.parametrize(("text", "size"), [("", 20e9), ("500MB", 5e8), ("1.5 G", 1.5e9), ("2TB", 2e12), ("800", 800)])
def test_sizes(text: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCEVAL_CACHE_SIZE", text)
    assert cache.default_limit() == size


def test_a_size_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCEVAL_CACHE_SIZE", "plenty")
    with pytest.raises(UsageError, match="plenty"):
        cache.default_limit()
