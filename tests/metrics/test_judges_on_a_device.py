"""Networks that judge - speaker encoders and predictors of opinion - say on a device what they say on a processor.

Weights are made up by the kits' rule, but for those that a package carries. ``VCEVAL_TEST_WEIGHTS`` names a folder that
already holds the files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from devices import DEVICE, ON_DEVICE, reference_device

from vceval import registry
from vceval.conformance import made_up_files
from vceval.conformance.kits import made_up_weights
from vceval.corpora.demo import Demo
from vceval.metrics import sv_encoders
from vceval.metrics.base import Workspace
from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
from vceval.records import Conversion, ConversionPair
from vceval.storage.cache import Cache

torch = pytest.importorskip("torch")

pytestmark = ON_DEVICE

ENCODERS = {
    "resemblyzer": ResemblyzerEncoder,
    "dvector": sv_encoders.DvectorEncoder,
    "campplus": sv_encoders.CamPlusPlusEncoder,
    "wavlm": sv_encoders.WavLmSvEncoder,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("VCEVAL_TEST_WEIGHTS")
    return Path(given) if given else tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def recordings() -> list[Path]:
    """Sentences of unequal lengths."""
    found = sorted(Demo().utterances(), key=lambda one: one.duration or 0.0)
    return [one.path for one in found[:: len(found) // 11]]


@pytest.mark.parametrize("name", ENCODERS)
def test_speaker_embeddings_are_those_of_the_processor(
    name: str, weights: Path, recordings: list[Path], monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """On a device together and one by one; on a processor one by one."""
    if name == "wavlm" and DEVICE == "cpu":
        pytest.skip("takes minutes on a processor")
    encoder = ENCODERS[name]
    for file in encoder.files:
        if not (weights / file.name).is_file():
            made_up_files.write(file, weights)
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(weights))
    together = encoder(Cache(None), DEVICE).embed_many(recordings)
    alone = encoder(Cache(None), DEVICE)
    with reference_device() as device:
        expected = encoder(Cache(None), device)
        differences = {
            "together": max(1.0 - float(together[path] @ expected.embed(path)) for path in recordings),
            "alone": max(1.0 - float(alone.embed(path) @ expected.embed(path)) for path in recordings),
        }
    for how, difference in differences.items():
        record_property(f"one_minus_cosine_{how}", difference)
    assert max(differences.values()) <= 1e-6


def distillmos(_: Path, __: pytest.MonkeyPatch) -> None:
    if find_spec("distillmos") is None:
        pytest.skip("no distillmos: pip install 'vceval[mos]'")


def utmos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vceval.networks.utmos import Utmos

    file = folder / "utmos-made-up.pt"
    if not file.is_file():
        torch.save(made_up_weights(Utmos(), 0), file)
    monkeypatch.setenv("VCEVAL_UTMOS", str(file))


@pytest.mark.parametrize(("name", "placed"), [("mos", distillmos), ("mos:utmos", utmos)])
def test_predicted_opinions_are_those_of_the_processor(
    name: str,
    placed: Callable[[Path, pytest.MonkeyPatch], None],
    weights: Path,
    recordings: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    placed(weights, monkeypatch)
    conversions = [Conversion("x", ConversionPair(path.stem, "demo"), path) for path in recordings]

    def opinions(device: str) -> list[float]:
        metric = registry.load("metric", name)()
        metric.open(Workspace(Cache(tmp_path / device.replace(":", "-")), device=device))
        metric.prepare(conversions)
        return [metric.statistics(one).sums[metric.measures[0].name][0] for one in conversions]

    found = opinions(DEVICE)
    with reference_device() as device:
        shutil.rmtree(tmp_path / device, ignore_errors=True)
        expected = opinions(device)
    worst = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    record_property("largest_difference", worst)
    assert len(set(expected)) > 1
    assert worst <= 1e-3
