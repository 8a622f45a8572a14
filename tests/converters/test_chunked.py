"""Converters in chunks: the parts of windows that are put together, what they hear, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import hum

from vceval import registry
from vceval.converters.adainvc_demo import AdaInVcDemo
from vceval.converters.base import Converter, ConverterInfo, Request
from vceval.converters.chunked import Chunked
from vceval.converters.streams import WallClock, drive
from vceval.errors import ItemError, UsageError
from vceval.protocol.systems import system_of
from vceval.records import ConversionPair, Utterance
from vceval.signal.audio import Waveform
from vceval.streaming.lookahead import horizons


class Halver(Converter):
    """Halves a source at twice its rate; refuses what is quiet, and loses the end of what is loud."""

    info = ConverterInfo(name="halver", title="Halver", sample_rate=32_000, licence="", paper="", kind="native")
    heard: list[int]

    def __init__(self, *, smooth: int = 0) -> None:
        self.smooth = smooth
        self.heard = []

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        self.heard += [len(source.samples) for source in sources]
        return [self._half(source.samples) for source in sources]

    def _half(self, samples: np.ndarray) -> Any:
        if np.abs(samples).max() < 0.01:
            return ItemError("too quiet")
        if np.abs(samples).max() > 0.9:
            samples = samples[: len(samples) // 2]
        weights = np.ones(2 * self.smooth + 1) / (2 * self.smooth + 1)
        return np.repeat(np.convolve(samples, weights, "same") / 2, 2).astype(np.float32)

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        return [len(group) for group in prompts]

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform]:
        return [Waveform(content, 32_000) for content, _ in items]


@pytest.fixture
def chunked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Chunked]:
    known = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: Halver if name == "halver" else known(kind, name))

    def make(**options: Any) -> Chunked:
        converter = Chunked(of="halver", **options)
        converter.open("cpu")
        return converter

    return make


@pytest.fixture
def ask(tmp_path: Path, make_sound: Callable[..., Path]) -> Callable[..., Request]:
    def request(name: str = "p", seconds: float = 1.0) -> Request:
        recordings = [Utterance(word, make_sound(f"{name}-{word}.wav", seconds), "made up") for word in ("a", "b")]
        pair = ConversionPair(name, "made up", source=recordings[0], prompts=(recordings[1],))
        return Request("mine", pair, 1, tmp_path / "scratch" / f"{name}.wav")

    return request


@pytest.mark.parametrize("chunk", [640, 333, 16_000])
@pytest.mark.parametrize("sizes", [{}, {"window": 300, "hop": 100, "lookahead": 40, "crossfade": 40}, {"crossfade": 0}])
def test_windows_join_to_what_the_converter_makes_of_all(
    chunked: Callable[..., Chunked], ask: Callable[..., Request], sizes: dict[str, float], chunk: int
) -> None:
    converter, request = chunked(**sizes), ask(seconds=1.2345)
    source = request.source
    line = drive(converter, request, source, chunk, "fast", WallClock())
    np.testing.assert_allclose(line.audio.samples, np.repeat(source.samples / 2, 2), atol=1e-6)
    assert line.audio.sample_rate == 32_000
    window = round(converter.sizes["window"] * 16)
    assert set(converter._converter.heard) == {window}  # type: ignore[attr-defined]
    [offline] = converter.convert([request])
    assert isinstance(offline, Waveform)
    np.testing.assert_array_equal(offline.samples, line.audio.samples)


def test_a_window_holds_hop_and_lookahead_however_they_are_rounded(
    chunked: Callable[..., Chunked], ask: Callable[..., Request]
) -> None:
    # 481 and 480 samples, and 960 in both
    converter, request = chunked(window=60.01, hop=30.04, lookahead=29.97, crossfade=0), ask()
    [made] = converter.convert([request])
    assert isinstance(made, Waveform)
    np.testing.assert_allclose(made.samples, np.repeat(request.source.samples / 2, 2), atol=1e-6)


def test_a_sample_hears_hop_and_lookahead(chunked: Callable[..., Chunked], ask: Callable[..., Request]) -> None:
    # A mean that reaches 5,000 samples: all of the 240 ms that lie ahead are heard
    converter, request = chunked(options={"smooth": 5000}, hop=160, lookahead=80, crossfade=20), ask()

    def run(source: Waveform, enough: int | None) -> np.ndarray:
        return drive(converter, request, source, 640, "fast", WallClock(), enough=enough).audio.samples

    source = Waveform(hum(1.0), 16_000)
    [found] = horizons(run, source, run(source, None), 0.0, [8_000])
    # The first window that reaches behind 8,000 ends with sample 8,959, and stands for what begins at 5,120
    assert found == (2 * 5_120, 8_959, False)
    assert found.ahead(16_000, 32_000, 0) == 16 * 240 - 1


def test_windows_that_are_refused_are_silent(chunked: Callable[..., Chunked], ask: Callable[..., Request]) -> None:
    converter, request = chunked(window=200, hop=100, lookahead=50, crossfade=20), ask()
    samples = hum(1.0)
    samples[6_400:] = 0.0
    made = drive(converter, request, Waveform(samples, 16_000), 640, "fast", WallClock()).audio
    assert not made.samples[2 * 9_600 :].any()
    np.testing.assert_allclose(made.samples[: 2 * 6_000], np.repeat(samples[:6_000] / 2, 2), atol=1e-6)
    with pytest.raises(ItemError, match="too quiet"):
        drive(converter, request, Waveform(samples * 0, 16_000), 640, "fast", WallClock())


def test_a_converter_that_cuts_and_does_not_say_where_is_refused(
    chunked: Callable[..., Chunked], ask: Callable[..., Request]
) -> None:
    loud = Waveform(np.where(hum(1.0) >= 0, 0.95, -0.95).astype(np.float32), 16_000)
    with pytest.raises(ItemError, match=r"halver gave 0\.50 s for 1\.00 s of a window: it cuts what it is given"):
        drive(chunked(), ask(), loud, 640, "fast", WallClock())


def test_a_pair_without_prompt_is_refused(chunked: Callable[..., Chunked], ask: Callable[..., Request]) -> None:
    request = ask()
    bare = Request("mine", replace(request.pair, prompts=()), 1, request.output)
    with pytest.raises(ItemError, match="no prompt"):
        drive(chunked(), bare, request.source, 640, "fast", WallClock())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"of": "world", "hop": 0}, "hop is 0"),
        ({"of": "world", "window": "long"}, "window is 'long'"),
        ({"of": "world", "window": float("nan")}, "window is nan; give milliseconds from 1 to 60,000"),
        ({"of": "world", "lookahead": float("inf")}, "lookahead is inf; give milliseconds from 0 to 60,000"),
        ({"of": "world", "hop": 0.01, "crossfade": 0}, "hop is 0.01"),
        ({"of": 3}, "of is 3; name a converter"),
        ({"of": "world", "crossfade": 100}, "crossfade 100 is longer than lookahead 80"),
        ({"of": "world", "window": 200}, "window 200 is shorter than hop and lookahead, 240"),
        ({"of": "command"}, "programs stream by protocol 2"),
        ({"of": "source"}, "can't be made a streaming converter"),
        ({"of": "chunked"}, "can't be made a streaming converter"),
        ({"of": "world", "options": {"louder": 1}}, "does not take these options"),
        ({"of": "wurld"}, "wurld"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Chunked(**options)


def test_the_short_form_of_a_system() -> None:
    system = system_of("fast=chunked:world window=600 hop=80 lookahead=40")
    assert system.converter == "chunked"
    assert system.options == {"of": "world", "window": 600.0, "hop": 80.0, "lookahead": 40.0}
    with pytest.raises(UsageError, match="'hop:80' is no size"):
        system_of("fast=chunked:world hop:80")


def test_it_is_as_its_converter_and_its_sizes_say(ask: Callable[..., Request]) -> None:
    one, other = Chunked(of="world"), Chunked(of="world", hop=80)
    assert one.identity("cpu") != other.identity("cpu")
    assert one.info.title == "WORLD (training-free) in chunks"
    assert one.info.sample_rate == 16_000
    assert one.own_chunk == 160.0


def test_ends_that_the_demo_model_cuts_are_silent_and_the_rest_is_in_its_place(ask: Callable[..., Request]) -> None:
    source = Waveform(np.concatenate([np.zeros(4_800, np.float32), hum(1.0), np.zeros(4_800, np.float32)]), 16_000)
    first, last = AdaInVcDemo().kept(source)
    assert (first, last) == (pytest.approx(0.3, abs=0.06), pytest.approx(1.3, abs=0.06))
    converter = Chunked(of="adainvc-demo", window=1000, hop=400, lookahead=200)
    converter.open("cpu")
    made = drive(converter, ask(), source, 6_400, "fast", WallClock()).audio
    converter.close()
    assert made.seconds == pytest.approx(1.6)
    level = [float(np.abs(made.samples[24 * at : 24 * (at + 200)]).mean()) for at in (0, 600, 1400)]
    assert level[1] > 10 * max(level[0], level[2], 1e-4)
