"""Native converters on a GPU: batches equal single pairs, both devices agree, a full memory costs no pair.

Weights are made up by the kits' rule. Where torch finds no GPU these tests skip; ``VCEVAL_TEST_DEVICE=cpu`` runs them
on the processor, where "the other device" is the processor with oneDNN switched off, whose sums round otherwise too.
``VCEVAL_TEST_WEIGHTS`` names a folder that already holds the files. ``VCEVAL_TEST_CONVERTERS`` takes some only, without
what is not about single converters; empty, it takes just that.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from devices import DEVICE, ON_DEVICE, reference_device
from drawn_classes import drawn_classes
from made_up_converters import native

from vceval import registry
from vceval.checkpoints import store
from vceval.cli.main import main
from vceval.conformance import made_up_files
from vceval.converters.base import Request
from vceval.corpora.demo import Demo
from vceval.records import ConversionPair, System, Utterance
from vceval.runner.convert_worker import Converting, ConvertTask
from vceval.signal.audio import Waveform
from vceval.testing import check_converter

torch = pytest.importorskip("torch")

_ONLY = os.environ.get("VCEVAL_TEST_CONVERTERS")
CHOSEN = [name for name in native() if _ONLY is None or name in _ONLY.split(",")]
#: Converters whose vocoder draws one sample after the other: a rounding difference that flips one draw changes all that
#: follow, so devices are compared by the mel spectra it is given; its logits have a test of their own.
DRAWING = ("adainvc-cyhuang", "fragmentvc")
#: Converters that end in Griffin-Lim, on the processor whatever the device: it makes much of small differences, so they
#: are compared by the frames it is given.
GRIFFIN_LIM = ("adainvc",)
#: Difference of two devices allowed, of the output's root mean square. Float32 sums in another order differ by 1e-7 of
#: their terms; a hundred layers with made-up weights make up to 1e-3 of it. A wrong mask, window or TF32 makes 0.1.
APART = 1e-2

pytestmark = ON_DEVICE


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Give the folder with a converter's files, those written first that are not there."""
    given = os.environ.get("VCEVAL_TEST_WEIGHTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("weights")

    def place(name: str) -> str:
        for file in store.files_of(name):
            if not (folder / file.name).is_file():
                made_up_files.write(file, folder)
        return str(folder)

    return place


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[Path]]]:
    """Parts of demo sentences, unequal in length, each with a prompt of another voice."""
    folder = tmp_path_factory.mktemp("parts")
    # The first voice's sentence begins softly: kNN-VC's voice detector would leave nothing of so short a part
    voices = list({utterance.speaker: utterance for utterance in Demo().utterances()}.values())[1:]

    def part(place: int, seconds: float) -> Path:
        samples, rate = soundfile.read(voices[place].path)
        path = folder / f"{place}-{seconds}.wav"
        soundfile.write(path, samples[int(0.3 * rate) : int((0.3 + seconds) * rate)], rate)
        return path

    return [(part(place, seconds), [part(1 - place % 2, 1.4)]) for place, seconds in enumerate((1.0, 0.8, 1.3))]


def requests(pairs: Sequence[tuple[Path, list[Path]]]) -> list[Request]:
    return [
        Request(
            "gpu",
            ConversionPair(
                f"pair{n}",
                "parts",
                source=Utterance(f"s{n}", source, "parts"),
                prompts=tuple(Utterance(f"t{n}", prompt, "parts") for prompt in prompts),
            ),
            n,
            Path("unused.wav"),
        )
        for n, (source, prompts) in enumerate(pairs)
    ]


def opened(name: str, folder: str, device: str, **options: Any) -> Any:
    converter = registry.load("converter", name)(weights=folder, **options)
    converter.open(device)
    return converter


def converted(converter: Any, pairs: Sequence[tuple[Path, list[Path]]]) -> list[np.ndarray[Any, Any]]:
    outcomes = converter.convert(requests(pairs))
    for outcome in outcomes:
        assert isinstance(outcome, Waveform), outcome
        assert np.isfinite(outcome.samples).all()
    return [outcome.samples for outcome in outcomes]


def mels_for_vocoder(converter: Any, pairs: Sequence[tuple[Path, list[Path]]]) -> list[np.ndarray[Any, Any]]:
    """What a converter gives its drawing vocoder."""
    given: list[Any] = []

    def generate(mels: Sequence[Any], seeds: Sequence[int]) -> list[Any]:
        given.extend(mel.float().cpu().numpy() for mel in mels)
        return [torch.zeros(16_000) for _ in mels]

    converter._vocoder.generate = generate
    converted(converter, pairs)
    return given


def frames_for_griffin_lim(converter: Any, pairs: Sequence[tuple[Path, list[Path]]]) -> list[np.ndarray[Any, Any]]:
    """The frames a converter makes a waveform of, pair by pair: several threads would not keep their order."""
    given: list[Any] = []
    waveform = converter.waveform

    def made(frames: Any) -> Any:
        given.append(frames)
        return waveform(frames)

    converter.waveform = made
    for pair in pairs:
        converted(converter, [pair])
    return given


def apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Root mean square of the difference, of that of the signal."""
    assert one.shape == other.shape
    assert one.std() > 0
    return float(np.sqrt(np.mean((one.astype(np.float64) - other) ** 2) / np.mean(other.astype(np.float64) ** 2)))


@pytest.mark.parametrize("name", CHOSEN)
def test_a_batch_gives_what_single_pairs_give(
    name: str, weights: Any, pairs: Any, record_property: Callable[[str, object], None]
) -> None:
    report = check_converter(registry.load("converter", name)(weights=weights(name)), pairs, device=DEVICE)
    record_property("largest_difference", report.batch_difference)
    assert report.problems == []
    assert report.batch_difference <= 1e-4


@pytest.mark.parametrize("name", CHOSEN)
def test_both_devices_give_the_same(
    name: str, weights: Any, pairs: Any, record_property: Callable[[str, object], None]
) -> None:
    take = mels_for_vocoder if name in DRAWING else frames_for_griffin_lim if name in GRIFFIN_LIM else converted
    found = take(opened(name, weights(name), DEVICE), pairs)
    with reference_device() as device:
        expected = take(opened(name, weights(name), device), pairs)
    assert len(found) == len(expected) == len(pairs)
    worst = max(apart(one, other) for one, other in zip(found, expected, strict=True))
    record_property("relative_difference", worst)
    assert worst <= APART


@pytest.mark.parametrize("name", [name for name in DRAWING if name in CHOSEN])
def test_both_devices_give_the_same_logits(
    name: str, weights: Any, record_property: Callable[[str, object], None]
) -> None:
    """With the same classes fed back, whatever is drawn."""
    from vceval.networks.universal_vocoder import sample, uniforms

    def logits(device: str) -> np.ndarray[Any, Any]:
        vocoder = opened(name, weights(name), device)._vocoder
        size = vocoder.wav_rnn.input_size - vocoder.embedding.embedding_dim
        conditions = torch.randn(2, size, generator=torch.Generator().manual_seed(0)).to(device)
        kept: list[Any] = []

        def pick(values: Any, draws: Any) -> Any:
            kept.append(values.float().cpu().numpy())
            return (draws * vocoder.classes).long()

        with torch.inference_mode():
            sample(vocoder, [conditions], [uniforms(0, 2 * vocoder.hop)], pick)
        return np.stack([rows[0] for rows in kept])

    found = logits(DEVICE)
    with reference_device() as device:
        worst = apart(found, logits(device))
    record_property("relative_difference", worst)
    assert worst <= APART


@pytest.mark.parametrize("name", [name for name in DRAWING if name in CHOSEN])
def test_recorded_steps_draw_what_single_ones_draw(name: str, weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CUDA graph, if this is a GPU, and one by one; and by the plain formulas in double precision."""
    from vceval.networks import universal_vocoder as sampling

    vocoder = opened(name, weights(name), DEVICE)._vocoder
    size = vocoder.wav_rnn.input_size - vocoder.embedding.embedding_dim
    generator = torch.Generator().manual_seed(0)
    conditions = [torch.randn(frames, size, generator=generator).to(DEVICE) for frames in (3, 1, 2)]
    draws = [sampling.uniforms(seed, len(item) * vocoder.hop) for seed, item in enumerate(conditions)]

    def drawn() -> list[list[int]]:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # of what can't be recorded
            return [codes.tolist() for codes in sampling.sample(vocoder, conditions, draws, sampling.draw_by_uniform)]

    recorded = drawn()
    monkeypatch.setattr(sampling._Frame, "_recordable", lambda frame: False)
    assert recorded == drawn()
    assert recorded[1] == drawn_classes(vocoder, conditions[1], draws[1]).tolist()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("name", CHOSEN)
def test_less_precision_gives_audio_like_it(
    name: str, precision: str, weights: Any, pairs: Any, record_property: Callable[[str, object], None]
) -> None:
    """As long (1 %) and as loud (3 dB): rounding grows in made-up weights, so samples can't be compared."""
    full = converted(opened(name, weights(name), DEVICE), pairs[:1])[0]
    less = converted(opened(name, weights(name), DEVICE, precision=precision), pairs[:1])[0]
    assert abs(len(less) - len(full)) <= 0.01 * len(full)
    level = 20.0 * float(np.log10(less.std() / full.std()))
    record_property("level_difference_db", level)
    if len(less) == len(full):
        record_property("relative_difference", apart(less, full))
    assert abs(level) <= 3.0


@pytest.mark.parametrize("name", CHOSEN)
def test_a_run_on_the_device_has_every_pair(
    name: str, weights: Any, pairs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command a user gives: worker process, reading ahead, batches, audio on disk, scores."""
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", weights(name))
    monkeypatch.setenv("VCEVAL_CACHE", "off")
    files = [pairs[0][0], pairs[1][0], pairs[2][0], *pairs[0][1]]
    for path in files:
        shutil.copy(path, tmp_path)
    rows = [
        f"{path.name},{path.name[0]},{'FM'[int(path.name[0]) % 2]},en,words of number {n}"
        for n, path in enumerate(files)
    ]
    (tmp_path / "corpus.csv").write_text("\n".join(["file,speaker,gender,language,transcript", *rows, ""]))
    run = tmp_path / "run"
    code = main(
        ["run", "--corpus", "csv", "--data", str(tmp_path / "corpus.csv"), "--draw-pairs", "2", "--metrics", "sanity",
         "--workers", "1", "--device", DEVICE, "--converters", name, "--out", str(run)]
    )  # fmt: skip
    assert (run / "failures.csv").read_text(encoding="utf-8").count("\n") == 1
    assert code == 0
    assert len(list((run / "audio" / name).iterdir())) >= 2


@pytest.mark.skipif(bool(_ONLY), reason="some converters only")
def test_a_full_memory_halves_the_batch_and_gives_all_pairs(
    weights: Any, pairs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """On a GPU the allocations really fail: torch may take less and less, until a batch does not fit."""
    name = "againvc" if DEVICE == "cuda" else "adainvc"
    system = System(name, name, {"weights": weights(name)})
    count = 64 if DEVICE == "cuda" else 3
    *sources, prompt = sorted(Demo().utterances(), key=lambda utterance: -(utterance.duration or 0.0))[3 : count + 4]
    several = tuple(ConversionPair(f"p{n}", "demo", source=u, prompts=(prompt,)) for n, u in enumerate(sources))
    seconds = tuple(utterance.duration or 0.0 for utterance in sources)
    device = "cuda:0" if DEVICE == "cuda" else "cpu"

    def work(folder: str, pairs: Sequence[ConversionPair], cap: float | None = None) -> list[dict[str, Any]]:
        worker = Converting(tmp_path / folder, device, 0, None)
        monkeypatch.setattr(worker._fitting, "_file", tmp_path / f"{folder}.json")
        worker._converter(system)
        with limited(worker, cap):
            found = worker(ConvertTask(system, tuple(pairs), seconds[: len(pairs)]))
        worker.close()
        return found

    def needed(number: int) -> float:
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        work(f"plain{number}", several[:number])
        return torch.cuda.max_memory_reserved() if DEVICE == "cuda" else sum(seconds[:number])

    one, all_of_them = needed(1), needed(count)
    for share in (0.5, 0.25, 0.1, 0.05, 0.0):
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
        folder = f"little{share}"
        records = work(folder, several, one + share * (all_of_them - one))
        limits = tmp_path / f"{folder}.json"
        halved = limits.is_file() and float(limits.read_text(encoding="utf-8").rpartition(":")[2].strip(" \n}"))
        if 0 < halved < 60.0:  # the first batch on a GPU is of a minute
            break
    record_property("bytes_for_one_and_for_all", f"{one:.0f} {all_of_them:.0f}")
    record_property("seconds_that_fitted", halved)
    assert 0 < halved < 60.0
    assert [record["status"] for record in records] == ["ok"] * count, records
    for pair in several:
        before, after = (
            soundfile.read(next((tmp_path / place / "audio" / name).glob(f"{pair.id}.*")))[0]
            for place in (f"plain{count}", folder)
        )
        assert np.abs(before - after).max() <= 1e-4


@contextmanager
def limited(worker: Converting, cap: float | None) -> Iterator[None]:
    """Let torch take ``cap`` bytes of the GPU at most; on a processor, refuse more than ``cap`` seconds of audio."""
    if cap is None:
        yield
    elif DEVICE == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(cap / total)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    else:
        converter = worker._open[1]  # type: ignore[index]
        convert = converter.convert

        def refusing(items: Sequence[Request]) -> Any:
            if sum(item.source.seconds for item in items) > cap:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return convert(items)

        converter.convert = refusing  # type: ignore[method-assign]
        yield
