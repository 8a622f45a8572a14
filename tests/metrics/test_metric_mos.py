"""Predicted opinion scores: DistillMOS and DNSMOS as their packages give them, UTMOS as its network does."""

from __future__ import annotations

import importlib.metadata
import json
import math
import pickle
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pytest
from sounds import hum

from vceval import registry
from vceval.benchmarks import demo
from vceval.cli.listing import listing
from vceval.errors import ItemError, UsageError
from vceval.metrics import mos, mos_dnsmos, mos_utmos, opinion
from vceval.metrics.base import Workspace
from vceval.metrics.mos import PredictedOpinion
from vceval.metrics.mos_dnsmos import DnsMos
from vceval.metrics.mos_utmos import UtMos
from vceval.metrics.opinion import OpinionPredictor
from vceval.records import Conversion, ConversionPair
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import Cache


def installed(*names: str) -> bool:
    try:
        return all(importlib.metadata.version(name) for name in names)
    except importlib.metadata.PackageNotFoundError:
        return False


needs_dnsmos = pytest.mark.skipif(
    not installed("speechmos", "onnxruntime"), reason="the extra mos is not installed: pip install 'vceval[mos]'"
)
needs_distill = pytest.mark.skipif(not installed("distillmos"), reason="no distillmos: pip install 'vceval[mos]'")
PACKAGED = registry.load("metric", "mos:distill")
#: What the package gives, and how that was made.
GIVEN = json.loads(Path(__file__).with_name("distillmos.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    mos._network.cache_clear()
    mos_utmos._network.cache_clear()


def opened(kind: type[OpinionPredictor] = PredictedOpinion, folder: Path | None = None) -> OpinionPredictor:
    metric = kind()
    metric.open(Workspace(Cache(folder)))
    return metric


@needs_distill
def test_distillmos_is_what_its_package_gives() -> None:
    """Shorter than a window, one to the sample, a sample more, many; and real recordings."""
    metric = opened(PACKAGED)
    for seconds, value in GIVEN["hums, seconds, seed 4"].items():
        found = metric.predict(Waveform(hum(float(seconds), seed=4), 16_000))
        assert found["opinion"] == pytest.approx(value, abs=1e-5), seconds
    for name, value in GIVEN["recordings of the demo corpus"].items():
        found = metric.predict(audio.load(demo.root() / "audio" / f"{name}.flac"))
        assert found == {"opinion": pytest.approx(value, abs=1e-5), "windows": 1}, name


@needs_distill
def test_distillmos_beside_its_package() -> None:
    """Where all that the package imports is here."""
    package = pytest.importorskip("distillmos", exc_type=ImportError)
    torch = pytest.importorskip("torch")
    theirs, metric = package.ConvTransformerSQAModel().eval(), opened(PACKAGED)
    for seed in range(3):
        samples = hum(3.0 + 4.0 * seed, seed=seed)
        with torch.no_grad():
            expected = float(theirs(torch.from_numpy(samples)[None])[0])
        assert metric.predict(Waveform(samples, 16_000))["opinion"] == pytest.approx(expected, abs=1e-5)


@needs_distill
def test_distillmos_keeps_what_a_device_scores_together(tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    """The device here is called so and is none: recordings of one window and of several, one that is no audio."""
    metric = opened(folder=tmp_path / "cache")
    sounds = [make_sound(f"{number}.wav", seconds=seconds) for number, seconds in enumerate((0.4, 9.0, 2.0))]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    conversions = [Conversion("x", ConversionPair(path.stem, "d"), path) for path in (*sounds, broken)]
    metric.workspace.device = "cpu:0"
    metric.prepare(conversions)
    together = [metric.statistics(one).sums["mos_distill"][0] for one in conversions[:3]]
    alone = [opened().statistics(one).sums["mos_distill"][0] for one in conversions[:3]]
    assert together == pytest.approx(alone, abs=1e-5)
    with pytest.raises(ItemError, match=r"broken\.wav"):
        metric.statistics(conversions[3])


@needs_distill
def test_distillmos_hears_no_gain() -> None:
    samples = hum(2.0, seed=1)
    loud, soft = (opened().predict(Waveform(samples * np.float32(g), 16_000))["opinion"] for g in (1.0, 0.01))
    assert loud == pytest.approx(soft, abs=1e-4)


@needs_distill
def test_distillmos_hears_no_silence_around_speech() -> None:
    """Half a second of it is always there; the package's own figure moves."""
    wave = audio.load(next((demo.root() / "audio").rglob("*.flac")), 16_000)
    padded = Waveform(np.pad(wave.samples, (32_000, 48_000)), 16_000)
    hears, moves = opened(), opened(PACKAGED)
    assert hears.predict(padded)["opinion"] == pytest.approx(hears.predict(wave)["opinion"], abs=0.01)
    assert abs(moves.predict(padded)["opinion"] - moves.predict(wave)["opinion"]) > 0.02


@needs_distill
def test_signatures_of_both_distillmos_say_what_they_hear() -> None:
    plain, packaged = registry.load("metric", "mos")(), PACKAGED()
    assert "|around:0.5s|moved-by:polarity,rate|" in plain.signature()
    assert packaged.signature().endswith("|level:peak|moved-by:padding,polarity,rate|v:2.0")
    assert [one.name for one in (*plain.measures, *packaged.measures)] == ["mos_distill", "distillmos"]
    assert plain.on_device


@pytest.mark.parametrize("what", ["truncated", "another"])
def test_weights_of_distillmos_that_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    folder = tmp_path / "distillmos"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('nothing of it is imported')")
    (folder / "weights" / mos.WEIGHTS.name).write_bytes(b"PK" if what == "truncated" else bytes(1000))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(opinion, "version", lambda name: "0.9.1")
    monkeypatch.setattr(opinion.importlib.util, "find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)]))
    with pytest.raises(
        UsageError, match=r"distill_mos_v7\.pt: not the network .*reinstall --no-deps distillmos==0\.9\.1"
    ):
        PredictedOpinion().signature()
    (folder / "weights" / mos.WEIGHTS.name).unlink()
    with pytest.raises(UsageError, match=r"distillmos 0\.9\.1 has no weights/distill_mos_v7\.pt; install it anew: pip"):
        PredictedOpinion().open(Workspace())


@needs_dnsmos
@pytest.mark.parametrize("seconds", [0.7, 9.009, 9.01, 10.0, 17.5])
def test_dnsmos_is_what_its_package_gives(seconds: float) -> None:
    package = pytest.importorskip("speechmos.dnsmos")
    samples = hum(seconds, seed=int(seconds))
    samples *= np.linspace(0.2, 1.0, len(samples), dtype=np.float32)
    expected = package.run(samples, 16_000)
    found = DnsMos().predict(Waveform(samples, 16_000))
    for name in ("sig", "bak", "ovrl", "p808"):
        assert found[name] == pytest.approx(float(expected[f"{name}_mos"]), abs=1e-5)


@needs_dnsmos
def test_dnsmos_on_published_recordings_is_what_its_package_gives(shared: Path) -> None:
    package = pytest.importorskip("speechmos.dnsmos")
    files = sorted((shared / "published_demos").rglob("*.flac"))[::60]
    files = [path for path in files if 4.6 < audio.duration(path) < 10.0]  # one window each: quick
    assert len(files) >= 3
    for path in files[:3]:
        expected = package.run(str(path), 16_000)
        found = DnsMos().predict(audio.load(path))
        for name in ("sig", "bak", "ovrl", "p808"):
            assert found[name] == pytest.approx(float(expected[f"{name}_mos"]), abs=1e-5), path


@needs_dnsmos
def test_dnsmos_hears_noise(tmp_path: Path) -> None:
    metric = opened(DnsMos, tmp_path / "cache")
    clean = demo.root() / "audio" / "slt" / "slt_009.flac"
    noisy = tmp_path / "noisy.flac"
    wave = audio.load(clean)
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(wave.samples))
    audio.write_flac(noisy, Waveform((wave.samples + noise).astype(np.float32), wave.sample_rate))
    good, bad = (metric.statistics(Conversion("x", ConversionPair("p", "d"), path)).sums for path in (clean, noisy))
    assert set(good) == {measure.name for measure in metric.measures}
    assert good["dnsmos_bak"][0] > bad["dnsmos_bak"][0] + 0.5
    assert all(1.0 <= value <= 5.0 and count == 1.0 for value, count in [*good.values(), *bad.values()])
    again = metric.statistics(Conversion("x", ConversionPair("p", "d"), clean))
    assert again.sums == good
    assert again.details["windows"] > 0


@needs_dnsmos
def test_the_signature_of_dnsmos() -> None:
    metric = registry.load("metric", "mos:dnsmos")()
    assert "dnsmos-269fbebd,9246480c|sr:16000" in metric.signature()
    assert metric.signature().endswith("|moved-by:gain,padding,rate|v:1.0")
    for word in (
        "|onnxruntime:",
        "|speechmos:0.0.1.1",
        "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    ):
        assert word in metric.long_signature()


@needs_dnsmos
def test_missing_recording_is_named(tmp_path: Path) -> None:
    metric = DnsMos()
    metric.open(Workspace())
    with pytest.raises(ItemError, match=r"gone\.wav: no such file"):
        metric.statistics(Conversion("x", ConversionPair("p", "d"), tmp_path / "gone.wav"))


@needs_dnsmos
def test_other_networks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mos_dnsmos, "MODELS", {"sig_bak_ovr.onnx": "0" * 64})
    with pytest.raises(UsageError, match=r"sig_bak_ovr\.onnx: not the network that vceval knows"):
        DnsMos().signature()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(opinion, "version", version)
    for metric, package in ((PredictedOpinion(), "distillmos"), (DnsMos(), "speechmos")):
        for ask in (metric.signature, lambda metric=metric: metric.open(Workspace())):
            with pytest.raises(
                UsageError, match=rf"needs {package}, which is not installed: pip install 'vceval\[mos\]'"
            ):
                ask()
    monkeypatch.delenv("VCEVAL_UTMOS", raising=False)
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    lines = [line for line in listing("metrics").splitlines() if line.startswith("mos")]
    assert lines[0].split()[0] == "mos"
    assert all("can't be used" in line for line in lines)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Make UTMOS's network with two layers, narrow where that is possible, and weights that need no random numbers."""
    torch = pytest.importorskip("torch")
    from vceval.networks import utmos

    for name, value in {"_LAYERS": 2, "_HIDDEN": 64, "_RECURRENT": 16, "_PROJECTION": 32}.items():
        monkeypatch.setattr(utmos, name, value)

    def make() -> object:
        network = utmos.Utmos()
        with torch.no_grad():
            for number, (_, weights) in enumerate(sorted(network.named_parameters())):
                steps = torch.arange(weights.numel(), dtype=torch.float64)
                size = 1.0 / math.sqrt(max(1, weights[0].numel() if weights.dim() > 1 else 4))
                weights.copy_((1.5 * size * torch.sin((number + 1.7) * steps + 0.3 * number)).view_as(weights))
        network.load_state_dict(network.state_dict())  # weights are normed when they are loaded
        return network.eval()

    return make


def test_utmos_gives_what_the_network_of_speechmos_gives(small: Callable[[], object]) -> None:
    """Figures from that project's own modules, cut down and filled alike."""
    torch = pytest.importorskip("torch")
    network = small()
    with torch.inference_mode():
        found = [float(network(torch.from_numpy(hum(s, seed=4))[None])[0]) for s in (0.5, 0.51, 1.3)]  # type: ignore[operator]
    assert found == pytest.approx(EXPECTED, abs=1e-5)


EXPECTED = [1.0916043519973755, 1.0882811546325684, 1.04085373878479]


def test_utmos_reads_a_state_dictionary(
    small: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_sound: Callable[..., Path]
) -> None:
    torch = pytest.importorskip("torch")
    network = small()
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path)  # type: ignore[attr-defined]
    monkeypatch.setenv("VCEVAL_UTMOS", str(path))
    metric = registry.load("metric", "mos:utmos")()
    metric.open(Workspace(Cache(tmp_path / "cache")))
    sound = make_sound(rate=44_100)
    found = metric.statistics(Conversion("x", ConversionPair("p", "d"), sound)).sums
    with torch.inference_mode():
        expected = float(network(torch.from_numpy(audio.load(sound, 16_000).samples)[None])[0])  # type: ignore[operator]
    assert found == {"utmos": (pytest.approx(expected, abs=1e-6), 1.0)}
    assert metric.signature().startswith("MOS|model:utmos22-strong-")
    assert metric.name == "mos:utmos"


def test_utmos_finds_the_folder_of_torch_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCEVAL_UTMOS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"needs its checkpoint: download https://.*VCEVAL_UTMOS"):
        UtMos().signature()
    path = tmp_path / "hub" / "checkpoints" / mos_utmos.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert mos_utmos.checkpoint() == path
    monkeypatch.setenv("VCEVAL_UTMOS", str(tmp_path / "gone.pt"))
    with pytest.raises(UsageError, match=r"gone\.pt: no such file"):
        UtMos().signature()


class Harm:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "torch", "script", "text", "other weights"])
def test_utmos_runs_nothing_that_a_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    torch = pytest.importorskip("torch")
    path, sign = tmp_path / "weights.pt", tmp_path / "harm"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Harm(sign)))
    elif kind == "torch":
        torch.save({"wav2vec2.mask_emb": Harm(sign)}, path)
    elif kind == "script":
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    elif kind == "text":
        path.write_text("no weights")
    else:
        torch.save({"domain_emb": torch.zeros(1, 128)}, path)
    monkeypatch.setenv("VCEVAL_UTMOS", str(path))
    metric = UtMos()
    metric.open(Workspace())
    with pytest.raises(
        UsageError, match=r"weights\.pt: (not a checkpoint|a TorchScript program).*expected the state dict"
    ):
        metric.predict(Waveform(hum(0.5), 16_000))
    assert not sign.exists()


def test_utmos_needs_a_torch_that_reads_weights_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights")
    monkeypatch.setenv("VCEVAL_UTMOS", str(path))
    monkeypatch.setattr(mos_utmos, "version", lambda name: "2.5.1+cpu")
    metric = UtMos()
    metric.open(Workspace())
    with pytest.raises(UsageError, match=r"torch 2\.5\.1\+cpu .*pip install 'torch>=2\.6'"):
        metric.predict(Waveform(hum(0.5), 16_000))
