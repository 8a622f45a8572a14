"""VQMIVC and its Parallel WaveGAN: the authors' reference cases, the layout of their files, made-up weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounds import hum

from vceval.conformance.kits import made_up_weights
from vceval.converters.vqmivc import STATISTICS, VOCODER, WEIGHTS, VqmiVc
from vceval.errors import ItemError, UsageError
from vceval.networks import parallel_wavegan, vqmivc_features
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")

#: Larger than the rule has them, so that content, pitch and speaker move the output.
SCALES = {
    "encoder.codebook.embedding": 5.0,
    "encoder_spk.output_layer.weight": 0.05,
    "decoder.decoder.lstm1.weight_ih_l0": 3.0,
    "decoder.decoder.lstm2.weight_ih_l0": 4.0,
    "decoder.decoder.lstm2.weight_ih_l1": 4.0,
    "decoder.decoder.linear_projection.linear_layer.weight": 2.0,
}


def checkpoint(weights: dict[str, Any]) -> dict[str, Any]:
    """Sort tensors into the groups of the authors' file, among the others that it has."""
    groups: dict[str, Any] = {"encoder": {}, "encoder_lf0": {}, "cpc": {"a": torch.zeros(2)}, "encoder_spk": {}}
    groups.update({"decoder": {}, "optimizer": {"state": {}}, "scheduler": {"milestones": Counter([3])}, "epoch": 500})
    for name, value in weights.items():
        group, key = name.split(".", 1)
        groups[group][key] = value * SCALES.get(name, 1.0)
    return groups


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three files, wrapped as the authors wrap them."""
    folder = tmp_path_factory.mktemp("vqmivc")
    torch.save(checkpoint(made_up_weights(WEIGHTS.build())), folder / WEIGHTS.name)
    for name in (VOCODER.name, STATISTICS.name):
        (folder / name).parent.mkdir()
    generator = made_up_weights(VOCODER.build())
    torch.save({"model": {"generator": generator, "discriminator": {}}, "steps": 3}, folder / VOCODER.name)
    bands = np.arange(80, dtype=np.float32)
    np.save(folder / STATISTICS.name, np.stack([-1.5 - bands / 80, 0.5 + bands / 400]))
    return folder


@pytest.fixture(scope="module")
def converter(weights: Path) -> VqmiVc:
    opened = VqmiVc(weights=str(weights))
    opened.open("cpu")
    return opened


def wave(seconds: float, pitch: float = 140.0, seed: int = 0) -> Waveform:
    return Waveform(hum(seconds, pitch=pitch, seed=seed), 16_000)


def test_what_moves_the_output(converter: VqmiVc) -> None:
    contents = converter.encode_content([wave(0.2), wave(0.2, 200.0, 3)])
    voices = converter.encode_speaker([[wave(0.4, 180.0, 4)], [wave(0.5, 230.0, 5)]])
    silent = contents[0]._replace(log_f0=torch.zeros_like(contents[0].log_f0))
    items = [(contents[0], voices[0]), (contents[0], voices[1]), (contents[1], voices[0]), (silent, voices[0])]
    base, *others = (found.samples for found in converter.decode(items, [7, 7, 7, 7]))
    assert all(np.abs(base - other).max() > 1e-3 for other in others)
    same, seed = (found.samples for found in converter.decode([items[0], items[0]], [7, 8]))
    assert np.abs(base - same).max() < 1e-5
    assert np.abs(base - seed).max() > 1e-3


def test_vectors_of_prompts_are_averaged(converter: VqmiVc) -> None:
    first, second = wave(0.3, 150.0, 1), wave(0.5, 220.0, 2)
    one, other, both = converter.encode_speaker([[first], [second], [first, second]])
    assert both.shape == (1, 256)
    assert torch.allclose(both, (one + other) / 2, atol=1e-6)


def test_codes_are_the_nearest_ones(converter: VqmiVc) -> None:
    codebook = converter._network.encoder.codebook
    x = torch.randn(2, 7, 64)
    found = codebook(x)
    distances = torch.cdist(x.double(), codebook.embedding.double()).sort(dim=-1)
    assert torch.equal(found.indices, distances.indices[..., 0])
    assert torch.equal(found.vectors, codebook.embedding[found.indices])
    squares = distances.values.square()
    assert torch.allclose(found.margins.double(), squares[..., 1] - squares[..., 0], atol=1e-2)


def test_an_odd_frame_is_lost(converter: VqmiVc) -> None:
    mel, melody, reference = torch.randn(1, 80, 33), torch.randn(1, 33), torch.randn(1, 80, 20)
    with torch.inference_mode():
        odd = converter._network(mel, melody, reference)
        longer = converter._network.encoder(torch.randn(1, 80, 65)).indices
    assert odd.shape == (1, 32, 80)
    assert longer.shape == (1, 32)


def test_vocoder_stretches_and_gates(converter: VqmiVc) -> None:
    """The smallest facts of the vocoder, from its formulas: conditioning by hand, and noise that matters nearby."""
    vocoder = converter._vocoder
    mel, noise = torch.randn(1, 80, 6), torch.randn(1, 1, 960)
    with torch.inference_mode():
        condition = vocoder.upsample_net(mel)
        held = vocoder.upsample_net.conv_in(mel[..., [0, 0, 0, 1, 2, 3, 4, 5, 5, 5]])[0]
        for scale, layer in zip((4, 4, 5, 2), list(vocoder.upsample_net.upsample.up_layers)[1::2], strict=True):
            taps = layer.weight[0, 0, 0].flip(0).numpy()
            rows = np.repeat(held.numpy(), scale, axis=1)
            held = torch.from_numpy(np.stack([np.convolve(row, taps, mode="same") for row in rows])).float()
        block = vocoder.conv_layers[3]
        x = vocoder.first_conv(noise)
        both = block.conv(x) + block.conv1x1_aux(condition)
        gated = torch.tanh(both[:, :64]) / (1 + torch.exp(-both[:, 64:]))
        on, skip = block(x, condition)
    assert block.conv.dilation == (8,)
    assert condition.shape == (1, 80, 960)
    assert torch.allclose(condition[0], held, atol=1e-4)
    assert torch.allclose(skip, block.conv1x1_skip(gated), atol=1e-5)
    assert torch.allclose(on, (block.conv1x1_out(gated) + x) / 2**0.5, atol=1e-5)


def test_vocoder_takes_batches(converter: VqmiVc) -> None:
    mel, noise = torch.randn(3, 80, 5), torch.randn(3, 1, 800)
    with torch.inference_mode():
        together = converter._vocoder(noise, mel)
        alone = [converter._vocoder(noise[k : k + 1], mel[k : k + 1]) for k in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_vocoder_makes_the_same_in_pieces(converter: VqmiVc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The overlap is that of the formulas (6138 samples and 3.3 frames); a much shorter one would be heard."""
    vocoder = converter._vocoder
    assert vocoder.reach == 39 + 4
    mel, noise = torch.randn(1, 80, 100), torch.randn(1, 1, 16_000)
    with torch.inference_mode():
        whole = vocoder(noise, mel)
        monkeypatch.setattr(parallel_wavegan, "PIECE", 50)
        pieces = vocoder(noise, mel)
        monkeypatch.setattr(vocoder, "reach", 5)
        cut = vocoder(noise, mel)
    assert pieces.shape == whole.shape
    assert torch.allclose(pieces, whole, atol=1e-6)
    assert not torch.allclose(cut, whole, atol=1e-5)


def test_features() -> None:
    sound = hum(0.5)
    mel = vqmivc_features.log_mel(sound)
    assert mel.shape == (1 + len(sound) // 160, 80)
    assert mel.dtype == np.float32
    assert np.allclose(vqmivc_features.log_mel(2 * sound), mel + np.log10(2.0), atol=1e-4)
    assert np.array_equal(vqmivc_features.log_mel(np.zeros(1_600)), np.full((11, 80), -10.0))
    scaled = vqmivc_features.normalised(mel, np.full(80, -2.0), np.full(80, 0.5))
    assert np.allclose(scaled, 2 * mel + 4, atol=1e-4)
    loud = 3.0 * sound / np.abs(sound).max()
    assert np.abs(vqmivc_features.levelled(loud)).max() == pytest.approx(1.0)
    assert np.array_equal(vqmivc_features.levelled(sound), sound)


def test_pitch_is_normalised_within_the_recording() -> None:
    found = vqmivc_features.pitch(hum(1.0), 101)
    voiced = found.f0 > 0
    assert voiced.sum() > 50
    assert found.log_f0[voiced].mean() == pytest.approx(0.0, abs=1e-4)
    assert found.log_f0[voiced].std() == pytest.approx(1.0, abs=1e-4)
    assert not found.log_f0[~voiced].any()
    assert vqmivc_features.pitch(hum(1.0), 90).log_f0.shape == (90,)
    assert vqmivc_features.pitch(hum(1.0), 103).f0[101:].tolist() == [0.0, 0.0]


def test_a_source_without_voice_is_converted(converter: VqmiVc) -> None:
    noise = Waveform((0.05 * np.random.default_rng(0).standard_normal(3_200)).astype(np.float32), 16_000)
    content = converter.encode_content([noise])[0]
    assert not content.log_f0.any()
    assert content.log_f0.shape == (1, 20)
    voice = converter.encode_speaker([[wave(0.3)]])[0]
    assert isinstance(converter.decode([(content, voice)], [1])[0], Waveform)


def test_what_can_not_be_converted(converter: VqmiVc) -> None:
    long = Waveform(np.zeros(61 * 8_000, dtype=np.float32), 8_000)
    found = converter.encode_content([wave(0.079), wave(0.08), long])
    assert [isinstance(content, ItemError) for content in found] == [True, False, True]
    assert "0.08 s are needed" in str(found[0])
    voices = converter.encode_speaker([[wave(0.08)], [wave(0.5), wave(0.07)]])
    assert [isinstance(voice, ItemError) for voice in voices] == [False, True]


def test_audio_that_is_not_finite_is_an_error_and_loud_audio_is_clipped(converter: VqmiVc) -> None:
    content, voice = converter.encode_content([wave(0.2)])[0], converter.encode_speaker([[wave(0.3)]])[0]
    spoilt, fine = converter.decode([(content, voice * float("nan")), (content, voice)], [0, 0])
    assert isinstance(spoilt, ItemError)
    assert isinstance(fine, Waveform)
    last = converter._vocoder.last_conv_layers[3]
    kept = last.weight
    try:
        last.weight = kept * 1_000
        loud = converter.decode([(content, voice)], [0])[0]
    finally:
        last.weight = kept
    assert np.abs(loud.samples).max() == 1.0


def test_other_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    content = torch.load(weights / VOCODER.name, weights_only=True)
    (tmp_path / "vocoder").mkdir()
    for name in (WEIGHTS.name, "mel_stats"):
        (tmp_path / name).symlink_to(weights / name)
    content["model"]["generator"]["conv_layers.0.conv.weight_v"] = torch.zeros(128, 64, 3)
    torch.save(content, tmp_path / VOCODER.name)
    with pytest.raises(UsageError, match=r"conv_layers\.0\.conv\.weight_v \(128, 64, 3\) for \(128, 64, 5\)"):
        VqmiVc(weights=str(tmp_path)).open("cpu")
