"""Every native converter from weight files to audio on disk: the commands a user gives, on real speech.

The weights are made up by the kits' rule, so the audio is noise; the path is the real one. Every converter of the
registry that has weight files is run, a new one too.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_wavlm
import soundfile
from made_up_converters import LENGTHS, VOCODERS, files, native, small_vocoder

from vceval import registry
from vceval.checkpoints import store
from vceval.checkpoints.known_files import WAVLM_LARGE
from vceval.cli.main import main
from vceval.conformance import made_up_files
from vceval.converters.base import Converter, Request
from vceval.converters.native import NativeConverter
from vceval.errors import UsageError
from vceval.networks.wavlm import LARGE, Sizes
from vceval.records import ConversionPair, Utterance
from vceval.signal.audio import Waveform, load

torch = pytest.importorskip("torch")

PAIR = "published_demos/FragmentVC-demo/VCTK/F2M/p225_002__p227_002"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all; it is large and not kept. No cache, and a store of weight files of its own."""
    folder = tmp_path_factory.mktemp("end_to_end")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCEVAL_CHECKPOINTS", str(folder / "store"))
        patch.setenv("VCEVAL_CACHE", "off")
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def recordings(place: Path) -> dict[str, Path]:
    """The middle of two real recordings of different speakers, as a small corpus."""
    shared = os.environ.get("VCEVAL_SHARED")
    if not shared:
        pytest.skip("VCEVAL_SHARED is not set: reference material is not available")
    made = {}
    for name, start, end in (("source", 0.6, 1.6), ("short source", 0.6, 1.05), ("target", 0.6, 2.0)):
        samples, rate = soundfile.read(Path(shared).resolve() / PAIR / f"{name.split()[-1]}.flac")
        made[name] = place / f"{name}.flac"
        soundfile.write(made[name], samples[int(start * rate) : int(end * rate)], rate)
    for corpus, source in (("corpus", "source"), ("short", "short source")):
        rows = [(made[source].name, "p225", "F", "en", "part"), (made["target"].name, "p227", "M", "en", "another")]
        with open(place / f"{corpus}.csv", "w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([("file", "speaker", "gender", "language", "transcript"), *rows])
    return made


def convert(place: Path, corpus: str, out: str, *options: str) -> Path:
    """Run all converters on the one pair of a corpus, in one process."""
    asked = ["run", "--corpus", "csv", "--data", str(place / f"{corpus}.csv"), "--draw-pairs", "1"]
    rest = ["--metrics", "sanity", "--workers", "1", "--device", "cpu", "--converters", ",".join(native())]
    main([*asked, *rest, *options, "--out", str(place / out)])
    return place / out


@pytest.fixture(scope="module")
def filed(place: Path) -> dict[str, tuple[int | str, bool]]:
    """Every weight file, downloaded under the last part of its name, added by the command.

    Gives its exit code (or why none could be made up), and whether the store holds its bytes. Of WavLM-Large, which is
    1.3 GB, one is added whose tensors are zeros that take no room; a small one takes its place then, and so for the
    universal vocoders, which need a minute for a second of audio.
    """
    results: dict[str, tuple[int | str, bool]] = {}
    for file in files():
        folder = place / "downloads" / file.name.replace("/", "_")
        if file.name == WAVLM_LARGE.name:
            path = folder / file.name
            folder.mkdir(parents=True)
            zeros = {name: torch.zeros(()).expand(shape) for name, shape in file.layout().items()}
            torch.save({**made_up_files.beside(file), "model": zeros}, path)
        else:
            try:
                path = made_up_files.write(file, folder)
            except UsageError as error:
                results[file.name] = str(error), False
                continue
            path = path.rename(folder / path.name)
        code = main(["checkpoints", "add", str(path)])
        stored = store.store() / file.name
        results[file.name] = code, stored.is_file() and stored.read_bytes() == path.read_bytes()
        shutil.rmtree(folder)
    small_wavlm.write(store.store() / WAVLM_LARGE.name, small_wavlm.settings(6))
    for name, hop in VOCODERS.items():
        small_vocoder(store.store() / name, hop)
    return results


@pytest.fixture(scope="module")
def runs(place: Path, recordings: dict[str, Path], filed: dict[str, Any]) -> tuple[Path, Path]:
    """The same run of all converters twice, from scratch, in one process each."""
    return convert(place, "corpus", "first"), convert(place, "corpus", "second")


@pytest.fixture(scope="module")
def precisions(place: Path, recordings: dict[str, Path], filed: dict[str, Any]) -> tuple[Path, Path]:
    """A run in half precision and the same in full; a source of half a second, as processors emulate the former."""
    return convert(place, "short", "half", "--precision", "bf16"), convert(place, "short", "full")


@pytest.mark.parametrize("name", [file.name for file in files()])
def test_every_file_is_recognised_and_filed(filed: dict[str, tuple[int | str, bool]], name: str) -> None:
    assert filed[name] == (0, True)


def test_made_up_wavlm_has_the_published_sizes() -> None:
    assert Sizes.read(made_up_files.beside(WAVLM_LARGE)["cfg"]) == LARGE


@pytest.mark.parametrize("name", native())
def test_every_converter_writes_audio(recordings: dict[str, Path], runs: tuple[Path, Path], name: str) -> None:
    assert name in LENGTHS, f"{name} is new: say in LENGTHS how long its output is"
    with open(runs[0] / "failures.csv", encoding="utf-8", newline="") as handle:
        assert [row["reason"] for row in csv.DictReader(handle) if row["system"] == name] == []
    [written] = (runs[0] / "audio" / name).iterdir()
    samples, rate = soundfile.read(written)
    assert rate == registry.load("converter", name).info.sample_rate
    assert samples.ndim == 1
    assert np.isfinite(samples).all()
    assert np.std(samples) > 1e-3
    expected, apart = LENGTHS[name]
    assert abs(len(samples) - expected(load(recordings["source"]))) <= apart


@pytest.mark.parametrize("name", native())
def test_another_run_writes_the_same_bytes(runs: tuple[Path, Path], name: str) -> None:
    first, second = ([path.read_bytes() for path in (run / "audio" / name).iterdir()] for run in runs)
    assert len(first) == 1
    assert first == second


@pytest.mark.parametrize("name", native())
def test_every_converter_works_in_half_precision(precisions: tuple[Path, Path], name: str) -> None:
    half, whole = precisions
    failures = (half / "failures.csv").read_text(encoding="utf-8")
    assert f"{name}+bf16," not in failures, failures
    [made], [full] = (list((run / "audio" / system).iterdir())
                      for run, system in ((half, f"{name}+bf16"), (whole, name)))  # fmt: skip
    samples, rate = soundfile.read(made)
    other, _ = soundfile.read(full)
    assert np.isfinite(samples).all()
    assert abs(len(samples) - len(other)) < 0.05 * rate
    assert made.read_bytes() != full.read_bytes()


def utterance(path: Path, name: str) -> Utterance:
    return Utterance(name, path, "checked")


@pytest.mark.parametrize("name", ["againvc", "maevc"])
def test_a_grid_costs_a_step_for_each_source_and_target(
    name: str, filed: dict[str, Any], make_sound: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    converter: Converter = registry.load("converter", name)()
    converter.open("cpu")
    for step in ("encode_content", "encode_speaker", "decode"):
        taken = getattr(converter, step)

        def counted(items: Any, *rest: Any, step: str = step, taken: Any = taken) -> Any:
            counts[step] += len(items)
            return taken(items, *rest)

        monkeypatch.setattr(converter, step, counted)
    sources = [utterance(make_sound(f"s{k}.wav", 0.3 + 0.1 * k, seed=k), f"s{k}") for k in range(2)]
    targets = [utterance(make_sound(f"t{k}.wav", 0.5, pitch=200.0, seed=9 + k), f"t{k}") for k in range(3)]
    pairs = [ConversionPair(f"{s.id}-{t.id}", "checked", source=s, prompts=(t,)) for s in sources for t in targets]
    outcomes = converter.convert([Request(name, pair, 0, Path("unused.wav")) for pair in pairs])
    assert all(isinstance(outcome, Waveform) for outcome in outcomes)
    assert counts == {"encode_content": 2, "encode_speaker": 3, "decode": 6}


@pytest.mark.parametrize("name", native())
def test_every_converter_takes_the_steps_of_a_grid(name: str) -> None:
    """None of them goes around the method that shares encodings, so S sources and T targets cost S + T of them."""
    kind = registry.load("converter", name)
    assert kind.convert is NativeConverter.convert, "which adds the precision to Converter.convert"
    for step in ("encode_content", "encode_speaker", "decode"):
        assert getattr(kind, step) is not getattr(Converter, step)
