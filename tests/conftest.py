"""Shared fixtures: small made-up speech-like sounds, and the place of reference material."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser, find_chromium
from sounds import hum

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def shared() -> Path:
    """The folder of reference material; tests that use it skip where it is not given."""
    place = os.environ.get("VCEVAL_SHARED")
    if not place:
        pytest.skip("VCEVAL_SHARED is not set: reference material is not available")
    folder = Path(place).resolve()
    if not folder.is_dir():
        pytest.fail(f"VCEVAL_SHARED={place} is no folder")
    return folder


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """Write a hum and return its path."""

    def make(name: str = "sound.wav", seconds: float = 1.0, rate: int = 16_000, **rest: object) -> Path:
        subtype = rest.pop("subtype", "PCM_16")
        channels = int(rest.pop("channels", 1))  # type: ignore[call-overload]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = hum(seconds, rate, **rest)  # type: ignore[arg-type]
        soundfile.write(path, np.stack([samples] * channels, axis=1), rate, subtype=str(subtype))
        return path

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for the whole session; every test opens a tab of its own."""
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    with Browser() as found:
        yield found
