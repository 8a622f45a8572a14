"""OpenVoice's network and files; and coqui-tts itself against our own networks, three systems, from the same files.

The tests with the library run where ``vceval env create openvoice`` was run, and skip elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_wavlm
from sounds import hum

from vceval.checkpoints import store
from vceval.checkpoints.known_files import GE2E, WAVLM_LARGE
from vceval.conformance.kits import made_up_weights
from vceval.converters import environments
from vceval.converters.base import Request
from vceval.converters.by_recipe import class_of
from vceval.converters.freevc import FREEVC_24, FreeVc24
from vceval.converters.native import noise
from vceval.converters.yourtts import YourTts
from vceval.networks.openvoice import SETTINGS_V2, ToneConverter
from vceval.networks.yourtts_features import spectrogram
from vceval.signal import audio
from vceval.signal.audio import Waveform, resample
from vceval.testing import check_converter

torch = pytest.importorskip("torch")

OpenVoice = class_of("openvoice")
CHECKPOINT, CONFIG = OpenVoice.files


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up OpenVoice, as its authors pack it."""
    place = tmp_path_factory.mktemp("openvoice")
    made = made_up_weights(CHECKPOINT.build())
    made["enc_q.proj.weight"] *= 0.3  # else exp(log deviation) explodes
    torch.save({"model": made, "iteration": 3, "optimizer": {}, "learning_rate": 1e-4}, place / "checkpoint.pth")
    (place / "config.json").write_text(json.dumps({"_version_": "v2", **SETTINGS_V2}))
    return place


def test_layout_and_filing(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path))
    layout = CHECKPOINT.layout()
    assert len(layout) == 486
    assert sum(int(np.prod(shape)) for shape in layout.values()) == 32_792_226
    assert layout["ref_enc.gru.weight_ih_l0"] == (384, 128 * 9)
    assert layout["ref_enc.convs.5.weight_g"] == (128, 1, 1, 1)
    assert layout["flow.flows.6.enc.cond_layer.weight_v"] == (1536, 256, 1)
    assert store.add(weights / "checkpoint.pth").file == CHECKPOINT
    assert store.add(weights / "config.json").file == CONFIG
    assert OpenVoice(python=sys.executable).missing_files() == []


def test_the_network_minds_both_speakers(weights: Path) -> None:
    network: ToneConverter = CHECKPOINT.load(weights / "checkpoint.pth").eval()  # type: ignore[assignment]
    spectra = [torch.from_numpy(spectrogram(hum(0.4, 22_050, pitch)))[None] for pitch in (120.0, 180.0, 240.0)]
    drawn = noise(1, (1, 192, spectra[0].shape[-1]))
    with torch.inference_mode():
        voices = [network.ref_enc(spectrum) for spectrum in spectra]
        usual = network(spectra[0], voices[0], voices[1], drawn)
        others = [
            network(spectra[0], voices[0], voices[2], drawn),
            network(spectra[0], voices[2], voices[1], drawn),
            network(spectra[0], voices[0], voices[1], -drawn),
        ]
    assert usual.shape == (1, 1, 256 * spectra[0].shape[-1])
    assert all((other - usual).abs().max() > 1e-4 for other in others)


@pytest.fixture
def library() -> str:
    """The interpreter of the environment that users make."""
    found = environments.interpreter("openvoice")
    if found is None:
        pytest.skip("there is no environment openvoice (vceval env create openvoice)")
    return str(found)


def converted(converter: Any, requests: list[Request]) -> list[np.ndarray]:
    converter.open("cpu")
    outcomes = converter.convert(requests)
    converter.close()
    assert all(isinstance(outcome, Waveform) for outcome in outcomes), outcomes
    return [outcome.samples for outcome in outcomes]


def test_the_library_converts_as_our_network(library: str, weights: Path, make_sound: Callable[..., Path]) -> None:
    """Batch, repetition and rate; and OpenVoice's equations, which are written out twice."""
    pairs = [
        (make_sound("s0.wav", 0.5, seed=1), [make_sound("t0.wav", 0.7, pitch=210.0)]),
        (make_sound("s1.wav", 0.73, rate=22_050), [make_sound("t1.wav", 0.4, pitch=230.0)]),
    ]
    converter = OpenVoice(weights=str(weights))
    assert "environment openvoice" in converter.assets()
    report = check_converter(converter, pairs, seed=5)
    assert not report.problems
    network: ToneConverter = CHECKPOINT.load(weights / "checkpoint.pth").eval()  # type: ignore[assignment]
    for place, (outcome, (source, [prompt])) in enumerate(zip(report.outcomes, pairs, strict=True)):
        assert isinstance(outcome, Waveform), outcome
        spectra = [
            torch.from_numpy(spectrogram(resample(audio.load(path), 22_050).samples))[None] for path in (source, prompt)
        ]
        with torch.inference_mode():
            voices = [network.ref_enc(spectrum) for spectrum in spectra]
            wanted = network(spectra[0], *voices, noise(5 + place, (1, 192, spectra[0].shape[-1])))[0, 0].numpy()
        assert outcome.samples.shape == wanted.shape
        assert np.abs(outcome.samples - wanted).max() < 1e-4


def test_the_library_agrees_with_our_yourtts(
    library: str, tmp_path: Path, openvoice_request: Callable[..., Request]
) -> None:
    model, settings, encoder, encoder_settings = YourTts.files
    place = tmp_path / "files"
    (place / "yourtts").mkdir(parents=True)
    made = made_up_weights(model.build())
    made["posterior_encoder.proj.weight"] *= 0.3
    torch.save({"model": {**made, "emb_l.weight": torch.zeros(3, 4)}}, place / model.name)
    # Three tensors of the published file are no weights: pre-emphasis, window, mel filters
    computed = {
        "torch_spec.0.filter": torch.tensor([[[-0.97, 1.0]]]),
        "torch_spec.1.spectrogram.window": torch.hamming_window(400),
        "torch_spec.1.mel_scale.fb": torch.from_numpy(mel_triangles(257, 64)),
    }
    torch.save({"model": {**made_up_weights(encoder.build()), **computed}}, place / encoder.name)
    plain = {"sample_rate": 16_000, "do_sound_norm": False}  # of trimming nothing is said
    (place / settings.name).write_text(
        json.dumps(
            {
                "model": "vits",
                "audio": {**plain, "do_rms_norm": False, "fft_size": 1024, "win_length": 1024, "hop_length": 256},
                "model_args": {"out_channels": 513, "resblock_type_decoder": "2", "d_vector_dim": 512},
            }
        )
    )
    (place / encoder_settings.name).write_text(
        json.dumps(
            {
                "model": "speaker_encoder",
                "audio": {**plain, "do_rms_norm": True, "db_level": -27.0, "fft_size": 512, "win_length": 400,
                          "hop_length": 160, "preemphasis": 0.97, "num_mels": 64},
                "model_params": {"model_name": "resnet", "input_dim": 64, "proj_dim": 512, "use_torch_spec": True,
                                 "log_input": True},
            }
        )
    )  # fmt: skip
    requests = [openvoice_request("one", 9_000, seed=3), openvoice_request("two", 12_000, prompts=2, seed=4)]
    ours, theirs = YourTts(weights=str(place)), OpenVoice(model="your_tts", weights=str(place))
    for found, wanted in zip(converted(theirs, requests), converted(ours, requests), strict=True):
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-4


def mel_triangles(bins: int, bands: int) -> np.ndarray:
    """Mel filters by the formula 2595 log10(1 + f / 700), triangles of height 1, (bins, bands)."""
    top = 2595 * np.log10(1 + 8_000 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    grid = np.linspace(0, 8_000, bins)[:, None]
    up, down = (grid - corners[:-2]) / np.diff(corners)[:-1], (corners[2:] - grid) / np.diff(corners)[1:]
    return np.maximum(0, np.minimum(up, down)).astype(np.float32)


def test_the_library_agrees_with_our_freevc(
    library: str, tmp_path: Path, openvoice_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the edges of a prompt, where today's librosa puts zeros and FreeVC's mirrored the signal."""
    place = tmp_path / "files"
    place.mkdir()
    torch.save({"model": made_up_weights(FREEVC_24.build()), "optimizer": {}}, place / FREEVC_24.name)
    speaker = {name: value * 3.0 for name, value in made_up_weights(GE2E.build()).items()}
    scalars = {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    torch.save({"step": 5_805_000, "model_state": {**scalars, **speaker}}, place / GE2E.name)
    small_wavlm.write(place / WAVLM_LARGE.name, small_wavlm.settings(2))
    requests = [openvoice_request("one", 9_000, seed=3), openvoice_request("two", 12_000, seed=4)]
    [theirs, ours] = (
        converted(kind, requests)
        for kind in (OpenVoice(model="freevc24", weights=str(place)), FreeVc24(weights=str(place)))
    )
    monkeypatch.setattr(FreeVc24, "_embed", lambda self, speakers: self._encoder.embed_speakers(speakers, "zeros"))
    padded = converted(FreeVc24(weights=str(place)), requests)
    for found, wanted, mirrored in zip(theirs, padded, ours, strict=True):
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-4
        assert np.corrcoef(found, mirrored)[0, 1] > 0.99
