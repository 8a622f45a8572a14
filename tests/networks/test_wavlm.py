"""WavLM: the authors' layout, agreement with transformers' network, batches, and what is wrong with other files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import small_wavlm

from vceval.checkpoints.known_files import WAVLM_LARGE
from vceval.conformance.kits import made_up_weights
from vceval.errors import UsageError

torch = pytest.importorskip("torch")

#: Start of a name in the authors' file to that of transformers.
NAMES = {
    "mask_emb": "masked_spec_embed",
    "post_extract_proj": "feature_projection.projection",
    r"layer_norm(?=\.\w+$)": "feature_projection.layer_norm",
    r"(feature_extractor\.conv_layers\.\d+)\.0": r"\1.conv",
    r"(feature_extractor\.conv_layers\.\d+)\.2\.1": r"\1.layer_norm",
    r"encoder\.pos_conv\.0\.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    r"encoder\.pos_conv\.0\.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    r"encoder\.pos_conv\.0": "encoder.pos_conv_embed.conv",
    r"(encoder\.layers\.\d+)\.self_attn_layer_norm": r"\1.layer_norm",
    r"(encoder\.layers\.\d+)\.self_attn\.relative_attention_bias": r"\1.attention.rel_attn_embed",
    r"(encoder\.layers\.\d+)\.self_attn\.grep_linear": r"\1.attention.gru_rel_pos_linear",
    r"(encoder\.layers\.\d+)\.self_attn\.grep_a": r"\1.attention.gru_rel_pos_const",
    r"(encoder\.layers\.\d+)\.self_attn": r"\1.attention",
    r"(encoder\.layers\.\d+)\.fc1": r"\1.feed_forward.intermediate_dense",
    r"(encoder\.layers\.\d+)\.fc2": r"\1.feed_forward.output_dense",
}


def renamed(key: str) -> str:
    for pattern, name in NAMES.items():
        if re.match(pattern, key):
            return re.sub(f"^{pattern}", name, key)
    return key


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return small_wavlm.settings(3, 64, encoder_attention_heads=4)


@pytest.fixture(scope="module")
def weights(config: dict[str, Any]) -> dict[str, Any]:
    from vceval.networks.wavlm import Sizes, WavLm

    made = made_up_weights(WavLm(Sizes.read(config)))
    # The rule's biases of positions are too small to be told from none
    made["encoder.layers.0.self_attn.relative_attention_bias.weight"] *= 8.0
    return made


@pytest.fixture(scope="module")
def network(config: dict[str, Any], weights: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    from vceval.networks import wavlm

    return wavlm.load(small_wavlm.write(tmp_path_factory.mktemp("wavlm") / "WavLM-Large.pt", config, weights))


def test_layout_of_large() -> None:
    layout = WAVLM_LARGE.layout()
    assert len(layout) == 488
    assert sum(torch.Size(shape).numel() for shape in layout.values()) == 315_453_120
    wanted = {
        "mask_emb": (1024,),
        "post_extract_proj.weight": (1024, 512),
        "feature_extractor.conv_layers.0.0.weight": (512, 1, 10),
        "feature_extractor.conv_layers.6.2.1.bias": (512,),
        "encoder.pos_conv.0.weight_g": (1, 1, 128),
        "encoder.layers.0.self_attn.relative_attention_bias.weight": (320, 16),
        "encoder.layers.23.self_attn.grep_a": (1, 16, 1, 1),
        "encoder.layers.23.self_attn.grep_linear.weight": (8, 64),
        "encoder.layers.23.fc1.weight": (4096, 1024),
    }
    assert wanted.items() <= layout.items()


def test_agrees_with_the_network_of_transformers(network: Any, weights: dict[str, Any]) -> None:
    """Layer by layer; 2.5 s are more frames than the buckets tell apart one by one."""
    from transformers import WavLMConfig, WavLMModel

    theirs = WavLMModel(
        WavLMConfig(
            hidden_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=48,
            conv_dim=[24] * 7,
            num_feat_extract_layers=7,
            do_stable_layer_norm=True,
            feat_extract_norm="layer",
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=16,
            num_buckets=32,
            max_bucket_distance=80,
        )
    ).eval()
    theirs.load_state_dict({renamed(key): value for key, value in weights.items()}, strict=True)
    samples = torch.randn(2, 40_000, generator=torch.Generator().manual_seed(3)) * 0.3
    with torch.inference_mode():
        wanted = theirs(samples, output_hidden_states=True)
        assert wanted.last_hidden_state.shape == (2, 124, 64)
        assert torch.allclose(network(samples), wanted.last_hidden_state, atol=1e-5)
        for layer in range(4):
            assert torch.allclose(network(samples, layer=layer), wanted.hidden_states[layer], atol=3e-5), layer


def test_relative_positions_matter_and_their_gate_too(network: Any) -> None:
    samples = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(4))
    attention = network.encoder.layers[1].self_attn
    table = network.encoder.layers[0].self_attn.relative_attention_bias
    with torch.inference_mode():
        before = network(samples)
        for part in (table.weight, attention.grep_linear.weight):
            kept = part.clone()
            part.zero_()
            assert (network(samples) - before).abs().max() > 1e-3
            part.copy_(kept)
        assert torch.equal(network(samples), before)


def test_long_audio_in_pieces_is_what_it_is_whole(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vceval.networks import wavlm

    samples = torch.randn(2, 90_123, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        monkeypatch.setattr(wavlm, "_FRAMES", 100)
        monkeypatch.setattr(wavlm, "_QUERIES", 100)
        pieces = network(samples)
        monkeypatch.setattr(wavlm, "_FRAMES", 10_000)
        monkeypatch.setattr(wavlm, "_QUERIES", 10_000)
        assert torch.allclose(network(samples), pieces, atol=1e-5)


def test_items_of_a_batch_are_what_they_are_alone(network: Any) -> None:
    lengths = [16_000, 400, 9_999, 12_345]
    samples = torch.full((4, 16_000), 7.0)  # what stands beyond the end must not matter
    for row, length in zip(samples, lengths, strict=True):
        row[:length] = torch.randn(length, generator=torch.Generator().manual_seed(length)) * 0.2
    with torch.inference_mode():
        together = network(samples, torch.tensor(lengths))
        for row, own, length in zip(together, samples, lengths, strict=True):
            frames = (length - 400) // 320 + 1
            assert torch.allclose(row[:frames], network(own[None, :length])[0], atol=1e-5)
            assert not row[frames:].any()
    with pytest.raises(ValueError, match="399 samples"):
        network(torch.zeros(1, 399))


def test_a_file_gives_its_sizes_and_only_the_layers_asked_for(
    tmp_path: Path, config: dict[str, Any], weights: dict[str, Any], network: Any
) -> None:
    from vceval.networks import wavlm

    path = small_wavlm.write(tmp_path / "w.pt", config, weights)
    short = wavlm.load(path, 2)
    samples = torch.randn(1, 8_000)
    assert len(short.encoder.layers) == 2
    assert torch.equal(short(samples, layer=2), network(samples, layer=2))
    with pytest.raises(UsageError, match="3 layers; 4 are needed"):
        wavlm.load(path, 4)
    incomplete = {name: value for name, value in weights.items() if "layers.2.fc1.bias" not in name}
    with pytest.raises(UsageError, match=r"1 missing: encoder\.layers\.2\.fc1\.bias"):
        wavlm.load(small_wavlm.write(tmp_path / "w.pt", config, incomplete), 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"extractor_mode": "default"}, "extractor_mode is 'default'"),
        ({"layer_norm_first": False}, "layer_norm_first is False"),
        ({"conv_feature_layers": "__import__('os')"}, "no list of convolutions"),
        ({"encoder_layers": "many"}, "encoder_layers is 'many'"),
    ],
)
def test_other_networks_are_refused(
    tmp_path: Path, config: dict[str, Any], weights: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    from vceval.networks import wavlm

    path = small_wavlm.write(tmp_path / "w.pt", {**config, **changes}, weights)
    with pytest.raises(UsageError, match=re.escape(told)):
        wavlm.load(path)
