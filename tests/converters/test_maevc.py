"""MAE-VC: its reference case, the rule of its masks, batches, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.converters.maevc import MaeVc
from vceval.errors import ItemError
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(weights_of: MadeUpWeights) -> Path:
    return weights_of("maevc")


@pytest.fixture(scope="module")
def converter(folder: Path) -> MaeVc:
    made = MaeVc(weights=str(folder))
    made.open("cpu")
    return made


@pytest.mark.parametrize("frames", [2, 40, 41])
def test_half_of_the_frames_are_hidden(converter: MaeVc, frames: int) -> None:
    """Even numbers of frames keep half of them, odd ones half of one less: the median itself is hidden."""
    generator = torch.Generator().manual_seed(frames)
    with torch.inference_mode():
        stages = converter._network.modu1_mask.stages(
            torch.rand(1, frames, 80, generator=generator).double(), torch.zeros(1, 1, 256).double()
        )
    # Of two frames each has the other before it (frame 0 is given the last but one, itself)
    assert int(stages["mask"].sum()) == frames // 2
    score = stages["score"].numpy()[0]
    assert (stages["mask"].numpy()[0] == (score > np.percentile(score, 50))).all()
    hidden = ~stages["mask"][0]
    assert not stages["masked"][0][hidden].any()
    assert torch.equal(stages["masked"][0][~hidden], stages["handler"][0][~hidden])


def test_quiet_ends_of_prompts_do_not_matter(converter: MaeVc) -> None:
    speech = hum(1.0, 22_050)
    rest = (1e-4 * np.random.default_rng(0).standard_normal(22_050)).astype(np.float32)
    between = np.concatenate([rest, speech, rest])
    bare, padded = converter.encode_speaker([[Waveform(between[22_050:44_100], 22_050)], [Waveform(between, 22_050)]])
    other = converter.encode_speaker([[Waveform(hum(1.0, 22_050, pitch=250, seed=5), 22_050)]])[0]
    near = float((bare - padded).norm() / bare.norm())
    assert near < 0.25
    assert near < float((bare - other).norm() / bare.norm())


def test_what_is_refused(converter: MaeVc) -> None:
    good = Waveform(hum(0.6), 16_000)
    contents = converter.encode_content([Waveform(good.samples[:320], 16_000), good])
    assert "source of 0.02 s is too short" in str(contents[0])
    assert not isinstance(contents[1], ItemError)
    quiet = np.concatenate([hum(0.2), np.zeros(16_000, dtype=np.float32)])
    voices = converter.encode_speaker([[Waveform(quiet, 16_000)], [good], [Waveform(np.zeros(16_000), 16_000)]])
    assert "a prompt of 1.20 s is too short" in str(voices[0])
    assert "0.38 s are needed" in str(voices[0])
    assert not isinstance(voices[1], ItemError)
    assert "0.00 s are left" in str(voices[2])


def test_shortest_target(converter: MaeVc) -> None:
    with torch.inference_mode():
        assert converter._network.speaker(torch.rand(1, 33, 80)).shape == (1, 1, 256)
        with pytest.raises(RuntimeError):
            converter._network.speaker(torch.rand(1, 32, 80))
