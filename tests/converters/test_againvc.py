"""AGAIN-VC and MelGAN: the authors' reference cases, the layout of their files, and conversion from made-up weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from sounds import hum

from vceval.conformance.againvc import AgainVcPort
from vceval.conformance.kits import made_up_weights
from vceval.conformance.melgan import MelGanPort
from vceval.converters.againvc import MELGAN, WEIGHTS, AgainVc
from vceval.errors import ItemError, UsageError
from vceval.networks import againvc_features
from vceval.signal.audio import Waveform
from vceval.testing import check_converter

torch = pytest.importorskip("torch")

PORTS = {"again_vc": AgainVcPort, "melgan_descript": MelGanPort}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both files, wrapped as the authors wrap them."""
    folder = tmp_path_factory.mktemp("again")
    for file, wrap in ((WEIGHTS, lambda made: {"model": made, "optimizer": {"state": {}}, "steps": 7}), (MELGAN, dict)):
        path = folder / file.name
        path.parent.mkdir(parents=True)
        torch.save(wrap(made_up_weights(file.build())), path)
    return folder


@pytest.fixture(scope="module")
def converter(weights: Path) -> AgainVc:
    opened = AgainVc(weights=str(weights))
    opened.open("cpu")
    return opened


@pytest.mark.parametrize("kit", sorted(PORTS))
def test_reference_cases(shared: Path, kit: str) -> None:
    parity.check(shared / "parity" / kit, PORTS[kit]())


@pytest.mark.parametrize(
    ("file", "tensors", "values", "shapes"),
    [
        (
            WEIGHTS,
            178,
            7_931_476,
            {"encoder.out_layer.conv.weight": (4, 256, 1), "decoder.rnn.weight_ih_l1": (768, 256)},
        ),
        (MELGAN, 126, 4_266_050, {"model.3.weight_g": (512, 1, 1), "model.21.block.4.weight_v": (32, 32, 1)}),
    ],
)
def test_layout(file: Any, tensors: int, values: int, shapes: dict[str, tuple[int, ...]]) -> None:
    layout = file.layout()
    trained = {name: shape for name, shape in layout.items() if "running_" not in name and "num_batches" not in name}
    assert len(layout) == tensors
    assert sum(int(np.prod(shape)) for shape in trained.values()) == values
    assert shapes.items() <= layout.items()


def test_any_batch_any_length(weights: Path, make_sound: Any) -> None:
    """Two items have the same length, so that a batch of more than one is among them; one has two prompts."""
    lengths = [0.7, 0.5, 0.7, 0.93, 0.31]
    pairs = [
        (
            make_sound(f"s{place}.wav", seconds, seed=place, rate=22_050),
            [make_sound(f"t{place}.wav", 1.1 - seconds / 2, pitch=210.0, seed=50 + place)],
        )
        for place, seconds in enumerate(lengths)
    ]
    pairs[1][1].append(make_sound("more.wav", 0.4, pitch=190.0, seed=99))
    report = check_converter(AgainVc(weights=str(weights)), pairs)
    assert not report.problems
    for outcome, seconds in zip(report.outcomes, lengths, strict=True):
        assert isinstance(outcome, Waveform)
        assert outcome.sample_rate == 22_050
        assert len(outcome.samples) % 256 == 0
        assert abs(outcome.seconds - seconds) < 0.05
        assert outcome.samples.std() > 1e-3


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


def test_audio_that_is_not_finite_is_an_error(converter: AgainVc) -> None:
    wave = Waveform(hum(0.4, 22_050), 22_050)
    content, voice = converter.encode_content([wave])[0], converter.encode_speaker([[wave]])[0]
    broken = content._replace(code=content.code * float("nan"))
    spoilt, fine = converter.decode([(broken, voice), (content, voice)], [0, 0])
    assert isinstance(spoilt, ItemError)
    assert isinstance(fine, Waveform)


@pytest.mark.parametrize("change", ["missing", "misshapen"])
def test_other_weights_are_refused(weights: Path, tmp_path: Path, change: str) -> None:
    """The authors' loader goes on with random weights here."""
    content = torch.load(weights / WEIGHTS.name, weights_only=True)
    if change == "missing":
        del content["model"]["decoder.rnn.bias_hh_l1"]
    else:
        content["model"]["decoder.rnn.bias_hh_l1"] = torch.zeros(3)
    path = tmp_path / WEIGHTS.name
    path.parent.mkdir()
    torch.save(content, path)
    with pytest.raises(UsageError, match=r"decoder\.rnn\.bias_hh_l1"):
        AgainVc(weights=str(tmp_path)).open("cpu")
