"""The sanity metric: every flag on recordings that earn it, none on those that do not."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import hum

from vceval.errors import ItemError
from vceval.metrics.base import Statistics, Workspace
from vceval.metrics.sanity import FLAGS, Sanity, similarity
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL
from vceval.storage.cache import Cache

RATE = 16_000
#: A metric checks what is written: by default 16-bit WAV.
Check = Callable[..., Statistics]


def fade(samples: np.ndarray, seconds: float = 0.1) -> np.ndarray:
    """End softly, as speech does, without an offset."""
    samples = samples - samples.mean()
    size = int(seconds * RATE)
    return samples * np.concatenate([np.ones(len(samples) - size), np.linspace(1, 0, size) ** 2])


SOURCE = fade(hum(1.6, seed=1))
PROMPT = fade(hum(1.7, pitch=210.0, seed=2))
OUTPUT = fade(hum(1.5, pitch=190.0, seed=3))


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Write an output beside its source and prompt, and check it."""
    metric = Sanity()
    metric.open(Workspace(Cache(tmp_path / "cache")))

    def run(
        output: np.ndarray,
        rate: int = RATE,
        subtype: str = "PCM_16",
        source: np.ndarray | None = SOURCE,
        said: str = "a",
        prompt: np.ndarray = PROMPT,
    ) -> Statistics:
        def write(name: str, samples: np.ndarray, rate: int, subtype: str = "PCM_16") -> Path:
            soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
            return tmp_path / name

        given_voice = Utterance("p", write("prompt.wav", prompt, RATE), "d")
        given = None if source is None else Utterance("s", write("source.wav", source, RATE), "d")
        pair = ConversionPair("one", "d", given, (given_voice,), transcript="a")
        return metric.statistics(Conversion("x", pair, write("output.wav", output, rate, subtype), said))

    return run


def flags(found: Statistics) -> list[str]:
    assert found.sums["sanity_flags"] == (float(bool(found.details["flags"])), 1.0)
    return list(found.details["flags"])


def test_a_sound_conversion_bears_no_flag(check: Check) -> None:
    found = check(OUTPUT)
    assert flags(found) == []
    assert found.sums["duration_deviation"] == (pytest.approx(1.6 / 1.5 - 1, abs=0.01), 1.0)
    assert not found.unmet


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: -0.25 * x,
        lambda x: np.concatenate([np.zeros(640), x]),
        lambda x: x[700:],
        lambda x: x + 0.02 * np.random.default_rng(0).standard_normal(len(x)) * x.std(),
    ],
    ids=["same", "upside down and softer", "40 ms later", "start cut by 44 ms", "a little noise"],
)
@pytest.mark.parametrize(("original", "flag"), [(SOURCE, "same as source"), (PROMPT, "same as prompt")])
def test_copies(check: Check, change: Callable[[np.ndarray], np.ndarray], original: np.ndarray, flag: str) -> None:
    assert flags(check(change(original))) == [flag]


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_resampled_copies(check: Check, rate: int) -> None:
    copy = audio.resample(Waveform(SOURCE.astype(np.float32), RATE), rate).samples
    assert flags(check(copy, rate)) == ["same as source", *(["narrow band"] if rate < 16_000 else [])]


def test_a_copy_behind_silence_is_one(check: Check) -> None:
    assert flags(check(np.concatenate([np.zeros(1_600), SOURCE]))) == ["same as source"]
    assert flags(check(np.concatenate([np.zeros(RATE), SOURCE]))) == ["same as source", "added silence"]


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_silence_is_flagged_not_failed(check: Check, level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(RATE)
    assert flags(check(noise, subtype="FLOAT")) == ["mostly silent"]


def test_mostly_silent(check: Check) -> None:
    word = fade(OUTPUT[: RATE // 4])
    parts = [word, np.zeros(int(0.6 * RATE)), word]
    assert flags(check(np.concatenate(parts))) == []  # 55 %
    parts.insert(1, np.zeros(int(0.4 * RATE)))
    assert flags(check(np.concatenate(parts))) == ["mostly silent"]  # 67 %


def test_added_silence(check: Check) -> None:
    for seconds, expected in ((0.4, []), (0.6, ["added silence"])):
        quiet = np.zeros(int(seconds * RATE))
        assert flags(check(np.concatenate([quiet, OUTPUT]))) == expected
        assert flags(check(np.concatenate([OUTPUT, quiet]))) == expected
    assert flags(check(np.concatenate([quiet, OUTPUT]), source=np.concatenate([quiet, SOURCE]))) == []
    assert flags(check(np.concatenate([quiet, OUTPUT]), said="b")) == []


def test_clipping(check: Check) -> None:
    assert flags(check(0.999 * OUTPUT / np.abs(OUTPUT).max())) == []
    found = check(np.clip(6 * OUTPUT, -1, 1))
    assert flags(found) == ["clipped"]
    assert found.details["clipped_share"] > 0.001


def test_runs_of_two_are_no_clipping(check: Check) -> None:
    samples = OUTPUT.copy()
    at = np.arange(100, 20_000, 50)
    samples[at] = samples[at + 1] = 1.0
    assert check(samples).details["clipped_share"] == 0.0
    samples[at + 2] = 1.0
    share = check(samples).details["clipped_share"]
    assert share == pytest.approx(3 * len(at) / len(samples), rel=0.1)
    assert check(0.25 * samples).details["clipped_share"] == pytest.approx(share)  # turned down afterwards


def test_cut_off_unless_the_source_is(check: Check) -> None:
    cut = OUTPUT[: int(1.2 * RATE)]
    assert flags(check(cut)) == ["cut off"]
    assert flags(check(cut, source=SOURCE[: int(1.2 * RATE)])) == []
    assert flags(check(cut, source=None)) == ["cut off"]


@pytest.mark.parametrize(
    ("seconds", "expected", "deviation"),
    [(0.75, ["odd length"], 1.6 / 0.75 - 1), (0.85, [], 0.88), (3.1, [], 0.94), (3.3, ["odd length"], 3.3 / 1.6 - 1)],
)
def test_duration(check: Check, seconds: float, expected: list[str], deviation: float) -> None:
    found = check(fade(hum(seconds, pitch=190.0, seed=3)))
    assert flags(found) == expected
    assert found.sums["duration_deviation"][0] == pytest.approx(deviation, abs=0.05)


def test_values_that_cannot_be(check: Check) -> None:
    loud = 1.2 * OUTPUT / np.abs(OUTPUT).max()
    assert flags(check(loud, subtype="FLOAT")) == ["over full scale"]
    assert flags(check(OUTPUT + 0.02)) == ["DC offset"]
    assert flags(check(OUTPUT - 0.009)) == []


def hiss(samples: np.ndarray, decibel: float, seed: int = 0) -> np.ndarray:
    """Add white noise of so many dB of the speech."""
    level = BY_LEVEL.find(Waveform(samples.astype(np.float32), RATE)).level
    return samples + level * 10 ** (decibel / 20) * np.random.default_rng(seed).standard_normal(len(samples))


def test_noise_that_neither_source_nor_prompt_has(check: Check) -> None:
    words, source, prompt = (np.concatenate([x, np.zeros(RATE // 4), x]) for x in (OUTPUT, SOURCE, PROMPT))
    for decibel, expected in ((-30.0, ["raised noise"]), (-48.0, [])):
        assert flags(check(hiss(words, decibel), source=source, prompt=prompt)) == expected
    assert flags(check(hiss(words, -30.0), source=hiss(source, -30.0, seed=1), prompt=prompt)) == []
    # Who speaks like the target in the prompt may sound like the room of the prompt
    assert flags(check(hiss(words, -30.0), source=source, prompt=hiss(prompt, -30.0, seed=1))) == []


def test_without_source(check: Check) -> None:
    found = check(OUTPUT, source=None)
    assert flags(found) == []
    assert found.unmet["duration_deviation"][0] == "source"
    assert "duration_deviation" not in found.sums


def test_another_text_has_no_duration_to_compare_with(check: Check) -> None:
    found = check(fade(hum(5.0, seed=3)), said="b")
    assert flags(found) == []
    assert found.unmet["duration_deviation"][0] == "reference"


def test_missing_input_is_named(tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    metric = Sanity()
    metric.open(Workspace())
    pair = ConversionPair("one", "d", Utterance("s", tmp_path / "gone.wav", "d"))
    with pytest.raises(ItemError, match=r"gone\.wav: no such file \(needed for pair one\)"):
        metric.statistics(Conversion("x", pair, make_sound()))


def test_cached_facts_give_the_same_result(check: Check) -> None:
    assert check(OUTPUT) == check(OUTPUT)
    assert flags(check(OUTPUT, said="a")) == []


def test_every_parameter_changes_the_signature() -> None:
    usual = Sanity()
    for name, value in vars(usual).items():
        assert replace(usual, **{name: value * 0.7}).signature() != usual.signature(), name
    assert len(set(FLAGS)) == len(FLAGS)
    long = usual.long_signature()
    assert long.startswith(usual.signature())
    assert "|soxr:" in long
    assert "|duration:from the first to the last speech" in long


@settings(max_examples=30)
@given(st.integers(-60, 60), st.floats(0.05, 1.0), st.booleans(), st.integers(0, 5))
def test_similarity_equals_the_correlation_at_the_best_lag(shift: int, gain: float, negative: bool, seed: int) -> None:
    """Against sums written out, at 8 kHz, with lags of up to 5 ms."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(900).astype(np.float32)
    second = rng.standard_normal(900).astype(np.float32) + np.roll(first, shift)
    a = first.astype(float) - first.astype(float).mean()
    b = second.astype(float) - second.astype(float).mean()
    best = 0.0
    for lag in range(-40, 41):
        x, y = a[max(lag, 0) : len(b) + lag], b[max(-lag, 0) : len(a) - lag]
        best = max(best, abs(float(x @ y)) / np.sqrt(float(x @ x) * float(y @ y)))
    other = Waveform((-gain if negative else gain) * second, 8_000)
    found = similarity(Waveform(first, 8_000), other, 0.005)
    assert found == pytest.approx(best, abs=1e-5)
    assert similarity(other, Waveform(first, 8_000), 0.005) == pytest.approx(found, abs=1e-9)


def test_natural_speech_is_hardly_ever_flagged(shared: Path) -> None:
    """Real recordings of four corpora, each as its own source: copies by definition, and nothing else is wrong."""
    metric = Sanity()
    metric.open(Workspace())
    files = sorted([*(shared / "mini_corpora").rglob("*.flac"), *(shared / "mini_corpora").rglob("*.wav")])
    assert len(files) > 100
    odd = []
    for path in files:
        pair = ConversionPair("p", "d", Utterance("s", path, "d"))
        found = flags(metric.statistics(Conversion("source", pair, path)))
        assert found[0] == "same as source"
        odd += [(path.name, flag) for flag in found[1:]]
    assert [flag for _, flag in odd] == ["DC offset"], odd  # one LibriTTS utterance, off by 0.047


def test_no_published_system_is_taken_for_a_copy(shared: Path) -> None:
    metric = Sanity()
    metric.open(Workspace())
    root = shared / "published_demos"
    with open(root / "conversions.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source"] and row["target"]][::4]
    assert len(rows) > 100
    for row in rows:
        source = Utterance("s", root / row["source"], "d")
        target = Utterance("t", root / row["target"].split("|")[0], "d")
        pair = ConversionPair("p", "d", source, (target,))
        found = metric.statistics(Conversion(row["system"], pair, root / row["converted"]))
        assert found.details["source_similarity"] < 0.5
        assert found.details["prompt_similarity"] < 0.5


def speaker_of(path: Path) -> str:
    """Corpus and speaker of a recording of the small corpora."""
    corpus = path.parts[path.parts.index("mini_corpora") + 1]
    voice = {"VCC2020": path.parent.name, "AISHELL-3": path.stem[:7]}.get(corpus, re.split("[-_]", path.stem)[0])
    return f"{corpus} {voice}"


def test_noise_of_natural_speech_is_hardly_ever_raised_and_ten_decibels_are_found(shared: Path, tmp_path: Path) -> None:
    """Recordings as conversions of the next speaker's, with another one of their own speaker as the prompt."""
    metric = Sanity()
    metric.open(Workspace(Cache(tmp_path / "cache")))
    files = sorted([*(shared / "mini_corpora").rglob("*.flac"), *(shared / "mini_corpora").rglob("*.wav")])
    voices: dict[str, list[Path]] = {}
    for path in files:
        voices.setdefault(speaker_of(path), []).append(path)
    judged = raised = found = 0
    names = list(voices)
    for number, (name, other) in enumerate(pairwise([*names, names[0]])):
        for path, prompt in zip(voices[name], voices[name][1:] + voices[name][:1], strict=True):
            source = voices[other][0]
            pair = ConversionPair("p", "d", Utterance("s", source, "d"), (Utterance("t", prompt, "d"),), transcript="a")
            facts = metric.statistics(Conversion("x", pair, path, "b")).details
            judged += 1
            raised += "raised noise" in facts["flags"]
            if judged % 4:
                continue
            wave = audio.load(path)
            level = BY_LEVEL.find(wave).level
            known = max(-50.0, facts["noise_db"], facts["noise_db"] - facts["noise_raised_db"])
            # Noise of this level measures 10.5 to 12 dB above what is known: a floor is what quiet frames hold
            noise = np.random.default_rng(number).standard_normal(len(wave.samples))
            noise *= level * 10 ** ((known + 15.5) / 20) * np.sqrt(wave.sample_rate / 16_000 * 8 / 6.5)
            spoiled = tmp_path / "spoiled.wav"
            soundfile.write(spoiled, wave.samples + noise, wave.sample_rate, subtype="FLOAT")
            found += "raised noise" in metric.statistics(Conversion("x", pair, spoiled, "b")).details["flags"]
    assert judged > 140
    assert raised <= 0.01 * judged
    assert found >= 0.95 * (judged // 4)
