"""Recipes of MCD by their definitions, and against the packages themselves where these are installed."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sounds import buzz

from vceval import metrics, registry
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.base import Workspace
from vceval.metrics.dtw import dtw, dtw_path, fastdtw
from vceval.metrics.mcd import MelCepstralDistortion
from vceval.metrics.parallel import Recording, resample_by_ratio
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache

RATE = 16_000
RECIPES = sorted(MelCepstralDistortion.recipes)


def frames(depth: int):
    values = st.integers(0, 3).map(float)
    return st.integers(1, 40).flatmap(lambda n: arrays(np.float64, (n, depth), elements=values))


@settings(deadline=None, max_examples=150)
@given(first=frames(1), second=frames(1), radius=st.integers(1, 4))
def test_fastdtw_takes_the_paths_of_the_package(first, second, radius):
    """Whole numbers on one axis: distances are exact and ties abound, so every rule for ties shows."""
    package = pytest.importorskip("fastdtw.fastdtw")
    total, path = package.fastdtw(first, second, radius=radius, dist=lambda a, b: abs(a[0] - b[0]))
    found = fastdtw(first, second, radius)
    assert found[0] == total
    assert [tuple(step) for step in found[1].tolist()] == path


@settings(deadline=None, max_examples=150)
@given(first=frames(2), second=frames(2), radius=st.integers(1, 4))
def test_paths_are_paths_and_none_beats_the_exact_one(first, second, radius):
    exact, length = dtw(first, second)
    for total, path in (dtw_path(first, second), fastdtw(first, second, radius)):
        assert path[0].tolist() == [0, 0]
        assert path[-1].tolist() == [len(first) - 1, len(second) - 1]
        assert {tuple(step) for step in np.diff(path, axis=0).tolist()} <= {(0, 1), (1, 0), (1, 1)}
        gaps = first[path[:, 0]] - second[path[:, 1]]
        assert np.sqrt((gaps**2).sum(axis=1)).sum() == pytest.approx(total, abs=1e-9)
        assert exact <= total + 1e-9
    assert dtw_path(first, second)[0] == exact
    assert len(dtw_path(first, second)[1]) == length
    wide = fastdtw(first, second, max(len(first), len(second)))
    assert wide[0] == pytest.approx(exact, abs=1e-9)


def test_fastdtw_refuses_what_it_can_not_align():
    with pytest.raises(ValueError, match="shapes"):
        fastdtw(np.zeros((0, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="radius 0"):
        fastdtw(np.zeros((2, 2)), np.zeros((3, 2)), 0)


@pytest.mark.parametrize(("mode", "recipe"), [("plain", "pymcd-plain"), ("dtw", "pymcd"), ("dtw_sl", "pymcd-sl")])
def test_pymcd_itself(mode, recipe, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pymcd.mcd")
        made = []
        for seed, rate in ((1, 22_050), (2, 24_000)):
            path = tmp_path / f"{seed}.wav"
            soundfile.write(path, np.concatenate([np.zeros(999), buzz(0.7 + 0.2 * seed, seed, rate)]), rate)
            made.append(path)
        expected = package.Calculate_MCD(MCD_mode=mode).calculate_mcd(*map(str, made))
    found = registry.load("metric", f"mcd:{recipe}")().compare(*map(Recording, made))
    assert found.sums[f"mcd:{recipe}"][0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_a_metric_by_its_name(recipe):
    metric = pickle.loads(pickle.dumps(registry.load("metric", f"mcd:{recipe}")()))
    assert metric.name == f"mcd:{recipe}"
    assert metric.signature().startswith("MCD|sp:" if recipe == "v1" else "MCD|tool:")
    assert metric.needs == {"reference"}
    assert {measure.name.partition(":")[2] for measure in metric.measures} == {recipe}


def test_signatures_and_measures_differ():
    made = [registry.load("metric", f"mcd:{recipe}")() for recipe in RECIPES] + [MelCepstralDistortion()]
    assert len({metric.signature() for metric in made}) == len(made)
    names = [measure.name for metric in made for measure in metric.measures]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("recipe", RECIPES)
def test_itself_is_at_distance_zero_and_others_are_not(recipe):
    a, b = buzz(1.0, seed=1), buzz(1.0, seed=2)
    assert metrics.mel_cepstral_distortion(a, a, RATE, recipe=recipe) == pytest.approx(0.0, abs=1e-9)
    assert metrics.mel_cepstral_distortion(a, b, RATE, recipe=recipe) > 0.5


def test_recipes_that_count_loudness_and_the_default_that_does_not():
    a = buzz(1.0, seed=1)
    values = {name: metrics.mel_cepstral_distortion(a, 0.5 * a, RATE, recipe=name) for name in ("default", *RECIPES)}
    still = {name for name, value in values.items() if value < 0.1}
    assert still == {"default", "mel-cepstral-distance", "v1"}


def test_length_ratio_is_all_that_sl_adds():
    a, b = buzz(1.0, 1), buzz(1.3, 2)
    plain, scaled = (metrics.mel_cepstral_distortion(a, b, RATE, recipe=name) for name in ("pymcd", "pymcd-sl"))
    assert scaled / plain == pytest.approx(261 / 201)


def test_penalty_counts_repeated_frames():
    metric = registry.load("metric", "mcd:mel-cepstral-distance")()
    a, b = (Recording(Waveform(buzz(seconds, 1), RATE)) for seconds in (1.0, 1.3))
    assert metric.compare(a, a).sums["penalty:mel-cepstral-distance"] == (0.0, 1.0)
    made = metric.compare(a, b)
    lengths = made.details["frames"] + made.details["reference_frames"]
    assert made.sums["penalty:mel-cepstral-distance"][0] == pytest.approx(2.0 - lengths / made.details["path"])
    assert made.sums["penalty:mel-cepstral-distance"][0] > 0.1


def test_versa_refuses_lengths_that_differ():
    a = buzz(1.0, 1)
    assert metrics.mel_cepstral_distortion(a, buzz(1.2, 2), RATE, recipe="versa") > 1.0
    with pytest.raises(ItemError, match=r"281 frames against 201 .* mcd:s3prl"):
        metrics.mel_cepstral_distortion(a, buzz(1.4, 2), RATE, recipe="versa")


def test_recordings_too_short_for_a_window_are_named():
    short = buzz(0.06, 1, 96_000)  # long enough at no rate that the recipes use
    with pytest.raises(ItemError, match="at least"):
        metrics.mel_cepstral_distortion(short, buzz(1.0), 96_000, RATE, recipe="dsm")


def test_unknown_recipe_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean pymcd"):
        metrics.mel_cepstral_distortion(buzz(1.0), buzz(1.0, seed=1), RATE, recipe="pymdc")


def test_sixteen_bit_lowest_value_does_not_set_the_peak():
    a = np.round(buzz(1.0, seed=1) * 16384).astype(np.float32) / 32768
    b = a.copy()
    b[100] = -1.0
    clipped = metrics.mel_cepstral_distortion(a, b, RATE, recipe="mel-cepstral-distance")
    b[100] = 1.0 - 1 / 32768
    assert clipped < metrics.mel_cepstral_distortion(a, b, RATE, recipe="mel-cepstral-distance")


def test_resampled_length_follows_the_rounded_ratio():
    wave = Waveform(buzz(1176 / 22_050, 1, 22_050), 22_050)
    assert len(wave.samples) == 1176
    ours, theirs = audio.resample(wave, 24_000), resample_by_ratio(wave, 24_000)
    assert (len(ours.samples), len(theirs.samples)) == (1280, 1281)
    assert np.array_equal(theirs.samples[:-1], ours.samples)
    assert theirs.samples[-1] == 0.0


def test_recipes_share_analyses_through_the_cache(tmp_path, monkeypatch):
    for name, seed in (("a", 1), ("b", 2)):
        soundfile.write(tmp_path / f"{name}.wav", buzz(1.0, seed=seed), RATE, subtype="FLOAT")
    reference = Utterance("a", tmp_path / "a.wav", "toy", "t")
    conversion = Conversion("s", ConversionPair("p", "toy", reference=reference), tmp_path / "b.wav")
    made = {}
    for name in ("mcd:pymcd", "mcd:pymcd-sl", "mcd", "f0"):
        metric = registry.load("metric", name)()
        metric.open(Workspace(cache=Cache(tmp_path / "cache")))
        with monkeypatch.context() as patch:
            if name in ("mcd:pymcd-sl", "f0"):  # the metric before has left all that it needs
                patch.setattr("vceval.signal.world.world_analysis", lambda *_: pytest.fail("analysed twice"))
            made[name] = metric.statistics(conversion)
    assert made["mcd:pymcd"].sums["mcd:pymcd"] == made["mcd:pymcd-sl"].sums["mcd:pymcd-sl"]
    assert metrics.mel_cepstral_distortion(buzz(1.0, seed=1), buzz(1.0, seed=2), RATE, recipe="pymcd") == pytest.approx(
        made["mcd:pymcd"].sums["mcd:pymcd"][0], abs=1e-12
    )


def test_recipe_needs_a_parallel_reference(tmp_path):
    metric = registry.load("metric", "mcd:s3prl")()
    metric.open(Workspace())
    with pytest.raises(UnmetNeed, match="no parallel recording"):
        metric.statistics(Conversion("s", ConversionPair("p", "toy"), tmp_path / "a.wav"))
