"""Default measures are moved by speech alone: not by gain, silence, polarity, channels or container."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from vceval import registry
from vceval.benchmarks.invariance import predictors, table
from vceval.corpora.demo import Demo
from vceval.metrics.base import Measure
from vceval.metrics.mcd import mel_cepstral_distortion
from vceval.metrics.opinion import OpinionPredictor
from vceval.metrics.sanity import Sanity
from vceval.signal import audio
from vceval.signal.audio import Waveform

#: What a measure may move by, as tables print it.
ALLOWED = {
    "MCD (dB)": 0.05, "F0 RMSE (cent)": 5.0, "F0 corr.": 0.01, "V/UV errors (%)": 0.5,
    "SV acc. (%)": 0.0, "SV cos.": 0.01, "Src. acc. (%)": 0.0, "Src. cos.": 0.01,
    "SV place": 0.05, "SV pct. (%)": 10.0,  # what 0.01 of a cosine is, at most
    "Fake score": 0.01, "Real at 0.84 (%)": 0.0, "Real (cal.) (%)": 0.0, "Fake AUC": 0.01, "Target side (%)": 0.0,
    "Flags (%)": 0.0, "Dur. dev. (%)": 0.5, "Bandw. (kHz)": 0.0,
}  # fmt: skip
#: A published model, taken as it is; its own test is below. 16 bits at -30 dB are other audio: noise 42 dB below it.
MOVED = ("mos",)
CHANGES = [change for change in table.CHANGES if change.column != "16 bit at −30 dB"]


def test_every_metric_is_looked_at():
    own = [name for name in registry.names("metric") if registry.origin("metric", name).startswith("vceval.")]
    assert sorted(own) == sorted([*FAST, *HEARD, *MOVED])


FAST = ("bandwidth", "f0", "fake", "mcd", "sanity", "sv")
HEARD = ("cer", "wer")


def test_three_recordings_of_the_demo_corpus():
    found = table.moves(FAST, Demo(), 3, CHANGES)
    assert len(found) >= 15
    for label, by_column in found.items():
        for column, move in by_column.items():
            assert move <= ALLOWED[label] + 1e-9, (label, column, move)


def test_what_moves_a_predictor_is_said_by_its_signature():
    """The quick one; the command does it for all that can be used."""
    if "mos:distill" not in predictors.usable(["mos:distill"])[0]:
        pytest.skip("the extra 'mos' is not installed")
    found = predictors.self_test("mos:distill", Demo(), 1)
    assert predictors.moved(found) == predictors.declared("mos:distill") == ("padding", "polarity", "rate")
    assert all(found["DistillMOS (package)"][kind] == 0.0 for kind in predictors.SAME)


def test_the_self_test_sees_what_a_signature_hides(monkeypatch, capsys):
    """A predictor of loudness: gain moves it, and what it says of itself does not."""
    monkeypatch.setattr(registry, "load", lambda kind, name, load=registry.load: Loud)
    monkeypatch.setattr(table, "make_metric", lambda name, parameters: Loud())
    assert predictors.main(["--metrics", "loud", "--recordings", "1"]) == 1
    told = capsys.readouterr().out
    assert "| Loud | 0 | 0 | 0 | 2 | " in told
    assert "loud: moved by gain; its signature says none" in told


@dataclass(frozen=True)
class Loud(OpinionPredictor):
    name: ClassVar[str] = "mos:loud"
    title: ClassVar[str] = "Loudness"
    version: ClassVar[str] = "1.0"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("loud", "Loud", "", "higher", question="quality"),)
    source: ClassVar[str] = "nobody"
    moved_by: ClassVar[tuple[str, ...]] = ()
    kept_as: ClassVar[str] = "loud"

    def predict(self, wave: Waveform) -> dict[str, float]:
        return {"opinion": float(np.log10(np.square(wave.samples, dtype=np.float64).sum() / wave.sample_rate))}


def test_what_the_recogniser_hears(monkeypatch, tmp_path):
    """PocketSphinx, as it adapts to what it hears: the hardest changes only, as it is slow."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VCEVAL_WHISPER", raising=False)
    hard = [
        one
        for one in CHANGES
        if (one.column, one.name[:3]) in {("gain", "-30"), ("zeros", "3 s"), ("own noise", "3 s")}
    ]
    assert len(hard) == 3
    for label, by_column in table.moves(HEARD, Demo(), 3, hard).items():
        assert set(by_column.values()) == {0.0}, label


def demo(count: int) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """References and what stands for their conversions."""
    made = []
    for pair, path in table.parallel_pairs(list(Demo().utterances()), count):
        samples, rate = soundfile.read(path)
        made.append((soundfile.read(pair.reference.path)[0], samples, rate))
    return made


@pytest.mark.parametrize(("level", "seconds"), [(0.03, 3.0), (0.008, 1.5)])
def test_silence_hides_nothing(level, seconds):
    """Hiss, behind silence or under it, costs what it costs without; version 1 rewarded the silence with more."""
    for reference, samples, rate in demo(3):
        noise = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt(np.mean(samples**2)) * level
        silence = np.zeros(int(seconds * rate))
        bare = mel_cepstral_distortion(reference, samples + noise, rate)
        hidden = mel_cepstral_distortion(reference, np.concatenate([silence, samples + noise]), rate)
        assert hidden == pytest.approx(bare, abs=0.05)


def test_hiss_behind_silence_is_worse(shared):
    """Conversions of published systems: what a regression gate must see."""
    root, changes = shared / "published_demos", []
    with open(root / "conversions.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["reference"] and row["transcript"]][:6]
    for row in rows:
        reference, test = audio.load(root / row["reference"]), audio.load(root / row["converted"])
        noise = np.random.default_rng(0).standard_normal(len(test.samples)) * np.sqrt(np.mean(test.samples**2)) * 0.03
        hidden = np.concatenate([np.zeros(3 * test.sample_rate), test.samples + noise])
        rates = (reference.sample_rate, test.sample_rate)
        usual, worse = (mel_cepstral_distortion(reference.samples, x, *rates) for x in (test.samples, hidden))
        changes.append(worse - usual)
    assert min(changes) > 0.3


def test_pauses_that_are_stretched_do_not_matter():
    for reference, samples, rate in demo(3):
        two = np.concatenate([samples, np.zeros(rate // 2), samples])
        more = np.concatenate([samples, np.zeros(2 * rate), samples])
        twice = np.concatenate([reference, np.zeros(rate // 2), reference])
        usual = mel_cepstral_distortion(twice, two, rate)
        assert mel_cepstral_distortion(twice, more, rate) == pytest.approx(usual, abs=0.05)


def test_flags_of_background_and_silence(tmp_path):
    """A whine, hiss and silence raise their own flags and no other, whatever the gain, and padding hides none."""
    pair, path = table.parallel_pairs(list(Demo().utterances()), 1)[0]
    samples, rate = soundfile.read(path)
    power, time = np.sqrt(np.mean(samples**2)), np.arange(len(samples)) / rate
    whine = samples + 0.03 * power * np.sin(2 * np.pi * 3_000 * time)
    hiss = samples + 0.04 * power * np.random.default_rng(0).standard_normal(len(samples))
    metric = Sanity()
    metric.open(table.Workspace())
    for number, (sound, expected) in enumerate(((samples, []), (whine, ["steady tone"]), (hiss, ["raised noise"]))):
        for decibel, pad in ((0.0, 0.0), (-20.0, 0.0), (0.0, 2.0)):
            file = tmp_path / f"{number}{decibel}{pad}.wav"
            soundfile.write(file, np.pad(sound * 10 ** (decibel / 20), int(pad * rate)), rate, subtype="FLOAT")
            found = metric.statistics(table.Conversion("x", pair, file, pair.transcript)).details["flags"]
            assert [flag for flag in found if flag != "added silence"] == expected, (expected, decibel, pad)
            assert ("added silence" in found) == (pad > 0.0)
