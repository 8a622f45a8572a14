"""Mel-cepstral distortion: an exact path, no loudness, and needs that are named."""

from __future__ import annotations

import csv
import itertools
import pickle

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import buzz

from vceval import metrics
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Workspace
from vceval.metrics.dtw import dtw
from vceval.metrics.mcd import MelCepstralDistortion, mel_cepstral_distortion
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal import audio
from vceval.storage.cache import Cache

RATE = 16_000


def paths(rows: int, columns: int) -> list[list[tuple[int, int]]]:
    """Every path from (0, 0) to the last cell."""
    if (rows, columns) == (1, 1):
        return [[(0, 0)]]
    shorter = []
    for a, b in ((1, 0), (0, 1), (1, 1)):
        if rows > a and columns > b:
            shorter += paths(rows - a, columns - b)
    return [[*path, (rows - 1, columns - 1)] for path in shorter]


whole = st.integers(0, 3).map(float)  # whole numbers, so that sums are exact and ties are common


@given(
    first=st.lists(whole, min_size=1, max_size=5),
    second=st.lists(whole, min_size=1, max_size=5),
)
def test_dtw_is_the_best_of_all_paths(first, second):
    a, b = np.array(first)[:, None], np.array(second)[:, None]
    best = min((sum(abs(first[i] - second[j]) for i, j in path), len(path)) for path in paths(len(first), len(second)))
    assert dtw(a, b) == best
    assert dtw(b, a) == best


def test_dtw_of_vectors_uses_euclidean_distance():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(4, 3)), generator.normal(size=(5, 3))
    gaps = np.linalg.norm(a[:, None] - b[None], axis=2)
    best = min((sum(gaps[i, j] for i, j in path), len(path)) for path in paths(4, 5))
    found = dtw(a, b)
    assert found[0] == pytest.approx(best[0])
    assert found[1] == best[1]


def test_dtw_refuses_what_it_can_not_align():
    with pytest.raises(ValueError, match="shapes"):
        dtw(np.zeros((0, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="shapes"):
        dtw(np.zeros((2, 2)), np.zeros((3, 3)))


def test_itself_is_at_distance_zero_and_the_rest_is_symmetric():
    a, b = buzz(seed=1), buzz(seed=2)
    assert mel_cepstral_distortion(a, a, RATE) == 0.0
    assert mel_cepstral_distortion(a, b, RATE) == mel_cepstral_distortion(b, a, RATE)
    assert mel_cepstral_distortion(a, b, RATE) > 2.0


@pytest.mark.parametrize("decibel", [-6.0, -20.0, 4.0])
def test_gain_does_not_matter(decibel):
    # digital silence at both ends and in the middle is where a fixed floor would show
    a, b = (np.concatenate([np.zeros(3000), buzz(seed=s), np.zeros(2000), buzz(0.5, s), np.zeros(999)]) for s in (1, 2))
    gain = 10.0 ** (decibel / 20.0)
    plain = mel_cepstral_distortion(a, b, RATE)
    assert mel_cepstral_distortion(a, gain * a, RATE) < 0.01
    assert mel_cepstral_distortion(gain * a, b, RATE) == pytest.approx(plain, abs=0.01)
    assert mel_cepstral_distortion(a, gain * b, RATE) == pytest.approx(plain, abs=0.01)


def test_sixteen_bit_rounding_at_minus_6_db_is_small():
    a = np.concatenate([np.zeros(3000), buzz(seed=1), np.zeros(2000)])
    rounded = np.round(0.5 * a * 32768) / 32768
    assert mel_cepstral_distortion(a, rounded, RATE) < 0.1


def test_rates_may_differ():
    high = buzz(seed=1, rate=48_000)
    low = audio.resample(audio.Waveform(high, 48_000), 16_000).samples
    assert mel_cepstral_distortion(high, low, 48_000, 16_000) < 0.01
    assert mel_cepstral_distortion(low, high, 16_000, 48_000) < 0.01
    assert mel_cepstral_distortion(high, buzz(seed=2), 48_000, 16_000) > 2.0


def test_known_distance():
    """A first-order filter 1 + a z^-1 adds a known cepstrum: the distance follows from it."""
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.1
    coefficient = 0.5
    filtered = np.convolve(noise, [1.0, coefficient])[: len(noise)]
    orders = np.arange(1, 60)
    frequencies = np.linspace(0.0, np.pi, 20_001)
    gain = np.log(np.abs(1.0 + coefficient * np.exp(-1j * frequencies)))
    alpha = 0.42
    axis = frequencies + 2.0 * np.arctan(alpha * np.sin(frequencies) / (1.0 - alpha * np.cos(frequencies)))
    cepstrum = [2.0 / np.pi * np.trapezoid(gain * np.cos(m * axis), axis) for m in orders[:24]]
    expected = 10.0 * np.sqrt(2.0) / np.log(10.0) * np.linalg.norm(cepstrum)
    assert mel_cepstral_distortion(noise, filtered, RATE) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(RATE), RATE, "silent"),
        (np.full(RATE, np.nan), RATE, "NaN"),
        (np.ones((RATE, 2)), RATE, "mono"),
        (np.ones(100), RATE, "at least"),
        (np.ones(RATE), 4_000, "4000 Hz"),
    ],
)
def test_api_refuses_by_name(samples, rate, message):
    with pytest.raises(ItemError, match=message):
        mel_cepstral_distortion(samples, buzz(), rate, RATE)
    with pytest.raises(ItemError, match=message):
        mel_cepstral_distortion(buzz(), samples, RATE, rate)


@pytest.fixture
def recordings(tmp_path):
    made = {}
    for name, seed in (("reference", 1), ("converted", 2), ("other", 3)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, buzz(seed=seed), RATE, subtype="FLOAT")
        made[name] = path
    return made


def conversion(recordings, test="converted", reference="reference") -> Conversion:
    expected = Utterance("r1", recordings[reference], "toy", "t") if reference else None
    return Conversion("s", ConversionPair("p1", "toy", reference=expected), recordings[test])


def test_metric_equals_function_and_is_cached(recordings, tmp_path, monkeypatch):
    metric = pickle.loads(pickle.dumps(MelCepstralDistortion()))
    cache = Cache(tmp_path / "cache")
    metric.open(Workspace(cache=cache))
    found = metric.statistics(conversion(recordings))
    expected = mel_cepstral_distortion(buzz(seed=1), buzz(seed=2), RATE)
    assert found.sums == {"mcd": (pytest.approx(expected, abs=1e-9), 1.0)}
    assert found.details["path"] >= max(found.details["frames"], found.details["reference_frames"])
    again = MelCepstralDistortion()
    again.open(Workspace(cache=Cache(tmp_path / "cache")))
    monkeypatch.delattr("vceval.signal.world.world_cepstra")  # nothing is left to analyse
    assert again.statistics(conversion(recordings)) == found
    with pytest.raises(AttributeError):
        again.statistics(conversion(recordings, test="other"))


def test_other_parameters_are_other_cache_entries(recordings, tmp_path):
    values = []
    for metric in (MelCepstralDistortion(), MelCepstralDistortion(order=12), MelCepstralDistortion(floor_db=-40.0)):
        metric.open(Workspace(cache=Cache(tmp_path / "cache")))
        values.append(metric.statistics(conversion(recordings)).sums["mcd"][0])
    assert len(set(values)) == 3
    signatures = {m.signature() for m in (MelCepstralDistortion(), MelCepstralDistortion(order=12))}
    assert len(signatures) == 2


def test_needs_a_parallel_reference_and_not_itself(recordings, tmp_path):
    metric = MelCepstralDistortion()
    metric.open(Workspace())
    with pytest.raises(UnmetNeed, match="p1 has no parallel recording") as missing:
        metric.statistics(conversion(recordings, reference=None))
    assert missing.value.need == "reference"
    copy = tmp_path / "copy.wav"
    copy.write_bytes(recordings["reference"].read_bytes())
    with pytest.raises(UnmetNeed, match="is the reference itself"):
        metric.statistics(conversion({**recordings, "converted": copy}))


def test_missing_and_silent_files_are_item_errors(recordings, tmp_path):
    metric = MelCepstralDistortion()
    metric.open(Workspace())
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    for name, message in (("gone.wav", "no such file"), ("silent.wav", "silent")):
        for role in ("converted", "reference"):
            with pytest.raises(ItemError, match=message):
                metric.statistics(conversion({**recordings, role: tmp_path / name}))


def test_signature_names_the_choices():
    assert MelCepstralDistortion().signature() == (
        "MCD|sp:world-power|order:24|alpha:0.42|sr:16000|frame:5ms"
        "|speech:p56,margin:15.9dB,tail:30dB,hold:200ms,win:20ms,least:40ms,noise:100ms+6dB|c0:no|dtw:exact|v:2.0"
    )


def test_functions_are_exported():
    assert metrics.mel_cepstral_distortion is mel_cepstral_distortion
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        metrics.nothing  # noqa: B018


def test_real_speech_at_minus_6_db(shared):
    """Gain alone stays below 0.1 dB, and moves the distance to a conversion by less than 0.05 dB."""
    pack = shared / "published_demos"
    with open(pack / "conversions.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["reference"]]
    for row in itertools.islice(rows, 0, None, 8):
        reference, rate = soundfile.read(pack / row["reference"], dtype="float32")
        test, test_rate = soundfile.read(pack / row["converted"], dtype="float32")
        gain = np.float32(10.0 ** (-6.0 / 20.0))
        assert mel_cepstral_distortion(reference, gain * reference, rate) < 0.01
        plain = mel_cepstral_distortion(reference, test, rate, test_rate)
        assert 3.0 < plain < 15.0
        assert mel_cepstral_distortion(gain * reference, test, rate, test_rate) == pytest.approx(plain, abs=0.01)
        assert mel_cepstral_distortion(reference, gain * test, rate, test_rate) == pytest.approx(plain, abs=0.01)
