"""FreeVC and its speaker encoders: reference cases, layouts, front ends, and conversion from made-up weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.checkpoints.known_files import GE2E, WAVLM_LARGE
from vceval.conformance.kits import made_up_weights
from vceval.converters.base import Unfinished
from vceval.converters.freevc import FREEVC, FREEVC_24, FREEVC_S, FreeVc
from vceval.errors import ItemError, UsageError
from vceval.networks import freevc_features, ge2e
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("freevc")


@pytest.fixture(scope="module")
def freevc(weights: Path) -> FreeVc:
    opened = FreeVc(weights=str(weights))
    opened.open("cpu")
    return opened


def test_source_target_and_seed_matter(freevc: FreeVc) -> None:
    waves = [Waveform(hum(0.5, 16_000, pitch, seed), 16_000) for seed, pitch in enumerate((120.0, 180.0, 240.0))]
    contents, voices = freevc.encode_content(waves[:2]), freevc.encode_speaker([[wave] for wave in waves])
    assert contents[0].shape == (1024, 24)
    items = [(contents[0], voices[1]), (contents[0], voices[2]), (contents[1], voices[1]), (contents[0], voices[1])]
    first, voice, words, drawn = (wave.samples for wave in freevc.decode(items, [3, 3, 3, 4]))
    for other in (voice, words, drawn):
        assert np.abs(first - other).max() > 1e-4
    assert np.array_equal(freevc.decode(items[:1], [3])[0].samples, freevc.decode(items[:1], [3])[0].samples)


def test_the_last_step_may_be_left_for_later(freevc: FreeVc, monkeypatch: pytest.MonkeyPatch) -> None:
    waves = [Waveform(hum(seconds, 16_000, pitch), 16_000) for seconds, pitch in ((0.5, 120.0), (0.4, 180.0))]
    items = list(zip(freevc.encode_content(waves), freevc.encode_speaker([waves[:1], waves[1:]]), strict=True))
    plain = freevc.decode(items, [1, 2])
    monkeypatch.setattr(freevc, "finishes_later", True)
    later = freevc.decode(items, [1, 2])
    assert all(isinstance(item, Unfinished) for item in later)
    for now, item in zip(plain, later, strict=True):
        assert np.array_equal(now.samples, item.finish().samples)
    (bad,) = freevc.decode([(items[0][0] * torch.nan, items[0][1])], [1])
    assert "not finite" in str(bad.finish())


def test_what_cannot_be_taken_is_told(freevc: FreeVc) -> None:
    fine = Waveform(hum(0.5), 16_000)
    bad = [Waveform(hum(0.02), 16_000), fine, Waveform(np.zeros(16_000 * 61, np.float32), 16_000)]
    short, good, long = freevc.encode_content(bad)
    assert isinstance(short, ItemError)
    assert "320 samples" in str(short)
    assert isinstance(long, ItemError)
    assert "61.0 s" in str(long)
    assert torch.allclose(good, freevc.encode_content([fine])[0], atol=1e-5)
    silent, tiny, voice = freevc.encode_speaker([[Waveform(np.zeros(8_000, np.float32), 16_000)], bad[:1], [fine]])
    assert "0.000 s" in str(silent)
    assert isinstance(tiny, ItemError)
    assert voice.norm() == pytest.approx(1.0, abs=1e-5)
    assert (voice >= 0.0).all()


def test_a_voice_without_direction_is_told(freevc: FreeVc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freevc, "_embed", lambda _: torch.full((1, 256), torch.nan))
    (found,) = freevc.encode_speaker([[Waveform(hum(0.5), 16_000)]])
    assert isinstance(found, ItemError)


def test_the_speaker_encoder_of_resemblyzer_is_refused(weights: Path, tmp_path: Path) -> None:
    for file in (FREEVC, WAVLM_LARGE):
        (tmp_path / file.name).symlink_to(weights / file.name)
    torch.save({"step": 1_564_501, "model_state": made_up_weights(GE2E.build())}, tmp_path / GE2E.name)
    with pytest.raises(UsageError, match="Resemblyzer's speaker encoder"):
        FreeVc(weights=str(tmp_path)).open("cpu")


def test_ge2e_agrees_with_resemblyzer_and_its_weights() -> None:
    """Same network and front end; FreeVC's file holds other weights. Resemblyzer's librosa puts zeros at the edges."""
    from resemblyzer import VoiceEncoder

    spec = find_spec("resemblyzer")
    assert spec is not None
    assert spec.origin is not None
    encoder = GE2E.load(Path(spec.origin).parent / "pretrained.pt")
    theirs = VoiceEncoder("cpu", verbose=False)
    for length in (4_000, 25_600, 25_700, 44_801, 70_000):
        samples = hum(length / 16_000, seed=length)
        with torch.inference_mode():
            found = encoder.embed([samples], "zeros")[0].numpy()
            mirrored = encoder.embed([samples])[0].numpy()
        assert np.abs(found - theirs.embed_utterance(samples)).max() < 1e-6
        assert np.abs(found - mirrored).max() > 1e-6


@pytest.mark.parametrize(
    ("samples", "starts"), [(100, [0]), (25_600, [0]), (31_519, [0]), (31_520, [0, 77]), (60_000, [0, 77, 154, 231])]
)
def test_windows_of_ge2e(samples: int, starts: list[int]) -> None:
    theirs = pytest.importorskip("resemblyzer").VoiceEncoder.compute_partial_slices(samples, 1.3, 0.75)[1]
    assert ge2e.windows(samples) == [part.start for part in theirs] == starts


def test_log_mel_of_freevc_s() -> None:
    from librosa.filters import mel

    samples = hum(0.73)
    found = freevc_features.log_mel(samples)
    padded = torch.nn.functional.pad(torch.from_numpy(samples)[None], (480, 480), mode="reflect")
    spectrum = torch.stft(padded, 1280, 320, window=torch.hann_window(1280), center=False, return_complex=True)[0]
    bands = torch.from_numpy(mel(sr=16_000, n_fft=1280, n_mels=80, fmin=0.0)) @ (spectrum.abs() ** 2 + 1e-6).sqrt()
    wanted = torch.log(bands.clamp(min=1e-5)).T.numpy()
    assert found.shape == (len(samples) // 320, 80)
    assert np.abs(found - wanted).max() < 2e-4


def test_speech_is_trimmed_as_librosa_does() -> None:
    from librosa.effects import trim

    samples = np.concatenate([np.full(9_000, 1e-4, np.float32), hum(0.8), np.full(7_000, 1e-4, np.float32)])
    kept = freevc_features.trimmed(samples)
    assert np.array_equal(kept, trim(samples, top_db=20)[0])
    assert 12_000 < len(kept) < 16_000


@pytest.mark.parametrize(("frames", "ends"), [(60, [60]), (128, [128]), (129, [128, 129]), (300, [128, 192, 256, 300])])
def test_windows_of_freevc_s(frames: int, ends: list[int]) -> None:
    """The mean of vectors of length 1, over windows that end there, is shorter than 1 where they differ."""
    from vceval.networks.freevc import MelSpeakerEncoder

    encoder = MelSpeakerEncoder(bands=4, size=8).eval()
    encoder.load_state_dict({name: value * 3.0 for name, value in made_up_weights(encoder, seed=3).items()})
    mel = torch.randn(1, 4, frames, generator=torch.Generator().manual_seed(frames))
    with torch.inference_mode():
        parts = [encoder(mel[:, :, max(0, end - 128) : end]) for end in ends]
        found = encoder(mel)
    assert torch.allclose(found, torch.cat(parts).mean(dim=0, keepdim=True), atol=1e-6)
    assert all(part.norm() == pytest.approx(1.0, abs=1e-5) for part in parts)
    assert found.norm() < 1.0 + 1e-6


def test_the_flow_goes_there_and_back_and_minds_its_mask() -> None:
    from vceval.networks.vits import CouplingFlow

    flow = CouplingFlow(6, 8, layers=2, dilation_rate=2, condition=3)
    flow.load_state_dict(made_up_weights(flow))
    mask = torch.ones(2, 1, 20)
    mask[1, :, 13:] = 0.0
    x = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(1)) * mask
    speaker = torch.randn(2, 3, 1, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        there = flow(x, mask, speaker)
        assert torch.allclose(flow(there, mask, speaker, inverse=True), x, atol=1e-5)
        assert (there - x).abs().max() > 0.1
        assert (flow(x, mask, -speaker) - there).abs().max() > 1e-3
        alone = flow(x[1:, :, :13], mask[1:, :, :13], speaker[1:])
    assert torch.allclose(there[1:, :, :13], alone, atol=1e-6)
    assert not there[1, :, 13:].any()


def test_numbering_of_the_couplings() -> None:
    from vceval.networks.vits import CouplingFlow

    assert list(CouplingFlow(4, 4, layers=1, step=1).flows) == ["0", "1", "2", "3"]
    assert list(CouplingFlow(4, 4, layers=1).flows) == ["0", "2", "4", "6"]
    for file in (FREEVC, FREEVC_24, FREEVC_S):
        assert {name.split(".")[2] for name in file.layout() if name.startswith("flow.")} == {"0", "2", "4", "6"}
