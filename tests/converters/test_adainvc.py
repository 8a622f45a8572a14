"""AdaIN-VC in both editions: the authors' reference cases, the layout of their files, made-up weights converting."""

from __future__ import annotations

import pickle
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from made_up_converters import MadeUpWeights
from sounds import hum

from vceval.converters import adainvc, adainvc_cyhuang, native
from vceval.converters.adainvc import AdaInVc
from vceval.converters.adainvc_cyhuang import AdaInVcCyhuang
from vceval.converters.adainvc_demo import AdaInVcDemo
from vceval.errors import ItemError, UsageError
from vceval.networks import adainvc_cyhuang_features, adainvc_features
from vceval.signal import spectral
from vceval.signal.audio import Waveform
from vceval.signal.griffin_lim import fast_griffin_lim, griffin_lim

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def weights(weights_of: MadeUpWeights) -> Path:
    return weights_of("adainvc", "adainvc-cyhuang")


@pytest.fixture(scope="module")
def converter(weights: Path) -> AdaInVc:
    opened = AdaInVc(weights=str(weights))
    opened.open("cpu")
    return opened


def test_source_and_target_both_matter(converter: AdaInVc) -> None:
    waves = [Waveform(hum(0.5, 24_000, pitch, seed), 24_000) for seed, pitch in enumerate((120.0, 180.0, 240.0))]
    contents, voices = converter.encode_content(waves[:2]), converter.encode_speaker([[wave] for wave in waves])
    frames = [
        converter._network.decoder(contents[content], voices[voice])[0, :, :24]
        for content, voice in ((0, 1), (0, 2), (1, 2))
    ]
    assert (frames[0] - frames[1]).abs().max() > 1e-2
    assert (frames[1] - frames[2]).abs().max() > 1e-2


@pytest.mark.parametrize("edition", [adainvc, adainvc_cyhuang])
def test_shortest_inputs(edition: Any) -> None:
    network = edition.WEIGHTS.build().eval()
    bands = network.decoder.out_conv_layer.out_channels
    with torch.inference_mode():
        assert network(torch.randn(1, bands, 17), torch.randn(1, bands, 9)).shape == (1, bands, 24)
        assert network.content_encoder(torch.randn(1, bands, 101)).shape == (1, 128, 13)
        with pytest.raises(RuntimeError):
            network.speaker_encoder(torch.randn(1, bands, 8))
        with pytest.raises(RuntimeError):
            network(torch.randn(1, bands, 16), torch.randn(1, bands, 9))


def test_layers() -> None:
    from vceval.networks.adainvc import PaddedConv, halved, spread, steered

    x = torch.arange(5.0).reshape(1, 1, 5)
    assert halved(x, 2).flatten().tolist() == [0.5, 2.5, 4.0]  # the last one is not halved
    shuffled = spread(torch.tensor([[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0], [30.0, 31.0]]]), 2)
    assert shuffled.tolist() == [[[0.0, 10.0, 1.0, 11.0], [20.0, 30.0, 21.0, 31.0]]]
    assert steered(torch.ones(1, 2, 1), torch.tensor([[1.0, 2.0, 30.0, 40.0]])).flatten().tolist() == [31.0, 42.0]
    layer = PaddedConv(1, 1, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]))
        layer.bias.zero_()
        assert layer(x).flatten().tolist() == [2.0, 1.0, 0.0, 1.0, 2.0]  # two mirrored before, one after


@pytest.mark.parametrize("seconds", [0.13, 61.0])
def test_length_limits(converter: AdaInVc, weights: Path, seconds: float) -> None:
    other = AdaInVcCyhuang(weights=str(weights), vocoder="griffin-lim")
    other.open("cpu")
    wave, fine = (Waveform(hum(length, 16_000), 16_000) for length in (seconds, 0.8))
    for made in (converter, other):
        refused, content = made.encode_content([wave, fine])
        assert isinstance(refused, ItemError)
        assert str(round(seconds)) in str(refused) or "17 frames" in str(refused)
        assert content.shape[:2] == (1, 128)
    silent = Waveform(np.zeros(16_000, dtype=np.float32), 16_000)
    for made in (converter, other):
        assert isinstance(made.encode_speaker([[fine, silent]])[0], ItemError)


def test_wrong_files(weights: Path, tmp_path: Path) -> None:
    for name in (adainvc.WEIGHTS.name, adainvc.STATISTICS.name):
        (tmp_path / name).write_bytes((weights / name).read_bytes())
    with open(tmp_path / adainvc.STATISTICS.name, "wb") as handle:
        pickle.dump({"mean": np.zeros(512), "std": np.zeros(512)}, handle)
    with pytest.raises(UsageError, match=r"attr\.pkl: 512 of its deviations are not above 0"):
        AdaInVc(weights=str(tmp_path)).open("cpu")
    (tmp_path / adainvc.WEIGHTS.name).write_bytes((weights / adainvc_cyhuang.WEIGHTS.name).read_bytes())
    with pytest.raises(UsageError, match=r"is adainvc-cyhuang/model\.ckpt .*, not vctk_model\.ckpt"):
        AdaInVc(weights=str(tmp_path)).open("cpu")
    (tmp_path / "model.ckpt").write_bytes((weights / adainvc_cyhuang.WEIGHTS.name).read_bytes())
    with pytest.raises(UsageError, match="vocoder=griffin-lim"):
        AdaInVcCyhuang(weights=str(tmp_path)).open("cpu")
    with pytest.raises(UsageError, match="universal or griffin-lim"):
        AdaInVcCyhuang(vocoder="melgan")  # type: ignore[arg-type]


def test_griffin_lim_comes_nearer() -> None:
    """Round 0 is the plain inverse of phase zero; more rounds come nearer; too few frames are refused."""
    window = spectral.hann(1_200, 2_048)
    wanted = spectral.magnitude(hum(0.4, 24_000), 2_048, 300, window)
    started = griffin_lim(wanted, 300, window, 0)
    assert np.abs(started - spectral.istft(wanted.astype(complex), 300, window)).max() < 1e-5
    apart = [
        float(np.abs(spectral.magnitude(griffin_lim(wanted, 300, window, n), 2_048, 300, window) - wanted).mean())
        for n in (0, 5, 40)
    ]
    assert apart[2] < 0.6 * apart[1] < 0.6 * apart[0]
    with pytest.raises(ValueError, match="too few"):
        griffin_lim(wanted[:4], 300, window, 1)


@pytest.mark.parametrize("kind", [AdaInVc, AdaInVcCyhuang, AdaInVcDemo])
def test_threads_beside_a_gpu_change_nothing(kind: Any, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {} if kind is AdaInVcDemo else {"weights": str(weights)}
    made = kind(**options, **({"vocoder": "griffin-lim"} if kind is AdaInVcCyhuang else {}))
    made.open("cpu")
    waves = [Waveform(hum(seconds, 24_000, 120.0, n), 24_000) for n, seconds in enumerate((0.6, 0.5, 0.8, 0.5))]
    items = [(content, made.voice(waves[:1])) for content in made.encode_content(waves)]
    items[1] = (items[1][0] * float("nan"), items[1][1])
    expected = made.decode(items, range(4))
    monkeypatch.setattr(native, "spare_threads", lambda device: 3)
    for one, other in zip(made.decode(items, range(4)), expected, strict=True):
        assert str(one) == str(other) if isinstance(other, ItemError) else np.array_equal(one.samples, other.samples)
    assert [isinstance(one, ItemError) for one in expected] == [False, True, False, False]


def test_threads_are_shared_by_the_gpus(converter: AdaInVc, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker for each GPU, and for each core where there is none."""
    monkeypatch.setattr(native.os, "sched_getaffinity", lambda process: set(range(5)))
    for gpus, threads in ((1, 5), (2, 2), (8, 1)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert native.spare_threads("cuda:0") == threads
        assert native.spare_threads("cpu") == 1
    monkeypatch.setattr(native, "spare_threads", lambda device: 2)
    together = Barrier(2, timeout=60.0)
    # Each waits for the other
    assert converter.side_by_side(lambda n: (together.wait(), n)[1], [1, ItemError("no"), 2])[::2] == [1, 2]


def test_momentum_comes_nearer_in_fewer_rounds() -> None:
    window = spectral.hann(1_200, 2_048)
    wanted = spectral.magnitude(hum(0.4, 24_000), 2_048, 300, window)

    def apart(samples: np.ndarray) -> float:
        return float(np.linalg.norm(spectral.magnitude(samples, 2_048, 300, window) - wanted))

    assert np.abs(fast_griffin_lim(wanted, 300, window, 0) - griffin_lim(wanted, 300, window, 0)).max() < 1e-5
    plain = [griffin_lim(wanted, 300, window, rounds) for rounds in (1, 3, 24)]
    without = [fast_griffin_lim(wanted, 300, window, rounds, momentum=0.0) for rounds in (1, 3, 24)]
    assert np.abs(plain[1] - without[1]).max() < 1e-3, "without momentum it is the same algorithm"
    assert apart(fast_griffin_lim(wanted, 300, window, 24)) < 0.9 * apart(plain[2])
    with pytest.raises(ValueError, match="too few"):
        fast_griffin_lim(wanted[:4], 300, window, 1)


def test_front_ends_and_back() -> None:
    """Levels in dB, length, and a way back that keeps the spectrum."""
    quiet, loud = (hum(0.6, 24_000) * gain for gain in (0.1, 1.0))
    frames = adainvc_features.mel(loud)
    assert frames.shape == (1 + len(loud) // 300, 512)
    inner = (frames > 0.3) & (frames < 1.0)
    assert np.abs((frames - adainvc_features.mel(quiet))[inner] - 0.2).max() < 1e-3  # 20 dB
    again = adainvc_features.mel(adainvc_features.waveform(frames))
    count = min(len(again), len(frames))
    assert np.abs(again[:count] - frames[:count])[inner[:count]].mean() < 0.03
    loud = hum(0.6, 16_000)
    power = adainvc_cyhuang_features.mel(loud)
    assert power.shape == (1 + len(loud) // 200, 80)
    lower = adainvc_cyhuang_features.mel(loud * 0.1)
    assert np.abs((power - lower)[lower > -0.95] - 0.4).max() < 1e-3  # 40 dB: it is power
    again = adainvc_cyhuang_features.mel(adainvc_cyhuang_features.waveform(power))
    count = min(len(again), len(power))
    assert np.abs(again[2 : count - 2] - power[2 : count - 2]).mean() < 0.06
    kept = adainvc_cyhuang_features.speech(Waveform(loud, 16_000))
    assert abs(np.abs(kept).max() - 10 ** (-3 / 20)) < 1e-6
