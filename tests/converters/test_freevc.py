"""FreeVC and its speaker encoders: reference cases, layouts, front ends, and conversion from made-up weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import small_wavlm
import soundfile
from sounds import hum

from vceval.checkpoints.known_files import GE2E, WAVLM_LARGE
from vceval.conformance.freevc import FreeVcPort
from vceval.conformance.kits import made_up_weights
from vceval.converters.freevc import FREEVC, FREEVC_24, FREEVC_S, FreeVc, FreeVc24, FreeVcS
from vceval.errors import ItemError, UsageError
from vceval.networks import freevc_features, ge2e
from vceval.signal.audio import Waveform
from vceval.testing import check_converter

torch = pytest.importorskip("torch")

LENGTHS = [0.7, 0.45, 0.7, 0.61, 0.52]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, wrapped as the authors wrap them; WavLM is a small one."""
    folder = tmp_path_factory.mktemp("freevc")
    made = made_up_weights(FREEVC_S.build())
    plain = {name: value for name, value in made.items() if not name.startswith("enc_spk.")}
    for file, state in ((FREEVC, plain), (FREEVC_S, made)):
        torch.save(
            {"model": state, "iteration": 7, "optimizer": {"state": {}}, "learning_rate": 1e-4}, folder / file.name
        )
    (folder / FREEVC_24.name).symlink_to(folder / FREEVC.name)  # the same layout
    scalars = {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    speaker = {name: value * 3.0 for name, value in made_up_weights(GE2E.build()).items()}
    torch.save({"step": 5_805_000, "model_state": {**scalars, **speaker}, "optimizer_state": {}}, folder / GE2E.name)
    small_wavlm.write(folder / WAVLM_LARGE.name, small_wavlm.settings(2))
    return folder


@pytest.fixture(scope="module")
def freevc(weights: Path) -> FreeVc:
    opened = FreeVc(weights=str(weights))
    opened.open("cpu")
    return opened


def sounds(folder: Path) -> list[tuple[Path, list[Path]]]:
    """Five pairs of unequal lengths, at two sample rates; one has two prompts."""

    def write(name: str, samples: np.ndarray, rate: int) -> Path:
        soundfile.write(folder / name, samples, rate, subtype="FLOAT")
        return folder / name

    pairs = []
    for place, seconds in enumerate(LENGTHS):
        rate = 16_000 if place % 2 else 22_050
        source = write(f"s{place}.wav", hum(seconds, rate, 120.0, seed=place), rate)
        pairs.append((source, [write(f"t{place}.wav", hum(2.2 - seconds, 16_000, 210.0, seed=50 + place), 16_000)]))
    pairs[1][1].append(write("more.wav", hum(0.8, 16_000, 190.0, seed=99), 16_000))
    return pairs


@pytest.mark.parametrize("kit", ["freevc", "freevc_s", "freevc_24"])
def test_reference_cases(shared: Path, kit: str) -> None:
    parity.check(shared / "parity" / kit, FreeVcPort())


@pytest.mark.parametrize(
    ("file", "tensors", "values"),
    [(FREEVC, 560, 39_339_712), (FREEVC_24, 560, 39_339_712), (FREEVC_S, 574, 40_804_288), (GE2E, 14, 1_423_616)],
)
def test_layout(file: Any, tensors: int, values: int) -> None:
    layout = file.layout()
    assert len(layout) == tensors
    assert sum(int(np.prod(shape)) for shape in layout.values()) == values
    if file is not GE2E:
        assert {name.split(".")[2] for name in layout if name.startswith("flow.")} == {"0", "2", "4", "6"}
        assert layout["enc_q.enc.cond_layer.weight_v"] == (6144, 256, 1)


@pytest.mark.parametrize(("kind", "together"), [(FreeVc, 1), (FreeVc, 16), (FreeVcS, 16), (FreeVc24, 1)])
def test_any_batch_any_length(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[FreeVc], together: int
) -> None:
    """Decoded one by one, as on processors, and together, as elsewhere."""
    monkeypatch.setattr("vceval.converters.freevc._DECODED_ON_PROCESSORS", together)
    pairs = sounds(tmp_path)
    report = check_converter(kind(weights=str(weights)), pairs)
    assert not report.problems
    for outcome, seconds in zip(report.outcomes, LENGTHS, strict=True):
        assert isinstance(outcome, Waveform)
        assert outcome.sample_rate == (24_000 if kind is FreeVc24 else 16_000)
        frames = (round(seconds * 16_000) - 400) // 320 + 1
        assert len(outcome.samples) == frames * (480 if kind is FreeVc24 else 320)
        assert outcome.samples.std() > 1e-3


def test_source_target_and_seed_matter(freevc: FreeVc) -> None:
    waves = [Waveform(hum(0.5, 16_000, pitch, seed), 16_000) for seed, pitch in enumerate((120.0, 180.0, 240.0))]
    contents, voices = freevc.encode_content(waves[:2]), freevc.encode_speaker([[wave] for wave in waves])
    assert contents[0].shape == (1024, 24)
    items = [(contents[0], voices[1]), (contents[0], voices[2]), (contents[1], voices[1]), (contents[0], voices[1])]
    first, voice, words, drawn = (wave.samples for wave in freevc.decode(items, [3, 3, 3, 4]))
    for other in (voice, words, drawn):
        assert np.abs(first - other).max() > 1e-4
    assert np.array_equal(freevc.decode(items[:1], [3])[0].samples, freevc.decode(items[:1], [3])[0].samples)


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
    monkeypatch.setattr(freevc, "_embed", lambda _: torch.full((256,), torch.nan))
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
            found = encoder.embed(samples, "zeros").numpy()
            mirrored = encoder.embed(samples).numpy()
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
