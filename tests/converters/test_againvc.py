"""AGAIN-VC and MelGAN: the authors' reference cases, the layout of their files, and conversion from made-up weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.converters.againvc import AgainVc
from vceval.errors import ItemError
from vceval.networks import againvc_features
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("againvc")


@pytest.fixture(scope="module")
def converter(weights: Path) -> AgainVc:
    opened = AgainVc(weights=str(weights))
    opened.open("cpu")
    return opened


def test_source_and_target_both_matter(converter: AgainVc) -> None:
    waves = [Waveform(hum(0.5, 22_050, pitch, seed), 22_050) for seed, pitch in enumerate((120.0, 180.0, 240.0))]
    contents, voices = converter.encode_content(waves[:2]), converter.encode_speaker([[wave] for wave in waves])
    items = [(contents[0], voices[1]), (contents[0], voices[2]), (contents[1], voices[2]), (contents[0], voices[1])]
    first, second, third, again = (wave.samples for wave in converter.decode(items, [0, 0, 0, 5]))
    length = min(len(first), len(third))
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(second[:length] - third[:length]).max() > 1e-3
    assert np.abs(first - again).max() < 1e-5


def test_a_frame_of_the_gru_sees_no_other(converter: AgainVc) -> None:
    decoder = converter._network.decoder
    found = {}
    handle = decoder.rnn.register_forward_hook(lambda _module, inputs, output: found.update(x=inputs[0], y=output[0]))
    content, voice = torch.randn(2, 4, 16), converter._network.voice(torch.randn(2, 80, 24))
    try:
        together = decoder(content, voice)
    finally:
        handle.remove()
    assert found["x"].shape == (1, 2 * 17, 256)
    assert torch.allclose(decoder.rnn(found["x"][:, 5:6])[0], found["y"][:, 5:6], atol=1e-6)
    alone = decoder(content[1:], type(voice)(*(part[1:] for part in voice)))
    assert torch.allclose(together[1:], alone, atol=1e-4)


def test_frames_are_mirrored_to_a_multiple_of_eight(converter: AgainVc) -> None:
    mel = torch.randn(1, 80, 13)
    extended = torch.cat([mel, mel[..., [11, 10, 9]]], dim=2)
    assert torch.equal(converter._network.content(mel), converter._network.content(extended))
    assert converter._network(mel, mel).shape == (1, 80, 13)


def test_vocoder_takes_batches(converter: AgainVc) -> None:
    mel = torch.randn(3, 80, 7)
    with torch.inference_mode():
        together = converter._vocoder(mel)
        alone = [converter._vocoder(mel[k : k + 1]) for k in range(3)]
    assert together.shape == (3, 1, 7 * 256)
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_prompts_are_joined(converter: AgainVc) -> None:
    parts = [Waveform(hum(0.4, 22_050, 200.0, seed), 22_050) for seed in (1, 2)]
    mels = [againvc_features.againvc_mel(againvc_features.trimmed(part.samples)[0]) for part in parts]
    with torch.inference_mode():
        wanted = converter._network.voice(torch.from_numpy(np.concatenate(mels, axis=1))[None])
    found = converter.encode_speaker([parts])[0]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, wanted, strict=True))


def test_features() -> None:
    wave = hum(0.6, 22_050)
    mel = againvc_features.againvc_mel(wave)
    assert mel.shape == (80, 1 + len(wave) // 256)
    assert mel.dtype == np.float32
    assert np.allclose(againvc_features.againvc_mel(2 * wave), mel + np.log10(2.0), atol=1e-4)
    assert np.array_equal(
        againvc_features.againvc_mel(10 * wave), againvc_features.againvc_mel((10 * wave).clip(-1, 1))
    )
    assert np.array_equal(
        againvc_features.againvc_mel(np.zeros(4_096)), np.full((80, 17), -10.0)
    )  # no -inf, unlike the authors'
    own = againvc_features.melgan_mel(wave)
    assert own.shape == (80, len(wave) // 256)
    assert np.array_equal(againvc_features.melgan_mel(np.zeros(4_096)), np.full((80, 16), -5.0))
    # A tone goes to the filter around it: 3 kHz is 24.5 on the Slaney scale, whose 82 points end at 49.9
    tone = np.sin(2 * np.pi * 3_000 * np.arange(8_192) / 22_050)
    top = 15 + 27 * np.log(11.025) / np.log(6.4)
    place = (15 + 27 * np.log(3.0) / np.log(6.4)) / (top / 81) - 1
    assert abs(againvc_features.againvc_mel(tone)[:, 10].argmax() - place) <= 1


def test_quiet_ends_are_cut() -> None:
    wave = np.concatenate([np.zeros(6_000), hum(0.5, 22_050), np.zeros(9_000)])
    kept, (start, end) = againvc_features.trimmed(wave)
    assert 6_000 - 2_048 <= start <= 6_000
    assert 17_025 - 512 <= end <= 17_025 + 2_048
    assert np.array_equal(kept, wave[start:end])


def test_what_can_not_be_converted(converter: AgainVc) -> None:
    fine = Waveform(hum(0.4, 22_050), 22_050)
    short, long = Waveform(hum(0.03, 22_050), 22_050), Waveform(np.zeros(61 * 8_000, dtype=np.float32), 8_000)
    silent = Waveform(np.zeros(22_050, dtype=np.float32), 22_050)
    for found in (converter.encode_content([short, long, silent, fine]), converter.encode_speaker([[fine, short]])):
        assert isinstance(found[0], ItemError)
        assert "mel frames" in str(found[0])
    contents = converter.encode_content([short, long, silent, fine])
    assert [isinstance(content, ItemError) for content in contents] == [True, True, True, False]
    assert "61.0 s is longer than 60 s" in str(contents[1])
