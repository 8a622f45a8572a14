"""What authors of metrics, converters and corpora run in tests of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vceval import registry
from vceval.converters.base import Converter, ConverterInfo
from vceval.corpora.base import Corpus, CorpusInfo
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal.audio import Waveform, load
from vceval.testing import check_converter, check_corpus, check_metric

MakeSound = Callable[..., Path]


@dataclass(frozen=True)
class Level(Metric):
    """Root mean square, for recordings with a transcript."""

    name: ClassVar[str] = "level"
    title: ClassVar[str] = "Level"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"transcript"})
    measures: ClassVar[tuple[Measure, ...]] = (Measure("level", "Level", "", "higher"),)
    source: ClassVar[str] = "nobody"

    def signature(self) -> str:
        return f"LEVEL|v:{self.version}"

    def calibrate(self, dataset: str, natural: Any) -> Mapping[str, Any] | None:
        return {"recordings": len(natural)}

    def statistics(self, conversion: Conversion) -> Statistics:
        if not conversion.transcript:
            raise UnmetNeed("transcript", "no transcript")
        return Statistics({"level": (np.sqrt(np.mean(load(conversion.path).samples ** 2)), 1)})


class NoDirection(Level):
    measures: ClassVar = (Measure("level", "Level", "", "up"),)  # type: ignore[arg-type]
    needs: ClassVar = ["transcript"]


class Misspelt(Level):
    def statistics(self, conversion: Conversion) -> Statistics:
        return Statistics({"levle": (1.0, 1.0)})


class NotFinite(Level):
    def statistics(self, conversion: Conversion) -> Statistics:
        return Statistics({"level": (math.nan, 1.0)})


class Throws(Level):
    def statistics(self, conversion: Conversion) -> Statistics:
        raise KeyError("by mistake")


class Drifts(Level):
    calls: ClassVar[Iterator[int]] = itertools.count()

    def statistics(self, conversion: Conversion) -> Statistics:
        return Statistics({"level": (float(next(self.calls)), 1.0)})


class Unkept(Level):
    def calibrate(self, dataset: str, natural: Any) -> Mapping[str, Any] | None:
        return {"threshold": math.inf}


class Recipes(Level):
    recipes: ClassVar[Mapping[str, str]] = {"here": "test_testing_checks:Level", "gone": "vceval.metrics.base:Gone"}


class Lines(Level):
    def signature(self) -> str:
        return "LEVEL\nv:1"


class Local(Level):
    def __reduce__(self) -> str:
        return "no_such_object"


@pytest.fixture
def conversions(make_sound: MakeSound, tmp_path: Path) -> list[Conversion]:
    pair = ConversionPair("p1", "checked", transcript="words")
    fine = Conversion("mine", pair, make_sound("a.wav"), "words")
    untold = Conversion("mine", replace(pair, id="p2"), make_sound("b.wav"))
    gone = Conversion("mine", replace(pair, id="p3"), tmp_path / "none.wav", "words")
    return [fine, untold, gone]


def test_a_conforming_metric(conversions: list[Conversion], make_sound: MakeSound) -> None:
    natural = [Utterance("n", make_sound("n.wav"), "checked")]
    report = check_metric(Level(), conversions, natural)
    assert report.problems == []
    assert [type(outcome) for outcome in report.outcomes] == [Statistics, UnmetNeed, ItemError]
    assert report.learnt == {"checked": {"recordings": 1}}


@pytest.mark.parametrize("name", ["bandwidth", "sanity", "mcd"])
def test_metrics_of_our_own(name: str, conversions: list[Conversion], make_sound: MakeSound) -> None:
    reference = Utterance("r", make_sound("r.wav", pitch=150.0), "checked")
    given = [replace(one, pair=replace(one.pair, reference=reference)) for one in conversions]
    report = check_metric(registry.load("metric", name)(), given)
    assert report.problems == []
    assert isinstance(report.outcomes[0], Statistics)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (NoDirection(), "needs is ['transcript']: it must be a frozenset"),
        (NoDirection(), "better is 'up': it must be one of lower, higher"),
        (Misspelt(), "pair p1: statistics() names 'levle'; the measures declared are level"),
        (NotFinite(), "pair p1: measure 'level': numerator nan is no finite number"),
        (Throws(), "pair p1 raises KeyError: 'by mistake'"),
        (Drifts(), "pair p1: in another process it gave Statistics("),
        (Unkept(), "calibrate() on checked: calibrate() gave what can't be kept: inf is not finite"),
        (Recipes(), "recipe gone raises AttributeError"),
        (Lines(), "signature() must give one line of text, not 'LEVEL\\nv:1'"),
        (Local(), "sending it to another process raises"),
    ],
)
def test_what_is_wrong_with_a_metric_is_said(
    metric: Metric, words: str, conversions: list[Conversion], make_sound: MakeSound
) -> None:
    found = check_metric(metric, conversions, [Utterance("n", make_sound("n.wav"), "checked")]).problems
    assert any(words in problem for problem in found), found


class Integers(Converter):
    """Gives 16-bit samples."""

    info = ConverterInfo("integers", "Integers", 16_000, "none", "", "native")

    def convert(self, requests: Any) -> Any:
        return [Waveform((request.source.samples * 32767).astype(np.int16), 16_000) for request in requests]


class Titleless(Integers):
    info = ConverterInfo("titleless", "", 16_000, "none", "", "native")


def test_a_converter_that_gives_integers(make_sound: MakeSound) -> None:
    report = check_converter(Integers(), [(make_sound(), [make_sound("b.wav")])])
    assert report.problems == [
        "pair 0: the converter gave samples of type int16; give floats of full scale 1.0 (int16 / 32768)"
    ]
    assert check_converter(Titleless(), []).problems == ["info: title is '': it must be a text"]


class Steady(Converter):
    """Says that it draws no noise."""

    info = ConverterInfo("steady", "Steady", 16_000, "none", "", "native")
    drawn = 0.0

    def convert(self, requests: Any) -> Any:
        noise = [np.float32(self.drawn * np.random.default_rng(request.seed).random()) for request in requests]
        return [Waveform(r.source.samples + drawn, 16_000) for r, drawn in zip(requests, noise, strict=True)]


class Drawing(Steady):
    info = ConverterInfo("drawing", "Drawing", 16_000, "none", "", "native", draws_noise=True)
    drawn = 0.1


class Silent(Drawing):
    drawn = 0.0


class Secretive(Steady):
    drawn = 0.1


class Unsaid(Steady):
    info = ConverterInfo("unsaid", "Unsaid", 16_000, "none", "", "native", draws_noise="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "problems"),
    [
        (Steady, []),
        (Drawing, []),
        (Silent, ["info: draws_noise is True, but another seed gives the same audio"]),
        (Secretive, ["info: draws_noise is False, but another seed gives other audio"]),
        (Unsaid, ["info: draws_noise is 'yes': it must be True or False"]),
    ],
)
def test_what_a_converter_says_of_noise_is_held_against_what_it_does(
    kind: type[Converter], problems: list[str], make_sound: MakeSound
) -> None:
    assert check_converter(kind(), [(make_sound(), [make_sound("b.wav")])]).problems == problems


class Voices(Corpus):
    """Recordings in one folder."""

    info = CorpusInfo("voices", "Voices", ("en",), 16_000, "none", "", "")

    def read(self) -> Iterator[Utterance]:
        for path in sorted(self.root.glob("*.wav")):
            yield Utterance(path.stem, path, "voices", path.stem[0], None, "en")


class Numbered(Voices):
    def read(self) -> Iterator[Any]:
        for number, utterance in enumerate(super().read()):
            yield replace(utterance, id=number, language="fi")  # type: ignore[arg-type]


class Doubled(Voices):
    def read(self) -> Iterator[Any]:
        yield from super().read()
        yield from super().read()
        yield "a.wav"


class Gone(Voices):
    def read(self) -> Iterator[Utterance]:
        yield Utterance("x", self.root / "x.wav", "voices")


class Faster(Voices):
    info = CorpusInfo("faster", "Faster", ("en",), 48_000, "none", "", "")


class Shrinking(Voices):
    left: ClassVar[Iterator[int]] = itertools.count()

    def read(self) -> Iterator[Utterance]:
        return itertools.islice(super().read(), 2 - next(self.left))


class Unnamed(Voices):
    info = CorpusInfo("unnamed", "Unnamed", "en", 16_000, "none", "", "")  # type: ignore[arg-type]


@pytest.fixture
def voices(make_sound: MakeSound, tmp_path: Path) -> Path:
    for name in ("a1", "b1"):
        make_sound(f"{name}.wav")
    return tmp_path


def test_a_conforming_corpus(voices: Path) -> None:
    report = check_corpus(Voices(voices))
    assert report.problems == []
    assert [utterance.id for utterance in report.utterances] == ["a1", "b1"]
    assert check_corpus(registry.load("corpus", "demo")()).problems == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Numbered, "utterance 0 (0): id is 0; give '0'"),
        (Numbered, "utterance 0 (0): language 'fi' is none of info's en"),
        (Doubled, "utterance 2 ('a1'): the id was there before"),
        (Doubled, "utterance 4 ('a.wav'): read() gave a str, not an Utterance; left out"),
        (Gone, "x.wav: no such file"),
        (Faster, "utterance 'a1': 16000 Hz, but info declares 48000 Hz"),
        (Shrinking, "read() yields other utterances the second time, or in another order"),
        (Unnamed, "info: languages is 'en': it must be a tuple of texts"),
    ],
)
def test_what_is_wrong_with_a_corpus_is_said(kind: type[Corpus], words: str, voices: Path) -> None:
    found = check_corpus(kind(voices)).problems
    assert any(words in problem for problem in found), found


def test_an_empty_corpus(tmp_path: Path) -> None:
    assert check_corpus(Voices(tmp_path)).problems == ["read() yields no utterance"]
