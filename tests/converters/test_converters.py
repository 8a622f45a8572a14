"""The converters that come with vceval: world, the controls, precomputed audio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sounds import hum

from vceval.converters.base import Converter, ConverterInfo, Request
from vceval.converters.controls import Resynthesis, Source, Target
from vceval.converters.native import NativeConverter
from vceval.converters.precomputed import Precomputed
from vceval.converters.world import World, analyse, voice_of
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.records import ConversionPair, Utterance
from vceval.signal.audio import Waveform


@pytest.fixture
def pair(make_sound: Callable[..., Path]) -> ConversionPair:
    def utterance(name: str, pitch: float, seed: int) -> Utterance:
        return Utterance(name, make_sound(f"{name}.wav", pitch=pitch, seed=seed, seconds=1.2), "made up", name[:1])

    reference = utterance("b2", 210.0, 3)
    return ConversionPair(
        "p", "made up", utterance("a1", 120.0, 1), (utterance("b1", 220.0, 2),), reference, reference,
        source_speaker="a", target_speaker="b",
    )  # fmt: skip


def request(pair: ConversionPair, system: str = "row") -> Request:
    return Request(system, pair, 0, Path("unused.wav"))


def median_pitch(wave: Waveform) -> float:
    found = analyse(wave)
    return float(np.median(found.f0[found.voiced]))


def test_world_moves_pitch_to_the_prompt_and_keeps_the_length(pair: ConversionPair) -> None:
    [outcome] = World().convert([request(pair)])
    assert isinstance(outcome, Waveform)
    source, prompt = request(pair).source, request(pair).prompts[0]
    assert len(outcome.samples) == len(source.samples)
    assert outcome.sample_rate == 16_000
    assert median_pitch(outcome) == pytest.approx(median_pitch(prompt), rel=0.08)
    own, wanted, got = (voice_of([analyse(wave)]) for wave in (source, prompt, outcome))

    def distance(voice: object) -> float:
        return float(np.std(voice.log_envelope[:160] - wanted.log_envelope[:160]))  # type: ignore[attr-defined]

    assert distance(got) < distance(own)


def test_world_gives_the_same_audio_in_any_batch(pair: ConversionPair) -> None:
    other = replace(pair, id="q", prompts=(pair.reference,) if pair.reference else ())
    together = World().convert([request(pair), request(other)])
    alone = [World().convert([request(p)])[0] for p in (pair, other)]
    for one, two in zip(together, alone, strict=True):
        assert isinstance(one, Waveform)
        assert isinstance(two, Waveform)
        np.testing.assert_array_equal(one.samples, two.samples)


def test_a_pair_that_world_cannot_convert_leaves_the_others_alone(
    pair: ConversionPair, make_sound: Callable[..., Path], tmp_path: Path
) -> None:
    import soundfile

    noise = tmp_path / "noise.wav"
    soundfile.write(noise, np.random.default_rng(0).normal(0, 0.01, 4_000), 16_000)
    unvoiced = replace(pair, id="n", prompts=(Utterance("n", noise, "made up"),))
    absent = replace(pair, id="m", source=Utterance("m", tmp_path / "none.wav", "made up"))
    outcomes = World().convert([request(unvoiced), request(absent), request(pair)])
    assert isinstance(outcomes[0], ItemError)
    assert "voiced frames" in str(outcomes[0])
    assert isinstance(outcomes[1], ItemError)
    assert "no such file" in str(outcomes[1])
    assert isinstance(outcomes[2], Waveform)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_world_takes_any_rate(rate: int) -> None:
    wave = Waveform(hum(1.0, rate), rate)
    world = World()
    [out] = world.decode([(world.encode_content([wave])[0], world.encode_speaker([[wave]])[0])], [0])
    assert out.sample_rate == 16_000
    assert len(out.samples) == 16_000
    assert np.isfinite(out.samples).all()


def test_controls(pair: ConversionPair) -> None:
    assert pair.source is not None
    assert pair.natural is not None
    assert Source().convert([request(pair)]) == [pair.source.path]
    assert Target().convert([request(pair)]) == [pair.natural.path]
    [again] = Resynthesis().convert([request(pair)])
    assert isinstance(again, Waveform)
    natural = Waveform(hum(1.2, 16_000, 210.0, 3), 16_000)
    assert median_pitch(again) == pytest.approx(median_pitch(natural), rel=0.02)
    assert (Source.text_from, Target.text_from, Resynthesis.text_from) == ("source", "natural", "natural")
    bare = replace(pair, source=None, natural=None)
    for control in (Source, Target, Resynthesis):
        assert isinstance(control().convert([request(bare)])[0], UnmetNeed)


def test_precomputed_finds_files_by_the_published_naming(pair: ConversionPair, tmp_path: Path) -> None:
    folder = tmp_path / "theirs" / "VCTK" / "M2F"
    folder.mkdir(parents=True)
    for letter, system in (("A", "AdaIN"), ("B", "AGAIN")):
        (folder / f"{letter}_{system}_a1TOb1.wav").touch()
    (folder / "a1.wav").touch()
    converter = Precomputed(folder=str(tmp_path / "theirs"), pattern="mae-vc")
    converter.open("cpu")
    assert converter.convert([request(pair, "AGAIN")]) == [folder / "B_AGAIN_a1TOb1.wav"]
    [absent] = converter.convert([request(pair, "FragmentVC")])
    assert "no file fits" in str(absent)
    assert "links" not in str(absent)
    (folder / "C_FragmentVC_a1TOb1.wav").symlink_to(folder.parents[2] / "elsewhere.wav")
    converter.open("cpu")
    [absent] = converter.convert([request(pair, "FragmentVC")])
    assert str(absent).endswith("; links to folders or out of it do not count (1 here)")
    renamed = Precomputed(folder=str(tmp_path / "theirs"), pattern="mae-vc", system="AdaIN")
    renamed.open("cpu")
    assert renamed.convert([request(pair, "my row")]) == [folder / "A_AdaIN_a1TOb1.wav"]


def test_precomputed_finds_the_audio_of_each_seed(pair: ConversionPair, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"p-{number}.wav").touch()
    converter = Precomputed(folder=str(tmp_path), pattern="{pair}-{seed}.{ext}")
    assert converter.info.draws_noise
    assert not Precomputed(folder=str(tmp_path)).info.draws_noise
    converter.open("cpu")
    found = converter.convert([Request("row", pair, 7, Path("unused.wav"), number) for number in range(3)])
    assert found[:2] == [tmp_path / "p-0.wav", tmp_path / "p-1.wav"]
    assert "for source 'a1' and seed 2" in str(found[2])


def test_precomputed_refuses_what_is_ambiguous_or_absurd(pair: ConversionPair, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.wav").touch()
    converter = Precomputed(folder=str(tmp_path))
    converter.open("cpu")
    [outcome] = converter.convert([request(pair)])
    assert "2 files fit" in str(outcome)
    with pytest.raises(UsageError, match="no such folder"):
        Precomputed(folder=str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="every pair would get one file"):
        Precomputed(folder=str(tmp_path), pattern="{system}.wav")


class Counting(Converter):
    """Says whose source and whose prompt it was given."""

    info = ConverterInfo("counting", "Counting", 16_000, "", "", kind="native")

    def __init__(self) -> None:
        self.sources = self.prompts = 0

    def encode_content(self, sources):
        self.sources += len(sources)
        return [wave.samples for wave in sources]

    def encode_speaker(self, prompts):
        self.prompts += len(prompts)
        return [group[0].samples.mean() for group in prompts]

    def decode(self, items, seeds):
        return [Waveform(content * speaker, 16_000) for content, speaker in items]


def utterances(make_sound: Callable[..., Path], kind: str, count: int) -> list[Utterance]:
    return [
        Utterance(f"{kind}{k}", make_sound(f"{kind}{k}.wav", seed=k, seconds=0.1 + 0.01 * k), "toy", f"{kind}{k}")
        for k in range(count)
    ]


def test_a_grid_costs_as_many_encodings_as_it_has_utterances(make_sound):
    grid = [
        request(ConversionPair(f"{s.id}-{t.id}", "toy", source=s, prompts=(t,)))
        for s in utterances(make_sound, "s", 4)
        for t in utterances(make_sound, "t", 5)
    ]
    converter = Counting()
    found = [outcome for start in range(0, 20, 3) for outcome in converter.convert(grid[start : start + 3])]
    assert (converter.sources, converter.prompts) == (4, 5)
    alone = [Counting().convert([one])[0] for one in grid]
    assert all((a.samples == b.samples).all() for a, b in zip(found, alone, strict=True))
    converter.forget()
    converter.convert(grid[:1])
    assert (converter.sources, converter.prompts) == (5, 6)


def test_kept_encodings_are_few_and_those_of_files_as_they_are(make_sound, monkeypatch):
    monkeypatch.setattr(Counting, "encoding_cache_size", 2)
    converter = Counting()
    (target,) = utterances(make_sound, "t", 1)
    sources = utterances(make_sound, "s", 3)
    ask = [request(ConversionPair(f"p{k}", "toy", source=s, prompts=(target,))) for k, s in enumerate(sources)]
    for place in (0, 1, 0, 2, 0, 1):  # the second 1 was dropped for 2: 0 had been used since
        converter.convert([ask[place]])
    assert (converter.sources, converter.prompts) == (4, 1)
    before = converter.convert([request(ask[1].pair)])[0]
    make_sound("s1.wav", seed=9, seconds=0.3)
    after = converter.convert([request(ask[1].pair)])[0]
    assert converter.sources == 5
    assert len(before.samples) != len(after.samples)


def test_a_failure_is_not_kept(make_sound, tmp_path):
    converter = Counting()
    (target,) = utterances(make_sound, "t", 1)
    missing = Utterance("m", tmp_path / "m.wav", "toy", "m")
    pair = ConversionPair("p", "toy", source=missing, prompts=(target,))
    assert isinstance(converter.convert([request(pair)])[0], ItemError)
    make_sound("m.wav")
    assert isinstance(converter.convert([request(pair)])[0], Waveform)


def test_a_network_converter_without_a_step_says_which() -> None:
    class Stepless(NativeConverter):
        info = ConverterInfo("stepless", "Stepless", 16_000, "none", "", "native")

        def load(self) -> None: ...

    wave = Waveform(np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(TypeError, match=r"stepless has neither content\(\) nor encode_content\(\)"):
        Stepless().encode_content([wave])
    with pytest.raises(TypeError, match=r"stepless has neither voice\(\) nor encode_speaker\(\)"):
        Stepless().encode_speaker([[wave]])
