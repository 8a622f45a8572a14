"""MediumVC and the networks around it: reference cases, batches, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.checkpoints.known_files import DVECTOR, HIFIGAN_UNIVERSAL
from vceval.converters.mediumvc import WEIGHTS, MediumVc
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform
from vceval.testing import made_up_weights

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(weights_of: MadeUpWeights) -> Path:
    return weights_of("mediumvc")


@pytest.fixture(scope="module")
def converter(folder: Path) -> MediumVc:
    made = MediumVc(weights=str(folder))
    made.open("cpu")
    return made


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
    voices = converter.encode_speaker([[good, Waveform(click, 16_000)], [Waveform(np.zeros(601 * 1_000), 1_000)]])
    assert isinstance(voices[0], ItemError)
    assert "no speech is left of a prompt of 1.00 s" in str(voices[0])
    assert "the prompt of 601.0 s is longer than 600 s" in str(voices[1])


def test_singlevc_weights_are_refused_for_mediumvc(folder: Path, tmp_path: Path) -> None:
    """Users have mixed up the two files; the part that is inside has no weight norm, the file of its own has."""
    from vceval.networks.singlevc import singlevc

    for name in (HIFIGAN_UNIVERSAL.name, DVECTOR.name):
        (tmp_path / name).symlink_to(folder / name)
    torch.save({"Generator": made_up_weights(singlevc())}, tmp_path / WEIGHTS.name)
    with pytest.raises(UsageError, match=r"is checkpoint-3000\.pt \(SingleVC.*not checkpoint-3900\.pt"):
        MediumVc(weights=str(tmp_path)).open("cpu")
