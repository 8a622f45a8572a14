"""Fake-speech detection: the side of the target, and the scores that the area under the curve is made of."""

from __future__ import annotations

import numpy as np
import pytest
from voices import DATASET, Voices, conversion, corpus, opened

from vceval.metrics import sv_resemblyzer
from vceval.metrics.fake import FakeDetection
from vceval.records import Utterance


@pytest.fixture
def voices(tmp_path, monkeypatch):
    made = Voices(tmp_path)
    monkeypatch.setattr(sv_resemblyzer.ResemblyzerEncoder, "embed", lambda self, path: made.embed(path))
    return made


def test_side_of_the_target(voices):
    natural = corpus(voices, noise=0.1)
    metric = opened(FakeDetection(), natural)
    for speaker, side in ((0, 1.0), (1, 0.0), (2, None)):
        path = voices.add(f"converted{speaker}", speaker, 0.1)
        found = metric.statistics(conversion(path, source_speaker="s1"))
        if side is not None:
            assert found.sums["fake_target"] == (side, 1.0)
        means = []
        for names in (found.details["references"], found.details["source_references"]):
            assert len(names) == 6
            means.append(
                np.mean([voices.embeddings[path] @ voices.embeddings[voices.folder / f"{n}.wav"] for n in names])
            )
        assert found.sums["fake_target"][0] == float(means[0] > means[1])


def test_the_converted_utterance_is_no_reference_of_its_speaker(voices):
    natural = corpus(voices, count=6)
    metric = opened(FakeDetection(), natural)
    source = natural[8]
    assert source.speaker == "s1"
    found = metric.statistics(conversion(voices.add("converted", 0), source=source, source_speaker="s1"))
    assert len(found.details["source_references"]) == 5
    assert source.id not in found.details["source_references"]
    # nor is a copy of the scored recording, which the source control scores
    found = metric.statistics(conversion(natural[9].path, source=source, source_speaker="s1"))
    assert len(found.details["source_references"]) == 4
    assert found.sums["fake_target"] == (0.0, 1.0)


@pytest.mark.parametrize(
    ("speaker", "need", "reason"),
    [(None, "natural", "does not name its source"), ("s0", "other", "same source"), ("x", "natural", "speaker 'x'")],
)
def test_without_a_source_speaker_there_is_no_side(voices, speaker, need, reason):
    metric = opened(FakeDetection(), corpus(voices))
    found = metric.statistics(conversion(voices.add("converted", 0), source_speaker=speaker))
    assert "fake_target" not in found.sums
    assert found.unmet["fake_target"][0] == need
    assert reason in found.unmet["fake_target"][1]
    assert "fake_score" in found.sums


def test_natural_scores_are_kept_for_the_area(voices):
    natural = corpus(voices)
    learnt = opened(FakeDetection(), natural).calibrate(DATASET, natural)
    kept = learnt["natural_scores"]
    assert list(kept) == ["s0", "s1", "s2", "s3"]
    assert sum(map(len, kept.values())) == learnt["target_trials"] == 32
    assert all(values == sorted(values) for values in kept.values())
    metric = opened(FakeDetection(), natural, {DATASET: learnt})
    found = metric.statistics(conversion(voices.add("converted", 0)))
    assert found.sums["fake_auc"] == found.sums["fake_score"]
    bare = opened(FakeDetection(), natural, {DATASET: {"unavailable": "too few"}})
    assert bare.statistics(conversion(voices.add("converted", 0))).unmet["fake_auc"] == ("calibration", "too few")


def test_one_speaker_alone_has_no_natural_scores(voices):
    natural = [Utterance("u", voices.add("u", 0), DATASET, "s0")]
    assert "natural_scores" not in opened(FakeDetection(), natural).calibrate(DATASET, natural)
