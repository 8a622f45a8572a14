"""HiFi-GAN: its reference case, masked batches, the shapes that other systems need, and its mel front end."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import hum

from vceval.networks import hifigan_features
from vceval.testing import made_up_weights

torch = pytest.importorskip("torch")

from vceval.networks import hifigan, shapes  # noqa: E402 - needs torch


@pytest.mark.parametrize(
    ("options", "frames", "present", "absent"),
    [
        ({"condition": 6, "plain_ends": True}, (4, 9), "cond.weight", "conv_post.bias"),
        (
            {"condition": 6, "condition_name": "cond_layer", "residual": "2", "plain_ends": True},
            (4, 9),
            "cond_layer.bias",
            "resblocks.0.convs.2.bias",
        ),
        ({"linear": 7}, (9, 7), "lin_pre.weight", "cond.weight"),
    ],
)
def test_a_masked_batch_equals_its_items_alone(options, frames, present, absent) -> None:
    network = hifigan.Generator(4, (5, 4, 2), (11, 8, 4), initial=32, **options).eval()
    network.load_state_dict(made_up_weights(network))
    assert present in network.state_dict()
    assert absent not in network.state_dict()
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(3, *frames, generator=generator)
    condition = torch.randn(3, 6, 1, generator=generator) if "condition" in options else None
    lengths = torch.tensor([9, 4, 1])
    with torch.inference_mode():
        together = network(batch, condition, lengths)
        assert together.shape == (3, 1, 9 * 40)
        for place, n in enumerate(lengths.tolist()):
            item = batch[place : place + 1, :n] if "linear" in options else batch[place : place + 1, :, :n]
            alone = network(item, None if condition is None else condition[place : place + 1])
            assert alone.shape == (1, 1, n * 40)
            assert float(alone.abs().max()) > 1e-3
            assert float((together[place, :, : n * 40] - alone[0]).abs().max()) < 1e-5
            assert not together[place, :, n * 40 :].any()
        # Without lengths the padding reaches into the shorter items, which is why there are masks
        leaking = network(batch, condition)
        assert float((leaking[1, :, : 4 * 40] - together[1, :, : 4 * 40]).abs().max()) > 1e-3


def test_kernels_that_would_shift_the_waveform_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel of 10"):
        hifigan.Generator(4, (5,), (10,))


def test_the_speaker_vector_is_heard() -> None:
    network = hifigan.Generator(4, (5,), (9,), initial=16, condition=6).eval()
    network.load_state_dict(made_up_weights(network))
    frames = torch.ones(2, 4, 5)
    with torch.inference_mode():
        one, other = network(frames, torch.stack([torch.ones(6, 1), -torch.ones(6, 1)]))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("gpu", [False, True])
def test_vocode_keeps_order_and_lengths(monkeypatch, gpu: bool) -> None:
    """One by one, as on processors, and several together, as elsewhere."""
    monkeypatch.setattr(shapes, "on_gpu", lambda device: gpu)
    network = hifigan.Generator(4, (5, 4), (11, 8), initial=16).eval()
    network.load_state_dict(made_up_weights(network))
    items = [torch.randn(4, n, generator=torch.Generator().manual_seed(n)) for n in (3, 12, 40, 11, 1, 2)]
    with torch.inference_mode():
        waves = hifigan.vocode(network, items)
        for item, wave in zip(items, waves, strict=True):
            assert wave.shape == (item.shape[1] * 20,)
            assert torch.allclose(wave, network(item[None])[0, 0], atol=1e-6)
        assert hifigan.vocode(network, []) == []


def test_log_mel_of_known_signals() -> None:
    assert hifigan_features.log_mel(np.zeros(3_000)).shape == (11, 80)
    # The 1e-9 inside of the root is more than the floor in the wider filters, and nothing is below the floor
    silent = hifigan_features.log_mel(np.zeros(3_000))
    assert silent.min() == pytest.approx(np.log(1e-5), abs=1e-6)
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(22_050) / 22_050)
    mel = hifigan_features.log_mel(tone)
    assert mel.shape == (86, 80)
    # 1 kHz is 15 of 45.25 Slaney mels, of which 8 kHz is the last: band 25 or 26 of 80
    assert np.argmax(mel[40]) in (25, 26)
    # Amplitude, not power: half of the amplitude is ln 2 less
    assert mel[40].max() - hifigan_features.log_mel(tone / 2)[40].max() == pytest.approx(np.log(2), abs=1e-4)


def test_shortest_audio() -> None:
    assert hifigan_features.log_mel(hum(1.0, 22_050)[: hifigan_features.SHORTEST]).shape == (1, 80)
    with pytest.raises(ValueError, match="384 samples are too few"):
        hifigan_features.log_mel(np.zeros(384))


def test_unit_scale() -> None:
    values = np.array([np.log(1e-5), -5.0, 0.0, 0.8])
    scaled = hifigan_features.to_unit(values)
    assert scaled[0] == pytest.approx(0.0, abs=1e-6)
    assert scaled[2] == 1.0
    assert scaled[3] > 1.0
    assert hifigan_features.from_unit(scaled) == pytest.approx([np.log(1e-5), -5.0, 0.0, 0.0], abs=1e-5)


def test_levelling() -> None:
    assert np.abs(hifigan_features.levelled(hum(0.3))).max() == pytest.approx(0.95)
    assert not hifigan_features.levelled(np.zeros(10)).any()
