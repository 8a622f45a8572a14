"""MediumVC and the networks around it: reference cases, batches, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import parity
import pytest
from sounds import hum

from vceval.checkpoints.known_files import DVECTOR, HIFIGAN_UNIVERSAL
from vceval.conformance.dvector import DvectorPort
from vceval.conformance.mediumvc import MediumVcPort, SingleVcPort
from vceval.converters.mediumvc import WEIGHTS, MediumVc
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform
from vceval.testing import check_converter, made_up_weights

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("name", "port"), [("singlevc", SingleVcPort), ("mediumvc", MediumVcPort)])
def test_kit(shared: Path, name: str, port: Callable) -> None:
    parity.check(shared / "parity" / name, port())


def test_kit_of_the_speaker_encoder(shared: Path) -> None:
    parity.check(shared / "parity" / "dvector", DvectorPort())


class _Script(torch.nn.Module):
    """Stands in for the authors' module: the same layers under the same names, to be saved as TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
        self.embedding = torch.nn.Linear(256, 256)
        self.linear = torch.nn.Linear(256, 1)
        self.seg_len = 160

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.tanh(self.embedding(self.lstm(x)[0])))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up weights in the containers of the authors, scaled so that the mel is neither 0 nor 1 everywhere."""
    place = tmp_path_factory.mktemp("weights")
    weights = made_up_weights(WEIGHTS.build())
    small = {"any2one.decoder.post_block": 0.45, "any2one.decoder.mel_linear2": 0.45, "generator.post_block": 0.33}
    for key in weights:
        weights[key] = weights[key].float() * next((s for start, s in small.items() if key.startswith(start)), 1.0)
    content = {"epoch": 3_900, "config": {"batch_size": 4}, "Generator": weights, "optimizer": {}, "scheduler": {}}
    torch.save(content, place / WEIGHTS.name, _use_new_zipfile_serialization=False)
    torch.save({"generator": made_up_weights(HIFIGAN_UNIVERSAL.build())}, place / HIFIGAN_UNIVERSAL.name)
    script = _Script()
    script.load_state_dict({key: 2.0 * value for key, value in made_up_weights(DVECTOR.build()).items()})
    torch.jit.script(script).save(str(place / DVECTOR.name))
    return place


@pytest.fixture(scope="module")
def converter(folder: Path) -> MediumVc:
    made = MediumVc(weights=str(folder))
    made.open("cpu")
    return made


def test_batch_equals_single_and_runs_repeat(folder: Path, make_sound) -> None:
    lengths = (0.3, 0.55, 0.2, 0.4, 0.45)
    rates = (16_000, 22_050, 24_000, 16_000, 22_050)
    sources = [
        make_sound(f"s{n}.wav", seconds=s, rate=r, seed=n) for n, (s, r) in enumerate(zip(lengths, rates, strict=True))
    ]
    prompts = [make_sound(f"p{n}.wav", seconds=0.6 + 0.2 * n, pitch=110.0 + 40 * n, seed=9 + n) for n in range(3)]
    pairs = [(source, prompts[n % 3 : n % 3 + 1 + n % 2]) for n, source in enumerate(sources)]
    report = check_converter(MediumVc(weights=str(folder)), pairs)
    assert not report.problems
    assert all(isinstance(outcome, Waveform) for outcome in report.outcomes)
    for outcome, seconds in zip(report.outcomes, lengths, strict=True):
        assert len(outcome.samples) == int(np.ceil(seconds * 22_050)) // 256 * 256
        assert float(outcome.samples.std()) > 1e-4


def test_levels_do_not_matter_and_speakers_do(converter: MediumVc) -> None:
    source, prompt = Waveform(hum(0.5, 22_050), 22_050), Waveform(hum(0.8, seed=3), 16_000)
    quiet = Waveform(0.25 * source.samples, 22_050), Waveform(0.25 * prompt.samples, 16_000)
    contents = converter.encode_content([source, quiet[0]])
    voices = converter.encode_speaker([[prompt], [quiet[1]], [Waveform(hum(0.8, pitch=230, seed=4), 16_000)]])
    assert torch.allclose(contents[0], contents[1], atol=1e-3)
    assert torch.allclose(voices[0], voices[1], atol=1e-4)
    assert [float(voice.abs().max()) for voice in voices] == pytest.approx([1.0] * 3)
    same, other = converter.decode([(contents[0], voices[0]), (contents[0], voices[2])], [0, 1])
    assert np.abs(same.samples - other.samples).max() > 1e-3


def test_what_is_refused(converter: MediumVc) -> None:
    good = Waveform(hum(0.5), 16_000)
    contents = converter.encode_content([Waveform(good.samples[:320], 16_000), good, Waveform(np.zeros(9_000), 16_000)])
    assert "source of 0.02 s is too short; at least 0.03 s" in str(contents[0])
    assert not isinstance(contents[1], ItemError)
    assert "silent" in str(contents[2])
    click = np.zeros(16_000, dtype=np.float32)
    click[5_000] = 1.0
    voices = converter.encode_speaker([[good, Waveform(click, 16_000)], [Waveform(np.tile(hum(1.0), 61), 16_000)]])
    assert isinstance(voices[0], ItemError)
    assert "no speech is left of a prompt of 1.00 s" in str(voices[0])
    assert "longer than 60 s" in str(voices[1])


def test_results_that_are_not_finite_are_errors(converter: MediumVc) -> None:
    content = torch.full((1, 256, 20), float("nan"), dtype=torch.float64)
    voice = torch.ones(1, 256)
    bad, good = converter.decode([(content, voice), (torch.zeros_like(content), voice)], [0, 1])
    assert isinstance(bad, ItemError)
    assert isinstance(good, Waveform)


def test_singlevc_weights_are_refused_for_mediumvc(folder: Path, tmp_path: Path) -> None:
    """Users have mixed up the two files; the part that is inside has no weight norm, the file of its own has."""
    from vceval.networks.singlevc import singlevc

    for name in (HIFIGAN_UNIVERSAL.name, DVECTOR.name):
        (tmp_path / name).symlink_to(folder / name)
    torch.save({"Generator": made_up_weights(singlevc())}, tmp_path / WEIGHTS.name)
    with pytest.raises(UsageError, match=r"is checkpoint-3000\.pt \(SingleVC.*not checkpoint-3900\.pt"):
        MediumVc(weights=str(tmp_path)).open("cpu")


def test_layout_of_the_published_file() -> None:
    layout = WEIGHTS.layout()
    assert len(layout) == 247
    assert "any2one.encoder.pre_block.0.conv_block1.conv_block.conv0.weight" in layout
    assert "generator.smoothers.2.conv1.weight_g" in layout
    assert layout["generator.attention1.cross_attn.in_proj_weight"] == (1536, 512)
