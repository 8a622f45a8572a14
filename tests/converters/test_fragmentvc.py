"""FragmentVC and wav2vec 2.0: reference cases, layouts, a second opinion, and the converter with made-up weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.checkpoints.weights import shapes_of
from vceval.conformance.kits import made_up_weights
from vceval.converters.fragmentvc import ENCODER, VOCODER, WEIGHTS, FragmentVc
from vceval.errors import ItemError, UsageError
from vceval.networks import fragmentvc_features
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")

#: Small wav2vec 2.0, and the same for transformers.
SMALL = {"channels": 32, "width": 24, "inner": 40, "heads": 3, "layers": 2, "kernel": 16, "groups": 4}


def vocoder_archive(path: Path, hop: int = 326) -> None:
    """Write a vocoder as a scripted archive whose attributes say how many samples a frame has."""

    class Archive(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.sample_rate, self.hop_len, self.quant_dim = 16_000, hop, 512
            for name, child in network.named_children():
                setattr(self, name, child)

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return self.embedding(codes)

    network = VOCODER.build()
    weights = made_up_weights(network)
    weights["wav_rnn.weight_ih_l0"] *= 3.0
    weights["affine.2.weight"] *= 6.0
    network.load_state_dict(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.script(Archive(network)).save(str(path))


@pytest.fixture(scope="module")
def encoder_weights() -> dict[str, Any]:
    with torch.device("meta"):
        network = ENCODER.build()
    return made_up_weights(network)


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("fragmentvc")


@pytest.fixture(scope="module")
def converter(weights: Path) -> FragmentVc:
    opened = FragmentVc(weights=str(weights))
    opened.open("cpu")
    return opened


def wave(seconds: float, pitch: float = 140.0, seed: int = 0) -> Waveform:
    return Waveform(hum(seconds, pitch=pitch, seed=seed), 16_000)


def test_wav2vec_is_that_of_transformers() -> None:
    """Another implementation of the network, with the same weights under its own names, gives the same features."""
    transformers = pytest.importorskip("transformers")
    from vceval.networks.wav2vec2 import Wav2Vec2, authors_name, frames_of

    config = transformers.Wav2Vec2Config(
        conv_dim=[32] * 7,
        hidden_size=24,
        intermediate_size=40,
        num_attention_heads=3,
        num_hidden_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        attn_implementation="eager",
    )
    other = transformers.Wav2Vec2Model(config).eval()
    state = {key.replace("parametrizations.weight.original0", "weight_g"): v for key, v in other.state_dict().items()}
    state = {key.replace("parametrizations.weight.original1", "weight_v"): v for key, v in state.items()}
    network = Wav2Vec2(training=False, **SMALL)
    found = {authors_name(key): value for key, value in state.items()}
    del found["mask_emb"]
    network.load_state_dict(found)
    samples = torch.from_numpy(np.stack([hum(0.4, seed=1), hum(0.4, seed=2)]))
    with torch.inference_mode():
        features, expected = network.eval()(samples), other(samples).last_hidden_state
    assert features.shape == (2, frames_of(6_400), 24) == (2, 19, 24)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_hugging_face_names_are_all_known() -> None:
    """With its parts for training, that file has exactly the tensors of the authors' one."""
    transformers = pytest.importorskip("transformers")
    from vceval.networks.wav2vec2 import authors_name

    with torch.device("meta"):
        shapes = shapes_of(transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config()).state_dict())
    new = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    old = {key.replace(new[0], "weight_g").replace(new[1], "weight_v"): shape for key, shape in shapes.items()}
    assert {authors_name(key): shape for key, shape in old.items()} == ENCODER.layout()


def test_hugging_face_file_without_training_parts(tmp_path: Path, encoder_weights: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    from vceval.networks import wav2vec2

    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        names = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).state_dict()
    ours = {wav2vec2.authors_name(name): name for name in names}
    parts = ("original0", "original1")
    for norm, part in zip(("weight_g", "weight_v"), parts, strict=True):
        ours[f"encoder.pos_conv.0.{norm}"] = ours.pop(f"encoder.pos_conv.0.parametrizations.weight.{part}")
    path = tmp_path / "model.safetensors"
    save_file({f"wav2vec2.{name}": encoder_weights[key] for key, name in ours.items()}, path)
    loaded = wav2vec2.load(path).state_dict()
    assert all(torch.equal(value, encoder_weights[key]) for key, value in loaded.items())
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(UsageError, match="can't be read"):
        wav2vec2.load(path)


def test_wav2vec_needs_a_frame() -> None:
    from vceval.networks.wav2vec2 import Wav2Vec2, frames_of

    assert [frames_of(n) for n in (0, 399, 400, 719, 720, 16_000)] == [0, 0, 1, 1, 2, 49]
    network = Wav2Vec2(training=False, **SMALL)
    network.load_state_dict(made_up_weights(network))
    assert network(torch.ones(1, 400)).shape == (1, 1, 24)
    with pytest.raises(ValueError, match="399 samples"):
        network(torch.ones(1, 399))


def test_order_of_the_target_matters_to_its_convolutions_only() -> None:
    """Without positions in attention, target frames that look the same to the convolutions are interchangeable."""
    from vceval.networks.fragmentvc import FragmentVc as Network

    network = Network(d=16, source_dim=12, heads=2, hidden=20, smoothers=1, channels=14)
    network.load_state_dict(made_up_weights(network))
    network.eval()
    generator = torch.Generator().manual_seed(0)
    source, mel = torch.randn(1, 7, 12, generator=generator), torch.randn(1, 80, 11, generator=generator)
    with torch.inference_mode():
        depths = network.unet.target(mel)
        order = torch.randperm(11, generator=generator)
        shuffled = tuple(depth[:, :, order] for depth in depths)
        (expected, tables), (found, moved) = network(source, depths), network(source, shuffled)
        assert not torch.allclose(network(source, mel.flip(2))[0], expected)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for table, other in zip(tables, moved, strict=True):
        assert table.shape == (1, 7, 11)
        torch.testing.assert_close(table.sum(dim=2), torch.ones(1, 7))
        torch.testing.assert_close(table[:, :, order], other)


def test_features() -> None:
    samples = fragmentvc_features.scaled(hum(0.5) * 0.1)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(1.0, abs=1e-4)
    mel = fragmentvc_features.log_mel(samples)
    assert mel.shape == (1 + 8_000 // 326, 80)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(fragmentvc_features.log_mel(np.zeros(1_000)), np.log(1e-9), rtol=1e-6)
    with pytest.raises(ValueError, match="too few to mirror"):
        fragmentvc_features.log_mel(samples[:652])
    assert len(fragmentvc_features.log_mel(samples[:653])) == 3


def test_trimming_by_level_keeps_a_tenth_of_a_second() -> None:
    quiet = np.zeros(8_000, np.float32)
    kept = fragmentvc_features.trimmed_by_level(np.concatenate([quiet, hum(0.5), quiet]))
    assert 8_000 + 2 * 1_600 <= len(kept) < 8_000 + 2 * 1_600 + 2 * 512
    short = hum(0.06)
    assert np.array_equal(fragmentvc_features.trimmed_by_level(short), short)


def test_the_target_and_the_seed_are_heard(converter: FragmentVc) -> None:
    content = converter.encode_content([wave(0.1)])[0]
    voices = converter.encode_speaker([[wave(0.3, 110.0, 1)], [wave(0.3, 230.0, 2)]])
    one, other = (converter._network(content, voice)[0] for voice in voices)
    assert (one - other).abs().max() > 1e-3
    made = converter.decode([(content, voices[0])] * 2, [1, 2])
    assert all(isinstance(item, Waveform) for item in made)
    assert not np.array_equal(made[0].samples, made[1].samples)


def test_sources_are_trimmed_and_levelled(converter: FragmentVc) -> None:
    quiet = 0.001 * np.random.default_rng(0).standard_normal(12_000).astype(np.float32)
    samples = np.concatenate([quiet, hum(1.0, seed=1), quiet])
    loud, soft = converter.encode_content([Waveform(gain * samples, 16_000) for gain in (1.0, 0.25)])
    assert loud.shape[2] == 768
    assert 30 < loud.shape[1] < 85  # of 124 frames untrimmed
    torch.testing.assert_close(loud, soft, atol=2e-3, rtol=1e-3)


def test_prompts_are_joined_in_time(converter: FragmentVc) -> None:
    one, two, both = converter.encode_speaker([[wave(0.2)], [wave(0.3, seed=1)], [wave(0.2), wave(0.3, seed=1)]])
    assert [voice[0].shape[2] for voice in (one, two, both)] == [10, 15, 25]
    torch.testing.assert_close(both[0][:, :, 1:9], one[0][:, :, 1:9], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hum(0.02), "320 of 320 samples are left"),
        (lambda: np.zeros(8_000, np.float32), "is silent"),
    ],
)
def test_what_it_can_not_take(converter: FragmentVc, make: Callable[[], np.ndarray], message: str) -> None:
    given = Waveform(make(), 16_000)
    for result, fine in (
        converter.encode_content([given, wave(0.1)]),
        converter.encode_speaker([[given], [wave(0.1)]]),
    ):
        assert isinstance(result, ItemError)
        assert message in str(result)
        assert not isinstance(fine, ItemError)


def test_the_other_projects_vocoder_is_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.name).symlink_to(weights / WEIGHTS.name)
    vocoder_archive(tmp_path / "vocoder.pt", hop=200)
    with pytest.raises(UsageError, match=r"200 samples per frame, but that of FragmentVC makes 326.*releases"):
        FragmentVc(weights=str(tmp_path)).open("cpu")
    (tmp_path / "vocoder.pt").unlink()
    with pytest.raises(UsageError, match=r"fragmentvc/vocoder\.pt is not in"):
        FragmentVc(weights=str(tmp_path)).open("cpu")
