"""Speaker verification and fake-speech detection: embeddings, trials, calibration, needs."""

from __future__ import annotations

import csv
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from voices import DATASET, Voices, conversion, corpus, opened

from vceval.errors import ItemError, UnmetNeed
from vceval.metrics import sv_resemblyzer, trials
from vceval.metrics.base import Workspace
from vceval.metrics.fake import FakeDetection
from vceval.metrics.sv import SpeakerVerification, _places
from vceval.networks import ge2e
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.results.summary import shown
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache, file_digest


@pytest.fixture
def voices(tmp_path, monkeypatch):
    made = Voices(tmp_path)
    monkeypatch.setattr(sv_resemblyzer.ResemblyzerEncoder, "embed", lambda self, path: made.embed(path))
    return made


METRICS = (SpeakerVerification, FakeDetection)


@pytest.mark.parametrize("kind", METRICS)
def test_calibration_does_not_depend_on_order(voices, kind):
    natural = corpus(voices, noise=1.5)
    metric = opened(kind(trials=60), natural)
    found = metric.calibrate(DATASET, natural)
    assert metric.calibrate(DATASET, natural[::-1]) == found
    assert found["target_trials"] <= 30
    assert found["nontarget_trials"] == 30
    assert (found["speakers"], found["utterances"], found["unusable"]) == (4, 32, 0)
    assert 0.0 <= found["eer_low"] <= found["eer"] <= found["eer_high"] <= 1.0
    assert found["encoder"].startswith("resemblyzer-")
    json.dumps(found, allow_nan=False)
    other = opened(kind(trials=60, seed=1), natural).calibrate(DATASET, natural)
    assert other["trials_sha256"] != found["trials_sha256"]


@pytest.mark.parametrize("kind", METRICS)
def test_calibration_separates_different_voices(voices, kind):
    natural = corpus(voices, noise=0.1)
    metric = opened(kind(), natural)
    found = metric.calibrate(DATASET, natural)
    assert found["eer"] == found["eer_low"] == 0.0
    assert found["eer_high"] == pytest.approx(1 - 0.025 ** (1 / 4))
    assert 0.5 < found["threshold"] < 1.0
    assert found["threshold_low"] < found["threshold"] < found["threshold_high"]
    if kind is FakeDetection:
        made = metric._trials(trials.embed_natural(natural, metric.encoder, 0))
        edges = made.scores[~made.target].max(), made.scores[made.target].min()
        assert found["threshold"] == pytest.approx(np.mean(edges))


def test_places_lie_between_impostors_and_the_same_speaker(voices):
    natural = corpus(voices, noise=1.0)
    metric = opened(SpeakerVerification(), natural)
    learnt = metric.calibrate(DATASET, natural)
    assert learnt["impostor_mean"] < learnt["threshold"] < learnt["same_mean"]
    assert len(learnt["mean_draws"]) > 100
    assert not {"mean_draws", "same_quantiles"} & shown({"sv": {DATASET: learnt}})["sv"][DATASET].keys()
    ends = np.array([learnt["impostor_mean"], learnt["same_mean"], learnt["same_quantiles"][100], -1.0, 1.0])
    places, among = _places(ends, learnt)
    assert places[:2] == pytest.approx([0.0, 1.0])
    assert among[2:] == pytest.approx([0.5, 0.0, 1.0])


@pytest.mark.parametrize("kind", METRICS)
def test_thresholds_of_resampled_speakers_are_kept(voices, kind):
    natural = corpus(voices, speakers=8, noise=1.5)
    found = opened(kind(), natural).calibrate(DATASET, natural)
    draws = np.array(found["threshold_draws"])
    assert draws.shape == (200,)
    assert np.mean((draws >= found["threshold_low"]) & (draws <= found["threshold_high"])) > 0.9
    assert abs(np.median(draws) - found["threshold"]) < 0.02
    by_name = {measure.name: measure.thresholded for measure in kind.measures}
    assert [score for score in by_name.values() if score] in (["sv_cosine", "sv_source_cosine"], ["fake_score"])
    assert "threshold_draws" not in shown({kind.name: {DATASET: found}})[kind.name][DATASET]


@pytest.mark.parametrize("kind", METRICS)
def test_trials_of_one_gender_are_harder(voices, kind):
    """Voices of a gender are alike here, as they are in life: the threshold between them is higher."""
    plain = corpus(voices, speakers=6, noise=0.4)
    genders = dict(zip([f"s{number}" for number in range(6)], "FFFMMM", strict=True))
    for utterance in plain:
        vector = voices.embeddings[utterance.path] + 0.6 * np.eye(8)[6 + (genders[utterance.speaker] == "M")]
        voices.embeddings[utterance.path] = vector / np.linalg.norm(vector)
    natural = [dataclasses.replace(item, gender=genders[item.speaker]) for item in plain]
    found = opened(kind(), natural).calibrate(DATASET, natural)
    same = found["same_gender"]
    assert same["target_trials"] == found["target_trials"]
    assert 0 < same["nontarget_trials"] < 0.5 * found["nontarget_trials"]
    assert same["eer"] >= found["eer"]
    assert same["threshold"] >= found["threshold"]
    assert "reason" not in same
    unknown = opened(kind(), plain).calibrate(DATASET, plain)["same_gender"]
    assert unknown == {"eer": None, "threshold": None, "reason": "the genders of the speakers are not known"}
    # one speaker of each gender: no such trial; a speaker of two genders is of none
    pair = natural[:8] + natural[24:32]
    alone = opened(kind(), pair).calibrate(DATASET, pair)["same_gender"]
    assert (alone["eer"], alone["threshold"]) == (None, None)
    assert "0 different-speaker trials" in alone["reason"]
    torn = [dataclasses.replace(natural[0], gender="M"), *natural[1:]]
    fewer = opened(kind(), torn).calibrate(DATASET, torn)["same_gender"]
    assert 0 < fewer["nontarget_trials"] < same["nontarget_trials"]


def test_every_pair_is_a_trial_when_there_are_few(voices):
    natural = corpus(voices, speakers=3, count=5)
    found = opened(SpeakerVerification(), natural).calibrate(DATASET, natural)
    assert found["target_trials"] == 3 * 10
    assert found["nontarget_trials"] == 3 * 25


def test_the_error_curve_is_kept_to_be_drawn(voices):
    natural = corpus(voices, speakers=8, count=12)
    found = opened(SpeakerVerification(), natural).calibrate(DATASET, natural)
    curve = {name: np.array(values) for name, values in found["curve"].items()}
    assert {len(values) for values in curve.values()} == {len(curve["thresholds"])}
    assert len(curve["thresholds"]) <= 242
    assert (np.diff(curve["thresholds"]) <= 0).all()
    assert (np.diff(curve["false_alarms"]) >= 0).all()
    assert (np.diff(curve["misses"]) <= 0).all()
    assert (curve["false_alarms"][0], curve["misses"][0]) == (0, 1)
    assert (curve["false_alarms"][-1], curve["misses"][-1]) == (1, 0)
    # it crosses where the two rates are equal
    near = np.argmin(np.abs(curve["false_alarms"] - curve["misses"]))
    assert (curve["false_alarms"][near] + curve["misses"][near]) / 2 == pytest.approx(found["eer"], abs=0.02)


def test_copies_of_a_recording_are_no_trial(voices):
    natural = corpus(voices, speakers=2, count=5)
    copy = Utterance("copy", voices.add("copy", 0, content="s0_0"), DATASET, "s0")
    found = opened(SpeakerVerification(), natural).calibrate(DATASET, [*natural, copy])
    assert file_digest(copy.path) == file_digest(natural[0].path)
    assert found["target_trials"] == 20 + 4  # with the other four of s0, not with its original


def test_draw_is_spread_and_exact(voices):
    natural = corpus(voices, speakers=8, count=12)
    metric = opened(SpeakerVerification(), natural)
    speech = trials.embed_natural(natural, metric.encoder, 0)
    pairs, target = trials.draw_pairs(speech, 200)
    assert (target.sum(), len(target)) == (100, 200)
    assert len({tuple(pair) for pair in pairs.tolist()}) == 200
    same = speech.speaker[pairs[:, 0]] == speech.speaker[pairs[:, 1]]
    assert (same == target).all()
    # every speaker in the draw, no utterance in too large a share of it
    assert len(set(speech.speaker[pairs].ravel().tolist())) == 8
    assert np.bincount(pairs.ravel(), minlength=96).max() < 20
    # a smaller draw is the beginning of a larger one
    fewer, kind = trials.draw_pairs(speech, 40)
    assert (fewer[kind] == pairs[target][:20]).all()


def test_pair_keys_do_not_depend_on_the_side():
    ranks = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    assert (trials.pair_keys(ranks[0], ranks) == trials.pair_keys(ranks, np.full(50, ranks[0]))).all()
    keys = trials.pair_keys(ranks[:, None], ranks[None, :])[np.triu_indices(50, 1)]
    assert len(np.unique(keys)) == len(keys)
    assert 0.4 < np.mean(keys < np.uint64(2**63)) < 0.6


@pytest.mark.parametrize("kind", METRICS)
def test_too_little_natural_speech_is_said(voices, kind):
    natural = corpus(voices, speakers=2, count=2)
    metric = opened(kind(), natural)
    for group, reason in ((natural, "same-speaker trial"), (natural[:2], "1 speaker"), ([], "0 speaker")):
        assert reason in metric.calibrate(DATASET, group)["unavailable"]
    nameless = [Utterance("u", natural[0].path, DATASET)]
    assert "0 speaker" in metric.calibrate(DATASET, nameless)["unavailable"]


@pytest.mark.parametrize("kind", METRICS)
def test_unusable_recordings_are_counted(voices, kind):
    natural = corpus(voices)
    (voices.folder / "broken.wav").write_text("?")
    broken = Utterance("s0_broken", voices.folder / "broken.wav", DATASET, "s0")
    found = opened(kind(), natural).calibrate(DATASET, [*natural, broken])
    assert (found["unusable"], found["utterances"]) == (1, 32)
    with pytest.raises(ItemError, match=r"broken\.wav"):
        opened(kind(), natural).analyse(broken)


def test_sv_counts_trials_with_every_prompt(voices):
    natural = corpus(voices)
    metric = opened(SpeakerVerification(), natural, {DATASET: {"threshold": 0.8}})
    like, unlike = voices.add("like", 0), voices.add("unlike", 1)
    prompts = natural[:3]
    for path in (like, unlike):
        found = metric.statistics(conversion(path, prompts))
        cosines = [float(voices.embeddings[path] @ voices.embeddings[p.path]) for p in prompts]
        assert found.sums["sv_cosine"] == (pytest.approx(sum(cosines)), 3.0)
        assert found.sums["sv_accept"] == (sum(c >= 0.8 for c in cosines), 3.0)
        assert set(found.unmet) == {"sv_source", "sv_source_cosine", "sv_place", "sv_percentile"}
    assert metric.statistics(conversion(like, prompts)).sums["sv_accept"][0] == 3.0
    assert metric.statistics(conversion(unlike, prompts)).sums["sv_accept"][0] == 0.0


def test_sv_without_calibration_still_has_a_cosine(voices):
    natural = corpus(voices)
    path = voices.add("converted", 0)
    for calibrations, reason in (({}, "nothing was calibrated"), ({DATASET: {"unavailable": "too few"}}, "too few")):
        found = opened(SpeakerVerification(), natural, calibrations).statistics(conversion(path, natural[:1]))
        assert set(found.sums) == {"sv_cosine"}
        assert found.unmet["sv_accept"][0] == "calibration"
        assert reason in found.unmet["sv_accept"][1]


def test_sv_makes_no_prompt_up(voices):
    natural = corpus(voices)
    metric = opened(SpeakerVerification(), natural, {DATASET: {"threshold": 0.8}})
    with pytest.raises(UnmetNeed, match="names no prompt") as missing:
        metric.statistics(conversion(voices.add("converted", 0)))
    assert missing.value.need == "target"
    copy = voices.add("copy", 0, content="s0_0")
    with pytest.raises(UnmetNeed, match="is the prompt itself"):
        metric.statistics(conversion(copy, natural[:1]))
    assert metric.statistics(conversion(copy, natural[:3])).sums["sv_cosine"][1] == 2.0
    gone = Utterance("gone", voices.folder / "gone.wav", DATASET, "s0")
    with pytest.raises(ItemError, match="prompt gone of pair p1"):
        metric.statistics(conversion(copy, [gone]))


def test_fake_draws_six_real_recordings_whatever_their_order(voices):
    natural = corpus(voices, count=12)
    path = voices.add("converted", 0)
    found = opened(FakeDetection(), natural).statistics(conversion(path))
    assert opened(FakeDetection(), natural[::-1]).statistics(conversion(path)) == found
    used = found.details["references"]
    assert len(set(used)) == 6
    assert all(name.startswith("s0_") for name in used)
    expected = np.mean([voices.embeddings[path] @ voices.embeddings[voices.folder / f"{n}.wav"] for n in used])
    assert found.sums["fake_score"] == (pytest.approx(expected), 1.0)
    assert opened(FakeDetection(seed=1), natural).statistics(conversion(path)).details["references"] != used


def test_fake_never_compares_a_recording_with_itself(voices):
    natural = corpus(voices, count=7)
    metric = opened(FakeDetection(), natural)
    for utterance in natural[:7]:
        used = metric.statistics(conversion(utterance.path)).details["references"]
        assert len(used) == 6
        assert utterance.id not in used
    copy = voices.add("copy", 0, content="s0_3")
    assert "s0_3" not in metric.statistics(conversion(copy)).details["references"]


def test_fake_takes_what_there_is_and_says_so(voices):
    natural = corpus(voices, count=3)
    path = voices.add("converted", 0)
    (voices.folder / "broken.wav").write_text("?")
    broken = Utterance("s0_broken", voices.folder / "broken.wav", DATASET, "s0")
    found = opened(FakeDetection(), [*natural, broken]).statistics(conversion(path))
    assert sorted(found.details["references"]) == ["s0_0", "s0_1", "s0_2"]


def test_fake_thresholds(voices):
    natural = corpus(voices, noise=0.1)
    metric = FakeDetection()
    learnt = opened(metric, natural).calibrate(DATASET, natural)
    metric = opened(FakeDetection(), natural, {DATASET: learnt})
    like, unlike = voices.add("like", 0, 0.1), voices.add("unlike", 1, 0.1)
    for path, real in ((like, 1.0), (unlike, 0.0)):
        found = metric.statistics(conversion(path))
        assert found.sums["fake_accept"] == found.sums["fake_accept_calibrated"] == (real, 1.0)
    found = opened(FakeDetection(), natural).statistics(conversion(like))
    assert found.unmet["fake_accept_calibrated"][0] == "calibration"


def test_fake_needs_natural_speech_of_the_target(voices):
    natural = corpus(voices)
    metric = opened(FakeDetection(), natural)
    path = voices.add("converted", 0)
    for target, reason in ((None, "does not name"), ("nobody", "no natural speech of speaker 'nobody'")):
        with pytest.raises(UnmetNeed, match=reason) as missing:
            metric.statistics(conversion(path, target=target))
        assert missing.value.need == "natural"


def test_fake_calibration_excludes_the_recording_itself(voices):
    """With two recordings a speaker, a same-speaker score is the cosine with the only other one."""
    natural = corpus(voices, speakers=6, count=2, noise=1.0)
    metric = opened(FakeDetection(), natural)
    speech = trials.embed_natural(natural, metric.encoder, 0)
    made = metric._trials(speech)
    assert made.target.sum() == 12
    assert len(made.target) == 12 + 12 * 5
    for score, target, (utterance, speaker) in zip(made.scores, made.target, made.names, strict=True):
        if target:
            other = f"{speaker}_{1 - int(utterance[-1])}"
            assert score == pytest.approx(
                voices.embeddings[voices.folder / f"{utterance}.wav"]
                @ voices.embeddings[voices.folder / f"{other}.wav"]
            )


@pytest.mark.parametrize("kind", METRICS)
def test_metrics_travel_to_workers_and_name_their_choices(kind):
    metric = pickle.loads(pickle.dumps(kind(seed=3)))
    assert metric == kind(seed=3)
    assert "enc:resemblyzer-" in metric.signature()
    assert "seed:3" in metric.signature()
    with pytest.raises(RuntimeError, match="before open"):
        _ = metric.encoder


def test_noise_without_speech_is_an_item_error(tmp_path):
    path = tmp_path / "click.wav"
    samples = np.zeros(16_000, dtype=np.float32)
    samples[8_000] = 0.5
    soundfile.write(path, samples, 16_000)
    with pytest.raises(ItemError, match=r"click\.wav: the voice activity detector finds no speech"):
        sv_resemblyzer.ResemblyzerEncoder(Cache(None)).embed(path)


@pytest.mark.parametrize(
    ("samples", "starts"),
    [(1, [0]), (25_600, [0]), (31_519, [0]), (31_520, [0, 77]), (43_839, [0, 77]), (43_840, [0, 77, 154])],
)
def test_windows_cover_three_quarters_or_are_dropped(samples, starts):
    found = ge2e.windows(samples)
    assert found == starts
    assert len(found) == 1 or samples - found[-1] * 160 >= 0.75 * 25_600


def test_quiet_speech_is_raised_and_loud_left_alone(make_sound):
    samples, rate = soundfile.read(make_sound(seconds=2.0), dtype="float32")
    loud = sv_resemblyzer.trim_and_level(Waveform(samples, rate)).samples
    quiet = sv_resemblyzer.trim_and_level(Waveform(samples * np.float32(1e-3), rate)).samples
    assert np.abs(loud).max() == pytest.approx(np.abs(samples).max())
    level = 10 * np.log10(np.mean(quiet**2))
    assert level == pytest.approx(-30.0, abs=1.0)


def gold(shared: Path):
    stored = np.load(shared / "gold" / "speaker_embeddings.npz")
    return [str(name) for name in stored["files"]], stored["embeddings"], stored["cosine"]


def test_embeddings_equal_resemblyzer(shared, tmp_path):
    names, expected, cosine = gold(shared)
    encoder = sv_resemblyzer.ResemblyzerEncoder(Cache(tmp_path))
    found = np.array([encoder.embed(shared / "published_demos" / name) for name in names])
    assert len(found) == 30
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found @ found.T - cosine).max() < 1e-5
    again = sv_resemblyzer.ResemblyzerEncoder(Cache(tmp_path))
    again._compute = None  # type: ignore[method-assign,assignment]  # the cache knows them all
    assert (np.array([again.embed(shared / "published_demos" / name) for name in names]) == found).all()


def test_fake_demo_scores(shared):
    """With the demo's six references the scores are those of Resemblyzer's own code."""
    expected = json.loads((shared / "gold" / "speaker_fake.json").read_text())
    pack = shared / "published_demos"
    natural = [Utterance(name, pack / name, "LibriSpeech", "1998") for name in expected["reference"]]
    metric = FakeDetection.of_recipe("resemblyzer")(threshold=expected["threshold_in_the_demo"])
    metric.open(Workspace(natural=natural))
    for test in expected["tests"]:
        pair = ConversionPair("p", "LibriSpeech", target_speaker="1998")
        found = metric.statistics(Conversion("x", pair, pack / test["file"]))
        assert found.sums["fake_score:resemblyzer"][0] == pytest.approx(test["score"], abs=1e-5)
        assert found.sums["fake_accept:resemblyzer"][0] == test["above_084"]


def test_calibration_on_real_speech(shared, tmp_path):
    with open(shared / "published_demos" / "natural_speech.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "LibriSpeech-test-other"]
    natural = [
        Utterance(row["file"], shared / "published_demos" / row["file"], "LibriSpeech", row["speaker"]) for row in rows
    ]
    cache = Cache(tmp_path)
    for kind in METRICS:
        metric = kind()
        metric.open(Workspace(cache=cache, natural=natural))
        found = metric.calibrate("LibriSpeech", natural)
        assert found["eer"] < 0.1
        assert 0.5 < found["threshold"] < 0.9


def test_calibration_on_published_demos(shared, tmp_path):
    """VCC2020: a gap between the speakers, and its middle. VCTK: errors, and more of them within a gender."""
    pack, natural = shared / "published_demos", []
    with open(pack / "natural_speech.csv", newline="") as stream:
        for row in csv.DictReader(stream):
            utterance = Utterance(row["file"], pack / row["file"], row["dataset"], row["speaker"], row["gender"])
            natural += [utterance] * (row["dataset"] in ("VCC2020", "VCTK"))
    metric = SpeakerVerification.of_recipe("resemblyzer")()
    metric.open(Workspace(cache=Cache(tmp_path), natural=natural))
    gap, errors = (
        metric.calibrate(name, [item for item in natural if item.dataset == name]) for name in ("VCC2020", "VCTK")
    )
    assert (gap["eer"], gap["eer_low"], gap["eer_high"]) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 8)))
    assert gap["threshold"] == pytest.approx((0.7326 + 0.7666) / 2, abs=1e-4)
    assert gap["threshold_low"] < 0.7406 < gap["threshold_high"]  # s3prl's
    assert (errors["eer"], errors["threshold"]) == (pytest.approx(8 / 142), pytest.approx(0.6969, abs=1e-4))
    same = errors["same_gender"]
    assert (same["eer"], same["threshold"]) == (pytest.approx(0.0634, abs=1e-4), pytest.approx(0.7138, abs=1e-4))
