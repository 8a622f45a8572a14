"""MAE-VC: its reference case, the rule of its masks, batches, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import parity
import pytest
from sounds import hum

from vceval.checkpoints.known_files import HIFIGAN_UNIVERSAL
from vceval.conformance.maevc import MaeVcPort
from vceval.converters.maevc import WEIGHTS, MaeVc
from vceval.errors import ItemError
from vceval.signal.audio import Waveform
from vceval.testing import check_converter, made_up_weights

torch = pytest.importorskip("torch")


def test_kit(shared: Path) -> None:
    parity.check(shared / "parity" / "maevc", MaeVcPort())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up weights in the authors' containers, scaled so that the mel is neither 0 nor 1 everywhere."""
    place = tmp_path_factory.mktemp("weights")
    weights = made_up_weights(WEIGHTS.build())
    for key in weights:
        weights[key] = weights[key].float() * {"spk_en": 0.8, "ge": 0.75}.get(key.split(".")[0], 1.0)
    torch.save({"step": 400_000, "Generator": weights}, place / WEIGHTS.name)
    torch.save({"generator": made_up_weights(HIFIGAN_UNIVERSAL.build())}, place / HIFIGAN_UNIVERSAL.name)
    return place


@pytest.fixture(scope="module")
def converter(folder: Path) -> MaeVc:
    made = MaeVc(weights=str(folder))
    made.open("cpu")
    return made


def test_batch_equals_single_and_runs_repeat(folder: Path, make_sound) -> None:
    lengths = (0.3, 0.55, 0.2, 0.4, 0.45)
    sources = [make_sound(f"s{n}.wav", seconds=s, rate=22_050, seed=n) for n, s in enumerate(lengths)]
    prompts = [make_sound(f"p{n}.wav", seconds=0.6 + 0.2 * n, pitch=110.0 + 40 * n, seed=9 + n) for n in range(3)]
    pairs = [(source, prompts[n % 3 : n % 3 + 1 + n % 2]) for n, source in enumerate(sources)]
    report = check_converter(MaeVc(weights=str(folder)), pairs)
    assert not report.problems
    assert all(isinstance(outcome, Waveform) for outcome in report.outcomes)
    for outcome, seconds in zip(report.outcomes, lengths, strict=True):
        assert len(outcome.samples) == int(seconds * 22_050) // 256 * 256
        assert float(outcome.samples.std()) > 1e-4


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


def test_layout_of_the_published_file() -> None:
    layout = WEIGHTS.layout()
    assert len(layout) == 685
    assert layout["spk_en.conv_bank.7.weight"] == (80, 80, 8)
    assert layout["modu6_mask.speak_line.weight"] == (160, 256)
    assert layout["modu1_mask.sim_block.pre_sim_block.post_block.1.conv_block2.conv_block.conv0.weight_g"] == (1, 1, 1)
