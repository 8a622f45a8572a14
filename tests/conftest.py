"""Shared fixtures: small made-up speech-like sounds, and the place of reference material."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from made_up_converters import MadeUpWeights
from pages import OpenPage, find_chromium, launch, open_in
from sounds import hum

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from vceval.converters.base import Request

os.environ.setdefault("OMP_NUM_THREADS", "1")
if importlib.util.find_spec("hypothesis"):  # machines that only run the tests of a GPU have none
    from hypothesis import settings

    # No test is timed: the machine may be busy
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


#: Files of few tests that take long: they go first, so that the processes of pytest end together.
SLOW = (
    "conformance/test_end_to_end.py", "test_docs_commands.py", "runner/test_faults.py", "gate/test_gate_audio.py",
    "converters/test_converter_conformance.py", "runner/test_integrity.py", "conformance/test_as_authors_run_them.py",
    "runner/test_ray.py", "cli/test_run.py", "cli/test_demo.py", "cli/test_seeds.py", "test_examples.py",
    "runner/test_forecast.py", "reports/test_reports_marks.py", "metrics/test_metric_mcd_gold.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist give files away in the order that they have here."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slow files first."""
    places = {config.rootpath / "tests" / name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path, len(SLOW)))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache; the processes of pytest share one."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCEVAL_CACHE", str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"))
        yield


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


@pytest.fixture
def openvoice_request(tmp_path: Path, make_sound: Callable[..., Path]) -> Callable[..., Request]:
    """Make a request to OpenVoice for made-up sounds of these lengths."""
    from vceval.converters.base import Request
    from vceval.records import ConversionPair, Utterance

    def request(name: str, samples: int = 12_000, seed: int = 1, prompts: int = 1, prompt: float = 0.5) -> Request:
        source = Utterance(name, make_sound(f"{name}.wav", samples / 16_000, subtype="FLOAT"), "made up")
        voices = [
            Utterance(f"v{k}", make_sound(f"{name}-{k}.wav", prompt, pitch=200.0 + k), "made up")
            for k in range(prompts)
        ]
        pair = ConversionPair(name, "made up", source=source, prompts=tuple(voices))
        return Request("openvoice", pair, seed, tmp_path / "scratch" / f"{name}.wav")

    return request


@pytest.fixture(scope="session")
def weights_of(tmp_path_factory: pytest.TempPathFactory) -> MadeUpWeights:
    """Folders with made-up weight files of native converters, by the converter's name."""
    return MadeUpWeights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of this system, one for the whole session."""
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launch(playwright, program) as found:
        yield found


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open a page, and see what it does; all are closed at the end of the test."""
    yield functools.partial(open_in, chromium)
    for context in chromium.contexts:
        context.close()
