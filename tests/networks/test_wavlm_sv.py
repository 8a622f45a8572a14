"""WavLM with its head for speaker verification: equal to its authors' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import parity
import torch
from small_wavlm import settings

from vceval.checkpoints.weights import load_strict
from vceval.conformance.kits import made_up_weights
from vceval.conformance.wavlm_sv import WavLmSvPort
from vceval.networks.wavlm import Sizes
from vceval.networks.wavlm_sv import WavLmSv, embed
from vceval.networks.wavlm_sv_features import resampled

SIZES = Sizes.read(settings())


def test_equals_the_authors_own_by_the_kit(shared: Path) -> None:
    parity.check(shared / "weights" / "kits" / "wavlm_sv", WavLmSvPort())


def test_states_are_those_of_every_layer() -> None:
    made = WavLmSv(SIZES)
    network = load_strict(made, made_up_weights(made), "made-up weights")
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 4_000)).astype(np.float32))
    encoder = network.get_submodule("feature_extract.model")
    with torch.inference_mode():
        states = list(encoder.states(wave))
        assert len(states) == SIZES.layers + 1
        for place in range(SIZES.layers):
            assert torch.equal(states[place], encoder(wave, layer=place))
        assert torch.equal(states[-1], encoder(wave))


def test_gain_and_offset_change_nothing() -> None:
    made = WavLmSv(SIZES)
    network = load_strict(made, made_up_weights(made), "made-up weights")
    wave = np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    plain, moved = embed(network, [wave, 0.1 * wave + np.float32(0.3)])
    assert float(plain @ moved) > 1.0 - 1e-4


def test_lengths_after_resampling() -> None:
    for rate in (8_000, 22_050, 44_100, 48_000):
        samples = np.random.default_rng(2).standard_normal(rate // 4 + 1).astype(np.float32)
        assert len(resampled(samples, rate)) == -(-len(samples) * 16_000 // rate)
    assert resampled(samples, 16_000) is samples
