"""Speaker verification: leakage of the source, published thresholds, real against converted speech."""

from __future__ import annotations

import dataclasses

import pytest
from voices import DATASET, Voices, conversion, corpus, opened

from vceval import registry
from vceval.errors import UnmetNeed, UsageError
from vceval.metrics import sv_resemblyzer
from vceval.metrics.sv import PUBLISHED, SpeakerVerification, SpoofVerification, check_threshold, published_threshold
from vceval.records import Utterance
from vceval.statistics.calibrations import threshold_variance


@pytest.fixture
def voices(tmp_path, monkeypatch):
    made = Voices(tmp_path)
    monkeypatch.setattr(sv_resemblyzer.ResemblyzerEncoder, "embed", lambda self, path: made.embed(path))
    return made


def test_leakage_of_the_source(voices):
    natural = corpus(voices, noise=0.1)
    metric = opened(SpeakerVerification(), natural, {DATASET: {"threshold": 0.8}})
    prompts, source = natural[:2], natural[8]
    for speaker, leaks in ((0, 0.0), (1, 1.0)):
        path = voices.add(f"converted{speaker}", speaker, 0.1)
        found = metric.statistics(conversion(path, prompts, source=source))
        assert found.sums["sv_source"] == (leaks, 1.0)
        assert found.sums["sv_accept"] == (2.0 * (1.0 - leaks), 2.0)
        expected = voices.embeddings[path] @ voices.embeddings[source.path]
        assert found.sums["sv_source_cosine"] == (pytest.approx(expected), 1.0)
        assert set(found.unmet) == {"sv_place", "sv_percentile"}  # the calibration is a threshold alone


def test_what_leakage_needs(voices):
    natural = corpus(voices)
    prompts, source = natural[:1], natural[8]
    calibrated = opened(SpeakerVerification(), natural, {DATASET: {"threshold": 0.8}})
    path = voices.add("converted", 0)
    (voices.folder / "broken.wav").write_text("?")
    broken = Utterance("broken", voices.folder / "broken.wav", DATASET, "s1")
    copy = voices.add("copy", 1, content=source.path.read_text())
    for metric, scored, given, need in (
        (calibrated, path, None, "source"),
        (calibrated, path, broken, "source"),
        (calibrated, source.path, source, "other"),
        (calibrated, copy, source, "other"),
        (opened(SpeakerVerification(), natural), path, source, "calibration"),
    ):
        found = metric.statistics(conversion(scored, prompts, source=given))
        assert found.unmet["sv_source"][0] == need
        assert "sv_source" not in found.sums
        # the cosine itself needs no threshold
        assert ("sv_source_cosine" in found.sums) == (need == "calibration")
        assert "sv_cosine" in found.sums


def test_published_thresholds_stay_with_their_encoder_and_corpus():
    assert published_threshold("tzuhsien", "VCTK 0.92") == 0.6898
    assert published_threshold("tzuhsien-libritts", "LibriTTS") == 0.6540
    assert published_threshold("tzuhsien-libritts", "VCTK 0.92") is None
    assert published_threshold("mediumvc", "LibriSpeech") == 0.337
    assert published_threshold("tzuhsien", "vceval demo corpus") is None
    for name, threshold in (
        ("VCTK-Corpus-0.92", 0.6898), ("vctk080", 0.6898), ("CMU-ARCTIC", 0.7061), ("cmu_arctic", 0.7061),
        ("libritts", 0.6540), ("LibriSpeech-test-other", 0.6950), ("LibriTTS-to-VCTK", None), ("LibriTTS-R", None),
        ("VCTK2", None), ("VoxCeleb2", None), ("my VCTK", None), ("", None),
    ):  # fmt: skip
        assert published_threshold("tzuhsien", name) == threshold, name
    assert published_threshold("s3prl-task2", "VCC2020-crosslingual") == 0.7492
    for name, encoder in (("calibrated", "any"), ("mediumvc", "dvector"), ("s3prl-task2", "resemblyzer")):
        check_threshold(name, encoder)
    for name, encoder in (("mediumvc-vctk", "resemblyzer"), ("tzuhsien", "dvector"), ("s3prl-task1", "ecapa")):
        with pytest.raises(UsageError, match="another speaker encoder"):
            check_threshold(name, encoder)
    for name in ("s3prl", "medium", ""):  # s3prl has two for one corpus: the task must be named
        with pytest.raises(UsageError, match=r"unknown threshold .*mediumvc-vctk"):
            check_threshold(name, "resemblyzer")
    assert {entry.encoder for entry in PUBLISHED.values()} == {"dvector", "resemblyzer"}


def test_a_published_threshold_decides(voices):
    natural = [dataclasses.replace(utterance, dataset="VCTK 0.92") for utterance in corpus(voices, noise=0.1)]
    metric = opened(registry.load("metric", "sv:tzuhsien")(), natural, {"VCTK 0.92": {"threshold": 2.0}})
    path = voices.add("converted", 0, 0.1)
    # what counts is where the target was recorded, not where the pair was filed
    found = metric.statistics(conversion(path, natural[:1], source=natural[8]))
    assert found.details["threshold"] == 0.6898
    assert found.sums["sv_accept:tzuhsien"] == (1.0, 1.0)
    assert found.sums["sv_source:tzuhsien"] == (0.0, 1.0)
    prompt = dataclasses.replace(natural[0], dataset="LibriTTS-to-VCTK")
    elsewhere = metric.statistics(conversion(path, [prompt], source=natural[8]))
    assert elsewhere.unmet["sv_accept:tzuhsien"][0] == elsewhere.unmet["sv_source:tzuhsien"][0] == "calibration"
    assert "no threshold 'tzuhsien'" in elsewhere.unmet["sv_accept:tzuhsien"][1]
    learnt = metric.calibrate("VCTK 0.92", natural)
    assert (learnt["threshold"], learnt["threshold_source"]) == (0.6898, "tzuhsien")
    assert "threshold_draws" not in learnt
    # the rate itself is taken for exact, as the threshold is a constant
    assert {measure.name: measure.thresholded for measure in metric.measures if measure.thresholded} == {
        "sv_accept:tzuhsien": "sv_cosine:tzuhsien", "sv_source:tzuhsien": "sv_source_cosine:tzuhsien",
    }  # fmt: skip
    assert threshold_variance([0.7, 0.6], [1.0, 1.0], ["VCTK 0.92"] * 2, {"VCTK 0.92": learnt}) == 0.0
    assert metric.calibrate(DATASET, natural)["threshold"] is None


def test_signatures_tell_recipes_apart():
    kinds = [registry.load("metric", f"sv{recipe}") for recipe in ("", ":tzuhsien", ":s3prl-task1", ":spoof-eer")]
    assert len({kind().signature() for kind in kinds}) == len(kinds)
    assert "thr:eer-interpolated" in SpeakerVerification().signature()
    assert "thr:tzuhsien-vctk|" in SpeakerVerification(threshold="tzuhsien-vctk").signature()
    assert "resampler:soxr-HQ" in SpeakerVerification().long_signature()
    with pytest.raises(UsageError, match="another speaker encoder"):
        SpeakerVerification(threshold="mediumvc").signature()
    assert registry.load("metric", "sv:mediumvc")().threshold == "mediumvc"


def test_recipes_are_named_as_they_are_asked_for():
    names: list[str] = []
    for recipe in SpeakerVerification.recipes:
        kind = registry.load("metric", f"sv:{recipe}")
        assert kind().name == f"sv:{recipe}"
        names += [measure.name for measure in kind.measures]
    names += [measure.name for measure in SpeakerVerification.measures]
    assert len(set(names)) == len(names)


def test_spoofing_stores_one_cosine_a_pair(voices):
    natural = corpus(voices)
    metric = SpoofVerification(trials=60)
    learnt = opened(metric, natural).calibrate(DATASET, natural)
    assert sum(map(len, learnt["natural_scores"].values())) == learnt["target_trials"] == 30
    metric = opened(SpoofVerification(), natural, {DATASET: learnt})
    path = voices.add("converted", 0)
    found = metric.statistics(conversion(path, natural[:3]))
    cosine = voices.embeddings[path] @ voices.embeddings[natural[0].path]
    assert found.sums == {"sv:spoof-eer": (pytest.approx(cosine), 1.0)}
    assert found.details == {"prompt": "s0_0"}
    copied = metric.statistics(conversion(natural[0].path, natural[:3]))
    assert copied.details == {"prompt": "s0_1"}
    with pytest.raises(UnmetNeed, match="nothing was calibrated") as missing:
        opened(SpoofVerification(), natural).statistics(conversion(path, natural[:3]))
    assert missing.value.need == "calibration"
