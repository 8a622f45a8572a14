"""CAM++: equal to its authors' own, alone and in batches of unequal length."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import parity
import pytest
import soundfile
import torch
from scipy.signal import resample_poly

from vceval.checkpoints.known_files import CAMPPLUS
from vceval.checkpoints.weights import load_strict
from vceval.cli.main import main
from vceval.conformance.campplus import CamPlusPlusPort
from vceval.conformance.kits import made_up_weights
from vceval.networks import campplus_features
from vceval.networks.campplus import CamPlusPlus, embed, named


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    made = CamPlusPlus()
    return load_strict(made, made_up_weights(made), "made-up weights")


def test_equals_the_authors_own_by_the_kit(shared: Path) -> None:
    parity.check(shared / "weights" / "kits" / "campplus", CamPlusPlusPort())


def test_embeddings_of_real_speech_equal_the_authors_own(shared: Path) -> None:
    """The trained file, recordings of every kind of demo, brought to 16 kHz as the reference was."""
    stored = np.load(shared / "weights" / "reference.npz")
    real = CAMPPLUS.load(shared / "weights" / "campplus_cn_common.bin")
    places = range(0, len(stored["campplus_files"]), 10)
    frames = []
    for name in stored["campplus_files"][list(places)]:
        samples, rate = soundfile.read(shared / "published_demos" / str(name), dtype="float32", always_2d=True)
        common = math.gcd(rate, 16_000)
        frames.append(campplus_features.frames(resample_poly(samples[:, 0], 16_000 // common, rate // common)))
    found = np.stack(embed(real, frames)).astype(np.float64)
    wanted = stored["campplus_embeddings"][list(places)].astype(np.float64)
    assert (1.0 - (found * wanted).sum(axis=1) / np.linalg.norm(wanted, axis=1)).max() < 1e-6
    assert np.abs(found - wanted).max() < 5e-6


def test_a_batch_of_unequal_lengths_changes_nothing(network: torch.nn.Module) -> None:
    generator = np.random.default_rng(0)
    recordings = [generator.standard_normal((count, 80)).astype(np.float32) for count in (3, 4, 199, 200, 201, 330, 77)]
    alone = np.stack(embed(network, recordings))
    for most in (2, 4, 16):
        together = np.stack(embed(network, recordings, most=most))
        assert np.abs(together - alone).max() < 2e-6, most
    assert np.isfinite(alone).all()
    assert np.linalg.norm(alone, axis=1) == pytest.approx(1.0)


def test_forks_that_moved_a_layer_are_read(network: torch.nn.Module) -> None:
    state = network.state_dict()
    fork = {name.replace("xvector.dense.", "dense."): value for name, value in state.items()}
    renamed = named(fork)
    assert renamed is not None
    assert set(renamed) == set(state)
    assert named(dict(state)) is None


def test_frames_without_their_mean() -> None:
    samples = np.random.default_rng(1).standard_normal(4_000).astype(np.float32) * 0.1
    frames = campplus_features.frames(samples)
    assert frames.shape == (1 + (4_000 - 400) // 160, 80)
    assert np.abs(frames.mean(axis=0)).max() < 1e-5
    # A constant added to all samples is taken off every frame
    moved = campplus_features.filter_bank(samples + np.float32(0.2))
    assert np.abs(moved - campplus_features.filter_bank(samples)).max() < 0.02


def test_a_tampered_kit_fails_in_words(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = tmp_path / "campplus"
    shutil.copytree(shared / "weights" / "kits" / "campplus", kit)
    for name in ("features.npz", "kit.json"):
        (kit / name).chmod(0o644)
    kit.chmod(0o755)
    with np.load(kit / "features.npz") as stored:
        arrays = dict(stored)
    arrays["out_fbank_719"] = arrays["out_fbank_719"] + np.float32(0.01)
    np.savez(kit / "features.npz", **arrays)
    assert main(["selfcheck", "--kits", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "features.npz out_fbank_719: differs by 0.01, allowed 0.005" in told
    assert "0 of 1 kits pass" in told
    whole = (kit / "features.npz").read_bytes()
    (kit / "features.npz").write_bytes((kit / "features.npz").read_bytes()[:500])
    assert main(["selfcheck", "--kits", str(tmp_path)]) == 1
    assert "features.npz: can't be read" in capsys.readouterr().out
    (kit / "features.npz").write_bytes(whole)
    described = json.loads((kit / "kit.json").read_text())
    described["state_dict"][0]["shape"] = [32, 1, 3, 5]
    (kit / "kit.json").write_text(json.dumps(described))
    assert main(["selfcheck", "--kits", str(tmp_path)]) == 1
    assert "1 misshapen: head.conv1.weight" in capsys.readouterr().out
