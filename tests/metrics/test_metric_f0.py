"""Fundamental frequency: known shifts come back as such, and what is not defined has no value."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from vceval import metrics, registry
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.base import Workspace
from vceval.metrics.f0 import FundamentalFrequency, correlation, f0_statistics
from vceval.metrics.parallel import Recording
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache

RATE = 16_000


def voice(cents: float = 0.0, seconds: float = 1.5, swing: float = 20.0, centre: float = 120.0) -> np.ndarray:
    """A buzz with a moving pitch through moving resonances; silent in the middle."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = (centre + swing * np.sin(2 * np.pi * 1.5 * time)) * 2.0 ** (cents / 1200.0)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant = 900.0 + 500.0 * np.sin(2 * np.pi * 2.3 * time)
    wave = sum((np.exp(-(((k * pitch - formant) / 400.0) ** 2)) + 0.05 / k) * np.sin(k * phase) for k in range(1, 40))
    wave *= np.abs(time / seconds - 0.5) > 0.05
    wave += 1e-3 * np.random.default_rng(0).normal(size=len(time))
    return (0.4 * wave / np.abs(wave).max()).astype(np.float32)


def hiss(seconds: float = 1.5) -> np.ndarray:
    return (0.1 * np.random.default_rng(5).normal(size=int(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("cents", [-300.0, 100.0, 700.0])
def test_a_shift_of_pitch_is_measured_in_cents(cents):
    found = f0_statistics(voice(), voice(cents), RATE)
    assert found["f0_rmse"] == pytest.approx(abs(cents), abs=25.0)
    assert found["f0_corr"] > 0.95
    assert found["f0_vuv"] < 0.1


def test_cents_do_not_depend_on_the_register():
    low = f0_statistics(voice(centre=100.0, swing=10.0), voice(200.0, centre=100.0, swing=10.0), RATE)
    high = f0_statistics(voice(centre=220.0, swing=22.0), voice(200.0, centre=220.0, swing=22.0), RATE)
    assert low["f0_rmse"] == pytest.approx(high["f0_rmse"], abs=25.0)
    hertz = [
        f0_statistics(voice(centre=c, swing=c / 10), voice(200.0, centre=c, swing=c / 10), RATE, recipe="s3prl")
        for c in (100.0, 220.0)
    ]
    assert hertz[1]["f0_rmse"] > 1.7 * hertz[0]["f0_rmse"]  # in Hz it does


def test_itself_is_perfect():
    for recipe in ("default", "s3prl", "freevc"):
        found = f0_statistics(voice(), voice(), RATE, recipe=recipe)
        for name, value in found.items():
            assert value == pytest.approx(1.0 if name in ("f0_corr", "f0_pcc") else 0.0, abs=1e-9), (recipe, name)
    assert set(f0_statistics(voice(), voice(), RATE)) == {"f0_rmse", "f0_corr", "f0_vuv"}
    assert set(f0_statistics(voice(), voice(), RATE, recipe="s3prl")) == {"f0_rmse", "f0_corr", "ddur"}
    assert set(f0_statistics(voice(), voice(), RATE, recipe="freevc")) == {"f0_pcc"}


def test_gain_and_swapping_do_not_matter():
    a, b = voice(), voice(150.0, 1.8)
    plain = f0_statistics(a, b, RATE)
    assert f0_statistics(a, 0.25 * b, RATE) == pytest.approx(plain, rel=0.02)
    assert f0_statistics(b, a, RATE) == pytest.approx(plain, rel=1e-6)


def test_figures_are_those_of_the_definition():
    made = FundamentalFrequency().compare(Recording(Waveform(voice(), RATE)), Recording(Waveform(voice(90.0), RATE)))
    wrong, frames = made.sums["f0_vuv"]
    assert frames == made.details["path"] >= 301
    assert 0 <= wrong <= frames - made.details["voiced"]
    assert made.sums["f0_rmse"][0] >= abs(made.details["mean_shift_cents"])
    assert made.sums["f0_rmse"][1] == made.sums["f0_corr"][1] == 1.0


def test_one_voiced_and_one_not():
    metric = FundamentalFrequency()
    made = metric.compare(Recording(Waveform(voice(), RATE)), Recording(Waveform(hiss(), RATE)))
    assert set(made.sums) == {"f0_vuv"}
    assert made.sums["f0_vuv"][0] / made.sums["f0_vuv"][1] > 0.5
    assert set(made.unmet) == {"f0_rmse", "f0_corr"}
    assert all(need == "voiced" for need, _ in made.unmet.values())
    assert set(f0_statistics(voice(), hiss(), RATE)) == {"f0_vuv"}
    with pytest.raises(ItemError, match="no correlation"):
        f0_statistics(voice(), hiss(), RATE, recipe="freevc")


def test_freevc_takes_harvest_where_the_source_has_no_voice(monkeypatch):
    from scipy.stats import pearsonr

    tracks = {"dio": [np.zeros(50), np.ones(50)], "harvest": [np.arange(50.0), np.arange(60.0) ** 2]}
    monkeypatch.setattr("vceval.metrics.f0_freevc._track", lambda recording, kind: tracks[kind].pop(0))
    metric = registry.load("metric", "f0:freevc")()
    made = metric.compare(*(Recording(Waveform(voice(), RATE)) for _ in range(2)))
    assert made.sums["f0_pcc:freevc"][0] == pytest.approx(pearsonr(np.arange(50.0), np.arange(50.0) ** 2)[0])
    assert made.details == {"frames": 50, "harvest": True}


numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=30)


@given(numbers)
def test_correlation_is_pearsons_or_none(pairs):
    from scipy.stats import pearsonr

    a, b = np.array(pairs, dtype=float).T
    found = correlation(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(pearsonr(a, b)[0], abs=1e-9)
    assert correlation(a[:2], b[:2]) is None


@pytest.mark.parametrize("recipe", sorted(FundamentalFrequency.recipes))
def test_every_recipe_is_a_metric_by_its_name(recipe):
    metric = pickle.loads(pickle.dumps(registry.load("metric", f"f0:{recipe}")()))
    assert metric.name == f"f0:{recipe}"
    assert metric.signature().startswith("F0|f0:" if recipe == "v1" else "F0|tool:")
    assert {measure.name.partition(":")[2] for measure in metric.measures} == {recipe}


def test_default_signature_names_the_choices():
    assert FundamentalFrequency().signature() == (
        "F0|f0:dio+stonemask:71-800Hz|unit:cent|frames:voiced-in-both|corr:log|sr:16000|frame:5ms"
        "|align:world-mcep:order24:alpha0.42:exact"
        "|speech:p56,margin:15.9dB,tail:30dB,hold:200ms,win:20ms,least:40ms,noise:100ms+6dB|v:2.0"
    )


@pytest.fixture
def recordings(tmp_path):
    made = {}
    for name, samples in (("a", voice()), ("b", voice(200.0)), ("c", hiss())):
        made[name] = tmp_path / f"{name}.wav"
        soundfile.write(made[name], samples, RATE, subtype="FLOAT")
    return made


@pytest.mark.parametrize(("name", "role"), [("f0", "reference"), ("f0:freevc", "source")])
def test_metric_equals_function_and_needs_its_counterpart(name, role, recordings, tmp_path):
    metric = registry.load("metric", name)()
    metric.open(Workspace(cache=Cache(tmp_path / "cache")))
    pair = ConversionPair("p1", "toy", **{role: Utterance("u", recordings["a"], "toy", "t")})
    found = metric.statistics(Conversion("s", pair, recordings["b"]))
    expected = metrics.f0_statistics(voice(), voice(200.0), RATE, recipe=name.partition(":")[2] or "default")
    assert {key.partition(":")[0]: above / below for key, (above, below) in found.sums.items()} == pytest.approx(
        expected
    )
    assert metric.needs == {role}
    assert metric.statistics(Conversion("s", pair, recordings["b"])) == found
    with pytest.raises(UnmetNeed, match="p1 has no") as missing:
        metric.statistics(Conversion("s", ConversionPair("p1", "toy"), recordings["b"]))
    assert missing.value.need == role
    with pytest.raises(UnmetNeed, match=f"is the {role} itself"):
        metric.statistics(Conversion("s", pair, recordings["a"]))


def test_missing_measures_survive_the_cache(recordings, tmp_path):
    pair = ConversionPair("p1", "toy", reference=Utterance("u", recordings["a"], "toy", "t"))
    made = []
    for _ in range(2):
        metric = FundamentalFrequency()
        metric.open(Workspace(cache=Cache(tmp_path / "cache")))
        made.append(metric.statistics(Conversion("s", pair, recordings["c"])))
    assert made[0] == made[1]
    assert "c.wav" in made[1].unmet["f0_rmse"][1]


def test_unknown_recipe_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean freevc"):
        f0_statistics(voice(), voice(), RATE, recipe="freevcc")
